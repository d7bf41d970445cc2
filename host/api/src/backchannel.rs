//! `/v1/providers/{id}/backchannel`: how users are asked at their provider (`OpenID` Connect CIBA Core 1.0, poll mode).

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The most bytes of a client's secret.
pub const SECRET_BYTES_MAX: usize = 1_024;

/// How users are asked at a provider from now on.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetBackchannel {
    /// What this server is called at the provider, as a client: another than those of agents and of users.
    pub client_id: String,
    /// How it says who it is.
    pub client_authentication: ClientAuthenticationMethod,
    /// The secret of `client_secret_basic`, 1 to 1,024 bytes. It is never shown. Where it is left out, the one that is
    /// recorded stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<String>,
    /// By which claim the provider knows a user, sent as `login_hint`: `sub`, or one of the `claims` of the provider's
    /// record.
    #[serde(default = "login_hint_claim_default")]
    pub login_hint_claim: String,
    /// Whether users may sign in there for the approval page. The provider has to have an `authorization_endpoint` then,
    /// and the redirect URI that comes with the answer.
    #[serde(default)]
    pub page: bool,
    /// Whether users are asked on their device also where their provider cannot show them what they approve
    /// (`attorn_approval`). They see a short code then, and know what it is for from the agent alone.
    #[serde(default)]
    pub code_only: bool,
}

fn login_hint_claim_default() -> String {
    "sub".into()
}

impl fmt::Debug for SetBackchannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SetBackchannel").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

/// How a client says who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuthenticationMethod {
    /// With an assertion by the key of `/.well-known/client-jwks.json` (ES256), for the provider's issuer.
    PrivateKeyJwt,
    /// With a secret that it shares with the provider.
    ClientSecretBasic,
}

/// Whether a provider can ask its users as it is registered, as its metadata says now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BackchannelCheck {
    /// Which provider.
    pub provider: String,
    /// Whether it was said here how users are asked. Before that nobody is, whatever the provider can.
    pub is_set: bool,
    /// Whether nothing is missing.
    pub good: bool,
    /// The kinds of `sub` that its clients get, as its metadata says: `public`, `pairwise`.
    pub subject_types: Vec<String>,
    /// What is missing or wrong, in sentences.
    pub problems: Vec<String>,
    /// What its metadata leaves open, and what follows for users, in sentences.
    pub notes: Vec<String>,
}

/// How users are asked at a provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Backchannel {
    /// Which provider.
    pub provider: String,
    /// What this server is called there.
    pub client_id: String,
    /// How it says who it is.
    pub client_authentication: ClientAuthenticationMethod,
    /// The number of the secret, from 1, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_version: Option<u32>,
    /// By which claim the provider knows a user.
    pub login_hint_claim: String,
    /// Whether users are asked also where their provider cannot show them what they approve.
    pub code_only: bool,
    /// The redirect URI to register for the client, where users sign in there for the approval page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page_redirect_uri: Option<String>,
    /// When this became what it is.
    pub changed_at_ms: u64,
}
