//! `/v1/decisions`: an agent asks, the server decides.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::audit::EntryReference;

/// What an agent asks. It is signed by the proof that comes with it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DecisionRequest<'a> {
    /// The action: `faq.read`.
    pub action: String,
    /// The resource: `article/42`.
    pub resource: String,
    /// The purpose, one that the agent is registered for.
    pub purpose: String,
    /// The session. With a delegation it is the delegation's, also when it is not said; without one it is the
    /// agent's claim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The delegation that the agent acts by, the last of its chain: `dlg_…`. None for what the agent does on
    /// its own authority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delegation: Option<String>,
    /// The user on whose behalf. The delegation says so already; another user than its own denies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// What the agent wants to be given: a token, if it is not said.
    #[serde(default, skip_serializing_if = "CredentialKind::is_token")]
    pub credential: CredentialKind,
    /// The action's arguments, one JSON object; `{}` if it is not said.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<serde_json::Map<String, serde_json::Value>>")]
    pub arguments: Option<&'a RawValue>,
    /// Whatever else the agent claims, one JSON object. Nobody checks it.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<serde_json::Map<String, serde_json::Value>>")]
    pub claims: Option<&'a RawValue>,
}

/// A kind of credential.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CredentialKind {
    /// A signed token, for the resource server.
    #[default]
    Token,
    /// A login in the database that the resource type is tied to. Its password is shown once: asking again under an
    /// idempotency key shows the login without it.
    Postgresql,
}

impl CredentialKind {
    /// Whether it is what is given if nothing is said.
    #[must_use]
    pub fn is_token(&self) -> bool {
        *self == Self::Token
    }
}

/// What was decided. Always with HTTP 200, whatever it says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DecisionAnswer {
    /// `allow`, `challenge` or `deny`.
    pub decision: DecisionKind,
    /// Names the decision: `dec_…`.
    pub decision_id: String,
    /// Why; at least one when it is no allow.
    pub reasons: Vec<Reason>,
    /// Who has to approve, when it is a challenge.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvers: Vec<ApprovalRequirement>,
    /// What they are asked, when it is a challenge. When they have said yes, ask again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalReference>,
    /// The right that an allow yields.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<Grant>,
    /// What to show the resource server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<Credential>,
    /// What to sign in to the database with, where a login was asked for. It is shown once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<PostgresqlLogin>,
    /// The decision's entry in the audit log.
    pub entry: EntryReference,
    /// Under which policies it was decided.
    pub active_set: ActiveSetReference,
}

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DecisionKind {
    /// Yes.
    Allow,
    /// Only with an approval.
    Challenge,
    /// No.
    Deny,
}

/// Why something was decided as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// The stable code.
    pub code: String,
    /// What it means here, for people.
    pub text: String,
    /// The policy that gives it; none when the host does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
}

/// Who has to approve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApprovalRequirement {
    /// In which role: `operator`, `user`, or the name of a group at the user's provider.
    pub role: String,
    /// How many distinct people.
    pub count: u32,
}

/// An approval that a challenge waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApprovalReference {
    /// Its id: `apr_…`.
    pub id: String,
    /// The short code that whoever is asked sees, too. Show it, so that they can compare.
    pub code: String,
    /// From when on it does not count: after that, asking again asks them anew.
    pub expires_at_ms: u64,
    /// How long to wait before looking at `/v1/approvals/{id}/state`, and between two looks.
    pub poll_ms: u64,
    /// Where the user, or whoever is in a group that is asked, signs in at the provider, reads what is asked, and says yes
    /// or no, if there is such a page for them. It is no secret and opens nothing by itself: show it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<String>,
}

/// A grant, as its holder sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// Its id: `grt_…`.
    pub id: String,
    /// Where it is accepted.
    pub audience: String,
    /// What may be done.
    pub action: String,
    /// To what.
    pub resource: String,
    /// SHA-256 of the canonical arguments (RFC 8785).
    pub arguments_digest: String,
    /// From when on.
    pub issued_at_ms: u64,
    /// Until when.
    pub expires_at_ms: u64,
    /// How often it may be used.
    pub uses_max: u32,
}

/// A credential, issued from exactly one grant.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Credential {
    /// `DPoP`: whoever shows it proves possession of the key it is bound to (RFC 9449). Or `Bearer`, for one that
    /// is bound to a client certificate, which whoever shows it shows, too (RFC 8705).
    pub token_type: String,
    /// A signed token (RFC 9068, `typ: at+jwt`).
    pub access_token: String,
    /// In how many seconds it ends.
    pub expires_in: u64,
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credential").field("expires_in", &self.expires_in).finish_non_exhaustive()
    }
}

/// A login in a PostgreSQL, issued from exactly one grant.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PostgresqlLogin {
    /// The lease that it is: `lse_…`.
    pub lease: String,
    /// Where the database answers.
    pub host: String,
    /// At which port.
    pub port: u16,
    /// Which database.
    pub database: String,
    /// The name to sign in with.
    pub user: String,
    /// The password; none where the same was asked before, since it is shown once and kept nowhere. Whoever lost it asks
    /// under another idempotency key.
    pub password: Option<String>,
    /// When it ends, and every session with it.
    pub expires_at_ms: u64,
}

impl std::fmt::Debug for PostgresqlLogin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresqlLogin").field("lease", &self.lease).finish_non_exhaustive()
    }
}

/// The policies that a decision rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ActiveSetReference {
    /// Counts the changes of the set.
    pub revision: u64,
    /// The BLAKE3 digest of what was in it.
    pub digest: String,
}
