//! What operators' monitoring reads at `GET /metrics`: counts and sizes, in the `OpenMetrics` text format.
//!
//! Labels are bounded: outcomes, causes, problem codes, the policies in force, and targets, which an operator named.
//! Never agents, users, resources, or anything that an agent or a policy wrote. Nothing here is durable: a counter
//! begins at 0 when the server starts, one of a policy when its version is loaded, and one of a target when it is
//! called first.
//!
//! `host/OPERATIONS.md` lists all metrics; a test compares that list with what is exposed.

mod policies;
mod proxied;
mod standing;

use std::sync::Arc;
use std::time::Duration;

use attorn_api::ProblemCode;
use attorn_core::{Decision, TimeMs};
use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

pub(crate) use policies::PolicyMetrics;
pub(crate) use proxied::{ProxyMetrics, ProxyOutcome};

use crate::app::App;
use crate::http::call::{Call, Reply};
use crate::http::failure::Failure;
use crate::refusals::Door;
use standing::Standing;

/// What all names begin with.
const PREFIX: &str = "attorn";
/// The media type of the `OpenMetrics` text format.
pub(crate) const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// The buckets of how long a decision took: from 100 µs, each twice the one before, up to 3.3 s.
const DURATION_BUCKETS: (f64, f64, u16) = (0.000_1, 2.0, 16);

/// What is counted while it happens. What can be read when it is asked for stands in [`standing`].
pub(crate) struct Metrics {
    registry: Registry,
    /// By what decided, then by what was decided.
    decisions: [[Counter; 3]; 2],
    decision_duration: Histogram,
    /// By cause.
    conflicts: [Counter; 2],
    /// In the order of [`ProblemCode::ALL`].
    problems: Vec<Counter>,
    /// In the order of [`Door::ALL`].
    refusals: [Counter; Door::ALL.len()],
    shadow_dropped: Counter,
    facts_set: Counter,
    expired_left: Gauge,
    /// In the order of [`LeaseEvent::ALL`].
    leases: [Counter; LeaseEvent::ALL.len()],
    /// In the order of [`WebhookEvent::ALL`].
    webhooks: [Counter; WebhookEvent::ALL.len()],
    /// In the order of [`PromptEvent::ALL`].
    prompts: [Counter; PromptEvent::ALL.len()],
}

/// What becomes of leases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LeaseEvent {
    /// A login was made and shown.
    Issued,
    /// None was made.
    IssueFailed,
    /// One does not exist any more.
    Ended,
    /// An attempt to end one failed.
    RevocationFailed,
    /// One counts as one that cannot be ended.
    Irrevocable,
}

impl LeaseEvent {
    const ALL: [Self; 5] = [Self::Issued, Self::IssueFailed, Self::Ended, Self::RevocationFailed, Self::Irrevocable];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Issued => "issued",
            Self::IssueFailed => "issue_failed",
            Self::Ended => "ended",
            Self::RevocationFailed => "revocation_failed",
            Self::Irrevocable => "irrevocable",
        }
    }
}

/// What becomes of messages to webhooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WebhookEvent {
    /// One was taken.
    Delivered,
    /// An attempt to send one failed.
    AttemptFailed,
    /// One was not taken in time, or its webhook was revoked.
    GivenUp,
    /// There was no room for one then; it is told later.
    Deferred,
    /// One was not needed any more: the approval did not wait.
    Settled,
}

impl WebhookEvent {
    const ALL: [Self; 5] = [Self::Delivered, Self::AttemptFailed, Self::GivenUp, Self::Deferred, Self::Settled];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::AttemptFailed => "attempt_failed",
            Self::GivenUp => "given_up",
            Self::Deferred => "deferred",
            Self::Settled => "settled",
        }
    }
}

/// What becomes of prompts: users who are asked at their provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PromptEvent {
    /// The provider asks the user.
    Started,
    /// The user said yes.
    Approved,
    /// The user said no.
    Refused,
    /// The user did not answer in time.
    Expired,
    /// The user could not be asked, or the answer was no answer.
    Failed,
}

impl PromptEvent {
    const ALL: [Self; 5] = [Self::Started, Self::Approved, Self::Refused, Self::Expired, Self::Failed];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Approved => "approved",
            Self::Refused => "refused",
            Self::Expired => "expired",
            Self::Failed => "failed",
        }
    }
}

/// Why a decision could not be committed as it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Conflict {
    /// What it rests on changed meanwhile.
    Changed,
    /// A counter has no room for its debit.
    Limit,
}

