//! What operators see of decisions as they are made: metrics.
//!
//! Nothing here bears on a decision, waits, or can fail.

use std::time::Instant;

use attorn_core::Evaluated;
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
pub(super) fn decided(app: &App, made: &Made, began: Instant) {
    app.metrics.decided(&made.decision, made.context.is_some(), began.elapsed());
}

/// A shadow policy was asked about a decision that was recorded before.
pub(super) fn shadow_evaluated(policy: &ActivePolicy, evaluated: &Evaluated, evaluation: Option<&Evaluation>) {
    one(policy, evaluated, evaluation);
}

fn one(policy: &ActivePolicy, evaluated: &Evaluated, evaluation: Option<&Evaluation>) {
    policy.metrics.evaluated(&evaluated.outcome, evaluation.map(|evaluation| &evaluation.usage));
}
