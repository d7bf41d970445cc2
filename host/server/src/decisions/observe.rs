//! What operators see of decisions as they are made: metrics, and what policies wrote to their logs.
//!
//! Nothing here bears on a decision, waits, or can fail.

use std::time::Instant;

use attorn_core::{DecisionId, Evaluated, TimeMs};
use attorn_engine::Evaluation;

use super::record::{Asked, Made};
use crate::active::ActivePolicy;
use crate::app::App;

/// Policies were asked; what they were asked about may still be decided anew.
pub(super) fn evaluated(made: &Made) {
    for Asked { policy, evaluated, evaluation } in &made.asked {
        one(policy, evaluated, evaluation.as_ref());
    }
}

/// A decision was recorded.
pub(super) fn decided(app: &App, made: &Made, decision: DecisionId, began: Instant) {
    app.metrics.decided(&made.decision, made.context.is_some(), began.elapsed());
    for Asked { policy, evaluation, .. } in &made.asked {
        keep_log(app, made.now, policy, evaluation.as_ref(), decision);
    }
}

/// A shadow policy was asked about a decision that was recorded before.
pub(super) fn shadow_evaluated(
    app: &App,
    (made, decision): (&Made, DecisionId),
    policy: &ActivePolicy,
    (evaluated, evaluation): (&Evaluated, Option<&Evaluation>),
) {
    one(policy, evaluated, evaluation);
    keep_log(app, made.now, policy, evaluation, decision);
}

fn one(policy: &ActivePolicy, evaluated: &Evaluated, evaluation: Option<&Evaluation>) {
    policy.metrics.evaluated(&evaluated.outcome, evaluation.map(|evaluation| &evaluation.usage));
}

fn keep_log(app: &App, now: TimeMs, policy: &ActivePolicy, evaluation: Option<&Evaluation>, decision: DecisionId) {
    if let Some(evaluation) = evaluation {
        let which = (&policy.record.policy, policy.record.version);
        app.policy_logs.keep(now, which, decision, &evaluation.log);
    }
}
