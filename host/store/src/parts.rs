//! Whether base copy and journal are whole: what backups are made of, and the engine's files if they have to be made anew.
//!
//! Opening a store reads no more of the journal than the engine may lack. That something is wrong with what is before
//! that would show when somebody needs it, and nothing else may be left then. So the copier looks at all of it behind
//! ([`crate::copier`]), and so does a repair: an engine that is whole has all that both had, and a new base copy of it
//! needs neither.
//!
//! Nothing is changed here.

mod log;
mod records;

use std::io::{self, ErrorKind};
use std::path::Path;

use attorn_log::Epoch;

pub(crate) use self::log::LogOfParts;
pub use self::log::LogProblem;
pub(crate) use self::records::{look_at_rows, read_base, replay, take_entry};

use crate::base::{self, Base, BaseError};
use crate::bundled::Bundled;
use crate::error::PartsError;
use crate::frame::StoreId;
use crate::imprint::{self, ImprintKey};
use crate::journal::{self, End, JournalError};
use crate::open::FIRST_EPOCH;
use crate::places::Places;
use crate::trees::epoch_in;

/// How often a journal is read again whose end was being written meanwhile.
const READS_MAX: u32 = 10;

/// Read the newest base copy that can be read, and the journal after it, as a backup would, and see whether they are ours;
/// none if `goes_on` said no before the end.
pub(crate) fn look(places: &Places, key: &ImprintKey, goes_on: &dyn Fn() -> bool) -> Option<Result<(), PartsError>> {
    let read = || {
        let bases = base::all(&places.base).map_err(|source| BaseError::Io { path: places.base.clone(), source })?;
        let Readable { base, epoch, store, passed } = newest_readable(&places.base, bases, goes_on)?;
        if let Some(error) = passed {
            return Err(error.into());
        }
        read_journal(&places.journal, (&base, store), goes_on)?;
        let parts = (&base, places.journal.as_path());
        compare(key, parts, &Bundled::of(&places.log, epoch), goes_on)?;
        again(|| records::compare(&places.dir, parts, epoch, goes_on))
    };
    let found = read();
    // What was not read to its end for this tells nothing.
    goes_on().then_some(found)
}

/// See whether what base copy and journal come to is ours: the state, and each entry of the log that they have.
pub(crate) fn compare(
    key: &ImprintKey,
    parts: (&Base, &Path),
    bundled: &Bundled,
    goes_on: &dyn Fn() -> bool,
) -> Result<(), PartsError> {
    again(|| imprint::check_parts(key, parts, bundled, goes_on))
}

/// While a group is being written the journal may look damaged for a moment.
fn again(mut compare: impl FnMut() -> Result<(), PartsError>) -> Result<(), PartsError> {
    let mut reads = 1;
    loop {
        match compare() {
            Err(PartsError::Journal(JournalError::Damaged { .. })) if reads < READS_MAX => reads += 1,
            compared => return compared,
        }
    }
}

/// A base copy that was read from end to end.
pub(crate) struct Readable {
    pub(crate) base: Base,
    /// The epoch of the log in it.
    pub(crate) epoch: Epoch,
    /// Whose it is.
    pub(crate) store: StoreId,
    /// What is wrong with the newest, where this is an older one.
    pub(crate) passed: Option<BaseError>,
}

/// The newest of these base copies that can be read.
pub(crate) fn newest_readable(
    dir: &Path,
    bases: Vec<Base>,
    goes_on: &dyn Fn() -> bool,
) -> Result<Readable, PartsError> {
    let mut passed = None;
    for base in bases.into_iter().rev() {
        let mut epoch = FIRST_EPOCH;
        let read = base::read(&base, |writes| {
            epoch = writes.iter().find_map(epoch_in).unwrap_or(epoch);
            if goes_on() { Ok(()) } else { Err(base.given_up()) }
        });
        match read {
            Ok(store) => return Ok(Readable { base, epoch, store, passed }),
            Err(error) => passed = passed.or(Some(error)),
        }
    }
    Err(passed.map_or_else(|| PartsError::NoBase { dir: dir.to_owned() }, PartsError::Base))
}

/// Read the journal after a base copy to its end. While a group is being written it may look damaged for a moment.
pub(crate) fn read_journal(
    dir: &Path,
    (base, store): (&Base, StoreId),
    goes_on: &dyn Fn() -> bool,
) -> Result<End, JournalError> {
    let each = |_| if goes_on() { Ok(()) } else { Err(JournalError::given_up(dir)) };
    let mut reads = 1;
    loop {
        match journal::replay(dir, Some(store), base.version, each) {
            Err(JournalError::Damaged { .. }) if reads < READS_MAX => reads += 1,
            end => return end,
        }
    }
}

fn given_up() -> io::Error {
    ErrorKind::Interrupted.into()
}

impl Base {
    /// It was not read to its end.
    pub(crate) fn given_up(&self) -> BaseError {
        BaseError::Io { path: self.path.clone(), source: given_up() }
    }
}

impl JournalError {
    /// The journal was not read to its end.
    pub(crate) fn given_up(dir: &Path) -> Self {
        Self::Io { path: dir.to_owned(), source: given_up() }
    }
}

#[cfg(test)]
#[path = "parts_tests.rs"]
mod tests;
