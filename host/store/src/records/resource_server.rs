//! Resource servers, and whose a type of resource is.

use attorn_core::{
    Audience, JsonText, KeyThumbprint, ResourceServer, ResourceServerId, ResourceType, TimeMs, UseCounting,
};
use serde::{Deserialize, Serialize};

use super::codec::{self, Record, RecordError, Text};
use crate::key::Key;

/// A service that accepts credentials, as it is registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceServerRecord {
    /// The service.
    pub server: ResourceServer,
    /// Its public key, a JWK as JSON text.
    pub jwk: JsonText,
    /// When it was registered.
    pub created_at: TimeMs,
    /// When it was revoked, if it was.
    pub revoked_at: Option<TimeMs>,
}

impl Record for ResourceServerRecord {
    fn key(&self) -> Key {
        Key::resource_server(&self.server.id)
    }

    fn encode(&self) -> Vec<u8> {
        codec::encode(&ResourceServerWire {
            id: Text(self.server.id.clone()),
            audience: Text(self.server.audience.clone()),
            resource_types: self.server.resource_types.iter().cloned().map(Text).collect(),
            key_thumbprint: Text(self.server.key_thumbprint.clone()),
            counts_uses: self.server.counts_uses,
            jwk: self.jwk.as_str().to_owned(),
            created_at_ms: self.created_at.0,
            revoked_at_ms: self.revoked_at.map(|at| at.0),
        })
    }

    fn decode(key: &Key, stored: &[u8]) -> Result<Self, RecordError> {
        codec::decode(key, stored, |wire: ResourceServerWire| {
            Ok(Self {
                server: ResourceServer {
                    id: wire.id.0,
                    audience: wire.audience.0,
                    resource_types: wire.resource_types.into_iter().map(|resource_type| resource_type.0).collect(),
                    key_thumbprint: wire.key_thumbprint.0,
                    counts_uses: wire.counts_uses,
                },
                jwk: JsonText::from_canonical(wire.jwk),
                created_at: TimeMs(wire.created_at_ms),
                revoked_at: wire.revoked_at_ms.map(TimeMs),
            })
        })
    }
}

/// Whose a type of resource is. There is one for each type, so that no two share one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceTypeRecord {
    /// Which type.
    pub resource_type: ResourceType,
    /// Whose it is.
    pub resource_server: ResourceServerId,
}

impl Record for ResourceTypeRecord {
    fn key(&self) -> Key {
        Key::resource_type(&self.resource_type)
    }

    fn encode(&self) -> Vec<u8> {
        codec::encode(&ResourceTypeWire {
            resource_type: Text(self.resource_type.clone()),
            resource_server: Text(self.resource_server.clone()),
        })
    }

    fn decode(key: &Key, stored: &[u8]) -> Result<Self, RecordError> {
        codec::decode(key, stored, |wire: ResourceTypeWire| {
            Ok(Self { resource_type: wire.resource_type.0, resource_server: wire.resource_server.0 })
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ResourceServerWire {
    id: Text<ResourceServerId>,
    audience: Text<Audience>,
    resource_types: Vec<Text<ResourceType>>,
    key_thumbprint: Text<KeyThumbprint>,
    #[serde(with = "UseCountingWire")]
    counts_uses: UseCounting,
    jwk: String,
    created_at_ms: u64,
    revoked_at_ms: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ResourceTypeWire {
    resource_type: Text<ResourceType>,
    resource_server: Text<ResourceServerId>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "UseCounting", rename_all = "snake_case")]
enum UseCountingWire {
    Reports,
    Remembers,
    No,
}