impl Metrics {
    pub(crate) fn new(started: TimeMs, wasmtime_version: &'static str) -> Self {
        let mut registry = Registry::with_prefix(PREFIX);
        let version = [("version", env!("CARGO_PKG_VERSION")), ("wasmtime_version", wasmtime_version)];
        registry.register("build", "What runs", Info::new(version));
        let started = Duration::from_millis(started.0).as_secs_f64();
        let help = "When the server was started, since 1970";
        registry.register_with_unit("start_time", help, Unit::Seconds, ConstGauge::new(started));
        let (from, factor, buckets) = DURATION_BUCKETS;
        let decision_duration = Histogram::new(exponential_buckets(from, factor, buckets));
        let help = "How long decisions took, from the parsed request until all of it was recorded";
        registry.register_with_unit("decision_duration", help, Unit::Seconds, decision_duration.clone());
        let decisions = family(&mut registry, "decisions", "Decisions that were recorded");
        let decided =
            |by| ["allow", "challenge", "deny"].map(|kind| decisions.of([("decided_by", by), ("outcome", kind)]));
        let help =
            "Commits of decisions that did not happen because what they rest on had changed, or a counter had no room";
        let conflicts = family(&mut registry, "decision_conflicts", help);
        let problems =
            family(&mut registry, "problems", "Answers that were a problem (RFC 9457): no decision, no change");
        let help = "Requests that were refused before anybody was let in";
        let refusals = family(&mut registry, "refusals", help);
        let help = "Evaluations of shadow policies that were dropped because too much waited";
        let shadow_dropped = counter(&mut registry, "shadow_evaluations_dropped", help);
        let facts_set = counter(&mut registry, "facts_set", "Facts that operators and resource servers set");
        let expired_left = Gauge::default();
        let help = "Expired records that could not be removed when they were looked at last";
        registry.register("expired_records_left", help, expired_left.clone());
        let leases = family(&mut registry, "lease_events", "What became of credentials that exist outside");
        let help = "What became of messages to webhooks about approvals";
        let webhooks = family(&mut registry, "webhook_events", help);
        let prompts = family(&mut registry, "prompt_events", "What became of asking users at their provider");
        Self {
            decisions: ["bounds", "policies"].map(decided),
            conflicts: ["changed", "limit"].map(|cause| conflicts.of([("cause", cause)])),
            problems: ProblemCode::ALL.iter().map(|code| problems.of([("code", code.as_str())])).collect(),
            refusals: Door::ALL.map(|door| refusals.of([("asked_for", door.as_str())])),
            registry,
            decision_duration,
            shadow_dropped,
            facts_set,
            expired_left,
            leases: LeaseEvent::ALL.map(|event| leases.of([("event", event.as_str())])),
            webhooks: WebhookEvent::ALL.map(|event| webhooks.of([("event", event.as_str())])),
            prompts: PromptEvent::ALL.map(|event| prompts.of([("event", event.as_str())])),
        }
    }

    /// Something became of a lease.
    pub(crate) fn lease(&self, event: LeaseEvent) {
        self.leases[event as usize].inc();
    }

    /// Something became of a message to a webhook.
    pub(crate) fn webhook(&self, event: WebhookEvent) {
        self.webhooks[event as usize].inc();
    }

    /// Something became of a prompt.
    pub(crate) fn prompt(&self, event: PromptEvent) {
        self.prompts[event as usize].inc();
    }

    /// A decision was recorded.
    pub(crate) fn decided(&self, decision: &Decision, by_policies: bool, took: Duration) {
        let kind = match decision {
            Decision::Allow(_) => 0,
            Decision::Challenge(_) => 1,
            Decision::Deny(_) => 2,
        };
        self.decisions[usize::from(by_policies)][kind].inc();
        self.decision_duration.observe(took.as_secs_f64());
    }

    /// A decision could not be committed as it was made.
    pub(crate) fn conflict(&self, cause: Conflict) {
        self.conflicts[cause as usize].inc();
    }

    /// An answer is a problem.
    pub(crate) fn problem(&self, code: ProblemCode) {
        if let Some(counter) = self.problems.get(code as usize) {
            counter.inc();
        }
    }

    /// A request was refused before anybody was let in; an operator without the duty is one of them.
    pub(crate) fn refused(&self, door: Door) {
        self.refusals[door as usize].inc();
    }

    /// So many evaluations of shadow policies were dropped.
    pub(crate) fn shadow_dropped(&self, count: usize) {
        self.shadow_dropped.inc_by(count as u64);
    }

    /// So many facts were set.
    pub(crate) fn facts_set(&self, count: usize) {
        self.facts_set.inc_by(count as u64);
    }

