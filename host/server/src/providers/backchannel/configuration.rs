//! `/v1/providers/{id}/backchannel`: what this server is as a client at a provider. Every change is one batch with its
//! entry; the secret stands in no entry and no answer.

use std::sync::Arc;

use attorn_api::ProblemCode;
use attorn_api::audit::EntryType;
use attorn_api::backchannel as api;
use attorn_core::{ClientId, ProviderId, TimeMs};
use attorn_identity::{KeyLabel, RootKey};
use attorn_store::records::{BackchannelAuthentication, BackchannelRecord, LoginHint, ProviderRecord, Record as _};
use attorn_store::{Batch, Key, Require, Versioned};
use serde_json::json;
use zeroize::Zeroizing;

use super::{own_key, sign_in};
use crate::app::App;
use crate::entry;
use crate::http::call::{Call, Reply};
use crate::http::failure::Failure;
use crate::providers::registry::{find, find_active};
use crate::registry::{commit, moved, why};

/// What such a secret is for.
const KIND: &str = "backchannel_secret";
/// The claim that every provider knows its users by.
const SUBJECT: &str = "sub";

pub(crate) async fn set(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let (id, wire): (ProviderId, api::SetBackchannel) = (call.path("id")?, call.json()?);
    let provider = find_active(&app, &id).await?;
    let before = app.store.record::<BackchannelRecord>(&Key::backchannel(&id)).await?;
    if wire.page {
        let has = sign_in::is_possible(&app, &provider.value).await;
        has.map_err(|problem| {
            invalid(format!("`page`: nobody can sign in at the provider: {problem} ({})", problem.code()))
        })?;
    }
    let mut batch = Batch::new(app.clock.now());
    let record = BackchannelRecord {
        client: client(&provider.value, &wire.client_id)?,
        authentication: authentication(&app.root, (&id, &wire), before.as_ref())?,
        login_hint: login_hint(&provider.value, &wire.login_hint_claim)?,
        provider: id,
        page: wire.page,
        code_only: wire.code_only,
        changed_at: batch.now,
    };
    if record.authentication == BackchannelAuthentication::PrivateKeyJwt {
        own_key::make(&app, &mut batch).await?;
    }
    batch.require.push((provider.value.key(), Require::Version(provider.version)));
    batch.require.push((record.key(), before.map_or(Require::Absent, |before| Require::Version(before.version))));
    entry::act(&mut batch, call.operator()?, EntryType::BackchannelSet, shown(&app, &record))?;
    batch.put_record(&record);
    commit(&app, batch, moved).await?;
    Reply::ok(&shown(&app, &record))
}

pub(crate) async fn show(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let id: ProviderId = call.path("id")?;
    find(&app, &id).await?;
    Reply::ok(&shown(&app, &of(&app, &id).await?.value))
}

/// Nobody is asked there any more, and whoever is being asked has not been.
pub(crate) async fn remove(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let id: ProviderId = call.path("id")?;
    let found = of(&app, &id).await?;
    let mut batch = Batch::new(app.clock.now());
    batch.require.push((found.value.key(), Require::Version(found.version)));
    let about = json!({ "provider": id.as_str(), "reason": why(&call)? });
    entry::act(&mut batch, call.operator()?, EntryType::BackchannelRemoved, about)?;
    batch.delete.push(found.value.key());
    commit(&app, batch, moved).await?;
    Reply::ok(&shown(&app, &found.value))
}

async fn of(app: &App, id: &ProviderId) -> Result<Versioned<BackchannelRecord>, Failure> {
    let found = app.store.record::<BackchannelRecord>(&Key::backchannel(id)).await?;
    found.ok_or_else(|| Failure::not_found("backchannel of the provider", id))
}

/// The secret that is shared, unwrapped; none if this server signs.
pub(super) fn secret(root: &RootKey, record: &BackchannelRecord) -> Result<Option<Zeroizing<String>>, Failure> {
    let BackchannelAuthentication::ClientSecretBasic { version, wrapped } = &record.authentication else {
        return Ok(None);
    };
    let bytes = root.unwrap(label(&record.provider, *version), wrapped).map_err(Failure::internal)?;
    let text = std::str::from_utf8(&bytes).map_err(Failure::internal)?;
    Ok(Some(Zeroizing::new(text.to_owned())))
}

