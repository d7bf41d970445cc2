//! Whether what the engine has of the log is what the log's tree has over it.
//!
//! Entries are read in the engine, and whoever may write its files may write another entry there, with another leaf and
//! whatever nodes go with it. What they cannot write is the right edge of the tree: it is in memory, and was compared
//! with the imprint when the store was opened ([`crate::imprint`]). So before an entry is given out, its leaf is brought
//! together with the nodes beside it until that comes to a node that is known to be right. All that was met on the way
//! is known to be right then, too, so that many entries in their order cost two nodes each.

use std::sync::PoisonError;

use attorn_log::tree::{leaf_hash, root};
use attorn_log::{Hash, NodeId, TreeError};

use crate::bundled::{BUNDLE_ENTRIES, ROOT_LEVEL, root_of};
use crate::commit::Shared;
use crate::error::{ReadError, StorageError};

/// More nodes of the way to an entry than there can be: it has two for each level.
const WAY_NODES_MAX: usize = 128;

/// Knows nodes that are right.
#[derive(Default)]
pub(crate) struct Proved {
    /// Over how many entries the edge stood when it was looked at.
    size: u64,
    edge: Vec<(NodeId, Hash)>,
    /// The way to the last entry that was right, with the nodes beside it.
    way: Vec<(NodeId, Hash)>,
}

impl Proved {
    /// Compare an entry with the tree.
    pub(crate) fn entry(&mut self, shared: &Shared, index: u64, bytes: &[u8]) -> Result<(), StorageError> {
        if self.is_right(shared, NodeId { level: 0, index }, leaf_hash(bytes))? {
            return Ok(());
        }
        Err(altered(shared, &format_args!("entry {index}")))
    }

    /// Compare the root of a bundle, by which its file is known, with the tree.
    pub(crate) fn bundle(&mut self, shared: &Shared, bundle: u64, root: Hash) -> Result<(), StorageError> {
        if self.is_right(shared, NodeId { level: ROOT_LEVEL, index: bundle }, root)? {
            return Ok(());
        }
        let (first, last) = (bundle * BUNDLE_ENTRIES, (bundle + 1) * BUNDLE_ENTRIES - 1);
        Err(altered(shared, &format_args!("what stands over the entries {first} to {last}")))
    }

    /// The root over the first `size` entries, out of nodes that are right.
    pub(crate) fn root(&mut self, shared: &Shared, size: u64) -> Result<Hash, ReadError> {
        let mut node = |id| {
            let Some(hash) = self.node(shared, id)? else { return Ok(None) };
            if self.is_right(shared, id, hash)? {
                Ok(Some(hash))
            } else {
                Err(altered(shared, &format_args!("node `{id}` of the tree")))
            }
        };
        root(size, &mut node).map_err(|error: TreeError<StorageError>| ReadError::Tree(error.into()))
    }

    /// Whether this is the hash that the tree has there.
    fn is_right(&mut self, shared: &Shared, id: NodeId, hash: Hash) -> Result<bool, StorageError> {
        self.look(shared, id);
        let (mut way, mut at, mut hash) = (Vec::new(), id, hash);
        loop {
            if let Some(right) = self.known(at) {
                if right != hash {
                    return Ok(false);
                }
                self.way.retain(|(known, _)| known.level >= at.level);
                self.way.append(&mut way);
                debug_assert!(self.way.len() <= WAY_NODES_MAX);
                return Ok(true);
            }
            let beside = NodeId { index: at.index ^ 1, ..at };
            // Nothing stands beside it where it is beyond the end of the log.
            let Some(other) = self.node(shared, beside)? else { return Ok(false) };
            way.extend([(at, hash), (beside, other)]);
            hash = root_of(&if at.index.is_multiple_of(2) { [hash, other] } else { [other, hash] });
            at = NodeId { level: at.level + 1, index: at.index / 2 };
        }
    }

    /// A node: one that is known to be right, or what is stored.
    fn node(&self, shared: &Shared, id: NodeId) -> Result<Option<Hash>, StorageError> {
        match self.known(id) {
            Some(hash) => Ok(Some(hash)),
            None => shared.bundled.node(&shared.trees, id),
        }
    }

    fn known(&self, id: NodeId) -> Option<Hash> {
        self.way.iter().chain(&self.edge).find(|(known, _)| *known == id).map(|(_, hash)| *hash)
    }

    /// Look at the edge, unless a node is within what it stood over. A node that was right stays right.
    fn look(&mut self, shared: &Shared, id: NodeId) {
        let is_within = id.index.checked_add(1).is_some_and(|end| end <= self.size >> id.level);
        if is_within {
            return;
        }
        let edge = shared.edge.read().unwrap_or_else(PoisonError::into_inner);
        (self.size, self.edge) = (edge.size(), edge.edge().collect());
        self.way.clear();
    }
}

fn altered(shared: &Shared, what: &std::fmt::Arguments<'_>) -> StorageError {
    let text = format!(
        "{what} is not what was signed: in epoch {}, the database has something else than the log's tree has; somebody \
         wrote to its files, and `attorn repair` makes them anew, while no server runs, if base copy and journal are whole",
        shared.log.epoch
    );
    StorageError::of_log(&text, text.clone())
}

#[cfg(test)]
#[path = "proved_tests.rs"]
mod tests;
