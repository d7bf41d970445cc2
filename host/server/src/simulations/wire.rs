//! Simulations on the wire: everything is shown, also what no agent is.

use attorn_api::audit::EntryReference;
use attorn_api::decisions::{ActiveSetReference, ApprovalRequirement, DecisionKind, Reason};
use attorn_api::policies::Mode;
use attorn_api::simulations as api;
use attorn_core::context::{Counter, Fact};
use attorn_core::counter::COUNT_MAX;
use attorn_core::reason::HostReason;
use attorn_core::{
    Debit, Decision, DecisionReason, FactName, JsonText, Known, Obligation, Outcome, PolicyMode, Terms, Verdict,
    WithinBounds, verdict,
};
use attorn_engine::{Evaluation, LogLine};

use super::{Shadow, Trial, Tried};
use crate::active::ActivePolicy;
use crate::decisions::record::{AskedPolicy, outcome, reasons};

/// How many policies that are not asked are named.
const NOT_ASKED_MAX: usize = 200;

pub(super) fn simulation(trial: &Trial, tried: Tried, entry: EntryReference) -> api::Simulation {
    let Tried { made, fuel, shadows, mut not_asked } = tried;
    let (approvers, terms) = match &made.decision {
        Decision::Allow(allowed) => (Vec::new(), Some(self::terms(allowed.terms()))),
        Decision::Challenge(challenged) => (approvers_of(&challenged.approvers), Some(self::terms(&challenged.terms))),
        Decision::Deny(_) => (Vec::new(), None),
    };
    let asked = made.asked.iter().zip(&made.looked_up.known).zip(fuel);
    let asked = asked.map(|((asked, known), fuel)| policy(asked, known, fuel, None));
    let in_force = &trial.in_force;
    let not_asked_count = not_asked.len() as u64;
    not_asked.truncate(NOT_ASKED_MAX);
    api::Simulation {
        decision: decision_kind(&made.decision),
        reasons: reasons(&made.decision).iter().map(reason).collect(),
        approvers,
        terms,
        policies: asked.chain(shadows.iter().filter_map(shadow)).collect(),
        not_asked,
        not_asked_count,
        active_set: ActiveSetReference { revision: in_force.record.revision, digest: in_force.digest.clone() },
        tried_set_digest: trial.tried_set_digest().map(str::to_owned),
        entry,
    }
}

/// Why a policy is not asked; none if it is.
pub(super) fn not_asked(policy: &ActivePolicy, within: &WithinBounds<'_>) -> Option<api::NotAsked> {
    let sides = policy.record.selector.mismatches(within.agent(), within.request(), within.user());
    let because_of: Vec<String> = sides.map(|side| side.as_str().to_owned()).collect();
    let (id, version) = (policy.record.policy.to_string(), policy.record.version);
    (!because_of.is_empty()).then_some(api::NotAsked { policy: id, version, because_of })
}

fn shadow(shadow: &Shadow) -> Option<api::SimulatedPolicy> {
    let (asked, known) = (shadow.alone.asked.first()?, shadow.alone.looked_up.known.first()?);
    Some(policy(asked, known, shadow.fuel, Some(decision_kind(&shadow.would))))
}

