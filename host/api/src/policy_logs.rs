//! `/v1/policy-logs`: what policies wrote to their logs lately.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The newest lines that policies wrote, the oldest first: a page of what the server still has in memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyLogList {
    /// The lines.
    pub lines: Vec<PolicyLogLine>,
    /// How many lines after `after`, of any policy, are not kept any more.
    pub lost: u64,
    /// Whether `after` is a number of another run of the server, of which nothing is kept.
    pub restarted: bool,
    /// What to give as `after` to go on, now or later.
    pub next: u64,
    /// Whether there is more already.
    pub more: bool,
}

/// A line that a policy wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyLogLine {
    /// Its number. Numbers grow, also from one run of the server to the next.
    pub sequence: u64,
    /// When the decision was made.
    pub time_ms: u64,
    /// The policy that wrote it.
    pub policy: String,
    /// Which version of it.
    pub version: u32,
    /// How much it matters.
    pub level: LogLevel,
    /// The decision that the policy was asked about.
    pub decision_id: String,
    /// What it wrote. Escape it where it is shown.
    pub message: String,
}

/// How much a line matters, the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// For whoever debugs the policy.
    Debug,
    /// For whoever operates it.
    Info,
    /// Something is odd, and the policy went on.
    Warn,
    /// Something is wrong.
    Error,
}
