//! How a decision's record tells what the policies saw of the user and the chain, what was looked up for them, and what
//! they charged.
//!
//! What was looked up, and what of it a policy saw, is decided in [`super::known`].

use attorn_core::context::{Approval, Counter, Delegation, Fact, Group, User};
use attorn_core::{Charge, Digest, FactName, Known, Permission, TargetId, WantedCredential, WithinBounds};
use attorn_engine::CounterDeclaration;
use serde_json::{Value, json};

use super::charge::Exceeded;
use super::digests::scope_name;
use super::known::{FoundFact, LookedUp, Missing};
use super::record::embedded;

/// The credential that was asked for, as entry and record have it.
pub(super) fn credential_in(credential: &WantedCredential) -> Value {
    json!({ "kind": credential.kind.as_str(), "target": credential.target.as_ref().map(TargetId::as_str) })
}

/// A fact as the policies saw it, whose word it is, and the salt with which the digest in the entry that set
/// it can be checked. One that is missing has no value; `missing` says why.
pub(super) fn fact_in_record((name, found): (&FactName, &FoundFact)) -> Value {
    json!({
        "name": name.as_str(),
        "version": found.set.as_ref().map(|set| set.version),
        "set_by": found.set.as_ref().map(|set| set.value.set_by.to_string()),
        "salt": found.body.as_ref().map(|body| body.salt.to_string()),
        "value": found.value().map(embedded),
        "missing": found.missing.map(Missing::as_str),
    })
}

/// What one policy saw: for each of its templates, in their order, which of the record's facts, or null where
/// the template could not be filled in; and its counters, as it declared them. Counts are texts, for they may have 64
/// bits.
pub(super) fn known_in_record(known: &Known, declared: &[CounterDeclaration], all: &LookedUp) -> (Value, Value) {
    let place = |fact: &Fact| fact.name.as_ref().and_then(|name| all.facts.keys().position(|other| other == name));
    let facts = known.facts.iter().map(place).collect::<Vec<_>>();
    let counters = known.counters.iter().zip(declared).map(|(counter, declared): (&Counter, _)| {
        json!({ "name": counter.name.as_str(), "used": counter.used.to_string(),
            "scope": scope_name(declared.scope), "window": declared.window.as_str(),
            "window_start_ms": counter.window_start.0, "window_end_ms": counter.window_end.map(|end| end.0) })
    });
    (json!(facts), counters.collect())
}

pub(crate) fn charge_in_record(charge: &Charge) -> Value {
    json!({ "policy": charge.policy.as_str(), "counter": charge.counter.as_str(),
        "amount": charge.amount.to_string(), "at_most": charge.at_most.to_string() })
}

/// The charge that a counter had no room for, and what the counter was found at. No policy says so; the deny
/// follows from this.
pub(super) fn limit_in_record(limit: &Exceeded) -> Value {
    let mut record = charge_in_record(&limit.charge);
    record["found"] = limit.found.to_string().into();
    record
}

/// The user as the policies saw them.
pub(super) fn user_in_record(user: &User) -> Value {
    let group = |group: &Group| json!({ "name": group.name, "asserted_at_ms": group.asserted_at.0 });
    json!({
        "id": user.id.as_str(),
        "issuer": user.issuer.as_str(),
        "authenticated_at_ms": user.authenticated_at.0,
        "acr": user.acr,
        "groups": user.groups.iter().map(group).collect::<Vec<_>>(),
        "claims": embedded(&user.claims),
    })
}

/// A hop of the chain as the policies saw it.
pub(super) fn delegation_in_record(hop: &Delegation) -> Value {
    let permission = |permission: &Permission| json!({ "action": permission.action.to_string(), "resource": permission.resource.to_string() });
    json!({
        "id": hop.id.as_str(),
        "to_agent": hop.to_agent.as_str(),
        "permissions": hop.permissions.iter().map(permission).collect::<Vec<_>>(),
        "purpose": hop.purpose.as_str(),
        "session": hop.session.as_str(),
        "created_at_ms": hop.created_at.0,
        "expires_at_ms": hop.expires_at.0,
    })
}

/// An approval as the policies saw it.
pub(super) fn approval_in_record(approval: &Approval) -> Value {
    json!({ "id": approval.id.to_string(), "role": approval.role.as_str(),
        "approver": approval.approver.id(), "approved_at_ms": approval.approved_at.0 })
}

/// What the bounds left: the widest terms that any policy could allow on.
pub(super) fn bounds_in_record(within: &WithinBounds<'_>) -> Value {
    let widest = within.widest_terms();
    json!({ "grant_ms_max": widest.grant_ms_max, "uses_max": widest.uses_max })
}

/// The engine that ran the policies.
pub(super) fn engine_in_record(configuration: Digest) -> Value {
    json!({ "wasmtime": attorn_engine::WASMTIME_VERSION, "configuration": configuration.to_string() })
}
