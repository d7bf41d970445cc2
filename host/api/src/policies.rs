//! `/v1/components` and `/v1/policies`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::agents::UserPresence;

/// A component that the server has, after `PUT /v1/components/{digest}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Component {
    /// The BLAKE3 digest of its bytes.
    pub digest: String,
    /// How many bytes it has.
    pub bytes: u64,
}

/// How every component begins: WebAssembly's magic, then the version and the layer of the component model.
pub const COMPONENT_HEAD: &[u8; 8] = b"\0asm\x0d\0\x01\0";
/// What to do about what is no component.
pub const COMPONENT_HELP: &str =
    "build a component: `attorn policy build` does, and so does `wasm-tools component new`";

/// Why these bytes cannot be a component, by how they begin; none if they may be one.
#[must_use]
pub fn no_component(bytes: &[u8]) -> Option<&'static str> {
    match bytes.first_chunk::<8>() {
        Some(head) if head == COMPONENT_HEAD => None,
        Some(b"\0asm\x01\0\0\0") => Some("this is a core WebAssembly module, not a component"),
        _ if bytes.starts_with(b"\0asm") => Some("it does not begin as a component of a known version"),
        _ => Some("it does not begin as WebAssembly does"),
    }
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
    /// Whether its outcome counts; it does if it is not said.
    #[serde(default)]
    pub mode: Mode,
    /// Whether its silence denies.
    #[serde(default)]
    pub required: bool,
    /// Limits other than those of its component's class.
    #[serde(default)]
    pub limits: Option<Limits>,
    /// A signature of the component's bytes, as it stands in a `.minisig` file: at most 8 KiB. It is verified wherever
    /// one comes, and has to come where signatures are required.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
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
    /// Only requests of agents that act for a user (`with`), or only of those that act for none
    /// (`without`); both if it is not said.
    #[serde(default)]
    pub user: Option<UserPresence>,
}

/// Whether a policy's outcome counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// It counts.
    #[default]
    Enforce,
    /// It is evaluated after the answer and recorded, and never counts.
    Shadow,
}

/// What kind of program a component is. It says which limits a policy has that names none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Compiled from a language without a runtime to speak of.
    Native,
    /// An interpreter and its script.
    Script,
    /// A language with a large runtime.
    LargeRuntime,
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
    /// Whether its outcome counts.
    pub mode: Mode,
    /// Whether its silence denies.
    pub required: bool,
    /// What kind of program its component is.
    pub class: Class,
    /// What one evaluation may use.
    pub limits: Limits,
    /// When it was pushed.
    pub created_at_ms: u64,
    /// By which operator.
    pub created_by: String,
    /// Whether it is in force.
    pub active: bool,
    /// How it was made ready; none if it is not loaded now. Some that are not in force stay loaded for a while.
    pub load: Option<LoadReport>,
    /// What came of it as a shadow policy; none if it was never evaluated as one.
    pub shadow: Option<ShadowReport>,
    /// For which agents it is not asked now, because it ran out of CPU time again and again for them; at
    /// most 16. What it would be asked about is denied.
    pub paused: Vec<Pause>,
    /// Who signed its component, if it came with a signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signer: Option<VersionSigner>,
    /// Why it could not be loaded when the server started, where it is in force: what it is asked about is denied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_loaded: Option<String>,
}

/// Who signed the component of a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VersionSigner {
    /// The signer's id.
    pub id: String,
    /// What minisign names their key by.
    pub key: String,
    /// When the signer was revoked, if they were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at_ms: Option<u64>,
}

/// A policy is not asked for an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pause {
    /// For which.
    pub agent: String,
    /// Until when, in milliseconds since 1970.
    pub until_ms: u64,
}

/// How a version was made ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LoadReport {
    /// How each evaluation starts.
    pub activation: Activation,
    /// Why no snapshot could be taken; none if there is one.
    pub no_snapshot: Option<String>,
    /// Which class's pool it runs in; none if it fits none, and each evaluation maps memories of its own.
    pub pool: Option<Class>,
    /// Whether its machine code was there already.
    pub from_cache: bool,
    /// CPU time of `init` when it was compiled, in microseconds.
    pub init_cpu_us: u64,
    /// The bytes of its machine code.
    pub machine_code_bytes: u64,
}

