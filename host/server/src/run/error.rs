//! Why a server does not start, or stopped, and what to do about it.
//!
//! That it does not start is for whoever starts one to say: the same keeps others from looking at a store, or from ending
//! its epoch.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::PathBuf;

use attorn_log::{Epoch, Origin};
use attorn_store::{ImprintError, LookError, OpenError, RepairError};

use crate::config::Config;
use crate::data::UNREAD_HELP;
use crate::high_water::HighWaterError;
use crate::http::failure::{Failure, causes};
use crate::published::PublishedError;

/// What to do when the root key is not there, or another.
pub(crate) const ROOT_KEY_HELP: &str =
    "`root_key` in attorn.toml names the file that `attorn init` made together with the store";

/// What to do where somebody else wrote the state.
pub(crate) const FOREIGN_STATE_HELP: &str = "`attorn repair` makes the database anew, if base copy and journal are ours; \
    else copy the data directory, find out who could write there, and `attorn restore` a backup. Who has looked at the state \
    and answers for it keeps it by `attorn repair --with-foreign-state`, which the audit log says";

/// Why a server does not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// It cannot listen.
    #[error("cannot listen on `{address}`")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The root key cannot be read.
    #[error("cannot read the root key `{path}`: {why}")]
    RootKey {
        /// Which file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The root key belongs to another store.
    #[error("the root key `{}` opens no key of the store in `{}`: it belongs to another, or the store is damaged",
        path.display(), dir.display())]
    WrongRootKey {
        /// Which file.
        path: PathBuf,
        /// The store's directory.
        dir: PathBuf,
    },
    /// Another process has the store open.
    #[error("the store in `{}` is in use", dir.display())]
    InUse {
        /// The store's directory.
        dir: PathBuf,
    },
    /// There is no store.
    #[error("there is no store in `{}`", dir.display())]
    NotThere {
        /// Where it should be.
        dir: PathBuf,
    },
    /// The store was closed and does not end.
    #[error("{0}")]
    Hangs(String),
    /// What the store consists of cannot be relied on.
    #[error("{0}")]
    Damaged(String),
    /// A file or directory of it is not what was written, and what is said of it says what to do.
    #[error("{0}")]
    Altered(String),
    /// Somebody else wrote the state.
    #[error("{0}")]
    ForeignState(String),
    /// The machine stopped while the store was open: it is not looked at before a start or a repair has made it anew.
    #[error("{0}")]
    CutOff(String),
    /// The machine stopped while the store was open, and what it could be made anew of cannot be relied on either.
    #[error("{0}")]
    NotRemade(String),
    /// The same, and the database cannot be asked just now whether it has more.
    #[error("{0}")]
    EngineUnread(String),
    /// The store cannot be copied to be looked at.
    #[error("{0}")]
    NotCopied(String),
    /// The store's journal cannot be relied on.
    #[error("{0}")]
    JournalDamaged(String),
    /// The data directory is not the newest.
    #[error(transparent)]
    HighWater(#[from] HighWaterError),
    /// What was published of the log cannot be gone on with.
    #[error("{0}")]
    Published(PublishedError),
    /// What was published of the log was there, and is gone.
    #[error("{0}")]
    PublishedGone(String),
    /// So are entries, which a repair may bring back.
    #[error("{0}")]
    EntriesGone(String),
    /// Nothing of the log's epoch was signed yet, since no server has run on it.
    #[error("there is nothing to verify yet: no server has run since `{0}` began, so no checkpoint of it was signed")]
    NothingSigned(Origin),
    /// It cannot start.
    #[error("{0}")]
    Start(String),
    /// The store failed while it ran. Nothing was acknowledged since.
    #[error("the store has failed, and nothing can be recorded any more: {0}")]
    StoreFailed(String),
}

