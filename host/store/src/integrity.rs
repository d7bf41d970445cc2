//! A walk over all that the store holds, to see whether it fits together: for tests that end the
//! process at bad moments, and for operators who doubt their disk.
//!
//! Of entries that are in files alone a wrong file is no reason to end: the engine has the root over it, and no state
//! depends on what it says. It is named, and the walk goes on after it. The same goes for decision records, wherever they
//! are and of whichever epoch of the log: each has to be the one that its entry names ([`crate::named_records`]).
//!
//! It proves that nothing was torn or lost by accident. Against somebody who rewrote all of it only
//! checkpoints that left the machine help.

mod walk;

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use attorn_core::Digest;
use attorn_log::{EntryError, Epoch, Gap, Hash, NodeId};

use crate::bundled::{BUNDLE_ENTRIES, BundledError};
use crate::commit::{Shared, Store};
use crate::error::StorageError;
use crate::imprint::{ForeignState, ImprintError};
use crate::key::Key;
use crate::record_walk::BadRecords;
use crate::records::RecordError;
use crate::trees::ValueError;

use self::walk::Walk;
pub(crate) use self::walk::{Ended, verify_in};

/// What a store that fits together holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Integrity {
    /// How many batches there were.
    pub version: u64,
    /// How many entries there are.
    pub entries: u64,
    /// How many values there are.
    pub values: u64,
    /// Over all that the engine holds: keys and values, in their order.
    pub digest: Digest,
}

/// What a walk found where all that state depends on fits together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walked {
    /// What the engine holds.
    pub integrity: Integrity,
    /// Which files with entries are not what the tree says.
    pub bad_bundles: Vec<BadBundle>,
    /// Which files with decision records are not what was written.
    pub bad_records: Vec<BadRecords>,
    /// Which decisions have no record, or another than their entry names, and which records are of none.
    pub bad_decisions: Vec<String>,
    /// How many decision records are lost of which somebody has accepted that.
    pub lost_records: u64,
    /// Why the records of an epoch that has ended could be compared with no entries: what is kept of it is not what was signed.
    /// Whoever looks at the exports themselves says that, too.
    pub uncompared: Vec<Uncompared>,
    /// About how many bytes all entries have that can be read.
    pub entry_bytes: u64,
    /// About how many bytes all values and their keys have.
    pub state_bytes: u64,
}

/// An epoch that has ended, whose decision records could be compared with no entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uncompared {
    /// Which.
    pub epoch: Epoch,
    /// What is wrong with what is kept of it, and which file that is.
    pub why: String,
    /// Whether nothing is kept of it at all.
    pub is_missing: bool,
}

/// A file with entries that is not what the log's tree says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadBundle {
    /// The indexes of its entries.
    pub entries: Range<u64>,
    /// What is wrong with it, which file it is, and what to do.
    pub why: String,
    /// The same without what to do.
    pub(crate) what: String,
    pub(crate) path: PathBuf,
    /// What the tree has over it.
    pub(crate) root: Hash,
}

impl BadBundle {
    pub(crate) fn of(bundle: u64, root: Hash, error: &BundledError) -> Self {
        let entries = bundle * BUNDLE_ENTRIES..(bundle + 1) * BUNDLE_ENTRIES;
        Self { entries, why: error.to_string(), what: error.short(), path: error.path().to_owned(), root }
    }

    /// What is wrong with it, without what to do.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.what
    }

    /// What stands for its entries in an export that lacks them.
    #[must_use]
    pub const fn gap(&self) -> Gap {
        Gap { bundle: self.number(), root: self.root }
    }

    pub(crate) const fn number(&self) -> u64 {
        self.entries.start / BUNDLE_ENTRIES
    }
}

impl Walked {
    /// What it found, if no file is bad.
    fn whole(self) -> Result<Integrity, IntegrityError> {
        match self.bad_files().first() {
            Some(first) => Err(StorageError::new(first).into()),
            None => Ok(self.integrity),
        }
    }

