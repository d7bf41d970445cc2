//! A group: the batches that become durable together, one after the other.
//!
//! Each batch is checked against the state and all batches of the group before it, and either adds its
//! changes to the group's or leaves no trace. Nothing is written here.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use attorn_core::TimeMs;
use attorn_log::tree::leaf_hash;
use attorn_log::{Entry, EntryBody, EntryRef, TreeBuilder};

use crate::batch::{Batch, Require};
use crate::commit::Committed;
use crate::error::{CommitError, StorageError};
use crate::head::{Head, LogName};
use crate::key::Key;
use crate::trees::{NewEntry, Raw, Stored, Trees, ValueError};

/// Why a batch does not happen.
enum Refusal {
    /// It is the batch: the others go on.
    Batch(CommitError),
    /// It is the store.
    Store(StorageError),
}

impl From<StorageError> for Refusal {
    fn from(error: StorageError) -> Self {
        Self::Store(error)
    }
}

impl From<ValueError> for Refusal {
    fn from(error: ValueError) -> Self {
        match error {
            ValueError::Storage(error) => Self::Store(error),
            // One value that nobody can read must not end all that never touch it.
            ValueError::Invalid(error) => Self::Batch(CommitError::Invalid(Arc::new(error))),
        }
    }
}

pub(crate) struct Group<'a> {
    trees: &'a Trees,
    log: &'a LogName,
    /// The version that it begins with.
    pub(crate) from: u64,
    /// The head that this group leads to.
    pub(crate) head: Head,
    /// The right edge of the tree that this group leads to.
    pub(crate) tree: TreeBuilder,
    /// What each changed key comes to; `None` removes it.
    pub(crate) changes: HashMap<Key, Option<Stored>>,
    /// The new entries, as [`Self::link`] makes them.
    pub(crate) entries: Vec<NewEntry>,
    /// Whether any of its batches may end what hangs on something.
    pub(crate) may_end_something: bool,
    /// Those that are not made yet: where each stands, and what it says.
    bodies: Vec<(EntryRef, EntryBody)>,
    /// What stood under keys before the group, of those that were read: many batches name the same ones.
    read: HashMap<Key, Option<Raw>>,
}

impl<'a> Group<'a> {
    pub(crate) fn new(trees: &'a Trees, log: &'a LogName, head: Head, tree: TreeBuilder) -> Self {
        let (changes, read) = (HashMap::new(), HashMap::new());
        Self {
            trees,
            log,
            from: head.version,
            head,
            tree,
            changes,
            entries: Vec::new(),
            bodies: Vec::new(),
            read,
            may_end_something: false,
        }
    }

    /// Let one batch happen, or say why it does not. An outer error is a failure of the store.
    pub(crate) fn take(&mut self, batch: Batch) -> Result<Result<Committed, CommitError>, StorageError> {
        match self.happen(batch) {
            Ok(committed) => Ok(Ok(committed)),
            Err(Refusal::Batch(error)) => Ok(Err(error)),
            Err(Refusal::Store(error)) => Err(error),
        }
    }

    fn happen(&mut self, batch: Batch) -> Result<Committed, Refusal> {
        let conflicts = self.conflicts(&batch.require, batch.now)?;
        if !conflicts.is_empty() {
            return Err(Refusal::Batch(CommitError::Conflict(conflicts)));
        }
        let may_end_something = batch.may_end_something();
        let mut counts = HashMap::new();
        for add in batch.add {
            let found = self.count(&add.key)?;
            let so_far = counts.get(&add.key).copied().unwrap_or(found);
            match so_far.checked_add_signed(add.delta).filter(|&count| count <= add.at_most) {
                Some(count) => counts.insert(add.key, count),
                None => return Err(Refusal::Batch(CommitError::LimitExceeded { key: add.key, found })),
            };
        }
        self.may_end_something |= may_end_something;
        let version = self.head.version + 1;
        let start = self.head.size;
        let entries = self.append(batch.entries);
        let stored = |value| Some(Stored { version, entries: start..start + entries.len() as u64, value });
        self.changes.extend(counts.into_iter().map(|(key, count)| (key, stored(count.to_be_bytes().to_vec()))));
        self.changes.extend(batch.put.into_iter().map(|(key, value)| (key, stored(value))));
        self.changes.extend(batch.delete.into_iter().map(|key| (key, None)));
        self.head.version = version;
        Ok(Committed { version, entries })
    }

