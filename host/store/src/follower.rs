//! What comes behind the writer: the engine is synced.
//!
//! Nobody waits for it, until there is so much that is not synced that the writer does. That the engine cannot be
//! synced ends the store all the same: what it shows would never be on disk.

use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use crate::commit::Shared;
use crate::error::Failure;
use crate::horizon::Teller;
use crate::journal::SegmentBytes;
use crate::progress::Progress;
use crate::steps::{Step, Steps};
use crate::writer::take;

/// How far things may come behind.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// The engine is synced when this much time has passed since it was behind, or
    pub(crate) sync_after: Duration,
    /// when the journal has so many bytes more.
    pub(crate) sync_bytes: u64,
    /// The writer waits while the engine has this many bytes of the journal or more that are not synced.
    pub(crate) ahead_bytes_max: u64,
    /// A base copy is made when the journal has so many bytes more, and more than the last copy had.
    pub(crate) base_bytes: u64,
    /// How long segments of the journal are.
    pub(crate) segments: SegmentBytes,
    /// After how long it is tried again to bundle what could not be written.
    pub(crate) bundle_retry: Duration,
}

impl Pace {
    /// What opens in seconds and costs the disk little.
    pub(crate) const USUAL: Self = Self {
        sync_after: Duration::from_secs(1),
        sync_bytes: 8 << 20,
        ahead_bytes_max: 128 << 20,
        base_bytes: 64 << 20,
        segments: SegmentBytes { min: 1 << 20, max: 32 << 20 },
        bundle_retry: Duration::from_secs(30),
    };
}

pub(crate) struct Follower {
    pub(crate) shared: Arc<Shared>,
    pub(crate) steps: Arc<dyn Steps>,
    pub(crate) teller: Teller,
    pub(crate) progress: Arc<Progress>,
    /// Our own handle of the engine's file.
    pub(crate) file: File,
    pub(crate) pace: Pace,
}

impl Follower {
    /// Follow until the writer has ended and all is synced.
    pub(crate) fn run(self) {
        while let Some(place) = self.progress.wait_until_due(&self.pace) {
            if let Err(failure) = self.sync_engine() {
                self.teller.fail(failure);
                return;
            }
            self.progress.synced(place);
        }
    }

    fn sync_engine(&self) -> Result<(), Failure> {
        take(&*self.steps, Step::Flush, &mut || self.shared.trees.flush())?;
        take(&*self.steps, Step::EngineSync, &mut || Ok(self.file.sync_data()?))
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        // The engine panics where it finds its files corrupt.
        if std::thread::panicking() {
            self.teller.fail(Failure::FollowerStopped);
        }
    }
}
