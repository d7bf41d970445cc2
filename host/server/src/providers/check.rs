//! `POST /v1/providers/{id}/check`: what a token would give, and why not more.
//!
//! The token goes through the very functions that delegations go through, and then nothing is made of it: it is
//! neither kept, nor logged, nor recorded.

use std::sync::Arc;

use attorn_api::providers as api;
use attorn_core::provider::shown;
use attorn_core::reason::HostReason;
use attorn_core::{Audience, Consent, ProviderId, TimeMs};
use attorn_identity::issuer_token::{IssuerTokenError, UnverifiedToken};
use attorn_store::records::ProviderRecord;
use serde_json::Value;

use super::refused::Check;
use super::{
    Confirmation, LogoutToken, Refused, Said, SubjectToken, UserToken, logout_token, registry, subject_token,
    user_token, verify, wire,
};
use crate::app::App;
use crate::delegations;
use crate::http::call::{Call, Reply};
use crate::http::failure::Failure;

/// How many audiences of a token are shown.
const AUDIENCES_SHOWN_MAX: usize = 8;

pub(crate) async fn check(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let (id, asked): (ProviderId, api::CheckToken) = (call.path("id")?, call.json()?);
    let provider = registry::find(&app, &id).await?;
    let checked = match gives(&app, &provider.value, &asked).await {
        Err(Refused::Failed(failure)) => return Err(*failure),
        Err(refused) => refusal(&refused, another_audience(&provider.value, &asked, &refused)),
        Ok(gives) => {
            api::TokenCheck { accepted: true, checks: steps(None), code: None, help: None, gives: Some(gives) }
        }
    };
    Reply::ok(&checked)
}

async fn gives(app: &App, provider: &ProviderRecord, asked: &api::CheckToken) -> Result<api::TokenGives, Refused> {
    let token = asked.token.as_str();
    let issuer = UnverifiedToken::parse(token)?.issuer().to_owned();
    if issuer != provider.issuer.as_str() {
        let other = verify::provider_of(app, &issuer).await?;
        return Err(Refused::AnotherProvider(other.value.id.to_string()));
    }
    Ok(match asked.token_use {
        api::TokenUse::Delegation => {
            let token = subject_token(app, token).await?;
            let mut exchanged = Vec::new();
            for consent in &token.consented {
                exchanged
                    .push(exchanged_before(app, &token, consent).await.map_err(Box::new).map_err(Refused::Failed)?);
            }
            let mut gives = api::TokenGives::from(token);
            for (consented, exchanged) in gives.consented.iter_mut().zip(exchanged) {
                consented.exchanged = exchanged;
            }
            gives
        }
        api::TokenUse::User => user_token(app, token, None).await?.into(),
        api::TokenUse::Logout => logout_token(app, token, None).await?.into(),
    })
}

/// What came of this token for this purpose, if it was brought before: it is looked at, and nothing is refused for it.
async fn exchanged_before(
    app: &App,
    token: &SubjectToken,
    consent: &Consent,
) -> Result<Option<api::Exchanged>, Failure> {
    let Some(id) = delegations::make::exchanged(app, token, consent).await? else { return Ok(None) };
    let standing = delegations::standing(app, &id).await?;
    let standing = standing.map_or("active", HostReason::code).to_owned();
    Ok(Some(api::Exchanged { delegation: id.to_string(), standing }))
}

/// What is said of a token in particular, where that is more than what is said of its kind.
struct Particular {
    detail: String,
    help: Option<&'static str>,
}

