//! Delegations. To whom, for what purpose and until when is readable; what exactly was delegated, and by what
//! evidence, is sealed under the user's key.

use std::fmt;

use attorn_core::{
    ActionPattern, AgentId, DelegationId, Digest, Permission, ProviderId, Purpose, ResourcePattern, SessionId, TimeMs,
    UserId,
};
use serde::{Deserialize, Serialize};

use super::codec::{self, Record, RecordError, Sealed, Text};
use crate::key::Key;

/// What somebody delegated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DelegationRecord {
    /// Its id.
    pub id: DelegationId,
    /// The user whom its chain starts with.
    pub user: UserId,
    /// The agent that offered it; none if the user delegated it.
    pub from_agent: Option<AgentId>,
    /// The delegation out of which it was offered.
    pub parent: Option<DelegationId>,
    /// How many delegations lead to it; 0 for the user's own.
    pub depth: u32,
    /// The agent that it is to.
    pub to_agent: AgentId,
    /// What for.
    pub purpose: Purpose,
    /// In which session.
    pub session: SessionId,
    /// From when on.
    pub created_at: TimeMs,
    /// Until when.
    pub expires_at: TimeMs,
    /// When that agent said yes to it.
    pub accepted_at: Option<TimeMs>,
    /// When it was revoked.
    pub revoked_at: Option<TimeMs>,
    /// How often that agent had been suspended or retired when it said yes.
    pub revocations: u64,
    /// How often everything that the user delegated had been revoked when it was made.
    pub user_revocations: u64,
    /// How often everything that the user delegated to that agent had been revoked when it was made.
    pub agent_revocations: u64,
    /// A [`DelegationBody`], sealed.
    pub sealed: Sealed,
    /// Why it was revoked, in the words of the user or agent who did, sealed.
    pub sealed_reason: Option<Sealed>,
}

impl DelegationRecord {
    /// The agent that made it: that brought the user's consent, or that offered a part of what it had.
    #[must_use]
    pub fn made_by(&self) -> &AgentId {
        self.from_agent.as_ref().unwrap_or(&self.to_agent)
    }
}

/// What was delegated, and by what evidence.
#[derive(Clone, PartialEq, Eq)]
pub struct DelegationBody {
    /// What may be done.
    pub permissions: Vec<Permission>,
    /// By what the user consented; none for what an agent gave.
    pub evidence: Option<Evidence>,
}

impl fmt::Debug for DelegationBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DelegationBody(…)")
    }
}

/// By what a user consented. The token itself is kept nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// The provider whose token it was.
    pub provider: ProviderId,
    /// The token's `jti`, if it had one.
    pub token_id: Option<String>,
    /// BLAKE3 in the mode that derives keys, with the context `attorn subject token v1`, over the token.
    pub token_digest: Digest,
    /// When the provider issued it.
    pub issued_at: TimeMs,
    /// When the user had authenticated, if the provider said it.
    pub auth_time: Option<TimeMs>,
    /// The authentication context class, if the provider said one.
    pub acr: Option<String>,
    /// All that the user consented to for this purpose, of which the delegation may be a part.
    pub consented: Vec<Permission>,
}

impl DelegationBody {
    /// The most permissions.
    pub const PERMISSIONS_MAX: usize = 32;
    /// The most bytes of all their patterns together: every decision's record has to hold them, for each hop.
    pub const PERMISSIONS_BYTES_MAX: usize = 2 << 10;

    /// The bytes that are sealed.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(&BodyWire {
            permissions: self.permissions.iter().map(PermissionWire::of).collect(),
            evidence: self.evidence.as_ref().map(|evidence| EvidenceWire {
                provider: Text(evidence.provider.clone()),
                token_id: evidence.token_id.clone(),
                token_digest: Text(evidence.token_digest),
                issued_at_ms: evidence.issued_at.0,
                auth_time_ms: evidence.auth_time.map(|at| at.0),
                acr: evidence.acr.clone(),
                consented: evidence.consented.iter().map(PermissionWire::of).collect(),
            }),
        })
    }

    /// Read bytes that were sealed for this key.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if they are something else, or of another format.
    pub fn decode(key: &Key, bytes: &[u8]) -> Result<Self, RecordError> {
        let all = |wires: Vec<PermissionWire>| wires.into_iter().map(PermissionWire::permission).collect();
        codec::decode_body(key, bytes, |wire: BodyWire| Self {
            permissions: all(wire.permissions),
            evidence: wire.evidence.map(|wire| Evidence {
                provider: wire.provider.0,
                token_id: wire.token_id,
                token_digest: wire.token_digest.0,
                issued_at: TimeMs(wire.issued_at_ms),
                auth_time: wire.auth_time_ms.map(TimeMs),
                acr: wire.acr,
                consented: all(wire.consented),
            }),
        })
    }
}

