//! What a compile worker may use. It takes its limits upon itself before it reads anything.

use std::io;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, nice, setrlimit};

/// How much the priority of a worker is below the server's.
const NICENESS: i32 = 10;

/// What one compilation may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerLimits {
    /// Bytes of memory that it may write to, beyond what it shares with others.
    pub memory_bytes_max: u64,
    /// CPU time over all its threads, in seconds.
    pub cpu_s_max: u64,
    /// Wall time, in seconds. The parent keeps this one.
    pub wall_s_max: u64,
}

impl WorkerLimits {
    /// Enough for an interpreter of 30 MB on a slow machine.
    pub const USUAL: Self = Self { memory_bytes_max: 3 << 30, cpu_s_max: 120, wall_s_max: 180 };

    pub(crate) const fn wall(&self) -> Duration {
        Duration::from_secs(self.wall_s_max)
    }

    /// Take them upon this process.
    pub(crate) fn apply(&self) -> io::Result<()> {
        // If the server dies, nobody wants the answer.
        #[cfg(target_os = "linux")]
        {
            use rustix::process::{Signal, set_parent_process_death_signal};
            set_parent_process_death_signal(Some(Signal::KILL))?;
            rustix::thread::set_no_new_privs(true)?;
        }
        let hard = |max: u64| Rlimit { current: Some(max), maximum: Some(max) };
        setrlimit(Resource::Data, hard(self.memory_bytes_max))?;
        // At the first the kernel warns with a signal that kills; at the second it kills.
        let cpu = Rlimit { current: Some(self.cpu_s_max), maximum: Some(self.cpu_s_max.saturating_add(1)) };
        setrlimit(Resource::Cpu, cpu)?;
        setrlimit(Resource::Core, hard(0))?;
        // The images of memories are files that have no name and count as what they are: memory.
        setrlimit(Resource::Fsize, hard(self.memory_bytes_max))?;
        nice(NICENESS)?;
        Ok(())
    }
}
