//! Proofs that an entry is in a tree, and that one tree continues another (RFC 6962, section 2.1).

use super::{Hash, NodeId, TreeError, fold, node, node_hash, subtrees};

/// Why a proof does not show what it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The entry cannot be in a tree of this size, or the sizes are the wrong way round.
    #[error("the proof is about a place outside the tree")]
    Outside,
    /// A proof about this place has another number of hashes.
    #[error("the proof has {found} hashes instead of {expected}")]
    Length {
        /// How many it has.
        found: usize,
        /// How many it needs.
        expected: usize,
    },
    /// The hashes do not lead to the root.
    #[error("the proof does not lead to the root")]
    Root,
}

/// Where the sibling stands at one step down from the root.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sibling {
    Left,
    Right,
}

/// One step down: the sibling that is left aside, which side it is on and which leaves are below it.
struct Step {
    side: Sibling,
    start: u64,
    len: u64,
}

/// A way from the root down to the part of the tree from `start` on, `len` leaves wide.
struct Descent {
    steps: Vec<Step>,
    start: u64,
    len: u64,
}

/// Go down from the root of a tree of `size`, to the left as long as `left` says so for the size of the
/// left part counted from the tree's begin, until `done` says so for what is left: its begin and width.
fn descend(size: u64, left: impl Fn(u64) -> bool, done: impl Fn(u64, u64) -> bool) -> Descent {
    let (mut start, mut len) = (0, size);
    let mut steps = Vec::new();
    while len > 1 && !done(start, len) {
        // The largest power of two below `len`.
        let split = 1 << (u64::BITS - 1 - (len - 1).leading_zeros());
        if left(start + split) {
            steps.push(Step { side: Sibling::Right, start: start + split, len: len - split });
            len = split;
        } else {
            steps.push(Step { side: Sibling::Left, start, len: split });
            start += split;
            len -= split;
        }
    }
    Descent { steps, start, len }
}

fn to_leaf(index: u64, size: u64) -> Descent {
    descend(size, |split| index < split, |_, _| false)
}

/// Down to the largest part of the new tree that ends where the old one ends.
fn to_end_of(old: u64, size: u64) -> Descent {
    descend(size, |split| old <= split, |start, len| start + len == old)
}

/// The root of the part of the tree from `start` on, `len` leaves wide.
fn part<E>(
    start: u64,
    len: u64,
    get: &mut impl FnMut(NodeId) -> Result<Option<Hash>, E>,
) -> Result<Hash, TreeError<E>> {
    let hashes: Vec<Hash> = subtrees(start, len).map(|id| node(id, get)).collect::<Result<_, _>>()?;
    Ok(fold(&hashes))
}

/// The proof that the entry at `index` is in a tree of `size`: the siblings on its way to the root,
/// the leaf's own first.
pub fn inclusion_proof<E>(
    index: u64,
    size: u64,
    mut get: impl FnMut(NodeId) -> Result<Option<Hash>, E>,
) -> Result<Vec<Hash>, TreeError<E>> {
    if index >= size {
        return Err(TreeError::IndexOutside { index, size });
    }
    to_leaf(index, size).steps.iter().rev().map(|step| part(step.start, step.len, &mut get)).collect()
}

/// The root of the one tree of `size` in which this proof would show this leaf at `index`.
pub fn root_of_inclusion(leaf: Hash, index: u64, size: u64, proof: &[Hash]) -> Result<Hash, ProofError> {
    if index >= size {
        return Err(ProofError::Outside);
    }
    let way = to_leaf(index, size);
    check_length(proof, way.steps.len())?;
    let up = way.steps.iter().rev().zip(proof);
    Ok(up.fold(leaf, |hash, (step, &sibling)| match step.side {
        Sibling::Left => node_hash(sibling, hash),
        Sibling::Right => node_hash(hash, sibling),
    }))
}

/// Whether this proof shows this leaf at `index` of the tree of `size` with this root.
pub fn verify_inclusion(leaf: Hash, index: u64, size: u64, proof: &[Hash], root: Hash) -> Result<(), ProofError> {
    check_root(root_of_inclusion(leaf, index, size, proof)?, root)
}

/// The proof that a tree of `new` leaves begins with the tree of `old` leaves. It is empty when the
/// two are the same and when the old one has no leaves.
pub fn consistency_proof<E>(
    old: u64,
    new: u64,
    mut get: impl FnMut(NodeId) -> Result<Option<Hash>, E>,
) -> Result<Vec<Hash>, TreeError<E>> {
    if old > new {
        return Err(TreeError::SizeOutside { old, new });
    }
    if old == 0 {
        return Ok(Vec::new());
    }
    let way = to_end_of(old, new);
    // Where it begins at 0, it is the old tree itself, whose root the verifier has.
    let seed = (way.start > 0).then_some((way.start, way.len));
    let siblings = way.steps.iter().rev().map(|step| (step.start, step.len));
    seed.into_iter().chain(siblings).map(|(start, len)| part(start, len, &mut get)).collect()
}

/// Whether this proof shows that the tree of `new` leaves begins with the tree of `old` leaves.
pub fn verify_consistency(
    old: u64,
    old_root: Hash,
    new: u64,
    new_root: Hash,
    proof: &[Hash],
) -> Result<(), ProofError> {
    if old > new {
        return Err(ProofError::Outside);
    }
    if old == 0 {
        check_length(proof, 0)?;
        return check_root(Hash::EMPTY_ROOT, old_root);
    }
    let way = to_end_of(old, new);
    let seeded = usize::from(way.start > 0);
    check_length(proof, way.steps.len() + seeded)?;
    let (seed, siblings) = proof.split_at(seeded);
    let seed = seed.first().copied().unwrap_or(old_root);
    let up = way.steps.iter().rev().zip(siblings);
    let (old_found, new_found) = up.fold((seed, seed), |(old, new), (step, &sibling)| match step.side {
        // What stands on the left belongs to both trees, what stands on the right to the new one only.
        Sibling::Left => (node_hash(sibling, old), node_hash(sibling, new)),
        Sibling::Right => (old, node_hash(new, sibling)),
    });
    check_root(old_found, old_root)?;
    check_root(new_found, new_root)
}

fn check_length(proof: &[Hash], expected: usize) -> Result<(), ProofError> {
    let found = proof.len();
    if found == expected { Ok(()) } else { Err(ProofError::Length { found, expected }) }
}

fn check_root(found: Hash, root: Hash) -> Result<(), ProofError> {
    if found == root { Ok(()) } else { Err(ProofError::Root) }
}
