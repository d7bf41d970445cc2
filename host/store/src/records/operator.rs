//! Operators, and whose an operator token is. Tokens themselves are never stored.

use std::collections::BTreeSet;

use attorn_core::{Digest, Duty, OperatorId, TimeMs};
use serde::{Deserialize, Serialize};

use super::codec::{self, Record, RecordError, Text};
use crate::key::Key;

/// A person or system that administers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorRecord {
    /// Its id.
    pub id: OperatorId,
    /// What it may administer.
    pub duties: BTreeSet<Duty>,
    /// The digest of its token; none while it has no token.
    pub token_digest: Option<Digest>,
    /// When it was registered.
    pub created_at: TimeMs,
    /// When it was revoked, if it was.
    pub revoked_at: Option<TimeMs>,
}

impl Record for OperatorRecord {
    fn key(&self) -> Key {
        Key::operator(&self.id)
    }

    fn encode(&self) -> Vec<u8> {
        codec::encode(&OperatorWire {
            id: Text(self.id.clone()),
            duties: self.duties.iter().copied().map(Text).collect(),
            token_digest: self.token_digest.map(Text),
            created_at_ms: self.created_at.0,
            revoked_at_ms: self.revoked_at.map(|at| at.0),
        })
    }

    fn decode(key: &Key, stored: &[u8]) -> Result<Self, RecordError> {
        codec::decode(key, stored, |wire: OperatorWire| {
            Ok(Self {
                id: wire.id.0,
                duties: wire.duties.into_iter().map(|duty| duty.0).collect(),
                token_digest: wire.token_digest.map(|digest| digest.0),
                created_at: TimeMs(wire.created_at_ms),
                revoked_at: wire.revoked_at_ms.map(TimeMs),
            })
        })
    }
}

/// Whose the operator token with this digest is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorTokenRecord {
    /// The digest of the token.
    pub token_digest: Digest,
    /// Whose it is.
    pub operator: OperatorId,
}

impl Record for OperatorTokenRecord {
    fn key(&self) -> Key {
        Key::operator_token(&self.token_digest)
    }

    fn encode(&self) -> Vec<u8> {
        codec::encode(&OperatorTokenWire {
            token_digest: Text(self.token_digest),
            operator: Text(self.operator.clone()),
        })
    }

    fn decode(key: &Key, stored: &[u8]) -> Result<Self, RecordError> {
        codec::decode(key, stored, |wire: OperatorTokenWire| {
            Ok(Self { token_digest: wire.token_digest.0, operator: wire.operator.0 })
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OperatorWire {
    id: Text<OperatorId>,
    duties: Vec<Text<Duty>>,
    token_digest: Option<Text<Digest>>,
    created_at_ms: u64,
    revoked_at_ms: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OperatorTokenWire {
    token_digest: Text<Digest>,
    operator: Text<OperatorId>,
}
