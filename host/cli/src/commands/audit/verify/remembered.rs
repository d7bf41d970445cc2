//! The newest checkpoint of each log that was verified here: by it the next verification sees whether the log was
//! cut or written anew since.
//!
//! One small file for each log and epoch, in the user's state directory (XDG Base Directory Specification): the key, and
//! the checkpoint that it signed.

use std::fs;
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use attorn_log::{CheckpointVerifier, Epoch, LogId, Origin, SignedCheckpoint};

use crate::failure::Failure;
use crate::private;

/// Where checkpoints are remembered.
pub(super) struct Memory(PathBuf);

/// A checkpoint that was verified before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Anchor {
    pub(super) origin: Origin,
    /// The key that it was verified with; none in a file of before keys were remembered.
    pub(super) key: Option<CheckpointVerifier>,
    pub(super) note: String,
    /// The file; none of one that somebody brings.
    pub(super) path: Option<PathBuf>,
}

/// The checkpoint of a log's own epoch that it was compared with because it is remembered here.
pub(super) struct Compared {
    path: PathBuf,
    /// How many entries it counts.
    size: u64,
    /// Whether somebody brought no other beside.
    is_alone: bool,
}

impl Compared {
    pub(super) fn of(anchor: &Anchor, is_alone: bool) -> Option<Self> {
        let size = anchor.note.lines().nth(1).and_then(|line| line.parse().ok())?;
        Some(Self { path: anchor.path.clone()?, size, is_alone })
    }

    /// Which checkpoints a log was found to continue, the largest of which counts so many entries.
    pub(super) fn said(compared: Option<&Self>, size: u64) -> String {
        match compared {
            None => format!("it continues the checkpoint that was given (`--since`), of {size} entries"),
            Some(Self { path, is_alone: true, .. }) => {
                format!("it continues the checkpoint that is remembered in `{}`, of {size} entries", path.display())
            }
            Some(Self { path, size: of, .. }) => format!(
                "it continues the checkpoint that was given (`--since`) and the one that is remembered in `{}`, of {of} \
                 entries; the larger has {size}",
                path.display()
            ),
        }
    }

    /// The same for programs.
    pub(super) fn source(compared: Option<&Self>) -> &'static str {
        match compared {
            None => "given",
            Some(Self { is_alone: true, .. }) => "remembered",
            Some(_) => "given_and_remembered",
        }
    }

    /// What to do about a log that does not continue a checkpoint, which counts so many entries if that is known; none
    /// if it is another one than this.
    pub(super) fn help(&self, size: Option<u64>) -> Option<String> {
        if !size.map_or(self.is_alone, |size| size == self.size) {
            return None;
        }
        let path = self.path.display();
        Some(format!(
            "what was seen of the log is remembered in `{path}`. Keep that file and the log: they are evidence. If you know \
             why, such as an older copy of the data directory that was put back: move that file away, and verify anew \
             (`attorn restore` would begin a new epoch of the log, and say what was lost)"
        ))
    }
}

impl Anchor {
    fn of(origin: Origin, path: PathBuf, text: &str) -> Self {
        let (key, note) = match text.split_once('\n').and_then(|(line, note)| Some((line.parse().ok()?, note))) {
            Some((key, note)) => (Some(key), note),
            None => (None, text),
        };
        Self { origin, key, note: note.to_owned(), path: Some(path) }
    }
}

impl Memory {
    /// The user's; none where there is no home.
    pub(super) fn of_user() -> Option<Self> {
        let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")))?;
        Some(Self::within(&state))
    }

    pub(super) fn within(state: &Path) -> Self {
        Self(state.join("attorn/checkpoints"))
    }

    /// Both parts of the name are of letters, digits and `-`.
    fn path(&self, origin: &Origin) -> PathBuf {
        self.0.join(format!("{}.{}", origin.log_id, origin.epoch))
    }

