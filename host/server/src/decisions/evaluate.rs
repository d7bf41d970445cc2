//! Asking the policies: what each says, and what it comes to.

use std::sync::Arc;

use attorn_core::context::{AuthenticationMethod, Phase};
use attorn_core::reason::HostReason;
use attorn_core::{Decision, Denied, Evaluated, EvaluationContext, Failure as PolicyFailure, Outcome, WithinBounds};
use attorn_engine::{Evaluation, Question};

use super::gather::Ground;
use super::known;
use super::record::{Asked, Made, RECORD_BYTES_MAX};
use crate::active::ActivePolicy;
use crate::app::App;
use crate::http::failure::Failure;

/// The most policies that one decision asks: its record has to hold what each of them said.
const APPLICABLE_MAX: usize = 64;

/// Ask all policies in force whose selector matches, and decide.
pub(super) async fn decide(app: &App, ground: &Ground, within: &WithinBounds<'_>) -> Result<Made, Failure> {
    let context = EvaluationContext::of_request(within, AuthenticationMethod::Dpop, Phase::Decide);
    among(app, ground.active.applicable(within), within, Arc::new(context)).await
}

/// Ask these policies, and decide.
pub(crate) async fn among(
    app: &App,
    policies: Vec<Arc<ActivePolicy>>,
    within: &WithinBounds<'_>,
    context: Arc<EvaluationContext>,
) -> Result<Made, Failure> {
    if policies.len() > APPLICABLE_MAX {
        let denied = Denied::by_host(HostReason::TooManyPolicies);
        return Ok(Made::by_bounds(within.now(), Decision::Deny(denied)));
    }
    let Ok(looked_up) = known::look_up(app, &policies, &context, RECORD_BYTES_MAX).await? else {
        let denied = Denied::by_host(HostReason::TooManyFacts);
        return Ok(Made::by_bounds(within.now(), Decision::Deny(denied)));
    };
    let loaded: Vec<_> = policies
        .iter()
        .zip(&looked_up.known)
        .filter_map(|(policy, known)| Some(Question { policy: policy.loaded.clone()?, known: known.clone() }))
        .collect();
    let mut evaluations = app.engine.evaluate(loaded, Arc::clone(&context)).await?.into_iter();
    let asked: Vec<Asked> = policies
        .into_iter()
        .map(|policy| {
            let evaluation = if policy.loaded.is_some() { evaluations.next() } else { None };
            Asked { evaluated: evaluated(&policy, evaluation.as_ref()), policy, evaluation }
        })
        .collect();
    let all: Vec<Evaluated> = asked.iter().map(|one| one.evaluated.clone()).collect();
    let decision = attorn_core::decide(within, &all);
    Ok(Made { now: within.now(), decision, asked, context: Some(context), looked_up })
}

/// What came of asking one policy.
pub(super) fn evaluated(policy: &ActivePolicy, evaluation: Option<&Evaluation>) -> Evaluated {
    let outcome =
        evaluation.map_or(Outcome::Failed(PolicyFailure::NotRunnable), |evaluation| evaluation.outcome.clone());
    Evaluated { policy: policy.record.policy.clone(), required: policy.record.required, outcome }
}
