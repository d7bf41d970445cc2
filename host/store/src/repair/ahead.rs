//! Whether an engine that is about to be replaced has more than what replaces it.
//!
//! What it lacks shows nowhere, so it is asked for nothing but how far it comes, and is believed where its imprint says that
//! the state is ours, and it is of the very store that base copy and journal are of: after a restore or with a new key of the
//! log that is another one. One that is damaged has nothing to say. One that cannot be asked just now, because somebody
//! holds it or the disk is full, may have more, and is replaced by nothing.

use super::RepairError;
use crate::base;
use crate::caught::caught;
use crate::error::{OpenError, StorageError};
use crate::frame::{FileHeader, FileKind, StoreId};
use crate::imprint::{self, ImprintError};
use crate::journal;
use crate::open::head_of;
use crate::ours::Ours;
use crate::places::{Places, at};
use crate::trees::Trees;

/// The last batch that the engine has, if it is ours, and of this store, and that is after this one.
pub(super) fn engine_beyond(
    places: &Places,
    ours: &Ours,
    (store, version): (StoreId, u64),
) -> Result<Option<u64>, RepairError> {
    if !super::is_there(&places.engine).map_err(at(&places.engine))? {
        return Ok(None);
    }
    // The engine panics where it finds its files corrupt.
    caught(|| look(places, ours, (store, version))).unwrap_or(Ok(None)).map_err(RepairError::EngineUnread)
}

fn look(places: &Places, ours: &Ours, (store, version): (StoreId, u64)) -> Result<Option<u64>, StorageError> {
    let of_the_disk = |error: StorageError| if error.is_of_the_disk { Err(error) } else { Ok(None) };
    let trees = match Trees::open(&places.engine) {
        Err(error) => return of_the_disk(error),
        Ok(trees) => trees,
    };
    let (name, head) = match head_of(&trees) {
        Err(OpenError::Storage(error)) => return of_the_disk(error),
        Err(_) => return Ok(None),
        Ok(found) => found,
    };
    match trees.store_id() {
        Err(error) => return of_the_disk(error),
        Ok(found) if found != Some(store) => return Ok(None),
        Ok(_) => {}
    }
    if name.id != ours.log || head.version <= version {
        return Ok(None);
    }
    // Only then is all of it read.
    match imprint::check(&ours.key, &trees, &name, &head) {
        Ok(_) => Ok(Some(head.version)),
        Err(ImprintError::Storage(error)) => of_the_disk(error),
        Err(_) => Ok(None),
    }
}

/// Whether one of the base copies, or the newest segment of the journal, is of this store. Whoever may write there makes one of
/// any: it is asked beside whose state it is, and never instead. Where there is none, nothing is known of another one.
pub(super) fn is_of_them(places: &Places, store: StoreId) -> Result<bool, RepairError> {
    let bases = base::all(&places.base).map_err(at(&places.base))?;
    let segments = journal::segments(&places.journal).unwrap_or_default();
    let of_journal = segments.last().and_then(|segment| FileHeader::of_file(FileKind::Journal, &segment.path));
    let of_bases = bases.iter().filter_map(|base| FileHeader::of_file(FileKind::Base, &base.path));
    let found: Vec<StoreId> = of_bases.chain(of_journal).map(|header| header.store).collect();
    Ok(found.is_empty() || found.contains(&store))
}
