//! What the engine takes: for an evaluation in a fresh sandbox, for loading a policy, and for many
//! policies and threads. All of it is measured as memories are cleaned on this host, and once more as
//! they are cleaned where pages that were written cannot be scanned for.

mod fresh;
mod hop;
mod loaded;
mod loading;
mod policies;
mod rules;
mod threads;

use std::sync::Arc;

use attorn_artifact::{Cancel, Progress};
use attorn_core::{EvaluationContext, Known, Outcome, PolicyLimits, Verdict};
use attorn_engine::{
    Activation, Engine, EngineConfig, EngineInfo, LoadRequest, LoadedPolicy, MemoryReset, Question, class_of,
};
use serde_json::{Value, json};

use crate::figure::Figures;
use crate::{Length, policy};

pub(crate) use loaded::run as run_loaded;
pub(crate) use threads::run as run_evaluator;

/// Nothing is measured that fails because somebody else took the processor. The CPU time of a thread goes
/// on in a virtual machine while its host runs others.
const PATIENT: PolicyLimits = PolicyLimits { cpu_us_max: 5_000_000, wall_us_max: 10_000_000, ..PolicyLimits::NATIVE };

/// How many policies one request asks where the hop to an evaluator thread is to weigh little.
pub(crate) const TOGETHER: usize = 16;

/// Measure all of it, and print it.
pub(crate) fn measure(length: Length, figures: &mut Figures) {
    let (config, library) = (config(), policies::Library::make(length));
    for config in [config, EngineConfig { pagemap_scan: false, ..config }] {
        let engine = Engine::new(config).unwrap();
        let mut here = Here { figures, info: engine.info(), length, config };
        eprintln!("memories are cleaned by {:?}: {}", here.info.memory_reset, here.info.reason);
        fresh::measure(&engine, &mut here);
        rules::measure(&engine, &mut here);
        threads::measure(&mut here);
        loaded::measure(&library, &mut here);
        if !engine.info().pagemap_scan() {
            break;
        }
    }
    // How memories are cleaned does not bear on compiling.
    loading::measure(&config, length, figures);
}

/// What bare wasmtime takes from a snapshot, in microseconds.
pub(crate) fn floor_us(length: Length) -> f64 {
    fresh::floor_us(&start(), length)
}

/// As a server has it, with time enough.
fn config() -> EngineConfig {
    EngineConfig { request_wall_us_max: 10_000_000, ..EngineConfig::for_host().unwrap() }
}

/// What is measured here, and how.
struct Here<'a> {
    figures: &'a mut Figures,
    info: &'a EngineInfo,
    length: Length,
    config: EngineConfig,
}

impl Here<'_> {
    /// Print one figure. Its name says when memories are not cleaned in the usual way.
    fn add(&mut self, bench: &str, value: f64, unit: &str, raw: Value) {
        let reset = match self.info.memory_reset {
            MemoryReset::PagemapScan { .. } => "pagemap_scan",
            MemoryReset::Discard => "discard",
            MemoryReset::OnDemand => "on_demand",
        };
        let bench =
            if self.config.pagemap_scan { format!("engine.{bench}") } else { format!("engine.{bench}.{reset}") };
        let mut raw = raw;
        raw["reset"] = json!(reset);
        self.figures.add(&bench, value, unit, &raw);
    }
}

/// An engine as a server has it, with time enough.
pub(crate) fn start() -> Engine {
    Engine::new(config()).unwrap()
}

/// Ask policies about a context. All of them have to allow.
pub(crate) async fn evaluate(engine: &Engine, policies: Vec<LoadedPolicy>, context: &Arc<EvaluationContext>) {
    let question = |policy| Question { policy, known: Known::default() };
    let questions = policies.into_iter().map(question).collect();
    for evaluation in engine.evaluate(questions, Arc::clone(context)).await.unwrap() {
        let allowed = matches!(evaluation.outcome, Outcome::Verdict(Verdict::Allow { .. }));
        assert!(allowed, "the policy did not allow: {:?} {:?}", evaluation.outcome, evaluation.failure_detail);
    }
}

/// Load the policy with these settings, to start from a snapshot or with `init` each time.
fn load(engine: &Engine, settings: &str, activation: &Activation) -> LoadedPolicy {
    let request = LoadRequest {
        name: "read-only".parse().unwrap(),
        component: &policy::component(),
        settings,
        limits: PATIENT,
        metered: false,
        without_snapshot: *activation != Activation::Snapshot,
    };
    let loaded = engine.load_watched(request, &Progress::default(), &Cancel::default()).unwrap();
    let started = |activation: &Activation| *activation == Activation::Snapshot;
    assert_eq!(started(&loaded.report().activation), started(activation), "{:?}", loaded.report());
    loaded
}

/// Load a component with these settings, to start from a snapshot, within the memory of its class.
pub(crate) fn load_of(engine: &Engine, name: &str, component: &[u8], settings: &str) -> LoadedPolicy {
    let PolicyLimits { cpu_us_max, wall_us_max, .. } = PATIENT;
    let limits = PolicyLimits { cpu_us_max, wall_us_max, ..PolicyLimits::of_class(class_of(component)) };
    let name = name.parse().unwrap();
    let request = LoadRequest { name, component, settings, limits, metered: false, without_snapshot: false };
    let loaded = engine.load_watched(request, &Progress::default(), &Cancel::default()).unwrap();
    assert_eq!(loaded.report().activation, Activation::Snapshot, "{:?}", loaded.report());
    loaded
}

/// That `init` runs before each `evaluate`.
fn init_each_time() -> Activation {
    Activation::InitEachTime { reason: "it is measured".to_owned() }
}
