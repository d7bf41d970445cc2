//! Whether an index has what the log's entries say. Nobody signs it, so whoever writes to the disk could take rows out of
//! it, and lists would not show what they hid by that.
//!
//! What it has beyond that does no harm: an entry is read and compared before it is answered.

use std::collections::BTreeSet;

use super::chunk::CHUNK_ENTRIES;
use super::pack::Place;
use super::{BLOCK_ENTRIES, EntryIndex, Indexed, Order};
use crate::error::StorageError;

impl EntryIndex {
    /// How many entries it is best compared with at a time, from a multiple of that on.
    pub const COMPARED_ENTRIES: u64 = CHUNK_ENTRIES;

    /// Which of these entries, each with its index, are not found by all that they have. Those beyond what it covers are
    /// not looked for.
    pub fn lacks(&self, entries: &[(u64, Indexed)]) -> Result<BTreeSet<u64>, StorageError> {
        self.readable(|| self.lacking(entries))
    }

    fn lacking(&self, entries: &[(u64, Indexed)]) -> Result<BTreeSet<u64>, StorageError> {
        let (through, mut lacking, mut pairs) = (self.through(), BTreeSet::new(), Vec::new());
        for (at, entry) in entries.iter().filter(|(at, _)| *at < through) {
            pairs.extend(entry.terms.iter().map(|term| (*term, *at)));
            let place = usize::try_from(at / BLOCK_ENTRIES).unwrap_or(usize::MAX);
            let (covered, time) = (self.covered(), entry.time.0);
            let block = covered.blocks.get(place);
            if block.is_none_or(|block| time < block.earliest || time > block.latest) {
                lacking.insert(*at);
            }
        }
        pairs.sort_unstable();
        for row in pairs.chunk_by(|one, other| (one.0, one.1 / CHUNK_ENTRIES) == (other.0, other.1 / CHUNK_ENTRIES)) {
            let (term, chunk) = (row[0].0, row[0].1 / CHUNK_ENTRIES);
            for order in [Order::Oldest, Order::Newest] {
                let found = match self.row(term, chunk, order, 0)?.place {
                    Place::At(at, bits) if at == chunk => Some(bits),
                    _ => None,
                };
                let is_in = |at: u64| found.as_ref().is_some_and(|bits| bits.has(at % CHUNK_ENTRIES));
                lacking.extend(row.iter().map(|(_, at)| *at).filter(|at| !is_in(*at)));
            }
        }
        Ok(lacking)
    }
}