/// Whom a token is for, and whom it should be for. Its signature was verified before anybody looked at that.
fn another_audience(provider: &ProviderRecord, asked: &api::CheckToken, refused: &Refused) -> Option<Particular> {
    let Refused::Token(IssuerTokenError::WrongAudience) = refused else { return None };
    let token = UnverifiedToken::parse(&asked.token).ok()?;
    let found = token.audiences();
    let (agents, users) = (provider.audience.as_str(), provider.user_audience.as_ref().map(Audience::as_str));
    let (needed, help) = match asked.token_use {
        api::TokenUse::Delegation => {
            let of_user = users.is_some_and(|users| found.contains(&users));
            let help = "this is a user's token; agents need one of a client in `clients`";
            (agents, of_user.then_some(help))
        }
        api::TokenUse::User => {
            let of_agent = found.contains(&agents);
            let help = "this is a token for an agent; users need one of a client in `user_clients`";
            (users?, of_agent.then_some(help))
        }
        api::TokenUse::Logout => return None,
    };
    let all: Vec<_> = found.iter().take(AUDIENCES_SHOWN_MAX).map(|one| format!("`{}`", shown(one))).collect();
    let detail = format!("the token is for {}, and has to be for `{needed}`", all.join(", "));
    Some(Particular { detail, help })
}

fn refusal(refused: &Refused, particular: Option<Particular>) -> api::TokenCheck {
    let (detail, help) = particular.map_or((None, None), |particular| (Some(particular.detail), particular.help));
    let detail = detail.unwrap_or_else(|| refused.to_string());
    api::TokenCheck {
        accepted: false,
        checks: steps(Some((refused.check(), detail.as_str()))),
        code: Some(refused.code().into()),
        help: help.or_else(|| refused.help()).map(str::to_owned),
        gives: None,
    }
}

fn steps(failed: Option<(Check, &str)>) -> Vec<api::CheckStep> {
    let step = |check: Check| {
        let (result, detail) = match failed {
            Some((failed, detail)) if failed == check => (api::CheckResult::Failed, Some(detail.to_owned())),
            Some((failed, _)) if failed < check => (api::CheckResult::NotReached, None),
            _ => (api::CheckResult::Passed, None),
        };
        api::CheckStep { check: check.as_str().into(), result, detail }
    };
    Check::ALL.into_iter().map(step).collect()
}

impl From<SubjectToken> for api::TokenGives {
    fn from(token: SubjectToken) -> Self {
        let consented = token.consented.iter().map(|consent| api::Consented {
            purpose: consent.purpose.to_string(),
            permissions: consent.permissions.iter().map(wire::shown_permission).collect(),
            exchanged: None,
        });
        Self {
            agent: Some(token.agent.to_string()),
            consented: consented.collect(),
            unmapped: token.unmapped,
            groups: token.groups,
            claims: serde_json::from_str(token.claims.as_str()).unwrap_or(Value::Null),
            ..token.said.into()
        }
    }
}

impl From<UserToken> for api::TokenGives {
    fn from(token: UserToken) -> Self {
        Self { client: Some(token.client.to_string()), ..token.said.into() }
    }
}

impl From<Said> for api::TokenGives {
    fn from(said: Said) -> Self {
        Self {
            subject: Some(said.subject),
            session: said.session,
            confirmation: said.confirmation.map(shown_confirmation),
            token_id: said.token_id,
            authenticated_at_ms: said.auth_time.map(|at| at.0),
            acr: said.acr,
            ..nothing(&said.token_digest, said.issued_at, said.expires_at)
        }
    }
}

impl From<LogoutToken> for api::TokenGives {
    fn from(token: LogoutToken) -> Self {
        Self {
            subject: token.subject,
            session: token.session,
            token_id: Some(token.token_id),
            ..nothing(&token.token_digest, token.issued_at, token.expires_at)
        }
    }
}

/// What every token gives.
fn nothing(token_digest: &attorn_core::Digest, issued_at: TimeMs, expires_at: TimeMs) -> api::TokenGives {
    api::TokenGives {
        subject: None,
        agent: None,
        client: None,
        consented: Vec::new(),
        unmapped: Vec::new(),
        session: None,
        groups: None,
        claims: serde_json::json!({}),
        confirmation: None,
        token_id: None,
        token_digest: token_digest.to_string(),
        issued_at_ms: issued_at.0,
        expires_at_ms: expires_at.0,
        authenticated_at_ms: None,
        acr: None,
    }
}

fn shown_confirmation(confirmation: Confirmation) -> api::Confirmation {
    match confirmation {
        Confirmation::Key(thumbprint) => api::Confirmation::Key(thumbprint.to_string()),
        Confirmation::Certificate(digest) => api::Confirmation::Certificate(digest.to_string()),
    }
}
