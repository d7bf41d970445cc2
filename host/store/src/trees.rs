//! The three trees on disk and the bytes in them. Nothing outside this module names a sled tree.
//!
//! ```text
//! state    key         → version (8) ‖ first entry (8) ‖ number of entries (2) ‖ value
//! entries  index (8)   → number of hashes (1) ‖ hashes (32 each) ‖ the entry's bytes, none if it is bundled
//! head     "head"      → format (1) ‖ JSON
//!          "store"     → the store's id (16)
//!          "filed"     → how many bundles' records were looked at to be filed (8), if any
//!          "imprint"   → by what the state is known to be ours, see [`crate::imprint`]
//! ```
//!
//! Numbers are big-endian. Version and entries are those of the batch that wrote the value, so that
//! every value leads to its line in the audit log. The hashes beside an entry are those of the nodes
//! of the log's tree that it made perfect, its leaf first: every node is made perfect by exactly one
//! entry, so a place of their own would only cost a write for each. Of a bundle of entries that is in a file only the last record
//! is left, see [`crate::bundled`]. Of a decision record that is filed there is no value but where it is, see
//! [`crate::filed`].

mod digest;
mod entries;

use std::ops::{Bound, Range};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use attorn_log::Epoch;
use sled::Transactional as _;
use sled::transaction::{ConflictableTransactionError, TransactionError};

use crate::error::StorageError;
use crate::filed::Filed;
use crate::files::check_engine;
use crate::frame::StoreId;
use crate::group::Group;
use crate::head::{self, Head, LogName};
use crate::key::{Key, KeyPrefix};
use crate::records::{RecordError, RecordProblem};
use crate::redo::{Redo, Write};

pub(crate) use entries::{NewEntry, Record, entry_in, row_in};

const CACHE_BYTES: u64 = 256 << 20;
const HEADER_BYTES: usize = 18;
pub(crate) const HEAD_KEY: &[u8] = b"head";
const STORE_KEY: &[u8] = b"store";
const FILED_KEY: &[u8] = b"filed";
pub(crate) const IMPRINT_KEY: &[u8] = b"imprint";

/// A tree. Writes name theirs by it, in the journal and in base copies, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TreeName {
    State,
    Entries,
    Head,
}

impl TreeName {
    /// All of them, in the order of their numbers.
    pub(crate) const ALL: [Self; 3] = [Self::State, Self::Entries, Self::Head];

    /// Its number on disk. None is ever given twice.
    pub(crate) const fn number(self) -> u8 {
        self as u8
    }

    pub(crate) fn of_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    pub(crate) fn next(self) -> Option<Self> {
        Self::of_number(self.number() + 1)
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Entries => "entries",
            Self::Head => "head",
        }
    }
}

/// Keys and their values, as they stand in a tree.
pub(crate) type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// What stands under a key, header and all. A clone copies nothing.
pub(crate) type Raw = sled::IVec;

/// A value as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    /// The batch that wrote it.
    pub(crate) version: u64,
    /// The entries of that batch.
    pub(crate) entries: Range<u64>,
    /// The value.
    pub(crate) value: Vec<u8>,
}

impl Stored {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        // A batch has far fewer entries than fit; were it otherwise, too few would be named.
        let count = u16::try_from(self.entries.end - self.entries.start).unwrap_or(u16::MAX);
        let mut bytes = Vec::with_capacity(HEADER_BYTES + self.value.len());
        bytes.extend_from_slice(&self.version.to_be_bytes());
        bytes.extend_from_slice(&self.entries.start.to_be_bytes());
        bytes.extend_from_slice(&count.to_be_bytes());
        bytes.extend_from_slice(&self.value);
        bytes
    }

    pub(crate) fn parse(key: &Key, bytes: &[u8]) -> Result<Self, RecordError> {
        let parse = || {
            let (version, rest) = bytes.split_first_chunk()?;
            let (start, rest) = rest.split_first_chunk()?;
            let (count, value) = rest.split_first_chunk()?;
            let (start, count) = (u64::from_be_bytes(*start), u16::from_be_bytes(*count));
            let entries = start..start.checked_add(count.into())?;
            Some(Self { version: u64::from_be_bytes(*version), entries, value: value.to_vec() })
        };
        parse().ok_or_else(|| RecordError::new(key, RecordProblem::Header))
    }

    /// The version alone.
    pub(crate) fn version_in(key: &Key, bytes: &[u8]) -> Result<u64, RecordError> {
        let version = bytes.first_chunk().copied().map(u64::from_be_bytes);
        version.ok_or_else(|| RecordError::new(key, RecordProblem::Header))
    }

    /// The value as a counter's.
    pub(crate) fn count(&self, key: &Key) -> Result<u64, RecordError> {
        let bytes = self.value.as_slice().try_into();
        bytes.map(u64::from_be_bytes).map_err(|_| RecordError::new(key, RecordProblem::NotACounter))
    }
}

/// Why a stored value could not be had.
pub(crate) enum ValueError {
    Storage(StorageError),
    Invalid(RecordError),
}

