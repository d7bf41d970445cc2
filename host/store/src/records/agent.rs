//! Agents.

use std::collections::{BTreeMap, BTreeSet};

use attorn_core::{
    Agent, AgentId, AgentKey, AgentState, Ceiling, Identity, IdentityMethod, IdentitySubject, InstanceName, JsonText,
    KeyThumbprint, LabelName, OperatorId, Owner, Permission, Purpose, PurposeCeiling, TimeMs, UserPresence,
};
use serde::{Deserialize, Serialize};

use super::codec::{self, Record, RecordError, Text};
use super::identity_owner::IdentityWire;
use crate::key::Key;

/// An agent as it is registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentRecord {
    agent: Agent,
    jwks: BTreeMap<KeyThumbprint, JsonText>,
    history: Vec<StateChange>,
    created_at: TimeMs,
}

/// A change of an agent's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateChange {
    /// What it came to.
    pub state: AgentState,
    /// When.
    pub at: TimeMs,
    /// Who did it.
    pub by: OperatorId,
}

/// Why an agent cannot be recorded so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AgentRecordError {
    /// Two of its keys are the same.
    #[error("the key `{0}` stands twice")]
    KeyTwice(KeyThumbprint),
    /// Two of its identities are the same.
    #[error("the identity `{0}` stands twice")]
    IdentityTwice(IdentitySubject),
    /// An identity can be shown in no way.
    #[error("the identity `{0}` has no method")]
    NoMethod(IdentitySubject),
    /// An identity cannot be shown in one of its ways.
    #[error("the identity `{0}` cannot be shown as `{method}`", method = .1.as_str())]
    WrongMethod(IdentitySubject, IdentityMethod),
    /// Keys and public keys do not pair up.
    #[error("the key `{0}` stands without its other half")]
    Unpaired(KeyThumbprint),
    /// It has too many bytes.
    #[error("the agent's record has {bytes} bytes, and {most} is the most", most = AgentRecord::BYTES_MAX)]
    TooLarge {
        /// How many it has.
        bytes: usize,
    },
    /// It is retired, and stays so.
    #[error("the agent is retired")]
    Retired,
}

impl AgentRecord {
    /// The most bytes that a record has without its history. It leaves room for a full history, so that
    /// no agent grows too large to be suspended.
    pub const BYTES_MAX: usize = 56 << 10;
    /// How many changes of state are kept here, its registration and the newest; the audit log holds all of them.
    pub const HISTORY_MAX: usize = 32;

    /// A record of this agent, with the public key of each of its keys as one JSON text.
    ///
    /// # Errors
    ///
    /// [`AgentRecordError`] when a key or an identity stands twice, a key lacks its other half or an identity its
    /// method, or there are too many bytes.
    pub fn new(
        agent: Agent,
        jwks: BTreeMap<KeyThumbprint, JsonText>,
        history: Vec<StateChange>,
        created_at: TimeMs,
    ) -> Result<Self, AgentRecordError> {
        let mut record = Self::paired(agent, jwks, Vec::new(), created_at)?;
        let bytes = record.encode().len();
        if bytes > Self::BYTES_MAX {
            return Err(AgentRecordError::TooLarge { bytes });
        }
        record.history = history;
        record.forget_oldest();
        Ok(record)
    }

