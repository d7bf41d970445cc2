//! Contexts to measure with: a small one, the same with four hops and forty claims, and the small one with
//! all of that as one JSON text in its claimed properties.

use attorn_core::context::{AuthenticationMethod, Caller, Delegation, Group, Phase, User};
use attorn_core::{
    Agent, AgentState, Ceiling, Digest, EvaluationContext, JsonText, ParseError, Permission, Request, TimeMs,
};
use serde_json::{Map, Value, json};

const HOPS: usize = 4;
const PERMISSIONS_PER_HOP: usize = 4;
const GROUPS: usize = 8;
const CLAIMS: usize = 40;
const NOW: TimeMs = TimeMs(1_767_603_600_000);

/// The contexts.
pub(crate) struct Contexts {
    /// Without a user.
    pub(crate) small: EvaluationContext,
    /// With everything, in records.
    pub(crate) records: EvaluationContext,
    /// The small one, and everything in one text.
    pub(crate) text: EvaluationContext,
    /// What reading has to come to.
    pub(crate) sum: u64,
}

impl Contexts {
    pub(crate) fn new() -> Result<Self, String> {
        Self::parse().map_err(|error| error.to_string())
    }

    /// The same context, with another action.
    pub(crate) fn reading(action: &str, of: &EvaluationContext) -> Result<EvaluationContext, String> {
        let action = action.parse().map_err(|error: ParseError| error.to_string())?;
        Ok(EvaluationContext { request: Request { action, ..of.request.clone() }, ..of.clone() })
    }

    fn parse() -> Result<Self, ParseError> {
        let small = small()?;
        let claims: Map<String, Value> = (0..CLAIMS).map(|n| (format!("claim_{n:02}"), claim(n).into())).collect();
        let records = EvaluationContext {
            user: Some(user(&claims)?),
            delegations: (0..HOPS).map(hop).collect::<Result<_, _>>()?,
            ..small.clone()
        };
        let request = Request { claims: canonical(&whole(&records, &claims)), ..small.request.clone() };
        let sum = sum(&records.delegations, &claims);
        Ok(Self { text: EvaluationContext { request, ..small.clone() }, small, records, sum })
    }
}

