//! The clock by which running policies are interrupted.

use std::io;
use std::thread;
use std::time::Duration;

use wasmtime::EngineWeak;

/// Advance the epoch of these runtimes once in every `tick`, for as long as anything can run in them.
/// One thread does it for all: each wakes a core, and there are a thousand ticks in a second.
///
/// The thread holds the runtimes weakly. It forgets one when the engine, every loaded policy and every
/// running evaluation are gone, and not before: a policy that nobody interrupts would run for ever.
pub(crate) fn start<'a>(runtimes: impl IntoIterator<Item = &'a wasmtime::Engine>, tick: Duration) -> io::Result<()> {
    let mut runtimes: Vec<EngineWeak> = runtimes.into_iter().map(wasmtime::Engine::weak).collect();
    let run = move || {
        while !runtimes.is_empty() {
            runtimes.retain(advance);
            thread::sleep(tick);
        }
    };
    thread::Builder::new().name("attorn-epoch".into()).stack_size(64 << 10).spawn(run).map(drop)
}

/// Whether it is still there.
fn advance(runtime: &EngineWeak) -> bool {
    let runtime = runtime.upgrade();
    runtime.inspect(wasmtime::Engine::increment_epoch).is_some()
}
