//! What was recorded of a decision, in the words of the domain: enough to decide it again.
//!
//! What is read here is the server's own writing, and its digest stands in the log. Whatever cannot be read all the
//! same is an error of the server's, never a guess. Nothing is loaded or run here.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

use attorn_core::context::{Approval, AuthenticationMethod, Caller, Counter, Delegation, Fact, Group, Phase, User};
use attorn_core::reason::HostReason;
use attorn_core::{
    Again, Agent, AgentState, Approver, ApproverRole, Ceiling, DecisionKind, Digest, EvaluationContext, FactName,
    FactTemplate, JsonText, Known, Permission, PolicyId, ReasonCode, Request, Terms, TimeMs, WantedCredential,
};
use serde_json::Value;

use super::wire::{
    AgentWire, ApprovalWire, CounterWire, CredentialWire, DelegationWire, FactWire, PolicyWire, RecordWire,
    RequestWire, UserWire,
};
use crate::approvals::step;
use crate::decisions::{digests, record};
use crate::http::failure::Failure;

/// What the policies of a decision saw and said.
pub(crate) struct Then {
    /// As they saw it. What they do not see of the agent is made up.
    pub(crate) context: Arc<EvaluationContext>,
    /// Whether what was built from the record is what they saw; none if no digest was recorded.
    pub(crate) is_what_was_seen: Option<bool>,
    /// The widest terms that the bounds left, if they were recorded.
    pub(crate) widest: Option<Terms>,
    pub(crate) policies: Vec<PolicyThen>,
    /// The facts that were looked up for any of them, with their values.
    facts: BTreeMap<FactName, Option<JsonText>>,
    /// The charge that a counter had no room for.
    pub(crate) limit: Option<Limit>,
    /// Why a challenge was a deny: nobody was asked for an approval.
    not_asked: Option<HostReason>,
    pub(crate) decision_digest: Option<Digest>,
    /// The version of wasmtime and the digest of the engine's configuration.
    pub(crate) engine: Option<(String, String)>,
}

/// One policy that was asked.
pub(crate) struct PolicyThen {
    pub(crate) policy: PolicyId,
    pub(crate) version: u32,
    pub(crate) digest: String,
    pub(crate) outcome: String,
    pub(crate) outcome_digest: Option<Digest>,
    /// Name and value of each fact, in the order of its templates.
    facts: Vec<(Option<FactName>, Option<JsonText>)>,
    pub(crate) counters: Vec<CounterThen>,
}

/// A counter as a policy saw it.
pub(crate) struct CounterThen {
    pub(crate) counter: Counter,
    /// Whom it counted for, and over what time; none in old records.
    pub(crate) counts: Option<(String, String)>,
}

/// A charge that a counter had no room for.
pub(crate) struct Limit {
    pub(crate) policy: PolicyId,
    pub(crate) counter: ReasonCode,
    pub(crate) amount: u64,
    pub(crate) at_most: u64,
    pub(crate) found: u64,
}

impl Then {
    /// Read a record; none if no policy was asked, so that there is nothing to be run.
    pub(super) fn of(wire: RecordWire) -> Result<Option<Self>, Failure> {
        if !wire.policies_asked {
            return Ok(None);
        }
        let all = wire.facts.iter().map(fact).collect::<Result<Vec<_>, _>>()?;
        let policies = wire.policies.into_iter().map(|policy| PolicyThen::of(policy, &all));
        let policies = policies.collect::<Result<Vec<_>, _>>()?;
        let context = EvaluationContext {
            phase: Phase::Decide,
            time: TimeMs(wire.time_ms),
            caller: Caller {
                method: method(&wire.caller.method)?,
                key_thumbprint: parsed(&wire.caller.key_thumbprint)?,
            },
            instance: parsed(wire.agent.instance.as_deref().unwrap_or_default())?,
            agent: agent(&wire.agent)?,
            user: wire.user.as_ref().map(user).transpose()?,
            delegations: wire.delegations.iter().map(delegation).collect::<Result<_, _>>()?,
            request: request(&wire.request)?,
            credential: wire.credential.as_ref().map(credential).transpose()?,
            approvals: wire.approvals.iter().map(approval).collect::<Result<_, _>>()?,
        };
        if wire.phase != "decide" {
            return Err(Failure::internal(format_args!("a decision was recorded in the phase `{}`", wire.phase)));
        }
        let known: Vec<Known> = policies.iter().map(PolicyThen::without_templates).collect();
        let digest = wire.context_digest.as_deref().map(parsed::<Digest>).transpose()?;
        let limit = wire.limit.map(|limit| {
            let (amount, at_most, found) = (number(&limit.amount)?, number(&limit.at_most)?, number(&limit.found)?);
            let (policy, counter) = (parsed(&limit.policy)?, parsed(&limit.counter)?);
            Ok::<_, Failure>(Limit { policy, counter, amount, at_most, found })
        });
        Ok(Some(Self {
            is_what_was_seen: digest.map(|digest| digests::context(&context, &known) == digest),
            context: Arc::new(context),
            widest: wire.bounds.map(|bounds| Terms::new(bounds.grant_ms_max, bounds.uses_max)),
            policies,
            facts: all.into_iter().collect(),
            limit: limit.transpose()?,
            not_asked: wire.approval.and_then(|approval| step::denied_by(&approval.is)),
            decision_digest: wire.decision_digest.as_deref().map(parsed).transpose()?,
            engine: wire.engine.map(|engine| (engine.wasmtime, engine.configuration)),
        }))
    }

