//! `/v1/leases`: what exists outside. Operators see and end it; the agent that holds one lets it live longer, within its
//! grant.

use std::sync::Arc;
use std::time::Duration;

use attorn_api::ProblemCode;
use attorn_api::audit::EntryType;
use attorn_api::targets as api;
use attorn_broker::CredentialKind as _;
use attorn_core::{LeaseId, LeaseState, SqlName, TargetId, TargetState};
use attorn_store::records::{LeaseRecord, TargetRecord};
use attorn_store::{Batch, GrantStanding, Key, KeyKind, KeyPrefix, Recorded, Require, Versioned};
use serde_json::json;

use super::change::{self, Why};
use super::outside;
use crate::app::App;
use crate::entry;
use crate::grants;
use crate::http::call::{Call, Reply};
use crate::http::failure::Failure;
use crate::leases::place::turn;
use crate::registry::{commit, moved};
use crate::targets::live::database_settings;
use crate::targets::{misconfigured, unavailable};
use crate::users::kept;

pub(crate) async fn list(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let (after, target) = (call.query::<LeaseId>("after")?, call.query::<TargetId>("target")?);
    if let Some(target) = &target
        && app.store.get(&Key::target(target)).await?.is_none()
    {
        // Whoever mistyped it would take it for one without leases.
        return Err(Failure::not_found("target", target));
    }
    let (prefix, after) = match &target {
        // Of one target, those that have not ended.
        Some(target) => (KeyPrefix::open_leases(target), after.map(|id| Key::open_lease(target, &id))),
        None => (KeyPrefix::kind(KeyKind::Lease), after.map(|id| Key::lease(&id))),
    };
    let page = app.store.scan(&prefix, after.as_ref(), call.limit()?).await?;
    let mut leases = Vec::new();
    for id in page.items.iter().filter_map(|(key, _)| key.named_lease()) {
        leases.extend(change::find(&app, &id).await?.map(|found| shown(&found.value)));
    }
    let next = page.next.as_ref().and_then(Key::named_lease).map(|id| id.to_string());
    Reply::ok(&api::LeaseList { leases, next })
}

pub(crate) async fn show(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    Reply::ok(&shown(&find(&app, &call.path("id")?).await?.value))
}

/// One durable write; the queue ends it. One that is being ended is tried again at once.
pub(crate) async fn revoke(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let id: LeaseId = call.path("id")?;
    let Versioned { value, version, .. } = find(&app, &id).await?;
    let mut batch = Batch::new(app.clock.now());
    let next = match value.state {
        LeaseState::Ended => {
            return Err(Failure::of(ProblemCode::InvalidState, format!("lease `{id}` has ended")));
        }
        LeaseState::Intended => {
            let detail = format!("lease `{id}` is being made");
            return Err(Failure::of(ProblemCode::InvalidState, detail).with_help("try again in some seconds"));
        }
        LeaseState::Revoking | LeaseState::Irrevocable => LeaseRecord { due_at: batch.now, ..value.clone() },
        LeaseState::Issued => change::ending(&value, batch.now, None).unwrap_or_else(|| value.clone()),
    };
    let about = change::with_lease(&next, json!({ "why": Why::Operator.as_str() }));
    entry::act(&mut batch, call.operator()?, EntryType::LeaseRevoking, about)?;
    batch.require.push((Key::lease(&id), Require::Version(version)));
    value.becomes(&next, &mut batch);
    commit(&app, batch, moved).await?;
    app.targets.wake.notify_one();
    Reply::ok(&shown(&next))
}

