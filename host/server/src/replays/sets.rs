//! A set of policies, and what a recorded decision comes to under it.
//!
//! Each decision is taken by itself: facts and counters are what they were when it was made, also where another set
//! would have charged other counters before. What a policy asks for and nobody looked up then is not guessed; only where
//! another policy denies all the same, nothing depends on it.

use std::sync::Arc;

use attorn_api::ProblemCode;
use attorn_api::replays::{Said, SetBase, Undecidable, WantedSet};
use attorn_core::context::Counter;
use attorn_core::reason::HostReason;
use attorn_core::{Again, Digest, Duty, Evaluated, Failure as PolicyFailure, Known, Outcome, PolicyId, Terms, Verdict};
use attorn_engine::{CounterDeclaration, Requirements};
use attorn_store::Key;
use attorn_store::records::{PolicyRecord, PolicyVersionRecord};

use super::read::Decided;
use super::then::Then;
use super::{answer, run};
use crate::active::{ActivePolicy, ActiveSet};
use crate::app::App;
use crate::decisions::digests;
use crate::decisions::evaluate::APPLICABLE_MAX;
use crate::http::call::OperatorCaller;
use crate::http::failure::Failure;
use crate::loads::LoadAsk;
use crate::policies;
use crate::registry::count;

/// How many policies can stand in a set in other versions than those in force.
const WITH_MAX: usize = 16;

/// A set of policies.
pub(super) enum TriedSet {
    /// What was decided then.
    Recorded,
    /// These policies.
    These(Arc<ActiveSet>),
}

/// What a decision comes to.
pub(super) enum Came {
    /// This. The digest tells all of it; none where that was not recorded.
    To(Said, Option<Digest>),
    /// Nobody can say, for the lack of this.
    Unknown(Undecidable, String),
}

impl TriedSet {
    pub(super) async fn of(
        app: &App,
        wire: &WantedSet,
        operator: &OperatorCaller,
        ask: &LoadAsk,
    ) -> Result<Self, Failure> {
        count("policies in `with`", wire.with.len(), 0, WITH_MAX)?;
        if wire.base == SetBase::Recorded {
            if wire.with.is_empty() {
                return Ok(Self::Recorded);
            }
            let detail = "nothing can be changed about what was recorded";
            return Err(Failure::of(ProblemCode::InvalidField, detail).with_help("let the set begin with `active`"));
        }
        let current = app.active.snapshot();
        if wire.with.is_empty() {
            return Ok(Self::These(current));
        }
        // Whoever leaves policies out runs nothing that does not run anyway.
        let runs_others = wire.with.values().any(Option::is_some);
        if runs_others && !operator.duties.contains(&Duty::PolicyAdmin) {
            let detail = "`with` runs versions that are not in force";
            return Err(Failure::of(ProblemCode::MissingDuty, detail).with_help("it needs the duty `policy_admin` too"));
        }
        let mut members = current.policies().to_vec();
        for (id, version) in &wire.with {
            let id: PolicyId = id.parse()?;
            // One that was never pushed is a typing error, and no all-clear.
            app.store.record::<PolicyRecord>(&Key::policy(&id)).await?.ok_or_else(|| no_policy(&id))?;
            members.retain(|policy| policy.record.policy != id);
            let Some(version) = version else { continue };
            let record = app.store.record::<PolicyVersionRecord>(&Key::policy_version(&id, *version)).await?;
            let record = record.ok_or_else(|| policies::no_version(&id, *version))?.value;
            // What cannot be run is said here, and not of every decision.
            if let Err(gone) = run::ready(app, &record, ask).await? {
                return Err(Failure::of(ProblemCode::ComponentRejected, gone.detail));
            }
            members.push(Arc::new(ActivePolicy::new(record, None)));
        }
        Ok(Self::These(Arc::new(ActiveSet::new(current.record.revision, members)?)))
    }

    /// The digest of what is in it.
    pub(super) fn digest(&self) -> Option<String> {
        match self {
            Self::Recorded => None,
            Self::These(set) => Some(set.digest.clone()),
        }
    }

    /// What a decision comes to under it.
    pub(super) async fn decide(
        &self,
        app: &App,
        (decided, then): (&Decided, &Then),
        ask: &LoadAsk,
    ) -> Result<Came, Failure> {
        let Self::These(set) = self else { return Ok(Came::To(decided.said(), then.decision_digest)) };
        match (then.is_what_was_seen, &then.widest) {
            (Some(true), Some(widest)) => under(app, set, (then, widest), ask).await,
            _ => Ok(Came::Unknown(Undecidable::OldRecord, "the record lacks `context_digest` or `bounds`".to_owned())),
        }
    }
}

