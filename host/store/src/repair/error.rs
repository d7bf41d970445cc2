//! Why nothing was repaired.

use super::Seen;
use crate::base::BaseError;
use crate::error::{OpenError, PartsError, StorageError};
use crate::integrity::IntegrityError;
use crate::journal::JournalError;

/// Why the engine's files could not be made anew.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// The directory is no store's, or somebody uses it.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// What they could be made of cannot be relied on.
    #[error(transparent)]
    Parts(#[from] PartsError),
    /// The engine could not take it.
    #[error("the engine could not take what there is")]
    Storage(#[from] StorageError),
    /// Base copy and journal belong to different stores.
    #[error("the base copy and the journal belong to different stores")]
    OtherStore,
    /// It does not fit together even so.
    #[error("what base copy and journal come to does not fit together")]
    Integrity(#[from] IntegrityError),
    /// Somebody has seen more.
    #[error(
        "base copy and journal come to {} entries of epoch {}, and {} of epoch {} were there", made.size, made.epoch, seen.size, seen.epoch
    )]
    Behind {
        /// What they come to.
        made: Seen,
        /// What somebody has seen.
        seen: Seen,
    },
    /// The engine that they should take the place of is ours, and has more.
    #[error("base copy and journal come to batch {version}, and the database has {engine}")]
    EngineAhead {
        /// The last batch that they come to.
        version: u64,
        /// The last that the engine has.
        engine: u64,
    },
    /// The engine that they should take the place of cannot be asked how far it comes.
    #[error("the database cannot be asked whether it has more than base copy and journal")]
    EngineUnread(#[source] StorageError),
    /// The engine that a new journal would be begun with was in use when it ended.
    #[error(
        "the store was in use when it ended, and its journal is not what it was: what was acknowledged after batch {version} may be lost"
    )]
    EndLost {
        /// The last batch that the engine has.
        version: u64,
        /// What is wrong with base copy and journal.
        source: Box<RepairError>,
    },
    /// A test has cut it off.
    #[cfg(test)]
    #[error("cut off")]
    CutOff,
}

impl From<JournalError> for RepairError {
    fn from(error: JournalError) -> Self {
        Self::Parts(error.into())
    }
}

impl From<BaseError> for RepairError {
    fn from(error: BaseError) -> Self {
        Self::Parts(error.into())
    }
}
