//! Policies on the wire.

use attorn_api::policies as api;
use attorn_api::{ProblemCode, agents};
use attorn_core::{ComponentClass, PolicyLimits, PolicyMode, Selector, UserPresence};
use attorn_engine::{Activation, LoadedPolicy};
use attorn_store::records::{ActiveSetRecord, PolicySettings, PolicyVersionRecord, ShadowReportRecord};
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
        user: wire.user.map(|user| match user {
            agents::UserPresence::With => UserPresence::WithUser,
            agents::UserPresence::Without => UserPresence::WithoutUser,
        }),
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

pub(super) const fn mode(wire: api::Mode) -> PolicyMode {
    match wire {
        api::Mode::Enforce => PolicyMode::Enforce,
        api::Mode::Shadow => PolicyMode::Shadow,
    }
}

/// A version as operators read it, but for who signed it.
pub(super) fn shown(
    record: &PolicyVersionRecord,
    active: bool,
    loaded: Option<&LoadedPolicy>,
    shadow: Option<api::ShadowReport>,
) -> api::PolicyVersion {
    let settings = match &record.settings {
        PolicySettings::Inline(text) => serde_json::from_str(text.as_str()).unwrap_or(Value::Null),
        PolicySettings::File(digest) => Value::String(format!("blake3:{digest}")),
    };
    let api::ActiveVersion { version, digest, selector, mode, required, class, limits, signer, .. } = in_force(record);
    api::PolicyVersion {
        policy: record.policy.to_string(),
        version,
        digest,
        component: record.component.to_string(),
        settings,
        selector,
        mode,
        required,
        class,
        limits,
        created_at_ms: record.created_at.0,
        created_by: record.created_by.to_string(),
        active,
        load: loaded.map(load_report),
        shadow,
        paused: Vec::new(),
        signer,
        not_loaded: None,
    }
}

fn load_report(loaded: &LoadedPolicy) -> api::LoadReport {
    let report = loaded.report();
    let (activation, no_snapshot) = match &report.activation {
        Activation::Snapshot => (api::Activation::Snapshot, None),
        Activation::InitEachTime { reason } => (api::Activation::InitEachTime, Some(reason.clone())),
    };
    api::LoadReport {
        activation,
        no_snapshot,
        pool: report.pool.map(class),
        from_cache: report.from_cache,
        init_cpu_us: report.init_cpu_us,
        machine_code_bytes: report.machine_code_bytes,
    }
}

const fn class(class: ComponentClass) -> api::Class {
    match class {
        ComponentClass::Native => api::Class::Native,
        ComponentClass::Script => api::Class::Script,
        ComponentClass::LargeRuntime => api::Class::LargeRuntime,
    }
}

/// What a list says of a version in force, but for who signed it.
pub(super) fn in_force(record: &PolicyVersionRecord) -> api::ActiveVersion {
    let Selector { actions, resource_types, agent_labels, user } = &record.selector;
    api::ActiveVersion {
        version: record.version,
        digest: record.digest().to_string(),
        selector: api::Selector {
            actions: actions.iter().map(ToString::to_string).collect(),
            resource_types: resource_types.iter().map(ToString::to_string).collect(),
            agent_labels: agent_labels.iter().map(|(name, value)| (name.to_string(), value.clone())).collect(),
            user: user.map(|user| match user {
                UserPresence::WithUser => agents::UserPresence::With,
                UserPresence::WithoutUser => agents::UserPresence::Without,
            }),
        },
        mode: match record.mode {
            PolicyMode::Enforce => api::Mode::Enforce,
            PolicyMode::Shadow => api::Mode::Shadow,
        },
        required: record.required,
        class: class(record.class),
        limits: api::Limits {
            cpu_us_max: record.limits.cpu_us_max,
            wall_us_max: record.limits.wall_us_max,
            memory_bytes_max: record.limits.memory_bytes_max,
        },
        signer: None,
        not_loaded: None,
    }
}

pub(super) fn active_set(record: &ActiveSetRecord) -> api::ActiveSet {
    api::ActiveSet { revision: record.revision, digest: record.digest.to_string(), policies: record.policies }
}

pub(super) const fn shadow_report(record: &ShadowReportRecord) -> api::ShadowReport {
    api::ShadowReport {
        since_ms: record.since.0,
        evaluations: record.evaluations,
        would_change: record.would_change,
        stricter: record.stricter,
        laxer: record.laxer,
        failures: record.failures,
        dropped: record.dropped,
    }
}
