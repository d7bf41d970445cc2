//! Ends leases that are due: expired, revoked, or intended and never said to be made. It works from the index by due
//! time alone, so after a crash it goes on where it was.
//!
//! Each target has a queue of its own: a few leases at once, a breaker, and waits that grow, so that a target that is
//! dead or slow holds up nobody else's. What could not be ended after many attempts is said, and is tried on.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use attorn_api::audit::EntryType;
use attorn_broker::backoff::Backoff;
use attorn_broker::breaker::Leave;
use attorn_broker::postgresql::Postgresql;
use attorn_broker::{CredentialKind as _, Ended, KindError};
use attorn_core::{LeaseId, LeaseState, TargetId, TargetState, TimeMs};
use attorn_store::records::{LeaseRecord, TargetRecord};
use attorn_store::{Key, KeyKind, KeyPrefix};
use futures_util::StreamExt as _;
use serde_json::json;

use super::change::{self, Change, Why};
use super::{INTENDED_MS, outside};
use crate::app::App;
use crate::http::failure::Failure;
use crate::metrics::LeaseEvent;
use crate::random;
use crate::registry;
use crate::targets::check;
use crate::targets::live::Live;

/// How often it looks for what is due.
const TICK: Duration = Duration::from_millis(250);
/// How many leases of one target are ended at once.
const AT_ONCE: usize = 8;
/// How many are read at a time.
const PAGE: usize = 256;
/// How long until the next attempt.
const WAIT: Backoff = Backoff { first_ms: 500, most_ms: 60_000 };
/// The same for one that could not be ended for long.
const WAIT_LONG: Backoff = Backoff { first_ms: 600_000, most_ms: 3_600_000 };
/// After how many attempts a lease counts as one that cannot be ended.
const ATTEMPTS_MAX: u32 = 10;

/// End what is due, for ever.
pub(crate) async fn run(app: Arc<App>) {
    let mut endings = app.store.endings();
    let mut targets = Vec::new();
    let mut known = false;
    loop {
        if !known || endings.has_changed().unwrap_or(false) {
            endings.borrow_and_update();
            match all_targets(&app).await {
                Ok(found) => (targets, known) = (found, true),
                Err(failure) => tracing::warn!(why = failure.internal, "cannot read the targets"),
            }
        }
        for target in &targets {
            if let Err(failure) = begin(&app, target).await {
                tracing::warn!(%target, why = failure.internal, "cannot see which leases are due");
            }
        }
        let _ = tokio::time::timeout(TICK, app.targets.wake.notified()).await;
    }
}

/// All targets at which something is leased: nothing is where a service is called.
async fn all_targets(app: &App) -> Result<Vec<TargetId>, Failure> {
    let targets: Vec<TargetRecord> = registry::all(&app.store, KeyKind::Target).await?;
    let leased = targets.into_iter().filter(|record| record.settings.postgresql().is_some());
    Ok(leased.map(|record| record.id).collect())
}

/// Begin to work on a target, if there is anything to do and nobody does it.
async fn begin(app: &Arc<App>, target: &TargetId) -> Result<(), Failure> {
    let live = app.targets.live(target);
    look_after(app, target, &live);
    if live.running.load(Ordering::Acquire) {
        return Ok(());
    }
    compare(app, target, &live);
    if due(app, target).await?.is_empty() {
        return Ok(());
    }
    if !live.running.swap(true, Ordering::AcqRel) {
        let (app, target) = (Arc::clone(app), target.clone());
        tokio::spawn(async move {
            let _running = Running(Arc::clone(&live));
            if let Err(failure) = work(&app, &target, &live).await {
                tracing::warn!(%target, why = failure.internal, "cannot end leases");
            }
        });
    }
    Ok(())
}

/// Have the logins of a target compared with the leases, if that was not done since the start or is long ago. What is
/// due there does not wait for that: only making does.
fn compare(app: &Arc<App>, target: &TargetId, live: &Arc<Live>) {
    if !live.begin_comparing() {
        return;
    }
    let (app, target, live) = (Arc::clone(app), target.clone(), Arc::clone(live));
    tokio::spawn(async move {
        let done = check::compare_and_end(&app, &target, &live).await;
        if let Err(failure) = &done {
            tracing::warn!(%target, why = failure.internal, "a target cannot be looked at");
        }
        live.end_comparing(done.unwrap_or(false));
    });
}

