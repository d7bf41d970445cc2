//! `/v1/workload-issuers`: whose tokens say who a workload is. A Kubernetes cluster is one, and so is a cloud.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The most bytes of a body that brings keys.
pub const BODY_BYTES_MAX: usize = 96 << 10;

/// Register a workload issuer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterWorkloadIssuer {
    /// Its id, never used again for another.
    pub id: String,
    /// What its tokens say in `iss`, byte by byte. It never changes, no two share one, and none is a provider's.
    pub issuer: String,
    /// How its tokens may be signed: of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, `EdDSA`.
    pub algorithms: BTreeSet<String>,
    /// What it signs with: a JWK Set of at most 16 public keys, each with a `kid` of its own. The server fetches
    /// nothing.
    pub jwks: serde_json::Value,
}

/// Give a workload issuer other keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateWorkloadIssuer {
    /// How its tokens may be signed from now on.
    pub algorithms: BTreeSet<String>,
    /// All that it signs with from now on; what is not in it does not count any more.
    pub jwks: serde_json::Value,
}

/// A workload issuer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkloadIssuer {
    /// Its id.
    pub id: String,
    /// What its tokens say in `iss`.
    pub issuer: String,
    /// How its tokens may be signed.
    pub algorithms: BTreeSet<String>,
    /// The `kid`s of its keys.
    pub keys: Vec<String>,
    /// When it was registered.
    pub created_at_ms: u64,
    /// When its keys became what they are.
    pub changed_at_ms: u64,
    /// When it was revoked, if it was.
    pub revoked_at_ms: Option<u64>,
}

/// Workload issuers by id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkloadIssuerList {
    /// A page of them.
    pub workload_issuers: Vec<WorkloadIssuer>,
    /// Where the next page begins (`after`); none after the last.
    pub next: Option<String>,
}
