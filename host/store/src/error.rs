//! What can go wrong, one type for each thing that a caller may try.

mod storage;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use attorn_log::{LogId, TreeError};

pub(crate) use self::storage::DAMAGED;
pub use self::storage::StorageError;

use crate::base::BaseError;
use crate::batch::BatchError;
use crate::boot::CutOffBy;
use crate::imprint::ImprintError;
use crate::journal::JournalError;
use crate::key::Key;
use crate::parts::LogProblem;
use crate::records::RecordError;
use crate::repair::RepairError;
use crate::steps::Step;
use crate::trees::ValueError;

/// Why a store has failed for ever. Nobody knows any more what of the last commits is on disk; only a
/// new start finds out.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Failure {
    /// A step of a commit failed.
    #[error("the store failed at the step `{step}`")]
    Step {
        /// Which step.
        step: Step,
        /// How.
        #[source]
        error: StorageError,
    },
    /// A step did not end. It may do so later, or never.
    #[error("the store hangs: its step `{step}` has not ended in {} s", limit.as_secs())]
    Stalled {
        /// Which step.
        step: Step,
        /// How long it was waited for.
        limit: Duration,
    },
    /// The thread that writes is gone.
    #[error("the store's writer stopped")]
    WriterStopped,
    /// The thread that syncs the engine is gone.
    #[error("the store's follower stopped")]
    FollowerStopped,
    /// The thread that makes base copies is gone.
    #[error("the store's copier stopped")]
    CopierStopped,
    /// The thread that bundles entries is gone.
    #[error("the store's bundler stopped")]
    BundlerStopped,
}

impl Failure {
    /// What to do about it.
    pub const HELP: &str = "see that the disk works and has room, and start anew: what was acknowledged is in the \
        journal, and the store's files are made anew from it, which takes room for them once more";
}

