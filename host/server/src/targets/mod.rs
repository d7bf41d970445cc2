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
use std::sync::atomic::Ordering;

use attorn_api::ProblemCode;
use attorn_api::audit::EntryType;
use attorn_api::targets as api;
use attorn_core::{TargetId, TargetSettings, TargetState};
use attorn_store::records::{TargetRecord, TargetTypeRecord};
use attorn_store::{Batch, Key, KeyKind, Require, Versioned};
use serde_json::json;

use crate::app::App;
use crate::entry;
use crate::http::call::{Call, Reply};
use crate::http::failure::Failure;
use crate::registry::{all, commit, moved, note, page};
pub(crate) use rotate::{replace_secret, rotate};

/// The most targets that there are, apart from those that are retired.
const TARGETS_MAX: usize = 500;
/// The most that there are with those, whose ids are never used again.
const EVER_MAX: usize = 5_000;

pub(crate) async fn register(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let wire: api::RegisterTarget = call.json()?;
    let mut batch = Batch::new(app.clock.now());
    let record = registered(&app, &wire, &batch)?;
    let id = &record.id;
    let others = all::<TargetRecord>(&app.store, KeyKind::Target).await?;
    room(others.iter().map(|other| other.state))?;
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
    Reply::created(&with_administrator(wire::shown(&app, &record).await?, &record, &others))
}

/// With the names of those among these that have the same administrator.
fn with_administrator(shown: api::Target, record: &TargetRecord, others: &[TargetRecord]) -> api::Target {
    let same = rotate::same_administrator(record, others).map(|other| other.id.to_string()).collect();
    api::Target { same_administrator: same, ..shown }
}

fn registered(app: &App, wire: &api::RegisterTarget, batch: &Batch) -> Result<TargetRecord, Failure> {
    let id: TargetId = wire.id.parse()?;
    let resource_types = wire::resource_types(&wire.resource_types)?;
    let (settings, secret) = match (&wire.postgresql, &wire.password, &wire.proxy, &wire.secret) {
        (Some(postgresql), Some(password), None, None) => {
            let secret = secret::password(&app.root, &id, (1, "password"), password)?;
            (TargetSettings::Postgresql(wire::settings(postgresql, &resource_types, app.config.listen)?), secret)
        }
        (None, None, Some(proxy), Some(secret)) => {
            let secret = secret::shown_to_service(&app.root, &id, 1, secret)?;
            (TargetSettings::Proxy(wire::proxy::settings(proxy, &resource_types, app.config.listen)?), secret)
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

/// Whether there is room for another beside those that are in these states.
fn room(states: impl Iterator<Item = TargetState>) -> Result<(), Failure> {
    let (mut all, mut in_use) = (0, 0);
    for state in states {
        all += 1;
        in_use += usize::from(state != TargetState::Retired);
    }
    let (detail, help) = if all >= EVER_MAX {
        let detail = format!("there are {EVER_MAX} targets with those that are retired: the most");
        (detail, "ids are never used again, so nothing makes room: go on with the targets that there are")
    } else if in_use >= TARGETS_MAX {
        let detail = format!("there are {TARGETS_MAX} targets that are not retired: the most");
        (detail, "retire one that nobody needs any more: `attorn target retire`")
    } else {
        return Ok(());
    };
    Err(Failure::of(ProblemCode::InvalidState, detail).with_help(help))
}

/// What of it is taken, if anything is.
async fn taken(app: &App, record: &TargetRecord) -> Result<Option<Failure>, Failure> {
    let id = &record.id;
    if app.store.get(&Key::target(id)).await?.is_some() {
        let detail = format!("target `{id}` exists already; ids are never used again");
        return Ok(Some(Failure::of(ProblemCode::AlreadyExists, detail)));
    }
    for resource_type in &record.resource_types {
        if let Some(tied) = app.store.record::<TargetTypeRecord>(&Key::target_type(resource_type)).await? {
            let other = &tied.value.target;
            let detail = format!("the resource type `{resource_type}` is tied to the target `{other}`");
            let help = format!(
                "to put this one in its place, `attorn target retire {other}` first, which ends what was made there"
            );
            return Ok(Some(Failure::of(ProblemCode::TargetTypeTaken, detail).with_help(help)));
        }
    }
    Ok(None)
}

pub(crate) async fn list(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let after = call.query::<TargetId>("after")?.map(|id| Key::target(&id));
    let state = listed(&call)?;
    let (records, more) = page::<TargetRecord>(&app, KeyKind::Target, after, call.limit()?).await?;
    let next = more.then(|| records.last().map(|record| record.id.to_string())).flatten();
    let mut targets = Vec::new();
    for record in records.iter().filter(|record| state.is_none_or(|state| record.state == state)) {
        targets.push(wire::shown(&app, record).await?);
    }
    Reply::ok(&api::TargetList { targets, next })
}

/// In which state those are that are listed; all if nothing is said.
fn listed(call: &Call) -> Result<Option<TargetState>, Failure> {
    let Some(named) = call.query::<String>("state")? else { return Ok(None) };
    let states = [TargetState::Active, TargetState::Suspended, TargetState::Retired];
    let state = states.into_iter().find(|state| state.as_str() == named);
    let none = || Failure::of(ProblemCode::InvalidQuery, "`state` is `active`, `suspended` or `retired`");
    state.ok_or_else(none).map(Some)
}

pub(crate) async fn show(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let found = find(&app, &call.path("id")?).await?;
    let others = all::<TargetRecord>(&app.store, KeyKind::Target).await?;
    Reply::ok(&with_administrator(wire::shown(&app, &found.value).await?, &found.value, &others))
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
    if found.value.state == TargetState::Retired {
        // Nobody has to mend one that is not used any more.
        live.stays_so(false);
    }
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
    if to == TargetState::Retired {
        app.targets.live(&id).is_retired.store(true, Ordering::Relaxed);
    }
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

#[cfg(test)]
mod tests {
    use std::iter::repeat_n;

    use super::*;

    #[test]
    fn those_that_are_retired_take_no_place_before_there_are_very_many() {
        let refused = |in_use: usize, retired: usize| {
            let half =
                repeat_n(TargetState::Suspended, in_use / 2).chain(repeat_n(TargetState::Active, in_use.div_ceil(2)));
            let failure = room(half.chain(repeat_n(TargetState::Retired, retired))).err()?;
            Some((failure.problem.detail, failure.problem.help.unwrap()))
        };
        assert_eq!(refused(499, 4_500), None);
        let (detail, help) = refused(500, 0).unwrap();
        assert!(detail.contains("500 targets that are not retired") && help.contains("`attorn target retire`"));
        let (detail, help) = refused(1, 4_999).unwrap();
        assert!(detail.contains("5000 targets with those that are retired") && !help.contains("attorn target retire"));
    }
}
