//! Asking the policies: what each says, and what it comes to.

use std::sync::Arc;

use attorn_api::audit::EntryType;
use attorn_core::context::Phase;
use attorn_core::reason::HostReason;
use attorn_core::{
    AgentId, Decision, DecisionId, Denied, Evaluated, EvaluationContext, Failure as PolicyFailure, Met, Outcome,
    WithinBounds,
};
use attorn_engine::{Evaluation, Question};
use attorn_store::Batch;
use serde_json::json;

use super::ask::Ask;
use super::gather::Ground;
use super::known;
use super::record::{AskedPolicy, Made, RECORD_BYTES_MAX};
use crate::active::ActivePolicy;
use crate::app::App;
use crate::approvals::seek::{Scene, seek};
use crate::approvals::step::{self, Part};
use crate::entry;
use crate::http::failure::Failure;

/// The most policies that one decision asks: its record has to hold what each of them said.
pub(crate) const APPLICABLE_MAX: usize = 64;

/// Ask all policies in force whose selector matches, and decide. What was approved counts, and where it is not enough,
/// an approval is to be asked for.
pub(super) async fn decide(
    app: &App,
    (ask, ground): (&Ask, &Ground),
    within: &WithinBounds<'_>,
    decision: DecisionId,
) -> Result<Made, Failure> {
    let policies = ground.active.applicable(within);
    let scene = Scene { within, chain: ground.chain.as_ref(), credential: ground.credential.as_ref() };
    let mut sought = seek(app, scene, &policies).await?;
    let context = |met: &Met| {
        let context = EvaluationContext::of_request(within, ask.method, Phase::Decide, ground.credential.clone());
        Arc::new(context.approved(met))
    };
    let seen = context(&sought.met);
    let mut made = among(app, policies.clone(), (within, &sought.met), seen).await?;
    if sought.is_outgrown_by(&made.decision) {
        // Then it is decided as if nobody had said yes: so nothing but what is recorded says why it came out as it did.
        sought.met = Met::nothing();
        made = among(app, policies, (within, &sought.met), context(&sought.met)).await?;
    }
    step::take(app, scene, &mut made, (sought, decision)).await?;
    Ok(made)
}

/// Ask these policies, and decide by what they say and what was approved.
pub(crate) async fn among(
    app: &App,
    policies: Vec<Arc<ActivePolicy>>,
    (within, met): (&WithinBounds<'_>, &Met),
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
    // What is tried is asked whatever it costs, and counts against nobody.
    let counts = context.phase == Phase::Decide;
    let agent = &within.agent().id;
    let paused = |policy: &ActivePolicy| counts && app.pauses.until(policy, agent, within.now()).is_some();
    let asked: Vec<_> = policies.into_iter().map(|policy| (paused(&policy), policy)).collect();
    let questions = asked.iter().zip(&looked_up.known).filter_map(|((paused, policy), known)| {
        let loaded = policy.loaded.as_ref().filter(|_| !paused)?;
        Some(Question { policy: loaded.clone(), known: known.clone() })
    });
    let mut evaluations = app.engine.evaluate(questions.collect(), Arc::clone(&context)).await?.into_iter();
    let asked = asked.into_iter().map(|(paused, policy)| {
        let evaluation = if paused || policy.loaded.is_none() { None } else { evaluations.next() };
        let outcome = paused.then_some(Outcome::Failed(PolicyFailure::Paused));
        let evaluated = match outcome {
            Some(outcome) => Evaluated { outcome, ..evaluated(&policy, None) },
            None => evaluated(&policy, evaluation.as_ref()),
        };
        AskedPolicy { policy, evaluated, evaluation }
    });
    let asked: Vec<AskedPolicy> = asked.collect();
    if counts {
        pause(app, agent, &asked).await?;
    }
    let all: Vec<Evaluated> = asked.iter().map(|one| one.evaluated.clone()).collect();
    let decision = attorn_core::decide(within, met, &all);
    let engine = Some(app.engine.configuration());
    let approval = Part::default();
    Ok(Made { now: within.now(), decision, limit: None, asked, context: Some(context), looked_up, engine, approval })
}

/// Keep account of what ran out of time, and say in the log which policies are not asked for a while.
async fn pause(app: &App, agent: &AgentId, asked: &[AskedPolicy]) -> Result<(), Failure> {
    for AskedPolicy { policy, evaluation, .. } in asked {
        let Some(evaluation) = evaluation else { continue };
        let now = app.clock.now();
        let Some(until) = app.pauses.observe(policy, agent, evaluation, now) else { continue };
        let (id, version) = (policy.record.policy.as_str(), policy.record.version);
        tracing::warn!(policy = id, version, %agent, %until, "a policy ran out of time again and again and is not asked");
        let mut batch = Batch::new(now);
        let about = json!({ "policy": id, "version": version, "digest": policy.digest, "agent": agent.as_str(),
            "until_ms": until.0 });
        batch.entries.push(entry::body(now, EntryType::PolicyPaused, about)?);
        app.store.commit(batch).await?;
    }
    Ok(())
}

/// What came of asking one policy.
pub(super) fn evaluated(policy: &ActivePolicy, evaluation: Option<&Evaluation>) -> Evaluated {
    let outcome =
        evaluation.map_or(Outcome::Failed(PolicyFailure::NotRunnable), |evaluation| evaluation.outcome.clone());
    Evaluated { policy: policy.record.policy.clone(), required: policy.record.required, outcome }
}
