//! The log that base copy and journal have: whether each entry is what the tree over them says, and what that comes to.
//!
//! Their checksums fit whatever somebody wrote, and an imprint is of the right edge of the tree alone. So each entry is
//! hashed, and the nodes above it are computed from their children and compared with those that are stored, up to a root
//! that whoever calls compares with the imprint. Nothing else would tell that an engine which is made of them is refused.
//!
//! Entries stand in their order in a base copy; what the journal has of them is known before that is read, and takes as
//! much memory as it has of them. Of a bundle that left the engine there is one record: its root is enough for the tree
//! above, and the file itself is compared by whoever reads it.

use std::collections::BTreeMap;

use attorn_log::tree::leaf_hash;
use attorn_log::{Hash, NodeId, TreeBuilder};

use crate::bundled::{BUNDLE_ENTRIES, Bundled, ROOT_LEVEL, last_of};
use crate::error::StorageError;
use crate::redo::Write;
use crate::trees::{Record, row_in};

/// What is wrong with the log in base copy and journal.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LogProblem {
    /// An entry is another.
    #[error("entry {0} is not what the log's tree says")]
    Entry(u64),
    /// An entry is not there.
    #[error("entry {0} is missing")]
    Missing(u64),
    /// An entry stands where it does not belong.
    #[error("entry {0} stands out of its order")]
    Disordered(u64),
    /// A node of the tree is not what is below it.
    #[error("node `{0}` of the log's tree is wrong")]
    Node(NodeId),
    /// There are entries beyond the end of the log.
    #[error("there are {found} entries, and the log has {due}")]
    Surplus {
        /// How many there are.
        found: u64,
        /// How many there should be.
        due: u64,
    },
    /// Something is no entry.
    #[error(transparent)]
    Form(#[from] StorageError),
}

/// What was read so far of the log.
pub(crate) struct LogOfParts<'a> {
    /// The files of what is bundled.
    bundled: &'a Bundled,
    later: BTreeMap<u64, Kept>,
    /// The last entry of the base copy.
    last: Option<u64>,
    /// Those of a bundle that is not read to its end yet.
    open: Vec<(u64, Kept)>,
    tree: TreeBuilder,
}

/// What is known of an entry that was read.
struct Kept {
    /// The nodes that stand with it; where its bytes do, too, its leaf is theirs.
    hashes: Vec<Hash>,
    is_bare: bool,
}

impl<'a> LogOfParts<'a> {
    pub(crate) fn new(bundled: &'a Bundled) -> Self {
        Self { bundled, later: BTreeMap::new(), last: None, open: Vec::new(), tree: TreeBuilder::new() }
    }

    /// Take in a write of the journal. All are before the first of the base copy.
    pub(crate) fn take_later(&mut self, write: &Write) -> Result<(), LogProblem> {
        let Some((index, kept)) = kept_in(write)? else { return Ok(()) };
        match self.later.insert(index, kept) {
            // An entry is written once.
            Some(_) => Err(LogProblem::Disordered(index)),
            None => Ok(()),
        }
    }

    /// Take in a write of the base copy.
    pub(crate) fn take_earlier(&mut self, write: &Write) -> Result<(), LogProblem> {
        let Some((index, mut kept)) = kept_in(write)? else { return Ok(()) };
        if self.last.is_some_and(|last| last >= index) {
            return Err(LogProblem::Disordered(index));
        }
        self.last = Some(index);
        self.take_those_before(index)?;
        if let Some(later) = self.later.remove(&index) {
            if later.hashes != kept.hashes {
                return Err(LogProblem::Entry(index));
            }
            // It takes its place.
            kept = later;
        }
        self.take(index, kept)
    }

