//! Agents on the wire: what a registrar sends, parsed once, and what is shown.

use std::collections::BTreeMap;

use attorn_api::ProblemCode;
use attorn_api::agents as api;
use attorn_core::{
    Agent, AgentKey, AgentState, Ceiling, JsonText, KeyThumbprint, LabelName, Permission, Purpose, PurposeCeiling,
    TimeMs, UserPresence,
};
use attorn_store::records::AgentRecord;
use serde_json::{Value, json};

use crate::http::failure::Failure;
use crate::registry::agents::identities;
use crate::registry::{count, keys};

/// The farthest that a key's expiry may be ahead: two years.
const KEY_LIFE_MS_MAX: u64 = 2 * 366 * 24 * 3600 * 1000;

/// The most bytes of all labels of an agent: every decision's record has to hold them.
const LABELS_BYTES_MAX: usize = 4 << 10;

/// The agent that a registrar asks for, active, and its public keys.
pub(super) fn agent(
    wire: &api::RegisterAgent,
    now: TimeMs,
) -> Result<(Agent, BTreeMap<KeyThumbprint, JsonText>), Failure> {
    count("labels", wire.labels.len(), 0, 32)?;
    let identities = identities::parse(&wire.identities)?;
    // Whoever has neither could never say who it is.
    let keys_min = usize::from(identities.is_empty());
    count("keys", wire.keys.len(), keys_min, 64)?;
    if !(1_000..=60_000).contains(&wire.grant_ms_max) {
        return Err(invalid(format!("`grant_ms_max` is {}, and may be 1000 to 60000", wire.grant_ms_max)));
    }
    let (mut parsed, mut jwks) = (Vec::new(), BTreeMap::new());
    for key in &wire.keys {
        let (key, jwk) = self::key(key, now)?;
        jwks.insert(key.thumbprint.clone(), jwk);
        parsed.push(key);
    }
    check_keys(&parsed, keys_min)?;
    let agent = Agent {
        id: wire.id.parse()?,
        owner: wire.owner.parse()?,
        labels: labels(&wire.labels)?,
        state: AgentState::Active,
        ceiling: ceiling(&wire.ceiling)?,
        grant_ms_max: wire.grant_ms_max,
        keys: parsed,
        revocations: 0,
        identities,
    };
    Ok((agent, jwks))
}

/// A key that a registrar sends.
pub(super) fn key(wire: &api::RegisterKey, now: TimeMs) -> Result<(AgentKey, JsonText), Failure> {
    let (thumbprint, jwk) = keys::parse(&wire.jwk)?;
    let expires_at = TimeMs(wire.expires_at_ms);
    if expires_at <= now || expires_at.ms_since(now) > KEY_LIFE_MS_MAX {
        return Err(invalid(format!(
            "`expires_at_ms` is {expires_at}; it is at least now ({now}) and at most two years ahead"
        )));
    }
    Ok((AgentKey { thumbprint, instance: wire.instance.parse()?, expires_at }, jwk))
}

/// No key and no instance stands twice, and there are not too many.
pub(super) fn check_keys(all: &[AgentKey], min: usize) -> Result<(), Failure> {
    count("keys", all.len(), min, 64)?;
    for (at, key) in all.iter().enumerate() {
        let before = &all[..at];
        if before.iter().any(|other| other.thumbprint == key.thumbprint) {
            return Err(invalid(format!("the key `{}` stands twice", key.thumbprint)));
        }
    }
    Ok(())
}

/// Labels, parsed.
pub(crate) fn labels(wire: &BTreeMap<String, String>) -> Result<BTreeMap<LabelName, String>, Failure> {
    let bytes: usize = wire.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes > LABELS_BYTES_MAX {
        return Err(invalid(format!("the labels have {bytes} bytes in all, and {LABELS_BYTES_MAX} is the most")));
    }
    let mut labels = BTreeMap::new();
    for (name, value) in wire {
        if value.len() > 256 || value.chars().any(char::is_control) {
            return Err(invalid(format!("the label `{name}` has more than 256 bytes, or control characters")));
        }
        labels.insert(name.parse()?, value.clone());
    }
    Ok(labels)
}

