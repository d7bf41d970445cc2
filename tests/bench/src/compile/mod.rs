//! What the compile worker takes at the worst, under its usual limits, of components that are made to be
//! compiled slowly; and what decisions take meanwhile.

mod module;
mod slow;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use attorn_artifact::{Cancel, Progress, Worker, WorkerLimits};
use attorn_core::{Known, Outcome, PolicyLimits, Verdict};
use attorn_engine::{Compiler, Engine, EngineConfig, Evaluation, LoadError, LoadRequest, LoadedPolicy, Question};
use attorn_tests::process;
use hdrhistogram::Histogram;
use serde_json::json;

use crate::figure::{Figures, rounded};
use crate::{Length, cpu, memory, policy};

/// How often the worker's memory is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// From one decision to the next.
const DECIDE_EVERY: Duration = Duration::from_millis(2);

/// Measure, and print.
pub(crate) fn measure(length: Length, figures: &mut Figures) {
    let worker = Worker {
        program: process::binary(),
        arguments: vec!["compile-worker".into()],
        environment: &[("MIMALLOC_ARENA_EAGER_COMMIT", "0")],
        limits: WorkerLimits::USUAL,
    };
    let compiler = Compiler { worker: Some(worker), cache: None, leftovers: None };
    let engine = Engine::with_compiler(EngineConfig::for_host().unwrap(), compiler).unwrap();
    let settings = policy::settings();
    let good = load(&engine, &policy::component(), &settings).unwrap();
    for slow in slow::ALL {
        eprintln!("making `{}`", slow.name);
        let component = (slow.make)(length.smaller);
        eprintln!("compiling its {} bytes", component.len());
        let beside = Beside::measure(&engine, &good, &component);
        let raw = json!({
            "component_bytes": component.len(),
            "wall_s": rounded(beside.took.as_secs_f64()),
            "peak_resident_bytes": beside.peak_bytes,
            "cpu_s_max": WorkerLimits::USUAL.cpu_s_max,
            "memory_bytes_max": WorkerLimits::USUAL.memory_bytes_max,
            "decisions_meanwhile": beside.decisions.len(),
            "failed_meanwhile": beside.failed,
            "decision_p50_us": beside.decisions.value_at_quantile(0.5),
            "decision_p99_us": beside.decisions.value_at_quantile(0.99),
            "decision_max_us": beside.decisions.max(),
            "outcome": beside.loaded.map_or_else(|error| error.to_string(), |()| "loaded".to_owned()),
        });
        figures.add(&format!("compile.{}", slow.name), beside.cpu_us / 1e6, "s of CPU time", &raw);
    }
}

/// A component that is compiled, and decisions beside that.
struct Beside {
    loaded: Result<(), LoadError>,
    took: Duration,
    /// CPU time of the worker.
    cpu_us: f64,
    /// The most that it had resident.
    peak_bytes: u64,
    /// Microseconds of each decision of a good policy meanwhile.
    decisions: Histogram<u64>,
    /// Those that did not come to an allow, by how they failed.
    failed: BTreeMap<String, u64>,
}

impl Beside {
    fn measure(engine: &Engine, good: &LoadedPolicy, component: &[u8]) -> Self {
        let (ended, started, cpu_before) = (AtomicBool::new(false), Instant::now(), cpu::of_children_us());
        thread::scope(|scope| {
            let loading = scope.spawn(|| {
                let loaded = load(engine, component, "{}").map(drop);
                ended.store(true, Ordering::Relaxed);
                (loaded, started.elapsed())
            });
            let watching = scope.spawn(|| peak_bytes(&ended));
            let (decisions, failed) = decide(engine, good, &ended);
            let (loaded, took) = loading.join().unwrap();
            let peak_bytes = watching.join().unwrap();
            Self { loaded, took, cpu_us: cpu::of_children_us() - cpu_before, peak_bytes, decisions, failed }
        })
    }
}

fn load(engine: &Engine, component: &[u8], settings: &str) -> Result<LoadedPolicy, LoadError> {
    let request = LoadRequest {
        name: "slow".parse().unwrap(),
        component,
        settings,
        // The most that there is by default.
        limits: PolicyLimits::LARGE_RUNTIME,
        metered: false,
        without_snapshot: false,
    };
    engine.load_watched(request, &Progress::default(), &Cancel::default())
}

/// The most that the worker ever has resident. It is looked at again and again, since nothing is left of
/// it at its end.
fn peak_bytes(ended: &AtomicBool) -> u64 {
    let mut peak = 0;
    while !ended.load(Ordering::Relaxed) {
        let workers = cpu::children();
        peak = workers.into_iter().filter_map(memory::peak_bytes_of).fold(peak, u64::max);
        thread::sleep(LOOK_EVERY);
    }
    peak
}

/// Decisions until it has ended.
fn decide(engine: &Engine, good: &LoadedPolicy, ended: &AtomicBool) -> (Histogram<u64>, BTreeMap<String, u64>) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let context = Arc::new(policy::context());
    let (mut took, mut failed) = (Histogram::new(3).unwrap(), BTreeMap::new());
    while !ended.load(Ordering::Relaxed) {
        let question = Question { policy: good.clone(), known: Known::default() };
        let started = Instant::now();
        let evaluations = runtime.block_on(engine.evaluate(vec![question], Arc::clone(&context))).unwrap();
        took.record(u64::try_from(started.elapsed().as_micros()).unwrap().max(1)).unwrap();
        if !matches!(evaluations[0].outcome, Outcome::Verdict(Verdict::Allow { .. })) {
            let Evaluation { outcome, usage, .. } = &evaluations[0];
            eprintln!("a decision failed after {:?} with {outcome:?} {usage:?}", started.elapsed());
            *failed.entry(format!("{outcome:?}")).or_default() += 1;
        }
        thread::sleep(DECIDE_EVERY);
    }
    (took, failed)
}