impl ServeError {
    /// What to do about it, in one line.
    #[must_use]
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Listen { source, .. } if source.kind() == ErrorKind::AddrInUse => {
                Some("something listens there already: end it, or change `listen` and `public_url` in attorn.toml")
            }
            Self::WrongRootKey { .. } => Some(ROOT_KEY_HELP),
            Self::RootKey { path, .. } if !path.exists() => Some(ROOT_KEY_HELP),
            Self::InUse { .. } => {
                Some("another `attorn serve` runs on it: end that one, or name another configuration (`--config`)")
            }
            Self::NotThere { .. } => Some(
                "`data_dir` in attorn.toml names it; `attorn init` makes one, and `attorn restore` out of a backup, \
                 where one was lost",
            ),
            Self::Hangs(_) => Some(
                "the disk of the data directory hangs: nothing was put in its place; see that the disk works, end this \
                 process if it has not ended, and begin anew",
            ),
            Self::Damaged(_) | Self::CutOff(_) => Some(
                "`attorn repair` makes the store's files anew from base copy and journal, if these are whole; nothing is \
                 deleted",
            ),
            Self::ForeignState(_) => Some(FOREIGN_STATE_HELP),
            Self::NotRemade(_) => Some(
                "what the database lost when the machine stopped, a revocation say, shows nowhere, so it is not used: copy \
                 the data directory, move it away, and `attorn restore` a backup",
            ),
            Self::EngineUnread(_) => Some(UNREAD_HELP),
            Self::JournalDamaged(_) => Some(
                "`attorn repair` begins a new journal if the store has all that the old one had; else copy the data \
                 directory, and `attorn restore` a backup",
            ),
            Self::PublishedGone(_) => Some(
                "put `log/` back from a backup or a copy, if there is one, before the server starts; without one, start it \
                 (`attorn serve`): it signs a new checkpoint, with which this goes on, and says in the audit log what is gone",
            ),
            Self::EntriesGone(_) => Some(
                "`attorn repair` first: base copy and journal may still have entries of those files; put the rest of `log/` \
                 back from a backup or a copy, before the server starts; without one, start it: it says in the audit log \
                 what is gone",
            ),
            Self::NothingSigned(origin) if origin.epoch <= Epoch(1) => {
                Some("start the server once (`attorn serve`), which signs a checkpoint, and verify then")
            }
            Self::NothingSigned(_) => Some(
                "start the server once (`attorn serve`), which signs a checkpoint, and verify then; what is kept of the \
                 epochs before can be verified already (`attorn audit verify --file`, `epochs/` of the data directory)",
            ),
            Self::HighWater(error) => Some(error.help()),
            Self::Published(error) => Some(error.help()),
            Self::NotCopied(_) => Some(
                "what opening would change is looked at in a copy in the directory for temporary files: see that it has room, \
                 or name another one with the variable `TMPDIR`",
            ),
            Self::StoreFailed(_) => Some(attorn_store::Failure::HELP),
            Self::Listen { .. } | Self::RootKey { .. } | Self::Altered(_) | Self::Start(_) => None,
        }
    }
}

impl ServeError {
    /// Whether something on disk is not what this server wrote there.
    #[must_use]
    pub const fn is_altered(&self) -> bool {
        match self {
            Self::PublishedGone(_)
            | Self::EntriesGone(_)
            | Self::ForeignState(_)
            | Self::Damaged(_)
            | Self::Altered(_)
            | Self::JournalDamaged(_)
            | Self::NotRemade(_) => true,
            Self::Published(error) => {
                matches!(error, PublishedError::Damaged { .. } | PublishedError::Contradicts { .. })
            }
            Self::HighWater(error) => {
                matches!(
                    error,
                    HighWaterError::Behind { .. } | HighWaterError::LaterEpoch { .. } | HighWaterError::Forked { .. }
                )
            }
            _ => false,
        }
    }

    /// The same as `from`, where it is known which root key was tried.
    pub(crate) fn of_store(error: OpenError, config: &Config) -> Self {
        match error {
            OpenError::Imprint(ImprintError::OtherKey) => {
                Self::WrongRootKey { path: config.root_key.clone(), dir: config.data_dir.clone() }
            }
            error => error.into(),
        }
    }

    /// The same of one that is looked at.
    pub(crate) fn of_look(error: LookError, config: &Config) -> Self {
        match error {
            LookError::Open(error @ OpenError::Imprint(_)) => Self::of_store(error, config),
            error => error.into(),
        }
    }
}

impl From<OpenError> for ServeError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::InUse { dir } => Self::InUse { dir },
            OpenError::NotThere { dir } => Self::NotThere { dir },
            error @ OpenError::Hangs { .. } => Self::Hangs(causes(&error)),
            error @ OpenError::Journal(_) => Self::JournalDamaged(causes(&error)),
            error @ OpenError::Imprint(_) => Self::ForeignState(causes(&error)),
            error if error.is_repairable() => Self::Damaged(causes(&error)),
            OpenError::NotRemade { error: ref why, .. } => {
                let said = causes(&error);
                if matches!(**why, RepairError::EngineUnread(_)) {
                    Self::EngineUnread(said)
                } else {
                    Self::NotRemade(said)
                }
            }
            error if error.is_altered() => Self::Altered(causes(&error)),
            error => Self::Start(causes(&error)),
        }
    }
}

impl From<LookError> for ServeError {
    fn from(error: LookError) -> Self {
        match error {
            LookError::Open(error @ OpenError::CutOff { .. }) => Self::CutOff(causes(&error)),
            LookError::Open(error) => error.into(),
            LookError::Damaged(why) => Self::Damaged(why),
            LookError::JournalDamaged(why) => Self::JournalDamaged(why),
            LookError::Copy { .. } => Self::NotCopied(causes(&error)),
        }
    }
}

impl From<PublishedError> for ServeError {
    fn from(error: PublishedError) -> Self {
        Self::Published(error)
    }
}

impl From<Failure> for ServeError {
    fn from(failure: Failure) -> Self {
        Self::Start(failure.internal.unwrap_or(failure.problem.detail))
    }
}
