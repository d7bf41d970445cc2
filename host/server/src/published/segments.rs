//! The earlier checkpoints of one epoch, in segments of a bounded size (see `attorn_log::segments`):
//!
//! ```text
//! checkpoints/<n>   the first of each 256 entries, with the cosignatures of witnesses who cosigned that very one
//! ```
//!
//! Only the last segment is ever read or written; those before it are served and verified, and nothing else. What a
//! crash left half-written at the end is cut off at the next start. That a segment is missing is seen by its name,
//! and what is wrong in one that is not the last by the verifier.
//!
//! A checkpoint of another size that a witness has seen is not kept here: its root follows from the entries, and the
//! verifier compares any that somebody brings.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use attorn_log::segments::{
    SEGMENT_BYTES_MAX, SEGMENTS, SegmentError, Span, parse_segment, read_segment, segment_name,
};
use attorn_log::{CheckpointVerifier, SignedCheckpoint};
use attorn_store::is_there;

use super::files::{bytes, sync_dir};
use crate::http::failure::causes;

/// The history has one checkpoint for each of so many entries.
const EARLIER_ENTRIES: u64 = 256;

/// From so many bytes on a segment takes no cosignatures: so there is always room for its checkpoints.
const COSIGNED_BYTES_MAX: u64 = SEGMENT_BYTES_MAX as u64 / 2;

/// Where the history ends.
#[derive(Debug)]
pub(super) struct Segments {
    dir: PathBuf,
    span: Span,
    /// The last segment, and how many bytes of it are whole.
    segment: u64,
    bytes: u64,
    /// The last checkpoint.
    last: Option<SignedCheckpoint>,
}

/// What was added, as long as it may be taken back.
#[must_use]
pub(super) struct Added {
    segment: u64,
    bytes: u64,
    last: Option<SignedCheckpoint>,
}

impl Segments {
    /// Read where it ends, and cut off what is half-written.
    pub(super) fn open(dir: &Path, verifier: &CheckpointVerifier, span: Span) -> Result<Self, String> {
        let named = |error: io::Error| format!("`{SEGMENTS}`: {error}");
        begin(dir).map_err(named)?;
        let segments = Self::look(dir, verifier, span)?;
        let file = OpenOptions::new().write(true).open(segments.path(segments.segment)).map_err(named)?;
        if file.metadata().map_err(named)?.len() > segments.bytes {
            file.set_len(segments.bytes).and_then(|()| file.sync_all()).map_err(named)?;
        }
        Ok(segments)
    }

    /// Read where it ends, and change nothing.
    pub(super) fn look(dir: &Path, verifier: &CheckpointVerifier, span: Span) -> Result<Self, String> {
        let mut segments = Self { dir: dir.to_owned(), span, segment: last_segment(dir)?, bytes: 0, last: None };
        segments.bytes = segments.read(segments.segment, verifier)?;
        let mut segment = segments.segment;
        // One that was just begun, or stands for entries that came while nothing could be signed, is empty.
        while segments.last.is_none() && segment > 0 {
            segment -= 1;
            segments.read(segment, verifier)?;
        }
        Ok(segments)
    }

    /// Whether there is any of it.
    pub(super) fn is_begun(dir: &Path) -> io::Result<bool> {
        Ok(!listed(dir)?.is_empty())
    }

    /// Read a segment. How many bytes of it are whole comes back.
    fn read(&mut self, segment: u64, verifier: &CheckpointVerifier) -> Result<u64, String> {
        let name = segment_name(segment);
        let found = bytes(&self.dir, &name, SEGMENT_BYTES_MAX).map_err(|error| format!("`{name}`: {error}"))?;
        let found = found.unwrap_or_default();
        let mut read = read_segment(&found, segment, self.span, verifier);
        let mut whole = 0;
        while let Some(one) = read.next() {
            match one {
                Ok((checkpoint, end)) => (self.last, whole) = (Some(checkpoint), end),
                // Only the end of the last one can be half-written.
                Err(SegmentError::Checkpoint { .. }) if segment == self.segment && read.next().is_none() => break,
                Err(error) => return Err(causes(&error)),
            }
        }
        Ok(whole as u64)
    }

    /// The last checkpoint that it has.
    pub(super) const fn last(&self) -> Option<&SignedCheckpoint> {
        self.last.as_ref()
    }

    /// How many bytes of a segment may be read; none if there is no such segment. Those before the last do not change.
    pub(super) fn readable_bytes(&self, segment: u64) -> Option<u64> {
        match segment.cmp(&self.segment) {
            std::cmp::Ordering::Less => Some(SEGMENT_BYTES_MAX as u64),
            std::cmp::Ordering::Equal => Some(self.bytes),
            std::cmp::Ordering::Greater => None,
        }
    }

    /// Whether a checkpoint that comes after one that counted `before` is kept here.
    pub(super) const fn takes(size: u64, before: u64) -> bool {
        size / EARLIER_ENTRIES > before / EARLIER_ENTRIES
    }

