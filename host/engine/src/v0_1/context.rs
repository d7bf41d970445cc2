//! The evaluation context, as policies of this version read it.

use attorn_core::context::{Approval, AuthenticationMethod, Counter, Delegation, Fact, Phase, User};
use attorn_core::{EvaluationContext, FactName, JsonText, Known, Permission, SessionId, TimeMs, WantedCredential};

use super::{NUMBER_MAX, raw};

/// A context, and what of it has to be made for the bindings. Made once for all policies of a request.
pub(crate) struct Prepared<'a> {
    context: &'a EvaluationContext,
    labels: Vec<(&'a str, &'a str)>,
    groups: Vec<raw::Group<'a>>,
    /// Action and resource of each permission of each delegation.
    permissions: Vec<Vec<(String, String)>>,
    arguments_digest: String,
    /// What the host says beside what the contract has a place for, by name.
    extensions: Vec<(&'static str, JsonText)>,
    /// The id of each approval.
    approval_ids: Vec<String>,
}

impl<'a> Prepared<'a> {
    pub(crate) fn new(context: &'a EvaluationContext) -> Self {
        // The map is sorted by name, as the contract wants it.
        let labels = context.agent.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let groups = context.user.iter().flat_map(|user| &user.groups).map(|group| raw::Group {
            issuer: group.issuer.as_str(),
            name: &group.name,
            asserted_at_ms: time(group.asserted_at),
        });
        let text = |permission: &Permission| (permission.action.to_string(), permission.resource.to_string());
        let permissions = context.delegations.iter().map(|hop| hop.permissions.iter().map(text).collect());
        Self {
            context,
            labels,
            groups: groups.collect(),
            permissions: permissions.collect(),
            arguments_digest: context.arguments_digest().to_string(),
            extensions: context.credential.iter().map(|one| (WantedCredential::EXTENSION, one.text())).collect(),
            approval_ids: context.approvals.iter().map(|approval| approval.id.to_string()).collect(),
        }
    }

    /// Lend the record, as the policy sees it for which `known` was looked up.
    pub(super) fn lower<T>(&self, known: &Known, go: impl FnOnce(raw::Context<'_>) -> T) -> T {
        let context = self.context;
        let permissions: Vec<Vec<raw::Permission<'_>>> = self
            .permissions
            .iter()
            .map(|hop| hop.iter().map(|(action, resource)| raw::Permission { action, resource }).collect())
            .collect();
        let hops = context.delegations.iter().zip(&permissions);
        let delegations: Vec<_> = hops.map(|(hop, permissions)| delegation(hop, permissions)).collect();
        let facts: Vec<_> = known.facts.iter().map(fact).collect();
        let approvals = context.approvals.iter().zip(&self.approval_ids);
        let approvals: Vec<_> = approvals.map(|(one, id)| approval(one, id)).collect();
        let counters: Vec<_> = known.counters.iter().map(counter).collect();
        let extensions: Vec<_> = self.extensions.iter().map(|(name, value)| (*name, value.as_str())).collect();
        go(raw::Context {
            phase: context.phase.into(),
            time: time(context.time),
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
            user: context.user.as_ref().map(|user| self.user(user)),
            delegations: &delegations,
            request: self.request(),
            // INVARIANT: what was looked up for one policy goes to no other.
            facts: &facts,
            approvals: &approvals,
            counters: &counters,
            enforcement_point: None,
            extensions: &extensions,
        })
    }

    fn user<'b>(&'b self, user: &'b User) -> raw::User<'b> {
        raw::User {
            id: user.id.as_str(),
            issuer: user.issuer.as_str(),
            authenticated_at_ms: time(user.authenticated_at),
            acr: user.acr.as_deref(),
            groups: &self.groups,
            claims: user.claims.as_str(),
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

fn delegation<'b>(hop: &'b Delegation, permissions: &'b [raw::Permission<'b>]) -> raw::Delegation<'b> {
    raw::Delegation {
        id: hop.id.as_str(),
        to_agent: hop.to_agent.as_str(),
        permissions,
        purpose: hop.purpose.as_str(),
        session: hop.session.as_str(),
        created_at_ms: time(hop.created_at),
        expires_at_ms: time(hop.expires_at),
    }
}

fn approval<'b>(approval: &'b Approval, id: &'b str) -> raw::Approval<'b> {
    raw::Approval {
        id,
        approver: approval.approver.id(),
        role: approval.role.as_str(),
        approved_at_ms: time(approval.approved_at),
    }
}

fn fact(fact: &Fact) -> raw::Fact<'_> {
    raw::Fact {
        template: fact.template.as_str(),
        name: fact.name.as_ref().map(FactName::as_str),
        value: fact.value.as_ref().map(JsonText::as_str),
    }
}

fn counter(counter: &Counter) -> raw::Counter<'_> {
    raw::Counter {
        name: counter.name.as_str(),
        // At the most nothing more can be debited, so that to see less of what is beyond permits nothing.
        used: counter.used.min(NUMBER_MAX),
        window_start_ms: time(counter.window_start),
        window_end_ms: counter.window_end.map(time),
    }
}

/// A time, or the last that the contract has: some 285,000 years from now.
fn time(time: TimeMs) -> u64 {
    time.0.min(NUMBER_MAX)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_such_that_doubles_hold_them() {
        for (known, told) in [
            (0, 0),
            (NUMBER_MAX - 1, NUMBER_MAX - 1),
            (NUMBER_MAX, NUMBER_MAX),
            (NUMBER_MAX + 1, NUMBER_MAX),
            (u64::MAX, NUMBER_MAX),
        ] {
            let known = TimeMs(known);
            let counts =
                Counter { name: "spent".parse().unwrap(), used: known.0, window_start: known, window_end: Some(known) };
            let counts = counter(&counts);
            assert_eq!((counts.used, counts.window_start_ms, counts.window_end_ms), (told, told, Some(told)));
        }
    }
}
