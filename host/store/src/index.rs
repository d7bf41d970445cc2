//! The query index: which entries of the audit log have a term, for whoever asks and does not want to read all of
//! them. What a term means is not known here; it stands here as a hash, so that nothing of an entry's text does.
//!
//! It follows the log and is no part of it: it has an engine and a directory of its own, is never synced before
//! anything is acknowledged, and whoever removes the directory loses nothing but the time to make it anew. What
//! cannot be trusted any more is thrown away and made anew, too: an index of another log or epoch, one that was made
//! from other entries, one that is damaged, and one that a power cut may have torn.
//!
//! ```text
//! postings  term (16) ‖ chunk (8)  → which entries of the chunk have it: see `chunk`
//! packs     the same of older chunks, many rows under one key: see `pack`
//! times     block (8)              → earliest (8) ‖ latest (8) time of its entries, in ms
//! meta      "log"                  → JSON: whose index it is, and whether it was closed
//! meta      "mark"                 → number of entries that it covers (8) ‖ digest of the last (16)
//! ```
//!
//! Beside the engine's files a plain one, `reached`, says how far it had come when it was written down last. An engine that
//! finds its files corrupt goes on with less, or with nothing, and says nothing of that.
//!
//! INVARIANT: a row only ever gains entries, until it is packed, and the mark is written after the rows that it speaks of. So a round
//! that was cut off is done again with the same rows: nothing is missing, and nothing stands twice. It is no
//! transaction of the engine, because those exclude each other over all engines of a process, and a decision would
//! wait for the index.

mod chunk;
mod compare;
mod open;
mod pack;
mod walk;

use std::fs::File;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LazyLock, PoisonError, RwLock, RwLockReadGuard};

use attorn_core::TimeMs;

use crate::caught::caught;
use crate::commit::Store;
use crate::error::{ReadError, StorageError};
use chunk::{CHUNK_ENTRIES, Chunk};
use open::Owner;

pub use open::Anew;
#[cfg(feature = "fuzz")]
pub(crate) use pack::{row, rows};
pub use walk::{Next, Order, Search, Walk};

/// What is said of files that the engine cannot read, whatever it says itself.
const CANNOT_BE_READ: &str = "the engine cannot read its files: they are damaged";

/// The times of how many entries are kept together.
const BLOCK_ENTRIES: u64 = 256;
const MARK_KEY: &[u8] = b"mark";

/// Something that an entry can be found by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Term([u8; 16]);

impl Term {
    /// The term of this text in this field, whose name has no NUL.
    #[must_use]
    pub fn of(field: &str, text: &str) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(field.as_bytes()).update(&[0]).update(text.as_bytes());
        Self(half(hasher.finalize()))
    }

    fn row(self, chunk: u64) -> [u8; 24] {
        let mut key = [0; 24];
        key[..16].copy_from_slice(&self.0);
        key[16..].copy_from_slice(&chunk.to_be_bytes());
        key
    }
}

fn half(hash: blake3::Hash) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.as_bytes()[..16]);
    bytes
}

/// What an entry can be found by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Indexed {
    /// When it was written.
    pub time: TimeMs,
    /// Its terms, in any order.
    pub terms: Vec<Term>,
}

/// What entries have that could not be read when they were added: nobody knows what else they have.
static UNREAD: LazyLock<Term> = LazyLock::new(|| Term::of("unread", ""));

impl Indexed {
    /// An entry that cannot be read. Whoever looks for anything is told of it.
    #[must_use]
    pub fn unread() -> Self {
        Self { time: TimeMs(0), terms: vec![*UNREAD] }
    }

    /// Between which times it may have been written.
    fn times_ms(&self) -> (u64, u64) {
        if self.terms == [*UNREAD] { (0, u64::MAX) } else { (self.time.0, self.time.0) }
    }
}

/// An index that is open. One writer adds; any number read.
pub struct EntryIndex {
    engine: sled::Db,
    postings: sled::Tree,
    packs: sled::Tree,
    times: sled::Tree,
    meta: sled::Tree,
    /// Our own handle of the engine's file.
    file: File,
    dir: PathBuf,
    owner: Owner,
    covered: RwLock<Covered>,
    /// How many chunks are packed.
    packed: RwLock<u64>,
    /// How many chunks are packed at a time. Tests hurry.
    volume_chunks: u64,
    /// Whether the engine could not do something that it was asked for.
    failed: AtomicBool,
}

/// How far it reaches.
#[derive(Debug, Clone, Default)]
struct Covered {
    through: u64,
    /// The digest of the last entry.
    last: [u8; 16],
    blocks: Vec<Block>,
}

/// The earliest and the latest time of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Block {
    earliest: u64,
    latest: u64,
}

impl EntryIndex {
    /// How many entries it covers, from the first on.
    #[must_use]
    pub fn through(&self) -> u64 {
        self.covered().through
    }

