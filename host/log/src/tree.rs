//! The Merkle tree of RFC 6962 over the bytes of all entries, with SHA-256.
//!
//! Only perfect subtrees are stored: once all leaves below a node are there, its hash never changes,
//! so what is stored is only ever added to. The ragged right edge is computed when it is asked for.
//! Every function takes the stored nodes as a function from [`NodeId`] and touches O(log n) of them;
//! where nodes are kept is no matter of this module.

use std::convert::Infallible;
use std::fmt;

use data_encoding::BASE64;
use sha2::{Digest as _, Sha256};

mod proof;

pub use proof::{
    ProofError, consistency_proof, inclusion_proof, root_of_inclusion, verify_consistency, verify_inclusion,
};

/// A SHA-256 hash in the tree. As text, base64, as in checkpoints and proofs.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// The root of a tree without leaves: SHA-256 of nothing (RFC 6962, section 2.1).
    pub const EMPTY_ROOT: Self = Self([
        0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae,
        0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
    ]);

    /// Read base64 in its one strict spelling.
    pub(crate) fn from_base64(text: &str) -> Option<Self> {
        BASE64.decode(text.as_bytes()).ok()?.try_into().ok().map(Self)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        BASE64.encode_display(&self.0).fmt(f)
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

/// A perfect subtree: the one over the leaves from `index · 2^level` on, `2^level` of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId {
    /// Its height; 0 is a leaf.
    pub level: u8,
    /// How many subtrees of this height stand left of it.
    pub index: u64,
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.level, self.index)
    }
}

/// Why something could not be computed from the stored nodes. `E` is the error of whatever keeps them.
#[derive(Debug, thiserror::Error)]
pub enum TreeError<E> {
    /// A node could not be read.
    #[error("a node of the tree cannot be read")]
    Source(#[source] E),
    /// A node that the tree's size says must be there is not.
    #[error("node `{0}` of the tree is missing")]
    Missing(NodeId),
    /// The entry is not in a tree of this size.
    #[error("entry {index} is not in a tree of {size}")]
    IndexOutside {
        /// Which entry.
        index: u64,
        /// How many there are.
        size: u64,
    },
    /// A tree cannot be consistent with a smaller one as its continuation.
    #[error("a tree of {new} cannot continue a tree of {old}")]
    SizeOutside {
        /// The size that should be the older.
        old: u64,
        /// The size that should be the newer.
        new: u64,
    },
    /// The tree has 2^64 - 1 leaves.
    #[error("the tree is full")]
    Full,
    /// A subtree cannot begin where the tree ends.
    #[error("a subtree of height {level} cannot begin after {size} leaves")]
    Unaligned {
        /// The subtree's height.
        level: u8,
        /// How many leaves there are.
        size: u64,
    },
}

/// The hash of a leaf: SHA-256 of a zero byte and the entry's bytes.
#[must_use]
pub fn leaf_hash(entry: &[u8]) -> Hash {
    Hash(Sha256::new().chain_update([0]).chain_update(entry).finalize().into())
}

/// The perfect subtrees that a tree of this size is made of, from the left.
pub fn edge(size: u64) -> impl Iterator<Item = NodeId> {
    subtrees(0, size)
}

/// The hash of an inner node: SHA-256 of a one byte and its two children.
fn node_hash(left: Hash, right: Hash) -> Hash {
    Hash(Sha256::new().chain_update([1]).chain_update(left.0).chain_update(right.0).finalize().into())
}

/// The nodes that become perfect when a leaf is added to a tree of `size`, the leaf first.
pub fn append<E>(
    size: u64,
    leaf: Hash,
    mut get: impl FnMut(NodeId) -> Result<Option<Hash>, E>,
) -> Result<Vec<(NodeId, Hash)>, TreeError<E>> {
    if size == u64::MAX {
        return Err(TreeError::Full);
    }
    append_node(NodeId { level: 0, index: size }, leaf, &mut get)
}

/// The nodes that become perfect when this one is added at a tree's right edge, itself first.
fn append_node<E>(
    mut id: NodeId,
    mut hash: Hash,
    get: &mut impl FnMut(NodeId) -> Result<Option<Hash>, E>,
) -> Result<Vec<(NodeId, Hash)>, TreeError<E>> {
    let mut new = vec![(id, hash)];
    while id.index % 2 == 1 {
        let left = node(NodeId { index: id.index - 1, ..id }, get)?;
        id = NodeId { level: id.level + 1, index: id.index / 2 };
        hash = node_hash(left, hash);
        new.push((id, hash));
    }
    Ok(new)
}

/// The root of a tree of `size`.
pub fn root<E>(size: u64, get: impl FnMut(NodeId) -> Result<Option<Hash>, E>) -> Result<Hash, TreeError<E>> {
    TreeBuilder::load(size, get).map(|tree| tree.root())
}

fn node<E>(id: NodeId, get: &mut impl FnMut(NodeId) -> Result<Option<Hash>, E>) -> Result<Hash, TreeError<E>> {
    get(id).map_err(TreeError::Source)?.ok_or(TreeError::Missing(id))
}

/// The perfect subtrees that `len` leaves from `start` on consist of, from left to right: one for each
/// bit of `len`, the largest first. `start` is a multiple of the largest.
fn subtrees(start: u64, len: u64) -> impl Iterator<Item = NodeId> {
    let levels = (0..64_u8).rev().filter(move |level| len >> level & 1 == 1);
    // What is left of a subtree are the leaves before `start` and those of all higher bits of `len`.
    levels.map(move |level| NodeId { level, index: (start >> level) + (len >> level) - 1 })
}

/// The root over subtrees of falling size: RFC 6962 splits off the largest perfect one on the left.
fn fold(subtrees: &[Hash]) -> Hash {
    subtrees.iter().rev().copied().reduce(|right, left| node_hash(left, right)).unwrap_or(Hash::EMPTY_ROOT)
}

/// A growing tree of which only the right edge is kept, at most 64 hashes. It is how a writer appends
/// without reading, and how a verifier hashes a log of any length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeBuilder {
    size: u64,
    /// The hash of the perfect subtree for each bit of `size`, the largest first.
    edge: Vec<Hash>,
}

