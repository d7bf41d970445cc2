//! `/v1/targets`: where credentials are made outside. What a target gives, and to which actions, its operator says here.
//!
//! No password is ever shown, and none stands in an entry. Leases are made and ended elsewhere (`crate::leases`), which
//! knows targets; nothing here knows it.

pub(crate) mod check;
pub(crate) mod live;
mod rotate;
pub(crate) mod secret;
mod wire;

use std::sync::Arc;

use attorn_api::ProblemCode;
use attorn_api::audit::EntryType;
use attorn_api::targets as api;
use attorn_core::{TargetId, TargetSettings, TargetState};
use attorn_store::records::{TargetRecord, TargetTypeRecord};
use attorn_store::{Batch, Key, KeyKind, KeyPrefix, Require, Versioned};
use serde_json::json;

use crate::app::App;
use crate::entry;
use crate::http::call::{Call, Reply};
use crate::http::failure::Failure;
use crate::registry::{commit, moved, note, page};
pub(crate) use rotate::{replace_secret, rotate};

/// The most targets that there are.
const TARGETS_MAX: usize = 500;

pub(crate) async fn register(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let wire: api::RegisterTarget = call.json()?;
    let mut batch = Batch::new(app.clock.now());
    let record = registered(&app, &wire, &batch)?;
    let id = &record.id;
    room(&app).await?;
    let mut about = json!({ "id": id.as_str(), "resource_types": wire.resource_types });
    let (kind, settings) = wire::in_entry(&record.settings);
    about[kind] = settings;
    entry::act(&mut batch, call.operator()?, EntryType::TargetRegistered, about)?;
    batch.require.push((Key::target(id), Require::Absent));
    for resource_type in &record.resource_types {
        batch.require.push((Key::target_type(resource_type), Require::Absent));
        batch.put_record(&TargetTypeRecord { resource_type: resource_type.clone(), target: id.clone() });
    }
    batch.put_record(&record);
    let taken = taken(&app, &record).await?;
    commit(&app, batch, || taken.unwrap_or_else(moved)).await?;
    app.targets.wake.notify_one();
    Reply::created(&wire::shown(&app, &record).await?)
}

fn registered(app: &App, wire: &api::RegisterTarget, batch: &Batch) -> Result<TargetRecord, Failure> {
    let id: TargetId = wire.id.parse()?;
    let resource_types = wire::resource_types(&wire.resource_types)?;
    let (settings, secret) = match (&wire.postgresql, &wire.password, &wire.proxy, &wire.secret) {
        (Some(postgresql), Some(password), None, None) => {
            let secret = secret::password(&app.root, &id, (1, "password"), password)?;
            (TargetSettings::Postgresql(wire::settings(postgresql)?), secret)
        }
        (None, None, Some(proxy), Some(secret)) => {
            let secret = secret::shown_to_service(&app.root, &id, 1, secret)?;
            (TargetSettings::Proxy(wire::proxy::settings(proxy, &resource_types)?), secret)
        }
        _ => {
            let detail = "a target has `postgresql` and `password`, or `proxy` and `secret`";
            return Err(Failure::of(ProblemCode::InvalidField, detail));
        }
    };
    Ok(TargetRecord {
        resource_types,
        settings,
        secret,
        next_secret: None,
        state: TargetState::Active,
        created_at: batch.now,
        changed_at: batch.now,
        id,
    })
}

async fn room(app: &App) -> Result<(), Failure> {
    let page = app.store.scan(&KeyPrefix::kind(KeyKind::Target), None, TARGETS_MAX).await?;
    if page.items.len() < TARGETS_MAX && page.next.is_none() {
        return Ok(());
    }
    Err(Failure::of(ProblemCode::InvalidState, format!("there are {TARGETS_MAX} targets: the most")))
}

/// What of it is taken, if anything is.
async fn taken(app: &App, record: &TargetRecord) -> Result<Option<Failure>, Failure> {
    let id = &record.id;
    if app.store.get(&Key::target(id)).await?.is_some() {
        let detail = format!("target `{id}` exists already; ids are never used again");
        return Ok(Some(Failure::of(ProblemCode::AlreadyExists, detail)));
    }
    for resource_type in &record.resource_types {
        if app.store.get(&Key::target_type(resource_type)).await?.is_some() {
            let detail = format!("the resource type `{resource_type}` is tied to another target");
            return Ok(Some(Failure::of(ProblemCode::TargetTypeTaken, detail)));
        }
    }
    Ok(None)
}

