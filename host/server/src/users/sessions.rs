//! Sessions: how one is opened, and when it is forgotten again.
//!
//! Nothing hangs on a session any more when the last delegation in it has expired. One that ended is remembered for as
//! long after its end, so that no token of it, however late it was issued, opens it again. Whether a session stands is
//! read where somebody acts in it, and never depends on this.

use attorn_core::TimeMs;
use attorn_store::records::{DelegationRecord, ProviderRecord, SessionNameRecord, SessionRecord};
use attorn_store::{Batch, Key, KeyPrefix, Require, Store, Versioned};

use crate::http::failure::Failure;

/// How long what happened in a session matters: as long as a delegation may live.
const MATTERS_MS: u64 = ProviderRecord::DELEGATION_MS_MAX;
/// How many delegations are read at a time.
const PAGE: usize = 100;

/// Put a new session into the batch, with the provider's name for it if it has one, and when to look whether it can
/// be forgotten.
pub(crate) fn open(batch: &mut Batch, session: &SessionRecord, name: Option<&SessionNameRecord>) {
    // Where there is a name, it leads to the session, and both go together.
    let key = name.map_or_else(|| Key::session(&session.id), |name| Key::session_name(&name.name));
    batch.put.push((Key::expiry(session.opened_at.plus_ms(MATTERS_MS), &key), Vec::new()));
    batch.put_record(session);
    if let Some(name) = name {
        batch.put_record(name);
    }
}

/// What becomes of a session that was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It goes.
    Forgotten,
    /// It stays, and is looked at again.
    Kept,
}

/// Put into the batch that this session is forgotten, or when to look again. `what` is what the index names: the
/// session, or its name.
///
/// Who delegates in it at this very moment may find that it has ended, and signs in again.
pub(crate) async fn forget(
    store: &Store,
    found: &Versioned<SessionRecord>,
    what: &Key,
    due: TimeMs,
    batch: &mut Batch,
) -> Result<Fate, Failure> {
    let SessionRecord { id, ended_at, .. } = &found.value;
    let after_end = ended_at.map(|at| at.plus_ms(MATTERS_MS));
    let matters = matters_until(store, &found.value, batch.now).await?.max(after_end).filter(|until| *until > due);
    if let Some(until) = matters {
        batch.put.push((Key::expiry(until, what), Vec::new()));
        return Ok(Fate::Kept);
    }
    let key = Key::session(id);
    batch.require.push((key.clone(), Require::Version(found.version)));
    batch.delete.push(key);
    Ok(Fate::Forgotten)
}

/// When the last delegation in this session expires; none if all that there are have expired.
async fn matters_until(store: &Store, session: &SessionRecord, now: TimeMs) -> Result<Option<TimeMs>, Failure> {
    let prefix = KeyPrefix::user_delegations(&session.user);
    let (mut after, mut until) = (None, None);
    loop {
        let page = store.scan(&prefix, after.as_ref(), PAGE).await?;
        for id in page.items.iter().filter_map(|(key, _)| key.named_delegation()) {
            let found = store.record::<DelegationRecord>(&Key::delegation(&id)).await?;
            let here = found.map(|found| found.value).filter(|found| found.session == session.id);
            until = until.max(here.map(|found| found.expires_at).filter(|at| *at > now));
        }
        after = page.next;
        if after.is_none() {
            return Ok(until);
        }
    }
}
