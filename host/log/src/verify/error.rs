//! What may be wrong with a log, and which entry is to blame.

use std::io;

use crate::checkpoint::CheckpointError;
use crate::entry::{Entry, EntryError};
use crate::key::{CheckpointVerifier, KeyError};
use crate::policy::QuorumError;
use crate::reference::{Epoch, LogId};
use crate::segments::SegmentError;
use crate::tiles::{BundleError, Tile};

/// Why a log or an export of one does not verify.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// It could not be read.
    #[error("the log cannot be read")]
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
    #[error("the log's key cannot be read")]
    Key(#[source] KeyError),
    /// Its key is not the trusted one.
    #[error("the log is of the key `{found}`, which is not the trusted one")]
    UnknownKey {
        /// The key that it names.
        found: Box<CheckpointVerifier>,
    },
    /// Its checkpoint cannot be relied on.
    #[error("the log's checkpoint cannot be relied on")]
    Checkpoint(#[source] CheckpointError),
    /// The checkpoint that was seen earlier cannot be relied on under this key.
    #[error("the checkpoint that was kept cannot be relied on under the log's key")]
    Since(#[source] CheckpointError),
    /// Something is wrong with the earlier checkpoints that came with the log.
    #[error(transparent)]
    Earlier(#[from] SegmentError),
    /// A checkpoint counts more entries than the newest.
    #[error("the log was cut: it has {size} entries, and had {seen} when an earlier checkpoint was signed")]
    RolledBack {
        /// How many the earlier checkpoint counts.
        seen: u64,
        /// How many there are now.
        size: u64,
    },
    /// The newest checkpoint is of these entries, and an earlier one is not.
    #[error("the log was forked: an earlier checkpoint signs other {size} first entries than these")]
    Forked {
        /// How many entries the earlier one counts.
        size: u64,
    },
    /// The newest checkpoint does not have the cosignatures that it should.
    #[error("the newest checkpoint is not witnessed as it should be")]
    Witnesses(#[source] QuorumError),
    /// A file is not there.
    #[error("`{name}` is missing")]
    FileMissing {
        /// Its name.
        name: String,
    },
    /// A file belongs to no log of this size.
    #[error("`{name}` is no part of a log of this size")]
    FileSurplus {
        /// Its name.
        name: String,
    },
    /// A file is not what it should be.
    #[error("`{name}` is not one line with the log's key")]
    KeyFile {
        /// Its name.
        name: &'static str,
    },
    /// A tile has more or less in it than its name says.
    #[error("`{tile}` has {bytes} bytes instead of {expected}")]
    TileLength {
        /// Which.
        tile: Tile,
        /// How many bytes it has.
        bytes: usize,
        /// How many it should have.
        expected: usize,
    },
    /// A hash in a tile is not what the entries make it.
    #[error("hash {at} of `{tile}` is not what the entries make it")]
    TileHash {
        /// Which tile.
        tile: Tile,
        /// Which of its hashes, from 0.
        at: usize,
    },
    /// A bundle of entries cannot be taken apart.
    #[error("entry {index} cannot be read from `{tile}`: {source}")]
    Bundle {
        /// Which bundle.
        tile: Tile,
        /// Which entry should stand there.
        index: u64,
        /// What is wrong.
        source: BundleError,
    },
    /// A line of JSON is not that of its entry.
    #[error("line {} of `{name}` is not entry {index}", .index + 1)]
    Line {
        /// The name of the file.
        name: &'static str,
        /// Which entry.
        index: u64,
    },
    /// There is something after the last line.
    #[error("`{name}` goes on after its last line")]
    LineSurplus {
        /// The name of the file.
        name: &'static str,
    },
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
    /// All links are right, the newest checkpoint signed something else, and so did an earlier one.
    #[error(
        "entry {index} was changed, alone or with entries before it that were linked anew: an earlier checkpoint signs another"
    )]
    ChangedBefore {
        /// The last entry that the earlier checkpoint counts.
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
    /// The file says that it lacks entries, and nothing that can be relied on says that they were bad.
    #[error(
        "the entries {index} to {last} are not in the export: it says that they were bad when the epoch ended, and nothing that was signed says so"
    )]
    Lacking {
        /// The first of them.
        index: u64,
        /// The last.
        last: u64,
    },
    /// An earlier checkpoint ends among entries that are lacking.
    #[error(
        "the checkpoint that was kept, of {size} entries, can be compared with nothing: the entries {index} to {last} were bad when the epoch ended"
    )]
    Uncompared {
        /// How many entries the earlier one counts.
        size: u64,
        /// The first entry of the bundle in which it ends.
        index: u64,
        /// The last.
        last: u64,
    },
    /// Entries are lacking, all links are right, and still the checkpoint signed something else.
    #[error(
        "entry {index} was bad when the epoch ended, and what stands for it, or an entry before or after one that was bad, was changed"
    )]
    Unplaced {
        /// The first that is lacking.
        index: u64,
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
            | Self::Checkpoint(_)
            | Self::Since(_)
            | Self::Earlier(_)
            | Self::RolledBack { .. }
            | Self::Forked { .. }
            | Self::Witnesses(_)
            | Self::FileMissing { .. }
            | Self::FileSurplus { .. }
            | Self::KeyFile { .. }
            | Self::TileLength { .. }
            | Self::TileHash { .. }
            | Self::Line { .. }
            | Self::LineSurplus { .. } => None,
            Self::Malformed { index, .. }
            | Self::TooLong { index }
            | Self::WrongLog { index, .. }
            | Self::WrongEpoch { index, .. }
            | Self::Changed { index }
            | Self::EndChanged { index }
            | Self::ChangedBefore { index }
            | Self::Bundle { index, .. }
            | Self::Missing { index, .. }
            | Self::OutOfOrder { index, .. }
            | Self::Duplicated { index, .. }
            | Self::Truncated { index, .. }
            | Self::Lacking { index, .. }
            | Self::Uncompared { index, .. }
            | Self::Unplaced { index }
            | Self::Surplus { index } => Some(*index),
        }
    }
}
