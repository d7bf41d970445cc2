//! The store as its callers hold it, and how a batch gets to the writer and its answer back.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
#[cfg(test)]
use std::thread::JoinHandle;

#[cfg(test)]
use attorn_core::TimeMs;
use attorn_log::{EntryRef, TreeBuilder};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};

use crate::batch::{Batch, BatchError};
use crate::bundled::Bundled;
use crate::ending::Ending;
use crate::error::{CommitError, Failure, OpenError};
use crate::filed::RecordFiles;
use crate::files::Files;
use crate::head::LogName;
use crate::horizon::Watch;
use crate::imprint::ImprintKey;
use crate::key::Key;
use crate::places::{Lock, Places};
use crate::read::FILE_READS_MAX;
use crate::recorded::Recorded;
use crate::trees::Trees;
use crate::writer_cpu::Meter;

/// How many batches wait at most. One more is refused.
pub const QUEUE_BATCHES_MAX: usize = 1_024;
/// How many bytes all waiting batches have at most. One more is refused.
pub const QUEUE_BYTES_MAX: usize = 64 << 20;
/// What a batch costs in the queue beside its values and entries.
const BATCH_OVERHEAD_BYTES: usize = 1_024;

/// A store that is open. Whoever drops it waits until all is written and synced, after which the directory
/// can be opened again; where the store hangs it is not waited for, and the directory is in use until the process ends.
pub struct Store {
    pub(crate) shared: Arc<Shared>,
    pub(crate) files: Files,
    pub(crate) places: Places,
    /// The writer ends when nobody can send it anything any more, and the others then.
    queue: mpsc::Sender<Job>,
    /// How many entries may be bundled.
    bundle: Sender<u64>,
    queue_bytes: Arc<Semaphore>,
    /// Turns of those who read files with records.
    pub(crate) file_reads: Arc<Semaphore>,
    /// The last to go: it waits for what is told to end by that.
    ending: Ending,
}

/// A directory whose store was closed, and that nobody else opens as long as this lives.
#[derive(Debug)]
pub struct Closed {
    _lock: Arc<Lock>,
}

/// What readers and the writer share.
pub(crate) struct Shared {
    pub(crate) trees: Trees,
    pub(crate) key: ImprintKey,
    pub(crate) bundled: Bundled,
    pub(crate) records: RecordFiles,
    pub(crate) log: LogName,
    pub(crate) applied: RwLock<Applied>,
    pub(crate) horizon: Watch,
    /// The right edge of the log's tree, over at least as many entries as the horizon tells of.
    pub(crate) edge: RwLock<TreeBuilder>,
    /// Counts the groups that may have ended what hangs on something.
    pub(crate) endings: watch::Sender<u64>,
    pub(crate) cpu: Meter,
    /// Of how many bundles the records were filed, or looked at in vain.
    pub(crate) filed: AtomicU64,
    /// Whether base copy and journal were not whole when they were looked at last.
    pub(crate) bad_parts: AtomicBool,
}

/// What is visible and may not be durable yet. The writer holds it while it applies a group, so that
/// a scan sees a group whole or not at all.
#[derive(Debug, Default)]
pub(crate) struct Applied {
    /// The version of the last batch.
    pub(crate) version: u64,
    /// What the last group deleted. Nothing is left of such keys that could tell a reader to wait.
    pub(crate) deleted: HashSet<Key>,
}

impl Shared {
    pub(crate) fn applied(&self) -> RwLockReadGuard<'_, Applied> {
        // A writer that panicked while it held this has failed the store, which every reader finds
        // out from the horizon.
        self.applied.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One batch in the queue.
pub(crate) struct Job {
    pub(crate) batch: Batch,
    pub(crate) answer: oneshot::Sender<Result<Committed, CommitError>>,
    /// Its share of the queue's bytes, given back when it is dropped.
    pub(crate) share: OwnedSemaphorePermit,
}

/// A batch that happened and is on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The version of everything that it wrote.
    pub version: u64,
    /// Its entries, in their order.
    pub entries: Vec<EntryRef>,
}

impl Committed {
    /// Its entry: the first, where there are several.
    ///
    /// # Errors
    ///
    /// [`BatchError::NoEntry`]
    pub fn entry(&self) -> Result<&EntryRef, BatchError> {
        self.entries.first().ok_or(BatchError::NoEntry)
    }
}

impl Store {
    pub(crate) fn of(
        shared: Arc<Shared>,
        places: Places,
        (queue, bundle): (mpsc::Sender<Job>, Sender<u64>),
        ending: Ending,
    ) -> Self {
        let files = Files::new(places.blobs.clone());
        let queue_bytes = Arc::new(Semaphore::new(QUEUE_BYTES_MAX));
        let file_reads = Arc::new(Semaphore::new(FILE_READS_MAX));
        Self { shared, files, places, queue, bundle, queue_bytes, file_reads, ending }
    }

