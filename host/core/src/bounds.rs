//! The bounds: what no policy can lift. They are checked before any policy runs.

use crate::agent::{Agent, AgentKey, AgentState, UserPresence};
use crate::counter::{CounterScope, CounterSubject};
use crate::id::KeyThumbprint;
use crate::reason::HostReason;
use crate::request::Request;
use crate::resource_server::ResourceServer;
use crate::terms::Terms;
use crate::time::TimeMs;

/// What the host allows at the very most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BoundsLimits {
    /// The longest that any grant lives, in milliseconds.
    pub grant_ms_max: u64,
    /// The most uses that any grant has.
    pub uses_max: u32,
}

impl Default for BoundsLimits {
    fn default() -> Self {
        Self { grant_ms_max: 60_000, uses_max: 1_000 }
    }
}

/// A request that is within the bounds of the agent that makes it. Only [`check`] makes one, and
/// [`fn@crate::decide`] takes nothing else.
#[derive(Debug, Clone, Copy)]
pub struct WithinBounds<'a> {
    agent: &'a Agent,
    key: &'a AgentKey,
    request: &'a Request,
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
    pub const fn key(&self) -> &'a AgentKey {
        self.key
    }

    /// For what.
    #[must_use]
    pub const fn request(&self) -> &'a Request {
        self.request
    }

    /// Who would accept the credential.
    #[must_use]
    pub const fn resource_server(&self) -> &'a ResourceServer {
        self.resource_server
    }

    /// Whether the agent acts for a user. Nobody does yet: what is pursued for one is out of bounds.
    #[must_use]
    pub const fn user(&self) -> UserPresence {
        UserPresence::WithoutUser
    }

    /// When.
    #[must_use]
    pub const fn now(&self) -> TimeMs {
        self.now
    }

    /// Whom a counter of this scope counts for. Nobody can act for a user yet, so there is neither a user
    /// nor a delegation, and no session that anybody but the agent vouches for.
    #[must_use]
    pub fn counter_subject(&self, scope: CounterScope) -> Option<CounterSubject> {
        scope.subject_of(self.agent, None, &[])
    }

    /// The widest terms that there are for this request: the host's, the agent's and the key's.
    #[must_use]
    pub fn widest_terms(&self) -> Terms {
        let grant_ms_max =
            self.limits.grant_ms_max.min(self.agent.grant_ms_max).min(self.key.expires_at.ms_since(self.now));
        Terms::new(grant_ms_max, self.limits.uses_max)
    }
}

/// Check a request against all that does not depend on policies. `resource_server` is the one that is
/// registered for the type of the request's resource, if there is one.
///
/// # Errors
///
/// The first bound that is passed, in the order of [`HostReason`].
pub fn check<'a>(
    agent: &'a Agent,
    signed_by: &KeyThumbprint,
    request: &'a Request,
    resource_server: Option<&'a ResourceServer>,
    now: TimeMs,
    limits: BoundsLimits,
) -> Result<WithinBounds<'a>, HostReason> {
    match agent.state {
        AgentState::Active => {}
        AgentState::Suspended => return Err(HostReason::AgentSuspended),
        AgentState::Retired => return Err(HostReason::AgentRetired),
    }
    let key = agent.key(signed_by).filter(|key| now < key.expires_at).ok_or(HostReason::KeyExpired)?;
    let ceiling = agent.ceiling.purpose(&request.purpose).ok_or(HostReason::PurposeNotRegistered)?;
    // Requests carry no user yet, so a purpose that is pursued for one cannot be pursued at all.
    if ceiling.user == UserPresence::WithUser {
        return Err(HostReason::PurposeNeedsUser);
    }
    if !ceiling.permissions.iter().any(|permission| permission.covers(&request.action, &request.resource)) {
        return Err(HostReason::OutsideCeiling);
    }
    let resource_server = resource_server
        .filter(|server| server.resource_types.contains(&request.resource.resource_type()))
        .ok_or(HostReason::ResourceTypeUnknown)?;
    Ok(WithinBounds { agent, key, request, resource_server, now, limits })
}

#[cfg(test)]
#[path = "bounds_tests.rs"]
pub(crate) mod tests;