    /// What is remembered of this epoch of this log.
    pub(super) fn recall(&self, origin: &Origin) -> Result<Option<Anchor>, Failure> {
        let path = self.path(origin);
        match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            _ => {
                let bytes_max = SignedCheckpoint::NOTE_BYTES_MAX + CheckpointVerifier::TEXT_BYTES_MAX;
                let text = crate::key_source::read_text(&path, bytes_max as u64)?;
                Ok(Some(Anchor::of(origin.clone(), path, &text)))
            }
        }
    }

    /// What is remembered of the latest epoch of this log of which anything is.
    pub(super) fn latest(&self, log_id: &LogId) -> Result<Option<Anchor>, Failure> {
        let all = match fs::read_dir(&self.0) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            all => all.map_err(|error| Failure::file("read", &self.0, &error))?,
        };
        let mut latest: Option<Epoch> = None;
        for entry in all {
            let name = entry.map_err(|error| Failure::file("read", &self.0, &error))?.file_name();
            let of_log = name.to_str().and_then(|name| name.strip_prefix(log_id.as_str())?.strip_prefix('.'));
            latest = latest.max(of_log.and_then(|epoch| epoch.parse().ok()));
        }
        latest.map_or(Ok(None), |epoch| self.recall(&Origin::of(log_id, epoch)))
    }

    /// Remember this one, in the place of the one that it was compared with, and of no other: what somebody else has
    /// remembered meanwhile stays, because nothing shows that this one continues it.
    pub(super) fn remember(
        &self,
        checkpoint: &SignedCheckpoint,
        key: &CheckpointVerifier,
        compared: Option<&str>,
    ) -> Result<(), Failure> {
        let path = self.path(&checkpoint.checkpoint().origin);
        let known = self.recall(&checkpoint.checkpoint().origin)?;
        if known.is_some_and(|known| Some(known.note.as_str()) != compared) {
            return Err(Failure::new(format!("`{}` has another one since: verify anew", path.display())));
        }
        let text = format!("{key}\n{}", checkpoint.note());
        self.write(&path, &text).map_err(|error| Failure::file("write", &path, &error))
    }

    fn write(&self, path: &Path, text: &str) -> io::Result<()> {
        private::create_dir_all(&self.0)?;
        let beside = path.with_extension(format!("{}.tmp", std::process::id()));
        let mut file = private::options().create(true).truncate(true).open(&beside)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).and_then(|()| fs::rename(&beside, path))
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
        // What it is compared with, and what is remembered then.
        for (compared, size, remembered) in
            [(None, 3, 3), (Some(3), 7, 7), (Some(3), 9, 7), (None, 9, 7), (Some(7), 8, 8)]
        {
            let compared = compared.map(|size| one.sign(size, Hash([1; 32])).note().to_owned());
            let done = memory.remember(&one.sign(size, Hash([1; 32])), &one.verifier(), compared.as_deref());
            assert_eq!(done.is_ok(), size == remembered, "{size}");
            let known = memory.recall(&origin).unwrap().unwrap();
            assert_eq!(one.verifier().verify(known.note.as_bytes()).unwrap().checkpoint().size, remembered);
            assert_eq!(known.key, Some(one.verifier()));
        }
        assert_eq!(memory.recall(other.verifier().origin()).unwrap(), None);
        let left = fs::read_dir(&memory.0).unwrap().count();
        assert_eq!(left, 1, "nothing is left behind");
        // The latest epoch of the log, and of no other that is called nearly so.
        let latest = |log: &str| memory.latest(&log.parse().unwrap()).unwrap().map(|known| known.origin.epoch);
        assert_eq!(latest("main"), Some(Epoch(1)));
        for origin in ["attorn/main/12", "attorn/main/9", "attorn/main2/70"] {
            memory.remember(&signer(origin).sign(1, Hash([1; 32])), &signer(origin).verifier(), None).unwrap();
        }
        assert_eq!((latest("main"), latest("main2"), latest("mai")), (Some(Epoch(12)), Some(Epoch(70)), None));
        // What was written before keys were remembered.
        let note = one.sign(3, Hash([1; 32])).note().to_owned();
        fs::write(memory.path(&origin), &note).unwrap();
        let known = memory.recall(&origin).unwrap().unwrap();
        assert_eq!((known.key, known.note), (None, note));
    }
}
