//! What comes behind the writer: the engine is synced, base copies are made, and what they make needless is
//! removed from the journal.
//!
//! Nobody waits for any of it. That the engine cannot be synced ends the store all the same: what it shows
//! would never be on disk. A base copy that fails is tried again when the journal has grown as much again.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use crate::base::{self, BaseWriter};
use crate::commit::Shared;
use crate::error::{Failure, StorageError};
use crate::frame::StoreId;
use crate::horizon::Teller;
use crate::journal::{self, SegmentBytes, Spare};
use crate::places::Places;
use crate::steps::{Step, Steps};

/// How far things may come behind.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// The engine is synced when this much time has passed since it was behind, or
    pub(crate) sync_after: Duration,
    /// when the journal has so many bytes more.
    pub(crate) sync_bytes: u64,
    /// A base copy is made when the journal has so many bytes more, and more than the last copy had.
    pub(crate) base_bytes: u64,
    /// How long segments of the journal are.
    pub(crate) segments: SegmentBytes,
    /// After how long it is tried again to seal what could not be written.
    pub(crate) seal_retry: Duration,
}

impl Pace {
    /// What opens in seconds and costs the disk little.
    pub(crate) const USUAL: Self = Self {
        sync_after: Duration::from_secs(1),
        sync_bytes: 8 << 20,
        base_bytes: 64 << 20,
        segments: SegmentBytes { min: 1 << 20, max: 32 << 20 },
        seal_retry: Duration::from_secs(30),
    };
}

/// That the engine has applied a group.
pub(crate) struct Applied {
    pub(crate) version: u64,
    /// How many bytes it has in the journal.
    pub(crate) bytes: u64,
    /// How long the next segment should be, if the last one is getting full.
    pub(crate) next_segment_bytes: Option<u64>,
}

pub(crate) struct Follower {
    pub(crate) shared: Arc<Shared>,
    pub(crate) steps: Arc<dyn Steps>,
    pub(crate) teller: Teller,
    pub(crate) news: Receiver<Applied>,
    /// Our own handle of the engine's file.
    pub(crate) file: File,
    pub(crate) places: Places,
    pub(crate) store: StoreId,
    pub(crate) spare: Arc<Spare>,
    pub(crate) pace: Pace,
    pub(crate) behind: Behind,
}

/// How far it is behind.
pub(crate) struct Behind {
    applied: u64,
    synced: u64,
    bytes: u64,
    /// Since when.
    since: Instant,
    /// How much the journal has grown since the last base copy, and how much it may.
    base_bytes: u64,
    base_due_bytes: u64,
    copy: Option<BaseWriter>,
}

impl Behind {
    /// A store that has been opened: the engine is synced up to this version, and the journal is so long since
    /// the last base copy.
    pub(crate) fn at(version: u64, base_bytes: u64, base_due_bytes: u64) -> Self {
        let (applied, synced, since) = (version, version, Instant::now());
        Self { applied, synced, bytes: 0, since, base_bytes, base_due_bytes, copy: None }
    }
}

impl Follower {
    /// Follow until the writer has ended.
    pub(crate) fn run(mut self) {
        while self.listen() {
            if let Err(failure) = self.keep_up() {
                self.teller.fail(failure);
                return;
            }
        }
        if !self.teller.has_failed()
            && let Err(failure) = self.sync_engine()
        {
            self.teller.fail(failure);
        }
    }

    /// Hear of what was applied; wait if there is nothing else to do. Whether the writer lives comes back.
    fn listen(&mut self) -> bool {
        let wait = match &self.behind {
            Behind { copy: Some(_), .. } => Duration::ZERO,
            behind if behind.applied > behind.synced => self.pace.sync_after.saturating_sub(behind.since.elapsed()),
            _ => Duration::MAX,
        };
        match self.news.recv_timeout(wait) {
            Ok(applied) => self.note(&applied),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return false,
        }
        while let Ok(applied) = self.news.try_recv() {
            self.note(&applied);
        }
        true
    }

    fn note(&mut self, applied: &Applied) {
        let behind = &mut self.behind;
        if behind.applied == behind.synced {
            behind.since = Instant::now();
        }
        behind.applied = applied.version;
        behind.bytes += applied.bytes;
        behind.base_bytes = behind.base_bytes.saturating_add(applied.bytes);
        if let Some(bytes) = applied.next_segment_bytes
            && let Err(error) = self.spare.prepare(bytes)
        {
            // Then the writer makes one, and fails if it has to.
            tracing::warn!(error = &error as &dyn std::error::Error, "cannot make a segment of the journal ready");
        }
    }

    fn keep_up(&mut self) -> Result<(), Failure> {
        let behind = &self.behind;
        let late = behind.since.elapsed() >= self.pace.sync_after || behind.bytes >= self.pace.sync_bytes;
        if behind.applied > behind.synced && late {
            self.sync_engine()?;
        }
        if let Err(error) = self.copy() {
            tracing::error!(error = &error as &dyn std::error::Error, "a base copy could not be made");
            self.behind.copy = None;
            self.behind.base_bytes = 0;
        }
        Ok(())
    }

    fn sync_engine(&mut self) -> Result<(), Failure> {
        let version = self.behind.applied;
        if version == self.behind.synced {
            return Ok(());
        }
        let take = |step: Step, act: &mut dyn FnMut() -> Result<(), StorageError>| {
            self.steps.take(step, act).map_err(|error| Failure::Step { step, error })
        };
        take(Step::Flush, &mut || self.shared.trees.flush())?;
        take(Step::EngineSync, &mut || Ok(self.file.sync_data()?))?;
        self.behind.synced = version;
        self.behind.bytes = 0;
        Ok(())
    }

    /// Go on with a base copy, or begin one if it is due.
    fn copy(&mut self) -> Result<(), StorageError> {
        let Some(writer) = &mut self.behind.copy else {
            if self.behind.base_bytes >= self.behind.base_due_bytes.max(self.pace.base_bytes) {
                let version = self.shared.applied().version;
                self.behind.copy = Some(BaseWriter::begin(&self.places.base, self.store, version)?);
                self.behind.base_bytes = 0;
            }
            return Ok(());
        };
        let more = {
            // While this is held, no group is applied, and a page is what stood there at one moment.
            let _applied = self.shared.applied();
            writer.page(&self.shared.trees)?
        };
        if more {
            return Ok(());
        }
        let mut writer = self.behind.copy.take();
        let mut bytes = 0;
        self.steps.take(Step::Base, &mut || {
            bytes = writer.take().map_or(Ok(0), BaseWriter::finish)?;
            Ok(())
        })?;
        self.behind.base_due_bytes = bytes;
        self.steps.take(Step::Trim, &mut || self.trim())
    }

    /// Remove old base copies, and what is older than all of them from the journal.
    fn trim(&self) -> Result<(), StorageError> {
        let keep = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&self.places.keep)?;
        match keep.try_lock() {
            Ok(()) => {}
            // Somebody is copying them; next time.
            Err(TryLockError::WouldBlock) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        base::trim(&self.places.base)?;
        let oldest = base::all(&self.places.base)?.first().map(|base| base.version);
        let oldest = oldest.ok_or_else(|| io::Error::other("there is no base copy"))?;
        journal::trim(&self.places.journal, oldest.min(self.behind.synced))
            .map_err(|error| StorageError::new(&error))?;
        Ok(())
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
