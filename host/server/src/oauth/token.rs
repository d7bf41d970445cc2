//! `POST /oauth/token`: a token for one action on one resource, asked for and decided like anything else.

use std::sync::Arc;

use attorn_api::decisions::{DecisionAnswer, DecisionKind};
use attorn_api::oauth::{
    ACCESS_TOKEN, ATTORN_ACTION, CLIENT_CREDENTIALS, GrantedDetail, OAuthCode, TOKEN_EXCHANGE, TokenAnswer,
};
use attorn_core::Resource;

use super::ciba::CIBA;
use super::ciba::poll::{self, PollReply};
use super::form::Form;
use super::{details, error, exchange};
use crate::app::App;
use crate::decisions::{self, gather};
use crate::http::call::{Call, Reply};
use crate::http::failure::Failure;

pub(crate) async fn create(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    app.ensure_ready()?;
    let form = call.form()?;
    let (answer, issued_token_type) = match form.needed("grant_type")? {
        CLIENT_CREDENTIALS => (client_credentials(&app, &call, form).await?, None),
        TOKEN_EXCHANGE => (exchange::exchange(&app, &call, form).await?, Some(ACCESS_TOKEN.to_owned())),
        CIBA => match poll::poll(&app, &call, form).await? {
            PollReply::Decided(answer) => (*answer, None),
            PollReply::Pending(approval) => return error::pending(approval, &call.id),
            PollReply::Over(code, detail) => return error::over(code, detail, &call.id),
        },
        _ => return Err(unsupported()),
    };
    match answer.decision {
        DecisionKind::Allow => Reply::ok(&TokenAnswer { issued_token_type, ..token(answer)? }),
        DecisionKind::Challenge | DecisionKind::Deny => error::denied(&answer, &call.id),
    }
}

/// There is no such `grant_type` here. What was sent is not repeated.
fn unsupported() -> Failure {
    let detail = format!(
        "`grant_type` is none that this server takes; `{CLIENT_CREDENTIALS}`, `{TOKEN_EXCHANGE}` and `{CIBA}` are"
    );
    Failure::oauth(OAuthCode::UnsupportedGrantType, detail)
}

/// The agent asks on its own authority.
async fn client_credentials(app: &App, call: &Call, form: &Form) -> Result<DecisionAnswer, Failure> {
    let wanted = details::wanted(form)?;
    check_target(app, form, &wanted.request.resource).await?;
    decisions::made(app, call, wanted).await
}

/// What a client may say about where the token is for. The audience comes from the registration of the
/// resource's type, and a client may only say the same.
pub(super) async fn check_target(app: &App, form: &Form, resource: &Resource) -> Result<(), Failure> {
    if form.get("scope").is_some() {
        let detail = "this server knows no scopes; say what is to be done in `authorization_details`";
        return Err(Failure::oauth(OAuthCode::InvalidScope, detail));
    }
    if form.get("resource").is_some() {
        let detail = "`resource` is not taken; the token's audience follows from the resource's type";
        return Err(Failure::oauth(OAuthCode::InvalidTarget, detail));
    }
    check_audience(app, form, resource).await
}

/// The audience, if the client names one.
pub(super) async fn check_audience(app: &App, form: &Form, resource: &Resource) -> Result<(), Failure> {
    let Some(audience) = form.get("audience") else { return Ok(()) };
    let server = gather::resource_server(app, resource, &mut Vec::new()).await?;
    if server.is_some_and(|server| server.value.server.audience.as_str() == audience) {
        return Ok(());
    }
    let detail = "`audience` is not the one that is registered for this type of resource; leave it out";
    Err(Failure::oauth(OAuthCode::InvalidTarget, detail))
}

/// What the client reads of an allow.
fn token(answer: DecisionAnswer) -> Result<TokenAnswer, Failure> {
    let missing = || Failure::internal("an allow was recorded without grant or credential");
    let (grant, credential) = (answer.grant.ok_or_else(missing)?, answer.credential.ok_or_else(missing)?);
    Ok(TokenAnswer {
        access_token: credential.access_token,
        issued_token_type: None,
        token_type: credential.token_type,
        expires_in: credential.expires_in,
        authorization_details: vec![GrantedDetail {
            detail_type: ATTORN_ACTION.into(),
            actions: vec![grant.action],
            identifier: grant.resource,
            locations: vec![grant.audience],
            arguments_digest: grant.arguments_digest,
            uses_max: grant.uses_max,
        }],
        grant_id: grant.id,
        decision_id: answer.decision_id,
    })
}
