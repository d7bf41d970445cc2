//! Grants. How often one was used is a counter of its own: see [`crate::Key::grant_uses`].

use attorn_core::{
    Action, AgentId, Audience, DecisionId, DelegationId, Digest, Grant, GrantBehalf, GrantId, InstanceName, KeyBinding,
    KeyThumbprint, PolicyId, Purpose, Resource, ResourceServerId, SessionId, TimeMs, UserId,
};
use serde::{Deserialize, Serialize};

use super::codec::{self, Record, RecordError, Text};
use super::identity_owner::SubjectWire;
use crate::key::Key;

/// A grant as it stands. The audit entry that it came with is kept by the store, beside the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantRecord {
    /// The grant.
    pub grant: Grant,
    /// When it was revoked, if it was.
    pub revoked_at: Option<TimeMs>,
}

impl Record for GrantRecord {
    fn key(&self) -> Key {
        Key::grant(&self.grant.id)
    }

    fn encode(&self) -> Vec<u8> {
        let grant = &self.grant;
        codec::encode(&GrantWire {
            id: Text(grant.id),
            decision: Text(grant.decision),
            agent: Text(grant.agent.clone()),
            instance: Text(grant.instance.clone()),
            key_thumbprint: Text(grant.key_thumbprint.clone()),
            key_binding: grant.key_binding,
            identity: grant.identity.as_ref().map(SubjectWire::from),
            revocations: grant.revocations,
            behalf: grant.behalf.as_ref().map(|behalf| BehalfWire {
                user: Text(behalf.user.clone()),
                hops: behalf.hops.iter().map(|(id, agent)| (Text(id.clone()), Text(agent.clone()))).collect(),
            }),
            policies: grant.policies.iter().map(|(id, version)| (Text(id.clone()), *version)).collect(),
            resource_server: Text(grant.resource_server.clone()),
            audience: Text(grant.audience.clone()),
            action: Text(grant.action.clone()),
            resource: Text(grant.resource.clone()),
            arguments_digest: Text(grant.arguments_digest),
            purpose: Text(grant.purpose.clone()),
            session: grant.session.clone().map(Text),
            issued_at_ms: grant.issued_at.0,
            expires_at_ms: grant.expires_at.0,
            uses_max: grant.uses_max,
            signed_by: Text(grant.signed_by.clone()),
            revoked_at_ms: self.revoked_at.map(|at| at.0),
        })
    }

    fn decode(key: &Key, stored: &[u8]) -> Result<Self, RecordError> {
        codec::decode(key, stored, |wire: GrantWire| {
            let grant = Grant {
                id: wire.id.0,
                decision: wire.decision.0,
                agent: wire.agent.0,
                instance: wire.instance.0,
                key_thumbprint: wire.key_thumbprint.0,
                key_binding: wire.key_binding,
                identity: wire.identity.map(Into::into),
                revocations: wire.revocations,
                behalf: wire.behalf.map(|wire| GrantBehalf {
                    user: wire.user.0,
                    hops: wire.hops.into_iter().map(|(id, agent)| (id.0, agent.0)).collect(),
                }),
                policies: wire.policies.into_iter().map(|(id, version)| (id.0, version)).collect(),
                resource_server: wire.resource_server.0,
                audience: wire.audience.0,
                action: wire.action.0,
                resource: wire.resource.0,
                arguments_digest: wire.arguments_digest.0,
                purpose: wire.purpose.0,
                session: wire.session.map(|session| session.0),
                issued_at: TimeMs(wire.issued_at_ms),
                expires_at: TimeMs(wire.expires_at_ms),
                uses_max: wire.uses_max,
                signed_by: wire.signed_by.0,
            };
            Ok(Self { grant, revoked_at: wire.revoked_at_ms.map(TimeMs) })
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct GrantWire {
    id: Text<GrantId>,
    decision: Text<DecisionId>,
    agent: Text<AgentId>,
    instance: Text<InstanceName>,
    key_thumbprint: Text<KeyThumbprint>,
    #[serde(with = "BindingWire")]
    key_binding: KeyBinding,
    identity: Option<SubjectWire>,
    revocations: u64,
    behalf: Option<BehalfWire>,
    policies: Vec<(Text<PolicyId>, u32)>,
    resource_server: Text<ResourceServerId>,
    audience: Text<Audience>,
    action: Text<Action>,
    resource: Text<Resource>,
    arguments_digest: Text<Digest>,
    purpose: Text<Purpose>,
    session: Option<Text<SessionId>>,
    issued_at_ms: u64,
    expires_at_ms: u64,
    uses_max: u32,
    signed_by: Text<KeyThumbprint>,
    revoked_at_ms: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "KeyBinding", rename_all = "snake_case")]
enum BindingWire {
    Jkt,
    X5tS256,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BehalfWire {
    user: Text<UserId>,
    hops: Vec<(Text<DelegationId>, Text<AgentId>)>,
}
