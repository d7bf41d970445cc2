//! Building the engine's files from a base copy and the journal after it, beside those that are there.
//!
//! Nothing takes the place of anything here.

use std::fs;
use std::path::Path;

use attorn_log::Epoch;

use super::{RepairError, Seen, causes};
use crate::base::{self, Base};
use crate::error::{OpenError, PartsError};
use crate::files::make_dir;
use crate::frame::StoreId;
use crate::imprint::ForeignState;
use crate::integrity::{Ended, IntegrityError, Walked, verify_in};
use crate::journal::{self, JournalError};
use crate::ours::Ours;
use crate::places::{Places, at, exists, sync_files};
use crate::redo::Redo;
use crate::trees::Trees;

/// See what base copy and journal come to, and whether that is whole and ours, by making it in a directory, which is removed.
pub(crate) fn could_be_made(
    places: &Places,
    ours: &Ours,
    new: &Path,
    seen: Option<Seen>,
) -> Result<Walked, RepairError> {
    let made = rebuild(places, ours, new, (seen, Ended::Read));
    let removed = if exists(new)? { fs::remove_dir_all(new).map_err(at(new)) } else { Ok(()) };
    let made = made?;
    removed?;
    Ok(made.walked)
}

/// What was built.
pub(super) struct Rebuilt {
    /// From a base copy of this version on.
    pub(super) base: u64,
    /// In which epoch of the log it is.
    pub(super) epoch: Epoch,
    pub(super) walked: Walked,
}

/// Build the engine's files in a directory of their own, from the newest base copy that can be read.
pub(super) fn rebuild(
    places: &Places,
    ours: &Ours,
    new: &Path,
    (seen, ended): (Option<Seen>, Ended),
) -> Result<Rebuilt, RepairError> {
    let (mut failed, mut behind) = (None, None);
    for base in base::all(&places.base).map_err(at(&places.base))?.into_iter().rev() {
        match build((places, &base), ours, new, (seen, ended)) {
            Ok(rebuilt) => return Ok(rebuilt),
            // An older copy needs more of the journal, and comes to the same. If this one is of what somebody else wrote, that
            // one need not be.
            Err(
                error @ (RepairError::Parts(PartsError::Base(_))
                | RepairError::OtherStore
                | RepairError::Open(OpenError::OtherLog { .. })
                | RepairError::Integrity(_)),
            ) => {
                tracing::warn!(base = base.version, error = causes(&error), "a base copy cannot be used");
                failed.get_or_insert(error);
            }
            // This one is ours, and so it tells more than what is wrong with another.
            Err(error @ RepairError::Behind { .. }) => {
                behind.get_or_insert(error);
            }
            Err(error) => return Err(error),
        }
    }
    Err(behind.or(failed).unwrap_or_else(|| PartsError::NoBase { dir: places.base.clone() }.into()))
}

/// Build the engine's files in an empty directory from a base copy and the journal after it, and walk them.
fn build(
    (places, base): (&Places, &Base),
    ours: &Ours,
    new: &Path,
    (seen, ended): (Option<Seen>, Ended),
) -> Result<Rebuilt, RepairError> {
    if exists(new)? {
        fs::remove_dir_all(new).map_err(at(new))?;
    }
    make_dir(new).map_err(at(new))?;
    let trees = Trees::open(new)?;
    let store: StoreId = base::read(base, |writes| trees.take_over(&writes).map_err(RepairError::from))?;
    let replayed = journal::replay(&places.journal, Some(store), base.version, |redo: Redo| {
        trees.take_over(&redo.writes).map_err(RepairError::from)
    });
    let end = replayed.map_err(|error| match error {
        RepairError::Parts(PartsError::Journal(JournalError::OtherStore { .. })) => RepairError::OtherStore,
        error => error,
    })?;
    let (name, head) = trees.head()?.ok_or(IntegrityError::Head)?;
    if name.id != ours.log {
        return Err(OpenError::OtherLog { expected: ours.log.clone(), found: name.id }.into());
    }
    trees.forget_filed()?;
    trees.flush()?;
    sync_files(new)?;
    let walked = verify_in(places, &trees, (&name, (&ours.key, ForeignState::Refused)), (end.version, ended))?;
    // Only of what is known to be ours anybody can say that it is shorter than it was.
    Seen::check(seen, &name, &head)?;
    Ok(Rebuilt { base: base.version, epoch: name.epoch, walked })
}
