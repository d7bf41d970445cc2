//! The bounds: what no policy can lift. They are checked before any policy runs.

use crate::agent::{Agent, AgentState, UserPresence};
use crate::behalf::Behalf;
use crate::counter::{CounterScope, CounterSubject};
use crate::holder::Holder;
use crate::id::UserId;
use crate::reason::HostReason;
use crate::request::Request;
use crate::resource_server::{ResourceServer, UseCounting};
use crate::terms::Terms;
use crate::time::TimeMs;

/// What the host allows at the very most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BoundsLimits {
    /// The longest that any grant lives, in milliseconds.
    pub grant_ms_max: u64,
    /// The most uses that any grant has.
    pub uses_max: u32,
    /// The most delegations in a row.
    pub hops_max: usize,
}

impl Default for BoundsLimits {
    fn default() -> Self {
        Self { grant_ms_max: 60_000, uses_max: 1_000, hops_max: 4 }
    }
}

/// A request, and all that it is checked against, as it stands now.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// Who asks.
    pub agent: &'a Agent,
    /// By which key; none if the agent does not have that key any more.
    pub holder: Option<&'a Holder>,
    /// For what.
    pub request: &'a Request,
    /// The user that the request names, if it names one.
    pub user: Option<&'a UserId>,
    /// On whose behalf; none for what the agent does on its own authority.
    pub behalf: Option<&'a Behalf>,
    /// The resource server that is registered for the type of the request's resource, if there is one.
    pub resource_server: Option<&'a ResourceServer>,
    /// When.
    pub now: TimeMs,
}

/// A request that is within the bounds of the agent that makes it, and of all on whose behalf it does. Only
/// [`check`] makes one, and [`fn@crate::decide`] takes nothing else.
#[derive(Debug, Clone, Copy)]
pub struct WithinBounds<'a> {
    agent: &'a Agent,
    holder: &'a Holder,
    request: &'a Request,
    behalf: Option<&'a Behalf>,
    resource_server: &'a ResourceServer,
    now: TimeMs,
    limits: BoundsLimits,
}

impl<'a> WithinBounds<'a> {
    /// Who asks.
    #[must_use]
    pub const fn agent(&self) -> &'a Agent {
        self.agent
    }

    /// By which key.
    #[must_use]
    pub const fn holder(&self) -> &'a Holder {
        self.holder
    }

    /// For what.
    #[must_use]
    pub const fn request(&self) -> &'a Request {
        self.request
    }

    /// On whose behalf; none for what the agent does on its own authority.
    #[must_use]
    pub const fn behalf(&self) -> Option<&'a Behalf> {
        self.behalf
    }

    /// Who would accept the credential.
    #[must_use]
    pub const fn resource_server(&self) -> &'a ResourceServer {
        self.resource_server
    }

    /// Whether the agent acts for a user.
    #[must_use]
    pub const fn user(&self) -> UserPresence {
        match self.behalf {
            Some(_) => UserPresence::WithUser,
            None => UserPresence::WithoutUser,
        }
    }

    /// When.
    #[must_use]
    pub const fn now(&self) -> TimeMs {
        self.now
    }

    /// Whom a counter of this scope counts for; none if somebody is missing. A session that nobody but the
    /// agent vouches for is none.
    #[must_use]
    pub fn counter_subject(&self, scope: CounterScope) -> Option<CounterSubject> {
        let root = self.behalf.and_then(|behalf| behalf.delegations().next());
        scope.subject_of(self.agent, self.behalf.map(|behalf| &behalf.user), root)
    }

    /// The widest terms that there are for this request: the host's, those of every agent and delegation, the
    /// key's, and what the resource server can count.
    #[must_use]
    pub fn widest_terms(&self) -> Terms {
        let mut grant_ms_max =
            self.limits.grant_ms_max.min(self.agent.grant_ms_max).min(self.holder.expires_at.ms_since(self.now));
        if let Some(behalf) = self.behalf {
            grant_ms_max = grant_ms_max
                .min(behalf.grant_ms_max().unwrap_or(0))
                .min(behalf.expires_at().map_or(0, |at| at.ms_since(self.now)));
        }
        let uses_max = match self.resource_server.counts_uses {
            UseCounting::Reports => self.limits.uses_max,
            // Whoever only remembers what was used cannot count further than to one.
            UseCounting::Remembers | UseCounting::No => self.limits.uses_max.min(1),
        };
        Terms::new(grant_ms_max, uses_max)
    }
}

/// Check a request against all that does not depend on policies.
///
/// # Errors
///
/// The first bound that is passed: the agent and its key, the chain of delegations, the purpose, the
/// ceilings, and what else [`Behalf::check`] names.
pub fn check(situation: Situation<'_>, limits: BoundsLimits) -> Result<WithinBounds<'_>, HostReason> {
    let Situation { agent, holder, request, user, behalf, resource_server, now } = situation;
    match agent.state {
        AgentState::Active => {}
        AgentState::Suspended => return Err(HostReason::AgentSuspended),
        AgentState::Retired => return Err(HostReason::AgentRetired),
    }
    let holder = holder.filter(|holder| now < holder.expires_at).ok_or(HostReason::KeyExpired)?;
    match behalf {
        Some(behalf) => behalf.check(&agent.id, user, request, now, limits.hops_max)?,
        None => check_alone(agent, user, request)?,
    }
    let resource_server = resource_server
        .filter(|server| server.resource_types.contains(&request.resource.resource_type()))
        .ok_or(HostReason::ResourceTypeUnknown)?;
    // A grant has so many uses and no more. Where nobody counts them, there is none.
    if resource_server.counts_uses == UseCounting::No {
        return Err(HostReason::UsesNotCounted);
    }
    Ok(WithinBounds { agent, holder, request, behalf, resource_server, now, limits })
}

/// What an agent does on its own authority. INVARIANT: a purpose is pursued either with a user or without,
/// so that no agent gains rights by dropping its user.
fn check_alone(agent: &Agent, user: Option<&UserId>, request: &Request) -> Result<(), HostReason> {
    let ceiling = agent.ceiling.purpose(&request.purpose).ok_or(HostReason::PurposeNotRegistered)?;
    if ceiling.user == UserPresence::WithUser {
        return Err(HostReason::PurposeNeedsUser);
    }
    if user.is_some() {
        return Err(HostReason::DelegationUnknown);
    }
    if !ceiling.permissions.iter().any(|permission| permission.covers(&request.action, &request.resource)) {
        return Err(HostReason::OutsideCeiling);
    }
    Ok(())
}

#[cfg(test)]
#[path = "bounds_tests.rs"]
pub(crate) mod tests;
