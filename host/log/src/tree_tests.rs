//! The tree against the definitions of RFC 6962, section 2.1, computed as they stand there.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ops::RangeInclusive;

use data_encoding::HEXLOWER;
use proptest::prelude::*;

use super::*;

/// `MTH(D[n])` over leaf hashes.
fn mth(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Hash(Sha256::digest([]).into()),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            node_hash(mth(left), mth(right))
        }
    }
}

/// `PATH(m, D[n])`.
fn path(index: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let k = split(leaves.len());
    let (left, right) = leaves.split_at(k);
    let (mut path, sibling) =
        if index < k { (path(index, left), mth(right)) } else { (path(index - k, right), mth(left)) };
    path.push(sibling);
    path
}

/// `SUBPROOF(m, D[n], b)`.
fn subproof(old: usize, leaves: &[Hash], whole: bool) -> Vec<Hash> {
    if old == leaves.len() {
        return if whole { Vec::new() } else { vec![mth(leaves)] };
    }
    let k = split(leaves.len());
    let (left, right) = leaves.split_at(k);
    let (mut proof, sibling) =
        if old <= k { (subproof(old, left, whole), mth(right)) } else { (subproof(old - k, right, false), mth(left)) };
    proof.push(sibling);
    proof
}

/// The largest power of two below `len`.
fn split(len: usize) -> usize {
    len.next_power_of_two() / 2
}

struct Stored {
    leaves: Vec<Hash>,
    nodes: BTreeMap<NodeId, Hash>,
}

impl Stored {
    fn of(len: usize) -> Self {
        let leaves: Vec<Hash> = (0..len).map(|index| leaf_hash(&index.to_be_bytes())).collect();
        let mut nodes = BTreeMap::new();
        for (size, &leaf) in leaves.iter().enumerate() {
            let new = append(size as u64, leaf, |id| Ok::<_, Infallible>(nodes.get(&id).copied())).unwrap();
            // Nothing that is stored is ever written a second time.
            assert!(new.into_iter().all(|(id, hash)| nodes.insert(id, hash).is_none()));
        }
        Self { leaves, nodes }
    }

    fn get(&self) -> impl FnMut(NodeId) -> Result<Option<Hash>, Infallible> {
        |id| Ok(self.nodes.get(&id).copied())
    }

    fn check_root(&self, size: usize) {
        assert_eq!(root(size as u64, self.get()).unwrap(), mth(&self.leaves[..size]), "size {size}");
    }

    fn check_inclusion(&self, index: usize, size: usize) {
        let (leaves, root) = (&self.leaves[..size], mth(&self.leaves[..size]));
        let proof = inclusion_proof(index as u64, size as u64, self.get()).unwrap();
        assert_eq!(proof, path(index, leaves), "{index} of {size}");
        let verify =
            |index: usize, proof: &[Hash]| verify_inclusion(self.leaves[index], index as u64, size as u64, proof, root);
        assert_eq!(verify(index, &proof), Ok(()));
        assert_eq!(
            verify_inclusion(self.leaves[index], (index ^ 1) as u64, size as u64, &proof, root).is_ok(),
            size == 1 && index ^ 1 == 0,
        );
        for at in 0..proof.len() {
            let mut changed = proof.clone();
            changed[at].0[31] ^= 1;
            assert_eq!(verify(index, &changed), Err(ProofError::Root));
        }
        let longer = [&proof[..], &[root]].concat();
        assert!(matches!(verify(index, &longer), Err(ProofError::Length { .. })));
        if let Some((_, shorter)) = proof.split_last() {
            assert!(matches!(verify(index, shorter), Err(ProofError::Length { .. })));
        }
    }

    fn check_consistency(&self, old: usize, new: usize) {
        let (old_root, new_root) = (mth(&self.leaves[..old]), mth(&self.leaves[..new]));
        let proof = consistency_proof(old as u64, new as u64, self.get()).unwrap();
        let expect = if old == 0 { Vec::new() } else { subproof(old, &self.leaves[..new], true) };
        assert_eq!(proof, expect, "{old} in {new}");
        let verify =
            |old_root, new_root, proof: &[Hash]| verify_consistency(old as u64, old_root, new as u64, new_root, proof);
        assert_eq!(verify(old_root, new_root, &proof), Ok(()));
        let other = Hash([7; 32]);
        assert!(verify(other, new_root, &proof).is_err());
        // A tree without leaves says nothing about any that follows.
        assert_eq!(verify(old_root, other, &proof).is_ok(), old == 0);
        for at in 0..proof.len() {
            let mut changed = proof.clone();
            changed[at].0[0] ^= 1;
            assert_eq!(verify(old_root, new_root, &changed), Err(ProofError::Root));
        }
        let longer = [&proof[..], &[old_root]].concat();
        assert!(matches!(verify(old_root, new_root, &longer), Err(ProofError::Length { .. })));
    }
}

const SIZES: RangeInclusive<usize> = 0..=70;

