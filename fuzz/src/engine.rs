//! The engine: bytes that may be a component, and answers that may be a verdict.

use std::sync::{Arc, LazyLock};

use attorn_core::{EvaluationContext, Known, Outcome, PolicyLimits};
use attorn_engine::{Engine, EngineConfig, LoadError, LoadedPolicy, Question};
use attorn_hostile::kit::{Guest, context};
use tokio::runtime::Runtime;

/// Time enough for slow machines, and little enough for many tries.
const LIMITS: PolicyLimits = PolicyLimits { cpu_us_max: 20_000, wall_us_max: 1_000_000, ..PolicyLimits::NATIVE };

/// How many bytes of static data stand for an answer.
const ANSWER_BYTES: usize = 1_024;

static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let config = EngineConfig { request_wall_us_max: 10_000_000, ..EngineConfig::for_host().unwrap() };
    Engine::new(config).unwrap()
});
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| tokio::runtime::Builder::new_current_thread().build().unwrap());

/// A component, as it comes. Loading it ends in a policy or in an error that names its step; a policy
/// that was loaded can be asked.
pub fn loader(bytes: &[u8]) {
    match load(bytes) {
        Ok(policy) => drop(ask(policy)),
        Err(error) => clean(&error),
    }
}

/// What a policy answers: the first byte says to which question, the rest are the bytes of its answer
/// and of all that it points at.
pub fn values(bytes: &[u8]) {
    let Some((question, answer)) = bytes.split_first() else { return };
    let mut guest = Guest::new();
    let body = guest.leaving(|_| vec![0; ANSWER_BYTES]);
    match question % 3 {
        0 => guest.describe = body,
        1 => guest.init = body,
        _ => guest.evaluate = body,
    }
    guest.image.overwrite_end(answer, ANSWER_BYTES);
    loader(&guest.build());
}

pub(crate) fn load(bytes: &[u8]) -> Result<LoadedPolicy, LoadError> {
    ENGINE.load("fuzz".parse().unwrap(), bytes, "{}", LIMITS)
}

fn clean(error: &LoadError) {
    let text = error.to_string();
    assert!(text.len() < 4_096, "{text}");
    assert!(!text.contains("panicked"), "{text}");
    assert!(text.chars().all(|c| !c.is_control() || c == '\n'), "{text:?}");
}

/// What a policy comes to. Whatever it does, the engine stays whole.
pub(crate) fn ask(policy: LoadedPolicy) -> Outcome {
    let context: Arc<EvaluationContext> = context();
    let question = Question { policy, known: Known::default() };
    let mut evaluations = RUNTIME.block_on(ENGINE.evaluate(vec![question], context)).unwrap();
    assert_eq!(evaluations.len(), 1);
    let evaluation = evaluations.remove(0);
    let detail = evaluation.failure_detail.as_deref().unwrap_or_default();
    assert!(detail.len() <= 1_024 && !detail.contains("engine panicked"), "{detail}");
    evaluation.outcome
}
