//! `/v1/operators`: who administers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Register an operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterOperator {
    /// Its id, never used again for another.
    pub id: String,
    /// What it may do: at least one of `registrar`, `policy_admin`, `policy_weakener`, `approver`,
    /// `auditor`, `thawer`, `eraser`, `admin`.
    pub duties: Vec<String>,
}

/// An operator that was just registered, or given a new token.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisteredOperator {
    /// The operator.
    pub operator: Operator,
    /// Its token. It is shown this once; the server keeps a digest.
    pub token: String,
}

impl std::fmt::Debug for RegisteredOperator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RegisteredOperator").field("operator", &self.operator).finish_non_exhaustive()
    }
}

/// An operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Operator {
    /// Its id.
    pub id: String,
    /// What it may do, sorted.
    pub duties: Vec<String>,
    /// When it was registered.
    pub created_at_ms: u64,
    /// When it was revoked.
    pub revoked_at_ms: Option<u64>,
    /// Whether it has a token. One that is not revoked has none after a restore, until it is given a new one.
    pub has_token: bool,
}

/// Operators by id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OperatorList {
    /// A page of them.
    pub operators: Vec<Operator>,
    /// Where the next page begins (`after`); none after the last.
    pub next: Option<String>,
}