/// How each evaluation of a policy starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// From a snapshot that was taken after `init`.
    Snapshot,
    /// From the component as it came: `init` runs before each `evaluate`.
    InitEachTime,
}

/// What came of a version as a shadow policy. Nothing of it ever counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShadowReport {
    /// When it was evaluated, or dropped, first.
    pub since_ms: u64,
    /// How often it was evaluated.
    pub evaluations: u64,
    /// How many decisions would have been another if it had counted beside the others.
    pub would_change: u64,
    /// How many decisions allowed what it denies, challenges or fails on.
    pub stricter: u64,
    /// How many decisions denied or challenged what it allows.
    pub laxer: u64,
    /// How often it failed.
    pub failures: u64,
    /// How often it was not evaluated because too much waited already, or what it said could not be written
    /// down.
    pub dropped: u64,
}

/// A policy and all its versions, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Its id.
    pub id: String,
    /// Which version is in force.
    pub active_version: Option<u32>,
    /// The versions that were in force before, the latest first; at most 16. A rollback leads to the first.
    pub before: Vec<u32>,
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
    /// The version in force.
    pub active: Option<ActiveVersion>,
    /// The version that was in force before.
    pub before: Option<u32>,
}

/// A version in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ActiveVersion {
    /// Which one.
    pub version: u32,
    /// Its digest.
    pub digest: String,
    /// Which requests it is asked about.
    pub selector: Selector,
    /// Whether its outcome counts.
    pub mode: Mode,
    /// Whether its silence denies.
    pub required: bool,
    /// What kind of program its component is.
    pub class: Class,
    /// What one evaluation may use.
    pub limits: Limits,
    /// Who signed its component, if it came with a signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signer: Option<VersionSigner>,
    /// Why it could not be loaded when the server started, where it is in force: what it is asked about is denied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_loaded: Option<String>,
}

/// Put a version in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Activate {
    /// Which one.
    pub version: u32,
}

/// Go back to a version that was in force before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rollback {
    /// Which one; the latest if it is not said.
    #[serde(default)]
    pub to: Option<u32>,
}

/// Change the set in force, all at once or not at all: `POST /v1/active-set/changes`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeSet {
    /// For each policy the version that is to be in force, or null for none; 1 to 64 policies.
    pub policies: BTreeMap<String, Option<u32>>,
}

/// A version that was revoked: it is never in force again, and what it allowed has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VersionRevoked {
    /// The policy's id.
    pub policy: String,
    /// Which version of it.
    pub version: u32,
}

/// The policies in force, as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ActiveSet {
    /// Counts the changes.
    pub revision: u64,
    /// The BLAKE3 digest of what is in it.
    pub digest: String,
    /// How many policies are in it.
    pub policies: u32,
}

/// What a change of the set came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetChanged {
    /// The set in force now.
    pub active_set: ActiveSet,
    /// What changed in it.
    pub changes: Vec<PolicyChanged>,
}

/// What changed about one policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyChanged {
    /// Its id.
    pub policy: String,
    /// The version in force now.
    pub version: Option<u32>,
    /// That version's digest.
    pub digest: Option<String>,
    /// The version that was in force until now.
    pub replaced: Option<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_a_component_is_told_by_how_it_begins() {
        let wasm = Some("it does not begin as WebAssembly does");
        let version = Some("it does not begin as a component of a known version");
        for (bytes, expect) in [
            (&b""[..], wasm),
            (b"root:x:0:0:root:/root:/bin/bash", wasm),
            (b"\0as", wasm),
            (b"\0asm", version),
            (b"\0asm\x0d\0\x01", version),
            (b"\0asm\x0e\0\x01\0", version),
            (b"\0asm\x0d\0\0\0", version),
            (b"\0asm\x01\0\0\0", Some("this is a core WebAssembly module, not a component")),
            (COMPONENT_HEAD, None),
            (b"\0asm\x0d\0\x01\0rest", None),
        ] {
            assert_eq!(no_component(bytes), expect, "{bytes:?}");
        }
    }
}