    /// The same as [`Self::bad_files`] where nothing is brought back any more: of files with entries what is wrong alone, of
    /// those with records what else helps.
    #[must_use]
    pub fn lost_files(&self) -> Vec<String> {
        let put_back =
            |what: &str| format!("{what}; put this file back from a backup that has it, where it has the same name");
        let records = self.bad_records.iter().map(|bad| put_back(&bad.what));
        let decisions = self.bad_decisions.iter().cloned();
        self.bad_bundles.iter().map(|bad| bad.what.clone()).chain(records).chain(decisions).collect()
    }

    /// What is wrong with each file that is bad.
    #[must_use]
    pub fn bad_files(&self) -> Vec<String> {
        let records = self.bad_records.iter().map(|bad| bad.why.clone());
        let decisions = self.bad_decisions.iter().cloned();
        self.bad_bundles.iter().map(|bad| bad.why.clone()).chain(records).chain(decisions).collect()
    }
}

/// What does not fit together.
#[derive(Debug, thiserror::Error)]
pub enum IntegrityError {
    /// The engine below could not read.
    #[error("the store could not be read")]
    Storage(#[from] StorageError),
    /// The walk was given up because the runtime is shutting down.
    #[error("the server is shutting down")]
    ShuttingDown,
    /// Somebody else wrote the state.
    #[error(transparent)]
    Imprint(#[from] ImprintError),
    /// The head is not the one that was written last.
    #[error("the head on disk is another than the one in use")]
    Head,
    /// An entry is not there.
    #[error("entry {0} is missing")]
    EntryMissing(u64),
    /// An entry cannot be read.
    #[error("entry {index} is invalid")]
    EntryInvalid {
        /// Which.
        index: u64,
        /// Why.
        #[source]
        error: EntryError,
    },
    /// An entry says that it stands elsewhere, or after another entry than it does.
    #[error("entry {0} does not continue the one before it")]
    EntryMisplaced(u64),
    /// The link of the last entry is not the head's.
    #[error("the head does not have the link of the last entry")]
    LastLink,
    /// A node of the tree is not what the entries make it.
    #[error("node `{0}` of the tree is wrong or missing")]
    Node(NodeId),
    /// There are entries beyond the head.
    #[error("there are {found} entries, and the head knows of {due}")]
    Surplus {
        /// How many there are.
        found: u64,
        /// How many there should be.
        due: u64,
    },
    /// A value cannot be read.
    #[error("a value is invalid")]
    Value(#[source] RecordError),
    /// A value comes from a batch that never was.
    #[error("the value of `{key}` has the version {version} and the entries up to {entries_end}, beyond the head")]
    Ahead {
        /// Whose value.
        key: Key,
        /// Its version.
        version: u64,
        /// Where its entries end.
        entries_end: u64,
    },
}

impl From<ValueError> for IntegrityError {
    fn from(error: ValueError) -> Self {
        match error {
            ValueError::Storage(error) => Self::Storage(error),
            ValueError::Invalid(error) => Self::Value(error),
        }
    }
}

impl Store {
    /// Read everything and see whether it fits together. Commits wait meanwhile.
    ///
    /// # Errors
    ///
    /// [`IntegrityError`] with the first thing that does not fit, or when the store cannot be read.
    pub async fn verify_integrity(&self) -> Result<Integrity, IntegrityError> {
        self.walk().await?.whole()
    }

    /// The same, and go on after files with entries that are not right: no state depends on them.
    ///
    /// # Errors
    ///
    /// [`IntegrityError`] with the first thing beside those that does not fit.
    pub async fn walk(&self) -> Result<Walked, IntegrityError> {
        let (shared, dir) = (Arc::clone(&self.shared), self.places.dir.clone());
        let walk = move || {
            // While this is held, no group is applied.
            let applied = shared.applied();
            let Shared { trees, bundled, log, key, .. } = &*shared;
            let imprint = (key, ForeignState::Refused);
            Walk { trees, bundled, dir: &dir, log, imprint, ended: Ended::Read }.verify(applied.version)
        };
        match tokio::task::spawn_blocking(walk).await {
            Ok(outcome) => outcome,
            Err(_) => Err(IntegrityError::ShuttingDown),
        }
    }
}
