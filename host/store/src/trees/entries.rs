//! The records of entries in their tree, and what is left of those that are bundled.
//!
//! Where an entry is that has no bytes here is not known: see [`crate::bundled`].

use attorn_log::{Hash, NodeId};

use super::{TreeName, Trees};
use crate::bundled::{BUNDLE_ENTRIES, ROOT_LEVEL, last_of};
use crate::error::StorageError;
use crate::redo::Write;

const HASH_BYTES: usize = 32;

/// An entry that is to be stored, with the nodes of the tree that it makes perfect.
pub(crate) struct NewEntry {
    pub(crate) index: u64,
    pub(crate) nodes: Vec<(NodeId, Hash)>,
    pub(crate) bytes: Vec<u8>,
}

impl NewEntry {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        record_bytes(self.nodes.iter().map(|(_, hash)| hash), &self.bytes)
    }
}

/// What stands under the index of an entry.
pub(crate) struct Record {
    /// Those of the nodes that it made perfect, its leaf first.
    pub(crate) hashes: Vec<Hash>,
    /// Its bytes; none if they are in a file.
    pub(crate) bytes: Vec<u8>,
}

/// What was found when a bundle was looked for that is in no file.
pub(crate) struct Looked {
    /// All before this one are.
    pub(crate) bundle: u64,
    /// Whether this one is there and not bundled.
    pub(crate) found: bool,
    /// Whether there are more, if it was not found.
    pub(crate) more: bool,
}

fn record_bytes<'a>(hashes: impl ExactSizeIterator<Item = &'a Hash>, entry: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1 + HASH_BYTES * hashes.len() + entry.len());
    // A tree of 2^64 leaves has no more than 64 levels.
    bytes.push(u8::try_from(hashes.len()).unwrap_or(u8::MAX));
    hashes.for_each(|hash| bytes.extend_from_slice(&hash.0));
    bytes.extend_from_slice(entry);
    bytes
}

/// An entry that is written, or what is left of it once it is bundled.
pub(crate) struct EntryWrite<'a> {
    pub(crate) index: u64,
    /// The nodes that stand with it, its leaf first.
    pub(crate) hashes: &'a [[u8; HASH_BYTES]],
    /// None, if it is in a file.
    pub(crate) bytes: &'a [u8],
}

/// The entry that is written, if it is one.
pub(crate) fn entry_in(write: &Write) -> Option<EntryWrite<'_>> {
    let value = write.value.as_ref().filter(|_| write.tree == TreeName::Entries)?;
    let index = u64::from_be_bytes(write.key.as_slice().try_into().ok()?);
    let (hashes, bytes) = split_entry(index, value).ok()?;
    Some(EntryWrite { index, hashes, bytes })
}

impl EntryWrite<'_> {
    /// The root of its bundle, if it is the last of one.
    pub(crate) fn root(&self) -> Option<Hash> {
        self.hashes.get(usize::from(ROOT_LEVEL)).copied().map(Hash)
    }
}

/// A write of an entry: its index, and what is written.
pub(crate) type EntryRow = (u64, Option<Record>);

/// The same with all that stands there, and with what is none: it takes an entry away, or is in no form that one has.
pub(crate) fn row_in(write: &Write) -> Result<Option<EntryRow>, StorageError> {
    if write.tree != TreeName::Entries {
        return Ok(None);
    }
    let index = write.key.as_slice().try_into().map(u64::from_be_bytes);
    let index = index.map_err(|_| StorageError::new(&"an entry stands under something that is no index"))?;
    let Some(value) = &write.value else { return Ok(Some((index, None))) };
    let (hashes, bytes) = split_entry(index, value)?;
    let record = Record { hashes: hashes.iter().copied().map(Hash).collect(), bytes: bytes.to_vec() };
    Ok(Some((index, Some(record))))
}

impl Trees {
    /// What stands under the index of an entry.
    pub(crate) fn record(&self, index: u64) -> Result<Option<Record>, StorageError> {
        let Some(stored) = self.tree(TreeName::Entries).get(index.to_be_bytes())? else {
            return Ok(None);
        };
        let (hashes, bytes) = split_entry(index, &stored)?;
        Ok(Some(Record { hashes: hashes.iter().copied().map(Hash).collect(), bytes: bytes.to_vec() }))
    }

