//! The set of policies that is in force.

use attorn_core::{Digest, PolicyId};
use serde::{Deserialize, Serialize};

use super::codec::{self, Record, RecordError, Text};
use crate::key::Key;

/// The policies in force, as a whole. Which version of each is in force stands in its
/// [`super::PolicyRecord`]; the digest says whether both agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActiveSetRecord {
    /// How often the set was changed.
    pub revision: u64,
    /// How many policies are in force.
    pub policies: u32,
    /// What the set is, whatever its revision: BLAKE3 with the context `attorn active set v1` over the
    /// canonical JSON (RFC 8785) of its members.
    pub digest: Digest,
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
    ///
    /// # Errors
    ///
    /// [`DuplicateMember`] if a policy stands in it twice.
    pub fn of(revision: u64, mut members: Vec<ActiveMember>) -> Result<Self, DuplicateMember> {
        members.sort();
        if let Some(pair) = members.windows(2).find(|pair| pair[0].policy == pair[1].policy) {
            return Err(DuplicateMember(pair[0].policy.clone()));
        }
        let wire: Vec<_> = members.iter().map(MemberWire::from).collect();
        let digest = codec::hash("attorn active set v1", &wire);
        Ok(Self { revision, policies: u32::try_from(members.len()).unwrap_or(u32::MAX), digest })
    }
}

impl Record for ActiveSetRecord {
    fn key(&self) -> Key {
        Key::active_set()
    }

    fn encode(&self) -> Vec<u8> {
        let Self { revision, policies, digest } = *self;
        codec::encode(&ActiveSetWire { revision, policies, digest: Text(digest) })
    }

    fn decode(key: &Key, stored: &[u8]) -> Result<Self, RecordError> {
        codec::decode(key, stored, |wire: ActiveSetWire| {
            Ok(Self { revision: wire.revision, policies: wire.policies, digest: wire.digest.0 })
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ActiveSetWire {
    revision: u64,
    policies: u32,
    digest: Text<Digest>,
}

/// Fields in the order of their names: this is hashed.
#[derive(Serialize)]
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
