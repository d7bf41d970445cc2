//! Removes what has expired, long after it stopped to count: expiry is checked wherever something is
//! read, and nothing depends on when this runs.

use std::sync::Arc;
use std::time::Duration;

use attorn_core::TimeMs;
use attorn_store::records::{
    ApprovalHoldRecord, ApprovalRecord, DelegationRecord, FactRecord, GrantRecord, IdempotencyRecord, LeaseRecord,
    LogoutRecord, SessionNameRecord, SessionRecord,
};
use attorn_store::{Batch, Key, KeyKind, KeyPrefix, Require, Store};

use crate::app::App;
use crate::approvals::forget::forget;
use crate::delegations::room::take_away;
use crate::http::failure::Failure;
use crate::providers::backchannel::own_key;
use crate::users::sessions::{self, Fate};

/// How often it looks.
const INTERVAL: Duration = Duration::from_mins(1);
/// How long what has expired is kept for questions: a day.
const KEPT_MS: u64 = 24 * 3600 * 1000;
/// How much it removes at a time.
const REMOVED_MAX: usize = 100;

/// Remove expired things for ever.
pub(crate) async fn run(app: Arc<App>) {
    loop {
        tokio::time::sleep(INTERVAL).await;
        app.agent_rates.forget_idle();
        app.user_rates.forget_idle();
        app.room_rates.forget_idle();
        app.strangers.forget_idle();
        // What is gone would not come back with the right time.
        match round(&app.store, app.clock.counted()).await {
            Ok(Round { removed, left }) => {
                app.metrics.expired_left(left);
                if removed + left > 0 {
                    tracing::debug!(removed, left, "removed what had expired");
                }
            }
            Err(failure) => tracing::warn!(why = failure.internal, "cannot remove what has expired"),
        }
    }
}

/// What came of looking once.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Round {
    removed: usize,
    /// How much could not be removed.
    left: usize,
}

/// Remove all that is due. What cannot be removed stays, and keeps nothing else from going.
async fn round(store: &Store, now: TimeMs) -> Result<Round, Failure> {
    let (mut round, mut after) = (Round::default(), None);
    loop {
        let page = store.scan(&KeyPrefix::kind(KeyKind::Expiry), after.as_ref(), REMOVED_MAX).await?;
        for (index, _) in &page.items {
            let Some((at, what)) = index.expiring() else {
                round.left += 1;
                continue;
            };
            if at.plus_ms(KEPT_MS) > now {
                // They stand in the order of their times.
                return Ok(round);
            }
            match remove_at(store, now, (index, at, &what)).await {
                Ok(()) => round.removed += 1,
                // Then nothing can be removed any more.
                Err(failure) if store.failure().is_some() => return Err(failure),
                Err(failure) => {
                    round.left += 1;
                    let (kind, why) = (what.kind().map(KeyKind::as_str), failure.internal);
                    tracing::warn!(kind, why, "something that has expired cannot be removed; it stays");
                }
            }
        }
        after = page.next;
        if after.is_none() {
            return Ok(round);
        }
    }
}

async fn remove_at(store: &Store, now: TimeMs, (index, at, what): (&Key, TimeMs, &Key)) -> Result<(), Failure> {
    let mut batch = Batch::new(now);
    batch.delete.push(index.clone());
    remove(store, at, what, &mut batch).await?;
    store.commit(batch).await?;
    Ok(())
}

