//! Why no epoch of the log began, and what to do about it.

use std::path::{Path, PathBuf};

use attorn_store::{BadBlob, ImprintError};

use super::kept::KeptError;
use crate::high_water::HighWaterError;
use crate::http::failure::{Failure, causes};
use crate::run::ServeError;

/// Why no epoch began.
#[derive(Debug, thiserror::Error)]
pub enum EpochError {
    /// There is something where the data should go.
    #[error("`{0}` is there already; nothing was changed")]
    InTheWay(PathBuf),
    /// A restore was killed before it ended.
    #[error("`{0}` is what a restore left that was cut off; nothing was changed")]
    Unfinished(PathBuf),
    /// There is what a rotation has left that did not come to its end.
    #[error("`{0}` is left of a rotation that did not come to its end; nothing was changed")]
    LeftBehind(PathBuf),
    /// One is within the other.
    #[error("`{}` is within `{}`; nothing was changed", inner.display(), outer.display())]
    Within {
        /// What is within the other, or is it.
        inner: PathBuf,
        /// The other.
        outer: PathBuf,
    },
    /// The data directory is a link to what is not there.
    #[error("`{}` is a link that leads nowhere; nothing was changed", .0.display())]
    LeadsNowhere(PathBuf),
    /// Something is mounted where the data directory is.
    #[error("`{}` is the root of a file system, and nothing can take its place; nothing was changed", .0.display())]
    Mounted(PathBuf),
    /// There is no room for what has to be written.
    #[error("there is no room for {bytes} bytes in `{}`; nothing was changed", dir.display())]
    NoRoom {
        /// Where.
        dir: PathBuf,
        /// How many bytes were asked for.
        bytes: u64,
        /// What the file system said.
        source: std::io::Error,
    },
    /// The backup lacks components or settings that records name, and nobody accepted that.
    #[error("{} bad in the backup, and nothing was restored: {}", blobs(.0.len()), listed(.0))]
    BadBlobs(Vec<BadBlob>),
    /// Entries are in files that are damaged or missing, and nobody accepted that.
    #[error("the entries {entries} cannot be read, and nothing was changed: {files}")]
    BadEntries {
        /// Which entries.
        entries: String,
        /// What is wrong with which files.
        files: String,
    },
    /// Decision records are damaged or missing, what has them may go with the epoch, and nobody accepted that.
    #[error("records of decisions cannot be read, and nothing was changed: {0}")]
    BadRecords(String),
    /// So many are bad that the log could not say which.
    #[error(
        "{files} files with entries are damaged or missing, in {ranges} places: the log has no room to say of so many \
         that they are not kept, and nothing was changed"
    )]
    TooManyBad {
        /// How many files.
        files: usize,
        /// How many ranges of entries.
        ranges: usize,
    },
    /// A file or directory cannot be used.
    #[error("cannot use `{path}`")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The backup cannot be used.
    #[error("the backup cannot be restored: {0}")]
    Backup(String),
    /// It is damaged, or not what this server wrote, where all depends on it.
    #[error("the backup cannot be restored: {0}")]
    BadBackup(String),
    /// The state in it has no imprint, or not the one that it comes to.
    #[error("the backup holds a state that this server is not known to have written, and nothing was restored")]
    ForeignState(#[source] ImprintError),
    /// The log is not as it was.
    #[error("the log cannot go on in a new epoch: {0}")]
    Log(String),
    /// Its entries are not those that its key signed.
    #[error("{what} is not the one that its key has signed, and nothing was changed: {}", contradicting.join("; "))]
    NotAsSigned {
        /// Of which log that is said.
        what: &'static str,
        /// Which checkpoints by its key are of other entries.
        contradicting: Vec<String>,
    },
    /// The configuration or what it names cannot be used.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// A test has cut it off.
    #[cfg(test)]
    #[error("cut off")]
    CutOff,
}

