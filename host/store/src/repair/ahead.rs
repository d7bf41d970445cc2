//! Whether an engine that is about to be replaced has more than what replaces it.
//!
//! What it lacks shows nowhere, so it is asked for nothing but how far it comes, and is believed where its imprint says that
//! the state is ours, and it is of the very store that base copy and journal are of: after a restore or with a new key of the
//! log that is another one. One that is damaged has nothing to say. One that cannot be asked just now, because somebody
//! holds it or the disk is full, may have more, and is replaced by nothing.

use super::RepairError;
use crate::base;
use crate::caught::caught;
use crate::error::StorageError;
use crate::frame::StoreId;
use crate::imprint::{self, ImprintError};
use crate::open::head_of;
use crate::ours::Ours;
use crate::parts::newest_readable;
use crate::places::{Places, at};
use crate::trees::Trees;

/// The last batch that the engine has, if it is ours and that is after this one.
pub(super) fn engine_beyond(places: &Places, ours: &Ours, version: u64) -> Result<Option<u64>, RepairError> {
    if !super::is_there(&places.engine).map_err(at(&places.engine))? {
        return Ok(None);
    }
    let store = store_of_parts(places)?;
    // The engine panics where it finds its files corrupt.
    caught(|| look(places, ours, (store, version))).unwrap_or(Ok(None)).map_err(RepairError::EngineUnread)
}

fn look(places: &Places, ours: &Ours, (store, version): (Option<StoreId>, u64)) -> Result<Option<u64>, StorageError> {
    let trees = match Trees::open(&places.engine) {
        Err(error) if error.is_of_the_disk => return Err(error),
        Err(_) => return Ok(None),
        Ok(trees) => trees,
    };
    let Ok((name, head)) = head_of(&trees) else { return Ok(None) };
    let is_of_it = store.is_none_or(|store| trees.store_id().is_ok_and(|found| found == Some(store)));
    if name.id != ours.log || head.version <= version || !is_of_it {
        return Ok(None);
    }
    // Only then is all of it read.
    match imprint::check(&ours.key, &trees, &name, &head) {
        Ok(_) => Ok(Some(head.version)),
        Err(ImprintError::Storage(error)) if error.is_of_the_disk => Err(error),
        Err(_) => Ok(None),
    }
}

/// Which store base copy and journal are of, if a base copy can be read.
pub(super) fn store_of_parts(places: &Places) -> Result<Option<StoreId>, RepairError> {
    let bases = base::all(&places.base).map_err(at(&places.base))?;
    Ok(newest_readable(&places.base, bases, &|| true).ok().map(|found| found.store))
}
