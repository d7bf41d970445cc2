//! `POST /bc-authorize`: an agent asks that a user be asked (CIBA Core 1.0, section 7).
//!
//! What is asked is one action, said as at `/oauth/token`, by a delegation of the user's. It is noted and nothing else: a
//! poll decides.

use std::sync::Arc;

use attorn_api::oauth::{BackchannelAuthentication, OAuthCode};
use attorn_core::{DelegationId, Digest, UserId};
use attorn_store::Key;
use attorn_store::records::DelegationRecord;
use data_encoding::BASE64URL_NOPAD;

use super::{AuthRequest, INTERVAL_S};
use crate::app::App;
use crate::http::call::{Call, Reply};
use crate::http::failure::Failure;
use crate::oauth::details;
use crate::oauth::form::Form;
use crate::oauth::token::check_audience;
use crate::random;

/// The one scope that CIBA demands. It comes to nothing here.
const OPENID: &str = "openid";
/// How long what is asked waits, in seconds, where nobody says less.
const EXPIRES_IN_S: u64 = 300;

pub(crate) async fn create(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    app.ensure_ready()?;
    let (form, agent) = (call.form()?, &call.agent()?.agent.value.agent().id);
    check_form(form)?;
    let element = details::element(form)?;
    let wanted = details::of_element(&element)?;
    check_audience(&app, form, &wanted.request.resource).await?;
    let delegation = wanted.delegation.as_ref().ok_or_else(no_delegation)?;
    let user: UserId = form.needed("login_hint")?.parse().map_err(|_| unknown_user())?;
    is_from(&app, delegation, &user).await?;
    let (name, now, expires_in) = (random::auth_request_name()?, app.clock.now(), expires_in(form)?);
    let request = AuthRequest {
        agent: agent.clone(),
        element,
        expires_at: now.plus_ms(expires_in * 1_000),
        interval_s: INTERVAL_S,
        polled_at: now,
        approval: None,
        busy: false,
    };
    let auth_req_id = BASE64URL_NOPAD.encode(&name);
    app.auth_requests.note(digest(&auth_req_id), request, now)?;
    Reply::ok(&BackchannelAuthentication { auth_req_id, expires_in, interval: INTERVAL_S })
}

/// Under what a request is found. Nobody guesses the name of one.
pub(super) fn digest(auth_req_id: &str) -> Digest {
    Digest::from_bytes(blake3::derive_key("attorn auth_req_id v1", auth_req_id.as_bytes()))
}

fn check_form(form: &Form) -> Result<(), Failure> {
    let refused = |code, detail: &str| Err(Failure::oauth(code, detail));
    if form.needed("scope")? != OPENID {
        return refused(
            OAuthCode::InvalidScope,
            "`scope` is `openid`; what is to be done stands in `authorization_details`",
        );
    }
    if form.get("login_hint_token").is_some() || form.get("id_token_hint").is_some() {
        return refused(
            OAuthCode::InvalidRequest,
            "the hint that is taken is `login_hint`: the id of a user of this server",
        );
    }
    if form.get("binding_message").is_some() {
        let detail =
            "`binding_message` is not taken: what a user reads is this server's, and its code comes with a poll";
        return refused(OAuthCode::InvalidBindingMessage, detail);
    }
    for name in ["request", "user_code", "client_notification_token"] {
        if form.get(name).is_some() {
            return refused(OAuthCode::InvalidRequest, &format!("`{name}` is not taken"));
        }
    }
    Ok(())
}

/// Longer than this server waits nobody waits; a shorter time is the client's to choose.
fn expires_in(form: &Form) -> Result<u64, Failure> {
    let Some(text) = form.get("requested_expiry") else { return Ok(EXPIRES_IN_S) };
    let asked = text.parse::<u64>().ok().filter(|seconds| *seconds > 0);
    let detail = "`requested_expiry` is no number of seconds from 1 on";
    asked.map(|seconds| seconds.min(EXPIRES_IN_S)).ok_or_else(|| Failure::oauth(OAuthCode::InvalidRequest, detail))
}

/// What another agent holds looks like what is not there: whether it is this agent's is decided with the rest.
async fn is_from(app: &App, delegation: &DelegationId, user: &UserId) -> Result<(), Failure> {
    let record = app.store.record::<DelegationRecord>(&Key::delegation(delegation)).await?;
    let is = record.is_some_and(|record| record.value.user == *user);
    is.then_some(()).ok_or_else(unknown_user)
}

fn no_delegation() -> Failure {
    let detail = "the element of `authorization_details` names no `delegation`, so there is no user to be asked";
    Failure::oauth(OAuthCode::InvalidAuthorizationDetails, detail)
}

fn unknown_user() -> Failure {
    Failure::oauth(OAuthCode::UnknownUserId, "the delegation is from no such user, or there is none")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(changes: &[(&str, &str)]) -> Form {
        let mut parameters = vec![("scope", "openid"), ("login_hint", "usr_1")];
        for change in changes {
            parameters.retain(|(name, _)| *name != change.0);
            parameters.push(*change);
        }
        let body: String = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
        Form::parse(body.as_bytes()).ok().unwrap()
    }

    #[test]
    fn whatever_this_server_does_not_do_is_refused_with_its_code() {
        assert!(check_form(&form(&[])).is_ok());
        for (name, value, code) in [
            ("scope", "", OAuthCode::InvalidRequest),
            ("scope", "openid profile", OAuthCode::InvalidScope),
            ("scope", "invoices", OAuthCode::InvalidScope),
            ("id_token_hint", "a.b.c", OAuthCode::InvalidRequest),
            ("login_hint_token", "a.b.c", OAuthCode::InvalidRequest),
            ("binding_message", "tap yes", OAuthCode::InvalidBindingMessage),
            ("request", "a.b.c", OAuthCode::InvalidRequest),
            ("user_code", "1234", OAuthCode::InvalidRequest),
            ("client_notification_token", "t", OAuthCode::InvalidRequest),
        ] {
            let refused = check_form(&form(&[(name, value)])).err().and_then(|failure| failure.oauth);
            assert_eq!(refused, Some(code), "{name}={value}");
        }
    }

    #[test]
    fn a_client_may_wait_for_less_and_not_for_more() {
        let asked = |value: &str| expires_in(&form(&[("requested_expiry", value)])).ok();
        assert_eq!(asked(""), Some(EXPIRES_IN_S));
        assert_eq!((asked("1"), asked("60")), (Some(1), Some(60)));
        assert_eq!(asked("99999999999"), Some(EXPIRES_IN_S));
        assert_eq!([asked("0"), asked("-1"), asked("1.5"), asked("x")], [None; 4]);
    }
}
