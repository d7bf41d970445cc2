//! `attorn compile-worker`: what `attorn serve` starts to compile a policy. Nobody types it.

use attorn_artifact::{Worker, WorkerLimits};
use clap::Args;

use crate::exit::Exit;
use crate::failure::Failure;

/// The name of the command.
const NAME: &str = "compile-worker";

/// Compile one policy: a job on standard input, machine code on standard output. `attorn serve` starts
/// it; it has no use by hand.
#[derive(Debug, Args)]
pub(crate) struct CompileWorker {
    /// Bytes of memory that it may use
    #[arg(long, value_name = "BYTES")]
    memory_bytes_max: u64,
    /// Seconds of CPU time that it may use
    #[arg(long, value_name = "SECONDS")]
    cpu_s_max: u64,
}

impl CompileWorker {
    pub(crate) fn run(&self) -> Result<Exit, Failure> {
        let Self { memory_bytes_max, cpu_s_max } = *self;
        // Wall time is the parent's to keep.
        let limits = WorkerLimits { memory_bytes_max, cpu_s_max, ..WorkerLimits::USUAL };
        attorn_engine::serve_compile_worker(limits).map_err(|error| Failure::of(&error))?;
        Ok(Exit::Done)
    }
}

/// The allocator takes a gigabyte of addresses at once, and to the kernel that is memory that may be
/// written. So it takes them without the right to write, and that only when it needs it.
const ENVIRONMENT: &[(&str, &str)] = &[("MIMALLOC_ARENA_EAGER_COMMIT", "0")];

/// This program as a compile worker.
#[cfg(target_os = "linux")]
pub(crate) fn of_this_program() -> Result<Worker, Failure> {
    // The file may be replaced while the server runs; this names what runs now.
    const ITSELF: &str = "/proc/self/exe";
    let program = if std::path::Path::new(ITSELF).exists() {
        ITSELF.into()
    } else {
        std::env::current_exe().map_err(|error| Failure::of(&error))?
    };
    Ok(Worker { program, arguments: vec![NAME.to_owned()], environment: ENVIRONMENT, limits: WorkerLimits::USUAL })
}
