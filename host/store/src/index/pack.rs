//! Rows of old chunks, packed: what the engine keeps in memory grows with how many rows there are, and not with how
//! long they are. Most terms are those of one entry, such as the ids of decisions and grants; so the rows of each 16
//! chunks, which nothing is added to any more, become packs of some hundred.
//!
//! ```text
//! packs  first chunk of its volume (8) ‖ its first term (16)  → rows, by term and chunk, all of a term in one pack
//! meta   "packed"                                             → number of chunks whose rows are packed (8)
//! row    term (16) ‖ chunk within the volume (1) ‖ length (2) ‖ which entries of the chunk have it
//! ```
//!
//! INVARIANT: packs are written before the mark, and rows removed after it. So a packing that was cut off is done
//! again with the same packs, or what it left is removed with the next one. Whoever looks holds the mark meanwhile, so
//! that no row is on its way.

use std::sync::PoisonError;

use super::chunk::Chunk;
use super::{EntryIndex, Order, Term};
use crate::error::StorageError;

const PACKED_KEY: &[u8] = b"packed";
/// How many chunks a volume has. With it the form of the index changes.
pub(super) const VOLUME_CHUNKS: u64 = 16;
/// After how many bytes a pack takes no further term.
const PACK_BYTES: usize = 8 << 10;
const ROW_HEADER_BYTES: usize = 16 + 1 + 2;

/// How many chunks are packed, as it stands on disk.
pub(super) fn read_mark(meta: &sled::Tree) -> Result<u64, StorageError> {
    let Some(mark) = meta.get(PACKED_KEY)? else { return Ok(0) };
    let mark = mark.as_ref().try_into().map(u64::from_be_bytes);
    mark.map_err(|_| StorageError::new(&"the mark of what is packed is broken"))
}

/// Whether there are packs of volumes after the one that is packed next; of that one, a packing that was cut off leaves
/// some.
pub(super) fn has_beyond(packs: &sled::Tree, packed: u64) -> Result<bool, StorageError> {
    Ok(packs.range(packed.saturating_add(1).to_be_bytes()..).next().transpose()?.is_some())
}

/// Where the row is that was looked for.
#[expect(clippy::large_enum_variant, reason = "it is taken apart where it is found, and most are the large one")]
pub(super) enum Place {
    /// It is of this chunk, and says which of its entries.
    At(u64, Chunk),
    /// Not before this chunk. Enough was looked at, and nobody knows yet.
    Further(u64),
    /// There is none.
    Nowhere,
}

/// What was found, and what it took.
pub(super) struct Found {
    pub(super) place: Place,
    /// How many volumes were looked at in which there is none.
    pub(super) passed: u64,
}

impl EntryIndex {
    /// Pack the rows of the next volume, if nothing is added to it any more. Whether it was is what comes back.
    pub(super) fn pack(&self, covered_chunks: u64) -> Result<bool, StorageError> {
        let first = *self.packed.read().unwrap_or_else(PoisonError::into_inner);
        let end = first + self.volume_chunks;
        if covered_chunks < end {
            return Ok(false);
        }
        // What a packing left that was cut off, or somebody put there.
        for key in self.packs.range(first.to_be_bytes()..end.to_be_bytes()).keys() {
            self.packs.remove(key?)?;
        }
        let (mut pack, mut packed) = (Pack::default(), Vec::new());
        for pair in &self.postings {
            let (key, row) = pair?;
            let (term, chunk) = taken_apart(&key)?;
            if chunk >= end {
                continue;
            }
            if chunk >= first {
                if pack.is_full_before(term) {
                    pack.put(&self.packs, first)?;
                    pack = Pack::default();
                }
                pack.add(term, chunk - first, &row)?;
            }
            packed.push(key);
        }
        pack.put(&self.packs, first)?;
        self.meta.insert(PACKED_KEY, end.to_be_bytes().to_vec())?;
        *self.packed.write().unwrap_or_else(PoisonError::into_inner) = end;
        for key in packed {
            self.postings.remove(key)?;
        }
        Ok(true)
    }

    /// The row of a term for this chunk, or for the first after it that has one, in this order. So many volumes are
    /// passed at the most, and one in any case.
    pub(super) fn row(&self, term: Term, chunk: u64, order: Order, passed_max: u64) -> Result<Found, StorageError> {
        let packed = self.packed.read().unwrap_or_else(PoisonError::into_inner);
        let (mut passed, size) = (0, self.volume_chunks);
        let found = |place, passed| Ok(Found { place, passed });
        if order == Order::Oldest {
            for first in (chunk / size..*packed / size).map(|volume| volume * size) {
                if passed > 0 && passed >= passed_max {
                    return found(Place::Further(first), passed);
                }
                if let Some((at, row)) = self.in_volume(term, first, |found| found >= chunk, order)? {
                    return found(Place::At(at, row), passed);
                }
                passed += 1;
            }
            let rows = term.row(chunk.max(*packed))..=term.row(u64::MAX);
            let row = self.postings.range(rows).next().transpose()?.map(of_pair).transpose()?;
            return found(row.map_or(Place::Nowhere, |(at, row)| Place::At(at, row)), passed);
        }
        if chunk >= *packed {
            let rows = term.row(*packed)..=term.row(chunk);
            if let Some(pair) = self.postings.range(rows).next_back().transpose()? {
                let (at, row) = of_pair(pair)?;
                return found(Place::At(at, row), passed);
            }
        }
        for first in (0..(chunk / size + 1).min(*packed / size)).rev().map(|volume| volume * size) {
            if passed > 0 && passed >= passed_max {
                return found(Place::Further(first + size - 1), passed);
            }
            if let Some((at, row)) = self.in_volume(term, first, |found| found <= chunk, order)? {
                return found(Place::At(at, row), passed);
            }
            passed += 1;
        }
        found(Place::Nowhere, passed)
    }

