//! Re-hashing a whole log against its signed checkpoint, and saying where it is wrong.
//!
//! Every entry, link, number, log id and epoch is checked, and the tree's root at the end. What is
//! needed for that is one entry, the right edge of the tree and the last link, however long the log.
//!
//! # Which entry is named
//!
//! An error names the first entry that is not as it was signed. One change is always placed exactly:
//!
//! - A changed body shows in the next entry, which carries its link; a changed previous link shows in
//!   its own. To tell the two apart, the verdict waits for one more entry: if the doubtful one, with the
//!   link put right, is what that entry links to, the link alone was changed. For the last entry the
//!   root takes that part.
//! - A changed index leaves the previous link right; an entry in a wrong place does not have it.
//! - If all links are right and the root is not, the last entry is not the signed one, since its link
//!   stands for all before it; either it alone was changed, or so was a run of entries up to it, each
//!   linked anew. Nothing in the file could tell which ([`VerifyError::EndChanged`]).
//!
//! With several changes close together the entry named may be the one before the first changed.
//!
//! # Earlier checkpoints
//!
//! Each must be of the tree as it stood at its size. Where the newest is right and an earlier one is not, the log
//! has signed two histories ([`VerifyError::Forked`]). A checkpoint that somebody kept and that counts more entries
//! shows that the log was cut ([`VerifyError::RolledBack`]); without one, and without witnesses, nothing could.

use std::collections::VecDeque;
use std::io::BufRead;
use std::num::NonZeroU64;

use crate::checkpoint::{Checkpoint, SignedCheckpoint};
use crate::entry::{Entry, EntryError, Link};
use crate::export::{Header, Read, read_entry};
use crate::key::CheckpointVerifier;
use crate::tree::{Hash, NodeId, TreeBuilder, leaf_hash};

mod bundle;
mod checks;
mod error;
mod lacking;
mod published;

pub use bundle::verify_bundle;
pub use checks::{Checks, Trust, Verified};
pub use error::VerifyError;
pub use published::{PublishedFiles, verify_published};

/// A log epoch being verified, entry by entry.
///
/// A verdict may come one entry late; only [`Verifier::finish`] says that all is well. After an error
/// there is no verifier left to go on with.
#[derive(Debug)]
pub struct Verifier {
    checkpoint: Checkpoint,
    /// The first entry: not 0 where this is a part of a log of which the checkpoint's root is known.
    begin: u64,
    /// Over all entries that are in their place.
    tree: TreeBuilder,
    /// The link of the last of them; none where that is lacking.
    head: Option<Link>,
    /// The first entry that is lacking.
    lacking: Option<u64>,
    doubt: Option<Doubt>,
    /// The earlier checkpoints that are still to come, the smallest first.
    earlier: VecDeque<(u64, Hash)>,
    /// The size of the first of them that is not of this tree.
    parted: Option<u64>,
    /// What the last entry made perfect in the tree.
    new_nodes: Vec<(NodeId, Hash)>,
}

/// An entry taken apart and hashed: nearly all of the work, and none of it depends on other entries.
#[derive(Debug)]
pub(crate) struct Hashed {
    entry: Result<Entry, EntryError>,
    link: Link,
    leaf: Hash,
}

impl Hashed {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let entry = Entry::parse(bytes);
        Self { link: entry.as_ref().map_or(Link::NONE, Entry::link), entry, leaf: leaf_hash(bytes) }
    }
}

/// Something is wrong, and the next entry will tell what.
#[derive(Debug)]
enum Doubt {
    /// A later entry stands in this place: one is missing, or the order is wrong.
    Misplaced { found: u64 },
    /// The entry does not carry the link of the one before it. Here it is with that link.
    Unlinked { mended: Entry },
}

impl Verifier {
    /// Begin with the first entry of the log that this checkpoint is of.
    #[must_use]
    pub fn new(checkpoint: &SignedCheckpoint) -> Self {
        Self {
            checkpoint: checkpoint.checkpoint().clone(),
            begin: 0,
            tree: TreeBuilder::new(),
            head: Some(Link::NONE),
            lacking: None,
            doubt: None,
            earlier: VecDeque::new(),
            parted: None,
            new_nodes: Vec::new(),
        }
    }

