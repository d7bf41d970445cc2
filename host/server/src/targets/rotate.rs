//! Changing the password of a target's administrator. The new one is recorded before the target is told, and the old one
//! forgotten after the new one was seen to count: so at every moment one of those that are recorded counts.

use std::sync::Arc;

use attorn_api::ProblemCode;
use attorn_api::targets as api;
use attorn_broker::KindError;
use attorn_broker::postgresql::{Postgresql, password};
use attorn_core::{TargetId, TargetKind, TargetState};
use attorn_store::records::TargetRecord;
use attorn_store::{Batch, Key, Require, Versioned};
use serde_json::json;

use super::live::{another_kind, databases};
use super::{find, secret, wire};
use crate::app::App;
use crate::entry;
use crate::http::call::{Call, Reply};
use crate::http::failure::Failure;
use crate::registry::{commit, moved};

/// Give the administrator a new password, which nobody is told.
pub(crate) async fn rotate(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let id: TargetId = call.path("id")?;
    let found = find(&app, &id).await?;
    if found.value.state == TargetState::Retired {
        return Err(Failure::of(ProblemCode::InvalidState, format!("target `{id}` is retired")));
    }
    databases(&found.value).map_err(|failure| {
        failure.with_help("whoever issued its secret gives another: `attorn target rotate-secret`")
    })?;
    let recorded = record_next(&app, &call, found).await?;
    let (target, problem) = match tell(&app, &recorded).await? {
        Ok(()) => (settle(&app, &call, recorded).await?, None),
        Err(error) => (recorded.value, Some(error.to_string())),
    };
    let target = wire::shown(&app, &target).await?;
    Reply::ok(&api::TargetRotated { target, changed: problem.is_none(), problem })
}

/// Put another secret in the place of the one that is shown to a service. The old one counts no more here with this one
/// write; whoever issued it ends it there.
pub(crate) async fn replace_secret(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let (wire, id): (api::ReplaceTargetSecret, TargetId) = (call.json()?, call.path("id")?);
    let Versioned { mut value, version, .. } = find(&app, &id).await?;
    if value.state == TargetState::Retired {
        return Err(Failure::of(ProblemCode::InvalidState, format!("target `{id}` is retired")));
    }
    if value.settings.proxy().is_none() {
        return Err(another_kind(&value, TargetKind::Proxy));
    }
    let next = value.secret.version + 1;
    value.secret = secret::shown_to_service(&app.root, &id, next, &wire.secret)?;
    put(&app, &call, (&mut value, version, "target_secret_replaced", next)).await?;
    Reply::ok(&wire::shown(&app, &value).await?)
}

/// Record a new password beside the one that counts. One that is recorded already may be the one that the target knows,
/// and is tried on.
async fn record_next(
    app: &App,
    call: &Call,
    found: Versioned<TargetRecord>,
) -> Result<Versioned<TargetRecord>, Failure> {
    if found.value.next_secret.is_some() {
        return Ok(found);
    }
    let mut value = found.value;
    let next = value.secret.version + 1;
    let password = password().map_err(Failure::internal)?;
    value.next_secret = Some(secret::wrap(&app.root, &value.id, next, password.as_bytes())?);
    let committed = put(app, call, (&mut value, found.version, "target_password_made", next)).await?;
    Ok(Versioned { value, version: committed, entries: found.entries })
}

/// Tell the target. The inner error is the target's.
async fn tell(app: &App, recorded: &Versioned<TargetRecord>) -> Result<Result<(), KindError>, Failure> {
    let live = app.targets.live(&recorded.value.id);
    let kind = live.kind(app, recorded)?;
    let passwords = secret::all(&app.root, &recorded.value)?;
    let Some(next) = passwords.get(1) else { return Err(Failure::internal("no password was recorded")) };
    let log_id = app.store.log_head()?.log_id.to_string();
    let settings = databases(&recorded.value)?.clone();
    let alone = Postgresql::new(settings, vec![next.clone()], app.config.listen, log_id);
    let told = async {
        kind.change_password(next).await?;
        alone.can_connect().await
    };
    let told = told.await;
    live.came(app, told.as_ref().err());
    Ok(told)
}

/// The new one counts; forget the old one.
async fn settle(app: &App, call: &Call, recorded: Versioned<TargetRecord>) -> Result<TargetRecord, Failure> {
    let (mut value, version) = (recorded.value, recorded.version);
    let Some(next) = value.next_secret.take() else { return Ok(value) };
    let number = next.version;
    value.secret = next;
    put(app, call, (&mut value, version, "target_password_changed", number)).await?;
    Ok(value)
}

async fn put(
    app: &App,
    call: &Call,
    (value, version, kind, secret_version): (&mut TargetRecord, u64, &'static str, u32),
) -> Result<u64, Failure> {
    let mut batch = Batch::new(app.clock.now());
    value.changed_at = batch.now;
    let about = json!({ "id": value.id.as_str(), "secret_version": secret_version });
    entry::act(&mut batch, call.operator()?, kind, about)?;
    batch.require.push((Key::target(&value.id), Require::Version(version)));
    batch.put_record(value);
    Ok(commit(app, batch, moved).await?.version)
}