    /// Whether the last entry that it covers is the one that the log has there.
    pub fn follows(&self, store: &Store) -> Result<bool, ReadError> {
        let (through, last) = {
            let covered = self.covered();
            (covered.through, covered.last)
        };
        let Some(index) = through.checked_sub(1) else { return Ok(true) };
        Ok(store.entry(index)?.is_some_and(|bytes| half(blake3::hash(&bytes)) == last))
    }

    /// Walk through the entries among these that could not be read when they were added.
    #[must_use]
    pub fn walk_unread(&self, within: Range<u64>, order: Order, steps_max: u64) -> Walk<'_> {
        self.walk(Search { terms: vec![*UNREAD], times_ms: (0, u64::MAX), within, order }, steps_max)
    }

    /// Add the entries that come next. `last` is the bytes of the last of them; none if it cannot be read.
    pub fn add(&self, entries: &[Indexed], last: &[u8]) -> Result<(), StorageError> {
        self.readable(|| self.add_next(entries, last))
    }

    fn add_next(&self, entries: &[Indexed], last: &[u8]) -> Result<(), StorageError> {
        let mut covered = self.covered().clone_mark();
        let from = covered.through;
        let pairs = (from..).zip(entries).flat_map(|(at, entry)| entry.terms.iter().map(move |term| (*term, at)));
        let mut pairs: Vec<(Term, u64)> = pairs.collect();
        pairs.sort_unstable();
        for row in pairs.chunk_by(|one, other| (one.0, one.1 / CHUNK_ENTRIES) == (other.0, other.1 / CHUNK_ENTRIES)) {
            let key = row[0].0.row(row[0].1 / CHUNK_ENTRIES);
            let mut chunk = match self.postings.get(key)? {
                Some(stored) => Chunk::decode(&stored)?,
                None => Chunk::EMPTY,
            };
            for (_, at) in row {
                chunk.set(at % CHUNK_ENTRIES);
            }
            self.postings.insert(key, chunk.encode())?;
        }
        let blocks = self.add_times(from, entries)?;
        covered.through = from + entries.len() as u64;
        covered.last = half(blake3::hash(last));
        self.meta.insert(MARK_KEY, [&covered.through.to_be_bytes()[..], &covered.last].concat())?;
        let mut now = self.covered.write().unwrap_or_else(PoisonError::into_inner);
        (now.through, now.last) = (covered.through, covered.last);
        for (at, block) in blocks {
            match now.blocks.get_mut(at) {
                Some(known) => *known = block,
                None => now.blocks.push(block),
            }
        }
        drop(now);
        while self.pack(covered.through / CHUNK_ENTRIES)? {}
        Ok(())
    }

    fn add_times(&self, from: u64, entries: &[Indexed]) -> Result<Vec<(usize, Block)>, StorageError> {
        let mut blocks: Vec<(usize, Block)> = Vec::new();
        for (at, entry) in (from..).zip(entries) {
            let (number, (earliest, latest)) = (at / BLOCK_ENTRIES, entry.times_ms());
            let place = usize::try_from(number).map_err(|error| StorageError::new(&error))?;
            if blocks.last().is_none_or(|(last, _)| *last != place) {
                let known = if at % BLOCK_ENTRIES == 0 { None } else { self.covered().blocks.get(place).copied() };
                blocks.push((place, known.unwrap_or(Block { earliest, latest })));
            }
            if let Some((_, block)) = blocks.last_mut() {
                *block = Block { earliest: block.earliest.min(earliest), latest: block.latest.max(latest) };
            }
        }
        for (place, block) in &blocks {
            let value = [block.earliest.to_be_bytes(), block.latest.to_be_bytes()].concat();
            self.times.insert((*place as u64).to_be_bytes(), value)?;
        }
        Ok(blocks)
    }

    /// Have the engine write down what it holds, so that less has to be done again after a crash. Nothing waits for
    /// this, and it syncs nothing.
    pub fn flush(&self) -> Result<(), StorageError> {
        let through = self.through();
        self.readable(|| {
            self.engine.flush()?;
            self.say_reached(through, false)
        })
    }

    /// Whether something of it could not be read or written, by whoever asked: then it is made anew.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// Do something with the engine, which panics where it finds its files corrupt.
    fn readable<T>(&self, act: impl FnOnce() -> Result<T, StorageError>) -> Result<T, StorageError> {
        let done = caught(act).unwrap_or_else(|_| Err(StorageError::new(&CANNOT_BE_READ)));
        done.inspect_err(|_| self.failed.store(true, Ordering::Relaxed))
    }

    fn covered(&self) -> RwLockReadGuard<'_, Covered> {
        // Nothing in here panics while it holds the lock.
        self.covered.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Covered {
    fn clone_mark(&self) -> Self {
        Self { through: self.through, last: self.last, blocks: Vec::new() }
    }
}

#[cfg(test)]
#[path = "index_tests.rs"]
mod tests;
