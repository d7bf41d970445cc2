//! How a store is run.

use std::sync::Arc;

use crate::boot::Boot;
use crate::follower::Pace;
use crate::steps::{EveryStep, Steps};

/// Which threads of a store run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Threads {
    All,
    /// None that makes base copies or moves anything to files.
    Vital,
}

/// How a store is run. Tests break steps and hurry.
pub(crate) struct Setup {
    pub(crate) threads: Threads,
    pub(crate) steps: Arc<dyn Steps>,
    pub(crate) pace: Pace,
    pub(crate) boot: Boot,
}

impl Setup {
    pub(crate) fn usual() -> Self {
        Self { threads: Threads::All, steps: Arc::new(EveryStep), pace: Pace::USUAL, boot: Boot::of_machine() }
    }
}
