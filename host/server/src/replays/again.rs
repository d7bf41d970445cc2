//! Deciding again what was decided: each policy that was asked, with what it saw, and what all of them come to.

use attorn_api::replays::{Comparison, Engine, Missing, ReplayedPolicy, Said};
use attorn_core::reason::HostReason;
use attorn_core::{Again, Evaluated, Failure as PolicyFailure, Outcome};
use serde_json::Value;

use super::read::{Decided, Read};
use super::then::{Limit, PolicyThen, Then};
use super::{answer, run};
use crate::app::App;
use crate::decisions::{digests, record};
use crate::http::failure::Failure;
use crate::loads::LoadAsk;

/// What came of deciding again.
pub(super) struct Replayed {
    pub(super) comparison: Comparison,
    pub(super) said: Option<Said>,
    pub(super) policies: Vec<ReplayedPolicy>,
    pub(super) missing: Vec<Missing>,
    pub(super) engine: Option<Engine>,
}

/// One policy that was asked again.
struct AskedAgain {
    shown: ReplayedPolicy,
    /// None if it could not be run.
    evaluated: Option<Evaluated>,
    missing: Vec<Missing>,
}

/// Decide it again.
pub(super) async fn of(app: &App, decided: &Decided, ask: &LoadAsk) -> Result<Replayed, Failure> {
    let (comparison, missing) = match &decided.record {
        Read::Asked(then) => return asked_again(app, then, ask).await,
        Read::Bound | Read::TooMuch => (Comparison::NotRun, Vec::new()),
        Read::Erased => (Comparison::Missing, vec![erased()]),
        Read::Altered(how) => (Comparison::Altered, vec![missing("record", format!("it was altered: {how}"))]),
        Read::Missing(what) => (Comparison::Missing, vec![missing("record", what.clone())]),
        Read::Damaged(what) => (Comparison::Altered, vec![missing("record", format!("it was altered: {what}"))]),
    };
    // What the entry has of each can be told all the same, and whether the version is still there.
    let mut policies = Vec::new();
    for policy in decided.body["policies"].as_array().into_iter().flatten() {
        policies.push(from_entry(app, policy).await?);
    }
    Ok(Replayed { comparison, said: None, policies, missing, engine: None })
}

fn erased() -> Missing {
    let detail = "the user was erased, and with them what the policies saw; the entry still says what each of them \
                  said and what it came to, and its receipt is good";
    missing("record", detail.to_owned())
}

fn missing(what: &str, detail: String) -> Missing {
    Missing { what: what.to_owned(), detail }
}

/// A policy whose decision has no record any more.
async fn from_entry(app: &App, entry: &Value) -> Result<ReplayedPolicy, Failure> {
    let text = |member: &str| entry[member].as_str().unwrap_or_default().to_owned();
    let version = entry["version"].as_u64().and_then(|version| u32::try_from(version).ok()).unwrap_or_default();
    let (id, digest) = (text("policy").parse()?, text("digest"));
    let detail = match run::version(app, (&id, version, &digest)).await? {
        Ok(_) => "its version is kept, and what it saw is not".to_owned(),
        Err(gone) => gone.detail,
    };
    Ok(ReplayedPolicy {
        policy: id.to_string(),
        version,
        digest,
        comparison: Comparison::Missing,
        recorded: text("outcome"),
        replayed: None,
        detail: Some(detail),
        cpu_us: 0,
    })
}

async fn asked_again(app: &App, then: &Then, ask: &LoadAsk) -> Result<Replayed, Failure> {
    let (mut policies, mut evaluated, mut lacking) = (Vec::new(), Vec::new(), not_recorded(then));
    for policy in &then.policies {
        let mut asked = one(app, then, policy, ask).await?;
        lacking.append(&mut asked.missing);
        evaluated.extend(asked.evaluated);
        policies.push(asked.shown);
    }
    let whole = evaluated.len() == then.policies.len();
    let again = match &then.widest {
        Some(widest) if whole => {
            let again = Again::decide(&then.context, widest.clone(), &evaluated);
            let again = then.unless_not_asked(again);
            let full = then.limit.as_ref().is_some_and(|limit| limit.denies(&again));
            Some(if full { Again::deny(HostReason::LimitExceeded) } else { again })
        }
        _ => None,
    };
    // Where a limit made the difference, another decision follows from that.
    let by_limit = policies.iter().any(|policy| policy.comparison == Comparison::DiffersByLimit);
    let as_recorded = again.as_ref().zip(then.decision_digest.as_ref());
    let differs = as_recorded.is_some_and(|(again, digest)| !by_limit && digests::decision(again.seen()) != *digest);
    let of_decision = match (differs, lacking.is_empty()) {
        (true, _) => Comparison::Differs,
        (false, false) => Comparison::Missing,
        (false, true) => Comparison::Identical,
    };
    Ok(Replayed {
        comparison: policies.iter().map(|policy| policy.comparison).fold(of_decision, worse),
        said: again.map(|again| answer::said(again.seen())),
        policies,
        missing: lacking,
        engine: then.engine.clone().map(|(wasmtime, configuration)| Engine { wasmtime, configuration }),
    })
}

