//! `/v1/users`, `/v1/sessions`, `/v1/entitlements`, `/v1/freeze`: on whose behalf agents act, what they may do
//! themselves, and how all of it is stopped.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::agents::Permission;
use crate::audit::EntryReference;

/// Name a user as their provider does: to register them before they were first seen, or to find them.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NameUser {
    /// The provider's id.
    pub provider: String,
    /// The user's name there: `sub` of its tokens; at most 255 bytes.
    pub subject: String,
}

impl std::fmt::Debug for NameUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NameUser").field("provider", &self.provider).finish_non_exhaustive()
    }
}

/// A user.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// The server's opaque id: `usr_…`.
    pub id: String,
    /// The name by which the audit log speaks of them: `psn_…`.
    pub pseudonym: String,
    /// The provider's id.
    pub provider: String,
    /// Its issuer URL.
    pub issuer: String,
    /// Their name there.
    pub subject: String,
    /// When they were first seen, or registered.
    pub created_at_ms: u64,
    /// When the provider issued the newest token that was seen; its claims are these.
    pub asserted_at_ms: u64,
    /// When it asserted their groups last. A token without the claim says nothing of groups.
    pub groups_asserted_at_ms: u64,
    /// Their groups. They give rights for 15 minutes after they were asserted.
    pub groups: Vec<String>,
    /// Claims that policies are shown. `{user.claim.NAME}` gives rights for 15 minutes after they were asserted.
    pub claims: serde_json::Value,
    /// How often all that they had delegated was revoked at once.
    pub revocations: u64,
    /// A token makes a delegation only if they authenticated after this.
    pub login_after_ms: Option<u64>,
    /// Why they revoked all, or all to one agent, the last time that they did and said why.
    pub revoked_because: Option<String>,
    /// What they may do themselves now.
    pub entitlements: Vec<Permission>,
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Revoke all that a user delegated, or all that they delegated to one agent, with all below.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RevokeOfUser {
    /// Only what was delegated to this agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Why, at most 256 characters. What an operator says stands in the audit log as it is: name no people there. What
    /// the user says is kept with the user, sealed under their key, and the log commits to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Erase a user for ever. Nothing brings them back.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EraseUser {
    /// Why, at most 256 characters; kept in the audit log, so name nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A user was erased, now or before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UserErased {
    /// The id, which is never anybody else's.
    pub id: String,
    /// When all of theirs ended.
    pub erased_at_ms: u64,
    /// The entry that says so.
    pub entry: EntryReference,
    /// Until when it is remembered, by a keyed hash, that somebody of their name was erased: as long as a token from
    /// before can be good.
    pub remembered_until_ms: u64,
    /// What stood in the place of their key and was not destroyed, such as a link, of which the name alone is gone. The key
    /// may be elsewhere then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_left: Option<String>,
    /// Copies that the server cannot reach, and what to do about each.
    pub not_reached: Vec<String>,
}

/// A session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// The server's id of it: `ses_…`.
    pub id: String,
    /// Whose it is.
    pub user: String,
    /// From when on.
    pub opened_at_ms: u64,
    /// When it ended.
    pub ended_at_ms: Option<u64>,
}

/// Whose right it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum EntitlementHolder {
    /// One user, by the server's id: `usr_…`.
    User(String),
    /// All users whom their provider asserted to be in this group in the last 15 minutes.
    Group {
        /// The issuer URL of the provider whose group it is.
        issuer: String,
        /// Its name there, at most 256 bytes.
        name: String,
    },
    /// All users of the provider with this issuer URL.
    Everyone(String),
}

/// Say what a holder may do: what stood before is replaced. The issuer of a group or of everyone is that of a provider
/// that is registered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetEntitlement {
    /// Whose right it is.
    pub holder: EntitlementHolder,
    /// What may be done, 1 to 64. Segments of the resource after the first may be `{user.id}` or
    /// `{user.claim.NAME}`; what is filled in is escaped, and what is missing gives no right.
    pub permissions: Vec<Permission>,
}

/// Take a holder's rights away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteEntitlement {
    /// Whose.
    pub holder: EntitlementHolder,
}

/// What a holder may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Entitlement {
    /// Whose right it is.
    pub holder: EntitlementHolder,
    /// What may be done.
    pub permissions: Vec<Permission>,
    /// When it was set.
    pub set_at_ms: u64,
}

/// Entitlements of everyone and of groups; those of single users are shown with the user. Those of groups are in no
/// order that means something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EntitlementList {
    /// A page of them.
    pub entitlements: Vec<Entitlement>,
    /// Where the next page begins (`after`); none after the last. It means nothing but that.
    pub next: Option<String>,
}

/// Deny everything, or stop doing so.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeFreeze {
    /// Why, at most 256 characters; kept in the audit log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Whether everything is denied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Freeze {
    /// Whether it is.
    pub frozen: bool,
    /// By which operator; `restore` if nobody but the restore of a backup did.
    pub by: Option<String>,
    /// Since when.
    pub since_ms: Option<u64>,
    /// Why.
    pub reason: Option<String>,
}
