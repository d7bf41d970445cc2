//! Forgetting approvals: each goes with all that finds it, and the last of an agent's for a user takes their count along,
//! so that none stays of whoever is gone.

use std::collections::BTreeMap;

use attorn_store::records::{ApprovalRecord, ApprovalRequestRecord, Record as _};
use attorn_store::{Add, Batch, Key, Require, Store, Versioned};

use crate::http::failure::Failure;

/// Put into the batch that these approvals go. Where somebody would look for them when they expire is for the caller to
/// remove.
pub(crate) async fn forget(
    store: &Store,
    approvals: &[Versioned<ApprovalRecord>],
    batch: &mut Batch,
) -> Result<(), Failure> {
    let mut counted: BTreeMap<Key, u64> = BTreeMap::new();
    for Versioned { value: approval, version, .. } in approvals {
        let (id, agent, user) = (&approval.request.id, &approval.agent, approval.user());
        batch.require.push((approval.key(), Require::Version(*version)));
        batch.delete.push(approval.key());
        if approval.open {
            batch.delete.push(Key::open_approval(agent, user, id));
        }
        *counted.entry(Key::open_approvals(agent, user)).or_default() += u64::from(approval.open);
        let place = Key::approval_request(&approval.request.bound_to);
        // Another may have been asked for since.
        if let Some(last) = store.record::<ApprovalRequestRecord>(&place).await?
            && last.value.approval == *id
        {
            batch.require.push((place.clone(), Require::Version(last.version)));
            batch.delete.push(place);
        }
    }
    for (counter, gone) in counted {
        let Some(found) = store.get(&counter).await? else { continue };
        if store.counter(&counter).await? > gone {
            let delta = i64::try_from(gone).map_err(Failure::internal)?;
            batch.add.extend((delta > 0).then(|| Add { key: counter, delta: -delta, at_most: u64::MAX }));
        } else {
            batch.require.push((counter.clone(), Require::Version(found.version)));
            batch.delete.push(counter);
        }
    }
    Ok(())
}
