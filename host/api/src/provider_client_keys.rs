//! `/v1/provider-client-keys`: the keys with which this server says who it is where it is a client of providers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// For how long two keys are published, where nobody says, in milliseconds: an hour.
pub const OVERLAP_MS: u64 = 3_600_000;
/// For how long they are at most, in milliseconds: seven days.
pub const OVERLAP_MS_MAX: u64 = 7 * 24 * 3_600_000;

/// Have a new key take the place of the one that signs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateProviderClientKey {
    /// For how long both are published, in milliseconds, at most seven days. In the first half of that the old one signs,
    /// so that every provider has seen the new one before it does.
    #[serde(default = "overlap_ms_default")]
    pub overlap_ms: u64,
    /// Whether somebody else may have the old one: then it is published no more, and the new one signs at once.
    #[serde(default)]
    pub compromised: bool,
    /// Why, at most 256 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

const fn overlap_ms_default() -> u64 {
    OVERLAP_MS
}

/// Such a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProviderClientKey {
    /// Its RFC 7638 SHA-256 thumbprint: `kid` in assertions and at `/.well-known/client-jwks.json`.
    pub thumbprint: String,
    /// Which of the keys it is, from 1.
    pub version: u32,
    /// Whether it signs now.
    pub signs: bool,
    /// From when on it signs, if no other does then.
    pub signs_from_ms: u64,
    /// Until when it is published; without an end until another takes its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published_until_ms: Option<u64>,
}

/// The keys that are published. There is none before the first provider needs one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProviderClientKeys {
    /// The keys, the newest first.
    pub keys: Vec<ProviderClientKey>,
}
