//! Grants, sealed where they are held on behalf of a user. How often one was used is a counter of its own: see
//! [`crate::Key::grant_uses`].

use attorn_core::{
    Action, AgentId, Audience, DecisionId, DelegationId, Digest, Grant, GrantBehalf, GrantId, InstanceName, KeyBinding,
    KeyThumbprint, PolicyId, Purpose, Resource, ResourceServerId, SessionId, TimeMs, UserId,
};
use serde::{Deserialize, Serialize};

use super::codec::{self, Kept, KeptWire, Record, RecordError, RecordProblem, Text};
use super::identity_owner::{MethodWire, SubjectWire};
use crate::key::Key;

/// A grant as it stands. The audit entry that it came with is kept by the store, beside the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantRecord {
    /// Which grant.
    pub id: GrantId,
    /// All of it; sealed if it is held on behalf of a user.
    pub grant: Kept<Box<Grant>>,
    /// When it was revoked.
    pub revoked_at: Option<TimeMs>,
}

impl GrantRecord {
    /// A new grant that is held for nobody.
    #[must_use]
    pub fn plain(grant: Grant) -> Self {
        Self { id: grant.id, grant: Kept::Plain(Box::new(grant)), revoked_at: None }
    }

    /// The bytes that are sealed of a grant.
    #[must_use]
    pub fn encode_grant(grant: &Grant) -> Vec<u8> {
        codec::encode(&GrantWire::of(grant))
    }

    /// Read bytes that were sealed for this key.
    pub fn decode_grant(key: &Key, bytes: &[u8]) -> Result<Grant, RecordError> {
        let grant = codec::decode_body(key, bytes, GrantWire::grant)?;
        let own_key = Key::grant(&grant.id);
        if own_key == *key { Ok(grant) } else { Err(RecordError::new(key, RecordProblem::OtherKey(own_key))) }
    }
}

impl Record for GrantRecord {
    fn key(&self) -> Key {
        Key::grant(&self.id)
    }

    fn encode(&self) -> Vec<u8> {
        codec::encode(&RecordWire {
            id: Text(self.id),
            grant: KeptWire::of(&self.grant, |grant| GrantWire::of(grant)),
            revoked_at_ms: self.revoked_at.map(|at| at.0),
        })
    }

    fn decode(key: &Key, stored: &[u8]) -> Result<Self, RecordError> {
        codec::decode(key, stored, |wire: RecordWire| {
            let grant = wire.grant.kept(|grant| Box::new(grant.grant()));
            if let Kept::Plain(grant) = &grant
                && grant.id != wire.id.0
            {
                return Err(format!("it holds the grant `{}`", grant.id));
            }
            Ok(Self { id: wire.id.0, grant, revoked_at: wire.revoked_at_ms.map(TimeMs) })
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordWire {
    id: Text<GrantId>,
    grant: KeptWire<GrantWire>,
    revoked_at_ms: Option<u64>,
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
    identity: Option<(SubjectWire, MethodWire)>,
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
}

impl GrantWire {
    fn of(grant: &Grant) -> Self {
        Self {
            id: Text(grant.id),
            decision: Text(grant.decision),
            agent: Text(grant.agent.clone()),
            instance: Text(grant.instance.clone()),
            key_thumbprint: Text(grant.key_thumbprint.clone()),
            key_binding: grant.key_binding,
            identity: grant.identity.as_ref().map(|(subject, method)| (subject.into(), (*method).into())),
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
        }
    }

    fn grant(self) -> Grant {
        Grant {
            id: self.id.0,
            decision: self.decision.0,
            agent: self.agent.0,
            instance: self.instance.0,
            key_thumbprint: self.key_thumbprint.0,
            key_binding: self.key_binding,
            identity: self.identity.map(|(subject, method)| (subject.into(), method.into())),
            revocations: self.revocations,
            behalf: self.behalf.map(|wire| GrantBehalf {
                user: wire.user.0,
                hops: wire.hops.into_iter().map(|(id, agent)| (id.0, agent.0)).collect(),
            }),
            policies: self.policies.into_iter().map(|(id, version)| (id.0, version)).collect(),
            resource_server: self.resource_server.0,
            audience: self.audience.0,
            action: self.action.0,
            resource: self.resource.0,
            arguments_digest: self.arguments_digest.0,
            purpose: self.purpose.0,
            session: self.session.map(|session| session.0),
            issued_at: TimeMs(self.issued_at_ms),
            expires_at: TimeMs(self.expires_at_ms),
            uses_max: self.uses_max,
            signed_by: self.signed_by.0,
        }
    }
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
