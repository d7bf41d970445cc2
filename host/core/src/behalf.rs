//! On whose behalf an agent acts: a user, and the chain of delegations from them to the agent.
//!
//! [`Behalf::check`] is invariant 4 of the design, every hop narrows: it looks at every hop as it stands
//! now, and at nothing else. Who reads the records, and which versions a commit names, is not known here.

use crate::agent::{Agent, AgentState, UserPresence};
use crate::context::{Delegation, User};
use crate::id::{AgentId, DelegationId, UserId};
use crate::permission::Permission;
use crate::reason::HostReason;
use crate::request::Request;
use crate::time::TimeMs;

/// Whom a delegation is from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Delegator {
    /// A user; chains start here.
    User(UserId),
    /// An agent, which offered it out of what was delegated to it.
    Agent(AgentId),
}

/// One delegation of a chain and the agent that received it, both as they stand now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop {
    /// What was delegated, as policies see it.
    pub delegation: Delegation,
    /// Whom it is from.
    pub from: Delegator,
    /// The delegation out of which it was offered; none for the first of a chain.
    pub parent: Option<DelegationId>,
    /// Whether the agent that received it has said yes to it.
    pub accepted: bool,
    /// Whether it was revoked.
    pub revoked: bool,
    /// How often the agent had been suspended or retired when it received this. Resuming does not bring back
    /// what was delegated before.
    pub revocations: u64,
    /// The agent that received it.
    pub agent: Agent,
}

/// Whether what a chain hangs on beside its hops still stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Roots {
    /// Whether the provider that vouched for the user is trusted.
    pub provider_trusted: bool,
    /// Whether what the user delegated, all of it or all of it to an agent of the chain, was revoked since a
    /// delegation of the chain was made.
    pub user_revoked: bool,
    /// Whether the session has ended.
    pub session_ended: bool,
}

/// A user, and how their right came to the agent that acts. As it stands now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behalf {
    /// The user.
    pub user: User,
    /// What the chain hangs on beside its hops.
    pub roots: Roots,
    /// From the user to the agent that acts.
    pub hops: Vec<Hop>,
    /// What the user may do themselves: patterns that were resolved for them, and rights of groups that were
    /// asserted lately.
    pub entitlements: Vec<Permission>,
}

impl Behalf {
    /// Check that this request of this agent is within every hop, and that every hop stands.
    ///
    /// # Errors
    ///
    /// The first of these that does not hold: the form of the chain; what it hangs on; each hop, from the
    /// user on; what the request states; the ceiling of each agent; each delegation; the user's own rights.
    pub fn check(
        &self,
        agent: &AgentId,
        user: Option<&UserId>,
        request: &Request,
        now: TimeMs,
        hops_max: usize,
    ) -> Result<(), HostReason> {
        self.standing(agent, now, hops_max)?;
        if user.is_some_and(|user| *user != self.user.id) {
            return Err(HostReason::UserMismatch);
        }
        let covers = |permission: &Permission| permission.covers(&request.action, &request.resource);
        for hop in &self.hops {
            if hop.delegation.purpose != request.purpose {
                return Err(HostReason::PurposeMismatch);
            }
            if request.session.as_ref() != Some(&hop.delegation.session) {
                return Err(HostReason::SessionMismatch);
            }
        }
        for hop in &self.hops {
            let ceiling = hop.agent.ceiling.purpose(&request.purpose).ok_or(HostReason::PurposeNotRegistered)?;
            if ceiling.user != UserPresence::WithUser {
                return Err(HostReason::PurposeWithoutUser);
            }
            if !ceiling.permissions.iter().any(covers) {
                return Err(HostReason::OutsideCeiling);
            }
        }
        if !self.hops.iter().all(|hop| hop.delegation.permissions.iter().any(covers)) {
            return Err(HostReason::OutsideDelegation);
        }
        if !self.entitlements.iter().any(covers) {
            return Err(HostReason::NotEntitled);
        }
        Ok(())
    }

    /// Check that the chain leads to this agent and stands, whatever is asked by it.
    ///
    /// # Errors
    ///
    /// The first of these that does not hold: the form of the chain; what it hangs on; each hop, from the user on.
    pub fn standing(&self, agent: &AgentId, now: TimeMs, hops_max: usize) -> Result<(), HostReason> {
        self.check_form(agent, hops_max)?;
        self.check_roots()?;
        self.hops.iter().try_for_each(|hop| hop.check_standing(now))
    }

    /// Each hop is from whom the one before it is to, the first from the user, the last to the agent; nobody
    /// stands in it twice.
    fn check_form(&self, agent: &AgentId, hops_max: usize) -> Result<(), HostReason> {
        if self.hops.len() > hops_max {
            return Err(HostReason::ChainTooDeep);
        }
        let mut before: Option<&Hop> = None;
        for (at, hop) in self.hops.iter().enumerate() {
            let (from, parent) = match before {
                None => (Delegator::User(self.user.id.clone()), None),
                Some(before) => {
                    (Delegator::Agent(before.delegation.to_agent.clone()), Some(before.delegation.id.clone()))
                }
            };
            if hop.from != from || hop.parent != parent || hop.agent.id != hop.delegation.to_agent {
                return Err(HostReason::ChainBroken);
            }
            if self.hops[..at].iter().any(|other| other.agent.id == hop.agent.id) {
                return Err(HostReason::ChainLoop);
            }
            before = Some(hop);
        }
        // A delegation to another agent looks like none.
        match before {
            Some(last) if last.delegation.to_agent == *agent => Ok(()),
            _ => Err(HostReason::DelegationUnknown),
        }
    }

    fn check_roots(&self) -> Result<(), HostReason> {
        let Roots { provider_trusted, user_revoked, session_ended } = self.roots;
        if !provider_trusted {
            return Err(HostReason::ProviderRevoked);
        }
        if user_revoked {
            return Err(HostReason::DelegationRevoked);
        }
        if session_ended {
            return Err(HostReason::SessionEnded);
        }
        Ok(())
    }

    /// The delegations, from the user on.
    pub fn delegations(&self) -> impl Iterator<Item = &Delegation> {
        self.hops.iter().map(|hop| &hop.delegation)
    }

    /// When the first of its delegations ends.
    #[must_use]
    pub fn expires_at(&self) -> Option<TimeMs> {
        self.delegations().map(|delegation| delegation.expires_at).min()
    }

    /// The longest that a grant may live, as all agents of the chain are registered, in milliseconds.
    #[must_use]
    pub fn grant_ms_max(&self) -> Option<u64> {
        self.hops.iter().map(|hop| hop.agent.grant_ms_max).min()
    }
}

impl Hop {
    fn check_standing(&self, now: TimeMs) -> Result<(), HostReason> {
        if self.revoked {
            return Err(HostReason::DelegationRevoked);
        }
        if !self.accepted {
            return Err(HostReason::DelegationNotAccepted);
        }
        // A clock that went back brings nothing into force that was not there yet.
        if now < self.delegation.created_at || self.delegation.expires_at <= now {
            return Err(HostReason::DelegationExpired);
        }
        if self.agent.state != AgentState::Active {
            return Err(HostReason::ChainAgentInactive);
        }
        if self.agent.revocations != self.revocations {
            return Err(HostReason::DelegationRevoked);
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "behalf_tests.rs"]
mod tests;