impl From<StorageError> for ValueError {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

/// Values in the order of their keys, and whether there are more.
pub(crate) struct Scanned {
    pub(crate) items: Vec<(Key, Stored)>,
    pub(crate) more: bool,
}

/// The open engine. It is closed when the last clone goes.
#[derive(Clone)]
pub(crate) struct Trees {
    db: sled::Db,
    /// One for each name, by number.
    by_number: Vec<sled::Tree>,
    /// How many bytes were taken over since the last flush.
    taken: Arc<AtomicUsize>,
}

/// How much is taken over before the engine is flushed.
///
/// The engine writes its segments, and shortens its file, with seven threads, and has no more of them when all are busy.
/// Whoever needs a segment where the file is being shortened waits for that, and all who have written one wait for him:
/// if seven have, nobody is left to shorten the file, and all wait for ever. A segment has 512 KiB, and a page that
/// changes is written anew, so what is taken over in one go has to be less than seven of them.
const TAKEN_BYTES_MAX: usize = 512 << 10;

/// How long to wait for the engine's own lock. Whoever opens the trees holds the directory's lock, so nobody
/// has them open; but a process that is just being started has all files of this one until it has become
/// another program, those that this one has closed meanwhile among them.
pub(crate) const LOCK_WAIT: Duration = Duration::from_secs(2);
pub(crate) const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// The engine gives this error a text and no kind of its own.
pub(crate) fn is_locked(error: &sled::Error) -> bool {
    error.to_string().contains("could not acquire lock")
}

impl Trees {
    pub(crate) fn open(path: &Path) -> Result<Self, StorageError> {
        check_engine(path)?;
        // The engine's own thread would sync at times that nobody waits for, and badly.
        let config = sled::Config::new().path(path).cache_capacity(CACHE_BYTES).flush_every_ms(None);
        let began = Instant::now();
        let db = loop {
            match config.open() {
                Err(error) if is_locked(&error) && began.elapsed() < LOCK_WAIT => std::thread::sleep(LOCK_PAUSE),
                opened => break opened?,
            }
        };
        let by_number = TreeName::ALL.iter().map(|name| db.open_tree(name.as_str())).collect::<Result<_, _>>()?;
        Ok(Self { db, by_number, taken: Arc::default() })
    }

    fn tree(&self, name: TreeName) -> &sled::Tree {
        &self.by_number[usize::from(name.number())]
    }

    /// Which store this is.
    pub(crate) fn store_id(&self) -> Result<Option<StoreId>, StorageError> {
        let Some(bytes) = self.tree(TreeName::Head).get(STORE_KEY)? else { return Ok(None) };
        let id = bytes.as_ref().try_into().map_err(|_| StorageError::new(&"the store's id is no id"))?;
        Ok(Some(StoreId(id)))
    }

    /// What stands in a tree after a key, until there is more than so much of it.
    pub(crate) fn page(&self, tree: TreeName, after: Option<&[u8]>, bytes_max: usize) -> Result<Pairs, StorageError> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let (mut pairs, mut bytes) = (Vec::new(), 0);
        for pair in self.tree(tree).range::<&[u8], _>((start, Bound::Unbounded)) {
            let (key, value) = pair?;
            bytes += key.len() + value.len();
            pairs.push((key.to_vec(), value.to_vec()));
            if bytes > bytes_max {
                break;
            }
        }
        Ok(pairs)
    }

    pub(crate) fn value(&self, key: &Key) -> Result<Option<Stored>, ValueError> {
        let bytes = self.tree(TreeName::State).get(key.as_bytes()).map_err(StorageError::from)?;
        bytes.map(|bytes| Stored::parse(key, &bytes)).transpose().map_err(ValueError::Invalid)
    }

    /// The first values with this prefix after a key, until there are `limit` of them or they have
    /// more than `bytes_max` bytes.
    pub(crate) fn scan(
        &self,
        prefix: &KeyPrefix,
        after: Option<&Key>,
        limit: usize,
        bytes_max: usize,
    ) -> Result<Scanned, ValueError> {
        let start = match after {
            // A cursor before the prefix, as one of another kind may be, must not widen the scan.
            Some(after) if after.as_bytes() >= prefix.as_bytes() => Bound::Excluded(after.as_bytes()),
            _ => Bound::Included(prefix.as_bytes()),
        };
        let (mut items, mut bytes) = (Vec::new(), 0);
        for pair in self.tree(TreeName::State).range::<&[u8], _>((start, Bound::Unbounded)) {
            let (key, value) = pair.map_err(StorageError::from)?;
            if !key.starts_with(prefix.as_bytes()) {
                break;
            }
            if items.len() >= limit || bytes > bytes_max {
                return Ok(Scanned { items, more: true });
            }
            let key = Key::from_stored(&key);
            let stored = Stored::parse(&key, &value).map_err(ValueError::Invalid)?;
            // Whoever wants it whole gets it whole.
            bytes += Filed::of(&key, &stored.value).map_or(value.len(), |filed| filed.length());
            items.push((key, stored));
        }
        Ok(Scanned { items, more: false })
    }

    pub(crate) fn head(&self) -> Result<Option<(LogName, Head)>, StorageError> {
        let Some(bytes) = self.tree(TreeName::Head).get(HEAD_KEY)? else {
            return Ok(None);
        };
        head::parse(&bytes).map(Some)
    }

