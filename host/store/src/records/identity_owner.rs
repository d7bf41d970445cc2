//! Whose an identity is, and how identities are written.

use std::collections::BTreeSet;

use attorn_core::{
    AgentId, Digest, Identity, IdentityMethod, IdentitySubject, InstanceName, Issuer, OperatorId, SpiffeId,
    WorkloadSubject,
};
use serde::{Deserialize, Serialize};

use super::codec::{self, Record, RecordError, Text};
use crate::key::Key;

/// The digest stands in a key, and its context keeps it apart from every other use of BLAKE3.
const DIGEST_CONTEXT: &str = "attorn identity subject v1";

/// Whose an identity is. There is one for each, so that no two agents share one. It stays when the agent
/// loses the identity: nobody else takes over what the name meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityOwnerRecord {
    /// Which identity.
    pub subject: IdentitySubject,
    /// Whose it is.
    pub agent: AgentId,
    /// The operator who made it that agent's last; none of one from before that was kept.
    pub registrar: Option<OperatorId>,
}

impl IdentityOwnerRecord {
    /// The digest of a subject, which stands in its key: a subject may be longer than a key.
    #[must_use]
    pub fn digest_of(subject: &IdentitySubject) -> Digest {
        codec::hash(DIGEST_CONTEXT, &SubjectWire::from(subject))
    }

    /// Where the owner of a subject is stored.
    #[must_use]
    pub fn key_of(subject: &IdentitySubject) -> Key {
        Key::identity_owner(&Self::digest_of(subject))
    }
}

impl Record for IdentityOwnerRecord {
    fn key(&self) -> Key {
        Self::key_of(&self.subject)
    }

    fn encode(&self) -> Vec<u8> {
        codec::encode(&IdentityOwnerWire {
            subject: (&self.subject).into(),
            agent: Text(self.agent.clone()),
            registrar: self.registrar.clone().map(Text),
        })
    }

    fn decode(key: &Key, stored: &[u8]) -> Result<Self, RecordError> {
        codec::decode(key, stored, |wire: IdentityOwnerWire| {
            let registrar = wire.registrar.map(|registrar| registrar.0);
            Ok(Self { subject: wire.subject.into(), agent: wire.agent.0, registrar })
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct IdentityOwnerWire {
    subject: SubjectWire,
    agent: Text<AgentId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    registrar: Option<Text<OperatorId>>,
}

/// An identity as it stands in an agent's record.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IdentityWire {
    subject: SubjectWire,
    instance: Text<InstanceName>,
    methods: BTreeSet<MethodWire>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum SubjectWire {
    Spiffe(Text<SpiffeId>),
    /// Its fields stand in the order of their names: it is hashed as it is written.
    Workload {
        issuer: Text<Issuer>,
        subject: Text<WorkloadSubject>,
    },
}

#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "snake_case")]
pub(super) enum MethodWire {
    X509,
    Jwt,
}

impl From<&IdentitySubject> for SubjectWire {
    fn from(subject: &IdentitySubject) -> Self {
        match subject {
            IdentitySubject::Spiffe(id) => Self::Spiffe(Text(id.clone())),
            IdentitySubject::Workload { issuer, subject } => {
                Self::Workload { issuer: Text(issuer.clone()), subject: Text(subject.clone()) }
            }
        }
    }
}

impl From<SubjectWire> for IdentitySubject {
    fn from(wire: SubjectWire) -> Self {
        match wire {
            SubjectWire::Spiffe(id) => Self::Spiffe(id.0),
            SubjectWire::Workload { issuer, subject } => Self::Workload { issuer: issuer.0, subject: subject.0 },
        }
    }
}

impl From<IdentityMethod> for MethodWire {
    fn from(method: IdentityMethod) -> Self {
        match method {
            IdentityMethod::X509 => Self::X509,
            IdentityMethod::Jwt => Self::Jwt,
        }
    }
}

impl From<MethodWire> for IdentityMethod {
    fn from(wire: MethodWire) -> Self {
        match wire {
            MethodWire::X509 => Self::X509,
            MethodWire::Jwt => Self::Jwt,
        }
    }
}

impl From<&Identity> for IdentityWire {
    fn from(identity: &Identity) -> Self {
        Self {
            subject: (&identity.subject).into(),
            instance: Text(identity.instance.clone()),
            methods: identity.methods.iter().map(|method| (*method).into()).collect(),
        }
    }
}

impl From<IdentityWire> for Identity {
    fn from(wire: IdentityWire) -> Self {
        Self {
            subject: wire.subject.into(),
            instance: wire.instance.0,
            methods: wire.methods.into_iter().map(Into::into).collect(),
        }
    }
}
