//! Whether an error says that what is on disk is not what was written there; else it could not be read or written now, or
//! something else was asked for.
//!
//! Whoever ends a process with a code of its own for damage asks this.

use std::io::{self, ErrorKind};

use crate::backup::BackupError;
use crate::base::BaseError;
use crate::error::{OpenError, PartsError};
use crate::files::is_irregular;
use crate::imprint::ImprintError;
use crate::integrity::IntegrityError;
use crate::journal::JournalError;
use crate::repair::RepairError;

impl OpenError {
    /// Whether the store's files are not what was written. One that the machine's stop cut off is as it has to be then.
    #[must_use]
    pub fn is_altered(&self) -> bool {
        match self {
            Self::HalfMade { .. }
            | Self::FormatLost { .. }
            | Self::OtherFormat { .. }
            | Self::NoFormat { .. }
            | Self::Linked { .. }
            | Self::NoEngine { .. }
            | Self::Inconsistent(_) => true,
            Self::Storage(error) => !error.is_of_the_disk,
            Self::Imprint(error) => !matches!(error, ImprintError::OtherKey),
            Self::Io { source, .. } => is_irregular(source),
            Self::Journal(error) => error.is_altered(),
            Self::NotRemade { error, .. } => error.is_altered(),
            Self::NotThere { .. }
            | Self::AlreadyThere { .. }
            | Self::InUse { .. }
            | Self::Hangs { .. }
            | Self::NewerFormat { .. }
            | Self::OtherLog { .. }
            | Self::CutOff { .. } => false,
        }
    }
}

impl JournalError {
    fn is_altered(&self) -> bool {
        !is_of_the_disk(self.io())
    }

    const fn io(&self) -> Option<&io::Error> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl PartsError {
    /// Whether base copy or journal are not what was written.
    #[must_use]
    pub fn is_altered(&self) -> bool {
        match self {
            Self::Journal(error) => error.is_altered(),
            Self::Base(BaseError::Io { source, .. }) => !is_of_the_disk(Some(source)),
            Self::Base(BaseError::Damaged { .. })
            | Self::Imprint(_)
            | Self::Log(_)
            | Self::Records(_)
            | Self::NoBase { .. } => true,
        }
    }
}

impl RepairError {
    /// Whether something on disk is not what was written, and could not be mended.
    #[must_use]
    pub fn is_altered(&self) -> bool {
        match self {
            Self::Open(error) => error.is_altered(),
            Self::Parts(error) => error.is_altered(),
            Self::Integrity(IntegrityError::Storage(error)) => !error.is_of_the_disk,
            Self::Integrity(error) => {
                !matches!(error, IntegrityError::ShuttingDown | IntegrityError::Imprint(ImprintError::OtherKey))
            }
            Self::OtherStore | Self::Behind { .. } | Self::EngineAhead { .. } | Self::EndLost { .. } => true,
            Self::Storage(_) | Self::EngineUnread(_) => false,
            #[cfg(test)]
            Self::CutOff => false,
        }
    }
}

impl RepairError {
    /// Whether the operating system did not do what was asked: then nothing is known of what is on disk, and nothing of it
    /// is replaced.
    pub(crate) fn is_of_the_disk(&self) -> bool {
        match self {
            Self::Open(OpenError::Io { source, .. } | OpenError::Journal(JournalError::Io { source, .. }))
            | Self::Parts(
                PartsError::Journal(JournalError::Io { source, .. }) | PartsError::Base(BaseError::Io { source, .. }),
            ) => has_failed(source),
            Self::Open(OpenError::Storage(error))
            | Self::Integrity(IntegrityError::Storage(error))
            | Self::Storage(error) => error.is_of_the_disk,
            Self::EngineUnread(_) => true,
            _ => false,
        }
    }
}

/// Whether the system could not do what was asked, and not that it found something else, or nothing.
fn has_failed(error: &io::Error) -> bool {
    let is_found_otherwise = matches!(
        error.kind(),
        ErrorKind::NotFound
            | ErrorKind::NotADirectory
            | ErrorKind::IsADirectory
            | ErrorKind::UnexpectedEof
            | ErrorKind::InvalidData
    );
    !is_irregular(error) && !is_found_otherwise
}

impl BackupError {
    /// Whether something that should be copied, or a backup, is not what was written.
    #[must_use]
    pub fn is_altered(&self) -> bool {
        match self {
            Self::Io { source, .. } => is_irregular(source),
            Self::Within { .. } | Self::NotEmpty { .. } | Self::NotABackup { .. } | Self::OtherFormat { .. } => false,
            Self::Parts(error) => error.is_altered(),
            Self::Record(_) | Self::NoEnd { .. } | Self::TooManyNames { .. } => true,
            Self::Open(error) => error.is_altered(),
        }
    }
}

/// Whether a file could not be read for what it is: nothing is known of it then.
fn is_of_the_disk(error: Option<&io::Error>) -> bool {
    error.is_some_and(|error| !is_irregular(error))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::error::StorageError;
    use crate::files::open_regular;

    #[test]
    fn what_stands_where_a_file_should_be_is_damage_and_a_disk_that_fails_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let irregular = || open_regular(dir.path()).unwrap_err();
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        let cases: [(&dyn Fn() -> io::Error, bool); 2] = [(&irregular, true), (&full, false)];
        for (error, is_damage) in cases {
            let path = Path::new("x").to_path_buf();
            let journal = || JournalError::Io { path: path.clone(), source: error() };
            let base = || BaseError::Io { path: path.clone(), source: error() };
            assert_eq!(OpenError::Io { path: path.clone(), source: error() }.is_altered(), is_damage);
            assert_eq!(OpenError::from(StorageError::from(error())).is_altered(), is_damage);
            assert_eq!(RepairError::from(IntegrityError::from(StorageError::from(error()))).is_altered(), is_damage);
            assert_eq!(OpenError::Journal(journal()).is_altered(), is_damage);
            assert_eq!(RepairError::from(journal()).is_altered(), is_damage);
            assert_eq!(BackupError::from(base()).is_altered(), is_damage);
            assert_eq!(BackupError::Io { path: path.clone(), source: error() }.is_altered(), is_damage);
        }
    }
}
