//! Policies on the wire.

use attorn_api::ProblemCode;
use attorn_api::policies as api;
use attorn_core::{ComponentClass, PolicyLimits, Selector};
use attorn_store::records::{ActiveSetRecord, PolicySettings, PolicyVersionRecord};
use serde_json::Value;

use crate::http::failure::Failure;
use crate::registry::count;

pub(super) fn selector(wire: &api::Selector) -> Result<Selector, Failure> {
    count("actions in the selector", wire.actions.len(), 0, 64)?;
    count("resource types in the selector", wire.resource_types.len(), 0, 64)?;
    count("labels in the selector", wire.agent_labels.len(), 0, 32)?;
    Ok(Selector {
        actions: wire.actions.iter().map(|action| action.parse()).collect::<Result<_, _>>()?,
        resource_types: wire.resource_types.iter().map(|name| name.parse()).collect::<Result<_, _>>()?,
        agent_labels: crate::registry::agents::wire::labels(&wire.agent_labels)?.into_iter().collect(),
    })
}

pub(super) fn limits(wire: Option<api::Limits>, class: ComponentClass) -> Result<PolicyLimits, Failure> {
    let of_class = PolicyLimits::of_class(class);
    let Some(wire) = wire else { return Ok(of_class) };
    let within = [
        ("cpu_us_max", wire.cpu_us_max, 100, 250_000),
        ("wall_us_max", wire.wall_us_max, 100, 1_000_000),
        ("memory_bytes_max", wire.memory_bytes_max, 64 << 10, 128 << 20),
    ];
    for (name, value, min, max) in within {
        if !(min..=max).contains(&value) {
            let detail = format!("`{name}` is {value}, and may be {min} to {max}");
            return Err(Failure::of(ProblemCode::InvalidField, detail));
        }
    }
    let api::Limits { cpu_us_max, wall_us_max, memory_bytes_max } = wire;
    Ok(PolicyLimits { cpu_us_max, wall_us_max, memory_bytes_max, ..of_class })
}

pub(super) fn shown(record: &PolicyVersionRecord, active: bool) -> api::PolicyVersion {
    let settings = match &record.settings {
        PolicySettings::Inline(text) => serde_json::from_str(text.as_str()).unwrap_or(Value::Null),
        PolicySettings::File(digest) => Value::String(format!("blake3:{digest}")),
    };
    api::PolicyVersion {
        policy: record.policy.to_string(),
        version: record.version,
        digest: record.digest().to_string(),
        component: record.component.to_string(),
        settings,
        selector: api::Selector {
            actions: record.selector.actions.iter().map(ToString::to_string).collect(),
            resource_types: record.selector.resource_types.iter().map(ToString::to_string).collect(),
            agent_labels: record
                .selector
                .agent_labels
                .iter()
                .map(|(name, value)| (name.to_string(), value.clone()))
                .collect(),
        },
        required: record.required,
        limits: api::Limits {
            cpu_us_max: record.limits.cpu_us_max,
            wall_us_max: record.limits.wall_us_max,
            memory_bytes_max: record.limits.memory_bytes_max,
        },
        created_at_ms: record.created_at.0,
        created_by: record.created_by.to_string(),
        active,
    }
}

pub(super) fn active_set(record: &ActiveSetRecord) -> api::ActiveSet {
    api::ActiveSet {
        revision: record.revision(),
        digest: record.digest().to_string(),
        members: record
            .members()
            .iter()
            .map(|member| api::ActiveMember {
                policy: member.policy.to_string(),
                version: member.version,
                digest: member.digest.to_string(),
            })
            .collect(),
    }
}
