//! How long one evaluation has been running: CPU time of its thread and wall time, apart, so that a
//! policy is not blamed for a busy machine.

use std::time::{Duration, Instant};

use attorn_core::PolicyLimits;
use rustix::time::{ClockId, clock_gettime};

/// Started with an evaluation, on the thread that runs it.
#[derive(Debug)]
pub(crate) struct Stopwatch {
    cpu_start_ns: u64,
    cpu_us_max: u64,
    start: Instant,
    deadline: Instant,
}

/// What a stopwatch shows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading {
    /// CPU time of the thread since the start, in microseconds.
    pub(crate) cpu_us: u64,
    /// Wall time since the start, in microseconds.
    pub(crate) wall_us: u64,
    /// Whether either is used up.
    pub(crate) expired: bool,
}

impl Stopwatch {
    /// Start now. The evaluation ends by its own wall limit or by `deadline`, whichever comes first.
    pub(crate) fn start(limits: &PolicyLimits, deadline: Instant) -> Self {
        let start = Instant::now();
        let own_deadline = start.checked_add(Duration::from_micros(limits.wall_us_max)).unwrap_or(deadline);
        let (cpu_us_max, deadline) = (limits.cpu_us_max, own_deadline.min(deadline));
        Self { cpu_start_ns: thread_cpu_ns(), cpu_us_max, start, deadline }
    }

    /// Read both clocks, once: each costs a good part of a microsecond.
    pub(crate) fn read(&self) -> Reading {
        let now = Instant::now();
        let cpu_us = thread_cpu_ns().saturating_sub(self.cpu_start_ns) / 1_000;
        let wall_us = u64::try_from(now.duration_since(self.start).as_micros()).unwrap_or(u64::MAX);
        Reading { cpu_us, wall_us, expired: now >= self.deadline || cpu_us > self.cpu_us_max }
    }
}

fn thread_cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    // This clock starts at zero with the thread; a negative part would be no time at all.
    let (seconds, nanoseconds) = (u64::try_from(time.tv_sec).unwrap_or(0), u64::try_from(time.tv_nsec).unwrap_or(0));
    seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    #[test]
    fn sleeping_uses_wall_time_and_no_cpu_time() {
        let limits = PolicyLimits { cpu_us_max: 5_000, wall_us_max: 10_000, ..PolicyLimits::NATIVE };
        let stopwatch = Stopwatch::start(&limits, Instant::now() + HOUR);
        assert!(!stopwatch.read().expired);
        std::thread::sleep(Duration::from_millis(11));
        let reading = stopwatch.read();
        assert!(reading.expired && reading.wall_us >= 11_000 && reading.cpu_us < 5_000, "{reading:?}");
    }

    #[test]
    fn work_uses_cpu_time() {
        let limits = PolicyLimits { cpu_us_max: 2_000, wall_us_max: 3_600_000_000, ..PolicyLimits::NATIVE };
        let stopwatch = Stopwatch::start(&limits, Instant::now() + HOUR);
        while !stopwatch.read().expired {}
        assert!(stopwatch.read().cpu_us >= 2_000);
    }

    #[test]
    fn the_deadline_of_the_request_comes_first() {
        assert!(Stopwatch::start(&PolicyLimits::NATIVE, Instant::now()).read().expired);
        let limits = PolicyLimits { wall_us_max: u64::MAX, ..PolicyLimits::NATIVE };
        assert!(Stopwatch::start(&limits, Instant::now()).read().expired);
    }
}
