//! That everything is denied, until somebody thaws the server.

use attorn_core::{OperatorId, TimeMs};
use serde::{Deserialize, Serialize};

use super::codec::{self, Record, RecordError, Text};
use crate::key::Key;

/// Who froze the server, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FreezeRecord {
    /// By which operator.
    pub by: OperatorId,
    /// When.
    pub at: TimeMs,
    /// Why, in their words.
    pub reason: Option<String>,
}

impl Record for FreezeRecord {
    fn key(&self) -> Key {
        Key::freeze()
    }

    fn encode(&self) -> Vec<u8> {
        codec::encode(&FreezeWire { by: Text(self.by.clone()), at_ms: self.at.0, reason: self.reason.clone() })
    }

    fn decode(key: &Key, stored: &[u8]) -> Result<Self, RecordError> {
        codec::decode(key, stored, |wire: FreezeWire| {
            Ok(Self { by: wire.by.0, at: TimeMs(wire.at_ms), reason: wire.reason })
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FreezeWire {
    by: Text<OperatorId>,
    at_ms: u64,
    reason: Option<String>,
}
