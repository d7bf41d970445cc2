//! `/v1/loads`: policies that are being made ready.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// All that is being made ready now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LoadList {
    /// One for each, the oldest first; at most eight.
    pub loads: Vec<Load>,
}

/// A version that is being made ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// Its id: that of the request that it is for, as in `X-Request-ID`.
    pub id: String,
    /// Which policy.
    pub policy: String,
    /// Which version of it.
    pub version: u32,
    /// For which operator.
    pub operator: String,
    /// Since when, in milliseconds since 1970.
    pub since_ms: u64,
    /// The step that it is at, as errors name it: `parse`, `compile`, `init`, …; empty before the first.
    pub step: String,
}

/// A load that was cancelled. The request that it was for is answered with `load_cancelled`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LoadCancelled {
    /// Its id.
    pub id: String,
}
