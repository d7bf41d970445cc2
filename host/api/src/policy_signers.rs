//! `/v1/policy-signers` and `/v1/policy-signatures`: who vouches for components, and whether somebody has to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Register somebody whose signatures of components count: `POST /v1/policy-signers`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterPolicySigner {
    /// Its id, never used again for another.
    pub id: String,
    /// The public key of minisign: the second line of its file, or both lines. No key is registered twice.
    pub public_key: String,
    /// What people call it, at most 256 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Somebody whose signatures of components count, until they are revoked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicySigner {
    /// Its id.
    pub id: String,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The public key, one line.
    pub public_key: String,
    /// What minisign names the key by: 16 hexadecimal digits.
    pub key: String,
    /// When it was registered.
    pub created_at_ms: u64,
    /// By which operator.
    pub created_by: String,
    /// When it was revoked, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at_ms: Option<u64>,
    /// By which operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_by: Option<String>,
}

/// Signers by id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicySignerList {
    /// A page of them.
    pub policy_signers: Vec<PolicySigner>,
    /// Where the next page begins (`after`); none after the last.
    pub next: Option<String>,
}

/// Whether components have to be signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicySignatures {
    /// Whether a version is taken, and comes into force, only with a signature of an active signer.
    pub required: bool,
    /// How many signers are active.
    pub signers_active: u32,
    /// How many versions are in force that no active signer signed. They stay in force.
    pub in_force_without: u32,
}

/// Require signatures, or require them no more: `POST /v1/policy-signatures/require` and `/lift`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangePolicySignatures {
    /// Why, at most 256 characters. Kept in the audit log.
    #[serde(default)]
    pub reason: Option<String>,
}
