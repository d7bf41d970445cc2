//! Comparing what exists at a target with the leases. It is done after each start before anything is made there, since a
//! store that was restored does not know what was made after its backup; every ten minutes, for whatever came to exist
//! against all that should hold; and whenever an operator asks.
//!
//! First the logins are read and then the leases, which are recorded before their logins: so whatever is found without
//! an open lease has none.

use std::collections::BTreeSet;

use attorn_api::audit::EntryType;
use attorn_api::targets as api;
use attorn_broker::postgresql::Postgresql;
use attorn_broker::proxy::Proxy;
use attorn_broker::{CredentialKind as _, Ended, Fault, KindError, Outside};
use attorn_core::{LeaseId, LeaseState, TargetId, TargetState, TimeMs};
use attorn_store::records::{LeaseRecord, TargetRecord};
use attorn_store::{Batch, Key, KeyPrefix, Versioned};
use serde_json::json;

use super::live::Live;
use crate::app::App;
use crate::entry;
use crate::http::failure::Failure;

/// How many of each are named.
const NAMED_MAX: usize = 1_000;
/// How many of those are named that should have ended, and from how long after their end on.
const OVERDUE_NAMED_MAX: usize = 20;
const OVERDUE_MS: u64 = 60_000;
/// How many leases are read at a time.
const PAGE: usize = 200;

/// What is at a target and should not be, or is not and should be.
pub(super) struct Compared {
    pub(super) logins: usize,
    /// Without an open lease.
    pub(super) unknown: Vec<Outside>,
    /// Open leases that say that they were issued, without a login.
    pub(super) missing: Vec<LeaseId>,
    /// Logins that are there and should have ended long ago.
    pub(super) overdue: Vec<Outside>,
}

/// Compare the logins of a target with the leases, for the first time or anew, and end what has no lease. Says whether
/// that was done.
pub(crate) async fn compare_and_end(app: &App, target: &TargetId, live: &Live) -> Result<bool, Failure> {
    let Some(record) = app.store.record::<TargetRecord>(&Key::target(target)).await? else { return Ok(false) };
    let target = &record.value;
    if target.state == TargetState::Retired {
        // Nothing is made there any more.
        live.was_compared();
        return Ok(true);
    }
    let database = live.database(app, &record)?;
    let compared = match compare(app, target, &database).await? {
        Ok(compared) => compared,
        Err(error) => {
            tracing::warn!(target = %target.id, why = %error, "a target cannot be looked at");
            live.came(app, Some(&error));
            // Nothing is made before it was looked at, so this is everybody's.
            live.stays_so(error.stays());
            return Ok(false);
        }
    };
    let unknown = compared.unknown.len();
    let ended = end_all(app, target, (&database, compared.unknown)).await?;
    // What stays is tried again, before anything is made.
    let all = ended == unknown;
    live.came(app, None);
    if all {
        live.was_compared();
    }
    Ok(all)
}

/// Compare. The inner error is the target's.
pub(super) async fn compare(
    app: &App,
    target: &TargetRecord,
    database: &Postgresql,
) -> Result<Result<Compared, KindError>, Failure> {
    let logins = match database.check().await {
        Ok(logins) => logins,
        Err(error) => return Ok(Err(error)),
    };
    let mut there = BTreeSet::new();
    let (mut unknown, mut overdue) = (Vec::new(), Vec::new());
    let now = app.clock.now();
    let count = logins.len();
    for login in logins {
        there.insert(login.lease);
        // Whatever its target: several may be registered for one database.
        let lease = lease(app, &login.lease).await?.map(|lease| lease.value);
        match lease.filter(|lease| lease.is_open() && lease.name == login.name) {
            None => unknown.push(login),
            Some(lease) if is_overdue(&lease, now) => overdue.push(login),
            Some(_) => {}
        }
    }
    let missing = missing(app, target, &there).await?;
    Ok(Ok(Compared { logins: count, unknown, missing, overdue }))
}

async fn lease(app: &App, id: &LeaseId) -> Result<Option<Versioned<LeaseRecord>>, Failure> {
    Ok(app.store.record(&Key::lease(id)).await?)
}

/// Whether it was tried for long to end it, in vain, or was not even tried.
fn is_overdue(lease: &LeaseRecord, now: TimeMs) -> bool {
    lease.state == LeaseState::Irrevocable || lease.expires_at.plus_ms(OVERDUE_MS) < now
}

/// What is said of those.
fn still_there(login: &Outside) -> String {
    format!("the login `{}` should have ended and is there: `attorn lease show {}` says why", login.name, login.lease)
}

