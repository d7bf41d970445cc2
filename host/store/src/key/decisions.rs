//! Keys of what was decided, and of grants that came of it.

use attorn_core::{AgentId, DecisionId, Digest, GrantId};

use super::{Key, KeyKind};

impl Key {
    /// A grant's record.
    #[must_use]
    pub fn grant(id: &GrantId) -> Self {
        Self::of(KeyKind::Grant, &[&id.to_string()])
    }

    /// How often a grant has been used: a counter.
    #[must_use]
    pub fn grant_uses(id: &GrantId) -> Self {
        Self::of(KeyKind::GrantUses, &[&id.to_string()])
    }

    /// How many of a grant's uses were given back: a counter.
    #[must_use]
    pub fn grant_releases(id: &GrantId) -> Self {
        Self::of(KeyKind::GrantReleases, &[&id.to_string()])
    }

    /// What came of one use of a grant.
    #[must_use]
    pub fn grant_effect(id: &GrantId, use_number: u32) -> Self {
        Self::of(KeyKind::GrantEffect, &[&id.to_string(), &format!("{use_number:08x}")])
    }

    /// A decision's full record.
    #[must_use]
    pub fn decision(id: &DecisionId) -> Self {
        Self::of(KeyKind::Decision, &[&id.to_string()])
    }

    /// The decision that this key names, if it is the key of a decision's record.
    #[must_use]
    pub fn named_decision(&self) -> Option<DecisionId> {
        (self.kind()? == KeyKind::Decision).then(|| self.last_segment()?.parse().ok()).flatten()
    }

    /// The answer that an agent got for an idempotency key, of which this is the keyed hash.
    #[must_use]
    pub fn idempotency(agent: &AgentId, key_digest: &Digest) -> Self {
        Self::of(KeyKind::Idempotency, &[agent.as_str(), &key_digest.to_string()])
    }
}
