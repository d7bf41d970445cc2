//! `/v1/components` and `/v1/policies`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A component that the server has, after `PUT /v1/components/{digest}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Component {
    /// The BLAKE3 digest of its bytes.
    pub digest: String,
    /// How many bytes it has.
    pub bytes: u64,
}

/// Push a version of a policy: `POST /v1/policies/{id}/versions`. The first push makes the policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PushVersion {
    /// The BLAKE3 digest of a component that was put before.
    pub component: String,
    /// The settings that its `init` gets: any JSON, at most 32 KiB.
    pub settings: serde_json::Value,
    /// Which requests it is asked about; all if it is not said.
    #[serde(default)]
    pub selector: Selector,
    /// Whether its silence denies.
    #[serde(default)]
    pub required: bool,
    /// Limits other than those of its class.
    #[serde(default)]
    pub limits: Option<Limits>,
}

/// Which requests a policy is asked about. What is empty leaves that side open.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Selector {
    /// Action patterns; at most 64.
    #[serde(default)]
    pub actions: Vec<String>,
    /// Resource types; at most 64.
    #[serde(default)]
    pub resource_types: Vec<String>,
    /// Labels that the agent must have, with these values; at most 32.
    #[serde(default)]
    pub agent_labels: BTreeMap<String, String>,
}

/// What one evaluation may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// CPU time in microseconds, 100 to 250,000.
    pub cpu_us_max: u64,
    /// Wall time in microseconds, 100 to 1,000,000; all policies of a decision share 250,000.
    pub wall_us_max: u64,
    /// Bytes over all linear memories, 65,536 to 134,217,728.
    pub memory_bytes_max: u64,
}

/// A version of a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyVersion {
    /// The policy's id.
    pub policy: String,
    /// Its number, from 1.
    pub version: u32,
    /// The BLAKE3 digest of all that makes this version, the component among it.
    pub digest: String,
    /// The component's BLAKE3 digest.
    pub component: String,
    /// Its settings.
    pub settings: serde_json::Value,
    /// Which requests it is asked about.
    pub selector: Selector,
    /// Whether its silence denies.
    pub required: bool,
    /// What one evaluation may use.
    pub limits: Limits,
    /// When it was pushed.
    pub created_at_ms: u64,
    /// By which operator.
    pub created_by: String,
    /// Whether it is in force.
    pub active: bool,
}

/// A policy and all its versions, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Its id.
    pub id: String,
    /// Which version is in force.
    pub active_version: Option<u32>,
    /// The newest versions, at most 100.
    pub versions: Vec<PolicyVersion>,
}

/// All policies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyList {
    /// The policies in force.
    pub active_set: ActiveSet,
    /// A page of all policies.
    pub policies: Vec<PolicySummary>,
    /// Where the next page begins (`after`); none after the last.
    pub next: Option<String>,
}

/// A policy in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicySummary {
    /// Its id.
    pub id: String,
    /// Its newest version.
    pub latest_version: u32,
    /// Which version is in force.
    pub active_version: Option<u32>,
}

/// Put a version in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Activate {
    /// Which one.
    pub version: u32,
}

/// The policies in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ActiveSet {
    /// Counts the changes.
    pub revision: u64,
    /// The BLAKE3 digest of what is in it.
    pub digest: String,
    /// What is in it, by policy id.
    pub members: Vec<ActiveMember>,
}

/// A policy in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ActiveMember {
    /// Its id.
    pub policy: String,
    /// Which version.
    pub version: u32,
    /// That version's digest.
    pub digest: String,
}
