//! `/v1/provider-client-keys`: seeing and rotating the key with which this server is a client of providers. A rotation is
//! one batch with its entry.

use std::sync::Arc;

use attorn_api::ProblemCode;
use attorn_api::audit::EntryType;
use attorn_api::provider_client_keys as api;
use attorn_core::TimeMs;
use attorn_store::records::ProviderClientKeyRecord;
use attorn_store::{Batch, Key};
use serde_json::json;

use super::own_key::{self, OwnKey};
use crate::app::App;
use crate::entry;
use crate::http::call::{Call, Reply};
use crate::http::failure::Failure;
use crate::registry::{commit, moved, note};

pub(crate) async fn show(app: Arc<App>, _: Call) -> Result<Reply, Failure> {
    Reply::ok(&shown(&app).await?)
}

pub(crate) async fn rotate(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let wire: api::RotateProviderClientKey = call.json()?;
    note("reason", wire.reason.as_deref())?;
    if wire.overlap_ms > api::OVERLAP_MS_MAX {
        let detail = format!("`overlap_ms` is at most {}", api::OVERLAP_MS_MAX);
        return Err(Failure::of(ProblemCode::InvalidField, detail));
    }
    let (all, mut batch) = (own_key::all(&app).await?, Batch::new(app.clock.now()));
    let (ended, made) = take_over(&app, &all, &wire, &mut batch)?;
    let about = json!({
        "thumbprint": own_key::public_key(&ended)?.thumbprint().as_str(), "version": ended.version,
        "published_until_ms": ended.published_until.map(|until| until.0),
        "made": {
            "thumbprint": own_key::public_key(&made)?.thumbprint().as_str(), "version": made.version,
            "signs_from_ms": made.signs_from.0,
        },
        "compromised": wire.compromised, "reason": wire.reason,
    });
    entry::act(&mut batch, call.operator()?, EntryType::ProviderClientKeyRotated, about)?;
    commit(&app, batch, moved).await?;
    Reply::ok(&shown(&app).await?)
}

/// Have a new key take over from the one that was made last.
fn take_over(
    app: &App,
    all: &[OwnKey],
    wire: &api::RotateProviderClientKey,
    batch: &mut Batch,
) -> Result<(ProviderClientKeyRecord, ProviderClientKeyRecord), Failure> {
    let now = batch.now;
    let Some(newest) = all.first() else {
        let detail = "there is no such key yet: it is made when a provider is set that needs it";
        return Err(Failure::of(ProblemCode::InvalidState, detail));
    };
    let overlap_ms = if wire.compromised { 0 } else { wire.overlap_ms };
    let mut ended = None;
    for OwnKey { record, place } in all {
        let still = record.published_until.filter(|until| now < *until);
        if let (Some(until), false) = (still, wire.compromised) {
            let detail = format!("the overlap of the last rotation ends at {until}");
            return Err(Failure::of(ProblemCode::InvalidState, detail).with_help("wait for that, or say `compromised`"));
        }
        if record.is_published(now) {
            let next = ProviderClientKeyRecord { published_until: Some(now.plus_ms(overlap_ms)), ..record.clone() };
            batch.require.push((Key::provider_client_key(record.version), *place));
            next.put(batch);
            if overlap_ms == 0 {
                batch.delete.push(own_key::material(record.version)?);
            }
            ended.get_or_insert(next);
        }
    }
    let ended = ended.ok_or_else(|| Failure::internal("the newest key of this server as a client is not published"))?;
    let signs_from = now.plus_ms(overlap_ms / 2);
    let made = own_key::new(app, batch, (newest.record.version + 1, signs_from))?;
    made.put(batch);
    Ok((ended, made))
}

async fn shown(app: &App) -> Result<api::ProviderClientKeys, Failure> {
    let (all, now) = (own_key::all(app).await?, app.clock.now());
    let signing = own_key::signing(&all, now).map(|record| record.version);
    let published = all.iter().map(|key| &key.record).filter(|record| record.is_published(now));
    let key = |record: &ProviderClientKeyRecord| -> Result<api::ProviderClientKey, Failure> {
        Ok(api::ProviderClientKey {
            thumbprint: own_key::public_key(record)?.thumbprint().to_string(),
            version: record.version,
            signs: signing == Some(record.version),
            signs_from_ms: record.signs_from.0,
            published_until_ms: record.published_until.map(|TimeMs(until)| until),
        })
    };
    Ok(api::ProviderClientKeys { keys: published.map(key).collect::<Result<_, _>>()? })
}
