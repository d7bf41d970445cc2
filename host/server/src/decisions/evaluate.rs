//! Asking the policies: what each says, and what it comes to.

use std::sync::Arc;

use attorn_core::context::AuthenticationMethod;
use attorn_core::{Evaluated, EvaluationContext, Failure as PolicyFailure, Outcome, WithinBounds};
use attorn_engine::Evaluation;

use super::gather::Ground;
use super::record::{Asked, Made};
use crate::active::ActivePolicy;
use crate::app::App;
use crate::http::failure::Failure;

/// Ask all policies in force whose selector matches, and decide.
pub(super) async fn decide(app: &App, ground: &Ground, within: &WithinBounds<'_>) -> Result<Made, Failure> {
    let context = Arc::new(EvaluationContext::of_decision(within, AuthenticationMethod::Dpop));
    let policies = ground.active.applicable(within.agent(), within.request());
    let loaded: Vec<_> = policies.iter().filter_map(|policy| policy.loaded.clone()).collect();
    // When one of them cannot run, the answer is a deny whatever the others say.
    let evaluations = if loaded.len() == policies.len() && !loaded.is_empty() {
        app.engine.evaluate(loaded, Arc::clone(&context)).await?
    } else {
        Vec::new()
    };
    let mut evaluations = evaluations.into_iter();
    let asked: Vec<Asked> = policies
        .into_iter()
        .map(|policy| {
            let evaluation = evaluations.next();
            Asked { evaluated: evaluated(&policy, evaluation.as_ref()), policy, evaluation }
        })
        .collect();
    let all: Vec<Evaluated> = asked.iter().map(|one| one.evaluated.clone()).collect();
    Ok(Made { now: within.now(), decision: attorn_core::decide(within, &all), asked, context: Some(context) })
}

fn evaluated(policy: &ActivePolicy, evaluation: Option<&Evaluation>) -> Evaluated {
    let outcome =
        evaluation.map_or(Outcome::Failed(PolicyFailure::NotRunnable), |evaluation| evaluation.outcome.clone());
    Evaluated { policy: policy.record.policy.clone(), required: policy.record.required, outcome }
}