    fn paired(
        agent: Agent,
        jwks: BTreeMap<KeyThumbprint, JsonText>,
        history: Vec<StateChange>,
        created_at: TimeMs,
    ) -> Result<Self, AgentRecordError> {
        let mut seen = BTreeSet::new();
        for key in &agent.keys {
            if !seen.insert(&key.thumbprint) {
                return Err(AgentRecordError::KeyTwice(key.thumbprint.clone()));
            }
            if !jwks.contains_key(&key.thumbprint) {
                return Err(AgentRecordError::Unpaired(key.thumbprint.clone()));
            }
        }
        if let Some(lone) = jwks.keys().find(|thumbprint| !seen.contains(thumbprint)) {
            return Err(AgentRecordError::Unpaired(lone.clone()));
        }
        for (at, Identity { subject, methods, .. }) in agent.identities.iter().enumerate() {
            if agent.identities[..at].iter().any(|other| other.subject == *subject) {
                return Err(AgentRecordError::IdentityTwice(subject.clone()));
            }
            if methods.is_empty() {
                return Err(AgentRecordError::NoMethod(subject.clone()));
            }
            if let Some(method) = methods.iter().find(|method| !subject.methods().contains(method)) {
                return Err(AgentRecordError::WrongMethod(subject.clone(), *method));
            }
        }
        Ok(Self { agent, jwks, history, created_at })
    }

    /// The agent.
    #[must_use]
    pub const fn agent(&self) -> &Agent {
        &self.agent
    }

    /// The public key with this thumbprint, if it is one of the agent's: a JWK as JSON text.
    #[must_use]
    pub fn jwk(&self, thumbprint: &KeyThumbprint) -> Option<&JsonText> {
        self.jwks.get(thumbprint)
    }

    /// The public keys, by thumbprint.
    #[must_use]
    pub const fn jwks(&self) -> &BTreeMap<KeyThumbprint, JsonText> {
        &self.jwks
    }

    /// Its registration and the newest changes of its state, oldest first.
    #[must_use]
    pub fn history(&self) -> &[StateChange] {
        &self.history
    }

    /// Who registered it; none of one whose registration was forgotten before it was kept for ever.
    #[must_use]
    pub fn registrar(&self) -> Option<&OperatorId> {
        self.history.first().filter(|change| change.at == self.created_at).map(|change| &change.by)
    }

    /// When it was registered.
    #[must_use]
    pub const fn created_at(&self) -> TimeMs {
        self.created_at
    }

    /// Suspend, resume or retire it. What is retired stays so.
    ///
    /// # Errors
    ///
    /// [`AgentRecordError::Retired`]
    pub fn change_state(&mut self, change: StateChange) -> Result<(), AgentRecordError> {
        if self.agent.state == AgentState::Retired {
            return Err(AgentRecordError::Retired);
        }
        self.agent.state = change.state;
        if change.state != AgentState::Active {
            self.agent.revocations += 1;
        }
        self.history.push(change);
        self.forget_oldest();
        Ok(())
    }

    fn forget_oldest(&mut self) {
        // The first is its registration, and says for ever who did that.
        let over = self.history.len().saturating_sub(Self::HISTORY_MAX);
        if over > 0 {
            self.history.drain(1..=over);
        }
    }
}

impl Record for AgentRecord {
    fn key(&self) -> Key {
        Key::agent(&self.agent.id)
    }

    fn encode(&self) -> Vec<u8> {
        codec::encode(&AgentWire::from(self))
    }

