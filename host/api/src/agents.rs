//! `/v1/agents`: the registry of agents.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::audit::EntryReference;

/// Register an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterAgent {
    /// Its id, never used again for another.
    pub id: String,
    /// Who answers for it.
    pub owner: String,
    /// Labels, at most 32 of at most 256 bytes, and 4,096 bytes in all.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// The most that it may ever do, by purpose; at most 64.
    pub ceiling: BTreeMap<String, PurposeCeiling>,
    /// The longest that a grant of its may live, in milliseconds; 60,000 if it is not said.
    #[serde(default = "grant_ms_max_default")]
    pub grant_ms_max: u64,
    /// Its keys, at most 64. It has at least one key or identity.
    #[serde(default)]
    pub keys: Vec<RegisterKey>,
    /// Identities that others vouch for, at most 16.
    #[serde(default)]
    pub identities: Vec<Identity>,
}

const fn grant_ms_max_default() -> u64 {
    60_000
}

/// What an agent may do for one purpose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PurposeCeiling {
    /// Whether it is pursued on behalf of a user: `with` or `without`.
    pub user: UserPresence,
    /// What it may do; at least one, at most 64.
    pub permissions: Vec<Permission>,
}

/// Whether a purpose is pursued on behalf of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UserPresence {
    /// Only on behalf of a user.
    With,
    /// Only on the agent's own authority.
    Without,
}

/// What may be done to what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Permission {
    /// An action pattern: `faq.read`, `faq.*` or `*`.
    pub action: String,
    /// A resource pattern: `article/42`, `article/*` or `*`.
    pub resource: String,
}

/// A key to register.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterKey {
    /// Who holds it, such as a pod or a host.
    pub instance: String,
    /// The public key as a JWK (RFC 7517): P-256 or Ed25519.
    pub jwk: serde_json::Value,
    /// From when on it is not accepted any more; at most two years ahead.
    pub expires_at_ms: u64,
}

/// An agent's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentKey {
    /// Who holds it.
    pub instance: String,
    /// Its RFC 7638 SHA-256 thumbprint.
    pub thumbprint: String,
    /// The public key as a JWK.
    pub jwk: serde_json::Value,
    /// From when on it is not accepted any more.
    pub expires_at_ms: u64,
}

/// An identity of an agent that somebody else vouches for, beside its keys. No two agents share one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// Who it is.
    pub subject: IdentitySubject,
    /// Which of the agent's instances shows it.
    pub instance: String,
    /// How it may be shown; at least one.
    pub methods: Vec<IdentityMethod>,
}

/// Who an identity says that somebody is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IdentitySubject {
    /// A SPIFFE ID of a registered trust domain.
    Spiffe(String),
    /// A workload of a registered issuer; it is shown by `jwt` only.
    Workload(Workload),
}

/// A workload as its issuer's tokens name it, byte by byte.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Workload {
    /// What they say in `iss`.
    pub issuer: String,
    /// What they say in `sub`.
    pub subject: String,
}

/// How an identity may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IdentityMethod {
    /// By an X.509-SVID, as the client certificate of a connection.
    X509,
    /// By a JWT-SVID or a workload's token, beside a key of the agent's.
    Jwt,
}

/// Revoke an identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RevokeIdentity {
    /// Which of the agent's.
    pub subject: IdentitySubject,
}

/// Whether an agent may act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AgentState {
    /// It may.
    Active,
    /// Not until it is resumed.
    Suspended,
    /// Never again.
    Retired,
}

/// A change of an agent's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StateChange {
    /// What it became.
    pub state: AgentState,
    /// When.
    pub at_ms: u64,
    /// By which operator. Why stands in the audit log.
    pub by: String,
}

/// A registered agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Agent {
    /// Its id.
    pub id: String,
    /// Who answers for it.
    pub owner: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Whether it may act.
    pub state: AgentState,
    /// The most that it may ever do, by purpose.
    pub ceiling: BTreeMap<String, PurposeCeiling>,
    /// The longest that a grant of its may live, in milliseconds.
    pub grant_ms_max: u64,
    /// Its keys.
    pub keys: Vec<AgentKey>,
    /// Identities that others vouch for.
    pub identities: Vec<Identity>,
    /// How it came to its state: the newest changes, at most 32, oldest first.
    pub history: Vec<StateChange>,
    /// When each permission of its ceiling was last used; only where one agent is shown, and not while the index of
    /// the audit log is being opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses: Option<CeilingUses>,
}

/// When the permissions of a ceiling were last used, as far as the audit log is indexed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CeilingUses {
    /// How many entries of the log were looked at, from the first on.
    pub indexed_through: u64,
    /// When the first of them was written: of before nothing is known.
    pub since_ms: Option<u64>,
    /// Epochs of the log that have ended: what was used in them was not looked at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<crate::audit::EarlierEpoch>,
    /// The permissions: first those that were never used, then those that were used longest ago.
    pub permissions: Vec<PermissionUse>,
}

/// When a permission of a ceiling was last used: the newest allow that the agent asked for itself and the permission
/// covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PermissionUse {
    /// For which purpose.
    pub purpose: String,
    /// The action pattern.
    pub action: String,
    /// The resource pattern.
    pub resource: String,
    /// When; none if it was not used in the epoch that the log is in.
    pub last_used_at_ms: Option<u64>,
    /// The entry that says so.
    pub entry: Option<EntryReference>,
    /// Whether only the resource's type was compared, because the log has pseudonyms for the ids of users' resources.
    /// The permission may then have been used longer ago, or never.
    pub by_type: bool,
    /// Whether all that is indexed was looked at. If not, that it was never used is not known.
    pub complete: bool,
}

/// Suspend, resume or retire an agent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeState {
    /// Why, at most 256 characters; kept in the audit log.
    #[serde(default)]
    pub reason: Option<String>,
}

/// Say anew what an agent may do at the very most: `POST /v1/agents/{id}/ceiling`. It holds for the next decision,
/// and for grants and delegations that are there already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeCeiling {
    /// The most that it may ever do, by purpose; 1 to 64. It replaces what stood before.
    pub ceiling: BTreeMap<String, PurposeCeiling>,
    /// Why, at most 256 characters; kept in the audit log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Agents by id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentList {
    /// A page of them.
    pub agents: Vec<Agent>,
    /// Where the next page begins (`after`); none after the last.
    pub next: Option<String>,
}
