//! Entries that an export lacks.
//!
//! It may lack bundles that were damaged when its epoch ended. It has the roots over them, and whoever verifies says which
//! entries may be lacking ([`Checks::bad`](super::Checks::bad)); all others are as they were signed if the whole tree is.
//! The first entry after such a bundle is taken to carry the link that nobody has any more: what it says is in the tree.

use std::ops::Range;

use super::{Verifier, VerifyError, blame};
use crate::export::Gap;

impl Verifier {
    /// Go on after a bundle of entries that are lacking, of which the root is known. An earlier checkpoint that ends among
    /// them can be compared with nothing.
    pub fn pass_over(mut self, gap: &Gap) -> Result<Self, VerifyError> {
        let index = self.index();
        self.new_nodes.clear();
        if let Some(doubt) = &self.doubt {
            let error = self.settle(doubt, None);
            return Err(blame(self.parted, error));
        }
        let Range { start, end } = gap.entries();
        if start != index || end > self.checkpoint.size {
            return Err(VerifyError::Surplus { index });
        }
        self.new_nodes = self.tree.push_subtree(Gap::LEVEL, gap.root).map_err(|_| VerifyError::Surplus { index })?;
        self.head = None;
        self.lacking.get_or_insert(start);
        if let Some(&(size, _)) = self.earlier.front().filter(|(size, _)| *size < end) {
            return Err(VerifyError::Uncompared { size, index, last: end - 1 });
        }
        self.pass_earlier();
        Ok(self)
    }
}

/// The entries that an export lacks, all of which have to be among those that may.
pub(super) fn among(gaps: &[Gap], may: &[Range<u64>]) -> Result<Vec<Range<u64>>, VerifyError> {
    let mut lacking = Vec::<Range<u64>>::new();
    for Range { start, end } in gaps.iter().map(Gap::entries) {
        match lacking.last_mut().filter(|last| last.end == start) {
            Some(last) => last.end = end,
            None => lacking.push(start..end),
        }
    }
    match lacking.iter().find(|one| !may.iter().any(|may| may.start <= one.start && one.end <= may.end)) {
        Some(one) => Err(VerifyError::Lacking { index: one.start, last: one.end - 1 }),
        None => Ok(lacking),
    }
}

#[cfg(test)]
#[path = "lacking_tests.rs"]
mod tests;
