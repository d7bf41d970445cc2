//! The set of policies that is in force.

use attorn_core::{Digest, PolicyId};
use serde::{Deserialize, Serialize};

use super::codec::{self, Record, RecordError, Text};
use crate::key::Key;

/// The policies in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveSetRecord {
    revision: u64,
    members: Vec<ActiveMember>,
    digest: Digest,
}

/// One policy in force.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ActiveMember {
    /// Which policy.
    pub policy: PolicyId,
    /// Which version of it.
    pub version: u32,
    /// That version's digest: see [`super::PolicyVersionRecord::digest`].
    pub digest: Digest,
}

/// The same policy cannot be in force in two versions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the policy `{0}` stands twice")]
pub struct DuplicateMember(pub PolicyId);

impl ActiveSetRecord {
    /// The set of these policies. Their order makes no difference.
    pub fn new(revision: u64, mut members: Vec<ActiveMember>) -> Result<Self, DuplicateMember> {
        members.sort();
        if let Some(pair) = members.windows(2).find(|pair| pair[0].policy == pair[1].policy) {
            return Err(DuplicateMember(pair[0].policy.clone()));
        }
        let wire: Vec<_> = members.iter().map(MemberWire::from).collect();
        let digest = codec::hash("attorn active set v1", &wire);
        Ok(Self { revision, members, digest })
    }

    /// How often the set was changed.
    #[must_use]
    pub const fn revision(&self) -> u64 {
        self.revision
    }

    /// The policies in force, by id.
    #[must_use]
    pub fn members(&self) -> &[ActiveMember] {
        &self.members
    }

    /// What the set is, whatever its revision: BLAKE3 with the context `attorn active set v1` over the
    /// canonical JSON of its members.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }
}

impl Record for ActiveSetRecord {
    fn key(&self) -> Key {
        Key::active_set()
    }

    fn encode(&self) -> Vec<u8> {
        codec::encode(&ActiveSetWire {
            revision: self.revision,
            members: self.members.iter().map(MemberWire::from).collect(),
            digest: Text(self.digest),
        })
    }

    fn decode(key: &Key, stored: &[u8]) -> Result<Self, RecordError> {
        codec::decode(key, stored, |wire: ActiveSetWire| {
            let member =
                |wire: MemberWire| ActiveMember { policy: wire.policy.0, version: wire.version, digest: wire.digest.0 };
            let members = wire.members.into_iter().map(member).collect();
            let set = Self::new(wire.revision, members).map_err(|error| error.to_string())?;
            if set.digest != wire.digest.0 {
                return Err(format!("its digest is not {}, the digest of its members", set.digest));
            }
            Ok(set)
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ActiveSetWire {
    revision: u64,
    members: Vec<MemberWire>,
    digest: Text<Digest>,
}

/// Fields in the order of their names: this is hashed.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MemberWire {
    digest: Text<Digest>,
    policy: Text<PolicyId>,
    version: u32,
}

impl From<&ActiveMember> for MemberWire {
    fn from(member: &ActiveMember) -> Self {
        Self { digest: Text(member.digest), policy: Text(member.policy.clone()), version: member.version }
    }
}
