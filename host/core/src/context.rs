//! Everything that one evaluation depends on. It mirrors the record `context` of the policy contract
//! (`wit/policy.wit`), where each field's unit and meaning stands.

use crate::agent::Agent;
use crate::approval::{Approver, ApproverRole, Met};
use crate::behalf::Behalf;
use crate::bounds::WithinBounds;
use crate::fact::{FactName, FactTemplate};
use crate::id::{
    AgentId, ApprovalId, DelegationId, Digest, InstanceName, Issuer, KeyThumbprint, Purpose, ReasonCode, SessionId,
    UserId,
};
use crate::permission::Permission;
use crate::request::{JsonText, Request};
use crate::target::WantedCredential;
use crate::time::TimeMs;

/// What the evaluation is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// A decision that takes effect.
    Decide,
    /// Which of many things would be allowed.
    List,
    /// What would be decided.
    Simulate,
}

/// How the caller proved who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthenticationMethod {
    /// A signed proof of possession bound to this very request.
    Dpop,
    /// The connection's client certificate.
    Mtls,
    /// A signed client assertion together with a proof: its own, or one that a trust domain or workload issuer made
    /// about it.
    PrivateKeyJwt,
    /// A registered enforcement point vouches for the agent.
    EnforcementPoint,
}

/// Who made the call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// How it proved who it is.
    pub method: AuthenticationMethod,
    /// The key that it proved possession of.
    pub key_thumbprint: KeyThumbprint,
}

/// The human on whose behalf the agent acts, as a trusted provider authenticated them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The host's opaque id.
    pub id: UserId,
    /// Who authenticated them.
    pub issuer: Issuer,
    /// When they last authenticated.
    pub authenticated_at: TimeMs,
    /// The authentication context class, if the provider said one.
    pub acr: Option<String>,
    /// The groups that they are in.
    pub groups: Vec<Group>,
    /// The claims that the provider's configuration lets through, one object.
    pub claims: JsonText,
}

/// A group of users, as its provider asserted it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Whose group it is.
    pub issuer: Issuer,
    /// Its name there.
    pub name: String,
    /// When it was asserted.
    pub asserted_at: TimeMs,
}

/// One hop from the user to the agent that acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delegation {
    /// Its id.
    pub id: DelegationId,
    /// Who received it.
    pub to_agent: AgentId,
    /// What was delegated.
    pub permissions: Vec<Permission>,
    /// What for.
    pub purpose: Purpose,
    /// In which session.
    pub session: SessionId,
    /// From when on.
    pub created_at: TimeMs,
    /// Until when.
    pub expires_at: TimeMs,
}

/// Somebody's yes to this very request under the policies that apply now, as the host has counted it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// What they were asked.
    pub id: ApprovalId,
    /// Who.
    pub approver: Approver,
    /// In which role: one that was asked for. Of somebody who counts in several there is one for each.
    pub role: ApproverRole,
    /// When.
    pub approved_at: TimeMs,
}

/// What the host looked up for one policy, because its requirements ask for it. No other policy sees it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Known {
    /// One for each template that the policy declared, in its order.
    pub facts: Vec<Fact>,
    /// One for each counter that the policy declared, in its order.
    pub counters: Vec<Counter>,
}

/// A fact that a policy asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// The template, as declared.
    pub template: FactTemplate,
    /// The name after the template was filled in.
    pub name: Option<FactName>,
    /// The value, if there is one.
    pub value: Option<JsonText>,
}

/// A counter as it stands when the policy is asked. Only a debit makes it binding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counter {
    /// Its name within the policy.
    pub name: ReasonCode,
    /// What has been debited in this window.
    pub used: u64,
    /// Where the window began.
    pub window_start: TimeMs,
    /// Where it ends; none for one that never does.
    pub window_end: Option<TimeMs>,
}

/// Everything that an evaluation depends on beside what the host looks up for each policy ([`Known`]).
/// Nobody speaks for a resource yet, so the contract's place for the enforcement point is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvaluationContext {
    /// What the evaluation is for.
    pub phase: Phase,
    /// The time of the decision.
    pub time: TimeMs,
    /// Who made the call.
    pub caller: Caller,
    /// Which of the agent's instances acts.
    pub instance: InstanceName,
    /// The agent that acts.
    pub agent: Agent,
    /// The user it acts for; none when it acts on its own authority.
    pub user: Option<User>,
    /// From the user to the agent that acts; empty when there is no user.
    pub delegations: Vec<Delegation>,
    /// What is wanted.
    pub request: Request,
    /// The credential that is asked for; none where that is a token.
    pub credential: Option<WantedCredential>,
    /// Who has approved it.
    pub approvals: Vec<Approval>,
}

impl EvaluationContext {
    /// The context of a request that is within its bounds.
    #[must_use]
    pub fn of_request(
        bounds: &WithinBounds<'_>,
        method: AuthenticationMethod,
        phase: Phase,
        credential: Option<WantedCredential>,
    ) -> Self {
        Self {
            phase,
            time: bounds.now(),
            caller: Caller { method, key_thumbprint: bounds.holder().thumbprint.clone() },
            instance: bounds.holder().instance.clone(),
            agent: bounds.agent().clone(),
            user: bounds.behalf().map(|behalf| behalf.user.clone()),
            delegations: bounds.behalf().into_iter().flat_map(Behalf::delegations).cloned().collect(),
            request: bounds.request().clone(),
            credential,
            approvals: Vec::new(),
        }
    }

    /// The same, with what was approved.
    #[must_use]
    pub fn approved(self, met: &Met) -> Self {
        Self { approvals: met.approvals().to_vec(), ..self }
    }

    /// The digest of the request's arguments.
    #[must_use]
    pub const fn arguments_digest(&self) -> Digest {
        self.request.arguments_digest
    }
}
