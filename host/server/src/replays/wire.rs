//! A decision's record as `decisions::record` writes it: what of it a replay needs.
//!
//! Members that came later may be missing in old records; whoever needs one says so then.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
pub(super) struct RecordWire {
    pub(super) phase: String,
    pub(super) time_ms: u64,
    pub(super) caller: CallerWire,
    pub(super) agent: AgentWire,
    pub(super) user: Option<UserWire>,
    pub(super) delegations: Vec<DelegationWire>,
    pub(super) request: RequestWire,
    #[serde(default)]
    pub(super) credential: Option<CredentialWire>,
    pub(super) policies_asked: bool,
    pub(super) facts: Vec<FactWire>,
    pub(super) policies: Vec<PolicyWire>,
    pub(super) limit: Option<LimitWire>,
    #[serde(default)]
    pub(super) approvals: Vec<ApprovalWire>,
    #[serde(default)]
    pub(super) approval: Option<ApprovalStepWire>,
    #[serde(default)]
    pub(super) bounds: Option<BoundsWire>,
    #[serde(default)]
    pub(super) context_digest: Option<String>,
    #[serde(default)]
    pub(super) decision_digest: Option<String>,
    #[serde(default)]
    pub(super) engine: Option<EngineWire>,
}

#[derive(Deserialize)]
pub(super) struct CredentialWire {
    pub(super) kind: String,
    pub(super) target: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct CallerWire {
    pub(super) method: String,
    pub(super) key_thumbprint: String,
}

#[derive(Deserialize)]
pub(super) struct AgentWire {
    pub(super) id: String,
    pub(super) owner: String,
    pub(super) instance: Option<String>,
    pub(super) labels: BTreeMap<String, String>,
}

#[derive(Deserialize)]
pub(super) struct UserWire {
    pub(super) id: String,
    pub(super) issuer: String,
    pub(super) authenticated_at_ms: u64,
    pub(super) acr: Option<String>,
    pub(super) groups: Vec<GroupWire>,
    pub(super) claims: Value,
}

#[derive(Deserialize)]
pub(super) struct GroupWire {
    pub(super) name: String,
    pub(super) asserted_at_ms: u64,
}

#[derive(Deserialize)]
pub(super) struct DelegationWire {
    pub(super) id: String,
    pub(super) to_agent: String,
    pub(super) permissions: Vec<PermissionWire>,
    pub(super) purpose: String,
    pub(super) session: String,
    pub(super) created_at_ms: u64,
    pub(super) expires_at_ms: u64,
}

#[derive(Deserialize)]
pub(super) struct PermissionWire {
    pub(super) action: String,
    pub(super) resource: String,
}

#[derive(Deserialize)]
pub(super) struct RequestWire {
    pub(super) action: String,
    pub(super) resource: String,
    pub(super) purpose: String,
    pub(super) session: Option<String>,
    pub(super) arguments: Value,
    pub(super) arguments_digest: String,
    pub(super) claims: Value,
}

#[derive(Deserialize)]
pub(super) struct FactWire {
    pub(super) name: String,
    /// Null where it is missing, and where it is null.
    pub(super) value: Value,
    pub(super) missing: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct PolicyWire {
    pub(super) policy: String,
    pub(super) version: u32,
    pub(super) digest: String,
    pub(super) outcome: String,
    #[serde(default)]
    pub(super) outcome_digest: Option<String>,
    pub(super) facts: Vec<Option<usize>>,
    pub(super) counters: Vec<CounterWire>,
}

#[derive(Deserialize)]
pub(super) struct CounterWire {
    pub(super) name: String,
    pub(super) used: String,
    #[serde(default)]
    pub(super) scope: Option<String>,
    #[serde(default)]
    pub(super) window: Option<String>,
    pub(super) window_start_ms: u64,
    pub(super) window_end_ms: Option<u64>,
}

#[derive(Deserialize)]
pub(super) struct LimitWire {
    pub(super) policy: String,
    pub(super) counter: String,
    pub(super) amount: String,
    pub(super) at_most: String,
    pub(super) found: String,
}

#[derive(Deserialize)]
pub(super) struct ApprovalWire {
    pub(super) id: String,
    pub(super) role: String,
    pub(super) approver: String,
    pub(super) approved_at_ms: u64,
}

#[derive(Deserialize)]
pub(super) struct ApprovalStepWire {
    pub(super) is: String,
}

#[derive(Deserialize)]
pub(super) struct BoundsWire {
    pub(super) grant_ms_max: u64,
    pub(super) uses_max: u32,
}

#[derive(Deserialize)]
pub(super) struct EngineWire {
    pub(super) wasmtime: String,
    pub(super) configuration: String,
}
