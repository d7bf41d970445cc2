//! Evaluations: ours in a fresh sandbox against bare wasmtime doing the same work.

use std::sync::Arc;
use std::time::Instant;

use attorn_core::{EvaluationContext, Known, Outcome, PolicyLimits, Verdict};
use attorn_engine::{Engine, EngineConfig, LoadedPolicy, Question};
use serde_json::json;

use crate::figure::{Figures, float, median, rounded};
use crate::floor::Floor;
use crate::{Length, policy};

/// Measure, print if `shown`, and give what bare wasmtime takes, in microseconds.
///
/// Batches of the two take turns, so that whatever else the machine does hits both.
pub(crate) fn measure(length: Length, shown: bool, figures: &mut Figures) -> f64 {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let config = EngineConfig::for_host().unwrap();
    let engine = Engine::new(config).unwrap();
    let floor = Floor::new(&config, engine.info(), &policy::component(), &policy::settings());
    let loaded =
        engine.load("read-only".parse().unwrap(), &policy::component(), &policy::settings(), PolicyLimits::NATIVE);
    let (loaded, context) = (loaded.unwrap(), Arc::new(policy::context()));
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for batch in 0..=length.engine_batches {
        let one = timed(length, || runtime.block_on(evaluate(&engine, &loaded, &context)));
        let other = timed(length, || floor.evaluate(&context));
        // The first of each warms up.
        if batch > 0 {
            ours.push(one);
            bare.push(other);
        }
    }
    let (ours_us, floor_us) = (median(ours), median(bare));
    if shown {
        let raw = json!({
            "ours_us": rounded(ours_us),
            "floor_us": rounded(floor_us),
            "batches": length.engine_batches,
            "evaluations_per_batch": length.engine_evaluations,
        });
        figures.add("engine.fresh_over_floor_init", ours_us / floor_us, "ratio", &raw);
    }
    floor_us
}

/// Microseconds of one evaluation, over a batch of them.
fn timed(length: Length, mut evaluate: impl FnMut()) -> f64 {
    let started = Instant::now();
    for _ in 0..length.engine_evaluations {
        evaluate();
    }
    started.elapsed().as_secs_f64() * 1e6 / float(length.engine_evaluations as u64)
}

async fn evaluate(engine: &Engine, loaded: &LoadedPolicy, context: &Arc<EvaluationContext>) {
    let question = Question { policy: loaded.clone(), known: Known::default() };
    let evaluations = engine.evaluate(vec![question], Arc::clone(context)).await.unwrap();
    let allowed = matches!(evaluations[0].outcome, Outcome::Verdict(Verdict::Allow { .. }));
    assert!(allowed, "the policy did not allow: {:?}", evaluations[0].outcome);
}
