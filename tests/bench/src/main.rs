//! Benchmarks: `cargo xtask bench [engine|http|hostile|compile|delegation|store|audit|credentials|policies] [--json]`.
//!
//! What each area measures, and what its figures should come to, stands at the head of its module.
//!
//! What is compared is measured in the same run on the same machine, and a ratio is printed with its
//! numerator and denominator. These are measurements and no tests: nothing here passes or fails.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a benchmark that cannot run ends with what went wrong")]

mod audit;
mod child;
mod compile;
mod cpu;
mod credentials;
mod delegation;
mod durable;
mod echo;
mod engine;
mod figure;
mod floor;
mod hostile;
mod http;
mod load;
mod memory;
mod parts;
mod policies;
mod policy;
mod store;

use std::time::Instant;

use crate::figure::Figures;

/// The same as in the binary that serves.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What makes a store ours that has no server.
pub(crate) fn ours() -> attorn_store::Ours {
    attorn_store::Ours { log: "bench".parse().unwrap(), key: attorn_store::ImprintKey::of(&[7; 32]) }
}

/// How long each measurement lasts and how often it is repeated. Fewer with `ATTORN_BENCH_QUICK`, to
/// see whether the benchmarks run at all.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Length {
    /// Batches of evaluations of each kind.
    pub(crate) engine_batches: usize,
    /// Evaluations in each.
    pub(crate) engine_evaluations: usize,
    /// How many policies are loaded, from few to many.
    pub(crate) policies: [usize; 3],
    /// Requests that are spread over them.
    pub(crate) requests: usize,
    /// How often something is loaded for one figure.
    pub(crate) loads: u64,
    /// Milliseconds of load on the server.
    pub(crate) load_ms: u64,
    /// Signatures and commits of the parts.
    pub(crate) parts: usize,
    /// Decisions beside hostile policies.
    pub(crate) decisions: usize,
    /// Delegations below one that is revoked, from few to many.
    pub(crate) descendants: [usize; 3],
    /// How many trees of each there are.
    pub(crate) trees: usize,
    /// What the components are divided by that are made to be compiled slowly.
    pub(crate) smaller: usize,
    /// Entries of the audit log, from few to many.
    pub(crate) log_sizes: [u64; 3],
    /// The most decisions that are committed for one figure.
    pub(crate) commits_max: u64,
    /// How often what takes turns is measured.
    pub(crate) turns: usize,
    /// Receipts and pages that are asked for.
    pub(crate) asks: u64,
    /// Leases that end at once.
    pub(crate) leases: u64,
}

const USUAL: Length = Length {
    engine_batches: 60,
    engine_evaluations: 1_000,
    policies: [1, 100, 1_000],
    requests: 20_000,
    loads: 7,
    load_ms: 4_000,
    parts: 20_000,
    decisions: 10_000,
    descendants: [1, 10_000, 100_000],
    trees: 3,
    smaller: 1,
    log_sizes: [1_000, 100_000, 1_000_000],
    commits_max: 100_000,
    turns: 3,
    asks: 1_000,
    leases: 10_000,
};
const QUICK: Length = Length {
    engine_batches: 4,
    engine_evaluations: 50,
    policies: [1, 5, 20],
    requests: 100,
    loads: 1,
    load_ms: 300,
    parts: 200,
    decisions: 500,
    descendants: [1, 10, 100],
    trees: 1,
    smaller: 100,
    log_sizes: [200, 500, 1_000],
    commits_max: 1_000,
    turns: 1,
    asks: 20,
    leases: 100,
};
const AREAS: [&str; 9] =
    ["engine", "http", "hostile", "compile", "delegation", "store", "audit", "credentials", "policies"];

/// A part of `policies` that is wanted alone.
const LANGUAGES: &str = "languages";

fn main() {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    match arguments.first().map(String::as_str) {
        Some("load") => return runtime.block_on(load::run()),
        Some("echo") => return runtime.block_on(echo::run()),
        Some("evaluator") => return engine::run_evaluator(),
        Some("loaded") => return engine::run_loaded(),
        _ => {}
    }
    let json = arguments.iter().any(|argument| argument == "--json");
    arguments.retain(|argument| argument != "--json");
    let wanted: Vec<&str> = match arguments.as_slice() {
        [] => AREAS.to_vec(),
        [area] if AREAS.contains(&area.as_str()) || area == LANGUAGES => vec![area],
        _ => {
            eprintln!("usage: attorn-bench [{}|{LANGUAGES}] [--json]", AREAS.join("|"));
            std::process::exit(2);
        }
    };
    for (area, ready) in [("credentials", credentials::ready as fn() -> _), ("policies", policies::ready)] {
        if wanted.contains(&area)
            && let Err(missing) = ready()
        {
            eprintln!("{missing}");
            std::process::exit(1);
        }
    }
    let length = if std::env::var_os("ATTORN_BENCH_QUICK").is_some() { QUICK } else { USUAL };
    let (started, mut figures) = (Instant::now(), Figures::new(json));
    for area in wanted {
        eprintln!("{area}, at a load of {}", std::fs::read_to_string("/proc/loadavg").unwrap().trim());
        match area {
            "engine" => engine::measure(length, &mut figures),
            // It sets the engine's floor against the rest.
            "http" => runtime.block_on(http::measure(length, engine::floor_us(length), &mut figures)),
            "hostile" => runtime.block_on(hostile::measure(length, &mut figures)),
            "store" => runtime.block_on(store::measure(length, &mut figures)),
            "audit" => runtime.block_on(audit::measure(length, &mut figures)),
            "credentials" => runtime.block_on(credentials::measure(length, &mut figures)),
            "policies" => policies::measure(length, &mut figures),
            LANGUAGES => policies::measure_languages(length, &mut figures),
            "delegation" => runtime.block_on(delegation::measure(length, &mut figures)),
            _ => compile::measure(length, &mut figures),
        }
    }
    eprintln!("took {:.0?}", started.elapsed());
}
