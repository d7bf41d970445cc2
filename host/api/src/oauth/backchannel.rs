//! `/oauth/…` where a user is asked by their provider (OpenID Connect CIBA Core 1.0, poll mode).

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ClientAuthentication;

/// `POST /bc-authorize`: an agent asks that a user be asked (`OpenID` Connect CIBA Core 1.0, poll mode).
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct BackchannelRequest {
    /// `openid`.
    pub scope: String,
    /// The id of the user: `usr_…`.
    pub login_hint: String,
    /// As at `/oauth/token`; the element names the user's `delegation`.
    pub authorization_details: String,
    /// How long the agent waits, in seconds; 300 at most, and if it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_expiry: Option<String>,
    /// The audience that is registered for the resource's type, if it is sent at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// Who asks.
    #[serde(flatten)]
    pub client: ClientAuthentication,
}

/// What to poll `/oauth/token` with (CIBA Core 1.0, section 7.3).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BackchannelAuthentication {
    /// Names it; for this client alone.
    pub auth_req_id: String,
    /// In how many seconds it is over.
    pub expires_in: u64,
    /// How many seconds to wait before each poll.
    pub interval: u64,
}

impl fmt::Debug for BackchannelAuthentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackchannelAuthentication").field("expires_in", &self.expires_in).finish_non_exhaustive()
    }
}
