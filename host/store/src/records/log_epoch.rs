//! Epochs of the audit log that have ended: by which key they can be verified, and where they ended. Their entries are
//! kept elsewhere.

use std::ops::Range;

use attorn_core::TimeMs;
use attorn_log::{CheckpointVerifier, Epoch};
use serde::{Deserialize, Serialize};

use super::codec::{self, Record, RecordError, Text};
use crate::key::Key;

/// An epoch of the log that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEpochRecord {
    /// The key of its checkpoints, with the origin.
    pub key: CheckpointVerifier,
    /// The checkpoint with which it ended: a signed note.
    pub checkpoint: String,
    /// Why it ended.
    pub ended: EpochEnd,
    /// When.
    pub at: TimeMs,
    /// Which of its entries were bad then, in files that were damaged or missing: what is kept of it may lack them.
    pub bad: Vec<Range<u64>>,
}

/// Why an epoch of the log ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EpochEnd {
    /// The data were restored from a backup.
    Restored,
    /// The log's key was rotated.
    KeyRotated,
    /// Somebody else may have had the log's key.
    KeyCompromised,
}

impl LogEpochRecord {
    /// Which epoch it was.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.key.origin().epoch
    }
}

impl Record for LogEpochRecord {
    fn key(&self) -> Key {
        Key::log_epoch(self.epoch())
    }

    fn encode(&self) -> Vec<u8> {
        codec::encode(&LogEpochWire {
            key: Text(self.key.clone()),
            checkpoint: self.checkpoint.clone(),
            ended: self.ended,
            at_ms: self.at.0,
            bad: self.bad.iter().map(|range| [range.start, range.end]).collect(),
        })
    }

    fn decode(key: &Key, stored: &[u8]) -> Result<Self, RecordError> {
        codec::decode(key, stored, |wire: LogEpochWire| {
            let bad = wire.bad.into_iter().map(|[start, end]| start..end).collect();
            Ok(Self { key: wire.key.0, checkpoint: wire.checkpoint, ended: wire.ended, at: TimeMs(wire.at_ms), bad })
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LogEpochWire {
    key: Text<CheckpointVerifier>,
    checkpoint: String,
    ended: EpochEnd,
    at_ms: u64,
    /// From one entry on, up to before another.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    bad: Vec<[u64; 2]>,
}
