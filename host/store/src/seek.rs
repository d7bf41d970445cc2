//! Looking for something in all base copies and in the journal after them.
//!
//! What leaves the engine for files leaves base copy and journal only later, as they are made anew; so either may still
//! have what a file has not. The newest base copy may have been made when it was in its file already, and an older one
//! before that, so all are looked into until nothing is left to be found.
//!
//! Nothing is changed here, and what is to be done with it is not known.

use crate::base::{self, Base};
use crate::error::PartsError;
use crate::journal;
use crate::places::{Places, at};
use crate::redo::{Redo, Write};
use crate::repair::RepairError;

/// Who looks for something.
pub(crate) trait Seeker {
    /// Whether nothing is left to be found.
    fn is_done(&self) -> bool;

    /// Whether anything was found.
    fn has_found(&self) -> bool;

    /// Another base copy begins.
    fn begin(&mut self) {}

    /// Look at one write of it, or of the journal after it.
    fn take(&mut self, write: &Write) -> Result<(), RepairError>;
}

/// Show all base copies, the newest first, and what the journal has after each.
///
/// Of a base copy that cannot be read, or to which the journal does not go back any more, nothing is found; that is an
/// error only if it is so of all.
pub(crate) fn seek(places: &Places, seeker: &mut impl Seeker) -> Result<(), RepairError> {
    let (mut failed, mut is_read) = (None, false);
    for base in base::all(&places.base).map_err(at(&places.base))?.into_iter().rev() {
        if seeker.is_done() {
            break;
        }
        match of_base(places, &base, seeker) {
            Ok(()) => is_read = true,
            Err(error @ RepairError::Parts(_)) => failed = failed.or(Some(error)),
            // A file that cannot be written cannot be written from another copy either.
            Err(error) => return Err(error),
        }
    }
    match failed {
        Some(error) if !is_read && !seeker.has_found() => Err(error),
        None if !is_read && !seeker.is_done() => Err(PartsError::NoBase { dir: places.base.clone() }.into()),
        _ => Ok(()),
    }
}

fn of_base(places: &Places, base: &Base, seeker: &mut impl Seeker) -> Result<(), RepairError> {
    seeker.begin();
    let mut take = |writes: Vec<Write>| writes.iter().try_for_each(|write| seeker.take(write));
    let store = base::read(base, &mut take)?;
    journal::replay(&places.journal, Some(store), base.version, |redo: Redo| take(redo.writes))?;
    Ok(())
}
