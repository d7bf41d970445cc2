//! The recorded right that an allow yields.

use crate::behalf::Behalf;
use crate::bounds::WithinBounds;
use crate::decide::Allowed;
use crate::holder::KeyBinding;
use crate::id::{
    AgentId, Audience, DecisionId, DelegationId, Digest, GrantId, InstanceName, KeyThumbprint, PolicyId, Purpose,
    ResourceServerId, SessionId, UserId,
};
use crate::identity::{IdentityMethod, IdentitySubject};
use crate::permission::{Action, Resource};
use crate::time::TimeMs;

/// One holder's right to do one thing to one resource, for seconds, a counted number of times.
///
/// It becomes worth something only when it is durable together with its decision and its audit entry:
/// credentials are issued from what the store has recorded, not from this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Its id; also the `jti` of its credential.
    pub id: GrantId,
    /// The decision that it came of.
    pub decision: DecisionId,
    /// Who holds it.
    pub agent: AgentId,
    /// Which of the agent's instances.
    pub instance: InstanceName,
    /// The holder's key.
    pub key_thumbprint: KeyThumbprint,
    /// How that names the key.
    pub key_binding: KeyBinding,
    /// The identity that the holder showed, and how: the grant hangs on it, whatever it is bound to. None where a key is
    /// all that was shown.
    pub identity: Option<(IdentitySubject, IdentityMethod)>,
    /// How often the holder had been suspended or retired then: see [`crate::Agent::revocations`].
    pub revocations: u64,
    /// On whose behalf; none for what the agent does on its own authority.
    pub behalf: Option<GrantBehalf>,
    /// The versions of policies that allowed it. Who revokes one of them ends it.
    pub policies: Vec<(PolicyId, u32)>,
    /// Where it is accepted.
    pub resource_server: ResourceServerId,
    /// What that place answers to.
    pub audience: Audience,
    /// What may be done.
    pub action: Action,
    /// To what.
    pub resource: Resource,
    /// SHA-256 of the canonical arguments.
    pub arguments_digest: Digest,
    /// Why.
    pub purpose: Purpose,
    /// In which session.
    pub session: Option<SessionId>,
    /// From when on.
    pub issued_at: TimeMs,
    /// Until when; whole seconds, so that a token's `exp` says the same.
    pub expires_at: TimeMs,
    /// How often it may be used.
    pub uses_max: u32,
    /// Which of the server's keys signs its token: when that is lost, all that it signed ends.
    pub signed_by: KeyThumbprint,
}

/// On whose behalf a grant is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantBehalf {
    /// The user.
    pub user: UserId,
    /// From the user to the holder: each delegation, and the agent that received it.
    pub hops: Vec<(DelegationId, AgentId)>,
}

impl GrantBehalf {
    fn of(behalf: &Behalf) -> Self {
        let hop = |hop: &crate::context::Delegation| (hop.id.clone(), hop.to_agent.clone());
        Self { user: behalf.user.id.clone(), hops: behalf.delegations().map(hop).collect() }
    }
}

impl Grant {
    /// The grant that an allow yields. The ids are the caller's, drawn at random; so is the key that signs
    /// tokens now.
    #[must_use]
    pub fn of(
        allowed: &Allowed,
        bounds: &WithinBounds<'_>,
        (id, decision): (GrantId, DecisionId),
        policies: Vec<(PolicyId, u32)>,
        signed_by: KeyThumbprint,
    ) -> Self {
        let (request, server) = (bounds.request(), bounds.resource_server());
        Self {
            id,
            decision,
            agent: bounds.agent().id.clone(),
            instance: bounds.holder().instance.clone(),
            key_thumbprint: bounds.holder().thumbprint.clone(),
            key_binding: bounds.holder().binding,
            identity: bounds.holder().identity.clone(),
            revocations: bounds.agent().revocations,
            behalf: bounds.behalf().map(GrantBehalf::of),
            policies,
            resource_server: server.id.clone(),
            audience: server.audience.clone(),
            action: request.action.clone(),
            resource: request.resource.clone(),
            arguments_digest: request.arguments_digest,
            purpose: request.purpose.clone(),
            session: request.session.clone(),
            issued_at: bounds.now(),
            expires_at: allowed.expires_at(),
            uses_max: allowed.terms().uses_max,
            signed_by,
        }
    }
}
