//! CPU time: of this thread, of this process, and of others.

use rustix::time::{ClockId, Timespec, clock_gettime};

use crate::figure::float;

/// The CPU time of this process so far, in microseconds.
pub(crate) fn process_us() -> f64 {
    microseconds(clock_gettime(ClockId::ProcessCPUTime))
}

/// The CPU time of this thread so far, in microseconds.
pub(crate) fn thread_us() -> f64 {
    microseconds(clock_gettime(ClockId::ThreadCPUTime))
}

fn microseconds(time: Timespec) -> f64 {
    float(u64::try_from(time.tv_sec).unwrap()) * 1e6 + float(u64::try_from(time.tv_nsec).unwrap()) / 1e3
}

/// The CPU time of another process so far, user and system, in microseconds: proc(5), fields 14 and 15
/// of `stat`. It counts ticks of 10 ms.
pub(crate) fn of_process_us(id: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
    // The name stands in parentheses and may hold anything.
    let after_name = stat.rsplit_once(')').unwrap().1;
    let ticks: u64 = after_name.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum();
    float(ticks) * 1e6 / float(rustix::param::clock_ticks_per_second())
}
