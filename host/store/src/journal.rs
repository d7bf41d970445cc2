//! The journal: each group, appended to a plain file and synced before anybody hears of it.
//!
//! ```text
//! <dir>/journal/<version>.journal   a segment, named by the version that its first group begins with
//! ```
//!
//! A segment is as long as it will ever be from its beginning, filled with zeros and synced, so that a group
//! costs the disk nothing but its own bytes. The engine applies a group only when it is here, so it is never
//! ahead of the journal. Segments that neither the engine nor a base copy needs any more are removed
//! ([`trim`]). After an error nothing is tried again.

mod scan;

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

pub use self::scan::JournalError;
pub(crate) use self::scan::{End, replay, replay_rest, segments};

use self::scan::io_at;
use crate::files::sync_dir;
use crate::frame::{FileHeader, FileKind, FrameKey, HEADER_BYTES, StoreId, frame_bytes};
use crate::redo::Redo;

const SUFFIX: &str = ".journal";
/// A segment that is being made. Whatever has this name when a store is opened is removed.
const NEW: &str = "next.new";
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// How long segments are. The first are short, so that a small store is small.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SegmentBytes {
    pub(crate) min: u64,
    pub(crate) max: u64,
}

/// The end of the journal, where the writer appends.
pub(crate) struct Journal {
    store: StoreId,
    file: File,
    key: FrameKey,
    /// The last version in it.
    version: u64,
    /// Where the next frame goes.
    at: u64,
    length: u64,
    sizes: SegmentBytes,
    spare: Arc<Spare>,
}

impl Journal {
    /// Begin the journal of a store that is at this version.
    pub(crate) fn create(dir: &Path, store: StoreId, version: u64, sizes: SegmentBytes) -> io::Result<Self> {
        let spare = Arc::new(Spare::new(dir));
        spare.prepare(sizes.min)?;
        let (file, length) = spare.take(FileHeader { kind: FileKind::Journal, store, version }, sizes.min)?;
        let key = FileHeader { kind: FileKind::Journal, store, version }.frame_key();
        let at = HEADER_BYTES as u64;
        Ok(Self { store, file, key, version, at, length, sizes, spare })
    }

    /// Cut off what is torn, give out all groups after the version that the engine has, and go on at the end.
    pub(crate) fn open<E: From<JournalError>>(
        dir: &Path,
        store: StoreId,
        version: u64,
        sizes: SegmentBytes,
        each: impl FnMut(Redo) -> Result<(), E>,
    ) -> Result<Self, E> {
        let spare = Arc::new(Spare::new(dir));
        spare.remove().map_err(io_at(dir))?;
        // Nothing is given out before the end is mended: the engine would have what the disk may not.
        let end = replay(dir, Some(store), version, |_| Ok::<_, E>(()))?;
        if end.version < version {
            return Err(JournalError::Behind { dir: dir.to_owned(), end: end.version, version }.into());
        }
        let path = &end.segment.path;
        let file = OpenOptions::new().read(true).write(true).open(path).map_err(io_at(path))?;
        mend(&file, &end).map_err(io_at(path))?;
        replay(dir, Some(store), version, each)?;
        let (key, at, length) = (end.header.frame_key(), end.at, end.length);
        Ok(Self { store, file, key, version: end.version, at, length, sizes, spare })
    }

    /// The last version in it.
    pub(crate) const fn version(&self) -> u64 {
        self.version
    }

    /// Who makes segments ready before they are needed.
    pub(crate) fn spare(&self) -> Arc<Spare> {
        Arc::clone(&self.spare)
    }

    /// Whether a group with this much content still fits.
    pub(crate) const fn has_room(&self, content_bytes: usize) -> bool {
        self.at + frame_bytes(content_bytes) as u64 <= self.length
    }

    /// Begin a new segment, with room for a group with this much content.
    pub(crate) fn begin_segment(&mut self, content_bytes: usize) -> io::Result<()> {
        let header = FileHeader { kind: FileKind::Journal, store: self.store, version: self.version };
        let usual = self.next_segment_bytes();
        let needed = (HEADER_BYTES + frame_bytes(content_bytes)) as u64;
        (self.file, self.length) = self.spare.take(header, usual.max(needed))?;
        (self.key, self.at) = (header.frame_key(), HEADER_BYTES as u64);
        Ok(())
    }

