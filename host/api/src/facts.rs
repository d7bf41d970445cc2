//! `/v1/facts` and `/v1/resource-facts`: what the server knows and policies may rest on.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The most bytes that a value has in canonical form.
pub const VALUE_BYTES_MAX: usize = 4 << 10;
/// How far ahead a fact may expire, in milliseconds: ten years.
pub const EXPIRES_IN_MS_MAX: u64 = 3_653 * 24 * 3_600_000;

/// Say that these are so: `POST /v1/facts`, or `POST /v1/resource-facts` for a resource server, whose body
/// has 32 KiB at most. All of them, or none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetFacts {
    /// 1 to 128 facts, whose names have 24,576 bytes at most together.
    pub facts: Vec<SetFact>,
}

/// One fact that is so from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetFact {
    /// Its name: `resource/account/42/owner`. What stood under it before is replaced.
    pub name: String,
    /// Its value: any JSON, at most 4,096 bytes in canonical form.
    pub value: serde_json::Value,
    /// From when on it does not count any more, at most ten years (3,653 days) from now; it stands until it is
    /// deleted if that is not said.
    #[serde(default)]
    pub expires_at_ms: Option<u64>,
}

/// How many facts were set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FactsSet {
    /// All that were named.
    pub set: u64,
}

/// Forget these. A name under which nothing stands is no error; the answer names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteFacts {
    /// 1 to 128 names, with 24,576 bytes at most together.
    pub names: Vec<String>,
}

/// What was forgotten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FactsDeleted {
    /// How many facts there were of those that were named.
    pub deleted: u64,
    /// The names under which nothing stood, sorted.
    pub not_there: Vec<String>,
}

/// A fact as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fact {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: serde_json::Value,
    /// 32 hex digits, drawn when it was set. The `value_digest` of the entry that says so is BLAKE3 in the mode
    /// that derives keys, with the context `attorn fact value v1`, over these 16 bytes and the value.
    pub salt: String,
    /// Who says so: `operator/…` or `resource-server/…`.
    pub set_by: String,
    /// When they said so.
    pub set_at_ms: u64,
    /// From when on it does not count any more.
    pub expires_at_ms: Option<u64>,
    /// Whether it counts now: it has not expired, and the resource server that said it is not revoked.
    pub counts: bool,
}

/// A page of facts, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FactList {
    /// The facts.
    pub facts: Vec<Fact>,
    /// Where the next page begins (`after`); none after the last.
    pub next: Option<String>,
}
