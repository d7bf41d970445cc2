//! `/v1/token-keys`: listing, rotating and retiring keys that sign tokens.

use std::sync::Arc;

use attorn_api::ProblemCode;
use attorn_api::audit::EntryType;
use attorn_api::token_keys as api;
use attorn_core::{KeyThumbprint, TimeMs};
use attorn_store::records::{Record as _, TokenKeyRecord, TokenKeyState};
use attorn_store::{Batch, Key, KeyKind, Require, Versioned};
use serde_json::json;

use super::{make, material};
use crate::app::App;
use crate::entry;
use crate::http::call::{Call, Reply};
use crate::http::failure::Failure;
use crate::registry::{commit, moved, note, page};

pub(crate) async fn list(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let after = call.query::<KeyThumbprint>("after")?.map(|thumbprint| Key::token_key(&thumbprint));
    let (records, more) = page::<TokenKeyRecord>(&app, KeyKind::TokenKey, after, call.limit()?).await?;
    let keys: Vec<_> = records.iter().map(|record| shown(&app, record)).collect();
    let next = more.then(|| keys.last().map(|key| key.thumbprint.clone())).flatten();
    Reply::ok(&api::TokenKeyList { keys, next })
}

pub(crate) async fn rotate(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let wire: api::RotateTokenKey = call.json()?;
    note("reason", wire.reason.as_deref())?;
    let _changing = app.token_keys.changing.lock().await;
    let signing = app.token_keys.signing()?.record.thumbprint.clone();
    let stored = find(&app, &signing).await?;
    let retired = |at| TokenKeyState::Retired { at };
    end(&app, &call, EntryType::TokenKeyRotated, (stored, retired), wire.reason).await
}

/// After the acknowledgement of a key's loss nothing that it signed is used, introspected as active, or
/// signed again: all of these read its record.
pub(crate) async fn retire(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let (wire, thumbprint): (api::RetireTokenKey, KeyThumbprint) = (call.json()?, call.path("thumbprint")?);
    note("reason", wire.reason.as_deref())?;
    let _changing = app.token_keys.changing.lock().await;
    let stored = find(&app, &thumbprint).await?;
    let (kind, state): (_, fn(TimeMs) -> TokenKeyState) = match (stored.value.state, wire.compromised) {
        (TokenKeyState::Signing | TokenKeyState::Retired { .. }, true) => {
            (EntryType::TokenKeyCompromised, |at| TokenKeyState::Compromised { at })
        }
        (TokenKeyState::Signing, false) => (EntryType::TokenKeyRetired, |at| TokenKeyState::Retired { at }),
        (TokenKeyState::Retired { .. }, false) | (TokenKeyState::Compromised { .. }, _) => {
            let detail = format!("the key `{thumbprint}` does not sign any more already");
            return Err(Failure::of(ProblemCode::InvalidState, detail));
        }
    };
    end(&app, &call, kind, (stored, state), wire.reason).await
}

/// Bring a key to its end, and make a new one if it is the one that signs: one batch with one entry.
async fn end(
    app: &App,
    call: &Call,
    kind: EntryType,
    (stored, state): (Versioned<TokenKeyRecord>, impl FnOnce(TimeMs) -> TokenKeyState),
    reason: Option<String>,
) -> Result<Reply, Failure> {
    let (keys, mut batch) = (&app.token_keys, Batch::new(app.clock.now()));
    let signed = stored.value.state == TokenKeyState::Signing;
    let ended = TokenKeyRecord { state: state(batch.now), ..stored.value };
    batch.require.push((ended.key(), Require::Version(stored.version)));
    batch.put_record(&ended);
    let mut made = None;
    if signed {
        batch.delete.push(material(ended.version)?);
        made = Some(Arc::new(make(&keys.root, &mut batch, ended.version + 1)?));
    }
    let new =
        made.as_ref().map(|key| json!({ "thumbprint": key.record.thumbprint.as_str(), "version": key.record.version }));
    let about =
        json!({ "thumbprint": ended.thumbprint.as_str(), "version": ended.version, "made": new, "reason": reason });
    entry::act(&mut batch, call.operator()?, kind, about)?;
    commit(app, batch, moved).await?;
    keys.changed(&ended, made, app.clock.now());
    Reply::ok(&api::TokenKeyChanged { key: shown(app, &ended), signing: shown(app, &keys.signing()?.record) })
}

async fn find(app: &App, thumbprint: &KeyThumbprint) -> Result<Versioned<TokenKeyRecord>, Failure> {
    let stored = app.store.record(&Key::token_key(thumbprint)).await?;
    stored.ok_or_else(|| Failure::not_found("token key", thumbprint))
}

fn shown(app: &App, record: &TokenKeyRecord) -> api::TokenKey {
    let (state, ended_at) = match record.state {
        TokenKeyState::Signing => (api::TokenKeyState::Signing, None),
        TokenKeyState::Retired { at } => (api::TokenKeyState::Retired, Some(at)),
        TokenKeyState::Compromised { at } => (api::TokenKeyState::Compromised, Some(at)),
    };
    api::TokenKey {
        thumbprint: record.thumbprint.to_string(),
        version: record.version,
        state,
        published: app.token_keys.is_published(record, app.clock.now()),
        made_at_ms: record.made_at.0,
        ended_at_ms: ended_at.map(|at| at.0),
    }
}
