//! The steps by which a group of batches becomes durable, and the boundary at which tests break them.
//!
//! sled's own `flush` hands its bytes to the kernel and asks for the disk's attention in a way that
//! survives no power cut: it syncs neither the file's length nor the disk's cache. So a third step
//! syncs the file through a handle of our own. A step that fails is never tried again, since after a
//! failed sync nobody knows what the kernel has dropped.

use std::fmt;

use crate::error::StorageError;

/// One step. They are taken in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// All changes are applied in one transaction over all trees.
    Transaction,
    /// The engine writes its buffers.
    Flush,
    /// The engine's file is synced.
    Sync,
}

impl Step {
    /// All of them, in their order.
    pub const ALL: &[Self] = &[Self::Transaction, Self::Flush, Self::Sync];
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Transaction => "transaction",
            Self::Flush => "flush",
            Self::Sync => "sync",
        })
    }
}

/// Who takes the steps.
pub(crate) trait Steps: Send {
    /// Take one step, which is what `act` does.
    fn take(&mut self, step: Step, act: &mut dyn FnMut() -> Result<(), StorageError>) -> Result<(), StorageError>;
}

/// Takes every step as it is.
pub(crate) struct EveryStep;

impl Steps for EveryStep {
    fn take(&mut self, _: Step, act: &mut dyn FnMut() -> Result<(), StorageError>) -> Result<(), StorageError> {
        act()
    }
}