/// See that what is kept for ending logins is good, so that it is known before it is needed. Where a target is retired
/// and nothing is left, nothing is kept.
fn look_after(app: &Arc<App>, target: &TargetId, live: &Arc<Live>) {
    let Some(database) = live.begin_care() else { return };
    let (app, target, live) = (Arc::clone(app), target.clone(), Arc::clone(live));
    tokio::spawn(async move {
        match is_over(&app, &target).await {
            Ok(true) => live.forget(),
            Ok(false) => {
                if let Err(error) = database.look_after().await {
                    tracing::warn!(%target, why = %error, "no connection is kept for ending logins");
                }
            }
            Err(failure) => tracing::warn!(%target, why = failure.internal, "cannot see whether a target is retired"),
        }
        live.end_care();
    });
}

/// Whether it is retired and has no lease any more.
async fn is_over(app: &App, target: &TargetId) -> Result<bool, Failure> {
    let record = app.store.record::<TargetRecord>(&Key::target(target)).await?;
    let retired = record.is_none_or(|record| record.value.state == TargetState::Retired);
    Ok(retired && app.store.counter(&Key::open_leases(target)).await? == 0)
}

/// Whoever drops it works no more.
struct Running(Arc<Live>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.store(false, Ordering::Release);
    }
}

/// The leases of a target that are due, the earliest first.
async fn due(app: &App, target: &TargetId) -> Result<Vec<LeaseId>, Failure> {
    let now = app.clock.now();
    let page = app.store.scan(&KeyPrefix::leases_due(target), None, PAGE).await?;
    let is_due = |key: &Key| key.lease_that_is_due().filter(|(at, _)| *at <= now).map(|(_, lease)| lease);
    Ok(page.items.iter().map_while(|(key, _)| is_due(key)).collect())
}

/// Work until nothing is due.
async fn work(app: &App, target: &TargetId, live: &Live) -> Result<(), Failure> {
    loop {
        let Some(record) = app.store.record::<TargetRecord>(&Key::target(target)).await? else { return Ok(()) };
        let at_once = match live.ask_to_end() {
            Leave::Ask => AT_ONCE,
            Leave::Probe => 1,
            // The next tick asks again.
            Leave::Wait(_) => return Ok(()),
        };
        let database = live.database(app, &record)?;
        let mut due = due(app, target).await?;
        if due.is_empty() {
            // Nobody asked, so nobody says what came of it.
            live.nothing_to_end();
            return Ok(());
        }
        if at_once == 1 {
            due = vec![probe(app, due).await?];
        }
        let end = |lease: LeaseId| one(app, (live, &database), (lease, at_once == 1));
        let ended: Vec<_> = futures_util::stream::iter(due).map(end).buffer_unordered(at_once).collect().await;
        ended.into_iter().collect::<Result<(), _>>()?;
    }
}

/// The lease by which it is found out whether a target answers: one that nobody tried to end. What failed before may
/// fail by itself.
async fn probe(app: &App, due: Vec<LeaseId>) -> Result<LeaseId, Failure> {
    for id in &due {
        if change::find(app, id).await?.is_some_and(|lease| lease.value.attempts == 0) {
            return Ok(*id);
        }
    }
    due.into_iter().next().ok_or_else(|| Failure::internal("nothing is due"))
}

/// Try to end one lease, and record what came of it.
async fn one(app: &App, (live, database): (&Live, &Postgresql), (id, probes): (LeaseId, bool)) -> Result<(), Failure> {
    // Others asked before, and found that the target does not answer.
    if !probes && live.ends_nothing() {
        return Ok(());
    }
    let Some(found) = change::find(app, &id).await? else { return Ok(()) };
    let lease = found.value;
    if !lease.is_open() || lease.due_at > app.clock.now() {
        return Ok(());
    }
    let ended = database.revoke(&outside(&lease)).await;
    live.came_of_ending(app, ended.as_ref().err());
    if let Err(error) = &ended {
        app.metrics.lease(LeaseEvent::RevocationFailed);
        tracing::warn!(lease = %id, target = %lease.target, why = %error, "a lease could not be ended");
    }
    let random = random::number();
    let change = |lease: &LeaseRecord, now: TimeMs| match &ended {
        Ok(Ended::Before) if lease.is_open() && now < lease.created_at.plus_ms(INTENDED_MS) => Some(not_yet(lease)),
        Ok(ended) if lease.is_open() => Some(has_ended(lease, now, *ended)),
        Err(error) if lease.is_open() => Some(has_not_ended(lease, now, (error, random))),
        _ => None,
    };
    match change::make(app, &id, change).await?.map(|became| became.state) {
        Some(LeaseState::Ended) => app.metrics.lease(LeaseEvent::Ended),
        Some(LeaseState::Irrevocable) if lease.state != LeaseState::Irrevocable => {
            app.metrics.lease(LeaseEvent::Irrevocable);
            tracing::error!(lease = %id, target = %lease.target, name = %lease.name, "a lease cannot be ended");
        }
        _ => {}
    }
    Ok(())
}