    /// The same, when these checkpoints were signed earlier.
    pub fn continuing<'a>(
        checkpoint: &SignedCheckpoint,
        earlier: impl IntoIterator<Item = &'a SignedCheckpoint>,
    ) -> Result<Self, VerifyError> {
        let mut verifier = Self::new(checkpoint);
        let size = verifier.checkpoint.size;
        let earlier = earlier.into_iter().map(|earlier| (earlier.checkpoint().size, earlier.checkpoint().root));
        let mut earlier: Vec<_> = earlier.collect();
        earlier.sort_unstable_by_key(|(size, _)| *size);
        match earlier.last() {
            Some(&(seen, _)) if seen > size => return Err(VerifyError::RolledBack { seen, size }),
            _ => {}
        }
        verifier.earlier = earlier.into();
        verifier.pass_earlier();
        Ok(verifier)
    }

    /// Compare the earlier checkpoints that are of as many entries as there are now.
    fn pass_earlier(&mut self) {
        while let Some((size, root)) = self.earlier.pop_front_if(|(size, _)| *size == self.tree.size()) {
            if root != self.tree.root() && self.parted.is_none() {
                self.parted = Some(size);
            }
        }
    }

    /// Have these compared, too. They count at least as many entries as there are now.
    pub(crate) fn expect(&mut self, earlier: impl IntoIterator<Item = (u64, Hash)>) {
        self.earlier.extend(earlier);
        self.earlier.make_contiguous().sort_by_key(|(size, _)| *size);
        self.pass_earlier();
    }

    /// What the last entry made perfect in the tree, its leaf first; nothing while there is doubt.
    #[must_use]
    pub fn new_nodes(&self) -> &[(NodeId, Hash)] {
        &self.new_nodes
    }

    /// Which entry should come next.
    #[must_use]
    pub const fn index(&self) -> u64 {
        self.begin + self.tree.size()
    }

    /// Take the bytes of the next entry.
    pub fn push(self, bytes: &[u8]) -> Result<Self, VerifyError> {
        self.push_hashed(Hashed::of(bytes))
    }

    /// The same, when all that needs no order has been done.
    pub(crate) fn push_hashed(self, hashed: Hashed) -> Result<Self, VerifyError> {
        let parted = self.parted;
        self.take(hashed).map_err(|error| blame(parted, error))
    }

    fn take(mut self, Hashed { entry, link, leaf }: Hashed) -> Result<Self, VerifyError> {
        let index = self.index();
        self.new_nodes.clear();
        if let Some(doubt) = &self.doubt {
            return Err(self.settle(doubt, entry.as_ref().ok()));
        }
        if index >= self.checkpoint.size {
            return Err(match entry {
                Ok(Entry { at, .. }) if at.index < index => VerifyError::Duplicated { index, found: at.index },
                _ => VerifyError::Surplus { index },
            });
        }
        let entry = entry.map_err(|source| VerifyError::Malformed { index, source })?;
        if entry.at.log_id != self.checkpoint.origin.log_id {
            return Err(VerifyError::WrongLog { index, found: entry.at.log_id });
        }
        if entry.at.epoch != self.checkpoint.origin.epoch {
            return Err(VerifyError::WrongEpoch { index, found: entry.at.epoch });
        }
        let linked = self.head.is_none_or(|head| entry.previous == head);
        match entry.at.index {
            found if found == index && linked => {
                self.head = Some(link);
                // The tree cannot be full: it is smaller than the checkpoint's.
                self.new_nodes = self.tree.push(leaf).map_err(|_| VerifyError::Surplus { index })?;
                self.pass_earlier();
            }
            // The right link in an entry with the wrong number, or no entry before it that could have
            // been changed: this entry itself was.
            _ if linked && self.head.is_some() => return Err(VerifyError::Changed { index }),
            0 if index == 0 => return Err(VerifyError::Changed { index }),
            found if found < index => return Err(VerifyError::Duplicated { index, found }),
            found if found > index => self.doubt = Some(Doubt::Misplaced { found }),
            _ => {
                let previous = self.head.unwrap_or(entry.previous);
                self.doubt = Some(Doubt::Unlinked { mended: Entry { previous, ..entry } });
            }
        }
        Ok(self)
    }

    /// That was the last entry. What comes back is the link that the next one, if the log is ever
    /// continued, has to carry; none if the last one is lacking.
    pub fn finish(self) -> Result<Option<Link>, VerifyError> {
        let parted = self.parted;
        match (self.end(), parted) {
            // The newest is of this very tree, and so the earlier one is of another.
            (Ok(_), Some(size)) => Err(VerifyError::Forked { size }),
            (ended, parted) => ended.map_err(|error| blame(parted, error)),
        }
    }

    fn end(self) -> Result<Option<Link>, VerifyError> {
        let (index, size) = (self.index(), self.checkpoint.size);
        if let Some(doubt) = &self.doubt {
            return Err(self.settle(doubt, None));
        }
        if index < size {
            return Err(VerifyError::Truncated { index, size });
        }
        if self.tree.root() != self.checkpoint.root {
            if let Some(index) = self.lacking {
                return Err(VerifyError::Unplaced { index });
            }
            // An empty tree has the one root that the checkpoint of an empty log may have.
            return Err(VerifyError::EndChanged { index: index.saturating_sub(1) });
        }
        Ok(self.head)
    }

    /// The entries end here without being whole.
    fn cut(self, error: VerifyError) -> VerifyError {
        let index = self.index();
        let error = match &self.doubt {
            Some(doubt) => self.settle(doubt, None),
            None if index >= self.checkpoint.size => VerifyError::Surplus { index },
            None => error,
        };
        blame(self.parted, error)
    }

    fn settle(&self, doubt: &Doubt, next: Option<&Entry>) -> VerifyError {
        let index = self.index();
        match doubt {
            &Doubt::Misplaced { found } => match next {
                Some(next) if next.at.index < found => VerifyError::OutOfOrder { index, found },
                _ => VerifyError::Missing { index, found },
            },
            Doubt::Unlinked { mended } => {
                let mends = next.map_or_else(|| self.ends_with(mended), |next| next.previous == mended.link());
                // The entry before has the right log, epoch, index and previous link: that was checked
                // when it came. If this one is not to blame, the body of that one is.
                VerifyError::Changed { index: if mends { index } else { index.saturating_sub(1) } }
            }
        }
    }

    /// Whether the checkpoint is of all entries so far and this one.
    fn ends_with(&self, last: &Entry) -> bool {
        let mut tree = self.tree.clone();
        let pushed = tree.push(last.leaf_hash()).is_ok();
        pushed && self.begin + tree.size() == self.checkpoint.size && tree.root() == self.checkpoint.root
    }
}

