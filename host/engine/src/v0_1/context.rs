//! The evaluation context, as policies of this version read it.

use attorn_core::context::{AuthenticationMethod, Phase};
use attorn_core::{EvaluationContext, SessionId};

use super::raw;

/// A context, and what of it has to be made for the bindings. Made once for all policies of a request.
pub(crate) struct Prepared<'a> {
    context: &'a EvaluationContext,
    labels: Vec<(&'a str, &'a str)>,
    arguments_digest: String,
}

impl<'a> Prepared<'a> {
    pub(crate) fn new(context: &'a EvaluationContext) -> Self {
        // The map is sorted by name, as the contract wants it.
        let labels = context.agent.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        Self { context, labels, arguments_digest: context.arguments_digest().to_string() }
    }

    /// The record. All of it is borrowed.
    pub(super) fn lower(&self) -> raw::Context<'_> {
        let context = self.context;
        raw::Context {
            phase: context.phase.into(),
            time: context.time.0,
            caller: raw::Caller {
                method: context.caller.method.into(),
                key_thumbprint: context.caller.key_thumbprint.as_str(),
            },
            agent: raw::Agent {
                id: context.agent.id.as_str(),
                instance: context.instance.as_str(),
                owner: context.agent.owner.as_str(),
                labels: &self.labels,
            },
            user: None,
            delegations: &[],
            request: self.request(),
            // INVARIANT: no policy sees another's facts. A policy that asks for any is not loaded.
            facts: &[],
            approvals: &[],
            counters: &[],
            enforcement_point: None,
            extensions: &[],
        }
    }

    fn request(&self) -> raw::Request<'_> {
        let request = &self.context.request;
        let resource = request.resource.as_str();
        let (resource_type, resource_id) = resource.split_once('/').unwrap_or((resource, ""));
        raw::Request {
            action: request.action.as_str(),
            resource,
            resource_type,
            resource_id,
            purpose: request.purpose.as_str(),
            session: request.session.as_ref().map(SessionId::as_str),
            arguments: request.arguments.as_str(),
            arguments_digest: &self.arguments_digest,
            claimed_properties: request.claims.as_str(),
        }
    }
}

impl From<Phase> for raw::Phase {
    fn from(phase: Phase) -> Self {
        match phase {
            Phase::Decide => Self::Decide,
            Phase::List => Self::List,
            Phase::Simulate => Self::Simulate,
        }
    }
}

impl From<AuthenticationMethod> for raw::AuthenticationMethod {
    fn from(method: AuthenticationMethod) -> Self {
        match method {
            AuthenticationMethod::Dpop => Self::Dpop,
            AuthenticationMethod::Mtls => Self::Mtls,
            AuthenticationMethod::PrivateKeyJwt => Self::PrivateKeyJwt,
            AuthenticationMethod::EnforcementPoint => Self::EnforcementPoint,
        }
    }
}
