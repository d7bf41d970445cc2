//! What is read when somebody asks for the metrics, and counted by nobody here.

use std::fmt;
use std::sync::Arc;

use attorn_core::{PolicyMode, TargetId};
use attorn_engine::EngineCounts;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::{ProxyMetrics, policies, proxied};
use crate::active::ActiveSet;
use crate::app::App;
use crate::targets;

/// How things stand.
#[derive(Debug)]
pub(super) struct Standing {
    set: Arc<ActiveSet>,
    engine: EngineCounts,
    /// None while the store cannot say.
    log_entries: Option<u64>,
    checkpointed: u64,
    /// 0 if there are no witnesses.
    witnessed: u64,
    /// None while the store cannot say.
    index_lag: Option<u64>,
    /// None while the store cannot say.
    unfiled_bundles: Option<u64>,
    bad_parts: bool,
    streams: usize,
    ready: bool,
    paused: usize,
    /// Requests in the lanes of agents and of users.
    noisy: [u64; 2],
    /// As they were found last.
    leases: targets::live::Standing,
    targets_broken: usize,
    targets_misconfigured: usize,
    /// Those that were called for agents since the start.
    proxied: Vec<(TargetId, Arc<ProxyMetrics>)>,
    connections: usize,
    /// Connections that were ended for others, that were not taken, and that were beyond somebody's share.
    connections_refused: [u64; 3],
}

impl Standing {
    pub(super) fn of(app: &App) -> Self {
        let log_entries = app.store.log_head().ok().map(|head| head.size);
        Self {
            set: app.active.snapshot(),
            engine: app.engine.counts(),
            checkpointed: app.published.size(),
            witnessed: app.published.witnessed_size().unwrap_or(0),
            log_entries,
            index_lag: log_entries.map(|entries| app.queries.lag(entries).unwrap_or(entries)),
            unfiled_bundles: app.store.unfiled_bundles().ok(),
            bad_parts: app.store.has_bad_parts(),
            streams: app.queries.streams(),
            ready: app.not_ready().is_none(),
            paused: app.pauses.count_now(app.clock.now()),
            noisy: app.strangers.entered(),
            leases: app.targets.standing(),
            targets_broken: app.targets.broken(),
            targets_misconfigured: app.targets.misconfigured(),
            proxied: app.targets.proxied(),
            connections: app.connections.count(),
            connections_refused: app.connections.refused(),
        }
    }

    fn in_force(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let policies = self.set.policies();
        let of = |mode| policies.iter().filter(|policy| policy.record.mode == mode).count();
        let help = "Policies in force.";
        let mut metric = encoder.encode_descriptor("policies_in_force", help, None, MetricType::Gauge)?;
        for (mode, count) in [("enforce", of(PolicyMode::Enforce)), ("shadow", of(PolicyMode::Shadow))] {
            ConstGauge::new(count).encode(metric.encode_family(&[("mode", mode)])?)?;
        }
        let not_loaded = policies.iter().filter(|policy| policy.loaded.is_none()).count();
        let help = "Policies in force that could not be loaded at start: what they are asked about is denied.";
        gauge(encoder, "policies_not_loaded", help, not_loaded as u64)?;
        let help = "Policies that are not asked for an agent, because they ran out of CPU time again and again for it.";
        gauge(encoder, "policies_paused", help, self.paused as u64)?;
        let help = "The revision of the set in force.";
        gauge(encoder, "active_set_revision", help, self.set.record.revision)
    }

    fn leases(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let targets::live::Standing { open, overdue, irrevocable } = self.leases;
        gauge(encoder, "leases_open", "Credentials outside that have not ended.", open)?;
        gauge(encoder, "leases_overdue", "Those of them that should have ended more than 10 seconds ago.", overdue)?;
        gauge(
            encoder,
            "leases_irrevocable",
            "Those of them that could not be ended, however often tried.",
            irrevocable,
        )?;
        let help = "Targets that are not asked for a while, because they did not answer.";
        gauge(encoder, "targets_broken", help, self.targets_broken as u64)?;
        let help = "Targets that an operator has to mend, as they were found last.";
        gauge(encoder, "targets_misconfigured", help, self.targets_misconfigured as u64)
    }