async fn missing(app: &App, target: &TargetRecord, there: &BTreeSet<LeaseId>) -> Result<Vec<LeaseId>, Failure> {
    let (mut missing, mut after) = (Vec::new(), None);
    loop {
        let page = app.store.scan(&KeyPrefix::open_leases(&target.id), after.as_ref(), PAGE).await?;
        for id in page.items.iter().filter_map(|(key, _)| key.named_lease()).filter(|id| !there.contains(id)) {
            let lease = lease(app, &id).await?;
            if lease.is_some_and(|lease| lease.value.state == LeaseState::Issued) && missing.len() < NAMED_MAX {
                missing.push(id);
            }
        }
        after = page.next;
        if after.is_none() {
            return Ok(missing);
        }
    }
}

/// End logins that have no lease. Says how many are not there any more.
pub(super) async fn end_all(
    app: &App,
    target: &TargetRecord,
    (database, unknown): (&Postgresql, Vec<Outside>),
) -> Result<usize, Failure> {
    let (mut ended, mut gone) = (Vec::new(), 0);
    for login in &unknown {
        match database.revoke(login).await {
            Ok(Ended::Now) => ended.push(login.name.as_str()),
            // The queue was there first.
            Ok(Ended::Before) => gone += 1,
            Err(error) => {
                tracing::warn!(target = %target.id, name = %login.name, why = %error, "an unknown login stays");
                if error.is_of_target() {
                    break;
                }
            }
        }
    }
    if !ended.is_empty() {
        let mut batch = Batch::new(app.clock.now());
        let names: Vec<_> = ended.iter().take(NAMED_MAX).collect();
        let members = json!({ "target": target.id.as_str(), "logins": ended.len(), "names": names });
        batch.entries.push(entry::body(batch.now, EntryType::UnknownLoginsEnded, members)?);
        app.store.commit(batch).await?;
    }
    Ok(ended.len() + gone)
}

/// What an operator reads of a service that is called: whether it can be reached.
pub(super) async fn reach(app: &App, (live, proxy): (&Live, &Proxy)) -> api::TargetCheck {
    let connected = proxy.can_connect().await;
    live.came(app, connected.as_ref().err());
    match connected {
        Ok(()) => looked_at(Vec::new()),
        Err(error) => not_looked_at(&error),
    }
}

/// What is said of one where there are no logins.
fn looked_at(problems: Vec<String>) -> api::TargetCheck {
    let (unknown, missing) = (Vec::new(), Vec::new());
    api::TargetCheck { reachable: true, fault: None, problems, logins: 0, unknown, unknown_ended: 0, missing }
}

/// What is said of one that could not be looked at: where to look for the fault.
fn not_looked_at(error: &KindError) -> api::TargetCheck {
    let fault = error.fault();
    let found = looked_at(vec![error.to_string()]);
    api::TargetCheck { reachable: fault.is_answer(), fault: Some(named(fault)), ..found }
}

/// As it is called in the API.
const fn named(fault: Fault) -> api::TargetFault {
    match fault {
        Fault::Unreachable => api::TargetFault::Unreachable,
        Fault::Tls => api::TargetFault::Tls,
        Fault::Roots => api::TargetFault::Roots,
        Fault::SignIn => api::TargetFault::SignIn,
        Fault::Rights => api::TargetFault::Rights,
        Fault::Database => api::TargetFault::Database,
        Fault::Settings => api::TargetFault::Settings,
        Fault::Other => api::TargetFault::Other,
    }
}

/// What an operator reads who asked.
pub(super) async fn report(
    app: &App,
    target: &TargetRecord,
    (live, database, end_unknown): (&Live, &Postgresql, bool),
) -> Result<api::TargetCheck, Failure> {
    let problems = database.problems().await;
    let compared = match &problems {
        Ok(_) => compare(app, target, database).await?,
        Err(error) => Err(error.clone()),
    };
    live.came(app, compared.as_ref().err());
    let compared = match compared {
        Ok(compared) => compared,
        Err(error) => {
            // Nobody's login is in question here, so what stays is the target's.
            live.stays_so(error.stays());
            return Ok(not_looked_at(&error));
        }
    };
    let unknown = compared.unknown.iter().take(NAMED_MAX).map(|login| login.name.to_string()).collect();
    let mut problems = problems.unwrap_or_default();
    problems.extend(compared.overdue.iter().take(OVERDUE_NAMED_MAX).map(still_there));
    let ended = if end_unknown { end_all(app, target, (database, compared.unknown)).await? } else { 0 };
    Ok(api::TargetCheck {
        logins: compared.logins as u64,
        unknown,
        unknown_ended: ended as u64,
        missing: compared.missing.iter().map(ToString::to_string).collect(),
        ..looked_at(problems)
    })
}
