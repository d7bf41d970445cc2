//! Whose a public key is.

use attorn_core::{AgentId, KeyThumbprint, OperatorId, ResourceServerId};
use serde::{Deserialize, Serialize};

use super::codec::{self, Record, RecordError, Text};
use crate::key::Key;

/// Whose a public key is. There is one for each key, so that no two share one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyOwnerRecord {
    /// Which key.
    pub thumbprint: KeyThumbprint,
    /// Whose it is.
    pub owner: KeyOwner,
    /// The operator who registered an agent's key; none of one from before that was kept, and of a resource server's.
    pub registrar: Option<OperatorId>,
}

/// Who may have a public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyOwner {
    /// An agent.
    Agent(AgentId),
    /// A resource server.
    ResourceServer(ResourceServerId),
}

impl Record for KeyOwnerRecord {
    fn key(&self) -> Key {
        Key::key_owner(&self.thumbprint)
    }

    fn encode(&self) -> Vec<u8> {
        codec::encode(&KeyOwnerWire {
            thumbprint: Text(self.thumbprint.clone()),
            owner: match &self.owner {
                KeyOwner::Agent(id) => OwnerWire::Agent(Text(id.clone())),
                KeyOwner::ResourceServer(id) => OwnerWire::ResourceServer(Text(id.clone())),
            },
            registrar: self.registrar.clone().map(Text),
        })
    }

    fn decode(key: &Key, stored: &[u8]) -> Result<Self, RecordError> {
        codec::decode(key, stored, |wire: KeyOwnerWire| {
            let owner = match wire.owner {
                OwnerWire::Agent(id) => KeyOwner::Agent(id.0),
                OwnerWire::ResourceServer(id) => KeyOwner::ResourceServer(id.0),
            };
            Ok(Self { thumbprint: wire.thumbprint.0, owner, registrar: wire.registrar.map(|registrar| registrar.0) })
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyOwnerWire {
    thumbprint: Text<KeyThumbprint>,
    owner: OwnerWire,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    registrar: Option<Text<OperatorId>>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OwnerWire {
    Agent(Text<AgentId>),
    ResourceServer(Text<ResourceServerId>),
}