    /// Make all writes, or none.
    pub(crate) fn apply(&self, writes: &[Write]) -> Result<(), StorageError> {
        let result = self.by_number.as_slice().transaction(|trees| {
            for Write { tree, key, value } in writes {
                let tree = &trees[usize::from(tree.number())];
                match value {
                    Some(value) => tree.insert(key.as_slice(), value.as_slice())?,
                    None => tree.remove(key.as_slice())?,
                };
            }
            Ok::<(), ConflictableTransactionError<()>>(())
        });
        result.map_err(|error| match error {
            TransactionError::Storage(error) => error.into(),
            TransactionError::Abort(()) => StorageError::new(&"the transaction was aborted"),
        })
    }

    /// The same, for writes that stand elsewhere and are taken over one after another, as fast as that goes.
    pub(crate) fn take_over(&self, writes: &[Write]) -> Result<(), StorageError> {
        self.apply(writes)?;
        let bytes = writes.iter().map(|write| write.key.len() + write.value.as_ref().map_or(0, Vec::len)).sum();
        if self.taken.fetch_add(bytes, Ordering::Relaxed) + bytes >= TAKEN_BYTES_MAX {
            self.taken.store(0, Ordering::Relaxed);
            self.flush()?;
        }
        Ok(())
    }

    /// What stands in the state under a key, header and all.
    pub(crate) fn raw(&self, key: &Key) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(self.raw_at(key.as_bytes())?.map(|bytes| bytes.to_vec()))
    }

    /// The same, of a key as it is stored.
    pub(crate) fn raw_at(&self, key: &[u8]) -> Result<Option<Raw>, StorageError> {
        Ok(self.tree(TreeName::State).get(key)?)
    }

    /// What is kept of the state's imprint.
    pub(crate) fn imprint(&self) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(self.tree(TreeName::Head).get(IMPRINT_KEY)?.map(|row| row.to_vec()))
    }

    /// Put something else under a key of the state, if this is still what stands there.
    pub(crate) fn replace(&self, key: &Key, from: &[u8], to: &[u8]) -> Result<(), StorageError> {
        // Where it is not any more, somebody wrote it once more, and that is what counts.
        let _ = self.tree(TreeName::State).compare_and_swap(key.as_bytes(), Some(from), Some(to))?;
        Ok(())
    }

    /// How many bundles' records were looked at to be filed.
    pub(crate) fn filed(&self) -> Result<u64, StorageError> {
        let mark = self.tree(TreeName::Head).get(FILED_KEY)?;
        // One that cannot be read says nothing, and all are looked at again.
        Ok(mark.and_then(|mark| mark.as_ref().try_into().ok()).map_or(0, u64::from_be_bytes))
    }

    pub(crate) fn mark_filed(&self, bundles: u64) -> Result<(), StorageError> {
        self.tree(TreeName::Head).insert(FILED_KEY, bundles.to_be_bytes().to_vec())?;
        Ok(())
    }

    /// Forget that mark: it says nothing about values that were put together from elsewhere.
    pub(crate) fn forget_filed(&self) -> Result<(), StorageError> {
        self.tree(TreeName::Head).remove(FILED_KEY)?;
        Ok(())
    }

    pub(crate) fn flush(&self) -> Result<(), StorageError> {
        self.db.flush()?;
        Ok(())
    }
}

/// What a group comes to.
pub(crate) fn redo_of(log: &LogName, group: &Group<'_>) -> Redo {
    let changes = group.changes.iter().map(|(key, change)| Write {
        tree: TreeName::State,
        key: key.as_bytes().to_vec(),
        value: change.as_ref().map(Stored::to_bytes),
    });
    let entries = group.entries.iter().map(|entry| Write {
        tree: TreeName::Entries,
        key: entry.index.to_be_bytes().to_vec(),
        value: Some(entry.to_bytes()),
    });
    let writes = changes.chain(entries).chain([head_write(log, &group.head)]).collect();
    Redo { from: group.from, to: group.head.version, writes }
}

/// The write that says where the store stands.
pub(crate) fn head_write(log: &LogName, head: &Head) -> Write {
    Write { tree: TreeName::Head, key: HEAD_KEY.to_vec(), value: Some(head::encode(log, head)) }
}

/// The write that keeps the imprint of the state.
pub(crate) fn imprint_write(row: Vec<u8>) -> Write {
    Write { tree: TreeName::Head, key: IMPRINT_KEY.to_vec(), value: Some(row) }
}

/// The write that says which store it is.
pub(crate) fn store_id_write(id: StoreId) -> Write {
    Write { tree: TreeName::Head, key: STORE_KEY.to_vec(), value: Some(id.0.to_vec()) }
}

/// The epoch of the log, if it is the head that is written.
pub(crate) fn epoch_in(write: &Write) -> Option<Epoch> {
    let is_head = write.tree == TreeName::Head && write.key == HEAD_KEY;
    let (name, _) = is_head.then(|| head::parse(write.value.as_ref()?).ok()).flatten()?;
    Some(name.epoch)
}
