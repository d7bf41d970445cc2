//! `/v1/trust-domains`: who vouches for workloads.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Register a trust domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterTrustDomain {
    /// Its SPIFFE name, without `spiffe://`.
    pub id: String,
    /// What it signs with.
    pub bundle: TrustBundle,
}

/// Give a trust domain other roots and keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateTrustDomain {
    /// All that it signs with from now on; what is not in it does not count any more.
    pub bundle: TrustBundle,
}

/// What a trust domain signs with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TrustBundle {
    /// Certificates of authorities for X.509-SVIDs, in PEM; at most 16, of at most 32 KiB in DER.
    Pem(String),
    /// A bundle in the SPIFFE format: a JWK Set whose keys have the `use` `x509-svid` or `jwt-svid`; at most
    /// 16 of each.
    Spiffe(serde_json::Value),
}

/// A trust domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrustDomain {
    /// Its SPIFFE name.
    pub id: String,
    /// The SHA-256 digests of its roots' DER, in hexadecimal.
    pub x509_roots: Vec<String>,
    /// The names of its keys for JWT-SVIDs.
    pub jwt_keys: Vec<String>,
    /// When it was registered.
    pub created_at_ms: u64,
    /// When its roots and keys became what they are.
    pub changed_at_ms: u64,
    /// When it was revoked.
    pub revoked_at_ms: Option<u64>,
}

/// Trust domains by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrustDomainList {
    /// A page of them.
    pub trust_domains: Vec<TrustDomain>,
    /// Where the next page begins (`after`); none after the last.
    pub next: Option<String>,
}