/// What an old record lacks, or what cannot be built from one.
fn not_recorded(then: &Then) -> Vec<Missing> {
    let mut lacking = Vec::new();
    let old = "the record is from before this was recorded";
    match then.is_what_was_seen {
        Some(true) => {}
        Some(false) => lacking.push(missing(
            "context",
            "what is built from the record has another digest than what the policies saw".to_owned(),
        )),
        None => lacking.push(missing("context", format!("{old}: whether they see the same cannot be told"))),
    }
    if then.widest.is_none() {
        lacking.push(missing("bounds", format!("{old}: what the policies say cannot be combined again")));
    }
    if then.decision_digest.is_none() {
        lacking.push(missing("decision_digest", format!("{old}: terms and words of reasons are not compared")));
    }
    lacking
}

/// The worse of two. What was not run then is not run now, which is no difference.
fn worse(one: Comparison, other: Comparison) -> Comparison {
    let rank = |comparison: Comparison| match comparison {
        Comparison::NotRun => 0,
        Comparison::Identical => 1,
        Comparison::DiffersByLimit => 2,
        Comparison::Missing => 3,
        Comparison::Differs => 4,
        Comparison::Altered => 5,
    };
    if rank(other) > rank(one) { other } else { one }
}

async fn one(app: &App, then: &Then, policy: &PolicyThen, ask: &LoadAsk) -> Result<AskedAgain, Failure> {
    let shown = |comparison, replayed, detail| ReplayedPolicy {
        policy: policy.policy.to_string(),
        version: policy.version,
        digest: policy.digest.clone(),
        comparison,
        recorded: policy.outcome.clone(),
        replayed,
        detail,
        cpu_us: 0,
    };
    let gone = |gone: run::Gone| {
        let shown = shown(Comparison::Missing, None, Some(gone.detail.clone()));
        AskedAgain { shown, evaluated: None, missing: vec![missing(gone.what, gone.detail)] }
    };
    let version = match run::version(app, (&policy.policy, policy.version, &policy.digest)).await? {
        Ok(version) => version,
        Err(why) => return Ok(gone(why)),
    };
    let evaluated = |outcome| Evaluated { policy: policy.policy.clone(), required: version.required, outcome };
    if let Some(failure) = policy.not_run() {
        let shown = shown(Comparison::NotRun, None, Some("it was not run when it was decided".to_owned()));
        return Ok(AskedAgain { shown, evaluated: Some(evaluated(Outcome::Failed(failure))), missing: Vec::new() });
    }
    let loaded = match run::ready(app, &version, ask).await? {
        Ok(loaded) => loaded,
        Err(why) => return Ok(gone(why)),
    };
    let Some(known) = policy.known(&loaded.requirements().facts, &then.context) else {
        let detail = format!("the facts that were recorded are not those that `{}` asks for", policy.policy);
        return Ok(gone(run::Gone { what: "context", detail }));
    };
    let ran_out = policy.failed() == Some(PolicyFailure::Deadline);
    let evaluation = run::ask(app, &loaded, known, &then.context, ran_out).await?;
    let comparison = policy.compare(&evaluation.outcome);
    let mut lacking = Vec::new();
    if policy.outcome_digest.is_none() {
        let detail =
            format!("the record has none for `{}`: terms and words of reasons are not compared", policy.policy);
        lacking.push(missing("outcome_digest", detail));
    }
    let now = Some(record::outcome(&evaluation.outcome));
    let shown =
        ReplayedPolicy { cpu_us: evaluation.usage.cpu_us, ..shown(comparison, now, evaluation.failure_detail.clone()) };
    Ok(AskedAgain { shown, evaluated: Some(evaluated(evaluation.outcome)), missing: lacking })
}

impl PolicyThen {
    /// How it failed, if it did.
    fn failed(&self) -> Option<PolicyFailure> {
        let how = self.outcome.strip_prefix("failed:")?;
        PolicyFailure::ALL.iter().copied().find(|failure| failure.as_str() == how)
    }

    /// Why it was not run, if it was not. That was the server's doing, and nothing that a replay could repeat.
    fn not_run(&self) -> Option<PolicyFailure> {
        self.failed().filter(|failure| matches!(failure, PolicyFailure::NotRunnable | PolicyFailure::Paused))
    }

    fn compare(&self, now: &Outcome) -> Comparison {
        let same = match &self.outcome_digest {
            Some(digest) => digests::outcome(now) == *digest,
            None => record::outcome(now) == self.outcome,
        };
        let by_limit = |failure| matches!(failure, PolicyFailure::Deadline | PolicyFailure::Memory);
        let now_by_limit = matches!(now, Outcome::Failed(failure) if by_limit(*failure));
        match same {
            true => Comparison::Identical,
            false if now_by_limit || self.failed().is_some_and(by_limit) => Comparison::DiffersByLimit,
            false => Comparison::Differs,
        }
    }
}

impl Limit {
    /// Whether what is allowed again charges what this counter had no room for.
    pub(super) fn denies(&self, again: &Again) -> bool {
        let full = self.found.checked_add(self.amount).is_none_or(|sum| sum > self.at_most);
        full && again.seen().charges.iter().any(|charge| {
            (&charge.policy, &charge.counter) == (&self.policy, &self.counter)
                && (charge.amount, charge.at_most) == (self.amount, self.at_most)
        })
    }
}

#[cfg(test)]
#[path = "again_tests.rs"]
mod tests;
