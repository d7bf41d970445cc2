//! Cedar's context: what of ours stands in it, and under which names.
//!
//! What the agent claims beside its arguments (`claimed_properties`) is no part that could be asked for: nobody checked
//! it. Its session is one only where there is a delegation.

use std::collections::BTreeMap;

use attorn_policy::{AuthenticationMethod, Context, Error};
use serde_json::Value as Json;

use crate::names::Names;
use crate::value::{Maker, NotRepresentable, Value};

/// All parts that there are.
pub(crate) const PARTS: [&str; 14] = [
    "agent",
    "approvals",
    "arguments",
    "caller",
    "credential",
    "delegations",
    "enforcement_point",
    "facts",
    "hops",
    "purpose",
    "session",
    "time",
    "time_ms",
    "user",
];

/// Cedar's context, attribute by attribute: each a part, or something in it.
#[derive(Debug)]
pub(crate) struct Attributes(Vec<(String, String, Vec<String>)>);

/// Why there is no context.
pub(crate) enum NoContext {
    /// Something has no value in Cedar.
    NotRepresentable {
        /// What, and where.
        what: NotRepresentable,
        /// Whether the agent gave it.
        of_agent: bool,
    },
    /// What the host gave cannot be read.
    Unreadable(Error),
}

impl Attributes {
    /// These attributes, by their paths; all parts under their own names where there are none.
    pub(crate) fn new(paths: Option<BTreeMap<String, String>>) -> Result<Self, String> {
        let Some(paths) = paths else {
            return Ok(Self(PARTS.map(|part| (part.to_owned(), part.to_owned(), Vec::new())).into()));
        };
        let mut attributes = Vec::new();
        for (name, path) in paths {
            let mut steps = path.split('.').map(str::to_owned);
            let part = steps.next().unwrap_or_default();
            if !PARTS.contains(&part.as_str()) {
                let parts = PARTS.join("`, `");
                return Err(format!("at `context.{name}`: `{part}` is no part of a context; there are `{parts}`"));
            }
            attributes.push((name, part, steps.collect()));
        }
        Ok(Self(attributes))
    }

    /// Cedar's context of this request. What is missing is no attribute.
    pub(crate) fn of(
        &self,
        ctx: &Context,
        names: &Names,
        facts: &BTreeMap<String, String>,
    ) -> Result<cedar_policy::Context, NoContext> {
        let mut maker = Maker::default();
        let mut pairs = Vec::new();
        for (name, part, path) in &self.0 {
            let Some(value) = self::part(part, ctx, names, facts)?.and_then(|value| value.at(path)) else { continue };
            let made = maker.attribute(name, value);
            let refused = |what| NoContext::NotRepresentable { what, of_agent: part == "arguments" };
            pairs.push((name.clone(), made.map_err(refused)?));
        }
        cedar_policy::Context::from_pairs(pairs).map_err(|error| NoContext::Unreadable(error.into()))
    }
}

impl From<Error> for NoContext {
    fn from(error: Error) -> Self {
        Self::Unreadable(error)
    }
}

/// A part of the context; none if it is missing.
fn part(
    part: &str,
    ctx: &Context,
    names: &Names,
    facts: &BTreeMap<String, String>,
) -> Result<Option<Value>, NoContext> {
    Ok(match part {
        "agent" => Some(agent(ctx, names)),
        "approvals" => Some(approvals(ctx)),
        "arguments" => Some(Value::Json(ctx.request.arguments_as::<Json>()?)),
        "caller" => Some(caller(ctx)),
        "credential" => ctx.wanted_credential()?.map(|wanted| {
            let target = wanted.target.map(Value::Text);
            Value::record([("kind", Some(Value::text(&wanted.kind))), ("target", target)])
        }),
        "delegations" => Some(delegations(ctx, names)),
        "enforcement_point" => match &ctx.enforcement_point {
            Some(point) => {
                let asserted = Value::Json(serde_json::from_str(&point.asserted_properties).map_err(Error::from)?);
                Some(Value::record([("id", Some(Value::text(&point.id))), ("asserted", Some(asserted))]))
            }
            None => None,
        },
        "facts" => Some(Value::Record(facts_of(ctx, facts)?)),
        "hops" => Some(Value::Long(ctx.delegations.len() as u64)),
        "purpose" => Some(Value::text(&ctx.request.purpose)),
        // Without a delegation it is what the agent says, and nobody checked it.
        "session" if !ctx.delegations.is_empty() => ctx.request.session.as_deref().map(Value::text),
        "time" => Some(Value::Time(ctx.time)),
        "time_ms" => Some(Value::Long(ctx.time)),
        "user" => user(ctx, names)?,
        _ => None,
    })
}

