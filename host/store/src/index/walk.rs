//! A walk through the entries that have all of some terms, the oldest first or the newest.
//!
//! Of each term the next chunk is looked for that has it, from where the one stands that is farthest; so the rarest
//! term sets the pace, and what a walk costs follows from what it finds, not from how long the log is. It ends early
//! after a number of steps, and goes on where it stood.

use std::ops::Range;

use super::chunk::{CHUNK_ENTRIES, Chunk};
use super::pack::Place;
use super::{BLOCK_ENTRIES, Block, EntryIndex, Term};
use crate::error::StorageError;

/// Which entries come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Those with the least indexes.
    Oldest,
    /// Those with the greatest.
    Newest,
}

/// What is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// Terms that an entry must all have; without any, every entry does.
    pub terms: Vec<Term>,
    /// The times between which it may have been written, both included. A walk may find others that were written
    /// close to these; whoever reads the entry sees its time.
    pub times_ms: (u64, u64),
    /// Among which entries.
    pub within: Range<u64>,
    /// Which come first.
    pub order: Order,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// This entry.
    Entry(u64),
    /// Nobody knows yet: the steps are used up.
    Tired,
    /// Nothing.
    End,
}

/// A walk on its way.
pub struct Walk<'i> {
    index: &'i EntryIndex,
    search: Search,
    /// What was found and not said yet: the chunk's first entry, and which of it.
    found: Option<(u64, Chunk)>,
    steps_left: u64,
}

impl EntryIndex {
    /// Walk for at most so many steps. Only what is covered now is found.
    #[must_use]
    pub fn walk(&self, mut search: Search, steps_max: u64) -> Walk<'_> {
        let covered = self.covered();
        search.within.end = search.within.end.min(covered.through);
        let (since, until) = search.times_ms;
        if since > 0 || until < u64::MAX {
            let meets = |block: &Block| block.latest >= since && block.earliest <= until;
            let (first, last) = (covered.blocks.iter().position(meets), covered.blocks.iter().rposition(meets));
            let (start, end) = match (first, last) {
                (Some(first), Some(last)) => (first as u64 * BLOCK_ENTRIES, (last as u64 + 1) * BLOCK_ENTRIES),
                _ => (0, 0),
            };
            search.within = search.within.start.max(start)..search.within.end.min(end);
        }
        drop(covered);
        Walk { index: self, search, found: None, steps_left: steps_max }
    }
}

impl Walk<'_> {
    /// Go on.
    pub fn step(&mut self) -> Result<Next, StorageError> {
        loop {
            if let Some(entry) = self.take() {
                return Ok(Next::Entry(entry));
            }
            if self.search.within.is_empty() {
                return Ok(Next::End);
            }
            if self.steps_left == 0 {
                return Ok(Next::Tired);
            }
            self.look()?;
        }
    }

    /// What it has not looked at yet.
    #[must_use]
    pub fn rest(&self) -> Range<u64> {
        self.search.within.clone()
    }

    /// How many steps it may still take.
    #[must_use]
    pub const fn steps_left(&self) -> u64 {
        self.steps_left
    }

    /// One of those that were found. What was looked at is no part of the rest any more.
    fn take(&mut self) -> Option<u64> {
        let (first, chunk) = self.found.as_mut()?;
        let within = &mut self.search.within;
        let number = match self.search.order {
            Order::Oldest => chunk.pop_first(),
            Order::Newest => chunk.pop_last(),
        };
        let first = *first;
        if number.is_none() {
            self.found = None;
        }
        match (self.search.order, number) {
            (Order::Oldest, Some(number)) => within.start = first + number + 1,
            (Order::Newest, Some(number)) => within.end = first + number,
            (Order::Oldest, None) => within.start = within.start.max(first + CHUNK_ENTRIES).min(within.end),
            (Order::Newest, None) => within.end = within.end.min(first).max(within.start),
        }
        number.map(|number| first + number)
    }

    /// Look at the next chunk that can have something, or move to where the next one stands.
    fn look(&mut self) -> Result<(), StorageError> {
        self.index.readable(|| self.look_at_next())
    }

    fn look_at_next(&mut self) -> Result<(), StorageError> {
        let Range { start, end } = self.search.within;
        let chunk = match self.search.order {
            Order::Oldest => start / CHUNK_ENTRIES,
            Order::Newest => (end - 1) / CHUNK_ENTRIES,
        };
        let mut bits = Chunk::FULL;
        self.steps_left -= 1;
        for at in 0..self.search.terms.len() {
            self.steps_left = self.steps_left.saturating_sub(u64::from(at > 0));
            let found = self.index.row(self.search.terms[at], chunk, self.search.order, self.steps_left)?;
            self.steps_left = self.steps_left.saturating_sub(found.passed);
            match found.place {
                Place::At(found, row) if found == chunk => bits &= &row,
                Place::At(found, _) | Place::Further(found) => {
                    self.move_to(found);
                    return Ok(());
                }
                Place::Nowhere => {
                    self.search.within = match self.search.order {
                        Order::Oldest => end..end,
                        Order::Newest => start..start,
                    };
                    return Ok(());
                }
            }
        }
        let first = chunk * CHUNK_ENTRIES;
        bits.keep(&(start.saturating_sub(first)..end.saturating_sub(first)));
        self.keep_times(first, &mut bits);
        self.found = Some((first, bits));
        Ok(())
    }

    fn move_to(&mut self, chunk: u64) {
        let within = &mut self.search.within;
        let first = chunk.saturating_mul(CHUNK_ENTRIES);
        match self.search.order {
            Order::Oldest => within.start = within.start.max(first).min(within.end),
            Order::Newest => within.end = within.end.min(first.saturating_add(CHUNK_ENTRIES)).max(within.start),
        }
    }

    /// Drop blocks in which nothing was written at the time that is asked for.
    fn keep_times(&self, first: u64, bits: &mut Chunk) {
        let (since, until) = self.search.times_ms;
        if since == 0 && until == u64::MAX {
            return;
        }
        let covered = self.index.covered();
        for from in (0..CHUNK_ENTRIES).step_by(usize::try_from(BLOCK_ENTRIES).unwrap_or(1)) {
            let place = usize::try_from((first + from) / BLOCK_ENTRIES).unwrap_or(usize::MAX);
            let block = covered.blocks.get(place);
            if block.is_none_or(|block| block.latest < since || block.earliest > until) {
                bits.clear(&(from..from + BLOCK_ENTRIES));
            }
        }
    }
}
