//! The context of a case: what it names, and something plain for the rest.

use std::collections::BTreeMap;
use std::fmt::Display;

use attorn_api::json::{canonical_raw, digest};
use attorn_core::context::{AuthenticationMethod, Caller, Phase};
use attorn_core::{Agent, AgentState, Ceiling, EvaluationContext, JsonText, Request, TimeMs, WantedCredential};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::known::{CounterWire, FactWire, Given};
use super::user::{self, DelegationWire, UserWire};

/// Monday, 2026-01-05T09:00:00Z.
const TIME_MS: u64 = 1_767_603_600_000;

/// The thumbprint of nobody's key.
const THUMBPRINT: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// The session of an agent that acts for a user, where the case names none.
const SESSION: &str = "test-session";

/// The longest grant of the agent, in milliseconds. Policies do not see it.
const GRANT_MS_MAX: u64 = 60_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a context: an object with a `request`")]
pub(crate) struct ContextWire {
    time_ms: Option<u64>,
    #[serde(default)]
    agent: AgentWire,
    user: Option<UserWire>,
    delegations: Option<Vec<DelegationWire>>,
    request: RequestWire,
    credential: Option<CredentialWire>,
    #[serde(default)]
    facts: BTreeMap<String, FactWire>,
    #[serde(default)]
    counters: BTreeMap<String, CounterWire>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, expecting = "an object that describes an agent")]
struct AgentWire {
    id: Option<String>,
    instance: Option<String>,
    owner: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a request: an object with `action` and `resource`")]
struct RequestWire {
    action: String,
    resource: String,
    purpose: Option<String>,
    session: Option<String>,
    arguments: Option<Box<RawValue>>,
    claimed_properties: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a credential: an object with a `kind`")]
struct CredentialWire {
    kind: String,
    target: Option<String>,
}

impl ContextWire {
    /// The context that a policy sees, and what the host knows for it; or what no decision could have.
    pub(crate) fn parse(self) -> Result<(EvaluationContext, Given), String> {
        let now = TimeMs(self.time_ms.unwrap_or(TIME_MS));
        let instance = self.agent.instance.as_deref().unwrap_or("test-1").parse().map_err(text)?;
        let (agent, mut request) = (self.agent.parse()?, self.request.parse()?);
        let (user, delegations) = match self.user {
            None if self.delegations.is_some() => {
                return Err("`delegations` without a `user`: every chain begins at one".to_owned());
            }
            None => (None, Vec::new()),
            Some(wire) => {
                // What is delegated belongs to a session, and the request states the same.
                let session = request.session.take().map_or_else(|| SESSION.parse().map_err(text), Ok)?;
                let delegations = user::chain(self.delegations, &agent, &request, &session, now)?;
                request.session = Some(session);
                (Some(wire.parse(now)?), delegations)
            }
        };
        let context = EvaluationContext {
            phase: Phase::Decide,
            time: now,
            caller: Caller { method: AuthenticationMethod::Dpop, key_thumbprint: THUMBPRINT.parse().map_err(text)? },
            instance,
            agent,
            user,
            delegations,
            request,
            credential: self.credential.map(CredentialWire::parse).transpose()?,
            approvals: Vec::new(),
        };
        Ok((context, Given::parse(self.facts, self.counters)?))
    }
}

impl CredentialWire {
    fn parse(self) -> Result<WantedCredential, String> {
        let kind = self.kind.parse().map_err(text)?;
        Ok(WantedCredential { kind, target: self.target.map(|target| target.parse()).transpose().map_err(text)? })
    }
}

impl AgentWire {
    fn parse(self) -> Result<Agent, String> {
        let label = |(name, value): (String, String)| Ok((name.parse().map_err(text)?, value));
        Ok(Agent {
            id: self.id.as_deref().unwrap_or("test-agent").parse().map_err(text)?,
            owner: self.owner.as_deref().unwrap_or("tests").parse().map_err(text)?,
            labels: self.labels.into_iter().map(label).collect::<Result<_, String>>()?,
            state: AgentState::Active,
            ceiling: Ceiling::default(),
            grant_ms_max: GRANT_MS_MAX,
            keys: Vec::new(),
            revocations: 0,
            identities: Vec::new(),
        })
    }
}

impl RequestWire {
    fn parse(self) -> Result<Request, String> {
        let arguments = object("arguments", self.arguments.as_deref())?;
        Ok(Request {
            action: self.action.parse().map_err(text)?,
            resource: self.resource.parse().map_err(text)?,
            purpose: self.purpose.as_deref().unwrap_or("test").parse().map_err(text)?,
            session: self.session.map(|session| session.parse()).transpose().map_err(text)?,
            arguments_digest: digest(&arguments),
            arguments,
            claims: object("claimed_properties", self.claimed_properties.as_deref())?,
        })
    }
}

pub(super) fn object(name: &str, raw: Option<&RawValue>) -> Result<JsonText, String> {
    match raw {
        None => Ok(JsonText::from_canonical("{}")),
        Some(raw) => canonical_raw(raw).map_err(|error| format!("`{name}`: {error}")),
    }
}

pub(super) fn text(error: impl Display) -> String {
    error.to_string()
}