    /// The first row of a term in a packed volume, in this order, of those that are wanted. All rows of the term are
    /// looked at: a chunk that stands twice, or outside the volume, would hide others in one of the orders.
    fn in_volume(
        &self,
        term: Term,
        first: u64,
        wanted: impl Fn(u64) -> bool,
        order: Order,
    ) -> Result<Option<(u64, Chunk)>, StorageError> {
        let keys = pack_key(first, Term([0; 16]))..=pack_key(first, term);
        let Some((_, pack)) = self.packs.range(keys).next_back().transpose()? else { return Ok(None) };
        let (mut rest, mut last, mut before) = (&pack[..], None, None);
        while !rest.is_empty() {
            let (found, chunk, row, after) = split_row(rest).ok_or_else(broken)?;
            rest = after;
            if before.is_some_and(|before| before >= (found, chunk)) || u64::from(chunk) >= self.volume_chunks {
                return Err(broken());
            }
            before = Some((found, chunk));
            let chunk = first + u64::from(chunk);
            if found > term {
                break;
            }
            if found == term && wanted(chunk) && (last.is_none() || order == Order::Newest) {
                last = Some((chunk, row));
            }
        }
        last.map(|(chunk, row)| Ok((chunk, Chunk::decode(row)?))).transpose()
    }
}

/// A pack that is being made.
#[derive(Default)]
struct Pack {
    first: Option<Term>,
    last: Option<Term>,
    bytes: Vec<u8>,
}

impl Pack {
    /// Whether this term belongs into the next one.
    fn is_full_before(&self, term: Term) -> bool {
        self.bytes.len() >= PACK_BYTES && self.last != Some(term)
    }

    fn add(&mut self, term: Term, chunk: u64, row: &[u8]) -> Result<(), StorageError> {
        let too_long = |error: std::num::TryFromIntError| StorageError::new(&error);
        self.first.get_or_insert(term);
        self.last = Some(term);
        self.bytes.extend_from_slice(&term.0);
        self.bytes.push(u8::try_from(chunk).map_err(too_long)?);
        self.bytes.extend_from_slice(&u16::try_from(row.len()).map_err(too_long)?.to_be_bytes());
        self.bytes.extend_from_slice(row);
        Ok(())
    }

    fn put(&self, packs: &sled::Tree, first_chunk: u64) -> Result<(), StorageError> {
        if let Some(first) = self.first {
            packs.insert(pack_key(first_chunk, first), self.bytes.as_slice())?;
        }
        Ok(())
    }
}

fn pack_key(first_chunk: u64, term: Term) -> [u8; 24] {
    let mut key = [0; 24];
    key[..8].copy_from_slice(&first_chunk.to_be_bytes());
    key[8..].copy_from_slice(&term.0);
    key
}

/// The term of a row and its chunk.
fn taken_apart(key: &[u8]) -> Result<(Term, u64), StorageError> {
    let split = || {
        let (term, chunk) = key.split_first_chunk()?;
        Some((Term(*term), u64::from_be_bytes(chunk.try_into().ok()?)))
    };
    split().ok_or_else(|| StorageError::new(&"a row of the index has a broken key"))
}

fn of_pair((key, row): (sled::IVec, sled::IVec)) -> Result<(u64, Chunk), StorageError> {
    Ok((taken_apart(&key)?.1, Chunk::decode(&row)?))
}

/// A row of a pack: its term, its chunk, and what it says.
#[cfg(feature = "fuzz")]
pub(crate) type Row = ([u8; 16], u8, Vec<u8>);

/// All rows of a pack; none if it is broken.
#[cfg(feature = "fuzz")]
pub(crate) fn rows(pack: &[u8]) -> Option<Vec<Row>> {
    let (mut rest, mut rows) = (pack, Vec::new());
    while !rest.is_empty() {
        let (term, chunk, row, after) = split_row(rest)?;
        rows.push((term.0, chunk, row.to_vec()));
        rest = after;
    }
    Some(rows)
}

/// What a row says, as it is written; none if it is broken.
#[cfg(feature = "fuzz")]
pub(crate) fn row(bytes: &[u8]) -> Option<Vec<u8>> {
    Chunk::decode(bytes).ok().map(|chunk| chunk.encode())
}

/// The first row of a pack: its term, its chunk, what it says; and what comes after it.
fn split_row(bytes: &[u8]) -> Option<(Term, u8, &[u8], &[u8])> {
    let (header, rest) = bytes.split_first_chunk::<ROW_HEADER_BYTES>()?;
    let (term, header) = header.split_first_chunk()?;
    let (chunk, length) = header.split_first()?;
    let length = u16::from_be_bytes(length.try_into().ok()?);
    let (row, after) = rest.split_at_checked(length.into())?;
    Some((Term(*term), *chunk, row, after))
}

fn broken() -> StorageError {
    StorageError::new(&"a pack of the index is broken")
}

#[cfg(test)]
#[path = "pack_tests.rs"]
mod tests;
