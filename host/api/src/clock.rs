//! `/v1/clock`: how the wall clock stands to the server's time, and accepting it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the wall clock stands to the server's time, where they do not agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stands {
    /// It is later.
    Ahead,
    /// It is earlier.
    Behind,
}

/// Both clocks, in milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClockShown {
    /// The server's time.
    pub server_ms: u64,
    /// The wall clock's.
    pub wall_ms: u64,
    /// How far they are apart.
    pub apart_ms: u64,
    /// How the wall clock stands, if they are so far apart that nothing is decided.
    pub stands: Option<Stands>,
}

/// Have the server go on with the wall clock's time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptClock {
    /// How it stands: refused if it stands otherwise. Where it stands behind, all grants and delegations that there
    /// are end with this.
    pub stands: Stands,
    /// Why, at most 256 characters; kept in the audit log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
