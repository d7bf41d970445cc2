//! `/v1/grants`: uses and effects, reported by resource servers; revocation, by operators.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::audit::EntryReference;

/// A resource server uses a grant, before it acts: `POST /v1/grants/{id}/uses`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UseGrant {
    /// The action that it is about to do.
    pub action: String,
    /// To which resource.
    pub resource: String,
    /// SHA-256 of the canonical arguments that it is about to act on.
    pub arguments_digest: String,
}

/// The use counts; the resource server may act.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GrantUse {
    /// Which grant.
    pub grant: String,
    /// Which of its uses this is, from 1.
    pub use_number: u32,
    /// How many are left.
    pub uses_left: u32,
    /// The use's entry in the audit log.
    pub entry: EntryReference,
}

/// A resource server says what came of a use: `POST /v1/grants/{id}/effect`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReportEffect {
    /// Which of the grant's uses.
    pub use_number: u32,
    /// What came of it.
    pub effect: Effect,
    /// In its words, at most 256 characters.
    #[serde(default)]
    pub note: Option<String>,
}

/// What came of a use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// The action was done.
    Done,
    /// It was tried, and failed; whether it had effects is not known here.
    Failed,
    /// It was not tried: the use is given back.
    Released,
}

/// What came of a use is recorded, once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EffectRecorded {
    /// Which grant.
    pub grant: String,
    /// Which use.
    pub use_number: u32,
    /// What came of it.
    pub effect: Effect,
    /// The effect's entry in the audit log.
    pub entry: EntryReference,
}

/// A grant, as operators see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GrantDetails {
    /// Its id.
    pub id: String,
    /// The decision that it came of.
    pub decision_id: String,
    /// Who holds it.
    pub agent: String,
    /// Which of the agent's instances.
    pub instance: String,
    /// Where it is accepted.
    pub resource_server: String,
    /// What may be done.
    pub action: String,
    /// To what.
    pub resource: String,
    /// Why.
    pub purpose: String,
    /// From when on.
    pub issued_at_ms: u64,
    /// Until when.
    pub expires_at_ms: u64,
    /// When it was revoked.
    pub revoked_at_ms: Option<u64>,
    /// How often it may be used.
    pub uses_max: u32,
    /// How often it was.
    pub uses: u32,
    /// Whether it would be accepted now.
    pub active: bool,
}

/// Grants, by id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GrantList {
    /// A page of them.
    pub grants: Vec<GrantDetails>,
    /// Where the next page begins (`after`); none after the last.
    pub next: Option<String>,
}
