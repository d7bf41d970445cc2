//! That time was set back, when that happened last: what was recorded before, and lives by time, has ended.

use attorn_core::{OperatorId, TimeMs};
use serde::{Deserialize, Serialize};

use super::codec::{self, Record, RecordError, Text};
use crate::key::Key;

/// Who set time back, and how far. What ended with that is told by versions: whatever has a lower one than this
/// record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClockRecord {
    /// By which operator; none if it was accepted when the server was started.
    pub by: Option<OperatorId>,
    /// What time it was after that.
    pub at: TimeMs,
    /// The latest time that there ever was before it.
    pub from: TimeMs,
}

impl Record for ClockRecord {
    fn key(&self) -> Key {
        Key::clock()
    }

    fn encode(&self) -> Vec<u8> {
        codec::encode(&ClockWire { by: self.by.clone().map(Text), at_ms: self.at.0, from_ms: self.from.0 })
    }

    fn decode(key: &Key, stored: &[u8]) -> Result<Self, RecordError> {
        codec::decode(key, stored, |wire: ClockWire| {
            Ok(Self { by: wire.by.map(|by| by.0), at: TimeMs(wire.at_ms), from: TimeMs(wire.from_ms) })
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClockWire {
    by: Option<Text<OperatorId>>,
    at_ms: u64,
    from_ms: u64,
}
