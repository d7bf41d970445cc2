//! `POST /v1/providers/{id}/check`: what a token would give, and why not more.
//!
//! The token goes through the very functions that delegations go through, and then nothing is made of it: it is
//! neither kept, nor logged, nor recorded.

use std::sync::Arc;

use attorn_api::providers as api;
use attorn_core::{ProviderId, TimeMs};
use attorn_identity::provider_token::UnverifiedToken;
use attorn_store::records::ProviderRecord;
use serde_json::Value;

use super::refused::Check;
use super::{
    Confirmation, LogoutToken, Refused, Said, SubjectToken, UserToken, logout_token, registry, subject_token,
    user_token, verify, wire,
};
use crate::app::App;
use crate::http::call::{Call, Reply};
use crate::http::failure::Failure;

pub(crate) async fn check(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let (id, asked): (ProviderId, api::CheckToken) = (call.path("id")?, call.json()?);
    let provider = registry::find(&app, &id).await?;
    let checked = match gives(&app, &provider.value, &asked).await {
        Err(Refused::Failed(failure)) => return Err(*failure),
        Err(refused) => refusal(&refused),
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
        api::TokenUse::Delegation => subject_token(app, token).await?.into(),
        api::TokenUse::User => user_token(app, token, None).await?.into(),
        api::TokenUse::Logout => logout_token(app, token, None).await?.into(),
    })
}

fn refusal(refused: &Refused) -> api::TokenCheck {
    api::TokenCheck {
        accepted: false,
        checks: steps(Some(refused)),
        code: Some(refused.code().into()),
        help: refused.help().map(str::to_owned),
        gives: None,
    }
}

fn steps(refused: Option<&Refused>) -> Vec<api::CheckStep> {
    let step = |check: Check| {
        let (result, detail) = match refused {
            Some(refused) if refused.check() == check => (api::CheckResult::Failed, Some(refused.to_string())),
            Some(refused) if refused.check() < check => (api::CheckResult::NotReached, None),
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