/// Why a batch did not happen.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CommitError {
    /// Too much waits already. It was not tried, and may be tried again.
    #[error("too many commits are waiting")]
    Busy,
    /// The store has failed. Whether the batch is on disk is not known.
    #[error("the store has failed")]
    Failed(#[source] Arc<Failure>),
    /// These keys are not as the batch requires. Nothing was changed.
    #[error("{} of the batch's requirements do not hold", .0.len())]
    Conflict(Vec<Key>),
    /// A counter would leave its bounds. Nothing was changed.
    #[error("the counter `{key}` stands at {found}, which leaves no room for the add")]
    LimitExceeded {
        /// Which counter.
        key: Key,
        /// Where it stands.
        found: u64,
    },
    /// A value that the batch needs is not what it should be. Nothing was changed.
    #[error("the store holds something invalid")]
    Invalid(#[source] Arc<RecordError>),
    /// The batch could not happen under any state.
    #[error("the batch is malformed")]
    Malformed(#[source] BatchError),
}

/// Why something could not be read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReadError {
    /// The store has failed.
    #[error("the store has failed")]
    Failed(#[source] Arc<Failure>),
    /// The engine below could not read.
    #[error("the store could not be read")]
    Storage(#[source] StorageError),
    /// What is stored is not what it should be.
    #[error("the store holds something invalid")]
    Invalid(#[source] Arc<RecordError>),
    /// The tree over the entries could not be computed.
    #[error("the log's tree could not be computed")]
    Tree(#[source] Arc<TreeError<StorageError>>),
    /// The log is not that long.
    #[error("the log has {size} entries, fewer than {asked}")]
    BeyondEnd {
        /// What was asked for.
        asked: u64,
        /// How many there are.
        size: u64,
    },
}

impl ReadError {
    /// Whether it is the file of a decision record that is not there: what another one has, nobody can tell.
    #[must_use]
    pub const fn is_missing(&self) -> bool {
        matches!(self, Self::Storage(StorageError { is_missing: true, .. }))
    }
}

impl From<StorageError> for ReadError {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

impl ReadError {
    /// As [`StorageError::damage`].
    #[must_use]
    pub fn damage(&self) -> Option<&str> {
        match self {
            Self::Storage(error) => error.damage(),
            Self::Tree(error) => match &**error {
                TreeError::Source(error) => error.damage(),
                _ => None,
            },
            Self::Failed(_) | Self::Invalid(_) | Self::BeyondEnd { .. } => None,
        }
    }
}

impl From<ValueError> for ReadError {
    fn from(error: ValueError) -> Self {
        match error {
            ValueError::Storage(error) => Self::Storage(error),
            ValueError::Invalid(error) => error.into(),
        }
    }
}

impl From<RecordError> for ReadError {
    fn from(error: RecordError) -> Self {
        Self::Invalid(Arc::new(error))
    }
}

/// Why a store could not be created or opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is none.
    #[error("there is no store in `{}`", dir.display())]
    NotThere {
        /// Where.
        dir: PathBuf,
    },
    /// There is one already.
    #[error("there is a store in `{}` already", dir.display())]
    AlreadyThere {
        /// Where.
        dir: PathBuf,
    },
    /// Something ended while one was made, and nothing was ever acknowledged by it; or all that it could be made anew of is
    /// lost.
    #[error(
        "the store in `{}` has neither `store.format` nor a base copy: it was never finished, or both were lost. If a server \
         ever ran with it, copy this directory, move it away, and `attorn restore` a backup; if none did, move it away, and \
         begin anew",
        dir.display()
    )]
    HalfMade {
        /// Where.
        dir: PathBuf,
    },
    /// The file that names its format is lost, and there is a base copy.
    #[error(
        "the store in `{}` has no `store.format`, which was lost: `attorn repair` writes it anew, if base copy and journal \
         are whole",
        dir.display()
    )]
    FormatLost {
        /// Where.
        dir: PathBuf,
    },
    /// The file that names its format names an earlier one than it has.
    #[error(
        "`{}` says format {said}, and the store has an imprint of its state, as none of that format has: somebody wrote to \
         that file; `attorn repair` writes it anew",
        path.display()
    )]
    OtherFormat {
        /// Which file.
        path: PathBuf,
        /// What it says.
        said: u32,
    },
    /// Another process, or this one, has it open.
    #[error("the store in `{}` is in use", dir.display())]
    InUse {
        /// Where.
        dir: PathBuf,
    },
    /// It was closed, and something of it does not end: it may write later.
    #[error("the store in `{}` does not end: something of it hangs", dir.display())]
    Hangs {
        /// Where.
        dir: PathBuf,
    },
    /// A directory of it is a link.
    #[error(
        "`{}` is a link, and the store's directories are never worked through one: put the directory itself in its place (move \
         it there, or mount it)",
        path.display()
    )]
    Linked {
        /// Which.
        path: PathBuf,
    },
    /// A file could not be made, read or synced.
    #[error("`{}` could not be used", path.display())]
    Io {
        /// Which file or directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file that names the format does not.
    #[error(
        "`{}` does not name a format of the store; `attorn repair` writes it anew, if base copy and journal are whole",
        path.display()
    )]
    NoFormat {
        /// Which file.
        path: PathBuf,
    },
    /// A newer program wrote it.
    #[error("the store has format {found}, and this program knows none above {known}: use a newer one")]
    NewerFormat {
        /// Its format.
        found: u32,
        /// The newest that is known.
        known: u32,
    },
    /// Its state is not ours.
    #[error(transparent)]
    Imprint(#[from] ImprintError),
    /// It belongs to another log.
    #[error("the store belongs to the log `{found}`, not to `{expected}`")]
    OtherLog {
        /// Which log was asked for.
        expected: LogId,
        /// Which it holds.
        found: LogId,
    },
    /// The engine's files are gone.
    #[error("there is nothing in `{}`", dir.display())]
    NoEngine {
        /// Where they should be.
        dir: PathBuf,
    },
    /// The engine below could not open it.
    #[error("the store's files could not be opened")]
    Storage(#[from] StorageError),
    /// The journal cannot be read.
    #[error("the store's journal cannot be relied on")]
    Journal(#[from] JournalError),
    /// Its parts do not fit together.
    #[error("the store is inconsistent: {0}")]
    Inconsistent(String),
    /// The machine stopped while it was open, or it failed, so that the engine cannot be relied on.
    #[error("{}", by.of(dir))]
    CutOff {
        /// Where.
        dir: PathBuf,
        /// By what.
        by: CutOffBy,
    },
    /// The same, and the engine could not be made anew.
    #[error("{}, and it could not be made anew", by.of(dir))]
    NotRemade {
        /// Where.
        dir: PathBuf,
        /// By what.
        by: CutOffBy,
        /// Why.
        #[source]
        error: Box<RepairError>,
    },
}

/// Why nothing can be made anew of base copy and journal.
#[derive(Debug, thiserror::Error)]
pub enum PartsError {
    /// The journal cannot be read.
    #[error("the journal cannot be relied on")]
    Journal(#[from] JournalError),
    /// No base copy can be read.
    #[error("the base copy cannot be relied on")]
    Base(#[from] BaseError),
    /// What they come to is not ours.
    #[error("base copy and journal are not what this server wrote")]
    Imprint(#[from] ImprintError),
    /// What they have of the log is not what its tree says.
    #[error("base copy and journal do not have the log that this server wrote")]
    Log(#[from] LogProblem),
    /// A decision record in them is not what its entry names.
    #[error("base copy and journal do not have the decision records that this server wrote: {0}")]
    Records(String),
    /// There is no base copy.
    #[error("there is no base copy in `{}`", dir.display())]
    NoBase {
        /// Where one should be.
        dir: PathBuf,
    },
}

impl OpenError {
    /// Whether it may be that [`crate::Store::repair`] makes a whole store of what is there.
    #[must_use]
    pub fn is_repairable(&self) -> bool {
        match self {
            Self::NoEngine { .. }
            | Self::Storage(_)
            | Self::Inconsistent(_)
            | Self::CutOff { .. }
            | Self::FormatLost { .. }
            | Self::OtherFormat { .. }
            | Self::NoFormat { .. } => true,
            // Base copy and journal may be ours.
            Self::Imprint(error) => matches!(error, ImprintError::Differs | ImprintError::NotOfHere),
            // What it could be made anew of comes to less than somebody has seen, and the engine may have it.
            Self::NotRemade { error, .. } => {
                matches!(**error, RepairError::Behind { .. } | RepairError::EngineAhead { .. })
            }
            _ => false,
        }
    }
}
