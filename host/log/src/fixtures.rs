//! A log of one's own for every test: fixed seed, id and bodies.

use std::collections::BTreeMap;
use std::convert::Infallible;

use serde_json::json;

use crate::segments::{Span, json_line, segment_name};
use crate::tiles::{add_to_bundle, hash_tile};
use crate::{
    CheckpointSigner, CheckpointVerifier, Entry, EntryBody, EntryRef, Gap, Hash, Link, NodeId, Origin, Receipt,
    SignedCheckpoint, Tile, TileKind, TreeBuilder, export_header, tree,
};

pub(crate) fn origin() -> Origin {
    "attorn/main/1".parse().unwrap()
}

pub(crate) fn signer() -> CheckpointSigner {
    CheckpointSigner::new(origin(), &[0x2a; 32])
}

pub(crate) fn verifier() -> CheckpointVerifier {
    signer().verifier()
}

/// A body for the entry at `index`: each another, and long enough to have letters, digits and escapes.
pub(crate) fn body(index: u64) -> EntryBody {
    EntryBody::of(&json!({ "kind": "decision", "n": index, "who": "J\u{f6}rg \"J\" \n" })).unwrap()
}

/// A whole log and all that is stored of it.
#[derive(Clone)]
pub(crate) struct Log {
    pub(crate) entries: Vec<Entry>,
    nodes: BTreeMap<NodeId, Hash>,
    tree: TreeBuilder,
}

impl Log {
    pub(crate) fn of(len: u64) -> Self {
        let mut log = Self { entries: Vec::new(), nodes: BTreeMap::new(), tree: TreeBuilder::new() };
        for index in 0..len {
            let Origin { log_id, epoch } = origin();
            let at = EntryRef { log_id, epoch, index };
            let previous = log.entries.last().map_or(Link::NONE, Entry::link);
            let entry = Entry { at, previous, body: body(index) };
            log.nodes.extend(log.tree.push(entry.leaf_hash()).unwrap());
            log.entries.push(entry);
        }
        log
    }

    pub(crate) fn len(&self) -> u64 {
        self.tree.size()
    }

    pub(crate) fn checkpoint(&self) -> SignedCheckpoint {
        signer().sign(self.tree.size(), self.tree.root())
    }

    pub(crate) fn receipt(&self, index: u64) -> Receipt {
        let get = |id| Ok::<_, Infallible>(self.nodes.get(&id).copied());
        let proof = tree::inclusion_proof(index, self.len(), get).unwrap();
        Receipt::new(&self.entries[usize::try_from(index).unwrap()], proof, &self.checkpoint())
    }

    /// The checkpoint that this had when it was so long.
    pub(crate) fn checkpoint_at(&self, size: u64) -> SignedCheckpoint {
        signer().sign(size, tree::root(size, |id| Ok::<_, Infallible>(self.nodes.get(&id).copied())).unwrap())
    }

    /// All files that this is published as, with these earlier checkpoints.
    pub(crate) fn files(&self, checkpoint: &SignedCheckpoint, earlier: &[u64]) -> BTreeMap<String, Vec<u8>> {
        self.files_in(Span::USUAL, checkpoint, earlier)
    }

    /// The same, where a segment of the history stands for so many entries.
    pub(crate) fn files_in(
        &self,
        span: Span,
        checkpoint: &SignedCheckpoint,
        earlier: &[u64],
    ) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        files.insert("key".to_owned(), format!("{}\n", verifier()).into_bytes());
        files.insert("checkpoint".to_owned(), checkpoint.note().as_bytes().to_vec());
        for segment in 0..=span.segment_of(checkpoint.checkpoint().size) {
            let its = earlier.iter().filter(|size| span.segment_of(**size) == segment);
            let notes: String = its.map(|size| self.checkpoint_at(*size).note().to_owned()).collect();
            files.insert(segment_name(segment), notes.into_bytes());
        }
        let line = |entry: &Entry| format!("{}\n", json_line(&entry.to_bytes()).unwrap());
        files.insert("entries.jsonl".to_owned(), self.entries.iter().map(line).collect::<String>().into_bytes());
        for tile in Tile::all(self.len()) {
            let bytes = match tile.kind() {
                TileKind::Hashes(_) => hash_tile(&tile.nodes().map(|id| self.nodes[&id]).collect::<Vec<_>>()),
                TileKind::Entries => {
                    let begin = usize::try_from(tile.begin()).unwrap();
                    let mut bundle = Vec::new();
                    for entry in &self.entries[begin..begin + usize::from(tile.width())] {
                        add_to_bundle(&mut bundle, &entry.to_bytes());
                    }
                    bundle
                }
            };
            files.insert(tile.to_string(), bytes);
        }
        files
    }

    /// A log of these entries, whatever they say.
    pub(crate) fn of_entries(entries: Vec<Entry>) -> Self {
        let mut log = Self { entries: Vec::new(), nodes: BTreeMap::new(), tree: TreeBuilder::new() };
        for entry in entries {
            log.nodes.extend(log.tree.push(entry.leaf_hash()).unwrap());
            log.entries.push(entry);
        }
        log
    }

    /// What stands for a bundle that an export lacks.
    pub(crate) fn gap(&self, bundle: u64) -> Gap {
        Gap { bundle, root: self.nodes[&NodeId { level: Gap::LEVEL, index: bundle }] }
    }

    pub(crate) fn header(&self) -> String {
        export_header(&verifier(), &self.checkpoint())
    }

    /// An export with this checkpoint and any entries.
    pub(crate) fn export_of<'a>(&self, entries: impl IntoIterator<Item = &'a Entry>) -> Vec<u8> {
        let mut bytes = self.header().into_bytes();
        entries.into_iter().for_each(|entry| bytes.extend(entry.to_bytes()));
        bytes
    }

    pub(crate) fn export(&self) -> Vec<u8> {
        self.export_of(&self.entries)
    }
}
