//! `/v1/providers`: `OpenID` providers that are trusted, and what their tokens mean.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::agents::Permission;

/// The most bytes of a provider's configuration.
pub const CONFIGURATION_BYTES_MAX: usize = 56 << 10;

/// The longest token that is read, in bytes.
pub const TOKEN_BYTES_MAX: usize = 8 << 10;

/// What is recorded about a provider: the body that registers it, and the one that replaces what was registered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProviderConfiguration {
    /// Its id, never used again for another.
    pub id: String,
    /// What its tokens say in `iss`, byte by byte: an https URL, or http on loopback. It never changes, and no
    /// other provider has it.
    pub issuer: String,
    /// What tokens say in `aud` that are exchanged for delegations.
    pub audience: String,
    /// How its tokens may be signed: RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, `EdDSA`; at least one.
    pub algorithms: BTreeSet<String>,
    /// What its access tokens say in `typ`.
    pub token_type: TokenType,
    /// Which claim names the agent.
    pub names_agent_by: NamesAgentBy,
    /// Which agent each value of that claim names; at most 256. One value names one agent.
    #[serde(default)]
    pub clients: BTreeMap<String, String>,
    /// What its scopes come to; at most 256. A scope that is not here gives nothing.
    #[serde(default)]
    pub scopes: BTreeMap<String, ScopeMapping>,
    /// What its types of `authorization_details` (RFC 9396) come to; at most 64. A type that is not here gives
    /// nothing.
    #[serde(default)]
    pub authorization_details: BTreeMap<String, DetailMapping>,
    /// Which claim holds the user's groups, a list of texts; none where none does.
    #[serde(default)]
    pub groups_claim: Option<String>,
    /// Which claim names the session; `sid` if it is not said.
    #[serde(default = "session_claim_default")]
    pub session_claim: String,
    /// Which claims policies are shown; at most 16, whose values have 4,096 bytes at most together.
    #[serde(default)]
    pub claims: BTreeSet<String>,
    /// The longest that a delegation of its users may last, in milliseconds: 1,000 to 2,592,000,000 (30 days);
    /// 3,600,000 (an hour) if it is not said.
    #[serde(default = "delegation_ms_max_default")]
    pub delegation_ms_max: u64,
    /// What tokens say in `aud` with which users see and revoke what they delegated: another than `audience`. None
    /// where users do that elsewhere.
    #[serde(default)]
    pub user_audience: Option<String>,
    /// The clients that such tokens may be for; at most 64, none of them in `clients`.
    #[serde(default)]
    pub user_clients: BTreeSet<String>,
}

fn session_claim_default() -> String {
    "sid".into()
}

const fn delegation_ms_max_default() -> u64 {
    3_600_000
}

/// What access tokens say in `typ`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TokenType {
    /// `at+jwt`, as RFC 9068 wants it.
    #[serde(rename = "at+jwt")]
    AtJwt,
    /// `JWT`, nothing, or `at+jwt`, for providers such as Keycloak.
    #[serde(rename = "jwt")]
    Jwt,
}

/// Which claim names the agent. It only names it; consent is what scopes and details come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NamesAgentBy {
    /// `sub` in `may_act`.
    MayAct,
    /// `sub` in `act`.
    Act,
    /// `client_id`.
    ClientId,
    /// `azp`.
    Azp,
}

/// What a scope comes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScopeMapping {
    /// What for; 1 to 16.
    pub purposes: BTreeSet<String>,
    /// What may be done; 1 to 64.
    pub permissions: Vec<Permission>,
}

/// What an element `{"type", "actions", "identifier"}` of `authorization_details` comes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DetailMapping {
    /// What for; 1 to 16.
    pub purposes: BTreeSet<String>,
    /// What the provider's names of actions mean: action patterns; 1 to 64.
    pub actions: BTreeMap<String, String>,
    /// What stands before the `identifier` in the resource, with a final `/`: `account/`. An element without
    /// `identifier` means all that begins so.
    pub resource_prefix: String,
}

