//! Engines, contexts and limits for the tests. The components are made by `attorn_hostile::kit`.

use attorn_core::{Known, PolicyId, PolicyLimits};
use attorn_engine::{Engine, EngineConfig, Evaluation, LoadError, LoadedPolicy, Question};
pub(crate) use attorn_hostile::kit::{Guest, Image, LOOP, MEMORY_BOMB, context, words};

/// Limits under which no slow machine makes an honest policy fail.
pub(crate) const PATIENT: PolicyLimits = PolicyLimits { wall_us_max: 10_000_000, ..PolicyLimits::NATIVE };

/// A field whose presence keeps a snapshot from being taken.
pub(crate) const NO_SNAPSHOT: &str =
    "(table $written 1 funcref) (func (table.set $written (i32.const 0) (ref.null func)))";

/// A configuration for tests: two threads, and time enough for slow machines.
pub(crate) fn config() -> EngineConfig {
    EngineConfig { evaluator_threads: 2, request_wall_us_max: 60_000_000, ..EngineConfig::for_host().unwrap() }
}

/// An engine of this configuration.
pub(crate) fn engine() -> Engine {
    Engine::new(config()).unwrap()
}

/// Load a guest without settings.
pub(crate) fn load(engine: &Engine, guest: &Guest, limits: PolicyLimits) -> Result<LoadedPolicy, LoadError> {
    load_bytes(engine, &guest.build(), limits)
}

/// Load whatever bytes.
pub(crate) fn load_bytes(engine: &Engine, bytes: &[u8], limits: PolicyLimits) -> Result<LoadedPolicy, LoadError> {
    let name: PolicyId = "kit".parse().unwrap();
    engine.load(name, bytes, "{}", limits)
}

/// Load and evaluate one guest.
pub(crate) async fn evaluate(guest: &Guest, limits: PolicyLimits) -> Evaluation {
    let engine = engine();
    let policy = load(&engine, guest, limits).unwrap();
    engine.evaluate(asked(vec![policy]), context()).await.unwrap().pop().unwrap()
}

/// Questions to policies for which nothing was looked up.
pub(crate) fn asked(policies: Vec<LoadedPolicy>) -> Vec<Question> {
    policies.into_iter().map(|policy| Question { policy, known: Known::default() }).collect()
}