pub(crate) async fn list(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let after = call.query::<TargetId>("after")?.map(|id| Key::target(&id));
    let (records, more) = page::<TargetRecord>(&app, KeyKind::Target, after, call.limit()?).await?;
    let next = more.then(|| records.last().map(|record| record.id.to_string())).flatten();
    let mut targets = Vec::new();
    for record in &records {
        targets.push(wire::shown(&app, record).await?);
    }
    Reply::ok(&api::TargetList { targets, next })
}

pub(crate) async fn show(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let found = find(&app, &call.path("id")?).await?;
    Reply::ok(&wire::shown(&app, &found.value).await?)
}

/// Look at the target, and compare its logins with the leases.
pub(crate) async fn check(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let (wire, id): (api::CheckTarget, TargetId) = (call.json()?, call.path("id")?);
    let found = find(&app, &id).await?;
    let live = app.targets.live(&id);
    let report = if found.value.settings.proxy().is_some() {
        check::reach(&app, (&live, &*live.proxy(&app, &found)?)).await
    } else {
        let database = live.database(&app, &found)?;
        check::report(&app, &found.value, (&live, &database, wire.end_unknown)).await?
    };
    let mut batch = Batch::new(app.clock.now());
    let about = json!({ "id": id.as_str(), "reachable": report.reachable, "fault": report.fault, "logins": report.logins,
        "unknown": report.unknown.len(), "unknown_ended": report.unknown_ended });
    entry::act(&mut batch, call.operator()?, EntryType::TargetChecked, about)?;
    commit(&app, batch, moved).await?;
    Reply::ok(&report)
}

pub(crate) async fn suspend(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    change_state(&app, &call, (&[TargetState::Active], TargetState::Suspended, EntryType::TargetSuspended)).await
}

pub(crate) async fn resume(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    change_state(&app, &call, (&[TargetState::Suspended], TargetState::Active, EntryType::TargetResumed)).await
}

/// One durable write, after which nothing is made there any more. What there is is found and ended.
pub(crate) async fn retire(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let from = [TargetState::Active, TargetState::Suspended];
    change_state(&app, &call, (&from, TargetState::Retired, EntryType::TargetRetired)).await
}

async fn change_state(
    app: &App,
    call: &Call,
    (from, to, kind): (&[TargetState], TargetState, EntryType),
) -> Result<Reply, Failure> {
    let (wire, id): (api::ChangeTarget, TargetId) = (call.json()?, call.path("id")?);
    note("reason", wire.reason.as_deref())?;
    let Versioned { mut value, version, .. } = find(app, &id).await?;
    if !from.contains(&value.state) {
        let detail = format!("target `{id}` is {}", value.state.as_str());
        return Err(Failure::of(ProblemCode::InvalidState, detail));
    }
    let mut batch = Batch::new(app.clock.now());
    (value.state, value.changed_at) = (to, batch.now);
    if to == TargetState::Retired {
        // Its types are free for another target; its id is not.
        batch.delete.extend(value.resource_types.iter().map(Key::target_type));
    }
    entry::act(&mut batch, call.operator()?, kind, json!({ "id": id.as_str(), "reason": wire.reason }))?;
    batch.require.push((Key::target(&id), Require::Version(version)));
    batch.put_record(&value);
    commit(app, batch, moved).await?;
    Reply::ok(&wire::shown(app, &value).await?)
}

/// The target cannot be asked now. Why, its operators see.
pub(crate) fn unavailable(detail: impl Into<String>) -> Failure {
    Failure::of(ProblemCode::TargetUnavailable, detail).with_help("ask again later, with another idempotency key")
}

/// The target cannot be used before its operators have mended something. What, `attorn target check` tells them, and
/// nobody else.
pub(crate) fn misconfigured(id: &TargetId, detail: impl Into<String>) -> Failure {
    let help = format!("an operator has to mend the target: `attorn target check {id}` says what is wrong");
    Failure::of(ProblemCode::TargetMisconfigured, detail).with_help(help)
}

async fn find(app: &App, id: &TargetId) -> Result<Versioned<TargetRecord>, Failure> {
    app.store.record(&Key::target(id)).await?.ok_or_else(|| Failure::not_found("target", id))
}
