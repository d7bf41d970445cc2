//! That time was set back, when that happened last: what was recorded before, and lives by time, has ended.

use attorn_core::{OperatorId, TimeMs, TimeSpan};
use serde::{Deserialize, Serialize};

use super::codec::{self, Record, RecordError, Text};
use crate::key::Key;

/// Who set time back, and what times there were that come again. What ended with that is told by versions: whatever
/// has a lower one than this record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetBackRecord {
    /// By which operator; none if it was accepted when the server was started.
    pub by: Option<OperatorId>,
    /// What time it was after that.
    pub at: TimeMs,
    /// The times that the server went through and that lie after that: of this setting back and of those before.
    pub eras: Vec<TimeSpan>,
}

impl Record for SetBackRecord {
    fn key(&self) -> Key {
        Key::clock()
    }

    fn encode(&self) -> Vec<u8> {
        let eras = self.eras.iter().map(|era| SpanWire::from(*era)).collect();
        codec::encode(&ClockWire { by: self.by.clone().map(Text), at_ms: self.at.0, eras })
    }

    fn decode(key: &Key, stored: &[u8]) -> Result<Self, RecordError> {
        codec::decode(key, stored, |wire: ClockWire| {
            let eras = wire.eras.into_iter().map(TimeSpan::from).collect();
            Ok(Self { by: wire.by.map(|by| by.0), at: TimeMs(wire.at_ms), eras })
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClockWire {
    by: Option<Text<OperatorId>>,
    at_ms: u64,
    eras: Vec<SpanWire>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SpanWire {
    from_ms: u64,
    until_ms: u64,
}

impl From<TimeSpan> for SpanWire {
    fn from(span: TimeSpan) -> Self {
        Self { from_ms: span.from.0, until_ms: span.until.0 }
    }
}

impl From<SpanWire> for TimeSpan {
    fn from(wire: SpanWire) -> Self {
        Self { from: TimeMs(wire.from_ms), until: TimeMs(wire.until_ms) }
    }
}