#[test]
fn roots_agree_with_the_definition() {
    let stored = Stored::of(*SIZES.end());
    let mut builder = TreeBuilder::new();
    for size in SIZES {
        stored.check_root(size);
        assert_eq!(TreeBuilder::load(size as u64, stored.get()).unwrap(), builder);
        assert_eq!(builder.root(), mth(&stored.leaves[..size]));
        if size < *SIZES.end() {
            let new = builder.push(stored.leaves[size]).unwrap();
            assert!(new.iter().all(|(id, hash)| stored.nodes[id] == *hash));
        }
    }
    // Perfect subtrees only: for n leaves, 2n less the number of subtrees at the edge.
    assert_eq!(stored.nodes.len(), 2 * 70 - 3);
}

#[test]
fn inclusion_proofs_agree_with_the_definition() {
    let stored = Stored::of(*SIZES.end());
    for size in SIZES {
        (0..size).for_each(|index| stored.check_inclusion(index, size));
        let outside = inclusion_proof(size as u64, size as u64, stored.get());
        assert!(matches!(outside, Err(TreeError::IndexOutside { .. })));
    }
    let anywhere = verify_inclusion(stored.leaves[0], 1, 1, &[], stored.leaves[0]);
    assert_eq!(anywhere, Err(ProofError::Outside));
}

#[test]
fn consistency_proofs_agree_with_the_definition() {
    let stored = Stored::of(*SIZES.end());
    for new in SIZES {
        (0..=new).for_each(|old| stored.check_consistency(old, new));
    }
    assert!(matches!(consistency_proof(2, 1, stored.get()), Err(TreeError::SizeOutside { old: 2, new: 1 })));
    assert_eq!(verify_consistency(2, stored.leaves[0], 1, stored.leaves[0], &[]), Err(ProofError::Outside));
}

#[test]
fn known_vectors_of_certificate_transparency() {
    assert_eq!(mth(&[]), Hash::EMPTY_ROOT);
    let leaves = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
    let mut tree = TreeBuilder::new();
    for (leaf, expect) in leaves.into_iter().zip([
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ]) {
        tree.push(leaf_hash(&HEXLOWER.decode(leaf.as_bytes()).unwrap())).unwrap();
        assert_eq!(HEXLOWER.encode(&tree.root().0), expect);
    }
}

#[test]
fn a_missing_node_is_named_and_an_error_passed_on() {
    let mut stored = Stored::of(7);
    stored.nodes.remove(&NodeId { level: 1, index: 2 });
    assert_eq!(root(7, stored.get()).unwrap_err().to_string(), "node `1/2` of the tree is missing");
    let inclusion = inclusion_proof(6, 7, stored.get()).unwrap_err();
    assert!(matches!(inclusion, TreeError::Missing(NodeId { level: 1, index: 2 })));
    let appended = append(7, Hash([0; 32]), stored.get()).unwrap_err();
    assert!(matches!(appended, TreeError::Missing(NodeId { level: 1, index: 2 })));
    let failed = root(7, |_| Err(std::io::Error::other("disk"))).unwrap_err();
    assert!(matches!(failed, TreeError::Source(_)));
    let full = append(u64::MAX, Hash([0; 32]), stored.get()).unwrap_err();
    assert!(matches!(full, TreeError::Full));
}

/// A tree of any size in which every leaf is the same, so that nodes need not be stored.
fn uniform() -> impl Fn(NodeId) -> Result<Option<Hash>, Infallible> {
    |id| Ok(Some((0..id.level).fold(leaf_hash(b""), |hash, _| node_hash(hash, hash))))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn random_sizes_agree_with_the_definition(size in 71_usize..600, index: prop::sample::Index) {
        let stored = Stored::of(size);
        stored.check_root(size);
        stored.check_inclusion(index.index(size), size);
        stored.check_consistency(index.index(size + 1), size);
    }

    #[test]
    fn proofs_hold_in_trees_of_any_size(size in 1_u64.., index: u64, grow: u64) {
        let (index, new) = (index % size, size.saturating_add(grow));
        let old_root = root(size, uniform()).unwrap();
        let proof = inclusion_proof(index, size, uniform()).unwrap();
        prop_assert!(proof.len() <= 64);
        prop_assert_eq!(verify_inclusion(leaf_hash(b""), index, size, &proof, old_root), Ok(()));
        let proof = consistency_proof(size, new, uniform()).unwrap();
        let new_root = root(new, uniform()).unwrap();
        prop_assert_eq!(verify_consistency(size, old_root, new, new_root, &proof), Ok(()));
    }

    #[test]
    fn verifying_never_panics(a: u64, b: u64, proof in prop::collection::vec(any::<[u8; 32]>(), 0..70)) {
        let proof: Vec<Hash> = proof.into_iter().map(Hash).collect();
        let root = Hash([0; 32]);
        prop_assert!(verify_inclusion(root, a, b, &proof, root).is_err());
        prop_assert!(a == b || verify_consistency(a, root, b, root, &proof).is_err());
    }
}
