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
    /// When clients' assertions are refused, because they could have been accepted before a restart or before time was
    /// set back: now, or at times that come.
    pub assertions_refused: Vec<TimeSpan>,
}

/// From one time until another, in milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TimeSpan {
    /// The first.
    pub from_ms: u64,
    /// The last.
    pub until_ms: u64,
}

/// Have the server go on with the wall clock's time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptClock {
    /// How it stands: refused if it stands otherwise. Where it stands behind, all grants and delegations that there
    /// are end with this.
    pub stands: Stands,
    /// How far they are apart, as it was shown: refused if it is another step by more than some seconds.
    pub apart_ms: u64,
    /// Why, at most 256 characters; kept in the audit log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