fn policy(asked: &AskedPolicy, known: &Known, fuel: Option<u64>, would: Option<DecisionKind>) -> api::SimulatedPolicy {
    let (record, said) = (&asked.policy.record, &asked.evaluated.outcome);
    let usage = asked.evaluation.as_ref().map(|evaluation| evaluation.usage).unwrap_or_default();
    let (reasons, approvers, terms) = match said {
        Outcome::Verdict(Verdict::Allow { terms, reasons }) => (reasons.as_slice(), Vec::new(), Some(terms)),
        Outcome::Verdict(Verdict::Challenge { approvers, terms, reason }) => {
            (std::slice::from_ref(reason), approvers_of(approvers), Some(terms))
        }
        Outcome::Verdict(Verdict::Deny { reasons }) => (reasons.as_slice(), Vec::new(), None),
        Outcome::Verdict(Verdict::Abstain) | Outcome::Failed(_) => (&[][..], Vec::new(), None),
    };
    let log = asked.evaluation.iter().flat_map(|evaluation: &Evaluation| &evaluation.log);
    api::SimulatedPolicy {
        policy: record.policy.to_string(),
        version: record.version,
        digest: asked.policy.digest.clone(),
        mode: match record.mode {
            PolicyMode::Enforce => Mode::Enforce,
            PolicyMode::Shadow => Mode::Shadow,
        },
        required: record.required,
        outcome: outcome(said),
        reasons: reasons.iter().map(|reason| policy_reason(reason, None)).collect(),
        approvers,
        terms: terms.map(self::terms),
        failure_detail: asked.evaluation.as_ref().and_then(|evaluation| evaluation.failure_detail.clone()),
        would,
        facts: known.facts.iter().map(fact).collect(),
        counters: known.counters.iter().map(counter).collect(),
        fuel,
        cpu_us: usage.cpu_us,
        wall_us: usage.wall_us,
        memory_bytes: usage.memory_bytes,
        log: log.map(line).collect(),
        log_cut: usage.log_dropped,
    }
}

const fn decision_kind(decision: &Decision) -> DecisionKind {
    match decision {
        Decision::Allow(_) => DecisionKind::Allow,
        Decision::Challenge(_) => DecisionKind::Challenge,
        Decision::Deny(_) => DecisionKind::Deny,
    }
}

fn reason(reason: &DecisionReason) -> Reason {
    let host = |reason: HostReason| (reason.code().to_owned(), reason.text().to_owned());
    match reason {
        DecisionReason::Host(reason) => {
            let (code, text) = host(*reason);
            Reason { code, text, policy: None }
        }
        DecisionReason::Policy { policy, reason } => policy_reason(reason, Some(policy.to_string())),
        DecisionReason::Failed { policy, failure } => {
            let (code, text) = host(HostReason::PolicyFailed);
            Reason { code, text: format!("{text}: {}", failure.as_str()), policy: Some(policy.to_string()) }
        }
    }
}

fn policy_reason(reason: &verdict::Reason, policy: Option<String>) -> Reason {
    Reason { code: reason.code.to_string(), text: reason.text.clone(), policy }
}

fn approvers_of(approvers: &[verdict::ApprovalRequirement]) -> Vec<ApprovalRequirement> {
    approvers.iter().map(|one| ApprovalRequirement { role: one.role.to_string(), count: one.count }).collect()
}

fn terms(terms: &Terms) -> api::Terms {
    let debit = |debit: &Debit| api::Debit {
        policy: debit.policy.to_string(),
        counter: debit.counter.to_string(),
        amount: debit.amount.to_string(),
        at_most: debit.at_most.to_string(),
    };
    let obligation =
        |one: &Obligation| api::Obligation { kind: one.kind.to_string(), parameters: value(&one.parameters) };
    api::Terms {
        // A policy that sets no limit has the largest number, which many readers of JSON would change.
        grant_ms_max: Some(terms.grant_ms_max).filter(|ms| *ms <= COUNT_MAX),
        uses_max: terms.uses_max,
        debits: terms.debits.iter().map(debit).collect(),
        obligations: terms.obligations.iter().map(obligation).collect(),
    }
}

fn fact(fact: &Fact) -> api::SimulatedFact {
    api::SimulatedFact {
        template: fact.template.as_str().to_owned(),
        name: fact.name.as_ref().map(FactName::as_str).map(str::to_owned),
        value: fact.value.as_ref().map(value),
    }
}

fn counter(counter: &Counter) -> api::SimulatedCounter {
    api::SimulatedCounter {
        name: counter.name.to_string(),
        used: counter.used.to_string(),
        window_end_ms: counter.window_end.map(|end| end.0),
    }
}

fn line(line: &LogLine) -> api::LogLine {
    api::LogLine { level: line.level.as_str().to_owned(), message: line.message.clone() }
}

/// A canonical text as a part of an answer.
fn value(text: &JsonText) -> serde_json::Value {
    serde_json::from_str(text.as_str()).unwrap_or_else(|_| text.as_str().into())
}
