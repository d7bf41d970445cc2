//! `/v1/simulations`: what would be decided, and why.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::audit::EntryReference;
use crate::decisions::{ActiveSetReference, ApprovalRequirement, DecisionKind, DecisionRequest, Reason};
use crate::policies::Mode;

/// What is to be tried.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SimulationRequest<'a> {
    /// The agent that would ask.
    pub agent: String,
    /// Which of its instances; the first whose key has not expired if it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// What it would ask.
    #[serde(borrow)]
    pub request: DecisionRequest<'a>,
    /// Policies as if this version of each were in force, or none (`null`); at most 16. It takes the duty
    /// `policy_admin` too.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub with: BTreeMap<String, Option<u32>>,
}

/// What would be decided now. Nothing was granted, charged or approved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Simulation {
    /// What would be decided.
    pub decision: DecisionKind,
    /// Why, also what the agent would not be shown.
    pub reasons: Vec<Reason>,
    /// What would have to be approved.
    pub approvers: Vec<ApprovalRequirement>,
    /// Under what terms a grant would be made; none if there would be none.
    pub terms: Option<Terms>,
    /// The policies that would be asked, each with what it says. Empty when a bound decides before them.
    pub policies: Vec<SimulatedPolicy>,
    /// Policies that would not be asked, at most 200.
    pub not_asked: Vec<NotAsked>,
    /// How many there are of those.
    pub not_asked_count: u64,
    /// Which policies are in force.
    pub active_set: ActiveSetReference,
    /// The digest of the set that was tried, which is not in force; none if it was the one in force.
    pub tried_set_digest: Option<String>,
    /// The entry that records that this was tried.
    pub entry: EntryReference,
}

/// What one policy says, and what that takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SimulatedPolicy {
    /// The policy's id.
    pub policy: String,
    /// Its version.
    pub version: u32,
    /// The version's BLAKE3 digest.
    pub digest: String,
    /// Whether its outcome counts.
    pub mode: Mode,
    /// Whether its silence denies.
    pub required: bool,
    /// `allow`, `challenge`, `deny`, `abstain`, or `failed:` and how.
    pub outcome: String,
    /// Its reasons, also those that no agent is shown.
    pub reasons: Vec<Reason>,
    /// Who would have to approve, for a challenge.
    pub approvers: Vec<ApprovalRequirement>,
    /// Its terms, for an allow or a challenge.
    pub terms: Option<Terms>,
    /// More about a failure.
    pub failure_detail: Option<String>,
    /// For a shadow policy: what would be decided if it counted.
    pub would: Option<DecisionKind>,
    /// The facts that it asked for.
    pub facts: Vec<SimulatedFact>,
    /// The counters that it declared, as they stand.
    pub counters: Vec<SimulatedCounter>,
    /// Units of fuel: about one for each instruction, and the same on every machine. None if it ran out of
    /// time while they were counted, which is slower.
    pub fuel: Option<u64>,
    /// CPU time in microseconds.
    pub cpu_us: u64,
    /// Wall time in microseconds.
    pub wall_us: u64,
    /// Bytes over all its memories.
    pub memory_bytes: u64,
    /// What it wrote to its log.
    pub log: Vec<LogLine>,
    /// Whether its log was cut.
    pub log_cut: bool,
}

/// The terms of an allow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// How long the grant may live, in milliseconds; none where a policy leaves that to the server.
    pub grant_ms_max: Option<u64>,
    /// How often it may be used.
    pub uses_max: u32,
    /// What would be charged.
    pub debits: Vec<Debit>,
    /// What the enforcement point would have to do.
    pub obligations: Vec<Obligation>,
}

/// A charge to a counter. Numbers are texts, for they may have 64 bits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Debit {
    /// Whose counter.
    pub policy: String,
    /// The counter's name.
    pub counter: String,
    /// How much.
    pub amount: String,
    /// What the counter must not pass.
    pub at_most: String,
}

/// What an enforcement point would have to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Obligation {
    /// What kind.
    pub kind: String,
    /// Its parameters.
    pub parameters: Value,
}

/// A fact that a policy asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SimulatedFact {
    /// The template, as the policy declares it.
    pub template: String,
    /// The name after it was filled in; none if something that it names is missing.
    pub name: Option<String>,
    /// The value; none if there is none.
    pub value: Option<Value>,
}

/// A counter that a policy declared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SimulatedCounter {
    /// Its name.
    pub name: String,
    /// What was debited in this window, as a text.
    pub used: String,
    /// Where the window ends; none for one that never does.
    pub window_end_ms: Option<u64>,
}

/// A line of a policy's log. The policy wrote it: escape it where it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogLine {
    /// `debug`, `info`, `warn` or `error`.
    pub level: String,
    /// What it says.
    pub message: String,
}

/// A policy that would not be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NotAsked {
    /// The policy's id.
    pub policy: String,
    /// Its version.
    pub version: u32,
    /// The sides of its selector that do not match: `actions`, `resource_types`, `agent_labels`, `user`.
    pub because_of: Vec<String>,
}