fn small() -> Result<EvaluationContext, ParseError> {
    Ok(EvaluationContext {
        phase: Phase::Decide,
        time: NOW,
        caller: Caller { method: AuthenticationMethod::Dpop, key_thumbprint: "k".repeat(43).parse()? },
        instance: "pod-1".parse()?,
        agent: Agent {
            id: "agent-3".parse()?,
            owner: "team@example.org".parse()?,
            labels: [("env".parse()?, "prod".to_owned()), ("team".parse()?, "support".to_owned())].into(),
            state: AgentState::Active,
            ceiling: Ceiling::default(),
            grant_ms_max: 60_000,
            keys: Vec::new(),
            revocations: 0,
            identities: Vec::new(),
        },
        request: Request {
            action: "measure.nothing".parse()?,
            resource: "account/42".parse()?,
            purpose: "support".parse()?,
            session: Some("session-1".parse()?),
            arguments: JsonText::from_canonical(r#"{"amount":1250,"currency":"EUR","to":"account/43"}"#),
            arguments_digest: Digest::from_bytes([7; 32]),
            claims: JsonText::from_canonical("{}"),
        },
        credential: None,
        user: None,
        delegations: Vec::new(),
        approvals: Vec::new(),
    })
}

fn user(claims: &Map<String, Value>) -> Result<User, ParseError> {
    let group = |n| {
        let (issuer, asserted_at) = ("https://id.example".parse()?, TimeMs(NOW.0 - 60_000));
        Ok(Group { issuer, name: format!("group-{n}"), asserted_at })
    };
    Ok(User {
        id: "usr-alice".parse()?,
        issuer: "https://id.example".parse()?,
        authenticated_at: TimeMs(NOW.0 - 3_600_000),
        acr: Some("urn:example:mfa".to_owned()),
        groups: (0..GROUPS).map(group).collect::<Result<_, ParseError>>()?,
        claims: canonical(&Value::Object(claims.clone())),
    })
}

fn hop(n: usize) -> Result<Delegation, ParseError> {
    let permission = |m| {
        let (action, resource) = (format!("account{m}.*").parse()?, "account/*".parse()?);
        Ok(Permission { action, resource })
    };
    Ok(Delegation {
        id: format!("delegation-{n}").parse()?,
        to_agent: format!("agent-{n}").parse()?,
        permissions: (0..PERMISSIONS_PER_HOP).map(permission).collect::<Result<_, ParseError>>()?,
        purpose: "support".parse()?,
        session: "session-1".parse()?,
        created_at: TimeMs(NOW.0 - 3_600_000),
        expires_at: TimeMs(NOW.0 + 3_600_000),
    })
}

fn claim(n: usize) -> String {
    format!("what the provider says in claim number {n}")
}

/// All of a context, as one value.
fn whole(context: &EvaluationContext, claims: &Map<String, Value>) -> Value {
    let request = &context.request;
    let (resource_type, resource_id) = request.resource.as_str().split_once('/').unwrap_or_default();
    let permission =
        |one: &Permission| json!({ "action": one.action.to_string(), "resource": one.resource.to_string() });
    let hop = |hop: &Delegation| {
        json!({
            "id": hop.id.as_str(), "to_agent": hop.to_agent.as_str(), "purpose": hop.purpose.as_str(),
            "permissions": hop.permissions.iter().map(permission).collect::<Vec<_>>(),
            "session": hop.session.as_str(), "created_at_ms": hop.created_at.0, "expires_at_ms": hop.expires_at.0,
        })
    };
    let group = |group: &Group| json!({ "issuer": group.issuer.as_str(), "name": group.name, "asserted_at_ms": group.asserted_at.0 });
    let user = context.user.as_ref().map(|user| {
        json!({
            "id": user.id.as_str(), "issuer": user.issuer.as_str(), "acr": user.acr, "claims": claims,
            "authenticated_at_ms": user.authenticated_at.0, "groups": user.groups.iter().map(group).collect::<Vec<_>>(),
        })
    });
    let labels: Vec<_> = context.agent.labels.iter().map(|(name, value)| json!([name.as_str(), value])).collect();
    json!({
        "phase": "decide", "time": context.time.0,
        "caller": { "method": "dpop", "key_thumbprint": context.caller.key_thumbprint.as_str() },
        "agent": {
            "id": context.agent.id.as_str(), "instance": context.instance.as_str(),
            "owner": context.agent.owner.as_str(), "labels": labels,
        },
        "user": user, "delegations": context.delegations.iter().map(hop).collect::<Vec<_>>(),
        "request": {
            "action": request.action.as_str(), "resource": request.resource.as_str(), "resource_type": resource_type,
            "resource_id": resource_id, "purpose": request.purpose.as_str(),
            "session": request.session.as_ref().map(attorn_core::SessionId::as_str),
            "arguments": request.arguments.as_str(), "arguments_digest": request.arguments_digest.to_string(),
            "claimed_properties": request.claims.as_str(),
        },
        "facts": [], "approvals": [], "counters": [], "enforcement_point": null, "extensions": [],
    })
}

/// Members sorted, no blanks, and no number that is not whole: what `serde_json` writes is canonical then.
fn canonical(value: &Value) -> JsonText {
    JsonText::from_canonical(value.to_string())
}

/// How long everything is that the policy reads.
fn sum(hops: &[Delegation], claims: &Map<String, Value>) -> u64 {
    let permission = |one: &Permission| one.action.to_string().len() + one.resource.to_string().len();
    let texts = |hop: &Delegation| {
        let permissions: usize = hop.permissions.iter().map(permission).sum();
        let names = [hop.id.as_str(), hop.to_agent.as_str(), hop.purpose.as_str(), hop.session.as_str()];
        permissions + names.map(str::len).iter().sum::<usize>()
    };
    let times: u64 = hops.iter().map(|hop| hop.expires_at.ms_since(hop.created_at)).sum();
    let claims: usize = claims.iter().map(|(name, value)| name.len() + value.as_str().map_or(0, str::len)).sum();
    times + (hops.iter().map(texts).sum::<usize>() + claims) as u64
}
