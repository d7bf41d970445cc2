//! Digests of what the policies of a decision saw, what each of them said, and what it came to. A decision's record
//! holds them, so that whoever decides it again can tell whether all of it is the same, also what the record has no
//! room for: the texts of reasons, and terms.
//!
//! Each is BLAKE3 with a context of its own over parts that are told apart by their lengths. They are stored: a change
//! is another context.

use std::sync::Arc;

use attorn_core::context::{Approval, Counter, Phase};
use attorn_core::verdict::{ApprovalRequirement, Reason};
use attorn_core::{
    Charge, CounterScope, CounterSubject, CounterWindow, Debit, DecisionReason, Digest, EvaluationContext, FactName,
    Known, Obligation, Outcome, Seen, Terms, Verdict, WantedCredential, WithinBounds,
};

use super::record;
use crate::active::ActivePolicy;

/// What the policies saw: the context, and what was looked up for each, in their order. Templates of facts are not in
/// it, since they are the component's.
pub(crate) fn context(context: &EvaluationContext, known: &[Known]) -> Digest {
    let EvaluationContext { phase, time, caller, instance, agent, user, delegations, request, credential, approvals } =
        context;
    // What was recorded before there were approvals has the same digest still.
    let version = if approvals.is_empty() { "attorn evaluation context v1" } else { "attorn evaluation context v2" };
    let mut parts = Parts::new(version);
    parts.text(phase_name(*phase)).number(time.0);
    parts.text(record::method(caller.method)).text(caller.key_thumbprint.as_str());
    parts.text(agent.id.as_str()).text(instance.as_str()).text(agent.owner.as_str());
    parts.each(&agent.labels, |parts, (name, value)| parts.text(name.as_str()).text(value));
    parts.each(user, |parts, user| {
        parts.text(user.id.as_str()).text(user.issuer.as_str()).number(user.authenticated_at.0);
        parts.each(&user.acr, |parts, acr| parts.text(acr));
        parts.each(&user.groups, |parts, group| {
            parts.text(group.issuer.as_str()).text(&group.name).number(group.asserted_at.0)
        });
        parts.text(user.claims.as_str())
    });
    parts.each(delegations, |parts, hop| {
        parts.text(hop.id.as_str()).text(hop.to_agent.as_str());
        parts.each(&hop.permissions, |parts, one| parts.text(&one.action.to_string()).text(&one.resource.to_string()));
        parts.text(hop.purpose.as_str()).text(hop.session.as_str()).number(hop.created_at.0).number(hop.expires_at.0)
    });
    parts.text(request.action.as_str()).text(request.resource.as_str()).text(request.purpose.as_str());
    parts.each(&request.session, |parts, session| parts.text(session.as_str()));
    parts.text(request.arguments.as_str()).text(&request.arguments_digest.to_string()).text(request.claims.as_str());
    parts.each(known, |parts, known| {
        parts.each(&known.facts, |parts, fact| {
            parts.each(&fact.name, |parts, name: &FactName| parts.text(name.as_str()));
            parts.each(&fact.value, |parts, value| parts.text(value.as_str()))
        });
        parts.each(&known.counters, |parts, counter: &Counter| {
            parts.text(counter.name.as_str()).number(counter.used).number(counter.window_start.0);
            parts.each(&counter.window_end, |parts, end| parts.number(end.0))
        })
    });
    // Behind all else and only where there is one, so that nothing that was stored before is another.
    if let Some(credential) = credential {
        parts.text(WantedCredential::EXTENSION).text(credential.text().as_str());
    }
    if !approvals.is_empty() {
        parts.each(approvals, |parts, approval: &Approval| {
            parts.text(&approval.id.to_string()).text(approval.role.as_str());
            parts.text(approval.approver.id()).number(approval.approved_at.0)
        });
    }
    parts.end()
}

/// What an approval is bound to: the request, who asks and on whose behalf by which delegations, who would accept what is
/// given and where it would be made, and the versions of the policies that apply, each with its component and settings.
/// What the agent claims is in it, because policies see it. By which of its instances the agent asks is not: they are one
/// agent, and approvers are shown none of them.
pub(crate) fn approval(
    within: &WithinBounds<'_>,
    (credential, target): (Option<&WantedCredential>, Option<&[u8]>),
    policies: &[Arc<ActivePolicy>],
) -> Digest {
    let mut parts = Parts::new("attorn approval v2");
    let (request, behalf) = (within.request(), within.behalf());
    parts.text(within.agent().id.as_str());
    parts.each(behalf, |parts, behalf| {
        parts.text(behalf.user.id.as_str());
        parts.each(behalf.delegations(), |parts, hop| parts.text(hop.id.as_str()).text(hop.to_agent.as_str()))
    });
    let server = within.resource_server();
    parts.text(server.id.as_str()).text(server.audience.as_str());
    parts.each(&request.session, |parts, session| parts.text(session.as_str()));
    parts.text(request.action.as_str()).text(request.resource.as_str()).text(request.purpose.as_str());
    parts.text(&request.arguments_digest.to_string()).text(request.claims.as_str());
    parts.each(credential, |parts, credential| parts.text(credential.text().as_str()));
    parts.each(target, |parts, target| parts.bytes(target));
    parts.each(policies, |parts, policy| {
        parts.text(policy.record.policy.as_str()).number(policy.record.version.into()).text(&policy.digest)
    });
    parts.end()
}

