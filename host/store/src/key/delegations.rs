//! Keys of delegations, and of the indexes by which they are found.

use attorn_core::{AgentId, DelegationId, Digest, UserId};

use super::{Key, KeyKind};

impl Key {
    /// A delegation's record.
    #[must_use]
    pub fn delegation(id: &DelegationId) -> Self {
        Self::of(KeyKind::Delegation, &[id.as_str()])
    }

    /// That a delegation is from a user, at whatever depth. Its value is empty.
    #[must_use]
    pub fn user_delegation(user: &UserId, id: &DelegationId) -> Self {
        Self::of(KeyKind::UserDelegation, &[user.as_str(), id.as_str()])
    }

    /// That a delegation is to an agent. Its value is empty.
    #[must_use]
    pub fn agent_delegation(agent: &AgentId, id: &DelegationId) -> Self {
        Self::of(KeyKind::AgentDelegation, &[agent.as_str(), id.as_str()])
    }

    /// That a delegation was given out of another. Its value is empty.
    #[must_use]
    pub fn child_delegation(parent: &DelegationId, id: &DelegationId) -> Self {
        Self::of(KeyKind::ChildDelegation, &[parent.as_str(), id.as_str()])
    }

    /// How many delegations are kept that this agent made of what this user delegated: a counter.
    #[must_use]
    pub fn kept_delegations(user: &UserId, made_by: &AgentId) -> Self {
        Self::of(KeyKind::KeptDelegations, &[user.as_str(), made_by.as_str()])
    }

    /// How many offers of what this user delegated, from one agent to another, that one has not answered: a counter.
    #[must_use]
    pub fn open_offers(user: &UserId, from: &AgentId, to: &AgentId) -> Self {
        Self::of(KeyKind::OpenOffers, &[user.as_str(), from.as_str(), to.as_str()])
    }

    /// The delegation that a token was exchanged for; the digest is over the token and all that was asked for.
    #[must_use]
    pub fn exchange(digest: &Digest) -> Self {
        Self::of(KeyKind::Exchange, &[&digest.to_string()])
    }

    /// The delegation that this key names: its own, or a row's in one of the indexes.
    #[must_use]
    pub fn named_delegation(&self) -> Option<DelegationId> {
        let names = matches!(
            self.kind()?,
            KeyKind::Delegation | KeyKind::UserDelegation | KeyKind::AgentDelegation | KeyKind::ChildDelegation
        );
        names.then(|| self.last_segment()?.parse().ok()).flatten()
    }
}