    fn decode(key: &Key, stored: &[u8]) -> Result<Self, RecordError> {
        codec::decode(key, stored, |wire: AgentWire| {
            wire.try_into().map_err(|error: AgentRecordError| error.to_string())
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AgentWire {
    id: Text<AgentId>,
    owner: Text<Owner>,
    labels: BTreeMap<Text<LabelName>, String>,
    #[serde(with = "StateWire")]
    state: AgentState,
    ceiling: BTreeMap<Text<Purpose>, PurposeWire>,
    grant_ms_max: u64,
    keys: Vec<KeyWire>,
    identities: Vec<IdentityWire>,
    history: Vec<ChangeWire>,
    created_at_ms: u64,
    revocations: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "AgentState", rename_all = "snake_case")]
enum StateWire {
    Active,
    Suspended,
    Retired,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "UserPresence", rename_all = "snake_case")]
enum UserWire {
    WithUser,
    WithoutUser,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PurposeWire {
    #[serde(with = "UserWire")]
    user: UserPresence,
    permissions: Vec<PermissionWire>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PermissionWire {
    action: Text<attorn_core::ActionPattern>,
    resource: Text<attorn_core::ResourcePattern>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyWire {
    thumbprint: Text<KeyThumbprint>,
    instance: Text<InstanceName>,
    expires_at_ms: u64,
    jwk: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangeWire {
    #[serde(with = "StateWire")]
    state: AgentState,
    at_ms: u64,
    by: Text<OperatorId>,
}

impl From<&AgentRecord> for AgentWire {
    fn from(record: &AgentRecord) -> Self {
        let agent = &record.agent;
        let permission = |permission: &Permission| PermissionWire {
            action: Text(permission.action.clone()),
            resource: Text(permission.resource.clone()),
        };
        let purpose = |(purpose, ceiling): (&Purpose, &PurposeCeiling)| {
            let permissions = ceiling.permissions.iter().map(permission).collect();
            (Text(purpose.clone()), PurposeWire { user: ceiling.user, permissions })
        };
        // INVARIANT: every key has its public key; no constructor takes one without the other.
        let key = |key: &AgentKey| {
            Some(KeyWire {
                thumbprint: Text(key.thumbprint.clone()),
                instance: Text(key.instance.clone()),
                expires_at_ms: key.expires_at.0,
                jwk: record.jwks.get(&key.thumbprint)?.as_str().to_owned(),
            })
        };
        let change =
            |change: &StateChange| ChangeWire { state: change.state, at_ms: change.at.0, by: Text(change.by.clone()) };
        Self {
            id: Text(agent.id.clone()),
            owner: Text(agent.owner.clone()),
            labels: agent.labels.iter().map(|(name, value)| (Text(name.clone()), value.clone())).collect(),
            state: agent.state,
            ceiling: agent.ceiling.purposes().map(purpose).collect(),
            grant_ms_max: agent.grant_ms_max,
            keys: agent.keys.iter().filter_map(key).collect(),
            identities: agent.identities.iter().map(IdentityWire::from).collect(),
            history: record.history.iter().map(change).collect(),
            created_at_ms: record.created_at.0,
            revocations: agent.revocations,
        }
    }
}

impl TryFrom<AgentWire> for AgentRecord {
    type Error = AgentRecordError;

    fn try_from(wire: AgentWire) -> Result<Self, AgentRecordError> {
        let permission =
            |permission: PermissionWire| Permission { action: permission.action.0, resource: permission.resource.0 };
        let purpose = |(purpose, ceiling): (Text<Purpose>, PurposeWire)| {
            let permissions = ceiling.permissions.into_iter().map(permission).collect();
            (purpose.0, PurposeCeiling { user: ceiling.user, permissions })
        };
        let mut jwks = BTreeMap::new();
        let mut keys = Vec::with_capacity(wire.keys.len());
        for key in wire.keys {
            jwks.insert(key.thumbprint.0.clone(), JsonText::from_canonical(key.jwk));
            keys.push(AgentKey {
                thumbprint: key.thumbprint.0,
                instance: key.instance.0,
                expires_at: TimeMs(key.expires_at_ms),
            });
        }
        let agent = Agent {
            id: wire.id.0,
            owner: wire.owner.0,
            labels: wire.labels.into_iter().map(|(name, value)| (name.0, value)).collect(),
            state: wire.state,
            ceiling: Ceiling::new(wire.ceiling.into_iter().map(purpose).collect()),
            grant_ms_max: wire.grant_ms_max,
            keys,
            revocations: wire.revocations,
            identities: wire.identities.into_iter().map(Into::into).collect(),
        };
        let change =
            |change: ChangeWire| StateChange { state: change.state, at: TimeMs(change.at_ms), by: change.by.0 };
        let history = wire.history.into_iter().map(change).collect();
        Self::paired(agent, jwks, history, TimeMs(wire.created_at_ms))
    }
}
