//! Removes what has expired, long after it stopped to count: expiry is checked wherever something is
//! read, and nothing depends on when this runs.

use std::sync::Arc;
use std::time::Duration;

use attorn_core::TimeMs;
use attorn_store::records::{
    DelegationRecord, FactRecord, GrantRecord, IdempotencyRecord, LogoutRecord, SessionNameRecord,
};
use attorn_store::{Batch, Key, KeyKind, KeyPrefix, Require};

use crate::app::App;
use crate::http::failure::Failure;

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
        app.rates.forget_idle();
        match round(&app).await {
            Ok(0) => {}
            Ok(removed) => tracing::debug!(removed, "removed what had expired"),
            Err(failure) => tracing::warn!(why = failure.internal, "cannot remove what has expired"),
        }
    }
}

async fn round(app: &App) -> Result<usize, Failure> {
    let mut removed = 0;
    loop {
        let page = app.store.scan(&KeyPrefix::kind(KeyKind::Expiry), None, REMOVED_MAX).await?;
        let due = page.items.iter().filter_map(|(key, _)| key.expiring().map(|(at, what)| (key.clone(), at, what)));
        let due: Vec<_> = due.filter(|(_, at, _)| at.plus_ms(KEPT_MS) <= app.clock.now()).collect();
        for (index, at, what) in &due {
            remove(app, index, *at, what).await?;
        }
        removed += due.len();
        if due.len() < REMOVED_MAX {
            return Ok(removed);
        }
    }
}

/// Remove one thing and its place in the index; only the place, if the thing expires later now.
async fn remove(app: &App, index: &Key, at: TimeMs, what: &Key) -> Result<(), Failure> {
    let mut batch = Batch::new(app.clock.now());
    batch.delete.push(index.clone());
    match what.kind() {
        Some(KeyKind::Grant) => {
            if let Some(grant) = app.store.record::<GrantRecord>(what).await? {
                let id = grant.value.grant.id;
                batch.require.push((what.clone(), Require::Version(grant.version)));
                batch.delete.extend([what.clone(), Key::grant_uses(&id), Key::grant_releases(&id)]);
                let effects = app.store.scan(&KeyPrefix::grant_effects(&id), None, REMOVED_MAX).await?;
                batch.delete.extend(effects.items.into_iter().map(|(key, _)| key));
            }
        }
        Some(KeyKind::Idempotency) => {
            if let Some(kept) = app.store.record::<IdempotencyRecord>(what).await?
                && kept.value.expires_at <= at
            {
                batch.require.push((what.clone(), Require::Version(kept.version)));
                batch.delete.push(what.clone());
            }
        }
        Some(KeyKind::Fact) => {
            if let Some(fact) = app.store.record::<FactRecord>(what).await?
                && fact.value.expires_at.is_some_and(|expires_at| expires_at <= at)
            {
                batch.require.push((what.clone(), Require::Version(fact.version)));
                batch.delete.push(what.clone());
            }
        }
        Some(KeyKind::Delegation) => {
            if let Some(found) = app.store.record::<DelegationRecord>(what).await?
                && found.value.expires_at <= at
            {
                let DelegationRecord { id, user, to_agent, parent, .. } = &found.value;
                batch.require.push((what.clone(), Require::Version(found.version)));
                batch.delete.extend([
                    what.clone(),
                    Key::user_delegation(user, id),
                    Key::agent_delegation(to_agent, id),
                ]);
                batch.delete.extend(parent.as_ref().map(|parent| Key::child_delegation(parent, id)));
            }
        }
        Some(KeyKind::SessionName) => {
            // Only what was remembered as ended: a session's own name stays as long as it.
            if let Some(found) = app.store.record::<SessionNameRecord>(what).await? {
                let key = Key::session(&found.value.session);
                if app.store.get(&key).await?.is_none() {
                    batch.require.extend([(what.clone(), Require::Version(found.version)), (key, Require::Absent)]);
                    batch.delete.push(what.clone());
                }
            }
        }
        Some(KeyKind::Logout) => {
            if let Some(found) = app.store.record::<LogoutRecord>(what).await?
                && found.value.at.plus_ms(crate::logout::REMEMBERED_MS) <= at
            {
                batch.require.push((what.clone(), Require::Version(found.version)));
                batch.delete.push(what.clone());
            }
        }
        // An exchange's token and delegation have expired long ago; a counter's window ended long ago, and no
        // decision charges a window that has ended.
        Some(KeyKind::Exchange | KeyKind::Counter) => batch.delete.push(what.clone()),
        _ => {}
    }
    app.store.commit(batch).await?;
    Ok(())
}