    /// The fact of a template, if it was looked up for any policy of this decision; else the name that was not.
    pub(crate) fn fact(&self, template: &FactTemplate) -> Result<Fact, FactName> {
        let name = template.fill_in(&self.context);
        let value = match &name {
            None => None,
            Some(name) => self.facts.get(name).ok_or_else(|| name.clone())?.clone(),
        };
        Ok(Fact { template: template.clone(), name, value })
    }

    /// The same, where a challenge was a deny because nobody was asked.
    pub(crate) fn unless_not_asked(&self, again: Again) -> Again {
        match self.not_asked {
            Some(reason) if again.seen().kind == DecisionKind::Challenge => Again::deny(reason),
            _ => again,
        }
    }

    /// What was recorded of a policy, whichever of its versions was asked.
    pub(crate) fn policy(&self, id: &PolicyId) -> Option<&PolicyThen> {
        self.policies.iter().find(|policy| policy.policy == *id)
    }
}

impl PolicyThen {
    fn of(wire: PolicyWire, all: &[(FactName, Option<JsonText>)]) -> Result<Self, Failure> {
        let at = |place: Option<usize>| match place {
            None => Ok((None, None)),
            Some(place) => {
                let found = all.get(place).cloned().map(|(name, value)| (Some(name), value));
                found.ok_or_else(|| Failure::internal(format_args!("a record has no fact {place}")))
            }
        };
        Ok(Self {
            policy: parsed(&wire.policy)?,
            version: wire.version,
            digest: wire.digest,
            outcome: wire.outcome,
            outcome_digest: wire.outcome_digest.as_deref().map(parsed).transpose()?,
            facts: wire.facts.into_iter().map(at).collect::<Result<_, _>>()?,
            counters: wire.counters.iter().map(counter).collect::<Result<_, _>>()?,
        })
    }

    #[cfg(test)]
    pub(super) fn without_facts(policy: PolicyId, outcome: String, outcome_digest: Option<Digest>) -> Self {
        let (facts, counters) = (Vec::new(), Vec::new());
        Self { policy, version: 1, digest: String::new(), outcome, outcome_digest, facts, counters }
    }

    fn without_templates(&self) -> Known {
        let unknown: FactTemplate = match "recorded".parse() {
            Ok(template) => template,
            // A word is a template.
            Err(_) => return Known::default(),
        };
        let fact = |(name, value): &(Option<FactName>, Option<JsonText>)| Fact {
            template: unknown.clone(),
            name: name.clone(),
            value: value.clone(),
        };
        let counters = self.counters.iter().map(|counter| counter.counter.clone()).collect();
        Known { facts: self.facts.iter().map(fact).collect(), counters }
    }

    /// What this policy saw, for the templates that its version declares; none if those lead to other names, which one
    /// and the same version never does.
    pub(crate) fn known(&self, templates: &[FactTemplate], context: &EvaluationContext) -> Option<Known> {
        if templates.len() != self.facts.len() {
            return None;
        }
        let mut known = self.without_templates();
        for (fact, template) in known.facts.iter_mut().zip(templates) {
            if template.fill_in(context) != fact.name {
                return None;
            }
            fact.template = template.clone();
        }
        Some(known)
    }
}

fn agent(wire: &AgentWire) -> Result<Agent, Failure> {
    let label = |(name, value): (&String, &String)| Ok((parsed(name)?, value.clone()));
    Ok(Agent {
        id: parsed(&wire.id)?,
        owner: parsed(&wire.owner)?,
        labels: wire.labels.iter().map(label).collect::<Result<_, Failure>>()?,
        // No policy sees these, and no bound is checked.
        state: AgentState::Active,
        ceiling: Ceiling::default(),
        grant_ms_max: 0,
        keys: Vec::new(),
        revocations: 0,
        identities: Vec::new(),
    })
}

