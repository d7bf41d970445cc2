//! Engines, contexts and limits for the tests. The components are made by `attorn_hostile::kit`.

use std::sync::Arc;

use attorn_core::context::{AuthenticationMethod, Caller, EvaluationContext, Phase};
use attorn_core::{Agent, AgentState, Ceiling, Digest, JsonText, Known, PolicyId, PolicyLimits, Request, TimeMs};
use attorn_engine::{Engine, EngineConfig, Evaluation, LoadError, LoadedPolicy, Question};
pub(crate) use attorn_hostile::kit::{Guest, Image, LOOP, MEMORY_BOMB, words};

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

/// Some context.
pub(crate) fn context() -> Arc<EvaluationContext> {
    let digest = Digest::from_bytes([7; 32]);
    let object = JsonText::from_canonical("{}");
    Arc::new(EvaluationContext {
        phase: Phase::Decide,
        time: TimeMs(1_767_323_045_678),
        caller: Caller { method: AuthenticationMethod::Dpop, key_thumbprint: "k".repeat(43).parse().unwrap() },
        instance: "pod-1".parse().unwrap(),
        agent: Agent {
            id: "support-bot".parse().unwrap(),
            owner: "team@example.com".parse().unwrap(),
            labels: [("env".parse().unwrap(), "prod".to_owned())].into(),
            state: AgentState::Active,
            ceiling: Ceiling::default(),
            grant_ms_max: 60_000,
            keys: Vec::new(),
        },
        request: Request {
            action: "account.read".parse().unwrap(),
            resource: "account/42".parse().unwrap(),
            purpose: "support".parse().unwrap(),
            session: None,
            arguments: object.clone(),
            arguments_digest: digest,
            claims: object,
        },
        user: None,
        delegations: Vec::new(),
    })
}
