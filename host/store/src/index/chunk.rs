//! Which entries of a chunk have a term: a set of numbers below 4,096.
//!
//! As bytes it is the numbers themselves, two bytes each, big-endian and ascending, as long as they are fewer than
//! 256; then one bit for each entry, 512 bytes.

use std::ops::{BitAndAssign, Range};

use crate::error::StorageError;

/// How many entries one row speaks of.
pub(super) const CHUNK_ENTRIES: u64 = 4_096;
const WORDS: usize = 64;
const BITMAP_BYTES: usize = WORDS * 8;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chunk([u64; WORDS]);

impl Chunk {
    pub(super) const EMPTY: Self = Self([0; WORDS]);
    pub(super) const FULL: Self = Self([u64::MAX; WORDS]);

    /// Put an entry in; its number is below [`CHUNK_ENTRIES`].
    pub(super) fn set(&mut self, number: u64) {
        if let Some(word) = self.0.get_mut(place(number)) {
            *word |= 1 << (number % 64);
        }
    }

    /// Whether an entry is in; its number is below [`CHUNK_ENTRIES`].
    pub(super) fn has(&self, number: u64) -> bool {
        self.0.get(place(number)).is_some_and(|word| word & (1 << (number % 64)) != 0)
    }

    fn remove(&mut self, number: u64) {
        if let Some(word) = self.0.get_mut(place(number)) {
            *word &= !(1 << (number % 64));
        }
    }

    /// Only those within.
    pub(super) fn keep(&mut self, within: &Range<u64>) {
        self.0.iter_mut().zip(masks(within)).for_each(|(word, mask)| *word &= mask);
    }

    /// Only those that are not within.
    pub(super) fn clear(&mut self, within: &Range<u64>) {
        self.0.iter_mut().zip(masks(within)).for_each(|(word, mask)| *word &= !mask);
    }

    /// Take out the least.
    pub(super) fn pop_first(&mut self) -> Option<u64> {
        let (at, word) = self.0.iter().enumerate().find(|(_, word)| **word != 0)?;
        let number = at as u64 * 64 + u64::from(word.trailing_zeros());
        self.remove(number);
        Some(number)
    }

    /// Take out the greatest.
    pub(super) fn pop_last(&mut self) -> Option<u64> {
        let (at, word) = self.0.iter().enumerate().rfind(|(_, word)| **word != 0)?;
        let number = at as u64 * 64 + 63 - u64::from(word.leading_zeros());
        self.remove(number);
        Some(number)
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let count: u32 = self.0.iter().map(|word| word.count_ones()).sum();
        if count as usize * 2 >= BITMAP_BYTES {
            return self.0.iter().flat_map(|word| word.to_be_bytes()).collect();
        }
        let (mut left, mut bytes) = (self.clone(), Vec::with_capacity(count as usize * 2));
        while let Some(number) = left.pop_first() {
            // It is below 4,096.
            bytes.extend_from_slice(&number.to_be_bytes()[6..]);
        }
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, StorageError> {
        let broken = || StorageError::new(&"a row of the index is broken");
        let mut chunk = Self::EMPTY;
        if bytes.len() == BITMAP_BYTES {
            for (word, stored) in chunk.0.iter_mut().zip(bytes.as_chunks().0) {
                *word = u64::from_be_bytes(*stored);
            }
            return Ok(chunk);
        }
        let (numbers, rest) = bytes.as_chunks();
        let numbers: Vec<u64> = numbers.iter().map(|stored| u16::from_be_bytes(*stored).into()).collect();
        let ascending = numbers.is_sorted_by(|one, next| one < next);
        if !rest.is_empty() || numbers.len() * 2 >= BITMAP_BYTES || !ascending {
            return Err(broken());
        }
        if numbers.last().is_some_and(|last| *last >= CHUNK_ENTRIES) {
            return Err(broken());
        }
        for number in numbers {
            chunk.set(number);
        }
        Ok(chunk)
    }
}

impl BitAndAssign<&Self> for Chunk {
    fn bitand_assign(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(word, other)| *word &= other);
    }
}

/// The bits of each word that are within.
fn masks(within: &Range<u64>) -> impl Iterator<Item = u64> {
    let below = |end: u64| if end == 64 { u64::MAX } else { (1 << end) - 1 };
    let (start, end) = (within.start, within.end);
    (0..).step_by(64).map(move |at: u64| below(end.clamp(at, at + 64) - at) & !below(start.clamp(at, at + 64) - at))
}

fn place(number: u64) -> usize {
    usize::try_from(number / 64).unwrap_or(WORDS)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn chunk(numbers: &BTreeSet<u64>) -> Chunk {
        let mut chunk = Chunk::EMPTY;
        for number in numbers {
            chunk.set(*number);
        }
        chunk
    }

    fn numbers(mut chunk: Chunk) -> BTreeSet<u64> {
        std::iter::from_fn(|| chunk.pop_first()).collect()
    }

    #[test]
    fn bytes_that_nothing_writes_are_refused() {
        let long = (0..256_u16).flat_map(u16::to_be_bytes).collect::<Vec<u8>>();
        // As a bitmap they would be fine.
        assert!(Chunk::decode(&long).is_ok());
        for bytes in [&[0][..], &[0, 1, 0, 1], &[0, 2, 0, 1], &[0x10, 0], &[0xff, 0xff], &long[..510], &[0; 514]] {
            let fine = bytes.len() == 510;
            assert_eq!(Chunk::decode(bytes).is_ok(), fine, "{bytes:?}");
        }
    }

    #[test]
    fn the_form_changes_where_it_is_shorter() {
        for (count, bytes) in [(0, 0), (1, 2), (255, 510), (256, 512), (4_096, 512)] {
            let all: BTreeSet<u64> = (0..count).collect();
            assert_eq!(chunk(&all).encode().len(), bytes);
            assert_eq!(numbers(Chunk::decode(&chunk(&all).encode()).unwrap()), all);
        }
        assert_eq!(numbers(Chunk::FULL).len(), 4_096);
    }

    proptest! {
        #[test]
        fn a_chunk_is_a_set(one in prop::collection::btree_set(0..CHUNK_ENTRIES, 0..400),
            other in prop::collection::btree_set(0..CHUNK_ENTRIES, 0..400), from in 0..5_000_u64, to in 0..5_000_u64) {
            let made = chunk(&one);
            prop_assert_eq!(&Chunk::decode(&made.encode()).unwrap(), &made);
            prop_assert_eq!(made.clone().pop_last(), one.last().copied());
            let mut both = made.clone();
            both &= &chunk(&other);
            prop_assert_eq!(numbers(both), one.intersection(&other).copied().collect::<BTreeSet<_>>());
            let mut without = made.clone();
            without.clear(&(from..to));
            let expect: BTreeSet<u64> = one.iter().copied().filter(|number| !(from..to).contains(number)).collect();
            prop_assert_eq!(numbers(without), expect);
            let mut within = made;
            within.keep(&(from..to));
            let expect: BTreeSet<u64> = one.iter().copied().filter(|number| (from..to).contains(number)).collect();
            prop_assert_eq!(numbers(within), expect);
        }
    }
}
