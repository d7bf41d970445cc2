//! Rego's `input`: what of ours stands in it, and where.
//!
//! What the agent claims beside its arguments (`claimed_properties`) is no part that could be asked for: nobody checked
//! it. Its session is one only where there is a delegation.

use std::collections::{BTreeMap, BTreeSet};

use attorn_policy::{AuthenticationMethod, Context, Error};
use serde_json::{Map, Value as Json, json};

/// All parts that there are.
pub(crate) const PARTS: [&str; 17] = [
    "action",
    "agent",
    "approvals",
    "arguments",
    "caller",
    "counters",
    "credential",
    "delegations",
    "enforcement_point",
    "hops",
    "purpose",
    "resource",
    "resource_id",
    "resource_type",
    "session",
    "time_ms",
    "user",
];

/// Members of `input`: where each is, and the path to what it holds. None: all parts under their own names.
#[derive(Debug)]
pub(crate) struct Members(Option<Vec<(Vec<String>, Vec<String>)>>);

impl Members {
    /// These, as `user.name` → `user.id`.
    pub(crate) fn new(members: Option<BTreeMap<String, String>>) -> Result<Self, String> {
        let Some(members) = members else { return Ok(Self(None)) };
        let mut all: Vec<(Vec<String>, Vec<String>)> = Vec::new();
        for (name, path) in members {
            let at = |problem: String| format!("at `input.{name}`: {problem}");
            let place = steps(&name);
            if place.iter().any(String::is_empty) {
                return Err(at(format!("`{name}` has a part without a name")));
            }
            // Sorted by their texts, one above another comes before it, though others may stand between.
            if let Some((other, _)) =
                all.iter().find(|(other, _)| place.starts_with(other) || other.starts_with(&place))
            {
                return Err(at(format!(
                    "`{}` is there already, and one of them would hide the other",
                    other.join(".")
                )));
            }
            let source = steps(&path);
            if !PARTS.contains(&source[0].as_str()) {
                return Err(at(format!("`{}` is no part of a request; there are `{}`", source[0], PARTS.join("`, `"))));
            }
            all.push((place, source));
        }
        Ok(Self(Some(all)))
    }

    /// The `input` of this request. What is missing is no member.
    pub(crate) fn of(&self, ctx: &Context) -> Result<Json, Error> {
        let Some(members) = &self.0 else {
            let mut all = Map::new();
            for part in PARTS {
                if let Some(value) = self::part(part, ctx)? {
                    all.insert(part.to_owned(), value);
                }
            }
            return Ok(all.into());
        };
        let mut input = Json::Object(Map::new());
        let wanted: BTreeSet<&str> = members.iter().map(|(_, source)| source[0].as_str()).collect();
        let parts = wanted.into_iter().map(|name| Ok((name, part(name, ctx)?)));
        let parts = parts.collect::<Result<BTreeMap<&str, Option<Json>>, Error>>()?;
        for (place, source) in members {
            let found = parts.get(source[0].as_str()).and_then(Option::as_ref);
            let found = source[1..].iter().try_fold(found, |value, step| Some(value?.get(step))).flatten();
            if let Some(value) = found {
                let at = place.iter().fold(&mut input, |at, step| &mut at[step.as_str()]);
                *at = value.clone();
            }
        }
        Ok(input)
    }
}

fn steps(path: &str) -> Vec<String> {
    path.split('.').map(str::to_owned).collect()
}