fn user(wire: &UserWire) -> Result<User, Failure> {
    let issuer: attorn_core::Issuer = parsed(&wire.issuer)?;
    let group = |group: &super::wire::GroupWire| Group {
        issuer: issuer.clone(),
        name: group.name.clone(),
        asserted_at: TimeMs(group.asserted_at_ms),
    };
    Ok(User {
        id: parsed(&wire.id)?,
        authenticated_at: TimeMs(wire.authenticated_at_ms),
        acr: wire.acr.clone(),
        groups: wire.groups.iter().map(group).collect(),
        claims: canonical(&wire.claims)?,
        issuer,
    })
}

fn delegation(wire: &DelegationWire) -> Result<Delegation, Failure> {
    let permission = |one: &super::wire::PermissionWire| {
        Ok::<_, Failure>(Permission { action: parsed(&one.action)?, resource: parsed(&one.resource)? })
    };
    Ok(Delegation {
        id: parsed(&wire.id)?,
        to_agent: parsed(&wire.to_agent)?,
        permissions: wire.permissions.iter().map(permission).collect::<Result<_, _>>()?,
        purpose: parsed(&wire.purpose)?,
        session: parsed(&wire.session)?,
        created_at: TimeMs(wire.created_at_ms),
        expires_at: TimeMs(wire.expires_at_ms),
    })
}

fn approval(wire: &ApprovalWire) -> Result<Approval, Failure> {
    let role: ApproverRole = parsed(&wire.role)?;
    let approver = match role {
        ApproverRole::Operator => Approver::Operator(parsed(&wire.approver)?),
        ApproverRole::User | ApproverRole::Group(_) => Approver::User(parsed(&wire.approver)?),
    };
    Ok(Approval { id: parsed(&wire.id)?, approver, role, approved_at: TimeMs(wire.approved_at_ms) })
}

fn request(wire: &RequestWire) -> Result<Request, Failure> {
    Ok(Request {
        action: parsed(&wire.action)?,
        resource: parsed(&wire.resource)?,
        purpose: parsed(&wire.purpose)?,
        session: wire.session.as_deref().map(parsed).transpose()?,
        arguments: canonical(&wire.arguments)?,
        arguments_digest: parsed(&wire.arguments_digest)?,
        claims: canonical(&wire.claims)?,
    })
}

fn credential(wire: &CredentialWire) -> Result<WantedCredential, Failure> {
    Ok(WantedCredential { kind: parsed(&wire.kind)?, target: wire.target.as_deref().map(parsed).transpose()? })
}

fn fact(wire: &FactWire) -> Result<(FactName, Option<JsonText>), Failure> {
    let value = if wire.missing.is_none() { Some(canonical(&wire.value)?) } else { None };
    Ok((parsed(&wire.name)?, value))
}

fn counter(wire: &CounterWire) -> Result<CounterThen, Failure> {
    let counter = Counter {
        name: parsed(&wire.name)?,
        used: number(&wire.used)?,
        window_start: TimeMs(wire.window_start_ms),
        window_end: wire.window_end_ms.map(TimeMs),
    };
    Ok(CounterThen { counter, counts: wire.scope.clone().zip(wire.window.clone()) })
}

fn method(text: &str) -> Result<AuthenticationMethod, Failure> {
    use AuthenticationMethod::{Dpop, EnforcementPoint, Mtls, PrivateKeyJwt};
    let all = [Dpop, Mtls, PrivateKeyJwt, EnforcementPoint];
    let found = all.into_iter().find(|method| record::method(*method) == text);
    found.ok_or_else(|| Failure::internal(format_args!("a record has the method `{text}`")))
}

fn number(text: &str) -> Result<u64, Failure> {
    text.parse().map_err(|_| Failure::internal(format_args!("a record has the number `{text}`")))
}

fn parsed<T: FromStr<Err: Display>>(text: &str) -> Result<T, Failure> {
    text.parse().map_err(|error| Failure::internal(format_args!("a record cannot be read: {error}")))
}

/// A part of a record as the text that it was made of.
fn canonical(value: &Value) -> Result<JsonText, Failure> {
    serde_json_canonicalizer::to_string(value).map(JsonText::from_canonical).map_err(Failure::internal)
}
