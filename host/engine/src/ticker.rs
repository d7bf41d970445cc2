//! The clock by which running policies are interrupted.

use std::io;
use std::thread;
use std::time::Duration;

/// Advance the runtime's epoch once in every `tick`, for as long as anything can run in it.
///
/// The thread holds the runtime weakly. It ends when the engine, every loaded policy and every running
/// evaluation are gone, and not before: a policy that nobody interrupts would run for ever.
pub(crate) fn start(runtime: &wasmtime::Engine, tick: Duration) -> io::Result<()> {
    let runtime = runtime.weak();
    let run = move || {
        while let Some(runtime) = runtime.upgrade() {
            runtime.increment_epoch();
            drop(runtime);
            thread::sleep(tick);
        }
    };
    thread::Builder::new().name("attorn-epoch".into()).stack_size(64 << 10).spawn(run).map(drop)
}
