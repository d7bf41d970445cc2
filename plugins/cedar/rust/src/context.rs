//! Cedar's context: what of ours stands in it, and under which names.
//!
//! What the agent claims beside its arguments (`claimed_properties`) is no part that could be asked for: nobody checked
//! it. Its session is one only where there is a delegation.

use std::collections::BTreeMap;

use attorn_policy::{AuthenticationMethod, Context, Error};
use serde_json::Value as Json;

use crate::declared::Shape;
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

/// The members of the records that the host makes, by where they stand; those of a set's values by where the set does.
const FIELDS: [(&str, &[&str]); 9] = [
    ("agent", &["entity", "id", "instance", "labels", "owner"]),
    ("approvals", &["approved_at_ms", "approver", "id", "role"]),
    ("caller", &["key_thumbprint", "method"]),
    ("credential", &["kind", "target"]),
    ("delegations", &["created_at_ms", "expires_at_ms", "hop", "id", "permissions", "purpose", "session", "to_agent"]),
    ("delegations.permissions", &["action", "resource"]),
    ("enforcement_point", &["asserted", "id"]),
    ("user", &["acr", "authenticated_at_ms", "claims", "entity", "groups", "id", "issuer"]),
    ("user.groups", &["asserted_at_ms", "issuer", "name"]),
];

/// Which members a record that the host makes may have; none where it is not the host that says.
pub(crate) fn fields(path: &str) -> Option<&'static [&'static str]> {
    FIELDS.iter().find(|(of, _)| *of == path).map(|(_, fields)| *fields)
}

/// Cedar's context, attribute by attribute: each a part, or something in it.
#[derive(Debug)]
pub(crate) struct Attributes {
    /// Name, part, and the path in it.
    list: Vec<(String, String, Vec<String>)>,
    of_settings: bool,
}

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
            let list = PARTS.map(|part| (part.to_owned(), part.to_owned(), Vec::new())).into();
            return Ok(Self { list, of_settings: false });
        };
        let mut list = Vec::new();
        for (name, path) in paths {
            let mut steps = path.split('.').map(str::to_owned);
            let part = steps.next().unwrap_or_default();
            if !PARTS.contains(&part.as_str()) {
                let parts = PARTS.join("`, `");
                return Err(format!("at `context.{name}`: `{part}` is no part of a context; there are `{parts}`"));
            }
            list.push((name, part, steps.collect()));
        }
        Ok(Self { list, of_settings: true })
    }

    /// Whether the settings name them.
    pub(crate) const fn is_of_settings(&self) -> bool {
        self.of_settings
    }

    /// The part that an attribute comes from, and the path in it; none if there is no such attribute.
    pub(crate) fn source(&self, attribute: &str) -> Option<(&str, &[String])> {
        let (_, part, path) = self.list.iter().find(|(name, ..)| name == attribute)?;
        Some((part, path))
    }

    /// Cedar's context of this request; of it what is declared, if anything is. What is missing is no attribute.
    pub(crate) fn of(
        &self,
        ctx: &Context,
        names: &Names,
        facts: &BTreeMap<String, String>,
        declared: Option<&BTreeMap<String, Shape>>,
    ) -> Result<cedar_policy::Context, NoContext> {
        let mut maker = Maker::default();
        let mut pairs = Vec::new();
        for (name, part, path) in &self.list {
            let shape = declared.map(|declared| declared.get(name));
            if shape == Some(None) {
                continue;
            }
            let Some(mut value) = self::part(part, ctx, names, facts)?.and_then(|value| value.at(path)) else {
                continue;
            };
            // What the agent gave is for the schema to judge, as a whole.
            if let Some(Some(shape)) = shape
                && part != "arguments"
            {
                value = value.cut(shape);
            }
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

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeSet;

    use attorn_policy::{Approval, Delegation, EnforcementPoint, Group, Permission, testing};

    use super::*;

    /// A context that has everything, about a refund.
    pub(crate) fn full() -> Context {
        let mut ctx = testing::context("order.refund", "order/42");
        let mut user = testing::user("usr-alice");
        user.acr = Some("mfa".into());
        user.groups = vec![Group { issuer: "https://issuer.example".into(), name: "staff".into(), asserted_at_ms: 5 }];
        user.claims = r#"{"email":"alice@example.org","age":null}"#.into();
        ctx.user = Some(user);
        ctx.agent.labels = vec![("team".into(), "shop".into()), ("env".into(), "test".into())];
        ctx.request.arguments = r#"{"amount":5}"#.into();
        ctx.request.session = Some("s".into());
        ctx.delegations = vec![Delegation {
            id: "dlg_1".into(),
            to_agent: "test-agent".into(),
            permissions: vec![Permission { action: "order.*".into(), resource: "order/*".into() }],
            purpose: "test".into(),
            session: "s".into(),
            created_at_ms: 1,
            expires_at_ms: 2,
        }];
        ctx.approvals =
            vec![Approval { id: "a".into(), approver: "bob".into(), role: "operator".into(), approved_at_ms: 1 }];
        ctx.enforcement_point =
            Some(EnforcementPoint { id: "faq".into(), asserted_properties: r#"{"counted":true,"more":[]}"#.into() });
        ctx.extensions = vec![("attorn.credential".into(), r#"{"kind":"proxy","target":"shop"}"#.into())];
        ctx
    }

    /// The members of all records that the host makes, by where they stand.
    fn records(path: &str, value: &Value, found: &mut BTreeMap<String, BTreeSet<String>>) {
        match value {
            Value::Set(values) => {
                for value in values {
                    records(path, value, found);
                }
            }
            Value::Record(fields) => {
                found.entry(path.to_owned()).or_default().extend(fields.keys().cloned());
                for (name, value) in fields {
                    records(&format!("{path}.{name}"), value, found);
                }
            }
            _ => {}
        }
    }

    #[test]
    fn the_fields_that_are_known_are_those_that_there_are() {
        let (ctx, names) = (full(), Names::new(None, None).unwrap());
        let mut found = BTreeMap::new();
        for name in PARTS {
            let value = part(name, &ctx, &names, &BTreeMap::new()).ok().flatten();
            records(name, &value.unwrap_or_else(|| panic!("`{name}` is missing")), &mut found);
        }
        // What is in these is for the registrar and the settings to say.
        for other in ["agent.labels", "facts"] {
            assert!(found.remove(other).is_some(), "{other}");
        }
        let known = FIELDS.map(|(path, fields)| (path.to_owned(), fields.iter().map(|it| (*it).to_owned()).collect()));
        assert_eq!(found, BTreeMap::from(known));
    }
}
