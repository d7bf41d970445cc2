//! The files that keep what was published of one epoch of the log:
//!
//! ```text
//! checkpoint     the newest that was signed
//! witnessed      the newest that enough witnesses cosigned
//! checkpoints    earlier ones, one after another: the first of each 256 entries
//! ```
//!
//! A file is written beside its place, synced, and put in its place, so that it is whole whatever happens. The history
//! is added to before the newest is replaced; what a crash left half-written at its end is cut off at the next start.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use attorn_log::history::{HISTORY_BYTES_MAX, notes};
use attorn_log::{CheckpointVerifier, SignedCheckpoint};

pub(super) const NEWEST: &str = "checkpoint";
pub(super) const WITNESSED: &str = "witnessed";
pub(super) const EARLIER: &str = "checkpoints";

/// The history has one checkpoint for each of so many entries.
const EARLIER_ENTRIES: u64 = 256;

/// What was found at start.
pub(super) struct Kept {
    pub(super) newest: Option<SignedCheckpoint>,
    pub(super) witnessed: Option<SignedCheckpoint>,
}

impl Kept {
    /// Read what is there, in a directory that is made if it is not.
    pub(super) fn open(dir: &Path, verifier: &CheckpointVerifier) -> Result<Self, String> {
        let failed = |error: io::Error| error.to_string();
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
        for above in dir.ancestors().take(3) {
            sync_dir(above).map_err(failed)?;
        }
        let mut kept = Self { newest: read(dir, NEWEST, verifier)?, witnessed: read(dir, WITNESSED, verifier)? };
        let last = mend_history(dir, verifier)?;
        // It is written first; a crash between the two leaves the newer one there alone.
        let size = |checkpoint: &Option<SignedCheckpoint>| checkpoint.as_ref().map(|one| one.checkpoint().size);
        if size(&last) > size(&kept.newest) {
            kept.newest = last;
        }
        if size(&kept.witnessed) > size(&kept.newest) {
            kept.newest.clone_from(&kept.witnessed);
        }
        Ok(kept)
    }

    /// Read what is there, and change nothing.
    pub(super) fn look(dir: &Path, verifier: &CheckpointVerifier) -> Result<Self, String> {
        Ok(Self { newest: read(dir, NEWEST, verifier)?, witnessed: read(dir, WITNESSED, verifier)? })
    }
}

fn read(dir: &Path, name: &str, verifier: &CheckpointVerifier) -> Result<Option<SignedCheckpoint>, String> {
    let bytes = bytes(dir, name, SignedCheckpoint::NOTE_BYTES_MAX).map_err(|error| format!("`{name}`: {error}"))?;
    let checkpoint = bytes.map(|bytes| verifier.verify(&bytes)).transpose();
    checkpoint.map_err(|error| format!("`{name}`: {}", crate::http::failure::causes(&error)))
}

/// A file's bytes; none if it is not there.
pub(super) fn bytes(dir: &Path, name: &str, bytes_max: usize) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(dir.join(name)) {
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

/// Cut off what is half-written, and give the last checkpoint of the history.
fn mend_history(dir: &Path, verifier: &CheckpointVerifier) -> Result<Option<SignedCheckpoint>, String> {
    let named = |error: io::Error| format!("`{EARLIER}`: {error}");
    let Some(bytes) = bytes(dir, EARLIER, HISTORY_BYTES_MAX).map_err(named)? else { return Ok(None) };
    // A cut may fall within a character.
    let valid = std::str::from_utf8(&bytes).map_or_else(|error| error.valid_up_to(), str::len);
    let text = std::str::from_utf8(&bytes[..valid]).unwrap_or_default();
    let (mut last, mut whole) = (None, 0);
    let notes = notes(text);
    for (at, note) in notes.iter().enumerate() {
        match verifier.verify(note.as_bytes()) {
            Ok(checkpoint) => (last, whole) = (Some(checkpoint), whole + note.len()),
            // Only the end of a file can be half-written.
            Err(_) if at + 1 == notes.len() => break,
            Err(error) => return Err(format!("number {} in `{EARLIER}`: {error}", at + 1)),
        }
    }
    if whole < bytes.len() {
        let file = OpenOptions::new().write(true).open(dir.join(EARLIER)).map_err(named)?;
        file.set_len(whole as u64).and_then(|()| file.sync_all()).map_err(named)?;
    }
    Ok(last)
}

/// Keep a checkpoint that counts more entries than the one before it, which counted `before`.
pub(super) fn put_newest(dir: &Path, checkpoint: &SignedCheckpoint, before: u64) -> io::Result<()> {
    let size = checkpoint.checkpoint().size;
    if size / EARLIER_ENTRIES <= before / EARLIER_ENTRIES {
        return put(dir, NEWEST, checkpoint.note());
    }
    let mut history = OpenOptions::new().append(true).create(true).mode(0o600).open(dir.join(EARLIER))?;
    let begin = history.metadata()?.len();
    let added = history.write_all(checkpoint.note().as_bytes()).and_then(|()| history.sync_all());
    let kept = added.and_then(|()| put(dir, NEWEST, checkpoint.note()));
    if kept.is_err() {
        // A full disk took a part of it, or took it and not the other file. It is tried again, and what follows must
        // stand neither behind a part nor behind the same.
        let _ = history.set_len(begin);
    }
    kept
}

/// Keep a checkpoint with its cosignatures.
pub(super) fn put_witnessed(dir: &Path, checkpoint: &SignedCheckpoint) -> io::Result<()> {
    put(dir, WITNESSED, checkpoint.note())
}

fn put(dir: &Path, name: &str, text: &str) -> io::Result<()> {
    let beside = dir.join(format!("{name}.tmp"));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, dir.join(name))?;
    sync_dir(dir)
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
