//! One full bundle of entries, of which no more is known than the root that the tree has over it.
//!
//! The link of the entry before the first is not known here, so the first is taken to carry it; where it does not, the
//! entry after it tells.

use std::collections::{BTreeMap, VecDeque};

use super::{Verifier, VerifyError};
use crate::checkpoint::Checkpoint;
use crate::entry::{Entry, Link};
use crate::reference::Origin;
use crate::tiles::{Bundle, TILE_WIDTH, Tile};
use crate::tree::{Hash, TreeBuilder};

/// By how many of the first entries it is told of which log they are, so that a single one that was changed does not
/// pass for the only one that was not.
const ASKED: usize = 3;

/// See whether a bundle's entries are those that this root is of, and which is the first that is not.
pub fn verify_bundle(bundle: u64, root: Hash, bytes: &[u8]) -> Result<(), VerifyError> {
    let tile = Tile::full_bundle(bundle);
    let (begin, mut rest) = (tile.begin(), Bundle::new(bytes));
    let malformed = |source| VerifyError::Malformed { index: begin, source };
    let first = rest.next_entry().map_err(|source| VerifyError::Bundle { tile, index: begin, source })?;
    let previous = Entry::parse(first).map_err(malformed)?.previous;
    let Some(origin) = origin(bytes) else { return Err(VerifyError::Changed { index: begin }) };
    let mut verifier = Verifier::of_part(origin, (begin, u64::from(TILE_WIDTH)), root, previous);
    rest = Bundle::new(bytes);
    for index in (begin..).take(usize::from(TILE_WIDTH)) {
        match rest.next_entry() {
            Ok(entry) => verifier = verifier.push(entry)?,
            Err(source) => return Err(verifier.cut(VerifyError::Bundle { tile, index, source })),
        }
    }
    verifier.finish()?;
    let index = begin + u64::from(TILE_WIDTH);
    rest.end().map_err(|source| VerifyError::Bundle { tile, index, source })
}

/// The origin that most of the first entries say they are of.
fn origin(bytes: &[u8]) -> Option<Origin> {
    let (mut bundle, mut said) = (Bundle::new(bytes), BTreeMap::<Origin, usize>::new());
    for _ in 0..ASKED {
        let Ok(entry) = bundle.next_entry() else { break };
        if let Ok(entry) = Entry::parse(entry) {
            *said.entry(entry.at.origin()).or_default() += 1;
        }
    }
    said.into_iter().max_by_key(|(_, times)| *times).map(|(origin, _)| origin)
}

impl Verifier {
    /// Begin with so many entries from one on, over which the tree has a node of its own with this root.
    fn of_part(origin: Origin, (begin, len): (u64, u64), root: Hash, previous: Link) -> Self {
        Self {
            checkpoint: Checkpoint { origin, size: begin + len, root },
            begin,
            tree: TreeBuilder::new(),
            head: Some(previous),
            lacking: None,
            doubt: None,
            earlier: VecDeque::new(),
            parted: None,
            new_nodes: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::Log;
    use crate::tiles::add_to_bundle;

    /// The second bundle of a log, and its root.
    fn second(change: impl FnOnce(&mut Vec<Entry>)) -> (Vec<u8>, Hash) {
        let mut entries = Log::of(512).entries.split_off(256);
        let mut tree = TreeBuilder::new();
        for entry in &entries {
            tree.push(entry.leaf_hash()).unwrap();
        }
        change(&mut entries);
        let mut bytes = Vec::new();
        for entry in &entries {
            add_to_bundle(&mut bytes, &entry.to_bytes());
        }
        (bytes, tree.root())
    }

    fn said(change: impl FnOnce(&mut Vec<Entry>)) -> Result<(), String> {
        let (bytes, root) = second(change);
        verify_bundle(1, root, &bytes).map_err(|error| error.to_string())
    }

    #[test]
    fn the_first_entry_that_is_not_as_it_was_is_named() {
        assert_eq!(said(|_| {}), Ok(()));
        for (at, named) in [(0, 256), (1, 257), (77, 333), (254, 510)] {
            let body = crate::fixtures::body(9);
            let changed = said(|entries| entries[at].body = body);
            assert_eq!(changed, Err(format!("entry {named} was changed")));
            let changed = said(|entries| entries[at].previous = Link::NONE);
            assert_eq!(changed, Err(format!("entry {named} was changed")), "link");
            let changed = said(|entries| entries[at].at.log_id = "another".parse().unwrap());
            assert_eq!(changed, Err(format!("entry {named} is of the log `another`")));
        }
        let last = said(|entries| entries[255].body = crate::fixtures::body(9)).unwrap_err();
        assert!(last.starts_with("entry 511, the last, was changed"), "{last}");
        let gone = said(|entries| drop(entries.remove(20))).unwrap_err();
        assert!(gone.starts_with("entry 276 is missing"), "{gone}");
        let twice = said(|entries| entries[21] = entries[20].clone()).unwrap_err();
        assert!(twice.starts_with("entry 277 is not in its place"), "{twice}");
    }

    #[test]
    fn what_is_no_bundle_is_said_where_it_ends_to_be_one() {
        let (bytes, root) = second(|_| {});
        let said = |bytes: &[u8]| verify_bundle(1, root, bytes).unwrap_err();
        assert_eq!(said(&[]).to_string(), "entry 256 cannot be read from `tile/entries/001`: it ends within an entry");
        assert_eq!(said(&bytes[..bytes.len() - 1]).index(), Some(511));
        assert_eq!(said(&[&bytes[..], &[0]].concat()).index(), Some(512));
        assert!(matches!(said(&[0, 1, b'x']), VerifyError::Malformed { index: 256, .. }));
        for at in (0..bytes.len()).step_by(101) {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let named = said(&changed).index().unwrap();
            assert!((256..512).contains(&named), "{at}: {named}");
        }
    }
}
