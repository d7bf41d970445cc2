//! Agents and the most that they may ever do.

use std::collections::BTreeMap;

use crate::id::{AgentId, InstanceName, KeyThumbprint, LabelName, Owner, Purpose};
use crate::identity::{Identity, IdentityMethod, IdentitySubject};
use crate::permission::Permission;
use crate::time::TimeMs;

/// A registered workload. Everything in it was set by a registrar; the agent itself is the adversary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// Its id.
    pub id: AgentId,
    /// Who answers for it.
    pub owner: Owner,
    /// Labels, for selectors and policies.
    pub labels: BTreeMap<LabelName, String>,
    /// Whether it may act.
    pub state: AgentState,
    /// The most that it may ever do.
    pub ceiling: Ceiling,
    /// The longest that a grant of its may live, in milliseconds.
    pub grant_ms_max: u64,
    /// Its keys, one for each instance.
    pub keys: Vec<AgentKey>,
    /// How often it was suspended or retired. What it was granted or given before the latest of these does
    /// not count any more, also after it was resumed.
    pub revocations: u64,
    /// Identities that others vouch for, beside its keys.
    pub identities: Vec<Identity>,
}

impl Agent {
    /// The key with this thumbprint, if the agent has it.
    #[must_use]
    pub fn key(&self, thumbprint: &KeyThumbprint) -> Option<&AgentKey> {
        self.keys.iter().find(|key| key.thumbprint == *thumbprint)
    }

    /// The identity of this subject, if the agent has it and it may be shown so.
    #[must_use]
    pub fn identity(&self, subject: &IdentitySubject, method: IdentityMethod) -> Option<&Identity> {
        self.identities.iter().find(|identity| identity.subject == *subject && identity.methods.contains(&method))
    }
}

/// One public key of an agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentKey {
    /// The key's RFC 7638 thumbprint. No two agents share one.
    pub thumbprint: KeyThumbprint,
    /// Who holds it.
    pub instance: InstanceName,
    /// From when on it is not accepted any more.
    pub expires_at: TimeMs,
}

/// Whether an agent may act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgentState {
    /// It may.
    Active,
    /// Not until an operator resumes it.
    Suspended,
    /// Never again. Its id stays taken.
    Retired,
}

/// The most that an agent may ever do: for each purpose its permissions. What is not in it is denied
/// before any policy is asked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ceiling(BTreeMap<Purpose, PurposeCeiling>);

impl Ceiling {
    /// A ceiling of these purposes.
    #[must_use]
    pub const fn new(purposes: BTreeMap<Purpose, PurposeCeiling>) -> Self {
        Self(purposes)
    }

    /// What stands for this purpose.
    #[must_use]
    pub fn purpose(&self, purpose: &Purpose) -> Option<&PurposeCeiling> {
        self.0.get(purpose)
    }

    /// All purposes, by name.
    pub fn purposes(&self) -> impl Iterator<Item = (&Purpose, &PurposeCeiling)> {
        self.0.iter()
    }
}

/// What an agent may do for one purpose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PurposeCeiling {
    /// Whether there has to be a user. An agent cannot drop its user to gain rights.
    pub user: UserPresence,
    /// What it may do.
    pub permissions: Vec<Permission>,
}

/// Whether a purpose is pursued for a user or on the agent's own authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserPresence {
    /// Only on behalf of a user.
    WithUser,
    /// Only on its own authority.
    WithoutUser,
}
