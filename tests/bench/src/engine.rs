//! Evaluations: ours in a fresh sandbox against bare wasmtime doing the same work; and what loading takes.

use std::sync::Arc;
use std::time::Instant;

use attorn_artifact::{Cache, CacheKey, Cancel, Progress};
use attorn_core::{EvaluationContext, Known, Outcome, PolicyLimits, Verdict};
use attorn_engine::{Activation, Compiler, Engine, EngineConfig, LoadRequest, LoadedPolicy, Question};
use serde_json::json;
use tokio::runtime::Runtime;
use zeroize::Zeroizing;

use crate::figure::{Figures, float, median, rounded};
use crate::floor::Floor;
use crate::{Length, policy};

/// How many policies one request asks where the hop to an evaluator thread is to weigh little.
const TOGETHER: usize = 16;
/// How often something is loaded for one figure.
const LOADS: u64 = 7;
const CACHE_BYTES_MAX: u64 = 1 << 30;

/// Measure, print if `shown`, and give what bare wasmtime takes from a snapshot, in microseconds.
pub(crate) fn measure(length: Length, shown: bool, figures: &mut Figures) -> f64 {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let config = EngineConfig::for_host().unwrap();
    let engine = Engine::new(config).unwrap();
    let context = Arc::new(policy::context());
    let mut floor_us = 0.0;
    for (name, snapshot) in [("init", false), ("snapshot", true)] {
        let floor = Floor::new(&config, engine.info(), &policy::component(), &policy::settings(), snapshot);
        let loaded = load(&engine, &policy::settings(), snapshot);
        let figure = compare(length, &runtime, &engine, &loaded, &context, &floor);
        floor_us = figure.floor_us;
        if shown {
            figure.print(name, length, figures);
        }
    }
    if shown {
        loading(&config, figures);
    }
    floor_us
}

/// What one evaluation takes, in microseconds.
#[expect(clippy::struct_field_names, reason = "units stand last in names, and these have the same")]
struct Compared {
    /// Ours, one policy a request: with the hop to an evaluator thread and back.
    alone_us: f64,
    /// Ours, each of [`TOGETHER`] policies of one request.
    together_us: f64,
    /// Bare wasmtime.
    floor_us: f64,
}

impl Compared {
    fn print(&self, name: &str, length: Length, figures: &mut Figures) {
        for (bench, ours_us) in [
            (format!("engine.fresh_over_floor_{name}"), self.alone_us),
            (format!("engine.fresh_of_{TOGETHER}_over_floor_{name}"), self.together_us),
        ] {
            let raw = json!({
                "ours_us": rounded(ours_us),
                "floor_us": rounded(self.floor_us),
                "batches": length.engine_batches,
                "evaluations_per_batch": length.engine_evaluations,
            });
            figures.add(&bench, ours_us / self.floor_us, "ratio", &raw);
        }
    }
}

/// Batches of all three take turns, so that whatever else the machine does hits all.
fn compare(
    length: Length,
    runtime: &Runtime,
    engine: &Engine,
    loaded: &LoadedPolicy,
    context: &Arc<EvaluationContext>,
    floor: &Floor,
) -> Compared {
    let (mut alone, mut together, mut bare) = (Vec::new(), Vec::new(), Vec::new());
    for batch in 0..=length.engine_batches {
        let one = timed(length.engine_evaluations, || runtime.block_on(evaluate(engine, loaded, 1, context)));
        let many = timed(length.engine_evaluations / TOGETHER, || {
            runtime.block_on(evaluate(engine, loaded, TOGETHER, context));
        });
        let other = timed(length.engine_evaluations, || floor.evaluate(context));
        // The first of each warms up.
        if batch > 0 {
            alone.push(one);
            together.push(many / float(TOGETHER as u64));
            bare.push(other);
        }
    }
    Compared { alone_us: median(alone), together_us: median(together), floor_us: median(bare) }
}

/// Microseconds of one call, over a batch of them.
fn timed(calls: usize, mut call: impl FnMut()) -> f64 {
    let (started, calls) = (Instant::now(), calls.max(1));
    for _ in 0..calls {
        call();
    }
    started.elapsed().as_secs_f64() * 1e6 / float(calls as u64)
}

async fn evaluate(engine: &Engine, loaded: &LoadedPolicy, policies: usize, context: &Arc<EvaluationContext>) {
    let question = Question { policy: loaded.clone(), known: Known::default() };
    let evaluations = engine.evaluate(vec![question; policies], Arc::clone(context)).await.unwrap();
    for evaluation in evaluations {
        let allowed = matches!(evaluation.outcome, Outcome::Verdict(Verdict::Allow { .. }));
        assert!(allowed, "the policy did not allow: {:?}", evaluation.outcome);
    }
}

fn load(engine: &Engine, settings: &str, snapshot: bool) -> LoadedPolicy {
    let request = LoadRequest {
        name: "read-only".parse().unwrap(),
        component: &policy::component(),
        settings,
        limits: PolicyLimits { wall_us_max: 10_000_000, ..PolicyLimits::NATIVE },
        metered: false,
        without_snapshot: !snapshot,
    };
    let loaded = engine.load_watched(request, &Progress::default(), &Cancel::default()).unwrap();
    assert_eq!(loaded.report().activation == Activation::Snapshot, snapshot);
    loaded
}

/// The first load of a component, the same with other settings, and the same again from the cache.
fn loading(config: &EngineConfig, figures: &mut Figures) {
    let (mut first, mut other, mut cached) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..LOADS {
        let directory = tempfile::tempdir().unwrap();
        let engine = || {
            let key = CacheKey::new(Zeroizing::new([7; 32]));
            let cache = Cache::open(directory.path().join("cache"), key, CACHE_BYTES_MAX).unwrap();
            Engine::with_compiler(*config, Compiler { worker: None, cache: Some(cache) }).unwrap()
        };
        let settings = |n: u64| format!(r#"{{"allow":[{{"actions":["faq.read"],"resource_types":["r{n}"]}}]}}"#);
        let running = engine();
        first.push(timed(1, || drop(load(&running, &settings(round), true))));
        other.push(timed(1, || drop(load(&running, &settings(round + LOADS), true))));
        let restarted = engine();
        cached.push(timed(1, || drop(load(&restarted, &settings(round), true))));
    }
    let (first_us, other_us, cached_us) = (median(first), median(other), median(cached));
    let raw = json!({ "first_us": rounded(first_us), "other_settings_us": rounded(other_us), "loads": LOADS });
    figures.add("engine.reactivate_over_first", other_us / first_us, "ratio", &raw);
    figures.add("engine.load_from_cache", cached_us / 1e3, "ms", &json!({ "loads": LOADS }));
}
