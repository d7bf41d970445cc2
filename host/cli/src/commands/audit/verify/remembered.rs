//! The newest checkpoint of each log that was verified here: by it the next verification sees whether the log was
//! cut or written anew since.
//!
//! One small file for each log and epoch, in the user's state directory (XDG Base Directory Specification).

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use attorn_log::reference::Origin;
use attorn_log::{CheckpointVerifier, SignedCheckpoint};

use crate::failure::Failure;

/// Where checkpoints are remembered.
pub(super) struct Memory(PathBuf);

impl Memory {
    /// The user's; none where there is no home.
    pub(super) fn of_user() -> Option<Self> {
        let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")))?;
        Some(Self::within(&state))
    }

    fn within(state: &Path) -> Self {
        Self(state.join("attorn/checkpoints"))
    }

    /// Both parts of the name are of letters, digits and `-`.
    fn path(&self, origin: &Origin) -> PathBuf {
        self.0.join(format!("{}.{}", origin.log_id, origin.epoch))
    }

    /// The note that is remembered of this log.
    pub(super) fn recall(&self, origin: &Origin) -> Result<Option<String>, Failure> {
        let path = self.path(origin);
        match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            _ => crate::key_source::read_text(&path, SignedCheckpoint::NOTE_BYTES_MAX as u64).map(Some),
        }
    }

    /// Remember this one, unless a newer one is.
    pub(super) fn remember(&self, checkpoint: &SignedCheckpoint, key: &CheckpointVerifier) -> Result<(), Failure> {
        let (path, size) = (self.path(&checkpoint.checkpoint().origin), checkpoint.checkpoint().size);
        let known = self.recall(&checkpoint.checkpoint().origin)?;
        let newer = |note: &String| key.verify(note.as_bytes()).is_ok_and(|known| known.checkpoint().size > size);
        if known.as_ref().is_some_and(newer) {
            return Ok(());
        }
        self.write(&path, checkpoint.note()).map_err(|error| Failure::file("write", &path, &error))
    }

    fn write(&self, path: &Path, note: &str) -> io::Result<()> {
        let mut directory = DirBuilder::new();
        let mut options = OpenOptions::new();
        #[cfg(unix)]
        {
            use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
            directory.mode(0o700);
            options.mode(0o600);
        }
        directory.recursive(true).create(&self.0)?;
        let beside = path.with_extension(format!("{}.tmp", std::process::id()));
        let mut file = options.write(true).create(true).truncate(true).open(&beside)?;
        file.write_all(note.as_bytes()).and_then(|()| file.sync_all()).and_then(|()| fs::rename(&beside, path))
    }
}

#[cfg(test)]
mod tests {
    use attorn_log::{CheckpointSigner, Hash};

    use super::*;

    #[test]
    fn the_newest_of_each_log_is_remembered() {
        let directory = tempfile::tempdir().unwrap();
        let memory = Memory::within(directory.path());
        let signer = |origin: &str| CheckpointSigner::new(origin.parse().unwrap(), &[7; 32]);
        let (one, other) = (signer("attorn/main/1"), signer("attorn/main/2"));
        let origin = one.verifier().origin().clone();
        assert_eq!(memory.recall(&origin).unwrap(), None);
        for (size, newest) in [(3, 3), (7, 7), (5, 7), (8, 8)] {
            memory.remember(&one.sign(size, Hash([1; 32])), &one.verifier()).unwrap();
            let note = memory.recall(&origin).unwrap().unwrap();
            assert_eq!(one.verifier().verify(note.as_bytes()).unwrap().checkpoint().size, newest);
        }
        assert_eq!(memory.recall(other.verifier().origin()).unwrap(), None);
        let left = fs::read_dir(&memory.0).unwrap().count();
        assert_eq!(left, 1, "nothing is left behind");
    }
}