impl TreeBuilder {
    /// A tree without leaves.
    #[must_use]
    pub const fn new() -> Self {
        Self { size: 0, edge: Vec::new() }
    }

    /// A tree of `size`, its edge read from the stored nodes.
    pub fn load<E>(size: u64, mut get: impl FnMut(NodeId) -> Result<Option<Hash>, E>) -> Result<Self, TreeError<E>> {
        let edge = subtrees(0, size).map(|id| node(id, &mut get)).collect::<Result<_, _>>()?;
        Ok(Self { size, edge })
    }

    /// How many leaves there are.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Add a leaf. What comes back are the nodes that became perfect, the leaf first: what has to be
    /// stored, if anything is. A full tree stays as it is.
    pub fn push(&mut self, leaf: Hash) -> Result<Vec<(NodeId, Hash)>, TreeError<Infallible>> {
        self.push_subtree(0, leaf)
    }

    /// Add a perfect subtree of `2^level` leaves of which nothing but its root is known. What comes back are the nodes
    /// that became perfect, its root first. A tree after which it cannot begin stays as it is.
    pub fn push_subtree(&mut self, level: u8, root: Hash) -> Result<Vec<(NodeId, Hash)>, TreeError<Infallible>> {
        let size = self.size;
        let leaves = 1_u64.checked_shl(level.into()).ok_or(TreeError::Full)?;
        if !size.is_multiple_of(leaves) {
            return Err(TreeError::Unaligned { level, size });
        }
        let grown = size.checked_add(leaves).ok_or(TreeError::Full)?;
        // The left siblings are the end of the edge, nearest first: one for each bit from this level on that is set.
        let mut edge = self.edge.iter().rev().copied();
        let new = append_node(NodeId { level, index: size >> level }, root, &mut |_| Ok(edge.next()))?;
        self.edge.truncate(self.edge.len() + 1 - new.len());
        self.edge.extend(new.last().map(|&(_, hash)| hash));
        self.size = grown;
        Ok(new)
    }

    /// The root over all leaves.
    #[must_use]
    pub fn root(&self) -> Hash {
        fold(&self.edge)
    }

    /// The perfect subtrees that it is made of, from the left: all that is needed to go on.
    pub fn edge(&self) -> impl Iterator<Item = (NodeId, Hash)> {
        edge(self.size).zip(self.edge.iter().copied())
    }
}

impl Default for TreeBuilder {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;
