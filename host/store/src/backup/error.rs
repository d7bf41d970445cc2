//! Why there is no backup, or none that can be used.

use std::io;
use std::path::{Path, PathBuf};

use super::marker::FORMAT;
use crate::base::BaseError;
use crate::error::{OpenError, PartsError};
use crate::journal::JournalError;
use crate::records::RecordError;

/// Why there is no backup, or none that can be used.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The directory is no store's.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Base copy or journal cannot be relied on.
    #[error(transparent)]
    Parts(#[from] PartsError),
    /// A file could not be read or made.
    #[error("`{}` could not be used", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// One would be copied into the other.
    #[error("`{}` is within `{}`: a backup and what it is made of are kept apart", inner.display(), outer.display())]
    Within {
        /// What is within the other, or is it.
        inner: PathBuf,
        /// The other.
        outer: PathBuf,
    },
    /// A record that names a file cannot be read.
    #[error("what was copied is no whole store")]
    Record(#[from] RecordError),
    /// There is something where the backup should be.
    #[error("`{}` is not empty", dir.display())]
    NotEmpty {
        /// Where.
        dir: PathBuf,
    },
    /// It was never finished, or is something else.
    #[error("`{}` is no backup, or was never finished", dir.display())]
    NotABackup {
        /// What.
        dir: PathBuf,
    },
    /// Another version made it.
    #[error(
        "`{}` is of format {found}, and this version reads none but {}: make a new backup with this version, or restore \
         it with the one that made it",
        path.display(),
        FORMAT
    )]
    OtherFormat {
        /// What says so.
        path: PathBuf,
        /// Of which format it is.
        found: u32,
    },
    /// Nobody can tell where it ended, so nobody can tell whether all of it is there.
    #[error("`{}` does not say where the backup ended: {why}", path.display())]
    NoEnd {
        /// What should say so.
        path: PathBuf,
        /// Why it does not.
        why: &'static str,
    },
    /// Somebody filled it with names.
    #[error("`{}` has more than {names_max} names, and no backup has so many there", dir.display())]
    TooManyNames {
        /// Where.
        dir: PathBuf,
        /// How many it may have.
        names_max: usize,
    },
}

impl From<JournalError> for BackupError {
    fn from(error: JournalError) -> Self {
        Self::Parts(error.into())
    }
}

impl From<BaseError> for BackupError {
    fn from(error: BaseError) -> Self {
        Self::Parts(error.into())
    }
}

pub(super) fn at(path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    |source| BackupError::Io { path, source }
}
