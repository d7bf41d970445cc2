//! What is counted for each version of a policy. It lives and dies with the loaded version, and only those
//! in force are exposed: there are never more series than policies in force call for.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use attorn_core::{Failure as PolicyFailure, Outcome, PolicyMode, Verdict};
use attorn_engine::Usage;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

use crate::active::{ActivePolicy, ActiveSet};

/// What a policy can say, in the order of its counts; after these come all failures.
const VERDICTS: [&str; 4] = ["allow", "challenge", "deny", "abstain"];
/// How many outcomes there are.
const OUTCOMES: usize = VERDICTS.len() + PolicyFailure::ALL.len();

/// What one version of a policy came to, and what it cost.
#[derive(Debug, Default)]
pub(crate) struct PolicyMetrics {
    outcomes: [AtomicU64; OUTCOMES],
    cpu_us: AtomicU64,
    wall_us: AtomicU64,
    memory_bytes_largest: AtomicU64,
    would_change: AtomicU64,
}

impl PolicyMetrics {
    /// The policy was asked, and came to this. Without usage it could not be run at all.
    pub(crate) fn evaluated(&self, outcome: &Outcome, usage: Option<&Usage>) {
        let place = match outcome {
            Outcome::Verdict(Verdict::Allow { .. }) => 0,
            Outcome::Verdict(Verdict::Challenge { .. }) => 1,
            Outcome::Verdict(Verdict::Deny { .. }) => 2,
            Outcome::Verdict(Verdict::Abstain) => 3,
            Outcome::Failed(failure) => VERDICTS.len() + *failure as usize,
        };
        if let Some(count) = self.outcomes.get(place) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(usage) = usage {
            self.cpu_us.fetch_add(usage.cpu_us, Ordering::Relaxed);
            self.wall_us.fetch_add(usage.wall_us, Ordering::Relaxed);
            self.memory_bytes_largest.fetch_max(usage.memory_bytes, Ordering::Relaxed);
        }
    }

    /// As a shadow policy it would have changed a decision.
    pub(crate) fn would_change(&self) {
        self.would_change.fetch_add(1, Ordering::Relaxed);
    }

    /// How often it came to each outcome, as the audit log names it.
    pub(super) fn outcomes(&self) -> impl Iterator<Item = (String, u64)> {
        let failures = PolicyFailure::ALL.iter().map(|failure| format!("failed:{}", failure.as_str()));
        let names = VERDICTS.iter().map(|name| (*name).to_owned()).chain(failures);
        names.zip(self.outcomes.iter().map(|count| count.load(Ordering::Relaxed)))
    }
}

/// Write what was counted for the policies in force.
pub(super) fn encode(set: &ActiveSet, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let help = "Evaluations of the policies in force, by what they came to.";
    let mut metric = encoder.encode_descriptor("policy_evaluations", help, None, MetricType::Counter)?;
    for (policy, version) in versions(set) {
        for (outcome, count) in policy.metrics.outcomes() {
            let mode = mode(policy.record.mode);
            let labels = [of(policy), ("version", &version), ("mode", mode), ("outcome", &outcome)];
            ConstCounter::new(count).encode(metric.encode_family(&labels)?)?;
        }
    }
    seconds(set, encoder, "policy_cpu", "CPU time that the policies in force used.", |metrics| &metrics.cpu_us)?;
    let help = "Wall time that evaluations of the policies in force took.";
    seconds(set, encoder, "policy_wall", help, |metrics| &metrics.wall_us)?;
    let help = "The most memory that an evaluation of a policy in force used.";
    let unit = Some(&Unit::Bytes);
    let mut metric = encoder.encode_descriptor("policy_memory_largest", help, unit, MetricType::Gauge)?;
    for (policy, version) in versions(set) {
        let bytes = policy.metrics.memory_bytes_largest.load(Ordering::Relaxed);
        labelled(&mut metric, policy, &version, &ConstGauge::new(bytes))?;
    }
    let help = "Decisions that a shadow policy in force would have changed.";
    let mut metric = encoder.encode_descriptor("policy_shadow_would_change", help, None, MetricType::Counter)?;
    for (policy, version) in versions(set).filter(|(policy, _)| policy.record.mode == PolicyMode::Shadow) {
        let count = policy.metrics.would_change.load(Ordering::Relaxed);
        labelled(&mut metric, policy, &version, &ConstCounter::new(count))?;
    }
    Ok(())
}

fn seconds(
    set: &ActiveSet,
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    of: fn(&PolicyMetrics) -> &AtomicU64,
) -> fmt::Result {
    let mut metric = encoder.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Counter)?;
    for (policy, version) in versions(set) {
        let took = std::time::Duration::from_micros(of(&policy.metrics).load(Ordering::Relaxed));
        labelled(&mut metric, policy, &version, &ConstCounter::new(took.as_secs_f64()))?;
    }
    Ok(())
}

fn versions(set: &ActiveSet) -> impl Iterator<Item = (&ActivePolicy, String)> {
    set.policies().iter().map(|policy| (&**policy, policy.record.version.to_string()))
}

fn of(policy: &ActivePolicy) -> (&'static str, &str) {
    ("policy", policy.record.policy.as_str())
}

fn labelled(
    metric: &mut MetricEncoder<'_>,
    policy: &ActivePolicy,
    version: &str,
    value: &impl EncodeMetric,
) -> fmt::Result {
    value.encode(metric.encode_family(&[of(policy), ("version", version)])?)
}

const fn mode(mode: PolicyMode) -> &'static str {
    match mode {
        PolicyMode::Enforce => "enforce",
        PolicyMode::Shadow => "shadow",
    }
}