impl EpochError {
    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Unfinished(_) => Some("nothing is in it that the backup does not have: remove it, and restore again"),
            Self::InTheWay(_) => Some(
                "what is there is never overwritten: move it away, or name another `--data-dir`. Where a restore was cut off \
                 after it gave this its name and before it showed the bootstrap token, nobody can administer it: move it away, \
                 and restore the backup again",
            ),
            Self::LeftBehind(_) => Some(
                "start the server once: if it starts, the data directory is whole, and what is left is the one of before \
                 or one that was never finished: move out of it what is no part of the data and is nowhere else, and remove \
                 it",
            ),
            Self::Serve(error) => error.help(),
            Self::Within { .. } => Some("name directories of which neither is within the other, also by links"),
            Self::LeadsNowhere(_) => Some("make the directory that it leads to, or remove the link"),
            Self::Mounted(_) => Some(
                "have `data_dir` in attorn.toml (or `--data-dir`) name a directory within it, and move the data there, if there \
                 is any",
            ),
            Self::NoRoom { .. } => Some(
                "a rotation writes the log's entries and all that the store holds once more beside the data directory: \
                 make room, and try again",
            ),
            Self::BadBlobs(_) => Some(
                "name another backup; or give `--with-bad-blobs`: then a policy in force that needs one of them denies \
                 whatever it is asked about, until `attorn policy push` has put the same component and settings again \
                 and the server was started anew, or another version is activated",
            ),
            Self::BadEntries { .. } => Some(
                "when an epoch ends, what cannot be read of it is lost for good. While no server runs, `attorn repair` \
                 makes the files anew if base copy or journal still have their entries; else put them back from a backup, \
                 or restore another one; or give `--with-bad-entries`: the log goes on without these entries, and says so",
            ),
            Self::BadRecords(_) => Some(
                "base copy and journal may have these records still, and go with the epoch that ends. While no server runs, \
                 `attorn repair` makes the files anew from them; else put them back from a backup. Where records are lost for \
                 good, `attorn repair --with-lost-records` says so in the log; or give `--with-bad-entries`: the log goes on, \
                 and nothing brings them back but a backup",
            ),
            Self::TooManyBad { .. } => Some(
                "while no server runs, `attorn repair` makes the files anew if base copy or journal still have their \
                 entries; else put files back from a backup until fewer are bad, or restore another one",
            ),
            Self::Io { .. } => {
                Some("see that it is there, who may use it, and how much room its disk has, and try again")
            }
            Self::Backup(_) | Self::BadBackup(_) => Some(
                "nothing was restored: name another backup, or make one (`attorn backup`) of a data directory that is \
                 whole",
            ),
            Self::ForeignState(ImprintError::Missing) => Some(
                "no backup is taken that an earlier version made, before there were imprints: where the data directory that it \
                 was made of is still there, `attorn repair --with-foreign-state` keeps its state, by whoever has looked at it \
                 and answers for it; then make another backup of it",
            ),
            Self::ForeignState(_) => Some(
                "somebody wrote to the backup, or to the data directory before it was made: keep it as evidence, and restore \
                 another one. Where the data directory is still there, `attorn repair` says whether that is whole",
            ),
            Self::NotAsSigned { .. } => Some(
                "somebody rewrote entries that were signed, or these checkpoints are of a copy of the log that went on \
                 apart. Keep all of it: it is evidence. Restore a backup of the log that was signed, from before that say; \
                 if there is none, this log has no way on, and `attorn init` begins another",
            ),
            Self::Log(_) => Some(
                "no new epoch began: `attorn audit verify --config` looks at the log of a server that does not run, and \
                 says what is wrong with it",
            ),
            #[cfg(test)]
            Self::CutOff => None,
        }
    }

    /// Whether something on disk is not what this server wrote; what somebody may accept is not meant.
    #[must_use]
    pub const fn is_altered(&self) -> bool {
        match self {
            Self::ForeignState(_) | Self::BadBackup(_) | Self::Log(_) | Self::NotAsSigned { .. } => true,
            Self::Serve(error) => error.is_altered(),
            _ => false,
        }
    }

    /// Whether what was asked for means nothing.
    #[must_use]
    pub const fn is_usage(&self) -> bool {
        matches!(self, Self::Within { .. })
    }

    /// The same of files that somebody finds elsewhere.
    pub(crate) fn of_another_place(self, from: &str, to: &str) -> Self {
        match self {
            Self::BadEntries { entries, files } => Self::BadEntries { entries, files: files.replace(from, to) },
            error => error,
        }
    }

    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        |source| Self::Io { path, source }
    }
}

impl From<Failure> for EpochError {
    fn from(failure: Failure) -> Self {
        Self::Serve(failure.into())
    }
}

impl From<KeptError> for EpochError {
    fn from(error: KeptError) -> Self {
        match error {
            KeptError::Io { path, source } => Self::Io { path, source },
            error => Self::Log(causes(&error)),
        }
    }
}

impl From<HighWaterError> for EpochError {
    fn from(error: HighWaterError) -> Self {
        Self::Serve(error.into())
    }
}

fn blobs(count: usize) -> String {
    if count == 1 { "a component or settings is".to_owned() } else { format!("{count} components and settings are") }
}

fn listed(bad: &[BadBlob]) -> String {
    bad.iter().map(BadBlob::to_string).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_comes_with_a_way_out() {
        let path = Path::new("data");
        for error in [
            EpochError::InTheWay(path.into()),
            EpochError::LeftBehind(path.into()),
            EpochError::Within { inner: path.into(), outer: path.into() },
            EpochError::NoRoom { dir: path.into(), bytes: 1, source: std::io::Error::other("full") },
            EpochError::BadBlobs(Vec::new()),
            EpochError::BadEntries { entries: "0 to 255".into(), files: "`000` is missing".into() },
            EpochError::BadRecords("`000` is missing".into()),
            EpochError::LeadsNowhere(path.into()),
            EpochError::Mounted(path.into()),
            EpochError::TooManyBad { files: 4_000, ranges: 2_000 },
            EpochError::Unfinished(path.into()),
            EpochError::io(path)(std::io::Error::other("full")),
            EpochError::Backup("it is none".into()),
            EpochError::BadBackup("it is cut".into()),
            EpochError::ForeignState(ImprintError::Missing),
            EpochError::ForeignState(ImprintError::Differs),
            EpochError::Log("it is cut".into()),
            EpochError::NotAsSigned { what: "the log", contradicting: vec!["`log/1/checkpoint` signs others".into()] },
        ] {
            assert!(error.help().is_some_and(|help| !help.is_empty()), "{error}");
        }
    }
}
