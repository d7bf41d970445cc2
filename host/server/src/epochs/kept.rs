//! Entries of an epoch that has ended, read from the export that was kept of it, one by one.
//!
//! INVARIANT: no entry comes out of here whose proof does not lead to the root that the epoch's last checkpoint signed,
//! which the store has. The export and its index ([`super::index`]) are files that anybody may have changed; an index
//! that is missing or leads nowhere is made anew, which verifies the whole export, and so names the first entry that is
//! not as it was signed.
//!
//! Where an export was changed, every entry that still proves is given out, also behind a place where bytes were added
//! or taken away; only the others are refused.
//!
//! However long the epoch was, one entry costs its own bytes and the hashes of its proof, and nothing of it stays in
//! memory when it is read. Who may read it is not asked here, nor what it says.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use attorn_api::ProblemCode;
use attorn_log::tree::{inclusion_proof, leaf_hash, verify_inclusion};
use attorn_log::{Entry, Epoch, Hash, NodeId, Receipt, SignedCheckpoint};
use attorn_store::open_regular;
use attorn_store::records::LogEpochRecord;

use super::export_path;
use super::index::{self, Head};
use crate::http::failure::Failure;

/// What helps where a file is not what it was.
const PUT_BACK: &str = "put that file back from a backup or a copy, and look again with `attorn audit verify`";
/// What helps where an epoch ended without entries.
const BAD_HELP: &str = "an export of this epoch that has them, or a backup from before, may be somewhere: put the export in \
                        the place of `epochs/<epoch>.export`; who ended the epoch accepted that they are lost";
/// How many hashes are remembered while entries are read one after the other.
const NODES_MAX: usize = 8_192;

/// Why an entry of an ended epoch cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeptError {
    /// Nobody kept the export, or somebody removed it.
    #[error("the entries of epoch {0} are not kept here any more")]
    Missing(Epoch),
    /// It is not what was signed.
    #[error("`epochs/{epoch}.export` is not what the log signed: {why}")]
    Damaged {
        /// Which epoch.
        epoch: Epoch,
        /// What is wrong, and with which entry.
        why: String,
    },
    /// It was in a file that was damaged or missing when the epoch ended.
    #[error("the entries {} to {} of epoch {epoch} were bad when it ended, and are not kept", entries.start, entries.end - 1)]
    Bad {
        /// Which epoch.
        epoch: Epoch,
        /// Which of its entries.
        entries: Range<u64>,
    },
    /// A file cannot be read, or the index not be written.
    #[error("`{}` cannot be used: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl From<KeptError> for Failure {
    fn from(error: KeptError) -> Self {
        match error {
            KeptError::Missing(_) => Self::of(ProblemCode::NotFound, error.to_string())
                .with_help("`epochs/` of the data directory had them: put the file back from a backup"),
            KeptError::Damaged { .. } => {
                let failure = Self::of(ProblemCode::LogDamaged, error.to_string()).with_help(PUT_BACK);
                Self { internal: Some(error.to_string()), ..failure }
            }
            KeptError::Bad { .. } => Self::of(ProblemCode::LogDamaged, error.to_string()).with_help(BAD_HELP),
            KeptError::Io { .. } => Self::internal(error),
        }
    }
}

impl KeptError {
    /// Whether it is said of an entry, and others may be as they were.
    pub(crate) const fn is_of_entries(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::Bad { .. })
    }
}

/// An ended epoch of which entries are read.
pub(crate) struct KeptEpoch {
    data_dir: PathBuf,
    known: LogEpochRecord,
    ended: SignedCheckpoint,
    export: File,
    index: Head,
    nodes: HashMap<NodeId, Hash>,
    /// What is wrong with the export, once somebody looked at all of it in vain.
    damage: Option<String>,
}

impl KeptEpoch {
    /// Open what is kept of an epoch. Its index is made, if there is none.
    pub(crate) fn open(data_dir: &Path, known: LogEpochRecord) -> Result<Self, Failure> {
        let ended = known.key.verify(known.checkpoint.as_bytes()).map_err(Failure::internal)?;
        let (export, index) = Self::files(data_dir, &known, &ended)?;
        Ok(Self { data_dir: data_dir.to_owned(), known, ended, export, index, nodes: HashMap::new(), damage: None })
    }

    fn files(data_dir: &Path, known: &LogEpochRecord, ended: &SignedCheckpoint) -> Result<(File, Head), KeptError> {
        let path = export_path(data_dir, known.epoch());
        let export = open_regular(&path).map_err(|source| match source.kind() {
            ErrorKind::NotFound => KeptError::Missing(known.epoch()),
            _ => KeptError::Io { path, source },
        })?;
        let end = export.metadata().map_err(|source| unreadable(data_dir, known.epoch(), source))?.len();
        let made = index::open(data_dir, ended);
        // Somebody may have put an export in its place that has what was bad.
        let is_of_it = made.as_ref().is_some_and(|made| known.bad.is_empty() || made.ends_at(end));
        let head = match made {
            Some(made) if is_of_it => made,
            made => match (index::make_once(data_dir, &known.key, (ended, &known.bad), made.as_ref()), made) {
                // What the old one leads to is proved all the same.
                (Err(KeptError::Damaged { .. }), Some(made)) => made,
                (head, _) => head?,
            },
        };
        Ok((export, head))
    }