/// What a refusal is of, and silence: what is asked, by whom and for whom, whatever the request says of itself. Arguments,
/// claims, session, delegations and policies are not in it: nobody who was told no asks anew by changing one of them.
pub(crate) fn asked_of(within: &WithinBounds<'_>, credential: Option<&WantedCredential>) -> Digest {
    let mut parts = Parts::new("attorn approval asked of v1");
    let request = within.request();
    parts.text(within.agent().id.as_str());
    parts.each(within.behalf(), |parts, behalf| parts.text(behalf.user.id.as_str()));
    parts.text(request.action.as_str()).text(request.resource.as_str()).text(request.purpose.as_str());
    parts.each(credential, |parts, credential| parts.text(credential.text().as_str()));
    parts.end()
}

/// What one policy said, whole.
pub(crate) fn outcome(outcome: &Outcome) -> Digest {
    let mut parts = Parts::new("attorn outcome v1");
    parts.text(&record::outcome(outcome));
    match outcome {
        Outcome::Verdict(Verdict::Allow { terms, reasons }) => parts.terms(terms).each(reasons, Parts::reason),
        Outcome::Verdict(Verdict::Challenge { approvers, terms, reason }) => {
            parts.each(approvers, Parts::approver).terms(terms).reason(reason)
        }
        Outcome::Verdict(Verdict::Deny { reasons }) => parts.each(reasons, Parts::reason),
        Outcome::Verdict(Verdict::Abstain) | Outcome::Failed(_) => &mut parts,
    };
    parts.end()
}

/// What it came to, whole.
pub(crate) fn decision(seen: Seen<'_>) -> Digest {
    let mut parts = Parts::new("attorn decision v1");
    let Seen { kind, reasons, approvers, terms, charges, expires_at } = seen;
    parts.text(kind.as_str());
    parts.each(reasons, |parts, reason| match reason {
        DecisionReason::Host(host) => parts.text("host").text(host.code()),
        DecisionReason::Policy { policy, reason } => parts.text("policy").text(policy.as_str()).reason(reason),
        DecisionReason::Failed { policy, failure } => parts.text("failed").text(policy.as_str()).text(failure.as_str()),
    });
    parts.each(approvers, Parts::approver).each(terms, Parts::terms).each(charges, Parts::charge);
    parts.each(expires_at, |parts, at| parts.number(at.0));
    parts.end()
}

const fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Decide => "decide",
        Phase::List => "list",
        Phase::Simulate => "simulate",
    }
}

/// The name of a scope.
pub(crate) const fn scope_name(scope: CounterScope) -> &'static str {
    match scope {
        CounterScope::Agent => "agent",
        CounterScope::User => "user",
        CounterScope::UserAgent => "user_agent",
        CounterScope::RootDelegation => "root_delegation",
        CounterScope::Session => "session",
    }
}

/// What is hashed, part by part: each text behind its length, each list behind the number of its members.
struct Parts(blake3::Hasher);

impl Parts {
    fn new(context: &'static str) -> Self {
        Self(blake3::Hasher::new_derive_key(context))
    }

    fn number(&mut self, number: u64) -> &mut Self {
        self.0.update(&number.to_be_bytes());
        self
    }

    fn text(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes())
    }

    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.number(bytes.len() as u64).0.update(bytes);
        self
    }

    /// A list, or what may be missing, which is a list of none or one.
    fn each<T>(
        &mut self,
        all: impl IntoIterator<Item = T>,
        mut one: impl FnMut(&mut Self, T) -> &mut Self,
    ) -> &mut Self {
        let mut count = 0;
        for member in all {
            self.0.update(&[1]);
            one(self, member);
            count += 1;
        }
        self.0.update(&[0]);
        self.number(count)
    }

    fn reason(&mut self, reason: &Reason) -> &mut Self {
        self.text(reason.code.as_str()).text(&reason.text).number(reason.public.into())
    }

    fn approver(&mut self, approver: &ApprovalRequirement) -> &mut Self {
        self.text(approver.role.as_str()).number(approver.count.into())
    }

    fn terms(&mut self, terms: &Terms) -> &mut Self {
        self.number(terms.grant_ms_max).number(terms.uses_max.into());
        self.each(&terms.debits, Self::debit).each(&terms.obligations, |parts, one: &Obligation| {
            parts.text(one.kind.as_str()).text(one.parameters.as_str())
        })
    }

    fn debit(&mut self, debit: &Debit) -> &mut Self {
        self.text(debit.policy.as_str()).text(debit.counter.as_str());
        self.counts(debit.scope, debit.window).number(debit.amount).number(debit.at_most)
    }

    fn counts(&mut self, scope: CounterScope, window: CounterWindow) -> &mut Self {
        self.text(scope_name(scope)).text(window.as_str())
    }

    fn charge(&mut self, charge: &Charge) -> &mut Self {
        self.text(charge.policy.as_str()).text(charge.counter.as_str()).subject(&charge.subject);
        self.text(charge.window.as_str()).number(charge.amount).number(charge.at_most)
    }

    fn subject(&mut self, subject: &CounterSubject) -> &mut Self {
        let (scope, one, other) = match subject {
            CounterSubject::Agent(agent) => (CounterScope::Agent, agent.as_str(), ""),
            CounterSubject::User(user) => (CounterScope::User, user.as_str(), ""),
            CounterSubject::UserAgent(user, agent) => (CounterScope::UserAgent, user.as_str(), agent.as_str()),
            CounterSubject::RootDelegation(user, agent) => {
                (CounterScope::RootDelegation, user.as_str(), agent.as_str())
            }
            CounterSubject::Session(issuer, session) => (CounterScope::Session, issuer.as_str(), session.as_str()),
        };
        self.text(scope_name(scope)).text(one).text(other)
    }

    fn end(&self) -> Digest {
        Digest::from_bytes(*self.0.finalize().as_bytes())
    }
}

#[cfg(test)]
#[path = "digests_tests.rs"]
mod tests;
