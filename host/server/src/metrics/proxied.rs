//! What is counted for each service that is called for agents. It lives with what is known of the target while the server
//! runs; a target that nobody has called since the start has no series. There are never more than targets.
//!
//! What a request came to is counted once, where it comes to its end: for one that was answered, where the answer ended.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use attorn_core::TargetId;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Unit;

/// The buckets of how long a service took: from 1 ms, each twice the one before, up to 16 s.
const DURATION_BUCKETS: (f64, f64, u16) = (0.001, 2.0, 15);

/// What a request to a target came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProxyOutcome {
    /// It was allowed, and its answer came whole, whatever it says.
    Answered,
    /// It was allowed, and its answer began and was cut off.
    Cut,
    /// It was allowed, and its answer was cut off because it held the secret.
    CutSecret,
    /// It was allowed, and nothing was sent.
    NotSent,
    /// It was allowed and sent, and nobody knows what came of it.
    Unknown,
    /// It was denied.
    Denied,
    /// It needs an approval.
    Challenged,
    /// The target is not asked now; nothing was decided.
    Unavailable,
    /// It could be read in two ways, is not what a row takes, or could not be decided.
    Refused,
}

impl ProxyOutcome {
    const ALL: [Self; 9] = [
        Self::Answered,
        Self::Cut,
        Self::CutSecret,
        Self::NotSent,
        Self::Unknown,
        Self::Denied,
        Self::Challenged,
        Self::Unavailable,
        Self::Refused,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Cut => "cut",
            Self::CutSecret => "cut_secret",
            Self::NotSent => "not_sent",
            Self::Unknown => "unknown",
            Self::Denied => "denied",
            Self::Challenged => "challenged",
            Self::Unavailable => "unavailable",
            Self::Refused => "refused",
        }
    }
}

/// What requests to one target came to.
#[derive(Debug)]
pub(crate) struct ProxyMetrics {
    /// In the order of [`ProxyOutcome::ALL`].
    outcomes: [AtomicU64; ProxyOutcome::ALL.len()],
    request_bytes: AtomicU64,
    response_bytes: AtomicU64,
    duration: Histogram,
}

impl Default for ProxyMetrics {
    fn default() -> Self {
        let (from, factor, buckets) = DURATION_BUCKETS;
        Self {
            outcomes: Default::default(),
            request_bytes: AtomicU64::default(),
            response_bytes: AtomicU64::default(),
            duration: Histogram::new(exponential_buckets(from, factor, buckets)),
        }
    }
}

impl ProxyMetrics {
    /// A request came to this.
    pub(crate) fn came(&self, outcome: ProxyOutcome) {
        self.outcomes[outcome as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// An answer began so long after its request was begun to be sent.
    pub(crate) fn answered_after(&self, took: Duration) {
        self.duration.observe(took.as_secs_f64());
    }

    /// So many bytes of a request's body were sent, and so many of its answer's were passed on.
    pub(crate) fn carried(&self, request: u64, response: u64) {
        self.request_bytes.fetch_add(request, Ordering::Relaxed);
        self.response_bytes.fetch_add(response, Ordering::Relaxed);
    }
}

/// Write what was counted for these targets.
pub(super) fn encode(targets: &[(TargetId, Arc<ProxyMetrics>)], encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let help = "Requests for services that are called for agents, by what they came to.";
    let mut metric = encoder.encode_descriptor("proxy_requests", help, None, MetricType::Counter)?;
    for (target, metrics) in targets {
        for (outcome, count) in ProxyOutcome::ALL.iter().zip(&metrics.outcomes) {
            let labels = [("target", target.as_str()), ("outcome", outcome.as_str())];
            ConstCounter::new(count.load(Ordering::Relaxed)).encode(metric.encode_family(&labels)?)?;
        }
    }
    let help = "How long services took until their answer began, from when a request was begun to be sent.";
    let unit = Some(&Unit::Seconds);
    let mut metric = encoder.encode_descriptor("proxy_duration", help, unit, MetricType::Histogram)?;
    for (target, metrics) in targets {
        metrics.duration.encode(metric.encode_family(&[("target", target.as_str())])?)?;
    }
    let help = "Bytes of bodies that were sent to services, and passed on from them.";
    let mut metric = encoder.encode_descriptor("proxy", help, Some(&Unit::Bytes), MetricType::Counter)?;
    for (target, metrics) in targets {
        for (direction, bytes) in [("request", &metrics.request_bytes), ("response", &metrics.response_bytes)] {
            let labels = [("target", target.as_str()), ("direction", direction)];
            ConstCounter::new(bytes.load(Ordering::Relaxed)).encode(metric.encode_family(&labels)?)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_counts_for_itself() {
        let metrics = ProxyMetrics::default();
        for (at, outcome) in ProxyOutcome::ALL.into_iter().enumerate() {
            (0..=at).for_each(|_| metrics.came(outcome));
        }
        let counts: Vec<u64> = metrics.outcomes.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        assert_eq!(counts, (1..).take(ProxyOutcome::ALL.len()).collect::<Vec<_>>());
        let names: std::collections::BTreeSet<_> = ProxyOutcome::ALL.iter().map(|one| one.as_str()).collect();
        assert_eq!(names.len(), ProxyOutcome::ALL.len());
    }
}