    fn engine(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let EngineCounts { waiting, turned_away, loads_from_cache, loads_compiled, loads_refused, loads_failed } =
            self.engine;
        gauge(encoder, "evaluation_queue_depth", "Requests that wait for their evaluations.", waiting as u64)?;
        let help = "Requests that were turned away because the queue for evaluations was full.";
        let metric = encoder.encode_descriptor("evaluation_queue_refusals", help, None, MetricType::Counter)?;
        ConstCounter::new(turned_away).encode(metric)?;
        let help = "Loads of policies, by what came of them.";
        let mut metric = encoder.encode_descriptor("policy_loads", help, None, MetricType::Counter)?;
        for (result, count) in [
            ("cache", loads_from_cache),
            ("compiled", loads_compiled),
            ("refused", loads_refused),
            ("failed", loads_failed),
        ] {
            ConstCounter::new(count).encode(metric.encode_family(&[("result", result)])?)?;
        }
        Ok(())
    }
}

impl Collector for Standing {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let help = "1 while the server decides, 0 while it does not and `/readyz` says why.";
        gauge(&mut encoder, "ready", help, u64::from(self.ready))?;
        self.in_force(&mut encoder)?;
        self.engine(&mut encoder)?;
        self.leases(&mut encoder)?;
        let help = "Requests from noisy addresses that were authenticated few at a time.";
        let mut metric = encoder.encode_descriptor("noisy_requests", help, None, MetricType::Counter)?;
        for (lane, count) in ["agents", "users"].into_iter().zip(self.noisy) {
            ConstCounter::new(count).encode(metric.encode_family(&[("lane", lane)])?)?;
        }
        gauge(&mut encoder, "connections", "Connections that there are.", self.connections as u64)?;
        let help =
            "Connections that were closed because others wanted their places, that found none, or beyond a share.";
        let mut metric = encoder.encode_descriptor("connections_refused", help, None, MetricType::Counter)?;
        for (cause, count) in ["room", "address", "share"].into_iter().zip(self.connections_refused) {
            ConstCounter::new(count).encode(metric.encode_family(&[("cause", cause)])?)?;
        }
        if let Some(entries) = self.log_entries {
            gauge(&mut encoder, "audit_log_entries", "Entries of the audit log.", entries)?;
        }
        let help = "Entries of the audit log that a checkpoint on disk counts.";
        gauge(&mut encoder, "audit_log_checkpointed_entries", help, self.checkpointed)?;
        let help = "Entries of the audit log that a checkpoint counts which enough witnesses cosigned.";
        gauge(&mut encoder, "audit_log_witnessed_entries", help, self.witnessed)?;
        if let Some(lag) = self.index_lag {
            let help = "Entries of the audit log that queries do not find by the index yet.";
            gauge(&mut encoder, "audit_index_lag_entries", help, lag)?;
        }
        if let Some(bundles) = self.unfiled_bundles {
            let help =
                "Full bundles of 256 entries that are not in plain files yet, or whose decision records are not.";
            gauge(&mut encoder, "store_unfiled_bundles", help, bundles)?;
        }
        let help = "1 while base copy and journal are damaged, so that no backup can be made, 0 else.";
        gauge(&mut encoder, "store_bad_parts", help, u64::from(self.bad_parts))?;
        gauge(&mut encoder, "audit_streams", "Streams of the audit log that are served.", self.streams as u64)?;
        proxied::encode(&self.proxied, &mut encoder)?;
        policies::encode(&self.set, &mut encoder)
    }
}

fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> fmt::Result {
    ConstGauge::new(value).encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)
}
