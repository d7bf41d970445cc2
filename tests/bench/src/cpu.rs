//! CPU time: of this thread, of this process, of its children, and of others.

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
    ticks_us(&stat(&id.to_string()).unwrap(), 14)
}

/// The CPU time of all children that have ended, in microseconds: fields 16 and 17.
pub(crate) fn of_children_us() -> f64 {
    ticks_us(&stat("self").unwrap(), 16)
}

/// The children of this process: those whose field 4 names it.
pub(crate) fn children() -> Vec<u32> {
    let this = std::process::id().to_string();
    let ids = std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    ids.filter(|id: &u32| stat(&id.to_string()).is_some_and(|fields| fields.get(1) == Some(&this))).collect()
}

/// The fields of a process from the third on; none if it is gone.
fn stat(process: &str) -> Option<Vec<String>> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name stands in parentheses and may hold anything.
    Some(stat.rsplit_once(')')?.1.split_whitespace().map(str::to_owned).collect())
}

/// Two fields of ticks, user and system, in microseconds. proc(5) numbers them from 1.
fn ticks_us(fields: &[String], first: usize) -> f64 {
    let ticks: u64 = fields[first - 3..first - 1].iter().map(|field| field.parse::<u64>().unwrap()).sum();
    float(ticks) * 1e6 / float(rustix::param::clock_ticks_per_second())
}
