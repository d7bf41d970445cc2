//! `/v1/delegations`: what users delegated to agents, and agents offered to others out of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::agents::Permission;
use crate::audit::EntryReference;

/// An agent brings a user's consent: `POST /v1/delegations`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateDelegation {
    /// An access token of a registered provider for this server, which names this agent; at most 8 KiB. It is
    /// kept nowhere.
    pub subject_token: String,
    /// What for: a purpose that the user consented to and that the agent is registered for, with a user.
    pub purpose: String,
    /// What the agent takes of what the user consented to, at most 32; all of it if it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permissions: Option<Vec<Permission>>,
    /// How long it may last, in milliseconds; the provider's `delegation_ms_max` is the most, and what holds if it
    /// is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in_ms: Option<u64>,
}

impl std::fmt::Debug for CreateDelegation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CreateDelegation").field("purpose", &self.purpose).finish_non_exhaustive()
    }
}

/// An agent offers another a part of what was delegated to it: `POST /v1/delegations/{id}/offer`. It counts when the
/// other has accepted it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OfferDelegation {
    /// The agent that it is to.
    pub to_agent: String,
    /// What it may do: 1 to 32, each within the agent's own.
    pub permissions: Vec<Permission>,
    /// How long it may last, in milliseconds; no longer than the agent's own, which is what holds if it is not
    /// said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in_ms: Option<u64>,
}

/// A delegation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Delegation {
    /// Its id: `dlg_…`.
    pub id: String,
    /// The user whom its chain starts with: `usr_…`.
    pub user: String,
    /// The agent that offered it; none if the user delegated it.
    pub from_agent: Option<String>,
    /// The delegation out of which it was offered.
    pub parent: Option<String>,
    /// How many delegations lead to it; 0 for the user's own.
    pub depth: u32,
    /// The agent that it is to.
    pub to_agent: String,
    /// What for.
    pub purpose: String,
    /// In which session: `ses_…`.
    pub session: String,
    /// What may be done.
    pub permissions: Vec<Permission>,
    /// From when on.
    pub created_at_ms: u64,
    /// Until when.
    pub expires_at_ms: u64,
    /// When the agent that it is to accepted it.
    pub accepted_at_ms: Option<u64>,
    /// When it was revoked itself. What it hangs on may have been, too: see `standing`.
    pub revoked_at_ms: Option<u64>,
    /// `active`, or the reason code with which a decision by it would be denied whatever is asked.
    pub standing: String,
}

/// A delegation that was made, or that the same token was exchanged for before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DelegationMade {
    /// The delegation.
    pub delegation: Delegation,
    /// Its entry in the audit log.
    pub entry: EntryReference,
}

/// By what a user consented. The token itself is kept nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// The provider whose token it was.
    pub provider: String,
    /// The token's `jti`, if it had one.
    pub token_id: Option<String>,
    /// BLAKE3 in the mode that derives keys, with the context `attorn subject token v1`, over the token.
    pub token_digest: String,
    /// When the provider issued it.
    pub issued_at_ms: u64,
    /// When the user had authenticated, if the provider said it.
    pub auth_time_ms: Option<u64>,
    /// The authentication context class, if the provider said one.
    pub acr: Option<String>,
    /// All that the user consented to for this purpose.
    pub consented: Vec<Permission>,
}

/// A delegation, as operators see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DelegationDetails {
    /// The delegation.
    pub delegation: Delegation,
    /// By what the user consented; none for what an agent offered.
    pub evidence: Option<Evidence>,
    /// Why it was revoked, where the user or an agent did and said why. What an operator said stands in the audit log.
    pub revoked_because: Option<String>,
}

/// Delegations, by id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DelegationList {
    /// A page of them.
    pub delegations: Vec<Delegation>,
    /// Where the next page begins (`after`); none after the last.
    pub next: Option<String>,
}

/// A delegation and all that was offered out of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DelegationTree {
    /// The delegation.
    pub delegation: Delegation,
    /// What was offered out of it, each with what was offered out of that.
    pub children: Vec<DelegationTree>,
    /// Whether there is more below than is shown: a tree shows 500.
    pub more: bool,
}

/// Why something is revoked.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Revoke {
    /// Why, at most 256 characters. What an operator says stands in the audit log as it is: name no people there. What
    /// a user or an agent says is kept with the delegation, sealed under the user's key, and the log commits to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