    /// So much of what has expired could not be removed this time.
    pub(crate) fn expired_left(&self, count: usize) {
        self.expired_left.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// All metrics as text.
    fn text(&self, standing: Standing) -> Result<String, std::fmt::Error> {
        let mut now = Registry::with_prefix(PREFIX);
        now.register_collector(Box::new(standing));
        let mut text = String::new();
        text::encode_registry(&mut text, &self.registry)?;
        text::encode_registry(&mut text, &now)?;
        text::encode_eof(&mut text)?;
        Ok(text)
    }
}

/// All metrics. They are put together off the async threads: there may be many policies.
pub(crate) async fn show(app: Arc<App>, _: Call) -> Result<Reply, Failure> {
    let text = move || app.metrics.text(Standing::of(&app));
    let text = tokio::task::spawn_blocking(text).await.map_err(Failure::internal)?;
    Ok(Reply { media_type: MEDIA_TYPE, ..Reply::text(text.map_err(Failure::internal)?) })
}

/// A family of counters, each of which is there from the start: the first count is then an increase.
struct Labelled<const N: usize>(Family<[(&'static str, &'static str); N], Counter>);

impl<const N: usize> Labelled<N> {
    fn of(&self, labels: [(&'static str, &'static str); N]) -> Counter {
        self.0.get_or_create_owned(&labels)
    }
}

fn family<const N: usize>(registry: &mut Registry, name: &str, help: &str) -> Labelled<N> {
    let family = Family::default();
    registry.register(name, help, family.clone());
    Labelled(family)
}

fn counter(registry: &mut Registry, name: &str, help: &str) -> Counter {
    let counter = Counter::default();
    registry.register(name, help, counter.clone());
    counter
}

#[cfg(test)]
mod tests {
    use attorn_core::reason::HostReason;
    use attorn_core::{Denied, Failure as PolicyFailure, Outcome, Verdict};

    use super::*;

    #[track_caller]
    fn says(metrics: &Metrics, line: &str) {
        let mut text = String::new();
        text::encode(&mut text, &metrics.registry).unwrap();
        assert!(text.lines().any(|other| other == line), "`{line}` is not in\n{text}");
    }

    #[test]
    fn every_problem_code_counts_for_itself() {
        let metrics = Metrics::new(TimeMs(0), "0");
        for (at, code) in ProblemCode::ALL.iter().enumerate() {
            says(&metrics, &format!("attorn_problems_total{{code=\"{code}\"}} 0"));
            (0..=at).for_each(|_| metrics.problem(*code));
        }
        for (at, code) in ProblemCode::ALL.iter().enumerate() {
            says(&metrics, &format!("attorn_problems_total{{code=\"{code}\"}} {}", at + 1));
        }
    }

    #[test]
    fn what_happens_is_counted_under_its_name() {
        let metrics = Metrics::new(TimeMs(1_500), "48.0");
        metrics.conflict(Conflict::Changed);
        (0..2).for_each(|_| metrics.conflict(Conflict::Limit));
        metrics.shadow_dropped(3);
        metrics.facts_set(4);
        metrics.expired_left(9);
        metrics.expired_left(5);
        metrics.refused(Door::Client);
        metrics.lease(LeaseEvent::Ended);
        let deny = Decision::Deny(Denied::by_host(HostReason::NotAllowed));
        metrics.decided(&deny, false, Duration::from_millis(3));
        for line in [
            "attorn_decision_conflicts_total{cause=\"changed\"} 1",
            "attorn_decision_conflicts_total{cause=\"limit\"} 2",
            "attorn_shadow_evaluations_dropped_total 3",
            "attorn_facts_set_total 4",
            "attorn_expired_records_left 5",
            "attorn_refusals_total{asked_for=\"client\"} 1",
            "attorn_lease_events_total{event=\"ended\"} 1",
            "attorn_lease_events_total{event=\"irrevocable\"} 0",
            "attorn_refusals_total{asked_for=\"agent\"} 0",
            "attorn_decisions_total{decided_by=\"bounds\",outcome=\"deny\"} 1",
            "attorn_decisions_total{decided_by=\"policies\",outcome=\"deny\"} 0",
            "attorn_decision_duration_seconds_count 1",
            "attorn_start_time_seconds 1.5",
            concat!("attorn_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\",wasmtime_version=\"48.0\"} 1"),
        ] {
            says(&metrics, line);
        }
    }

    #[test]
    fn every_outcome_counts_for_itself() {
        let verdict = |verdict| Outcome::Verdict(verdict);
        let metrics = PolicyMetrics::default();
        let failed = PolicyFailure::ALL.iter().map(|failure| Outcome::Failed(*failure));
        let outcomes = [verdict(Verdict::Deny { reasons: Vec::new() }), verdict(Verdict::Abstain)];
        for outcome in outcomes.into_iter().chain(failed) {
            metrics.evaluated(&outcome, None);
        }
        let counts: Vec<(String, u64)> = metrics.outcomes().collect();
        let expect = PolicyFailure::ALL.iter().map(|failure| (format!("failed:{}", failure.as_str()), 1));
        let expect = [("allow", 0), ("challenge", 0), ("deny", 1), ("abstain", 1)]
            .map(|(name, n)| (name.into(), n))
            .into_iter()
            .chain(expect);
        assert_eq!(counts, expect.collect::<Vec<_>>());
    }
}