    /// Whether it is time to make the next segment ready.
    pub(crate) const fn is_half_full(&self) -> bool {
        self.at > self.length / 2
    }

    /// How long the next segment will be.
    pub(crate) fn next_segment_bytes(&self) -> u64 {
        self.length.saturating_mul(2).clamp(self.sizes.min, self.sizes.max)
    }

    /// Append a group. It is not durable yet.
    pub(crate) fn append(&mut self, redo: &Redo, content: &[u8]) -> io::Result<()> {
        let frame = self.key.frame(self.at, redo.from, redo.to, content);
        let frame = frame.ok_or_else(|| io::Error::other("the group is too long for a frame"))?;
        self.file.write_all_at(&frame, self.at)?;
        self.at += frame.len() as u64;
        self.version = redo.to;
        Ok(())
    }

    /// Make durable what was appended.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

/// Cut off what is torn, and write the last frame once more: when its sync failed, the kernel may show it
/// although the disk does not have it.
fn mend(file: &File, end: &End) -> io::Result<()> {
    if end.torn {
        file.set_len(end.at)?;
        fill(file, end.at, end.length)?;
    }
    if let Some(last) = end.last_frame {
        let mut frame = vec![0; usize::try_from(end.at - last).unwrap_or(0)];
        file.read_exact_at(&mut frame, last)?;
        file.write_all_at(&frame, last)?;
    }
    file.sync_all()
}

/// Zeros from here to there. Written and not just reserved: else each first write would cost the file system
/// an entry in a journal of its own.
fn fill(file: &File, from: u64, to: u64) -> io::Result<()> {
    let mut at = from;
    while at < to {
        let piece = usize::try_from(to - at).unwrap_or(ZEROS.len()).min(ZEROS.len());
        file.write_all_at(&ZEROS[..piece], at)?;
        at += piece as u64;
    }
    Ok(())
}

/// A segment that is made ready before it is needed, so that no commit waits for it.
pub(crate) struct Spare {
    dir: PathBuf,
    /// Held by whoever makes one or takes it.
    ready: Mutex<Option<(File, u64)>>,
}

impl Spare {
    fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), ready: Mutex::new(None) }
    }

    fn remove(&self) -> io::Result<()> {
        match fs::remove_file(self.dir.join(NEW)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Make one ready, if none is.
    pub(crate) fn prepare(&self, bytes: u64) -> io::Result<()> {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        if ready.is_none() {
            *ready = Some((self.make(bytes)?, bytes));
        }
        Ok(())
    }

    fn make(&self, bytes: u64) -> io::Result<File> {
        self.remove()?;
        let path = self.dir.join(NEW);
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?;
        fill(&file, 0, bytes)?;
        file.sync_all()?;
        Ok(file)
    }

    /// Give it its header and its name.
    fn take(&self, header: FileHeader, bytes: u64) -> io::Result<(File, u64)> {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        let (file, length) = match ready.take().filter(|(_, length)| *length >= bytes) {
            Some(ready) => ready,
            None => (self.make(bytes)?, bytes),
        };
        file.write_all_at(&header.to_bytes(), 0)?;
        file.sync_all()?;
        fs::rename(self.dir.join(NEW), self.dir.join(segment_name(header.version)))?;
        sync_dir(&self.dir)?;
        Ok((file, length))
    }
}

fn segment_name(version: u64) -> String {
    format!("{version:020}{SUFFIX}")
}

/// Remove all segments that hold nothing after this version. The last one stays.
pub(crate) fn trim(dir: &Path, needed_from: u64) -> Result<usize, JournalError> {
    let segments = segments(dir)?;
    let mut removed = 0;
    for pair in segments.windows(2) {
        let [old, next] = pair else { continue };
        // What is no segment does not stand for what comes after the one before it.
        let header = FileHeader::of_file(FileKind::Journal, &next.path).filter(|header| header.version == next.first);
        if next.first > needed_from || header.is_none() {
            break;
        }
        fs::remove_file(&old.path).map_err(io_at(&old.path))?;
        removed += 1;
    }
    if removed > 0 {
        sync_dir(dir).map_err(io_at(dir))?;
    }
    Ok(removed)
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
