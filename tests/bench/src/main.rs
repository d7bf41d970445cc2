//! Benchmarks: `cargo xtask bench [engine|http] [--json]`.
//!
//! What is compared is measured in the same run on the same machine, and a ratio is printed with its
//! numerator and denominator. These are measurements and no tests: nothing here passes or fails.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a benchmark that cannot run ends with what went wrong")]

mod cpu;
mod echo;
mod engine;
mod figure;
mod floor;
mod http;
mod load;
mod parts;
mod policy;

use std::time::Instant;

use crate::figure::Figures;

/// How long each measurement lasts and how often it is repeated. Fewer with `ATTORN_BENCH_QUICK`, to
/// see whether the benchmarks run at all.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Length {
    /// Batches of evaluations of each kind.
    pub(crate) engine_batches: usize,
    /// Evaluations in each.
    pub(crate) engine_evaluations: usize,
    /// Milliseconds of load on the server.
    pub(crate) load_ms: u64,
    /// Signatures and commits of the parts.
    pub(crate) parts: usize,
}

const USUAL: Length = Length { engine_batches: 60, engine_evaluations: 1_000, load_ms: 4_000, parts: 20_000 };
const QUICK: Length = Length { engine_batches: 4, engine_evaluations: 50, load_ms: 300, parts: 200 };

fn main() {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    match arguments.first().map(String::as_str) {
        Some("load") => return runtime.block_on(load::run()),
        Some("echo") => return runtime.block_on(echo::run()),
        _ => {}
    }
    let json = arguments.iter().any(|argument| argument == "--json");
    arguments.retain(|argument| argument != "--json");
    let area = match arguments.as_slice() {
        [] => None,
        [area] if matches!(area.as_str(), "engine" | "http") => Some(area.as_str()),
        _ => {
            eprintln!("usage: attorn-bench [engine|http] [--json]");
            std::process::exit(2);
        }
    };
    let length = if std::env::var_os("ATTORN_BENCH_QUICK").is_some() { QUICK } else { USUAL };
    let (started, mut figures) = (Instant::now(), Figures::new(json));
    // The HTTP area sets the engine's floor against the rest, so it is measured for both.
    let floor_us = engine::measure(length, area != Some("http"), &mut figures);
    if area != Some("engine") {
        runtime.block_on(http::measure(length, floor_us, &mut figures));
    }
    eprintln!("took {:.0?}", started.elapsed());
}
