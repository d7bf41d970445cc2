//! The walk itself: entry by entry, with the tree over them, and then value by value.

use std::path::Path;

use attorn_log::{Entry, Hash, Link, NodeId, TreeBuilder};

use super::{BadBundle, Integrity, IntegrityError, Uncompared, Walked};
use crate::bundled::{BUNDLE_ENTRIES, Bundled, InOrder, ROOT_LEVEL, last_of, root_of};
use crate::decided::Decided;
use crate::error::StorageError;
use crate::far;
use crate::head::{Head, LogName};
use crate::imprint::{self, ForeignState, ImprintKey};
use crate::key::{Key, KeyKind, KeyPrefix};
use crate::named::{export_path, read_export};
use crate::named_records::{NamedRecords, Stand};
use crate::places::Places;
use crate::read::{PAGE_BYTES_MAX, PAGE_ITEMS_MAX};
use crate::record_walk::RecordWalk;
use crate::records::{self, LogEpochRecord, Record as _};
use crate::trees::{Stored, Trees};

/// What becomes of the epochs that have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// What is kept of them is read from end to end, and decision records are compared with it.
    Read,
    /// It is not, where nobody may wait for that: it takes as long as all that was ever decided.
    Passed,
}

/// What is walked: trees to which nothing is applied meanwhile, and the files of a directory.
pub(super) struct Walk<'a> {
    pub(super) trees: &'a Trees,
    pub(super) bundled: &'a Bundled,
    pub(super) dir: &'a Path,
    pub(super) log: &'a LogName,
    pub(super) imprint: (&'a ImprintKey, ForeignState),
    pub(super) ended: Ended,
}

/// The walk over trees that are no open store's.
pub(crate) fn verify_in(
    places: &Places,
    trees: &Trees,
    (log, imprint): (&LogName, (&ImprintKey, ForeignState)),
    (version, ended): (u64, Ended),
) -> Result<Walked, IntegrityError> {
    let bundled = Bundled::of(&places.log, log.epoch);
    Walk { trees, bundled: &bundled, dir: &places.dir, log, imprint, ended }.verify(version)
}

impl Walk<'_> {
    pub(super) fn verify(&self, version: u64) -> Result<Walked, IntegrityError> {
        let Self { trees, log, imprint: (key, foreign), .. } = *self;
        let mut records = RecordWalk::within(self.dir);
        records.accept_all(trees)?;
        let (name, head) = trees.head()?.ok_or(IntegrityError::Head)?;
        if name != *log || head.version != version {
            return Err(IntegrityError::Head);
        }
        let uncompared = self.ended_epochs(&mut records.named)?;
        let Log { root, bad_bundles, entry_bytes } = verify_log(trees, (self.bundled, &mut records.named), log, &head)?;
        let State { values, bytes: state_bytes } = verify_state(trees, &mut records, Stand { log, head: &head })?;
        if foreign == ForeignState::Refused {
            imprint::check(key, trees, log, &head)?;
        }
        let integrity = Integrity { version: head.version, entries: head.size, values, digest: trees.digest(root)? };
        let lost_records = records.known_lost();
        let (bad_records, bad_decisions) = records.into_bad(log.epoch);
        Ok(Walked {
            integrity,
            bad_bundles,
            bad_records,
            bad_decisions,
            lost_records,
            uncompared,
            entry_bytes,
            state_bytes,
        })
    }

    /// Read what is kept of the epochs that have ended. What is wrong with it is said, if anything is.
    fn ended_epochs(&self, named: &mut NamedRecords) -> Result<Vec<Uncompared>, IntegrityError> {
        let (prefix, mut after, mut uncompared) = (KeyPrefix::kind(KeyKind::LogEpoch), None, Vec::new());
        if self.ended != Ended::Read {
            return Ok(uncompared);
        }
        loop {
            let page = self.trees.scan(&prefix, after.as_ref(), PAGE_ITEMS_MAX, PAGE_BYTES_MAX)?;
            after = page.items.last().map(|(key, _)| key.clone()).filter(|_| page.more);
            for (key, stored) in &page.items {
                let record = LogEpochRecord::decode(key, &stored.value).map_err(IntegrityError::Value)?;
                let (path, epoch) = (export_path(self.dir, record.epoch()), record.epoch());
                uncompared.extend(read_export(&path, &record, named).map(|problem| {
                    let why = format!(
                        "the records of the decisions of epoch {epoch} can be compared with no entries: `{}`: {problem}",
                        path.display()
                    );
                    Uncompared { epoch, why, is_missing: !path.try_exists().unwrap_or(true) }
                }));
            }
            if after.is_none() {
                break;
            }
        }
        Ok(uncompared)
    }
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
    (bundled, named): (&Bundled, &mut NamedRecords),
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
        named.take(log.epoch, index, Decided::of(&entry).as_ref());
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
}

fn verify_state(trees: &Trees, records: &mut RecordWalk, stand: Stand<'_>) -> Result<State, IntegrityError> {
    let (mut state, mut after) = (State { values: 0, bytes: 0 }, None);
    loop {
        let page = trees.scan(&KeyPrefix::everything(), after.as_ref(), PAGE_ITEMS_MAX, PAGE_BYTES_MAX)?;
        let last = page.items.last().map(|(key, _)| key.clone()).filter(|_| page.more);
        for (key, stored) in page.items {
            state.values += 1;
            state.bytes += (key.as_bytes().len() + stored.value.len()) as u64;
            // No imprint is over those, and whatever one says is no reason to end.
            if key.kind() == Some(KeyKind::Decision) {
                records.look(stand, &key, &stored);
            } else {
                verify_value(&key, &stored, stand)?;
            }
        }
        far::say("values looked at", state.values, 0);
        match last {
            Some(last) => after = Some(last),
            None => return Ok(state),
        }
    }
}

fn verify_value(key: &Key, stored: &Stored, Stand { log, head }: Stand<'_>) -> Result<(), IntegrityError> {
    let (version, entries_end) = (stored.version, stored.entries.end);
    let size = log.earlier_of(version).map_or(head.size, |earlier| earlier.size);
    if version > head.version || entries_end > size {
        return Err(IntegrityError::Ahead { key: key.clone(), version, entries_end });
    }
    if key.kind().is_some_and(KeyKind::is_counter) {
        stored.count(key).map_err(IntegrityError::Value)?;
        return Ok(());
    }
    records::check(key, &stored.value).map_err(IntegrityError::Value)
}