impl Record for DelegationRecord {
    fn key(&self) -> Key {
        Key::delegation(&self.id)
    }

    fn encode(&self) -> Vec<u8> {
        codec::encode(&DelegationWire {
            id: Text(self.id.clone()),
            user: Text(self.user.clone()),
            from_agent: self.from_agent.clone().map(Text),
            parent: self.parent.clone().map(Text),
            depth: self.depth,
            to_agent: Text(self.to_agent.clone()),
            purpose: Text(self.purpose.clone()),
            session: Text(self.session.clone()),
            created_at_ms: self.created_at.0,
            expires_at_ms: self.expires_at.0,
            accepted_at_ms: self.accepted_at.map(|at| at.0),
            revoked_at_ms: self.revoked_at.map(|at| at.0),
            revocations: self.revocations,
            user_revocations: self.user_revocations,
            agent_revocations: self.agent_revocations,
            sealed: self.sealed.clone(),
            sealed_reason: self.sealed_reason.clone(),
        })
    }

    fn decode(key: &Key, stored: &[u8]) -> Result<Self, RecordError> {
        codec::decode(key, stored, |wire: DelegationWire| {
            Ok(Self {
                id: wire.id.0,
                user: wire.user.0,
                from_agent: wire.from_agent.map(|agent| agent.0),
                parent: wire.parent.map(|parent| parent.0),
                depth: wire.depth,
                to_agent: wire.to_agent.0,
                purpose: wire.purpose.0,
                session: wire.session.0,
                created_at: TimeMs(wire.created_at_ms),
                expires_at: TimeMs(wire.expires_at_ms),
                accepted_at: wire.accepted_at_ms.map(TimeMs),
                revoked_at: wire.revoked_at_ms.map(TimeMs),
                revocations: wire.revocations,
                user_revocations: wire.user_revocations,
                agent_revocations: wire.agent_revocations,
                sealed: wire.sealed,
                sealed_reason: wire.sealed_reason,
            })
        })
    }
}

/// The delegation that a token was exchanged for: exchanging it again gives the same one, or none any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExchangeRecord {
    /// The digest over the token and all that was asked for.
    pub digest: Digest,
    /// Which delegation.
    pub delegation: DelegationId,
}

impl Record for ExchangeRecord {
    fn key(&self) -> Key {
        Key::exchange(&self.digest)
    }

    fn encode(&self) -> Vec<u8> {
        codec::encode(&ExchangeWire { digest: Text(self.digest), delegation: Text(self.delegation.clone()) })
    }

    fn decode(key: &Key, stored: &[u8]) -> Result<Self, RecordError> {
        codec::decode(key, stored, |wire: ExchangeWire| {
            Ok(Self { digest: wire.digest.0, delegation: wire.delegation.0 })
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExchangeWire {
    digest: Text<Digest>,
    delegation: Text<DelegationId>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DelegationWire {
    id: Text<DelegationId>,
    user: Text<UserId>,
    from_agent: Option<Text<AgentId>>,
    parent: Option<Text<DelegationId>>,
    depth: u32,
    to_agent: Text<AgentId>,
    purpose: Text<Purpose>,
    session: Text<SessionId>,
    created_at_ms: u64,
    expires_at_ms: u64,
    accepted_at_ms: Option<u64>,
    revoked_at_ms: Option<u64>,
    revocations: u64,
    user_revocations: u64,
    agent_revocations: u64,
    sealed: Sealed,
    sealed_reason: Option<Sealed>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BodyWire {
    permissions: Vec<PermissionWire>,
    evidence: Option<EvidenceWire>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EvidenceWire {
    provider: Text<ProviderId>,
    token_id: Option<String>,
    token_digest: Text<Digest>,
    issued_at_ms: u64,
    auth_time_ms: Option<u64>,
    acr: Option<String>,
    consented: Vec<PermissionWire>,
}

/// What may be done to what.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PermissionWire {
    action: Text<ActionPattern>,
    resource: Text<ResourcePattern>,
}

impl PermissionWire {
    fn of(permission: &Permission) -> Self {
        Self { action: Text(permission.action.clone()), resource: Text(permission.resource.clone()) }
    }

    fn permission(self) -> Permission {
        Permission { action: self.action.0, resource: self.resource.0 }
    }
}