    /// The root over all of it, where that are so many entries.
    pub(crate) fn root(mut self, size: u64) -> Result<Hash, LogProblem> {
        self.take_those_before(u64::MAX)?;
        let end = self.open.last().map_or(self.tree.size(), |(index, _)| index.saturating_add(1));
        if end > size {
            return Err(LogProblem::Surplus { found: end, due: size });
        }
        self.settle()?;
        if self.tree.size() < size {
            return Err(LogProblem::Missing(self.tree.size()));
        }
        Ok(self.tree.root())
    }

    fn take_those_before(&mut self, index: u64) -> Result<(), LogProblem> {
        while let Some(first) = self.later.first_entry().filter(|first| *first.key() < index) {
            let (index, kept) = first.remove_entry();
            self.take(index, kept)?;
        }
        Ok(())
    }

    fn take(&mut self, index: u64, kept: Kept) -> Result<(), LogProblem> {
        if self.open.first().is_some_and(|(first, _)| first / BUNDLE_ENTRIES != index / BUNDLE_ENTRIES) {
            self.settle()?;
        }
        self.open.push((index, kept));
        Ok(())
    }

    /// Compare a bundle that is read to its end with the nodes over it.
    fn settle(&mut self) -> Result<(), LogProblem> {
        let open = std::mem::take(&mut self.open);
        let (Some((first, _)), Some((last, end))) = (open.first(), open.last()) else { return Ok(()) };
        let (begin, bundle) = (self.tree.size(), first / BUNDLE_ENTRIES);
        if begin != bundle * BUNDLE_ENTRIES {
            return Err(LogProblem::Missing(begin));
        }
        let missing = open.iter().zip(begin..).find(|((index, kept), due)| index != due || kept.is_bare);
        let Some((_, missing)) = missing else {
            return open.iter().try_for_each(|(index, kept)| self.push(*index, kept));
        };
        // It is left alone first, and then those before it go.
        let is_left = *last == last_of(bundle) && end.is_bare;
        let root = end.hashes.get(usize::from(ROOT_LEVEL)).filter(|_| is_left);
        let root = *root.ok_or(LogProblem::Missing(missing))?;
        let made = self.tree.push_subtree(ROOT_LEVEL, root).map_err(|error| StorageError::new(&error))?;
        compare(&made, &end.hashes[usize::from(ROOT_LEVEL)..])?;
        if open.iter().all(|(_, kept)| kept.is_bare) && open.len() == 1 {
            return Ok(());
        }
        // It was copied while it left the engine. A file that is bad is named by whoever looks at files.
        let Ok(whole) = self.bundled.read(bundle, root) else { return Ok(()) };
        match open.iter().find(|(index, kept)| !whole.has_nodes(*index, &kept.hashes)) {
            Some((index, _)) => Err(LogProblem::Entry(*index)),
            None => Ok(()),
        }
    }

    fn push(&mut self, index: u64, kept: &Kept) -> Result<(), LogProblem> {
        let leaf = *kept.hashes.first().ok_or(LogProblem::Entry(index))?;
        let made = self.tree.push(leaf).map_err(|error| StorageError::new(&error))?;
        compare(&made, &kept.hashes)
    }
}

/// See whether the nodes that an entry made perfect are those that stand with it.
fn compare(made: &[(NodeId, Hash)], stored: &[Hash]) -> Result<(), LogProblem> {
    match made.iter().zip(stored).find(|((_, hash), stored)| hash != *stored) {
        Some(((id, _), _)) => Err(LogProblem::Node(*id)),
        None => Ok(()),
    }
}

/// An entry that is written, whose bytes are those of its leaf.
fn kept_in(write: &Write) -> Result<Option<(u64, Kept)>, LogProblem> {
    match row_in(write)? {
        None => Ok(None),
        Some((index, None)) => Err(LogProblem::Missing(index)),
        Some((index, Some(Record { hashes, bytes }))) => {
            let is_bare = bytes.is_empty();
            if !is_bare && hashes.first() != Some(&leaf_hash(&bytes)) {
                return Err(LogProblem::Entry(index));
            }
            Ok(Some((index, Kept { hashes, is_bare })))
        }
    }
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
