//! The steps by which a group of batches becomes durable and what follows behind, and the boundary at which
//! tests break them.
//!
//! The journal is what makes a group durable: it is synced before the engine sees anything of the group. The
//! engine comes behind. Its own `flush` hands its bytes to the kernel and asks for the disk's attention in a
//! way that survives no power cut: it syncs neither the file's length nor the disk's cache. So a step of its
//! own syncs the file through a handle of ours. A step that fails is never tried again, since after a failed
//! sync nobody knows what the kernel has dropped. Only what nobody waits for may fail and be tried again
//! later: a base copy, removing what is not needed any more, bundling entries, and filing records.

use std::fmt;
use std::time::Duration;

use crate::error::StorageError;

/// How long a step may take before the store has failed. A disk that hangs for less is waited for.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// One step. A commit takes the first five, in this order; the others come behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// The batches of a group are checked against the state, their entries are linked, and the imprint of the state that
    /// they lead to is made.
    Check,
    /// The journal gets a new segment, where the group has no room in the last.
    Segment,
    /// The group is appended to the journal.
    Append,
    /// The journal is synced.
    Sync,
    /// All changes are applied in one transaction over all trees.
    Transaction,
    /// The engine writes its buffers.
    Flush,
    /// The engine's file is synced.
    EngineSync,
    /// A page of a base copy is written.
    Page,
    /// A base copy gets its name.
    Base,
    /// What is not needed any more is removed from the journal.
    Trim,
    /// A full bundle of entries is written to a file of its own.
    Bundle,
    /// The entries of a bundle that is in a file are removed from the engine.
    Unload,
    /// The records of a bundle's decisions are written to a file of their own.
    File,
    /// In the engine, where they are takes the place of records that are in a file.
    Shorten,
}

impl Step {
    /// All of them, in their order.
    pub const ALL: &[Self] = &[
        Self::Check,
        Self::Segment,
        Self::Append,
        Self::Sync,
        Self::Transaction,
        Self::Flush,
        Self::EngineSync,
        Self::Page,
        Self::Base,
        Self::Trim,
        Self::Bundle,
        Self::Unload,
        Self::File,
        Self::Shorten,
    ];

    /// Whether the store has failed for ever when the step fails.
    #[must_use]
    pub const fn is_vital(self) -> bool {
        !matches!(self, Self::Page | Self::Base | Self::Trim | Self::Bundle | Self::Unload | Self::File | Self::Shorten)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Check => "check",
            Self::Segment => "segment",
            Self::Append => "append",
            Self::Sync => "sync",
            Self::Transaction => "transaction",
            Self::Flush => "flush",
            Self::EngineSync => "engine sync",
            Self::Page => "page of a base copy",
            Self::Base => "base copy",
            Self::Trim => "trim",
            Self::Bundle => "bundle",
            Self::Unload => "unload",
            Self::File => "file",
            Self::Shorten => "shorten",
        })
    }
}

/// Who takes the steps.
pub(crate) trait Steps: Send + Sync {
    /// Take one step, which is what `act` does.
    fn take(&self, step: Step, act: &mut dyn FnMut() -> Result<(), StorageError>) -> Result<(), StorageError>;

    /// How long a step may take.
    fn limit(&self, _: Step) -> Duration {
        LIMIT
    }
}

/// Takes every step as it is.
pub(crate) struct EveryStep;

impl Steps for EveryStep {
    fn take(&self, _: Step, act: &mut dyn FnMut() -> Result<(), StorageError>) -> Result<(), StorageError> {
        act()
    }
}
