//! Token exchange (RFC 8693): what its form says. The subject token is a user's at a provider, the actor is
//! the authenticated client.
//!
//! Whether the tokens are good, and what they delegate, is not known here.

use attorn_api::decisions::DecisionAnswer;
use attorn_api::oauth::{ACCESS_TOKEN, OAuthCode};

use super::form::Form;
use super::{details, token};
use crate::app::App;
use crate::decisions::ask::Wanted;
use crate::http::call::Call;
use crate::http::failure::Failure;

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

/// Exchange a token.
pub(super) fn exchange(_app: &App, _call: &Call, form: &Form) -> Result<DecisionAnswer, Failure> {
    // INVARIANT: nothing is exchanged before the subject token has become a recorded delegation. Until
    // delegations are kept, a form that could be exchanged is told that exchanges are not made.
    let Exchange { subject_token, actor_token, wanted } = parse(form)?;
    drop((subject_token, actor_token, wanted));
    Err(token::unsupported())
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
