//! The CPU time of the writer's thread, and how much of it the log takes: to measure what a log costs that nobody can
//! change unseen.
//!
//! The clock is read three times for each group, however many batches it has; nothing depends on what it says.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::commit::Store;

/// The CPU time of the writer since the store was opened, in the kernel too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriterCpu {
    /// What makes entries of bodies, links them, and adds them to the tree. That entries are stored is no part of it.
    pub log: Duration,
    /// All of it.
    pub whole: Duration,
}

/// Where the writer says it.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    log_ns: AtomicU64,
    whole_ns: AtomicU64,
}

impl Meter {
    pub(crate) fn log_took(&self, more: Duration) {
        self.log_ns.fetch_add(nanoseconds(more), Ordering::Relaxed);
    }

    pub(crate) fn whole_is(&self, so_far: Duration) {
        self.whole_ns.store(nanoseconds(so_far), Ordering::Relaxed);
    }
}

/// The CPU time of this thread so far.
pub(crate) fn of_this_thread() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

fn nanoseconds(duration: Duration) -> u64 {
    // That many are 584 years.
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Store {
    /// The CPU time of the writer, as of the last group that it wrote.
    #[must_use]
    pub fn writer_cpu(&self) -> WriterCpu {
        let Meter { log_ns, whole_ns } = &self.shared.cpu;
        let read = |ns: &AtomicU64| Duration::from_nanos(ns.load(Ordering::Relaxed));
        WriterCpu { log: read(log_ns), whole: read(whole_ns) }
    }
}