    /// Let a batch happen. When this returns `Ok`, all of it is on disk; after `Conflict` and
    /// `LimitExceeded` none of it is, and what they name is on disk.
    ///
    /// Dropping the future takes nothing back: the batch happens or not, and nobody is told.
    ///
    /// # Errors
    ///
    /// [`CommitError`] says whether it was tried, why it did not happen, or that nobody knows.
    pub async fn commit(&self, batch: Batch) -> Result<Committed, CommitError> {
        batch.check().map_err(CommitError::Malformed)?;
        // Both limits keep the number far below what a permit can count.
        let bytes = u32::try_from(batch.bytes() + BATCH_OVERHEAD_BYTES).unwrap_or(u32::MAX);
        let share = Arc::clone(&self.queue_bytes).try_acquire_many_owned(bytes).map_err(|_| CommitError::Busy)?;
        let (answer, answered) = oneshot::channel();
        if let Some(failure) = self.failure() {
            return Err(CommitError::Failed(failure));
        }
        match self.queue.try_send(Job { batch, answer, share }) {
            Ok(()) => tokio::select! {
                biased;
                answer = answered => match answer {
                    Ok(outcome) => outcome,
                    Err(_) => Err(CommitError::Failed(self.failed().await)),
                },
                // The writer may hang, and will never answer then.
                failure = self.failed() => Err(CommitError::Failed(failure)),
            },
            Err(TrySendError::Full(_)) => Err(CommitError::Busy),
            Err(TrySendError::Closed(_)) => Err(CommitError::Failed(self.failed().await)),
        }
    }

    /// Let a batch happen, and give the value out as recorded. The batch must have an entry.
    ///
    /// # Errors
    ///
    /// As [`Self::commit`]; [`CommitError::Malformed`] if it has no entry.
    pub async fn commit_recorded<T>(&self, batch: Batch, value: T) -> Result<Recorded<T>, CommitError> {
        if batch.entries.is_empty() {
            return Err(CommitError::Malformed(BatchError::NoEntry));
        }
        let committed = self.commit(batch).await?;
        Ok(Recorded::new(value, committed.version, committed.entries))
    }

    /// Changes after each durable write that may have ended what hangs on something: a grant, and what was issued of it.
    /// Writes that never do, such as decisions and what is counted, do not change it.
    #[must_use]
    pub fn endings(&self) -> watch::Receiver<u64> {
        self.shared.endings.subscribe()
    }

    /// Why the store failed, as soon as it does. Whoever runs the server waits for this, and stops it.
    pub async fn failed(&self) -> Arc<Failure> {
        self.shared.horizon.failed().await
    }

    /// Wait until the store fails, whatever becomes of it: for whoever has to end a process that hangs with it.
    pub fn has_failed(&self) -> impl Future<Output = ()> + Send + use<> {
        self.shared.horizon.clone().has_failed()
    }

    /// Why the store has failed, if it has.
    #[must_use]
    pub fn failure(&self) -> Option<Arc<Failure>> {
        self.shared.horizon.failure()
    }

    /// Whether base copy and journal were damaged when they were looked at last, so that no backup can be made. They are
    /// looked at behind, when the store was opened; then a new base copy is made, and they are looked at once more.
    #[must_use]
    pub fn has_bad_parts(&self) -> bool {
        self.shared.bad_parts.load(Ordering::Relaxed)
    }

    /// Say that a checkpoint over so many entries is on disk: full bundles of them may go into files, which
    /// happens behind, a bundle at a time.
    pub fn bundle_through(&self, entries: u64) {
        // A bundler that is gone has failed the store.
        let _ = self.bundle.send(entries);
    }

    /// Wait until all is written and synced, and keep the directory from others. Nothing writes into it any more.
    ///
    /// # Errors
    ///
    /// [`OpenError::Hangs`] when something of it does: that may write later.
    pub fn close(self) -> Result<Closed, OpenError> {
        let (lock, dir) = (self.ending.lock(), self.places.dir.clone());
        drop(self);
        // Each thread has one, and the last of them lets go of the engine before.
        let alone = lock.filter(|lock| Arc::strong_count(lock) == 1);
        Ok(Closed { _lock: alone.ok_or(OpenError::Hangs { dir })? })
    }

    /// Wait until the threads of a store that failed have ended.
    #[cfg(test)]
    pub(crate) async fn ended(&self) {
        // The bundler waits for something to do, and sees then that there is nothing any more.
        self.bundle_through(0);
        // A writer that waits for a batch has not heard of a failure of another.
        if let Ok(share) = Arc::clone(&self.queue_bytes).try_acquire_owned() {
            let _ = self.queue.try_send(Job { batch: Batch::new(TimeMs(0)), answer: oneshot::channel().0, share });
        }
        while !self.ending.threads().all(JoinHandle::is_finished) {
            tokio::task::yield_now().await;
        }
        self.ending.wait_for_last_words();
    }

    /// The files for what is too large to be a value.
    #[must_use]
    pub const fn files(&self) -> &Files {
        &self.files
    }
}
