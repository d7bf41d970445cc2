//! `/v1/token-keys`: the keys that sign tokens.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Have a new key sign from now on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateTokenKey {
    /// Why, at most 256 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Have a key sign no more. If it is the one that signs, a new one does.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetireTokenKey {
    /// Whether somebody else may have it: then all that it ever signed ends at once, with its grants.
    #[serde(default)]
    pub compromised: bool,
    /// Why, at most 256 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A key that signs tokens, or did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenKey {
    /// Its RFC 7638 SHA-256 thumbprint: `kid` in tokens and in the JWK set.
    pub thumbprint: String,
    /// Which of the keys it is, from 1.
    pub version: u32,
    /// Whether it signs.
    pub state: TokenKeyState,
    /// Whether it stands in the JWK set.
    pub published: bool,
    /// When it was made.
    pub made_at_ms: u64,
    /// Since when it does not sign.
    pub ended_at_ms: Option<u64>,
}

/// Whether a key signs tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TokenKeyState {
    /// It does.
    Signing,
    /// Not any more; what it signed lives on until it expires.
    Retired,
    /// Somebody else may have it: nothing that it signed counts.
    Compromised,
}

/// Keys by thumbprint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenKeyList {
    /// A page of them.
    pub keys: Vec<TokenKey>,
    /// Where the next page begins (`after`); none after the last.
    pub next: Option<String>,
}

/// A key signs no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenKeyChanged {
    /// The key, as it is now.
    pub key: TokenKey,
    /// The one that signs now.
    pub signing: TokenKey,
}