/// Remove one thing with its place in the index; only the place, if the thing expires later now.
async fn remove(store: &Store, at: TimeMs, what: &Key, batch: &mut Batch) -> Result<(), Failure> {
    match what.kind() {
        Some(KeyKind::Grant) => {
            if let Some(grant) = store.record::<GrantRecord>(what).await? {
                let id = grant.value.id;
                batch.require.push((what.clone(), Require::Version(grant.version)));
                batch.delete.extend([what.clone(), Key::grant_uses(&id), Key::grant_releases(&id)]);
                let effects = store.scan(&KeyPrefix::grant_effects(&id), None, REMOVED_MAX).await?;
                batch.delete.extend(effects.items.into_iter().map(|(key, _)| key));
            }
        }
        Some(KeyKind::Idempotency) => {
            if let Some(kept) = store.record::<IdempotencyRecord>(what).await?
                && kept.value.expires_at <= at
            {
                batch.require.push((what.clone(), Require::Version(kept.version)));
                batch.delete.push(what.clone());
            }
        }
        Some(KeyKind::Lease) => {
            if let Some(lease) = store.record::<LeaseRecord>(what).await?
                && lease.value.ended_at.is_some_and(|ended_at| ended_at <= at)
            {
                batch.require.push((what.clone(), Require::Version(lease.version)));
                batch.delete.extend([what.clone(), Key::grant_lease(&lease.value.grant, &lease.value.id)]);
            }
        }
        Some(KeyKind::ProviderClientKey) => own_key::remove(store, at, what, batch).await?,
        Some(KeyKind::Approval) => approval(store, at, what, batch).await?,
        Some(KeyKind::ApprovalHold) => {
            if let Some(hold) = store.record::<ApprovalHoldRecord>(what).await?
                && hold.value.until <= at
            {
                batch.require.push((what.clone(), Require::Version(hold.version)));
                batch.delete.push(what.clone());
            }
        }
        Some(KeyKind::Fact) => {
            if let Some(fact) = store.record::<FactRecord>(what).await?
                && fact.value.expires_at.is_some_and(|expires_at| expires_at <= at)
            {
                batch.require.push((what.clone(), Require::Version(fact.version)));
                batch.delete.push(what.clone());
            }
        }
        Some(KeyKind::Delegation) => delegation(store, at, what, batch).await?,
        Some(KeyKind::Session) => {
            session(store, what, what, batch).await?;
        }
        Some(KeyKind::SessionName) => {
            if let Some(found) = store.record::<SessionNameRecord>(what).await? {
                let fate = session(store, what, &Key::session(&found.value.session), batch).await?;
                // If the session stays, so does its name.
                if fate == Fate::Forgotten {
                    batch.require.push((what.clone(), Require::Version(found.version)));
                    batch.delete.push(what.clone());
                }
            }
        }
        Some(KeyKind::Logout) => {
            if let Some(found) = store.record::<LogoutRecord>(what).await?
                && found.value.at.plus_ms(crate::logout::REMEMBERED_MS) <= at
            {
                batch.require.push((what.clone(), Require::Version(found.version)));
                batch.delete.push(what.clone());
            }
        }
        // An exchange's token and delegation have expired long ago; the window of a counter, or of how often a user was
        // asked, ended long ago, and nothing counts in a window that has ended.
        Some(KeyKind::Exchange | KeyKind::Counter | KeyKind::UserPrompts) => batch.delete.push(what.clone()),
        _ => {}
    }
    Ok(())
}

async fn approval(store: &Store, at: TimeMs, what: &Key, batch: &mut Batch) -> Result<(), Failure> {
    let Some(found) = store.record::<ApprovalRecord>(what).await? else { return Ok(()) };
    // One that was refused lives longer than it would have.
    if found.value.request.expires_at > at {
        return Ok(());
    }
    forget(store, &[found], batch).await
}

/// One that was revoked goes like one that expired then: whatever hangs on it finds that it is not there.
async fn delegation(store: &Store, at: TimeMs, what: &Key, batch: &mut Batch) -> Result<(), Failure> {
    let Some(found) = store.record::<DelegationRecord>(what).await? else { return Ok(()) };
    let DelegationRecord { expires_at, revoked_at, .. } = &found.value;
    if revoked_at.map_or(*expires_at, |revoked_at| revoked_at.min(*expires_at)) > at {
        return Ok(());
    }
    if *expires_at != at {
        batch.delete.push(Key::expiry(*expires_at, what));
    }
    take_away(store, &found, batch).await
}

/// Forget a session, or put where to look again. `what` is what stands in the index: the session or its name. A name
/// whose session never was is one that was remembered as ended.
async fn session(store: &Store, what: &Key, session: &Key, batch: &mut Batch) -> Result<Fate, Failure> {
    let Some(found) = store.record::<SessionRecord>(session).await? else {
        batch.require.push((session.clone(), Require::Absent));
        return Ok(Fate::Forgotten);
    };
    let due = TimeMs(batch.now.0.saturating_sub(KEPT_MS));
    sessions::forget(store, &found, what, due, batch).await
}

#[cfg(test)]
#[path = "reaper_tests.rs"]
mod tests;
