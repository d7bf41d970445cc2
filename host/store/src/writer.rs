//! The one thread that writes. It makes groups of the batches that wait, takes the steps that make a
//! group durable, and only then answers. What comes behind is done by the follower.
//!
//! Also a refusal is answered only when its group is on disk: it tells of batches before it, of which
//! nobody may hear before they are durable.

use std::sync::{Arc, PoisonError};

use attorn_log::TreeBuilder;
use tokio::sync::mpsc;

use crate::commit::{Job, Shared};
use crate::error::{Failure, StorageError};
use crate::follower::Pace;
use crate::group::Group;
use crate::head::Head;
use crate::horizon::Teller;
use crate::imprint::Imprint;
use crate::journal::Journal;
use crate::progress::Progress;
use crate::redo::{self, Redo};
use crate::steps::{Step, Steps};
use crate::trees::redo_of;
use crate::writer_cpu;

/// How many batches one group has at most.
const GROUP_BATCHES_MAX: usize = 256;
/// From how many bytes on a group takes no further batch.
const GROUP_BYTES_FULL: usize = 1 << 20;

pub(crate) struct Writer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) steps: Arc<dyn Steps>,
    pub(crate) journal: Journal,
    pub(crate) jobs: mpsc::Receiver<Job>,
    /// Where the others hear of what was applied.
    pub(crate) progress: Arc<Progress>,
    pub(crate) pace: Pace,
    pub(crate) teller: Teller,
    pub(crate) head: Head,
    pub(crate) tree: TreeBuilder,
    pub(crate) imprint: Imprint,
}

impl Writer {
    /// Write until the last sender is gone or something fails.
    pub(crate) fn run(mut self) {
        while let Some(first) = self.jobs.blocking_recv() {
            if !self.progress.wait_for_room(&self.pace) || self.teller.has_failed() {
                self.close();
                return;
            }
            let jobs = self.gather(first);
            if let Err(failure) = self.write(jobs) {
                self.fail(failure);
                return;
            }
        }
    }

    /// Everybody who waits, and whoever asks from now on, is told that the store has failed.
    fn fail(&mut self, failure: Failure) {
        self.teller.fail(failure);
        self.close();
    }

    fn close(&mut self) {
        self.jobs.close();
        // A job that is dropped without an answer is answered by the horizon.
        while self.jobs.try_recv().is_ok() {}
    }

    /// The batches of the next group: those that wait already.
    fn gather(&mut self, first: Job) -> Vec<Job> {
        let mut bytes = first.batch.bytes();
        let mut jobs = vec![first];
        while jobs.len() < GROUP_BATCHES_MAX && bytes < GROUP_BYTES_FULL {
            let Ok(job) = self.jobs.try_recv() else { break };
            bytes += job.batch.bytes();
            jobs.push(job);
        }
        jobs
    }

    fn write(&mut self, jobs: Vec<Job>) -> Result<(), Failure> {
        let shared = Arc::clone(&self.shared);
        let mut group = Group::new(&shared.trees, &shared.log, self.head, self.tree.clone());
        let (mut jobs, mut answers) = (jobs.into_iter(), Vec::new());
        let (mut made, imprint) = (None, self.imprint);
        take(&*self.steps, Step::Check, &mut || {
            for Job { batch, answer, share } in jobs.by_ref() {
                answers.push((answer, group.take(batch)?));
                drop(share);
            }
            let before = writer_cpu::of_this_thread();
            group.link()?;
            shared.cpu.log_took(writer_cpu::of_this_thread().saturating_sub(before));
            if !group.is_empty() {
                made = Some(imprinted(&shared, &group, imprint)?);
            }
            Ok(())
        })?;
        if let Some((redo, imprint)) = made {
            self.make_durable(&shared, &group, &redo)?;
            self.imprint = imprint;
            self.head = group.head;
            self.tree = group.tree;
            // Before anybody is told of it.
            self.tree.clone_into(&mut shared.edge.write().unwrap_or_else(PoisonError::into_inner));
        }
        // Who has waited so long that the store has failed meanwhile is told that, and not what came of it.
        if !self.teller.durable(self.head) {
            return Ok(());
        }
        if group.may_end_something {
            // Before anybody is told, so that whoever watches has heard of it by then.
            shared.endings.send_modify(|endings| *endings += 1);
        }
        for (answer, outcome) in answers {
            // Who does not listen any more does not want to know.
            let _ = answer.send(outcome);
        }
        shared.cpu.whole_is(writer_cpu::of_this_thread());
        Ok(())
    }

    /// First the journal, and when that is on disk the engine, which comes to disk behind.
    fn make_durable(&mut self, shared: &Shared, group: &Group<'_>, redo: &Redo) -> Result<(), Failure> {
        let Self { steps, journal, .. } = self;
        let take = |step, act: &mut dyn FnMut() -> _| take(&**steps, step, act);
        let content = redo::encode(&redo.writes);
        if !journal.has_room(content.len()) {
            take(Step::Segment, &mut || Ok(journal.begin_segment(content.len())?))?;
        }
        take(Step::Append, &mut || Ok(journal.append(redo, &content)?))?;
        take(Step::Sync, &mut || Ok(journal.sync()?))?;
        take(Step::Transaction, &mut || {
            let mut applied = shared.applied.write().unwrap_or_else(PoisonError::into_inner);
            applied.version = group.head.version;
            applied.deleted = group.deleted();
            shared.trees.apply(&redo.writes)
        })?;
        let next_segment_bytes = journal.is_half_full().then(|| journal.next_segment_bytes());
        self.progress.applied(redo.to, content.len() as u64, next_segment_bytes);
        Ok(())
    }
}

/// All writes of a group, with that of the imprint of the state that it leads to.
fn imprinted(shared: &Shared, group: &Group<'_>, before: Imprint) -> Result<(Redo, Imprint), StorageError> {
    let Shared { key, log, .. } = shared;
    let mut redo = redo_of(log, group);
    // What the batches were checked against is not read again.
    let imprint = before.after(key, |at| group.before(at), &redo.writes)?;
    redo.writes.push(imprint.write(key, (log, &group.head), group.tree.root())?);
    Ok((redo, imprint))
}

/// A step that fails ends the store.
pub(crate) fn take(
    steps: &dyn Steps,
    step: Step,
    act: &mut dyn FnMut() -> Result<(), StorageError>,
) -> Result<(), Failure> {
    steps.take(step, act).map_err(|error| Failure::Step { step, error })
}

impl Drop for Writer {
    fn drop(&mut self) {
        // The engine panics where it finds its files corrupt.
        if std::thread::panicking() {
            self.fail(Failure::WriterStopped);
        }
        self.progress.end();
    }
}