    /// Add a checkpoint. On an error nothing was added.
    pub(super) fn add(&mut self, checkpoint: &SignedCheckpoint) -> io::Result<Added> {
        let segment = self.span.segment_of(checkpoint.checkpoint().size);
        let before = Added { segment: self.segment, bytes: self.bytes, last: self.last.clone() };
        if segment > self.segment {
            for made in self.segment + 1..=segment {
                // One that is there is what could not be added to it before, and maybe a part of that only.
                make(&self.path(made))?;
            }
            sync_dir(&self.dir.join(SEGMENTS))?;
            (self.segment, self.bytes) = (segment, 0);
        }
        match self.append(checkpoint.note()) {
            Ok(()) => {
                self.last = Some(checkpoint.clone());
                Ok(before)
            }
            Err(error) => {
                // The file of a new segment stays, empty, which it may be.
                (self.segment, self.bytes) = (before.segment, before.bytes);
                Err(error)
            }
        }
    }

    /// Take back what was added last. Where it is not cut off now, it is before the next is added.
    pub(super) fn take_back(&mut self, added: Added) {
        let bytes = if added.segment == self.segment { added.bytes } else { 0 };
        let _ = self.cut(bytes);
        (self.segment, self.bytes, self.last) = (added.segment, added.bytes, added.last);
    }

    /// Put cosignatures under the last checkpoint, if they are of that one and there is room.
    pub(super) fn cosign(&mut self, cosigned: &SignedCheckpoint) -> io::Result<()> {
        let last = self.last.as_ref().filter(|last| self.span.segment_of(last.checkpoint().size) == self.segment);
        let Some(more) = last.and_then(|last| cosigned.note().strip_prefix(last.note())) else { return Ok(()) };
        if more.is_empty() || self.bytes + more.len() as u64 > COSIGNED_BYTES_MAX {
            return Ok(());
        }
        let more = more.to_owned();
        self.append(&more)?;
        self.last = Some(cosigned.clone());
        Ok(())
    }

    /// Write behind what is whole. What stands there is left of what could not be written or taken back, and has to go
    /// first: nothing is added where it cannot.
    fn append(&mut self, text: &str) -> io::Result<()> {
        let mut options = OpenOptions::new();
        let options = options.write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(self.path(self.segment))?;
        match file.metadata()?.len() {
            found if found > self.bytes => file.set_len(self.bytes)?,
            found if found < self.bytes => return Err(io::Error::other("the history of checkpoints was cut short")),
            _ => {}
        }
        let added = file.write_all_at(text.as_bytes(), self.bytes).and_then(|()| file.sync_all());
        match added {
            Ok(()) => self.bytes += text.len() as u64,
            // A full disk took a part of it, and needs the room. Where it is not cut off now, it is before the next.
            Err(_) => drop(self.cut(self.bytes)),
        }
        added
    }

    fn cut(&self, bytes: u64) -> io::Result<()> {
        OpenOptions::new().write(true).open(self.path(self.segment))?.set_len(bytes)
    }

    fn path(&self, segment: u64) -> PathBuf {
        self.dir.join(segment_name(segment))
    }
}

/// Which segments there are; none where their directory is not there. What a repair has moved aside is none.
///
/// # Errors
///
/// When something else is in the place of the directory, a link to one too, or it cannot be read.
pub(super) fn listed(dir: &Path) -> io::Result<BTreeSet<u64>> {
    let segments = dir.join(SEGMENTS);
    if !is_there(&segments)? {
        return Ok(BTreeSet::new());
    }
    if !fs::symlink_metadata(&segments)?.is_dir() {
        return Err(io::Error::new(ErrorKind::NotADirectory, "it is no directory"));
    }
    let mut listed = BTreeSet::new();
    for entry in fs::read_dir(&segments)? {
        listed.extend(entry?.file_name().to_str().and_then(parse_segment));
    }
    Ok(listed)
}

/// The last of the segments, of which none may be missing.
pub(super) fn last_segment(dir: &Path) -> Result<u64, String> {
    let segments = listed(dir).map_err(|error| format!("`{SEGMENTS}`: {error}"))?;
    let missing = (0..).zip(&segments).find(|(due, found)| due != *found);
    match missing {
        Some((due, _)) => Err(format!("`{}` is missing", segment_name(due))),
        None => segments.last().copied().ok_or_else(|| format!("`{}` is missing", segment_name(0))),
    }
}

/// Make the directory with its first segment, if it is not there.
fn begin(dir: &Path) -> io::Result<()> {
    if Segments::is_begun(dir)? {
        return Ok(());
    }
    let segments = dir.join(SEGMENTS);
    DirBuilder::new().recursive(true).mode(0o700).create(&segments)?;
    make(&dir.join(segment_name(0)))?;
    sync_dir(&segments)?;
    sync_dir(dir)
}

fn make(path: &Path) -> io::Result<()> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?.sync_all()
}