    /// The bytes of an entry, if the engine has them.
    pub(crate) fn entry(&self, index: u64) -> Result<Option<Vec<u8>>, StorageError> {
        let Some(stored) = self.tree(TreeName::Entries).get(index.to_be_bytes())? else {
            return Ok(None);
        };
        let (_, bytes) = split_entry(index, &stored)?;
        Ok((!bytes.is_empty()).then(|| bytes.to_vec()))
    }

    /// Look for a bundle, from this one on, of which there is more than is left of a bundled one; at so many records.
    pub(crate) fn first_unbundled(&self, from: u64, records_max: usize) -> Result<Looked, StorageError> {
        let mut bundle = from;
        let start = (from * BUNDLE_ENTRIES).to_be_bytes();
        for pair in self.tree(TreeName::Entries).range(start..).take(records_max) {
            let (key, value) = pair?;
            let index = key.as_ref().try_into().map(u64::from_be_bytes);
            let index = index.map_err(|_| StorageError::new(&"an entry stands under something that is no index"))?;
            bundle = index / BUNDLE_ENTRIES;
            if !split_entry(index, &value)?.1.is_empty() {
                return Ok(Looked { bundle, found: true, more: true });
            }
            bundle += 1;
        }
        Ok(Looked { bundle, found: false, more: bundle - from >= records_max as u64 })
    }

    /// Put a record under the index of an entry.
    pub(crate) fn put(&self, index: u64, record: &Record) -> Result<(), StorageError> {
        self.tree(TreeName::Entries).insert(index.to_be_bytes(), record_bytes(record.hashes.iter(), &record.bytes))?;
        Ok(())
    }

    /// Keep only this last record of a bundle. No transaction: whoever reads finds all of it in either place, however
    /// far this came.
    pub(crate) fn unload(&self, bundle: u64, last: &Record) -> Result<(), StorageError> {
        let (entries, end) = (self.tree(TreeName::Entries), last_of(bundle));
        self.put(end, last)?;
        for index in bundle * BUNDLE_ENTRIES..end {
            entries.remove(index.to_be_bytes())?;
        }
        Ok(())
    }

    /// The index of the last entry.
    pub(crate) fn last_entry(&self) -> Result<Option<u64>, StorageError> {
        let last = self.tree(TreeName::Entries).last()?;
        let index = last.map(|(key, _)| key.as_ref().try_into().map(u64::from_be_bytes));
        index.transpose().map_err(|_| StorageError::new(&"an entry stands under something that is no index"))
    }

    /// A perfect node of the log's tree, which stands with the last entry below it.
    pub(crate) fn node(&self, id: NodeId) -> Result<Option<Hash>, StorageError> {
        let end = id.index.checked_add(1).and_then(|next| next.checked_mul(1_u64.checked_shl(id.level.into())?));
        let Some(index) = end.map(|end| end - 1) else {
            return Ok(None);
        };
        let Some(stored) = self.tree(TreeName::Entries).get(index.to_be_bytes())? else {
            return Ok(None);
        };
        let (hashes, _) = split_entry(index, &stored)?;
        Ok(hashes.get(usize::from(id.level)).copied().map(Hash))
    }
}

/// The hashes and the bytes of a stored entry.
fn split_entry(index: u64, stored: &[u8]) -> Result<(&[[u8; HASH_BYTES]], &[u8]), StorageError> {
    let split = || {
        let (&count, rest) = stored.split_first()?;
        let (hashes, bytes) = rest.split_at_checked(usize::from(count) * HASH_BYTES)?;
        // How many nodes an entry makes perfect follows from its index.
        (u32::from(count) == index.trailing_ones() + 1).then_some((hashes.as_chunks().0, bytes))
    };
    split().ok_or_else(|| StorageError::new(&format_args!("entry {index} is stored in a broken form")))
}
