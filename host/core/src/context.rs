//! Everything that one evaluation depends on. It mirrors the record `context` of the policy contract
//! (`wit/policy.wit`), where each field's unit and meaning stands.

use crate::agent::Agent;
use crate::bounds::WithinBounds;
use crate::id::{Digest, InstanceName, KeyThumbprint};
use crate::request::{JsonText, Request};
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
    /// A signed client assertion together with a proof.
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

/// A fact that a policy asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// The template, as declared.
    pub template: String,
    /// The name after the template was filled in.
    pub name: Option<String>,
    /// The value, if there is one.
    pub value: Option<JsonText>,
}

/// Everything that one evaluation depends on. There are no users, delegations, approvals or counters
/// yet; the contract has their places, and they are empty.
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
    /// What is wanted.
    pub request: Request,
    /// One for each template that the policy declared, in its order.
    pub facts: Vec<Fact>,
}

impl EvaluationContext {
    /// The context of a decision about a request that is within its bounds.
    #[must_use]
    pub fn of_decision(bounds: &WithinBounds<'_>, method: AuthenticationMethod) -> Self {
        Self {
            phase: Phase::Decide,
            time: bounds.now(),
            caller: Caller { method, key_thumbprint: bounds.key().thumbprint.clone() },
            instance: bounds.key().instance.clone(),
            agent: bounds.agent().clone(),
            request: bounds.request().clone(),
            facts: Vec::new(),
        }
    }

    /// The digest of the request's arguments.
    #[must_use]
    pub const fn arguments_digest(&self) -> Digest {
        self.request.arguments_digest
    }
}