fn label(provider: &ProviderId, version: u32) -> KeyLabel<'_> {
    KeyLabel { kind: KIND, id: provider.as_str(), version }
}

/// A client of its own: what is issued to it is an answer of a user's, and never what an agent may exchange.
fn client(provider: &ProviderRecord, id: &str) -> Result<ClientId, Failure> {
    let id: ClientId = id.parse()?;
    if provider.clients.contains_key(&id) || provider.user_clients.contains(&id) {
        return Err(invalid(format!("the client `{id}` is an agent's or the users'"))
            .with_help("register one of its own for this server at the provider"));
    }
    Ok(id)
}

fn authentication(
    root: &RootKey,
    (provider, wire): (&ProviderId, &api::SetBackchannel),
    before: Option<&Versioned<BackchannelRecord>>,
) -> Result<BackchannelAuthentication, Failure> {
    let before = before.map(|before| &before.value.authentication);
    let version = match before {
        Some(BackchannelAuthentication::ClientSecretBasic { version, .. }) => *version,
        Some(BackchannelAuthentication::PrivateKeyJwt) | None => 0,
    };
    match (wire.client_authentication, &wire.client_secret, before) {
        (api::ClientAuthenticationMethod::PrivateKeyJwt, None, _) => Ok(BackchannelAuthentication::PrivateKeyJwt),
        (api::ClientAuthenticationMethod::PrivateKeyJwt, Some(_), _) => {
            Err(invalid("`client_secret` comes with `client_secret_basic` alone".into()))
        }
        (api::ClientAuthenticationMethod::ClientSecretBasic, Some(secret), _) => {
            if !(1..=api::SECRET_BYTES_MAX).contains(&secret.len()) || secret.chars().any(char::is_control) {
                let most = api::SECRET_BYTES_MAX;
                return Err(invalid(format!("`client_secret` has 1 to {most} bytes and no control characters")));
            }
            let version = version + 1;
            let wrapped = root.wrap(label(provider, version), secret.as_bytes()).map_err(Failure::internal)?;
            Ok(BackchannelAuthentication::ClientSecretBasic { version, wrapped })
        }
        (
            api::ClientAuthenticationMethod::ClientSecretBasic,
            None,
            Some(kept @ BackchannelAuthentication::ClientSecretBasic { .. }),
        ) => Ok(kept.clone()),
        (api::ClientAuthenticationMethod::ClientSecretBasic, None, _) => {
            Err(invalid("`client_secret` is missing, and none is recorded".into()))
        }
    }
}

fn login_hint(provider: &ProviderRecord, claim: &str) -> Result<LoginHint, Failure> {
    if claim == SUBJECT {
        return Ok(LoginHint::Subject);
    }
    let name = claim.parse()?;
    if provider.claims.contains(&name) {
        return Ok(LoginHint::Claim(name));
    }
    Err(invalid(format!("the claim `{name}` is not among the `claims` of the provider's record, so nobody keeps it"))
        .with_help("add it there, or take `sub`"))
}

fn invalid(detail: String) -> Failure {
    Failure::of(ProblemCode::InvalidField, detail)
}

fn shown(app: &App, record: &BackchannelRecord) -> api::Backchannel {
    let (client_authentication, secret_version) = match record.authentication {
        BackchannelAuthentication::PrivateKeyJwt => (api::ClientAuthenticationMethod::PrivateKeyJwt, None),
        BackchannelAuthentication::ClientSecretBasic { version, .. } => {
            (api::ClientAuthenticationMethod::ClientSecretBasic, Some(version))
        }
    };
    let TimeMs(changed_at_ms) = record.changed_at;
    api::Backchannel {
        provider: record.provider.to_string(),
        client_id: record.client.to_string(),
        client_authentication,
        secret_version,
        login_hint_claim: match &record.login_hint {
            LoginHint::Subject => SUBJECT.into(),
            LoginHint::Claim(name) => name.to_string(),
        },
        code_only: record.code_only,
        page_redirect_uri: record.page.then(|| sign_in::redirect_uri(app)),
        changed_at_ms,
    }
}
