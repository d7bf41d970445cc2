//! Who vouches for components, and whether somebody has to.

use attorn_core::{OperatorId, PolicySignerId, TimeMs};
use serde::{Deserialize, Serialize};

use super::codec::{self, Record, RecordError, Text};
use crate::key::Key;

/// Somebody whose signature of a component counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicySignerRecord {
    /// Its id, never used again for another.
    pub id: PolicySignerId,
    /// What people call it.
    pub name: Option<String>,
    /// The public key as minisign writes it, one line. What it is, is not known here.
    pub public_key: String,
    /// When it was registered.
    pub created_at: TimeMs,
    /// By whom.
    pub created_by: OperatorId,
    /// When and by whom it was revoked, if it was. It stays so.
    pub revoked: Option<SignerRevocation>,
}

/// That a signer was revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignerRevocation {
    /// When.
    pub at: TimeMs,
    /// By whom.
    pub by: OperatorId,
}

/// Whether components have to be signed. It is written anew whenever a signer is registered or revoked, too: who names
/// its version has seen all signers as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureRequirementRecord {
    /// Whether a version comes into force only with a signature of an active signer.
    pub required: bool,
    /// When anything about signatures was changed last.
    pub changed_at: TimeMs,
    /// By whom.
    pub changed_by: OperatorId,
}

impl Record for PolicySignerRecord {
    fn key(&self) -> Key {
        Key::policy_signer(&self.id)
    }

    fn encode(&self) -> Vec<u8> {
        codec::encode(&SignerWire {
            id: Text(self.id.clone()),
            name: self.name.clone(),
            public_key: self.public_key.clone(),
            created_at_ms: self.created_at.0,
            created_by: Text(self.created_by.clone()),
            revoked: self
                .revoked
                .as_ref()
                .map(|revoked| RevokedWire { at_ms: revoked.at.0, by: Text(revoked.by.clone()) }),
        })
    }

    fn decode(key: &Key, stored: &[u8]) -> Result<Self, RecordError> {
        codec::decode(key, stored, |wire: SignerWire| {
            Ok(Self {
                id: wire.id.0,
                name: wire.name,
                public_key: wire.public_key,
                created_at: TimeMs(wire.created_at_ms),
                created_by: wire.created_by.0,
                revoked: wire.revoked.map(|wire| SignerRevocation { at: TimeMs(wire.at_ms), by: wire.by.0 }),
            })
        })
    }
}

impl Record for SignatureRequirementRecord {
    fn key(&self) -> Key {
        Key::policy_signatures()
    }

    fn encode(&self) -> Vec<u8> {
        codec::encode(&SignaturesWire {
            required: self.required,
            changed_at_ms: self.changed_at.0,
            changed_by: Text(self.changed_by.clone()),
        })
    }

    fn decode(key: &Key, stored: &[u8]) -> Result<Self, RecordError> {
        codec::decode(key, stored, |wire: SignaturesWire| {
            Ok(Self { required: wire.required, changed_at: TimeMs(wire.changed_at_ms), changed_by: wire.changed_by.0 })
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignerWire {
    id: Text<PolicySignerId>,
    name: Option<String>,
    public_key: String,
    created_at_ms: u64,
    created_by: Text<OperatorId>,
    revoked: Option<RevokedWire>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RevokedWire {
    at_ms: u64,
    by: Text<OperatorId>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignaturesWire {
    required: bool,
    changed_at_ms: u64,
    changed_by: Text<OperatorId>,
}