    /// Whether any batch happened.
    pub(crate) fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.entries.is_empty() && self.bodies.is_empty()
    }

    /// Make the entries of all its batches: each names the link of the one before it, and is a leaf of the tree. All
    /// that the log costs the writer is here, but for the storing of what comes of it.
    pub(crate) fn link(&mut self) -> Result<(), StorageError> {
        for (at, body) in std::mem::take(&mut self.bodies) {
            let entry = Entry { at, previous: self.head.last_link, body };
            let bytes = entry.to_bytes();
            let nodes = self.tree.push(leaf_hash(&bytes)).map_err(|error| StorageError::new(&error))?;
            self.entries.push(NewEntry { index: entry.at.index, nodes, bytes });
            self.head.last_link = entry.link();
        }
        Ok(())
    }

    /// The keys that it removes.
    pub(crate) fn deleted(&self) -> HashSet<Key> {
        let removed = self.changes.iter().filter(|(_, change)| change.is_none());
        removed.map(|(key, _)| key.clone()).collect()
    }

    /// The keys whose requirement does not hold, each once.
    fn conflicts(&mut self, require: &[(Key, Require)], now: TimeMs) -> Result<Vec<Key>, ValueError> {
        let mut seen = HashSet::new();
        let mut conflicts = Vec::new();
        for (key, require) in require {
            let version = match self.changes.get(key) {
                Some(change) => change.as_ref().map(|stored| stored.version),
                None => self.version_before(key)?,
            };
            let holds = match *require {
                Require::Absent => version.is_none(),
                Require::Version(required) => version == Some(required),
                Require::Unexpired { expires_at } => version.is_some() && now < expires_at,
            };
            if !holds && seen.insert(key) {
                conflicts.push(key.clone());
            }
        }
        Ok(conflicts)
    }

    /// What stood under a key before this group, of which nothing is applied yet: read once, and not at all where it is
    /// known from a requirement.
    pub(crate) fn before(&self, key: &[u8]) -> Result<Option<Raw>, StorageError> {
        match self.read.get(key) {
            Some(before) => Ok(before.clone()),
            None => self.trees.raw_at(key),
        }
    }

    /// The same, and keep it for the next who asks.
    fn read(&mut self, key: &Key) -> Result<Option<Raw>, StorageError> {
        if let Some(before) = self.read.get(key) {
            return Ok(before.clone());
        }
        let before = self.trees.raw_at(key.as_bytes())?;
        self.read.insert(key.clone(), before.clone());
        Ok(before)
    }

    fn version_before(&mut self, key: &Key) -> Result<Option<u64>, ValueError> {
        let version = self.read(key)?.map(|before| Stored::version_in(key, &before));
        version.transpose().map_err(ValueError::Invalid)
    }

    fn count(&mut self, key: &Key) -> Result<u64, ValueError> {
        let count = match self.changes.get(key) {
            Some(change) => change.as_ref().map(|stored| stored.count(key)),
            None => self.read(key)?.map(|before| Stored::parse(key, &before).and_then(|stored| stored.count(key))),
        };
        Ok(count.transpose().map_err(ValueError::Invalid)?.unwrap_or(0))
    }

    /// Give entries their places.
    fn append(&mut self, bodies: Vec<EntryBody>) -> Vec<EntryRef> {
        let from = self.bodies.len();
        for body in bodies {
            let at = EntryRef { log_id: self.log.id.clone(), epoch: self.log.epoch, index: self.head.size };
            self.head.size += 1;
            self.bodies.push((at, body));
        }
        self.bodies[from..].iter().map(|(at, _)| at.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use attorn_log::Link;
    use tempfile::TempDir;

    use super::*;
    use crate::fixtures::{add, batch, counter, log, meta};
    use crate::open::FIRST_EPOCH;
    use crate::redo::Write;
    use crate::trees::TreeName;

    #[test]
    fn what_a_batch_was_checked_against_is_not_read_again() {
        let dir = TempDir::new().unwrap();
        let trees = Trees::open(dir.path()).unwrap();
        let write = |key: &Key, count: u64| {
            let stored = Stored { version: count, entries: 0..0, value: count.to_be_bytes().to_vec() };
            let write = Write { tree: TreeName::State, key: key.as_bytes().to_vec(), value: Some(stored.to_bytes()) };
            trees.apply(&[write]).unwrap();
        };
        write(&meta(2), 7);
        write(&counter(3), 4);
        let log = LogName { id: log(), epoch: FIRST_EPOCH, earlier: Vec::new() };
        let head = Head { version: 9, size: 0, last_link: Link::NONE };
        let mut group = Group::new(&trees, &log, head, TreeBuilder::new());
        let checked = batch(|batch| {
            batch.require = vec![(meta(1), Require::Absent), (meta(2), Require::Version(7))];
            batch.put = vec![(meta(1), b"new".to_vec()), (meta(4), b"unasked".to_vec())];
            batch.add = vec![add(3, 1, 9)];
        });
        group.take(checked).unwrap().unwrap();
        // Nobody else writes meanwhile. If somebody did, it would show who reads twice.
        let all = [meta(1), meta(2), counter(3), meta(4)];
        for key in &all {
            write(key, 1_000);
        }
        let before = all.each_ref().map(|key| {
            let raw = group.before(key.as_bytes()).unwrap();
            raw.map(|raw| Stored::parse(key, &raw).unwrap().version)
        });
        assert_eq!(before, [None, Some(7), Some(4), Some(1_000)]);
    }
}