/// There is none, and it may still come to be there: whoever makes it may not have been heard yet. It stays what it is,
/// so that its last entry says why it ends.
fn not_yet(lease: &LeaseRecord) -> Change {
    Change { next: LeaseRecord { due_at: lease.created_at.plus_ms(INTENDED_MS), ..lease.clone() }, said: None }
}

/// One whose next attempt is further off than any is put off, since time was set back meanwhile.
pub(super) fn too_far(lease: &LeaseRecord, now: TimeMs) -> Option<Change> {
    let most = match lease.state {
        LeaseState::Intended => INTENDED_MS,
        LeaseState::Revoking => WAIT.most_ms,
        LeaseState::Irrevocable => WAIT_LONG.most_ms,
        // One that was issued ends with its grant, which ended when time was set back.
        LeaseState::Issued | LeaseState::Ended => return None,
    };
    let far = lease.due_at > now.plus_ms(most);
    far.then(|| Change { next: LeaseRecord { due_at: now, ..lease.clone() }, said: None })
}

/// One that waits for another attempt, where what failed was mended.
pub(super) fn need_not_wait(lease: &LeaseRecord, now: TimeMs) -> Option<Change> {
    let waits = matches!(lease.state, LeaseState::Revoking | LeaseState::Irrevocable) && lease.due_at > now;
    waits.then(|| Change { next: LeaseRecord { due_at: now, ..lease.clone() }, said: None })
}

fn has_ended(lease: &LeaseRecord, now: TimeMs, ended: Ended) -> Change {
    let next = LeaseRecord { state: LeaseState::Ended, ended_at: Some(now), ..lease.clone() };
    let why = match lease.state {
        LeaseState::Issued => Some(Why::Expired),
        LeaseState::Intended => Some(Why::Interrupted),
        // Its entry before says why.
        _ => None,
    };
    let members =
        json!({ "why": why.map(Why::as_str), "existed": ended == Ended::Now, "attempts": lease.attempts + 1 });
    Change { next, said: Some((EntryType::LeaseEnded, members)) }
}

/// Of attempts in vain the first is said, and the one after which it counts as one that cannot be ended.
fn has_not_ended(lease: &LeaseRecord, now: TimeMs, (error, random): (&KindError, u64)) -> Change {
    let attempts = lease.attempts.saturating_add(1);
    let hopeless = !error.is_temporary() && !error.is_of_target();
    let irrevocable = lease.state == LeaseState::Irrevocable || hopeless || attempts >= ATTEMPTS_MAX;
    let (state, wait) = if irrevocable {
        (LeaseState::Irrevocable, WAIT_LONG.wait_ms(attempts.saturating_sub(ATTEMPTS_MAX), random))
    } else {
        (LeaseState::Revoking, WAIT.wait_ms(attempts, random))
    };
    let text = change::cut(&error.to_string());
    let said = match (state, attempts) {
        (LeaseState::Irrevocable, _) if lease.state != LeaseState::Irrevocable => Some(EntryType::LeaseIrrevocable),
        (_, 1) => Some(EntryType::LeaseRevocationFailed),
        _ => None,
    };
    let lasting = change::cut(&error.lasting());
    let said = said.map(|kind| (kind, json!({ "attempts": attempts, "error": lasting })));
    let next = LeaseRecord { state, attempts, due_at: now.plus_ms(wait), last_error: Some(text), ..lease.clone() };
    Change { next, said }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
