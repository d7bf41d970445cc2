//! The files that keep what was published of one epoch of the log:
//!
//! ```text
//! checkpoint        the newest that was signed
//! witnessed         the newest that enough witnesses cosigned
//! checkpoints/…     earlier ones: see `segments`
//! tile/entries/…    entries, 256 at a time, which the store keeps there
//! ```
//!
//! A file is written beside its place, synced, and put in its place, so that it is whole whatever happens. The history
//! is added to before the newest is replaced.

use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use attorn_log::segments::{SEGMENTS, Span, segment_name};
use attorn_log::{CheckpointVerifier, SignedCheckpoint};
use attorn_store::{create_beside, is_there, open_regular};

use super::aside;
use super::segments::Segments;

pub(super) const NEWEST: &str = "checkpoint";
pub(super) const WITNESSED: &str = "witnessed";

/// What was found at start.
pub(super) struct Kept {
    pub(super) newest: Option<SignedCheckpoint>,
    pub(super) witnessed: Option<SignedCheckpoint>,
    pub(super) segments: Segments,
    /// Whether there was no history where something was signed before, and it was begun anew.
    pub(super) history_gone: bool,
}

impl Kept {
    /// Read what is there, in a directory that is made if it is not.
    pub(super) fn open(dir: &Path, verifier: &CheckpointVerifier) -> Result<Self, String> {
        let failed = |error: io::Error| error.to_string();
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
        for above in dir.ancestors().take(3) {
            sync_dir(above).map_err(failed)?;
        }
        // Under another key the end of the history would pass for half-written. The newest never does.
        let files = [newest(dir, verifier)?, witnessed(dir, verifier)?];
        // A history is begun before anything is signed.
        let is_begun = Segments::is_begun(dir).map_err(|error| format!("`{SEGMENTS}`: {error}"))?;
        let history_gone = files.iter().any(Option::is_some) && !is_begun;
        let mut kept = Self::of(files, Segments::open(dir, verifier, Span::USUAL)?);
        kept.history_gone = history_gone;
        if let Some(newest) = kept.newest.as_ref().filter(|_| history_gone)
            && Segments::takes(newest.checkpoint().size, 0)
        {
            let _ = kept.segments.add(newest).map_err(failed)?;
        }
        Ok(kept)
    }

    /// Read what is there, and change nothing.
    #[cfg(test)]
    fn look(dir: &Path, verifier: &CheckpointVerifier) -> Result<Self, String> {
        let files = [newest(dir, verifier)?, witnessed(dir, verifier)?];
        Ok(Self::of(files, Segments::look(dir, verifier, Span::USUAL)?))
    }

    fn of([mut newest, witnessed]: [Option<SignedCheckpoint>; 2], segments: Segments) -> Self {
        let size = |checkpoint: Option<&SignedCheckpoint>| checkpoint.map(|one| one.checkpoint().size);
        // The history is written first; a crash between the two leaves the newer one there alone.
        for other in [segments.last(), witnessed.as_ref()] {
            if size(other) > size(newest.as_ref()) {
                newest = other.cloned();
            }
        }
        Self { newest, witnessed, segments, history_gone: false }
    }
}

/// The newest that was signed, alone. Where it is not there and lies aside it is damaged, and not gone: a repair was cut off, and
/// what it looked at before it signed anything the next one has to look at, too.
pub(super) fn newest(dir: &Path, verifier: &CheckpointVerifier) -> Result<Option<SignedCheckpoint>, String> {
    let found = read(dir, NEWEST, verifier)?;
    if found.is_some() {
        return Ok(found);
    }
    let asides = aside::all(&dir.join(NEWEST)).map_err(|error| format!("`{NEWEST}`: {error}"))?;
    match asides.last() {
        None => Ok(None),
        Some(aside) => Err(format!("`{NEWEST}`: it is not there, and what was there is `{}`", aside.display())),
    }
}

/// Whether there is anything in its place, or lies aside. What cannot be looked at is.
pub(super) fn has_newest(dir: &Path) -> bool {
    let path = dir.join(NEWEST);
    is_there(&path).unwrap_or(true) || !aside::all(&path).is_ok_and(|asides| asides.is_empty())
}

/// The newest that enough witnesses cosigned, alone.
pub(super) fn witnessed(dir: &Path, verifier: &CheckpointVerifier) -> Result<Option<SignedCheckpoint>, String> {
    read(dir, WITNESSED, verifier)
}

/// A checkpoint that is alone in its file; none if that is not there.
pub(super) fn read(dir: &Path, name: &str, verifier: &CheckpointVerifier) -> Result<Option<SignedCheckpoint>, String> {
    let bytes = bytes(dir, name, SignedCheckpoint::NOTE_BYTES_MAX).map_err(|error| format!("`{name}`: {error}"))?;
    let checkpoint = bytes.map(|bytes| verifier.verify(&bytes)).transpose();
    checkpoint.map_err(|error| format!("`{name}`: {}", crate::http::failure::causes(&error)))
}

/// A file's bytes; none if it is not there.
pub(super) fn bytes(dir: &Path, name: &str, bytes_max: usize) -> io::Result<Option<Vec<u8>>> {
    let file = match open_regular(&dir.join(name)) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut bytes = Vec::new();
    file.take(bytes_max as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > bytes_max {
        return Err(io::Error::other(format!("it has more than {bytes_max} bytes")));
    }
    Ok(Some(bytes))
}

/// Keep a checkpoint that counts more entries than the one before it, which counted `before`.
pub(super) fn put_newest(
    dir: &Path,
    segments: &mut Segments,
    checkpoint: &SignedCheckpoint,
    before: u64,
) -> io::Result<()> {
    // Who ended before it was said that this is kept has added it already: none stands there twice.
    let before = before.max(segments.last().map_or(0, |last| last.checkpoint().size));
    if !Segments::takes(checkpoint.checkpoint().size, before) {
        return put(dir, NEWEST, checkpoint.note());
    }
    let added = segments.add(checkpoint)?;
    let kept = put(dir, NEWEST, checkpoint.note());
    if kept.is_err() {
        // It is tried again, and what follows must not stand behind the same.
        segments.take_back(added);
    }
    kept
}

/// Keep a checkpoint with its cosignatures.
pub(super) fn put_witnessed(dir: &Path, segments: &mut Segments, checkpoint: &SignedCheckpoint) -> io::Result<()> {
    put(dir, WITNESSED, checkpoint.note())?;
    if let Err(error) = segments.cosign(checkpoint) {
        // The history is whole without them.
        tracing::warn!(error = &error as &dyn std::error::Error, "cosignatures are missing in the segments");
    }
    Ok(())
}

/// Put what is known of a segment in its place.
pub(super) fn put_segment(dir: &Path, segment: u64, text: &str) -> io::Result<()> {
    put(dir, &segment_name(segment), text)?;
    sync_dir(&dir.join(SEGMENTS))
}

fn put(dir: &Path, name: &str, text: &str) -> io::Result<()> {
    let beside = dir.join(format!("{name}.tmp"));
    let mut file = create_beside(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, dir.join(name))?;
    sync_dir(dir)
}

pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
