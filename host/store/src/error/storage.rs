//! What the engine below says of itself, or of its files.

use std::io::ErrorKind;

use crate::files::is_irregular;

/// The engine below could not do its work. What it says is for whoever operates the server.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{text}")]
pub struct StorageError {
    text: String,
    damage: Option<String>,
    pub(super) is_missing: bool,
    /// Whether the operating system said so: then nothing is known of what is on disk.
    pub(crate) is_of_the_disk: bool,
}

impl StorageError {
    pub(crate) fn new(error: &dyn std::fmt::Display) -> Self {
        Self { text: error.to_string(), damage: None, is_missing: false, is_of_the_disk: false }
    }

    /// The same, where a file of the log is to blame.
    pub(crate) fn of_log(error: &dyn std::fmt::Display, damage: String) -> Self {
        Self { damage: Some(damage), ..Self::new(error) }
    }

    /// The same, where the file is not there, or cannot be read.
    pub(crate) fn of_missing(error: &dyn std::fmt::Display, damage: String) -> Self {
        Self { is_missing: true, ..Self::of_log(error, damage) }
    }

    /// What is wrong with which file of the log, if that is what it is. It is for those who may read the log: the file
    /// is named within the data directory.
    #[must_use]
    pub fn damage(&self) -> Option<&str> {
        self.damage.as_deref()
    }
}

impl From<sled::Error> for StorageError {
    fn from(error: sled::Error) -> Self {
        match error {
            // What the engine says of it is for those who write the engine.
            sled::Error::Corruption { .. } => Self::new(&DAMAGED),
            sled::Error::Io(error) => error.into(),
            error => Self::new(&error),
        }
    }
}

/// What is said where the engine finds its files damaged, whether it says so or panics.
pub(crate) const DAMAGED: &str = "the database's files are damaged";

impl From<std::io::Error> for StorageError {
    fn from(error: std::io::Error) -> Self {
        // Where a file ends too early, the disk has done all that was asked of it.
        let is_of_the_file = is_irregular(&error) || error.kind() == ErrorKind::UnexpectedEof;
        Self { is_of_the_disk: !is_of_the_file, ..Self::new(&error) }
    }
}
