//! Keys of targets and of what was made there: leases, and when they are due.

use attorn_core::{AgentId, GrantId, LeaseId, ResourceType, TargetId, TimeMs};

use super::{Key, KeyKind, SEPARATOR, hex_time};

impl Key {
    /// That a lease is a grant's. Its value is empty.
    #[must_use]
    pub fn grant_lease(grant: &GrantId, id: &LeaseId) -> Self {
        Self::of(KeyKind::GrantLease, &[&grant.to_string(), &id.to_string()])
    }

    /// A lease's record.
    #[must_use]
    pub fn lease(id: &LeaseId) -> Self {
        Self::of(KeyKind::Lease, &[&id.to_string()])
    }

    /// When something is to be done about a lease of a target's. Its value is empty; see [`Self::lease_that_is_due`].
    #[must_use]
    pub fn lease_due(target: &TargetId, at: TimeMs, id: &LeaseId) -> Self {
        Self::of(KeyKind::LeaseDue, &[target.as_str(), &hex_time(at), &id.to_string()])
    }

    /// Which lease is due, and when, if this is a key made by [`Self::lease_due`].
    #[must_use]
    pub fn lease_that_is_due(&self) -> Option<(TimeMs, LeaseId)> {
        let mut segments = self.0.split(|&byte| byte == SEPARATOR);
        if segments.next() != Some(KeyKind::LeaseDue.as_str().as_bytes()) {
            return None;
        }
        let at = u64::from_str_radix(std::str::from_utf8(segments.nth(1)?).ok()?, 16).ok()?;
        Some((TimeMs(at), self.last_segment()?.parse().ok()?))
    }

    /// That a lease of a target's has not ended. Its value is empty.
    #[must_use]
    pub fn open_lease(target: &TargetId, id: &LeaseId) -> Self {
        Self::of(KeyKind::OpenLease, &[target.as_str(), &id.to_string()])
    }

    /// The lease that this key names: its own, or a row's in one of the indexes.
    #[must_use]
    pub fn named_lease(&self) -> Option<LeaseId> {
        let names =
            matches!(self.kind()?, KeyKind::Lease | KeyKind::LeaseDue | KeyKind::GrantLease | KeyKind::OpenLease);
        names.then(|| self.last_segment()?.parse().ok()).flatten()
    }

    /// How many leases of a target's have not ended: a counter.
    #[must_use]
    pub fn open_leases(target: &TargetId) -> Self {
        Self::of(KeyKind::OpenLeases, &[target.as_str()])
    }

    /// How many of them an agent holds: a counter.
    #[must_use]
    pub fn agent_leases(target: &TargetId, agent: &AgentId) -> Self {
        Self::of(KeyKind::AgentLeases, &[target.as_str(), agent.as_str()])
    }

    /// A target's record.
    #[must_use]
    pub fn target(id: &TargetId) -> Self {
        Self::of(KeyKind::Target, &[id.as_str()])
    }

    /// Which target a type of resource is tied to.
    #[must_use]
    pub fn target_type(resource_type: &ResourceType) -> Self {
        Self::of(KeyKind::TargetType, &[resource_type.as_str()])
    }
}
