//! A page of entries that a filter takes: from the index as far as it reaches, and beyond it entry by entry, where
//! that is not far.
//!
//! What was found is read and compared before it is answered, so the index can leave work out and add nothing. A page
//! ends when it is full, and also when enough was looked at; then it says where to go on.

use std::ops::Range;

use attorn_store::{EntryIndex, EntryReader, Next, Order, Search, StorageError, Store, StoredEntry, Walk};

use super::filter::Filter;
use super::{terms, unreadable};
use crate::audit::epochs::Damaged;
use crate::http::failure::Failure;

/// How many entries beyond the index are looked at, one by one, for an answer that is complete.
pub(crate) const BEYOND_MAX: u64 = 1_000;
/// How many entries are read for one page.
pub(super) const READS_MAX: usize = 2_000;
/// How many steps are taken in the index for one page.
pub(super) const STEPS_MAX: u64 = 20_000;
/// After how many bytes a page takes no further entry.
const BYTES_MAX: usize = 4 << 20;

/// What is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) filter: Filter,
    pub(crate) order: Order,
    /// Among which entries; what is beyond the log is nothing.
    pub(crate) within: Range<u64>,
    pub(crate) limit: usize,
    /// How many entries beyond the index may be looked at.
    pub(crate) beyond_max: u64,
    pub(crate) unreadable: Unreadable,
}

/// What becomes of entries that are in a file which is damaged or gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// They are counted, and the others answered.
    Counted,
    /// Nothing is answered.
    Refused,
}

/// What was found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) entries: Vec<StoredEntry>,
    /// What was not looked at yet; empty after the last page.
    pub(crate) rest: Range<u64>,
    /// How many entries of the log the answer is about.
    pub(crate) through: u64,
    /// Those that were looked at and cannot be read: nobody knows whether the filter takes them.
    pub(crate) damaged: Option<Damaged>,
}

/// Find a page. It reads, so it belongs off the async threads.
pub(crate) fn page(store: &Store, index: Option<&EntryIndex>, ask: &Ask) -> Result<Page, Failure> {
    let (size, indexed) = (store.log_head()?.size, index.map_or(0, EntryIndex::through));
    // An index that is ahead of the log is thrown away by its follower.
    let indexed = indexed.min(size);
    let start = indexed.max(ask.within.start);
    let through = if size.saturating_sub(start) <= ask.beyond_max { size } else { indexed };
    let page = Page { entries: Vec::new(), rest: 0..0, through, damaged: None };
    let mut finding = Finding { reader: store.entry_reader(), ask, page, reads: 0, bytes: 0 };
    let clip = |range: Range<u64>| range.start.max(ask.within.start)..range.end.min(ask.within.end);
    let (by_index, beyond) = (clip(0..indexed), clip(indexed..through));
    let (mut left_by_index, mut left_beyond) = (by_index.clone(), beyond.clone());
    match ask.order {
        Order::Oldest => {
            left_by_index = finding.by_index(index, by_index)?;
            if left_by_index.is_empty() {
                left_beyond = finding.beyond(beyond)?;
            }
        }
        Order::Newest => {
            left_beyond = finding.beyond(beyond)?;
            if left_beyond.is_empty() {
                left_by_index = finding.by_index(index, by_index)?;
            }
        }
    }
    finding.page.rest = joined(&left_by_index, &left_beyond);
    Ok(finding.page)
}

/// Two ranges, the second after the first, as one; an empty one has no place.
fn joined(first: &Range<u64>, second: &Range<u64>) -> Range<u64> {
    match (first.is_empty(), second.is_empty()) {
        (false, false) => first.start..second.end,
        (false, true) => first.clone(),
        (true, false) => second.clone(),
        (true, true) => 0..0,
    }
}

/// A walk, and what comes next on it.
struct Ahead<'i> {
    walk: Walk<'i>,
    next: Next,
    /// Whether that was looked at.
    is_seen: bool,
}

