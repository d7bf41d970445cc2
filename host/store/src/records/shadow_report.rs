//! What came of one version of a policy in shadow mode: numbers, never part of a decision.

use attorn_core::{PolicyId, TimeMs};
use serde::{Deserialize, Serialize};

use super::codec::{self, Record, RecordError, Text};
use crate::key::Key;

/// What came of one version in shadow mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShadowReportRecord {
    /// Which policy.
    pub policy: PolicyId,
    /// Which version of it.
    pub version: u32,
    /// When it was evaluated, or dropped, first.
    pub since: TimeMs,
    /// How often it was evaluated.
    pub evaluations: u64,
    /// How many decisions would have been another if it had counted beside the others.
    pub would_change: u64,
    /// How many decisions allowed what it denies, challenges or fails on.
    pub stricter: u64,
    /// How many decisions denied or challenged what it allows.
    pub laxer: u64,
    /// How often it failed.
    pub failures: u64,
    /// How often it was not evaluated because too much waited already, or what it said could not be written
    /// down.
    pub dropped: u64,
}

impl ShadowReportRecord {
    /// Nothing came of it yet.
    #[must_use]
    pub const fn new(policy: PolicyId, version: u32, since: TimeMs) -> Self {
        let (evaluations, would_change, stricter, laxer, failures, dropped) = (0, 0, 0, 0, 0, 0);
        Self { policy, version, since, evaluations, would_change, stricter, laxer, failures, dropped }
    }
}

impl Record for ShadowReportRecord {
    fn key(&self) -> Key {
        Key::shadow_report(&self.policy, self.version)
    }

    fn encode(&self) -> Vec<u8> {
        codec::encode(&ShadowReportWire {
            policy: Text(self.policy.clone()),
            version: self.version,
            since_ms: self.since.0,
            evaluations: self.evaluations,
            would_change: self.would_change,
            stricter: self.stricter,
            laxer: self.laxer,
            failures: self.failures,
            dropped: self.dropped,
        })
    }

    fn decode(key: &Key, stored: &[u8]) -> Result<Self, RecordError> {
        codec::decode(key, stored, |wire: ShadowReportWire| {
            Ok(Self {
                policy: wire.policy.0,
                version: wire.version,
                since: TimeMs(wire.since_ms),
                evaluations: wire.evaluations,
                would_change: wire.would_change,
                stricter: wire.stricter,
                laxer: wire.laxer,
                failures: wire.failures,
                dropped: wire.dropped,
            })
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ShadowReportWire {
    policy: Text<PolicyId>,
    version: u32,
    since_ms: u64,
    evaluations: u64,
    would_change: u64,
    stricter: u64,
    laxer: u64,
    failures: u64,
    dropped: u64,
}
