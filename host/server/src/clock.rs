//! The server's time. Within a run it advances by `CLOCK_BOOTTIME`, which nobody can set, so that no
//! step of the wall clock lengthens a grant. A wall clock that drifts from it is noticed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use attorn_core::TimeMs;
use rustix::time::{ClockId, clock_gettime};

/// How far the wall clock may be from the server's time before the server is not ready any more.
pub(crate) const DRIFT_MS_MAX: u64 = 5_000;

/// The server's time.
#[derive(Debug)]
pub(crate) struct Clock {
    wall_at_start_ms: u64,
    boot_at_start: Duration,
    latest_ms: AtomicU64,
}

impl Clock {
    /// Start from what the wall clock says now, and never before this time. Whoever has not accepted
    /// that the wall clock stands before the last record passes the last record's time, so that nothing
    /// is recorded that would make the next start take the wall clock's word.
    pub(crate) fn start(not_before: TimeMs) -> Self {
        let wall_at_start_ms = wall_ms().max(not_before.0);
        Self { wall_at_start_ms, boot_at_start: since_boot(), latest_ms: AtomicU64::new(0) }
    }

    /// The time now. It never goes back.
    pub(crate) fn now(&self) -> TimeMs {
        let elapsed = since_boot().saturating_sub(self.boot_at_start);
        let now_ms = self.wall_at_start_ms.saturating_add(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX));
        TimeMs(self.latest_ms.fetch_max(now_ms, Ordering::Relaxed).max(now_ms))
    }

    /// How far the wall clock is from the server's time, in milliseconds.
    pub(crate) fn drift_ms(&self) -> u64 {
        wall_ms().abs_diff(self.now().0)
    }
}

fn wall_ms() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
}

fn since_boot() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_stands_before_what_it_was_told() {
        let ahead = TimeMs(wall_ms() + 3_600_000);
        assert!(Clock::start(ahead).now() >= ahead);
    }

    #[test]
    fn it_begins_with_the_wall_clock_and_never_goes_back() {
        let clock = Clock::start(TimeMs(0));
        let first = clock.now();
        assert!(clock.drift_ms() < DRIFT_MS_MAX);
        assert!(clock.now() >= first);
        clock.latest_ms.store(first.0 + 60_000, Ordering::Relaxed);
        assert_eq!(clock.now(), TimeMs(first.0 + 60_000));
    }
}
