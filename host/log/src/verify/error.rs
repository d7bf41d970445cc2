//! What may be wrong with a log, and which entry is to blame.

use std::io;

use crate::checkpoint::CheckpointError;
use crate::entry::{Entry, EntryError};
use crate::key::{CheckpointVerifier, KeyError};
use crate::reference::{Epoch, LogId};

/// Why a log or an export of one does not verify.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// It could not be read.
    #[error("the export cannot be read")]
    Read(#[source] io::Error),
    /// It does not begin as an export.
    #[error("this is no export of an audit log: it does not begin with `attorn-audit-export/v1`")]
    NotAnExport,
    /// Its second line is not `key` and a key.
    #[error("the export has no key line")]
    NoKey,
    /// Its header ends without the line `entries`, or is too long.
    #[error("the export has no line `entries` after its checkpoint")]
    NoEntries,
    /// Its key cannot be read.
    #[error("the export's key cannot be read")]
    Key(#[source] KeyError),
    /// Its key is not the trusted one.
    #[error("the export is of the key `{found}`, which is not the trusted one")]
    UnknownKey {
        /// The key that it names.
        found: Box<CheckpointVerifier>,
    },
    /// Its checkpoint cannot be relied on.
    #[error("the export's checkpoint cannot be relied on")]
    Checkpoint(#[source] CheckpointError),
    /// The bytes are no entry, or not in the one form that an entry has.
    #[error("entry {index} is malformed")]
    Malformed {
        /// Which entry should stand there.
        index: u64,
        /// What is wrong.
        #[source]
        source: EntryError,
    },
    /// The bytes go on beyond the longest entry.
    #[error("entry {index} has more than {} bytes", Entry::BYTES_MAX)]
    TooLong {
        /// Which entry should stand there.
        index: u64,
    },
    /// The entry is of another log.
    #[error("entry {index} is of the log `{found}`")]
    WrongLog {
        /// Which entry should stand there.
        index: u64,
        /// The log that it names.
        found: LogId,
    },
    /// The entry is of another epoch.
    #[error("entry {index} is of epoch {found}")]
    WrongEpoch {
        /// Which entry should stand there.
        index: u64,
        /// The epoch that it names.
        found: Epoch,
    },
    /// The entry is not what it was.
    #[error("entry {index} was changed")]
    Changed {
        /// Which entry.
        index: u64,
    },
    /// All links are right, and still the checkpoint signed something else.
    #[error("entry {index}, the last, was changed, alone or with entries before it that were linked anew")]
    EndChanged {
        /// The last entry.
        index: u64,
    },
    /// The entry is not there; a later one follows in its place.
    #[error("entry {index} is missing: entry {found} stands in its place")]
    Missing {
        /// Which entry.
        index: u64,
        /// What follows.
        found: u64,
    },
    /// A later entry stands in its place, and then an earlier one.
    #[error("entry {index} is not in its place: entry {found} stands there")]
    OutOfOrder {
        /// Which entry.
        index: u64,
        /// What stands there.
        found: u64,
    },
    /// An entry that was there already stands in its place.
    #[error("entry {index} is not in its place: entry {found} stands there a second time")]
    Duplicated {
        /// Which entry should stand there.
        index: u64,
        /// What stands there again.
        found: u64,
    },
    /// There are fewer entries than were signed.
    #[error("the log ends before entry {index}, and its checkpoint counts {size} entries")]
    Truncated {
        /// The first entry that is not there, or not whole.
        index: u64,
        /// How many there should be.
        size: u64,
    },
    /// There is something after the last entry.
    #[error("the log goes on with entry {index}, and its checkpoint counts no more than that")]
    Surplus {
        /// Which entry stands or would stand there.
        index: u64,
    },
}

impl VerifyError {
    /// The first entry that is not as it was signed; none if the error is about no entry.
    #[must_use]
    pub const fn index(&self) -> Option<u64> {
        match self {
            Self::Read(_)
            | Self::NotAnExport
            | Self::NoKey
            | Self::NoEntries
            | Self::Key(_)
            | Self::UnknownKey { .. }
            | Self::Checkpoint(_) => None,
            Self::Malformed { index, .. }
            | Self::TooLong { index }
            | Self::WrongLog { index, .. }
            | Self::WrongEpoch { index, .. }
            | Self::Changed { index }
            | Self::EndChanged { index }
            | Self::Missing { index, .. }
            | Self::OutOfOrder { index, .. }
            | Self::Duplicated { index, .. }
            | Self::Truncated { index, .. }
            | Self::Surplus { index } => Some(*index),
        }
    }
}