    /// The checkpoint with which the epoch ended.
    pub(crate) const fn ended(&self) -> &SignedCheckpoint {
        &self.ended
    }

    /// An entry, if the epoch has so many.
    pub(crate) fn entry(&mut self, at: u64) -> Result<Option<Entry>, KeptError> {
        if at >= self.ended.checkpoint().size {
            return Ok(None);
        }
        if let Some(entry) = self.proved(at)? {
            return Ok(Some(entry));
        }
        if let Some(entries) = self.known.bad.iter().find(|bad| bad.contains(&at)) {
            return Err(KeptError::Bad { epoch: self.known.epoch(), entries: entries.clone() });
        }
        if let Some(why) = &self.damage {
            return Err(self.damaged(format!("entry {at} cannot be proved: {why}")));
        }
        // The index leads nowhere, or the export was changed. If it was, this says where.
        let bad = &self.known.bad;
        let made = index::make_once(&self.data_dir, &self.known.key, (&self.ended, bad), Some(&self.index));
        if let Err(KeptError::Damaged { why, .. }) = &made {
            self.damage = Some(why.clone());
        }
        made?;
        (self.export, self.index) = Self::files(&self.data_dir, &self.known, &self.ended)?;
        self.nodes.clear();
        match self.proved(at)? {
            Some(entry) => Ok(Some(entry)),
            None => Err(self.damaged(format!("entry {at} cannot be proved"))),
        }
    }

    /// The receipt of an entry under a checkpoint of this epoch; none if it does not show it.
    pub(crate) fn receipt(&mut self, entry: &Entry, under: &SignedCheckpoint) -> Option<Receipt> {
        let checkpoint = under.checkpoint();
        if checkpoint.size > self.ended.checkpoint().size {
            return None;
        }
        let (at, size) = (entry.at.index, checkpoint.size);
        let proof = inclusion_proof(at, size, |id| Ok::<_, Infallible>(self.node(id))).ok()?;
        verify_inclusion(entry.leaf_hash(), at, size, &proof, checkpoint.root).ok()?;
        Some(Receipt::new(entry, proof, under))
    }

    /// An entry as it stands in the export; none if its proof leads elsewhere.
    fn proved(&mut self, at: u64) -> Result<Option<Entry>, KeptError> {
        let checkpoint = self.ended.checkpoint().clone();
        let proof = inclusion_proof(at, checkpoint.size, |id| Ok::<_, Infallible>(self.node(id)));
        let Ok(proof) = proof else { return Ok(None) };
        for bytes in self.candidates(at)? {
            if verify_inclusion(leaf_hash(&bytes), at, checkpoint.size, &proof, checkpoint.root).is_err() {
                continue;
            }
            // It is what was signed, and what was signed says where it stands.
            let entry = Entry::parse(&bytes).map_err(|error| self.damaged(error.to_string()))?;
            if entry.at.origin() != checkpoint.origin || entry.at.index != at {
                return Err(self.damaged(format!("`{}` stands where entry {at} should", entry.at)));
            }
            return Ok(Some(entry));
        }
        Ok(None)
    }

    /// The bytes where an entry should stand; and, in an export that is longer or shorter than it was, where it would
    /// stand if that came of one place before it.
    fn candidates(&self, at: u64) -> Result<Vec<Vec<u8>>, KeptError> {
        let Some((begin, len)) = self.index.place(at) else { return Ok(Vec::new()) };
        let end = self.export.metadata().map_err(|source| self.unreadable(source))?.len();
        let shifted =
            Some(self.index.shifted_by(end)).filter(|by| *by != 0).and_then(|by| begin.checked_add_signed(by));
        let mut found = Vec::new();
        for begin in [Some(begin), shifted].into_iter().flatten() {
            if begin.checked_add(len as u64).is_none_or(|last| last > end) {
                continue;
            }
            let mut bytes = vec![0; len];
            match self.export.read_exact_at(&mut bytes, begin) {
                Ok(()) => found.push(bytes),
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => {}
                Err(source) => return Err(self.unreadable(source)),
            }
        }
        Ok(found)
    }

    fn node(&mut self, id: NodeId) -> Option<Hash> {
        if let Some(hash) = self.nodes.get(&id) {
            return Some(*hash);
        }
        let found = self.index.node(id);
        if self.nodes.len() >= NODES_MAX {
            self.nodes.clear();
        }
        self.nodes.extend(found.map(|hash| (id, hash)));
        found
    }

    fn damaged(&self, why: String) -> KeptError {
        KeptError::Damaged { epoch: self.known.epoch(), why }
    }

    fn unreadable(&self, source: io::Error) -> KeptError {
        unreadable(&self.data_dir, self.known.epoch(), source)
    }
}

fn unreadable(data_dir: &Path, epoch: Epoch, source: io::Error) -> KeptError {
    KeptError::Io { path: export_path(data_dir, epoch), source }
}

#[cfg(test)]
#[path = "kept_tests.rs"]
mod tests;
