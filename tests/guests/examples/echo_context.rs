//! Fails with what it sees of the context as a JSON text, so that a test can read what a policy gets.

use attorn_policy::{Context, Error};
use serde_json::{Map, Value, json};

attorn_guests::guest! {
    reasons: [],
    evaluate: |ctx| Err(Error::new(seen(ctx).to_string())),
}

fn seen(ctx: &Context) -> Value {
    let labels: Map<String, Value> =
        ctx.agent.labels.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
    let facts: Vec<Value> = ctx
        .facts
        .iter()
        .map(|fact| json!({ "template": fact.template, "name": fact.name, "value": fact.value }))
        .collect();
    json!({
        "phase": format!("{:?}", ctx.phase),
        "time_ms": ctx.time,
        "caller": { "method": format!("{:?}", ctx.caller.method), "key_thumbprint": ctx.caller.key_thumbprint },
        "agent": {
            "id": ctx.agent.id,
            "instance": ctx.agent.instance,
            "owner": ctx.agent.owner,
            "labels": labels,
        },
        "user": ctx.user.as_ref().map(|user| &user.id),
        "delegations": ctx.delegations.len(),
        "request": {
            "action": ctx.request.action,
            "resource": ctx.request.resource,
            "resource_type": ctx.request.resource_type,
            "resource_id": ctx.request.resource_id,
            "purpose": ctx.request.purpose,
            "session": ctx.request.session,
            "arguments": ctx.request.arguments,
            "arguments_digest": ctx.request.arguments_digest,
            "claimed_properties": ctx.request.claimed_properties,
        },
        "facts": facts,
        "approvals": ctx.approvals.len(),
        "counters": ctx.counters.len(),
        "enforcement_point": ctx.enforcement_point.as_ref().map(|point| &point.id),
        "extensions": ctx.extensions.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
    })
}