impl<'i> Ahead<'i> {
    const fn of(walk: Walk<'i>) -> Self {
        Self { walk, next: Next::Tired, is_seen: true }
    }

    /// Know what comes next.
    fn peek(&mut self) -> Result<(), StorageError> {
        if self.is_seen && self.next != Next::End {
            (self.next, self.is_seen) = (self.walk.step()?, false);
        }
        Ok(())
    }

    const fn entry(&self) -> Option<u64> {
        match self.next {
            Next::Entry(at) if !self.is_seen => Some(at),
            _ => None,
        }
    }

    /// What it has not looked at yet.
    fn left(&self, order: Order, within: &Range<u64>) -> Range<u64> {
        match (self.entry(), order) {
            (Some(at), Order::Oldest) => at..within.end,
            (Some(at), Order::Newest) => within.start..at + 1,
            (None, _) => self.walk.rest(),
        }
    }
}

struct Finding<'a> {
    reader: EntryReader<'a>,
    ask: &'a Ask,
    page: Page,
    reads: usize,
    bytes: usize,
}

impl Finding<'_> {
    /// Look among these where the index says; what is left of them.
    fn by_index(&mut self, index: Option<&EntryIndex>, within: Range<u64>) -> Result<Range<u64>, Failure> {
        let Some(index) = index else { return Ok(within) };
        let Ask { filter, order, .. } = self.ask;
        let search =
            Search { terms: filter.terms.clone(), times_ms: filter.times_ms, within: within.clone(), order: *order };
        let found = Ahead::of(index.walk(search, STEPS_MAX));
        // Without terms every entry is found.
        let unread = if filter.terms.is_empty() { 0..0 } else { within.clone() };
        let mut walks = [found, Ahead::of(index.walk_unread(unread, *order, STEPS_MAX))];
        while !self.is_done() {
            for walk in &mut walks {
                walk.peek().map_err(|error| unreadable(&error))?;
            }
            if walks.iter().any(|walk| walk.next == Next::Tired) {
                break;
            }
            let entries = walks.iter().filter_map(Ahead::entry);
            let nearest = match order {
                Order::Oldest => entries.min(),
                Order::Newest => entries.max(),
            };
            let Some(at) = nearest else { return Ok(0..0) };
            for walk in &mut walks {
                walk.is_seen = walk.is_seen || walk.entry() == Some(at);
            }
            self.look_at(at)?;
        }
        let left = walks.iter().map(|walk| walk.left(*order, &within)).filter(|left| !left.is_empty());
        Ok(left.reduce(|one, other| one.start.min(other.start)..one.end.max(other.end)).unwrap_or(0..0))
    }

    /// Look at each of these; what is left of them.
    fn beyond(&mut self, mut within: Range<u64>) -> Result<Range<u64>, Failure> {
        while !within.is_empty() && !self.is_done() {
            let at = match self.ask.order {
                Order::Oldest => {
                    within.start += 1;
                    within.start - 1
                }
                Order::Newest => {
                    within.end -= 1;
                    within.end
                }
            };
            self.look_at(at)?;
        }
        Ok(within)
    }

    fn is_done(&self) -> bool {
        self.page.entries.len() >= self.ask.limit || self.reads >= READS_MAX || self.bytes > BYTES_MAX
    }

    fn look_at(&mut self, index: u64) -> Result<(), Failure> {
        self.reads += 1;
        let bytes = match self.reader.entry(index) {
            Err(error) if self.ask.unreadable == Unreadable::Counted && error.damage().is_some() => {
                Damaged::add(&mut self.page.damaged, index, error);
                return Ok(());
            }
            bytes => bytes?,
        };
        let bytes = bytes.ok_or_else(|| Failure::internal(format_args!("the log has no entry {index}")))?;
        if self.ask.filter.takes(&terms::of_bytes(&bytes)) {
            self.bytes += bytes.len();
            self.page.entries.push(StoredEntry { index, bytes });
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "find_tests.rs"]
mod tests;
