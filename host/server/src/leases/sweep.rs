//! Finds leases whose grant stands no more. Revoking is one write that looks for nothing, so this looks: after every
//! write that may have ended something (`Store::endings`), and now and then for what ends with time.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use attorn_api::ProblemCode;
use attorn_core::{LeaseId, LeaseState, TargetId, TargetState};
use attorn_store::records::{GrantRecord, LeaseRecord, TargetRecord};
use attorn_store::{Key, KeyKind, KeyPrefix, Versioned};
use futures_util::StreamExt as _;

use super::change::{self, Why};
use super::queue;
use crate::app::App;
use crate::grants;
use crate::http::failure::Failure;
use crate::targets::live::Standing;
use crate::users::kept;

/// How long after a round the next begins at the earliest: so many writes are one round.
const PAUSE: Duration = Duration::from_millis(200);
/// How long after a round the next begins at the latest.
const INTERVAL: Duration = Duration::from_secs(10);
/// How many leases are read at a time.
const PAGE: usize = 200;
/// How many are looked at, and have their end recorded, at once: one write waits for the disk as long as many together.
const AT_ONCE: usize = 64;
/// From how long after it was due on a lease counts as overdue.
const OVERDUE_MS: u64 = 10_000;

/// Look for ever.
pub(crate) async fn run(app: Arc<App>) {
    let mut endings = app.store.endings();
    loop {
        // The store that fails ends the server.
        endings.borrow_and_update();
        if let Err(failure) = round(&app).await {
            tracing::warn!(why = failure.internal, "cannot look for leases whose grants have ended");
        }
        tokio::time::sleep(PAUSE).await;
        let _ = tokio::time::timeout(INTERVAL, endings.changed()).await;
    }
}

async fn round(app: &App) -> Result<(), Failure> {
    let (mut standing, mut after) = (Standing::default(), None);
    let anew = &app.targets.let_in_lately();
    loop {
        let page = app.store.scan(&KeyPrefix::kind(KeyKind::OpenLease), after.as_ref(), PAGE).await?;
        let leases: Vec<LeaseId> = page.items.iter().filter_map(|(key, _)| key.named_lease()).collect();
        let look = |id: LeaseId| look_at(app, id, anew);
        let mut looked = futures_util::stream::iter(leases).map(look).buffer_unordered(AT_ONCE);
        while let Some(lease) = looked.next().await {
            if let Some(lease) = lease {
                count(&mut standing, &lease, app);
            }
        }
        tokio::task::yield_now().await;
        after = page.next;
        if after.is_none() {
            app.targets.stands(standing);
            return Ok(());
        }
    }
}

/// Look at one lease. One that cannot be looked at keeps no other from being ended, and the next round looks again.
async fn look_at(app: &App, id: LeaseId, anew: &BTreeSet<TargetId>) -> Option<LeaseRecord> {
    match look(app, &id, anew).await {
        Ok(lease) => lease,
        Err(failure) => {
            tracing::warn!(lease = %id, why = failure.internal, "cannot see whether a lease is to end");
            None
        }
    }
}

/// Have a lease ended if its grant stands no more, and one that waits for another attempt tried now, if its target is one
/// of those that let their administrator in anew. Says how it stood.
async fn look(app: &App, id: &LeaseId, anew: &BTreeSet<TargetId>) -> Result<Option<LeaseRecord>, Failure> {
    let Some(lease) = change::find(app, id).await? else { return Ok(None) };
    // One that is intended is looked at again when it is issued.
    if lease.value.state == LeaseState::Issued {
        if let Some((why, detail)) = ended(app, &lease).await? {
            tracing::debug!(lease = %id, why = why.as_str(), detail, "a lease ends");
            change::end(app, id, why).await?;
        }
        return Ok(Some(lease.value));
    }
    let early = if anew.contains(&lease.value.target) { queue::need_not_wait } else { queue::too_far };
    if early(&lease.value, app.clock.now()).is_some() {
        change::make(app, id, early).await?;
        app.targets.wake.notify_one();
    }
    Ok(Some(lease.value))
}

fn count(standing: &mut Standing, lease: &LeaseRecord, app: &App) {
    standing.open += 1;
    standing.overdue += u64::from(lease.due_at.plus_ms(OVERDUE_MS) < app.clock.now());
    standing.irrevocable += u64::from(lease.state == LeaseState::Irrevocable);
}

/// Why this lease is to end, if it is.
async fn ended(app: &App, lease: &Versioned<LeaseRecord>) -> Result<Option<(Why, String)>, Failure> {
    let target = app.store.record::<TargetRecord>(&Key::target(&lease.value.target)).await?;
    if target.is_none_or(|target| target.value.state == TargetState::Retired) {
        return Ok(Some((Why::TargetRetired, String::new())));
    }
    let record = app.store.record::<GrantRecord>(&Key::grant(&lease.value.grant)).await?;
    let Some(record) = record else { return Ok(Some((Why::GrantInactive, "it is gone".into()))) };
    let Some(grant) = kept::read_grant(app, &record.value).await? else {
        return Ok(Some((Why::GrantInactive, "its user was erased".into())));
    };
    match grants::active(app, &grant, record.value.revoked_at).await {
        Ok(_) => Ok(None),
        Err(failure) if failure.problem.code == ProblemCode::GrantInactive => {
            Ok(Some((Why::GrantInactive, failure.problem.detail)))
        }
        Err(other) => Err(other),
    }
}