/// A part of the request; none if it is missing.
fn part(part: &str, ctx: &Context) -> Result<Option<Json>, Error> {
    let request = &ctx.request;
    Ok(match part {
        "action" => Some(json!(request.action)),
        "agent" => Some(agent(ctx)),
        "approvals" => Some(approvals(ctx)),
        "arguments" => Some(request.arguments_as()?),
        "caller" => Some(caller(ctx)),
        "counters" => Some(counters(ctx)),
        "credential" => ctx.wanted_credential()?.map(|wanted| {
            let mut credential = json!({ "kind": wanted.kind });
            set(&mut credential, "target", wanted.target);
            credential
        }),
        "delegations" => Some(delegations(ctx)),
        "enforcement_point" => match &ctx.enforcement_point {
            Some(point) => {
                let asserted: Json = serde_json::from_str(&point.asserted_properties)?;
                Some(json!({ "id": point.id, "asserted": asserted }))
            }
            None => None,
        },
        "hops" => Some(json!(ctx.delegations.len())),
        "purpose" => Some(json!(request.purpose)),
        "resource" => Some(json!(request.resource)),
        "resource_id" => Some(json!(request.resource_id)),
        "resource_type" => Some(json!(request.resource_type)),
        // Without a delegation it is what the agent says, and nobody checked it.
        "session" if !ctx.delegations.is_empty() => request.session.as_ref().map(|session| json!(session)),
        "time_ms" => Some(json!(ctx.time)),
        "user" => user(ctx)?,
        _ => None,
    })
}

fn agent(ctx: &Context) -> Json {
    let agent = &ctx.agent;
    let labels: Map<String, Json> = agent.labels.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    json!({ "id": agent.id, "instance": agent.instance, "owner": agent.owner, "labels": labels })
}

fn user(ctx: &Context) -> Result<Option<Json>, Error> {
    let Some(user) = &ctx.user else { return Ok(None) };
    let groups = user
        .groups
        .iter()
        .map(|group| json!({ "issuer": group.issuer, "name": group.name, "asserted_at_ms": group.asserted_at_ms }));
    let mut told = json!({
        "id": user.id,
        "issuer": user.issuer,
        "authenticated_at_ms": user.authenticated_at_ms,
        "groups": groups.collect::<Vec<_>>(),
        "claims": user.claims_as::<Json>()?,
    });
    set(&mut told, "acr", user.acr.clone());
    Ok(Some(told))
}

fn delegations(ctx: &Context) -> Json {
    let hops = (0_u64..).zip(&ctx.delegations).map(|(hop, delegation)| {
        let permissions = delegation
            .permissions
            .iter()
            .map(|permission| json!({ "action": permission.action, "resource": permission.resource }));
        json!({
            "hop": hop,
            "id": delegation.id,
            "to_agent": delegation.to_agent,
            "permissions": permissions.collect::<Vec<_>>(),
            "purpose": delegation.purpose,
            "session": delegation.session,
            "created_at_ms": delegation.created_at_ms,
            "expires_at_ms": delegation.expires_at_ms,
        })
    });
    hops.collect()
}

fn approvals(ctx: &Context) -> Json {
    let approvals = ctx.approvals.iter().map(|approval| {
        json!({
            "id": approval.id,
            "approver": approval.approver,
            "role": approval.role,
            "approved_at_ms": approval.approved_at_ms,
        })
    });
    approvals.collect()
}

fn caller(ctx: &Context) -> Json {
    let method = match ctx.caller.method {
        AuthenticationMethod::Dpop => "dpop",
        AuthenticationMethod::Mtls => "mtls",
        AuthenticationMethod::PrivateKeyJwt => "private_key_jwt",
        AuthenticationMethod::EnforcementPoint => "enforcement_point",
    };
    json!({ "method": method, "key_thumbprint": ctx.caller.key_thumbprint })
}

fn counters(ctx: &Context) -> Json {
    let counters = ctx.counters.iter().map(|counter| {
        let mut told = json!({ "used": counter.used, "window_start_ms": counter.window_start_ms });
        set(&mut told, "window_end_ms", counter.window_end_ms);
        (counter.name.clone(), told)
    });
    Json::Object(counters.collect())
}

fn set(object: &mut Json, name: &str, value: Option<impl Into<Json>>) {
    if let Some(value) = value {
        object[name] = value.into();
    }
}
