//! `/v1/resource-servers`: who accepts credentials.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Register a resource server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterResourceServer {
    /// Its id, never used again for another.
    pub id: String,
    /// What it answers to in a token's `aud`.
    pub audience: String,
    /// The types of resource that are its own; at least one, at most 64.
    pub resource_types: Vec<String>,
    /// Its public key as a JWK, by which it reports uses and effects.
    pub jwk: serde_json::Value,
    /// How it sees to it that no grant is used more often than it may be.
    pub counts_uses: UseCounting,
}

/// How a resource server sees to it that no grant is used more often than it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UseCounting {
    /// It reports each use (`POST /v1/grants/{id}/uses`) before it acts, and acts only if that succeeds.
    Reports,
    /// It remembers the id of each grant that was used until that expires, and takes none twice. All grants for
    /// it are of one use.
    Remembers,
    /// It does not. Nothing is granted for its resources.
    No,
}

/// A resource server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResourceServer {
    /// Its id.
    pub id: String,
    /// What it answers to in a token's `aud`.
    pub audience: String,
    /// The types of resource that are its own, sorted.
    pub resource_types: Vec<String>,
    /// Its public key as a JWK.
    pub jwk: serde_json::Value,
    /// The key's RFC 7638 SHA-256 thumbprint.
    pub key_thumbprint: String,
    /// How it sees to it that no grant is used more often than it may be.
    pub counts_uses: UseCounting,
    /// When it was registered.
    pub created_at_ms: u64,
    /// When it was revoked.
    pub revoked_at_ms: Option<u64>,
}

/// Resource servers by id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResourceServerList {
    /// A page of them.
    pub resource_servers: Vec<ResourceServer>,
    /// Where the next page begins (`after`); none after the last.
    pub next: Option<String>,
}
