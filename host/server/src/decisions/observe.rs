//! What operators see of decisions as they are made: metrics, traces, and what policies wrote to their logs.
//!
//! Nothing here bears on a decision or can fail, and it waits for no more than a look whether a user is still there, where
//! a policy wrote something about one. Traces name policies, versions and outcomes; never what agents sent, nor what
//! policies wrote.

use std::time::{Duration, Instant};

use attorn_core::{DecisionId, Evaluated};
use attorn_engine::Evaluation;
use attorn_store::Key;

use super::record::{AskedPolicy, Made, kind, outcome};
use crate::active::ActivePolicy;
use crate::app::App;

/// Policies were asked; what they were asked about may still be decided anew.
pub(super) fn evaluated(made: &Made) {
    for AskedPolicy { policy, evaluated, evaluation } in &made.asked {
        one(policy, evaluated, evaluation.as_ref());
    }
}

/// A decision was recorded.
pub(super) async fn decided(app: &App, made: &Made, decision: DecisionId, began: Instant) {
    let took = began.elapsed();
    app.metrics.decided(&made.decision, made.context.is_some(), took);
    tracing::debug!(decision = kind(&made.decision), took_us = micros(took), "decided");
    for AskedPolicy { policy, evaluation, .. } in &made.asked {
        keep_log(app, made, policy, evaluation.as_ref(), decision).await;
    }
}

/// A shadow policy was asked about a decision that was recorded before.
pub(super) async fn shadow_evaluated(
    app: &App,
    (made, decision): (&Made, DecisionId),
    policy: &ActivePolicy,
    (evaluated, evaluation): (&Evaluated, Option<&Evaluation>),
) {
    tracing::debug_span!("shadow", decision_id = %decision).in_scope(|| one(policy, evaluated, evaluation));
    keep_log(app, made, policy, evaluation, decision).await;
}

fn one(policy: &ActivePolicy, evaluated: &Evaluated, evaluation: Option<&Evaluation>) {
    let usage = evaluation.map(|evaluation| &evaluation.usage);
    policy.metrics.evaluated(&evaluated.outcome, usage);
    // What stands in here is made only where somebody listens.
    tracing::debug!(
        policy = policy.record.policy.as_str(),
        version = policy.record.version,
        outcome = outcome(&evaluated.outcome),
        cpu_us = usage.map(|usage| usage.cpu_us),
        "evaluated"
    );
}

fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}

async fn keep_log(
    app: &App,
    made: &Made,
    policy: &ActivePolicy,
    evaluation: Option<&Evaluation>,
    decision: DecisionId,
) {
    let Some(Evaluation { log, .. }) = evaluation.filter(|evaluation| !evaluation.log.is_empty()) else { return };
    let which = (&policy.record.policy, policy.record.version);
    let user = made.context.as_ref().and_then(|context| context.user.as_ref()).map(|user| &user.id);
    let writing = match user {
        None => None,
        Some(user) => {
            let writing = app.policy_logs.writing().await;
            // Erased since the decision was made; or nobody can say.
            if !matches!(app.store.get(&Key::user(user)).await, Ok(Some(_))) {
                return;
            }
            Some(writing)
        }
    };
    app.policy_logs.keep(made.now, which, (decision, user), log);
    drop(writing);
}
