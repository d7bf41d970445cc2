//! How a decision's record tells what was looked up for the policies, and what they charged.
//!
//! What was looked up, and what of it a policy saw, is decided in [`super::known`].

use attorn_core::context::Fact;
use attorn_core::{Charge, FactName, Known};
use serde_json::{Value, json};

use super::charge::Exceeded;
use super::known::{FoundFact, LookedUp, Missing};
use super::record::embedded;

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
/// the template could not be filled in; and its counters. Counts are texts, for they may have 64 bits.
pub(super) fn known_in_record(known: &Known, all: &LookedUp) -> (Value, Value) {
    let place = |fact: &Fact| fact.name.as_ref().and_then(|name| all.facts.keys().position(|other| other == name));
    let facts = known.facts.iter().map(place).collect::<Vec<_>>();
    let counters = known.counters.iter().map(|counter| {
        json!({ "name": counter.name.as_str(), "used": counter.used.to_string(),
            "window_start_ms": counter.window_start.0, "window_end_ms": counter.window_end.map(|end| end.0) })
    });
    (json!(facts), counters.collect())
}

pub(super) fn charge_in_record(charge: &Charge) -> Value {
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