/// A ceiling that a registrar sends.
pub(super) fn ceiling(wire: &BTreeMap<String, api::PurposeCeiling>) -> Result<Ceiling, Failure> {
    count("purposes", wire.len(), 1, 64)?;
    let mut purposes = BTreeMap::new();
    for (purpose, ceiling) in wire {
        count("permissions for one purpose", ceiling.permissions.len(), 1, 64)?;
        let user = match ceiling.user {
            api::UserPresence::With => UserPresence::WithUser,
            api::UserPresence::Without => UserPresence::WithoutUser,
        };
        let permissions = ceiling.permissions.iter().map(permission).collect::<Result<_, _>>()?;
        purposes.insert(purpose.parse::<Purpose>()?, PurposeCeiling { user, permissions });
    }
    Ok(Ceiling::new(purposes))
}

fn permission(wire: &api::Permission) -> Result<Permission, Failure> {
    Ok(Permission { action: wire.action.parse()?, resource: wire.resource.parse()? })
}

fn invalid(detail: String) -> Failure {
    Failure::of(ProblemCode::InvalidField, detail)
}

/// An agent as operators see it.
pub(super) fn shown(record: &AgentRecord) -> api::Agent {
    let agent = record.agent();
    api::Agent {
        id: agent.id.to_string(),
        owner: agent.owner.to_string(),
        labels: agent.labels.iter().map(|(name, value)| (name.to_string(), value.clone())).collect(),
        state: shown_state(agent.state),
        ceiling: shown_ceiling(&agent.ceiling),
        grant_ms_max: agent.grant_ms_max,
        keys: agent.keys.iter().map(|key| shown_key(record, key)).collect(),
        identities: agent.identities.iter().map(identities::shown).collect(),
        history: record
            .history()
            .iter()
            .map(|change| api::StateChange {
                state: shown_state(change.state),
                at_ms: change.at.0,
                by: change.by.to_string(),
            })
            .collect(),
        uses: None,
    }
}

fn shown_key(record: &AgentRecord, key: &AgentKey) -> api::AgentKey {
    api::AgentKey {
        instance: key.instance.to_string(),
        thumbprint: key.thumbprint.to_string(),
        jwk: record.jwk(&key.thumbprint).map_or(Value::Null, keys::shown),
        expires_at_ms: key.expires_at.0,
    }
}

fn shown_ceiling(ceiling: &Ceiling) -> BTreeMap<String, api::PurposeCeiling> {
    let one = |(purpose, ceiling): (&Purpose, &PurposeCeiling)| {
        let user = match ceiling.user {
            UserPresence::WithUser => api::UserPresence::With,
            UserPresence::WithoutUser => api::UserPresence::Without,
        };
        let permissions = ceiling.permissions.iter().map(|permission| api::Permission {
            action: permission.action.to_string(),
            resource: permission.resource.to_string(),
        });
        (purpose.to_string(), api::PurposeCeiling { user, permissions: permissions.collect() })
    };
    ceiling.purposes().map(one).collect()
}

const fn shown_state(state: AgentState) -> api::AgentState {
    match state {
        AgentState::Active => api::AgentState::Active,
        AgentState::Suspended => api::AgentState::Suspended,
        AgentState::Retired => api::AgentState::Retired,
    }
}

/// A state's name, for people.
pub(super) const fn state_name(state: AgentState) -> &'static str {
    match state {
        AgentState::Active => "active",
        AgentState::Suspended => "suspended",
        AgentState::Retired => "retired",
    }
}

/// An agent as its registration stands in the log.
pub(super) fn in_entry(record: &AgentRecord) -> Value {
    let shown = shown(record);
    let keys: Vec<Value> = shown
        .keys
        .iter()
        .map(
            |key| json!({ "instance": key.instance, "thumbprint": key.thumbprint, "expires_at_ms": key.expires_at_ms }),
        )
        .collect();
    json!({
        "id": shown.id,
        "owner": shown.owner,
        "labels": shown.labels,
        "ceiling": shown.ceiling,
        "grant_ms_max": shown.grant_ms_max,
        "keys": keys,
        "identities": record.agent().identities.iter().map(identities::in_entry).collect::<Vec<_>>(),
    })
}