/// Where an earlier checkpoint was not right, something before it is the first that is wrong.
fn blame(parted: Option<u64>, error: VerifyError) -> VerifyError {
    match parted.and_then(|size| size.checked_sub(1)) {
        Some(index) if error.index().is_some_and(|named| named > index) => VerifyError::ChangedBefore { index },
        _ => error,
    }
}

/// How far a verification has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// How many entries have been read.
    pub entries: u64,
    /// How many there should be.
    pub of: u64,
}

/// Verify an export. With `trusted`, only a log of that key passes; without, the key in the file is
/// taken, and [`Verified::trust`] says so.
pub fn verify_export(reader: impl BufRead, trusted: Option<&CheckpointVerifier>) -> Result<Verified, VerifyError> {
    verify_export_with(reader, &Checks { trusted, ..Checks::default() }, NonZeroU64::MAX, |_| {})
}

/// As [`verify_export`], with more to compare it with, and tell `progress` after every so many entries.
pub fn verify_export_with(
    reader: impl BufRead,
    checks: &Checks<'_>,
    every: NonZeroU64,
    mut progress: impl FnMut(Progress),
) -> Result<Verified, VerifyError> {
    verify_entries(reader, checks, |Place { index, size }, _| {
        if index > 0 && index.is_multiple_of(every.get()) {
            progress(Progress { entries: index, of: size });
        }
    })
}

/// As [`verify_export`], with more to compare it with, and show each entry that is read, with its index. What was shown is
/// as it was signed only if all of the export is.
pub fn verify_export_and_show(
    reader: impl BufRead,
    checks: &Checks<'_>,
    mut show: impl FnMut(u64, &[u8]),
) -> Result<Verified, VerifyError> {
    verify_entries(reader, checks, |Place { index, .. }, bytes| show(index, bytes))
}

/// Where an entry stands.
struct Place {
    index: u64,
    size: u64,
}

fn verify_entries(
    mut reader: impl BufRead,
    checks: &Checks<'_>,
    mut each: impl FnMut(Place, &[u8]),
) -> Result<Verified, VerifyError> {
    let header = Header::read(&mut reader)?;
    let begun = checks.begin(&header.key, header.note.as_bytes())?;
    let size = begun.checkpoint.checkpoint().size;
    let lacking = lacking::among(&header.gaps, checks.bad)?;
    let mut verifier = Verifier::continuing(&begun.checkpoint, &begun.since)?;
    let (mut gaps, mut bytes) = (header.gaps.iter().peekable(), Vec::new());
    loop {
        while let Some(gap) = gaps.next_if(|gap| gap.entries().start == verifier.index()) {
            verifier = verifier.pass_over(gap)?;
        }
        let index = verifier.index();
        match read_entry(&mut reader, &mut bytes).map_err(VerifyError::Read)? {
            Read::Whole => {
                each(Place { index, size }, &bytes);
                verifier = verifier.push(&bytes)?;
            }
            Read::End => break,
            Read::Cut => return Err(verifier.cut(VerifyError::Truncated { index, size })),
            Read::TooLong => return Err(verifier.cut(VerifyError::TooLong { index })),
        }
    }
    let head = verifier.finish()?;
    begun.verified((head, lacking), 0, checks)
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;
