//! Users who were erased: that they were, and nothing of who they were.

use attorn_core::{TimeMs, UserId};
use serde::{Deserialize, Serialize};

use super::codec::{self, Record, RecordError, Text};
use crate::key::Key;

/// A user was erased. Their record is gone, and their key with it; an id is never anybody else's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErasureRecord {
    /// Who it was.
    pub user: UserId,
    /// When.
    pub at: TimeMs,
}

impl Record for ErasureRecord {
    fn key(&self) -> Key {
        Key::erasure(&self.user)
    }

    fn encode(&self) -> Vec<u8> {
        codec::encode(&ErasureWire { user: Text(self.user.clone()), at_ms: self.at.0 })
    }

    fn decode(key: &Key, stored: &[u8]) -> Result<Self, RecordError> {
        codec::decode(key, stored, |wire: ErasureWire| Ok(Self { user: wire.user.0, at: TimeMs(wire.at_ms) }))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ErasureWire {
    user: Text<UserId>,
    at_ms: u64,
}
