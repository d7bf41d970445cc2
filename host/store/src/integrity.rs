//! A walk over all that the store holds, to see whether it fits together: for tests that end the
//! process at bad moments, and for operators who doubt their disk.
//!
//! Of entries that are in files alone a wrong file is no reason to end: the engine has the root over it, and no state
//! depends on what it says. It is named, and the walk goes on after it. The same goes for decision records, wherever they
//! are: each has to be the one that its entry names.
//!
//! It proves that nothing was torn or lost by accident. Against somebody who rewrote all of it only
//! checkpoints that left the machine help.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use attorn_core::Digest;
use attorn_log::{Entry, EntryError, Gap, Hash, Link, NodeId, TreeBuilder};

use crate::bundled::{BUNDLE_ENTRIES, Bundled, BundledError, InOrder, ROOT_LEVEL, last_of, root_of};
use crate::commit::Store;
use crate::decided::Decided;
use crate::error::StorageError;
use crate::far;
use crate::filed::{BadRecords, RecordWalk};
use crate::head::{Head, LogName};
use crate::imprint::{self, ForeignState, ImprintError, ImprintKey};
use crate::key::{Key, KeyKind, KeyPrefix};
use crate::places::Places;
use crate::read::{PAGE_BYTES_MAX, PAGE_ITEMS_MAX};
use crate::records::{self, RecordError};
use crate::trees::{Stored, Trees, ValueError};

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
    /// Which decisions have no record, or another than their entry names.
    pub bad_decisions: Vec<String>,
    /// How many decision records are lost of which somebody has accepted that.
    pub lost_records: u64,
    /// About how many bytes all entries have that can be read.
    pub entry_bytes: u64,
    /// About how many bytes all values and their keys have.
    pub state_bytes: u64,
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
        let (shared, records) = (Arc::clone(&self.shared), RecordWalk::within(&self.places.dir));
        let walk = move || {
            // While this is held, no group is applied.
            let applied = shared.applied();
            let imprint = (&shared.key, ForeignState::Refused);
            verify(&shared.trees, (&shared.bundled, records), (&shared.log, imprint), applied.version)
        };
        match tokio::task::spawn_blocking(walk).await {
            Ok(outcome) => outcome,
            Err(_) => Err(IntegrityError::ShuttingDown),
        }
    }
}

/// The walk, over trees to which nothing is applied meanwhile, and the files of a directory.
pub(crate) fn verify_in(
    places: &Places,
    trees: &Trees,
    (log, imprint): (&LogName, (&ImprintKey, ForeignState)),
    version: u64,
) -> Result<Walked, IntegrityError> {
    let files = (&Bundled::of(&places.log, log.epoch), RecordWalk::within(&places.dir));
    verify(trees, files, (log, imprint), version)
}

fn verify(
    trees: &Trees,
    (bundled, mut records): (&Bundled, RecordWalk),
    (log, (key, foreign)): (&LogName, (&ImprintKey, ForeignState)),
    version: u64,
) -> Result<Walked, IntegrityError> {
    records.accept_all(trees)?;
    let (name, head) = trees.head()?.ok_or(IntegrityError::Head)?;
    if name != *log || head.version != version {
        return Err(IntegrityError::Head);
    }
    let Log { root, bad_bundles, entry_bytes } = verify_log(trees, (bundled, &mut records), log, &head)?;
    let State { values, bytes: state_bytes, records } = verify_state(trees, records, log, &head)?;
    if foreign == ForeignState::Refused {
        imprint::check(key, trees, log, &head)?;
    }
    let integrity = Integrity { version: head.version, entries: head.size, values, digest: trees.digest(root)? };
    let lost_records = records.known_lost();
    let (bad_records, bad_decisions) = records.into_bad();
    Ok(Walked { integrity, bad_bundles, bad_records, bad_decisions, lost_records, entry_bytes, state_bytes })
}

/// What a walk over the log's entries found.
struct Log {
    /// Over all of them.
    root: Hash,
    bad_bundles: Vec<BadBundle>,
    entry_bytes: u64,
}