/// A registered provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// What is recorded about it.
    pub configuration: ProviderConfiguration,
    /// When it was registered.
    pub created_at_ms: u64,
    /// When it was revoked. It stays so, and its issuer stays taken.
    pub revoked_at_ms: Option<u64>,
}

/// Providers by id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProviderList {
    /// A page of them.
    pub providers: Vec<Provider>,
    /// Where the next page begins (`after`); none after the last.
    pub next: Option<String>,
}

/// Explain what a token would give: `POST /v1/providers/{id}/check`. The token is neither kept nor logged.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckToken {
    /// A token of this provider, at most 8,192 bytes.
    pub token: String,
    /// What it would be used for.
    #[serde(default)]
    pub token_use: TokenUse,
}

impl std::fmt::Debug for CheckToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CheckToken([redacted], {:?})", self.token_use)
    }
}

/// What a token is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TokenUse {
    /// To delegate something to an agent.
    #[default]
    Delegation,
    /// By users, to see and revoke what they delegated.
    User,
    /// By the provider, to say that somebody logged out.
    Logout,
}

/// What a token would give, and why not more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenCheck {
    /// Whether it would be accepted at all.
    pub accepted: bool,
    /// What is checked, in this order.
    pub checks: Vec<CheckStep>,
    /// Why it is refused: a stable code.
    pub code: Option<String>,
    /// What to do about it, where there is something.
    pub help: Option<String>,
    /// What it would give, if it is accepted.
    pub gives: Option<TokenGives>,
}

/// One of the checks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckStep {
    /// What is checked.
    pub check: String,
    /// What came of it.
    pub result: CheckResult,
    /// Why it failed.
    pub detail: Option<String>,
}

/// What came of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckResult {
    /// It passed.
    Passed,
    /// It failed, so that the token is refused.
    Failed,
    /// One before it failed.
    NotReached,
}

/// What a token would give.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenGives {
    /// Who it is about, as the provider names them; a logout token may name only a session.
    pub subject: Option<String>,
    /// The agent that it names.
    pub agent: Option<String>,
    /// The client that it is for, where users see and revoke what they delegated.
    pub client: Option<String>,
    /// What was consented to, by purpose.
    pub consented: Vec<Consented>,
    /// Scopes and details that come to nothing, and why.
    pub unmapped: Vec<String>,
    /// The provider's session; where there is none, the host opens one.
    pub session: Option<String>,
    /// The user's groups; none if the token says nothing of groups, which leaves them as they were asserted last. An
    /// empty list says that there are none.
    pub groups: Option<Vec<String>>,
    /// The claims that policies are shown.
    pub claims: serde_json::Value,
    /// What key the token is bound to.
    pub confirmation: Option<Confirmation>,
    /// Its `jti`.
    pub token_id: Option<String>,
    /// BLAKE3 in the mode that derives keys, with the context `attorn subject token v1`, over the token: what
    /// is recorded as evidence.
    pub token_digest: String,
    /// When it was issued.
    pub issued_at_ms: u64,
    /// When it expires.
    pub expires_at_ms: u64,
    /// When the user authenticated, if the provider said so.
    pub authenticated_at_ms: Option<u64>,
    /// How they did.
    pub acr: Option<String>,
}

/// What was consented to for one purpose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Consented {
    /// What for.
    pub purpose: String,
    /// What may be done.
    pub permissions: Vec<Permission>,
    /// What came of it, if the token was brought for all of this already, without a shorter life asked for. Nothing
    /// comes of bringing it again but the same delegation, as long as that stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchanged: Option<Exchanged>,
}

/// What came of a token that was exchanged already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Exchanged {
    /// The delegation.
    pub delegation: String,
    /// `active`, or the reason why every decision by it would be denied, and the token refused.
    pub standing: String,
}

/// What key a token is bound to (RFC 7800).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Confirmation {
    /// The RFC 7638 thumbprint of a key (`cnf.jkt`, RFC 9449).
    Key(String),
    /// The SHA-256 digest of a certificate (`cnf.x5t#S256`, RFC 8705), in hexadecimal digits.
    Certificate(String),
}
