//! What many keys begin with: all of one kind, or of one kind and owner.

use attorn_core::{AgentId, DelegationId, FactPrefix, GrantId, PolicyId, ProviderId, TargetId, UserId};

use super::{Key, KeyKind, KeyPurpose, SEPARATOR};

/// All keys of one kind, or of one kind and owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPrefix(Vec<u8>);

impl KeyPrefix {
    /// All keys of one kind.
    #[must_use]
    pub fn kind(kind: KeyKind) -> Self {
        // A key without segments is the kind's name alone, and no kind's name begins with another's
        // and a zero byte; the singletons need no scan.
        Self::under(&Key::of(kind, &[]))
    }

    /// All versions of a policy.
    #[must_use]
    pub fn policy_versions(policy: &PolicyId) -> Self {
        Self::under(&Key::of(KeyKind::PolicyVersion, &[policy.as_str()]))
    }

    /// All delegations from a user.
    #[must_use]
    pub fn user_delegations(user: &UserId) -> Self {
        Self::under(&Key::of(KeyKind::UserDelegation, &[user.as_str()]))
    }

    /// All delegations to an agent.
    #[must_use]
    pub fn agent_delegations(agent: &AgentId) -> Self {
        Self::under(&Key::of(KeyKind::AgentDelegation, &[agent.as_str()]))
    }

    /// All delegations that were given out of another.
    #[must_use]
    pub fn child_delegations(parent: &DelegationId) -> Self {
        Self::under(&Key::of(KeyKind::ChildDelegation, &[parent.as_str()]))
    }

    /// All facts whose names begin so.
    #[must_use]
    pub fn facts(prefix: &FactPrefix) -> Self {
        let mut all = Self::kind(KeyKind::Fact);
        all.0.extend_from_slice(prefix.as_str().as_bytes());
        all
    }

    /// All approvals that count among those that an agent may have waiting at once for a user, or for none.
    #[must_use]
    pub fn open_approvals(agent: &AgentId, user: Option<&UserId>) -> Self {
        Self::under(&Key::of(KeyKind::OpenApproval, &[agent.as_str(), user.map_or("", UserId::as_str)]))
    }

    /// All leases of a grant.
    #[must_use]
    pub fn grant_leases(id: &GrantId) -> Self {
        Self::under(&Key::of(KeyKind::GrantLease, &[&id.to_string()]))
    }

    /// All leases of a target that have not ended.
    #[must_use]
    pub fn open_leases(target: &TargetId) -> Self {
        Self::under(&Key::of(KeyKind::OpenLease, &[target.as_str()]))
    }

    /// When something is to be done about leases of a target, the earliest first.
    #[must_use]
    pub fn leases_due(target: &TargetId) -> Self {
        Self::under(&Key::of(KeyKind::LeaseDue, &[target.as_str()]))
    }

    /// When something is to be done about prompts at a provider, the earliest first.
    #[must_use]
    pub fn prompts_due(provider: &ProviderId) -> Self {
        Self::under(&Key::of(KeyKind::PromptDue, &[provider.as_str()]))
    }

    /// What came of all uses of a grant.
    #[must_use]
    pub fn grant_effects(id: &GrantId) -> Self {
        Self::under(&Key::of(KeyKind::GrantEffect, &[&id.to_string()]))
    }

    /// All wrapped keys of one purpose.
    #[must_use]
    pub fn key_material(purpose: KeyPurpose) -> Self {
        Self::under(&Key::of(KeyKind::KeyMaterial, &[purpose.as_str()]))
    }

    /// All keys.
    pub(crate) const fn everything() -> Self {
        Self(Vec::new())
    }

    fn under(key: &Key) -> Self {
        let mut bytes = key.0.to_vec();
        bytes.push(SEPARATOR);
        Self(bytes)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// What stands after all keys that begin so: such a prefix ends in a separator, after which nothing else comes.
    pub(crate) fn end(&self) -> Vec<u8> {
        let mut end = self.0.clone();
        if let Some(last) = end.last_mut() {
            *last += 1;
        }
        end
    }
}
