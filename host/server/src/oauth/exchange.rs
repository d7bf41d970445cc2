//! Token exchange (RFC 8693): what its form says. The subject token is a user's at a provider, the actor is
//! the authenticated client.
//!
//! Whether the subject token is good, and what it delegates, is the business of `providers` and `delegations`.

use attorn_api::ProblemCode;
use attorn_api::decisions::DecisionAnswer;
use attorn_api::oauth::{ACCESS_TOKEN, OAuthCode};
use attorn_core::AgentId;

use super::form::Form;
use super::{details, granted, token};
use crate::app::App;
use crate::decisions::ask::Wanted;
use crate::delegations::make;
use crate::http::call::Call;
use crate::http::failure::Failure;
use crate::{decisions, delegations, grants, providers};

/// What is to be exchanged, for what. It has no `Debug`: it holds tokens.
pub(super) struct Exchange {
    /// An access token of the user whom the agent is to act for.
    pub(super) subject_token: String,
    /// A token that names the agent. Whoever sends one has to be that agent.
    pub(super) actor_token: Option<String>,
    /// What the agent asks for.
    pub(super) wanted: Wanted,
}

/// Read the form of a token exchange.
///
/// # Errors
///
/// `invalid_request` if a parameter is missing, or asks for another type of token than an access token: an
/// ID token says who signed in, and delegates nothing. What is wrong with `authorization_details` is as in
/// [`details::wanted`].
pub(super) fn parse(form: &Form) -> Result<Exchange, Failure> {
    let invalid = |detail: String| Err(Failure::oauth(OAuthCode::InvalidRequest, detail));
    let subject_token = form.needed("subject_token")?.to_owned();
    if form.needed("subject_token_type")? != ACCESS_TOKEN {
        return invalid(format!("`subject_token_type` is not `{ACCESS_TOKEN}`; an ID token delegates nothing"));
    }
    let actor_token = match (form.get("actor_token"), form.get("actor_token_type")) {
        (None, None) => None,
        (Some(token), Some(ACCESS_TOKEN)) => Some(token.to_owned()),
        (Some(_), _) => return invalid(format!("`actor_token` comes with an `actor_token_type` of `{ACCESS_TOKEN}`")),
        (None, Some(_)) => return invalid("`actor_token_type` comes only with an `actor_token`".into()),
    };
    if form.get("requested_token_type").is_some_and(|requested| requested != ACCESS_TOKEN) {
        return invalid(format!("`requested_token_type` is not `{ACCESS_TOKEN}`"));
    }
    Ok(Exchange { subject_token, actor_token, wanted: details::wanted(form)? })
}

/// Exchange a token: the user's consent becomes a recorded delegation, and the one action that is asked for is
/// decided by it like anything else. The same token for the same purpose gives the same delegation each time.
pub(super) async fn exchange(app: &App, call: &Call, form: &Form) -> Result<DecisionAnswer, Failure> {
    let Exchange { subject_token, actor_token, mut wanted } = parse(form)?;
    token::check_target(app, form, &wanted.request.resource).await?;
    let caller = call.agent()?;
    if wanted.delegation.is_some() {
        let detail = "the element of `authorization_details` names a `delegation`, which the subject token brings";
        return Err(Failure::oauth(OAuthCode::InvalidAuthorizationDetails, detail));
    }
    if let Some(actor) = &actor_token {
        check_actor(app, &caller.agent.value.agent().id, actor).await?;
    }
    let token = providers::subject_token(app, &subject_token).await.map_err(delegations::refused)?;
    let ask = make::Ask {
        caller,
        token: &token,
        purpose: wanted.request.purpose.clone(),
        permissions: None,
        expires_in_ms: None,
    };
    wanted.delegation = Some(make::delegation(app, &ask).await?.id);
    decisions::made(app, call, wanted).await
}

/// The actor is the client that authenticated. A token that it sends besides has to be one that we issued to it
/// (RFC 8693, section 2.1), and good.
async fn check_actor(app: &App, agent: &AgentId, token: &str) -> Result<(), Failure> {
    let invalid = || {
        let detail = "`actor_token` is no good access token of this server's for the client that asks; leave it out";
        Failure::oauth(OAuthCode::InvalidRequest, detail)
    };
    let known = granted::grant(app, token).await?.filter(|known| known.grant.agent == *agent);
    let known = known.ok_or_else(invalid)?;
    match grants::active(app, &known.grant, known.record.value.revoked_at).await {
        Ok(_) => Ok(()),
        Err(failure) if failure.problem.code == ProblemCode::GrantInactive => Err(invalid()),
        Err(failure) => Err(failure),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
    const DETAILS: &str =
        r#"[{"type":"attorn_action","actions":["faq.read"],"identifier":"article/42","purpose":"tests"}]"#;

    fn read(changes: &[(&str, &str)]) -> Result<Exchange, Failure> {
        let mut parameters = vec![
            ("subject_token", "subject"),
            ("subject_token_type", ACCESS_TOKEN),
            ("authorization_details", DETAILS),
        ];
        for change in changes {
            parameters.retain(|(name, _)| *name != change.0);
            parameters.push(*change);
        }
        let body: String = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
        parse(&Form::parse(body.as_bytes()).unwrap())
    }

    #[test]
    fn other_types_of_token_are_refused() {
        for changes in [
            &[("subject_token", "")][..],
            &[("subject_token_type", "")],
            &[("subject_token_type", ID_TOKEN)],
            &[("subject_token_type", "urn:ietf:params:oauth:token-type:refresh_token")],
            &[("subject_token_type", "urn:ietf:params:oauth:token-type:jwt")],
            &[("actor_token", "actor")],
            &[("actor_token", "actor"), ("actor_token_type", ID_TOKEN)],
            &[("actor_token_type", ACCESS_TOKEN)],
            &[("requested_token_type", ID_TOKEN)],
            &[("requested_token_type", "urn:ietf:params:oauth:token-type:refresh_token")],
            &[("authorization_details", "")],
            &[("authorization_details", "[]")],
        ] {
            assert_eq!(read(changes).err().unwrap().oauth, Some(OAuthCode::InvalidRequest), "{changes:?}");
        }
        let details = read(&[("authorization_details", "[{}]")]).err().unwrap();
        assert_eq!(details.oauth, Some(OAuthCode::InvalidAuthorizationDetails));
    }

    #[test]
    fn a_whole_form_says_what_is_exchanged_for_what() {
        let exchange = read(&[("requested_token_type", ACCESS_TOKEN)]).ok().unwrap();
        assert_eq!((exchange.subject_token.as_str(), exchange.actor_token.as_deref()), ("subject", None));
        assert_eq!(exchange.wanted.request.resource.as_str(), "article/42");
        let actor = [("actor_token", "actor"), ("actor_token_type", ACCESS_TOKEN)];
        assert_eq!(read(&actor).ok().unwrap().actor_token.as_deref(), Some("actor"));
    }
}