/// Let a login live longer: until its grant ends, or as long from now on as its target lets one live. That is recorded
/// before the target is told, so a login never lives on whose lease has ended.
pub(crate) async fn renew(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    app.ensure_ready()?;
    let id: LeaseId = call.path("id")?;
    let caller = call.agent()?;
    let not_found = || Failure::not_found("lease", id);
    let found = change::find(&app, &id).await?.ok_or_else(not_found)?;
    if found.value.agent != caller.agent.value.agent().id {
        return Err(not_found());
    }
    if found.value.state != LeaseState::Issued {
        let detail = format!("lease `{id}` is {}", found.value.state.as_str());
        return Err(Failure::of(ProblemCode::InvalidState, detail));
    }
    let grant = recorded(&app, &found.value).await?;
    if grant.get().key_thumbprint != caller.thumbprint {
        return Err(not_found());
    }
    let target = app.store.record::<TargetRecord>(&Key::target(&found.value.target)).await?;
    let target = target.ok_or_else(|| Failure::internal("the target of a lease is gone"))?;
    if target.value.state != TargetState::Active {
        let detail = format!("the target `{}` is {}", found.value.target, target.value.state.as_str());
        return Err(Failure::of(ProblemCode::InvalidState, detail));
    }
    let live = app.targets.live(&found.value.target);
    let _turn = turn(&app, (&found.value.target, &live), true).await?;
    let renewed = record(&app, &grant, (&found, &target)).await?;
    let lives_on = Duration::from_millis(renewed.expires_at.ms_since(app.clock.now()));
    let told = live.database(&app, &target)?.renew(&grant, &outside(&renewed), lives_on).await;
    live.came(&app, told.as_ref().err());
    told.map_err(|error| {
        tracing::warn!(lease = %id, why = %error, "a login was not renewed");
        if error.stays() {
            let detail = "the login could not be renewed before the target is mended; it lives as long as it did";
            return misconfigured(&found.value.target, detail);
        }
        unavailable("the login could not be renewed; it lives as long as it did")
    })?;
    Reply::ok(&api::LeaseRenewed { id: id.to_string(), expires_at_ms: renewed.expires_at.0 })
}

/// The grant of a lease, as it is recorded.
async fn recorded(app: &App, lease: &LeaseRecord) -> Result<Recorded<attorn_core::Grant>, Failure> {
    let inactive =
        || Failure::of(ProblemCode::GrantInactive, format!("the grant `{}` is not active any more", lease.grant));
    let stored = app.store.grant(&lease.grant).await?.ok_or_else(inactive)?;
    let key = Key::grant(&lease.grant);
    let opened = match &stored.record().grant {
        attorn_store::records::Kept::Plain(_) => None,
        attorn_store::records::Kept::Sealed { user, sealed } => {
            Some(kept::read(app, &key, (user, sealed)).await?.ok_or_else(inactive)?)
        }
    };
    match stored.standing(opened.as_ref().map(|opened| opened.as_slice())).map_err(Failure::internal)? {
        GrantStanding::Granted(grant) => Ok(grant),
        GrantStanding::Revoked { .. } => Err(inactive()),
    }
}

async fn record(
    app: &App,
    grant: &Recorded<attorn_core::Grant>,
    (found, target): (&Versioned<LeaseRecord>, &Versioned<TargetRecord>),
) -> Result<LeaseRecord, Failure> {
    let still = grants::active(app, grant.get(), None).await?;
    let mut batch = Batch::new(app.clock.now());
    let lease = &found.value;
    let until = grant.get().expires_at.min(batch.now.plus_ms(database_settings(&target.value)?.lease_ms_max));
    let expires_at = until.max(lease.expires_at);
    let next = LeaseRecord { expires_at, due_at: expires_at, ..lease.clone() };
    let members = change::with_lease(&next, json!({ "expires_at_ms": expires_at.0 }));
    batch.entries.push(entry::body(batch.now, EntryType::LeaseRenewed, members)?);
    batch.require.extend(still);
    batch.require.push((Key::grant(&lease.grant), Require::Version(grant.version())));
    batch.require.push((Key::lease(&lease.id), Require::Version(found.version)));
    batch.require.push((Key::target(&lease.target), Require::Version(target.version)));
    lease.becomes(&next, &mut batch);
    commit(app, batch, moved).await?;
    Ok(next)
}

async fn find(app: &App, id: &LeaseId) -> Result<Versioned<LeaseRecord>, Failure> {
    change::find(app, id).await?.ok_or_else(|| Failure::not_found("lease", id))
}

fn shown(lease: &LeaseRecord) -> api::Lease {
    api::Lease {
        id: lease.id.to_string(),
        grant: lease.grant.to_string(),
        agent: lease.agent.to_string(),
        target: lease.target.to_string(),
        name: lease.name.to_string(),
        roles: lease.roles.iter().map(SqlName::to_string).collect(),
        state: lease.state.as_str().into(),
        created_at_ms: lease.created_at.0,
        expires_at_ms: lease.expires_at.0,
        due_at_ms: lease.due_at.0,
        attempts: lease.attempts,
        last_error: lease.last_error.clone(),
        ended_at_ms: lease.ended_at.map(|at| at.0),
    }
}