fn verify_log(
    trees: &Trees,
    (bundled, records): (&Bundled, &mut RecordWalk),
    log: &LogName,
    head: &Head,
) -> Result<Log, IntegrityError> {
    let (mut builder, mut entries, mut bad_bundles) = (TreeBuilder::new(), InOrder::of(trees, bundled), Vec::new());
    let mut entry_bytes = 0;
    // Of the entry before; none where that is in a bad file.
    let (mut link, mut index) = (Some(Link::NONE), 0);
    while index < head.size {
        if index % BUNDLE_ENTRIES == 0 {
            far::say("entries looked at", index, head.size);
        }
        if index % BUNDLE_ENTRIES == 0
            && index + BUNDLE_ENTRIES <= head.size
            && let Some((bad, root)) = entries.begin(index / BUNDLE_ENTRIES)?
        {
            bad_bundles.push(BadBundle::of(index / BUNDLE_ENTRIES, root, &bad));
            builder = pass_over(trees, index / BUNDLE_ENTRIES, root)?;
            (link, index) = (None, index + BUNDLE_ENTRIES);
            continue;
        }
        let bytes = entries.entry(index)?.ok_or(IntegrityError::EntryMissing(index))?;
        entry_bytes += bytes.len() as u64;
        let entry = Entry::parse(&bytes).map_err(|error| IntegrityError::EntryInvalid { index, error })?;
        let at = (&entry.at.log_id, entry.at.epoch, entry.at.index);
        if at != (&log.id, log.epoch, index) || link.is_some_and(|link| entry.previous != link) {
            return Err(IntegrityError::EntryMisplaced(index));
        }
        link = Some(entry.link());
        if let Some(decided) = Decided::of(&entry) {
            records.compare(index, &decided, trees.value(&decided.key())?);
        }
        for (id, hash) in builder.push(entry.leaf_hash()).map_err(|error| StorageError::new(&error))? {
            let is_right = match trees.node(id)? {
                Some(found) => found == hash,
                // Below the root of a bundle in a file there is nothing but the file, which that root vouches for.
                None => id.level < ROOT_LEVEL && entries.has_read(index),
            };
            if !is_right {
                return Err(IntegrityError::Node(id));
            }
        }
        index += 1;
    }
    // Of a bad file nothing tells which link its last entry has.
    if link.is_some_and(|link| link != head.last_link) {
        return Err(IntegrityError::LastLink);
    }
    let found = trees.last_entry()?.map_or(0, |last| last.saturating_add(1));
    if found != head.size {
        return Err(IntegrityError::Surplus { found, due: head.size });
    }
    Ok(Log { root: builder.root(), bad_bundles, entry_bytes })
}

/// Go on after a bundle of which nothing but its root is known: the nodes above it have to be right.
fn pass_over(trees: &Trees, bundle: u64, root: Hash) -> Result<TreeBuilder, IntegrityError> {
    let (mut id, mut hash) = (NodeId { level: ROOT_LEVEL, index: bundle }, root);
    while id.index % 2 == 1 {
        let left = NodeId { index: id.index - 1, ..id };
        let left = trees.node(left)?.ok_or(IntegrityError::Node(left))?;
        id = NodeId { level: id.level + 1, index: id.index / 2 };
        // A tree of two leaves is one node over them.
        hash = root_of(&[left, hash]);
        if trees.node(id)? != Some(hash) {
            return Err(IntegrityError::Node(id));
        }
    }
    let builder = TreeBuilder::load(last_of(bundle) + 1, |id| trees.node(id));
    builder.map_err(|error| IntegrityError::Storage(StorageError::new(&error)))
}

/// What a walk over the values found.
struct State {
    /// How many there are.
    values: u64,
    /// How many bytes they and their keys have in the engine.
    bytes: u64,
    records: RecordWalk,
}

fn verify_state(trees: &Trees, records: RecordWalk, log: &LogName, head: &Head) -> Result<State, IntegrityError> {
    let (mut state, mut after) = (State { values: 0, bytes: 0, records }, None);
    loop {
        let page = trees.scan(&KeyPrefix::everything(), after.as_ref(), PAGE_ITEMS_MAX, PAGE_BYTES_MAX)?;
        let last = page.items.last().map(|(key, _)| key.clone()).filter(|_| page.more);
        for (key, stored) in page.items {
            state.values += 1;
            state.bytes += (key.as_bytes().len() + stored.value.len()) as u64;
            if log.earlier_of(stored.version).is_none() && state.records.has_compared(&key, &stored) {
                verify_header(&key, &stored, log, head)?;
            } else if let Some(stored) = state.records.whole(&key, stored) {
                verify_value(&key, &stored, log, head)?;
            }
        }
        far::say("values looked at", state.values, 0);
        match last {
            Some(last) => after = Some(last),
            None => return Ok(state),
        }
    }
}

fn verify_header(key: &Key, stored: &Stored, log: &LogName, head: &Head) -> Result<(), IntegrityError> {
    let (version, entries_end) = (stored.version, stored.entries.end);
    let size = log.earlier_of(version).map_or(head.size, |earlier| earlier.size);
    if version > head.version || entries_end > size {
        return Err(IntegrityError::Ahead { key: key.clone(), version, entries_end });
    }
    Ok(())
}

fn verify_value(key: &Key, stored: &Stored, log: &LogName, head: &Head) -> Result<(), IntegrityError> {
    verify_header(key, stored, log, head)?;
    if key.kind().is_some_and(KeyKind::is_counter) {
        stored.count(key).map_err(IntegrityError::Value)?;
        return Ok(());
    }
    records::check(key, &stored.value).map_err(IntegrityError::Value)
}