fn agent(ctx: &Context, names: &Names) -> Value {
    let agent = &ctx.agent;
    let labels = agent.labels.iter().map(|(name, value)| (name.clone(), Value::Text(value.clone())));
    Value::record([
        ("entity", Some(Value::Entity(names.agent(&agent.id)))),
        ("id", Some(Value::text(&agent.id))),
        ("instance", Some(Value::text(&agent.instance))),
        ("owner", Some(Value::text(&agent.owner))),
        ("labels", Some(Value::Record(labels.collect()))),
    ])
}

fn user(ctx: &Context, names: &Names) -> Result<Option<Value>, Error> {
    let Some(user) = &ctx.user else { return Ok(None) };
    let groups = user.groups.iter().map(|group| {
        Value::record([
            ("issuer", Some(Value::text(&group.issuer))),
            ("name", Some(Value::text(&group.name))),
            ("asserted_at_ms", Some(Value::Long(group.asserted_at_ms))),
        ])
    });
    Ok(Some(Value::record([
        ("entity", Some(Value::Entity(names.user(&user.id)))),
        ("id", Some(Value::text(&user.id))),
        ("issuer", Some(Value::text(&user.issuer))),
        ("authenticated_at_ms", Some(Value::Long(user.authenticated_at_ms))),
        ("acr", user.acr.as_deref().map(Value::text)),
        ("groups", Some(Value::Set(groups.collect()))),
        ("claims", Some(Value::Json(user.claims_as::<Json>()?))),
    ])))
}

fn delegations(ctx: &Context, names: &Names) -> Value {
    let hops = (0_u64..).zip(&ctx.delegations).map(|(hop, delegation)| {
        let permissions = delegation.permissions.iter().map(|permission| {
            Value::record([
                ("action", Some(Value::text(&permission.action))),
                ("resource", Some(Value::text(&permission.resource))),
            ])
        });
        Value::record([
            ("hop", Some(Value::Long(hop))),
            ("id", Some(Value::text(&delegation.id))),
            ("to_agent", Some(Value::Entity(names.agent(&delegation.to_agent)))),
            ("permissions", Some(Value::Set(permissions.collect()))),
            ("purpose", Some(Value::text(&delegation.purpose))),
            ("session", Some(Value::text(&delegation.session))),
            ("created_at_ms", Some(Value::Long(delegation.created_at_ms))),
            ("expires_at_ms", Some(Value::Long(delegation.expires_at_ms))),
        ])
    });
    Value::Set(hops.collect())
}

fn approvals(ctx: &Context) -> Value {
    let approvals = ctx.approvals.iter().map(|approval| {
        Value::record([
            ("id", Some(Value::text(&approval.id))),
            ("approver", Some(Value::text(&approval.approver))),
            ("role", Some(Value::text(&approval.role))),
            ("approved_at_ms", Some(Value::Long(approval.approved_at_ms))),
        ])
    });
    Value::Set(approvals.collect())
}

fn caller(ctx: &Context) -> Value {
    let method = match ctx.caller.method {
        AuthenticationMethod::Dpop => "dpop",
        AuthenticationMethod::Mtls => "mtls",
        AuthenticationMethod::PrivateKeyJwt => "private_key_jwt",
        AuthenticationMethod::EnforcementPoint => "enforcement_point",
    };
    Value::record([
        ("method", Some(Value::text(method))),
        ("key_thumbprint", Some(Value::text(&ctx.caller.key_thumbprint))),
    ])
}

fn facts_of(ctx: &Context, facts: &BTreeMap<String, String>) -> Result<BTreeMap<String, Value>, Error> {
    let mut values = BTreeMap::new();
    for (name, template) in facts {
        if let Some(value) = ctx.fact::<Json>(template)? {
            values.insert(name.clone(), Value::Json(value));
        }
    }
    Ok(values)
}