fn no_policy(id: &PolicyId) -> Failure {
    Failure::not_found("policy", id).with_help("`attorn policy list` lists those that there are")
}

async fn under(app: &App, set: &ActiveSet, (then, widest): (&Then, &Terms), ask: &LoadAsk) -> Result<Came, Failure> {
    let policies = set.about(&then.context);
    if policies.len() > APPLICABLE_MAX {
        return Ok(came(&Again::deny(HostReason::TooManyPolicies)));
    }
    let (mut evaluated, mut looked_up, mut unknown) = (Vec::new(), Vec::new(), None);
    for policy in &policies {
        let outcome = match run::ready(app, &policy.record, ask).await? {
            Err(_) => Outcome::Failed(PolicyFailure::NotRunnable),
            Ok(loaded) => match known(then, &policy.record, loaded.requirements()) {
                Err(lack) => {
                    unknown.get_or_insert(lack);
                    continue;
                }
                Ok(known) => {
                    let evaluation = run::ask(app, &loaded, known.clone(), &then.context, false).await?;
                    looked_up.push((policy.record.policy.clone(), known));
                    evaluation.outcome
                }
            },
        };
        evaluated.push(Evaluated { policy: policy.record.policy.clone(), required: policy.record.required, outcome });
    }
    let denies = |one: &Evaluated| matches!(one.outcome, Outcome::Failed(_) | Outcome::Verdict(Verdict::Deny { .. }));
    match unknown {
        // A deny is one, whatever the others say.
        Some((why, what)) if !evaluated.iter().any(denies) => Ok(Came::Unknown(why, what)),
        Some(_) | None => {
            // What somebody approved under the policies of then counts, as if they had approved it under these.
            let again = Again::decide(&then.context, widest.clone(), &evaluated);
            let again = then.unless_not_asked(again);
            let again = if has_room(then, &again, &looked_up) { again } else { Again::deny(HostReason::LimitExceeded) };
            Ok(came(&again))
        }
    }
}

fn came(again: &Again) -> Came {
    Came::To(answer::said(again.seen()), Some(digests::decision(again.seen())))
}

/// Whether every counter had room for what is charged, as far as anybody saw.
fn has_room(then: &Then, again: &Again, looked_up: &[(PolicyId, Known)]) -> bool {
    again.seen().charges.iter().all(|charge| {
        let of_policy = looked_up.iter().find(|(policy, _)| *policy == charge.policy);
        let mut counters = of_policy.into_iter().flat_map(|(_, known)| &known.counters);
        let seen = counters.find(|counter| counter.name == charge.counter).map_or(0, |counter| counter.used);
        // The commit may have found more than the policies saw.
        let limit = then.limit.as_ref();
        let limit = limit.filter(|limit| (&limit.policy, &limit.counter) == (&charge.policy, &charge.counter));
        let used = limit.map_or(seen, |limit| limit.found.max(seen));
        used.checked_add(charge.amount).is_some_and(|sum| sum <= charge.at_most)
    })
}

/// What a version would have seen, or the first thing that nobody looked up.
fn known(
    then: &Then,
    version: &PolicyVersionRecord,
    requirements: &Requirements,
) -> Result<Known, (Undecidable, String)> {
    let mut known = Known::default();
    for template in &requirements.facts {
        let found = then.fact(template);
        known.facts.push(found.map_err(|name| (Undecidable::FactNotRecorded, name.as_str().to_owned()))?);
    }
    for declared in &requirements.counters {
        let lack = || (Undecidable::CounterNotRecorded, format!("{}/{}", version.policy, declared.name));
        known.counters.push(counter(then, version, declared).ok_or_else(lack)?);
    }
    Ok(known)
}

/// A counter as it stood. All versions of a policy share theirs, if they count for the same and over the same time.
fn counter(then: &Then, version: &PolicyVersionRecord, declared: &CounterDeclaration) -> Option<Counter> {
    if declared.scope.subject(&then.context).is_none() {
        let span = declared.window.around(then.context.time);
        return Some(Counter { name: declared.name.clone(), used: 0, window_start: span.start, window_end: span.end });
    }
    let counts = (digests::scope_name(declared.scope), declared.window.as_str());
    let seen = then.policy(&version.policy)?.counters.iter().find(|seen| {
        let counted = seen.counts.as_ref().map(|(scope, window)| (scope.as_str(), window.as_str()));
        seen.counter.name == declared.name && counted == Some(counts)
    });
    seen.map(|seen| seen.counter.clone())
}
