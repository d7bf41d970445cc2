//! How much room there is for what agents offer each other, and how room is given back when a delegation goes.
//!
//! How many delegations are kept is counted in [`super::make`].

use attorn_store::records::DelegationRecord;
use attorn_store::{Add, Batch, Key, Require, Store, Versioned};

use crate::http::failure::Failure;

/// How many offers of one user's rights may wait for an agent, of each other agent. Each stands among what was delegated
/// to it, whether it wants it or not; so nobody fills another's list, and nobody uses up what others may offer.
///
/// INVARIANT: the count is exact. An offer is counted in the batch that writes it, and no more in the one that records
/// that it was accepted, revoked, or removed; each of those names the version of the offer.
pub(crate) const OPEN_OFFERS_MAX: u64 = 16;

/// What counts this delegation among the offers that wait; none if it is no such offer.
pub(crate) fn open_offers(record: &DelegationRecord) -> Option<Key> {
    let waits = record.accepted_at.is_none() && record.revoked_at.is_none();
    let from = record.from_agent.as_ref().filter(|_| waits)?;
    Some(Key::open_offers(&record.user, from, &record.to_agent))
}

/// Put into the batch that a delegation goes, with its places and the room that it took. Where somebody would look for it
/// when it expires is for the caller to remove.
pub(crate) async fn take_away(
    store: &Store,
    found: &Versioned<DelegationRecord>,
    batch: &mut Batch,
) -> Result<(), Failure> {
    let DelegationRecord { id, user, to_agent, parent, .. } = &found.value;
    let key = Key::delegation(id);
    batch.require.push((key.clone(), Require::Version(found.version)));
    batch.delete.extend([key, Key::user_delegation(user, id), Key::agent_delegation(to_agent, id)]);
    batch.delete.extend(parent.as_ref().map(|parent| Key::child_delegation(parent, id)));
    if let Some(waits) = open_offers(&found.value) {
        give_room(store, waits, batch).await?;
    }
    give_room(store, Key::kept_delegations(user, found.value.made_by()), batch).await
}

/// Count one less. The last takes the counter along, so that none stays of whoever is gone.
pub(crate) async fn give_room(store: &Store, counter: Key, batch: &mut Batch) -> Result<(), Failure> {
    let Some(found) = store.get(&counter).await? else { return Ok(()) };
    if store.counter(&counter).await? > 1 {
        batch.add.push(Add { key: counter, delta: -1, at_most: u64::MAX });
    } else {
        batch.require.push((counter.clone(), Require::Version(found.version)));
        batch.delete.push(counter);
    }
    Ok(())
}
