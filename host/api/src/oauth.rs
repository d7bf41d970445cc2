//! `/oauth/…`: the forms and answers of the OAuth endpoints (RFC 6749, 7009, 7662, 8414, 8693, 9396, 9728).
//!
//! Requests are forms, in which each parameter stands once. Errors are as RFC 6749, section 5.2, has them.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::decisions::{ApprovalReference, DecisionKind};

/// The `grant_type` of a client that acts on its own authority (RFC 6749, section 4.4).
pub const CLIENT_CREDENTIALS: &str = "client_credentials";

/// The `grant_type` of token exchange (RFC 8693).
pub const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// The one type of token that is exchanged and issued (RFC 8693, section 3).
pub const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// The `type` of our `authorization_details`.
pub const ATTORN_ACTION: &str = "attorn_action";

/// The `type` of the `authorization_details` in which a user's provider is told what the user is to approve.
pub const ATTORN_APPROVAL: &str = "attorn_approval";

macro_rules! oauth_codes {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $status:literal;)*) => {
        /// Why an OAuth endpoint refuses. Each code is registered for OAuth.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum OAuthCode {
            $($(#[$doc])* $variant,)*
        }

        impl OAuthCode {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The code as text.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// The HTTP status that goes with it.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }
        }
    };
}

oauth_codes! {
    /// A parameter is missing, there twice, or malformed (RFC 6749).
    InvalidRequest = "invalid_request", 400;
    /// The client did not authenticate (RFC 6749).
    InvalidClient = "invalid_client", 401;
    /// The token that is to be exchanged is not accepted (RFC 6749).
    InvalidGrant = "invalid_grant", 400;
    /// The client authenticated, and this is not its to do (RFC 6749).
    UnauthorizedClient = "unauthorized_client", 400;
    /// There is no such `grant_type` here (RFC 6749).
    UnsupportedGrantType = "unsupported_grant_type", 400;
    /// Scopes are not asked for here (RFC 6749).
    InvalidScope = "invalid_scope", 400;
    /// A token for this place is not issued for what is asked (RFC 8693, RFC 8707).
    InvalidTarget = "invalid_target", 400;
    /// The element of `authorization_details` is not of our type, or malformed (RFC 9396).
    InvalidAuthorizationDetails = "invalid_authorization_details", 400;
    /// There is no good proof of possession (RFC 9449).
    InvalidDpopProof = "invalid_dpop_proof", 400;
    /// The proof carries no nonce of this run of the server; try again with the one in `DPoP-Nonce` (RFC 9449).
    UseDpopNonce = "use_dpop_nonce", 400;
    /// Nobody is known by the hint (CIBA Core 1.0).
    UnknownUserId = "unknown_user_id", 400;
    /// What users read is not the client's to say (CIBA Core 1.0).
    InvalidBindingMessage = "invalid_binding_message", 400;
    /// An approval is waited for (CIBA Core 1.0).
    AuthorizationPending = "authorization_pending", 400;
    /// The same, and the client asks too often (CIBA Core 1.0).
    SlowDown = "slow_down", 400;
    /// What was waited for did not come in time (CIBA Core 1.0).
    ExpiredToken = "expired_token", 400;
    /// It was decided, and the decision is no allow (RFC 8628, for token endpoints).
    AccessDenied = "access_denied", 400;
    /// The server failed (RFC 6749).
    ServerError = "server_error", 500;
    /// The server does not serve this now; try again (RFC 6749).
    TemporarilyUnavailable = "temporarily_unavailable", 503;
}

impl fmt::Display for OAuthCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for OAuthCode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for OAuthCode {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let code = Self::ALL.iter().copied().find(|code| code.as_str() == text);
        code.ok_or_else(|| serde::de::Error::custom(format_args!("`{text}` is no OAuth error code")))
    }
}

impl JsonSchema for OAuthCode {
    fn schema_name() -> Cow<'static, str> {
        "OAuthCode".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let codes: Vec<&str> = Self::ALL.iter().map(|code| code.as_str()).collect();
        json_schema!({ "type": "string", "enum": codes })
    }
}

/// An error of an OAuth endpoint (RFC 6749, section 5.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OAuthError {
    /// The stable code: clients match on it.
    pub error: OAuthCode,
    /// What is wrong here, for people. It has only the characters that RFC 6749 allows.
    pub error_description: String,
    /// What was decided, where it was: `deny` or `challenge`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<DecisionKind>,
    /// Names the recorded decision, where there is one: `dec_…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision_id: Option<String>,
    /// What is waited for, with `authorization_pending` and with a challenge. Show its code to whoever is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalReference>,
    /// Names the request in the server's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

impl OAuthError {
    /// An error of this code. Characters that RFC 6749 does not allow in descriptions are replaced.
    #[must_use]
    pub fn new(error: OAuthCode, description: &str) -> Self {
        let allowed = |c: char| match c {
            '"' => '\'',
            '\\' => '/',
            ' '..='~' => c,
            _ => '?',
        };
        let error_description = description.chars().map(allowed).collect();
        Self { error, error_description, decision: None, decision_id: None, approval: None, request_id: None }
    }
}

/// What a client sends with every request, to say who it is.
///
/// A client is an agent, or a resource server where one introspects. A proof of possession (RFC 9449) by a
/// registered key of its comes beside, in the header `DPoP`. An agent whose connection shows a registered client
/// certificate (RFC 8705) needs neither assertion nor proof, and sends its `client_id`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct ClientAuthentication {
    /// What the assertion is: `urn:ietf:params:oauth:client-assertion-type:jwt-bearer` (RFC 7523), or
    /// `urn:ietf:params:oauth:client-assertion-type:jwt-spiffe` (draft-ietf-oauth-spiffe-client-auth).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_assertion_type: Option<String>,
    /// A JWT that says who the client is, for `aud` our issuer. It is one of three:
    ///
    /// - The client's own (`jwt-bearer`; RFC 7523, section 3), by a registered key of its: `iss` and `sub` its id,
    ///   `exp` at most five minutes ahead, `iat`, and a `jti` that is accepted once.
    /// - A workload's token (`jwt-bearer`; RFC 7523, section 3), by a registered workload issuer: `iss` the issuer's,
    ///   `sub` the workload's, `iat`, `exp` at most 24 hours ahead. It may come again.
    /// - A JWT-SVID (`jwt-spiffe`; draft-ietf-oauth-spiffe-client-auth), by a registered trust domain: `sub` the
    ///   workload's SPIFFE ID, `exp` at most an hour ahead. It may come again.
    ///
    /// Whoever holds one of the last two can show it: they are for agents only, and a proof by a key of the agent's
    /// comes beside them at every endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_assertion: Option<String>,
    /// The client's id, or the `sub` of the JWT-SVID or workload's token that comes as the assertion. Beside an
    /// assertion it need not be sent; an agent with a certificate may send the SPIFFE ID that it shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
}

/// `POST /oauth/token`.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct TokenRequest {
    /// `client_credentials`, `urn:ietf:params:oauth:grant-type:token-exchange` (RFC 8693), or
    /// `urn:openid:params:grant-type:ciba` (CIBA Core 1.0).
    pub grant_type: String,
    /// A JSON array with exactly one element: `type` (`attorn_action`), `actions` (a list of one), `identifier` (the
    /// resource) and `purpose`; and, if need be, `arguments` and `claims` (objects), `session`, and with
    /// `client_credentials` `delegation` (`dlg_…`). It has no other members. In a poll (CIBA) it is not sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization_details: Option<String>,
    /// In a poll: what `/bc-authorize` answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_req_id: Option<String>,
    /// In an exchange: an access token of the user whom the agent is to act for. It names the agent, and is for the
    /// audience that is recorded of its provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject_token: Option<String>,
    /// In an exchange: `urn:ietf:params:oauth:token-type:access_token`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject_token_type: Option<String>,
    /// In an exchange, if it is sent at all: an access token that this server issued to the very agent that asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor_token: Option<String>,
    /// Comes with an `actor_token`: `urn:ietf:params:oauth:token-type:access_token`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor_token_type: Option<String>,
    /// The audience that is registered for the resource's type, if it is sent at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// Who asks.
    #[serde(flatten)]
    pub client: ClientAuthentication,
}

impl fmt::Debug for TokenRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenRequest").field("grant_type", &self.grant_type).finish_non_exhaustive()
    }
}

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

/// What is asked for: the one element of `authorization_details` (RFC 9396).
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthorizationDetail<'a> {
    /// `attorn_action`.
    #[serde(rename = "type")]
    pub detail_type: String,
    /// The action, one: `["faq.read"]`.
    pub actions: Vec<String>,
    /// The resource: `article/42`.
    pub identifier: String,
    /// The purpose, one that the agent is registered for.
    pub purpose: String,
    /// The session, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// With `client_credentials`, the delegation that the agent acts by: `dlg_…`. In a token exchange the subject
    /// token brings it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delegation: Option<String>,
    /// The action's arguments, one JSON object; `{}` if it is not said.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub arguments: Option<&'a RawValue>,
    /// Whatever else the agent claims, one JSON object. Nobody checks it.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub claims: Option<&'a RawValue>,
}

/// A token, issued from exactly one grant (RFC 6749, section 5.1).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenAnswer {
    /// A signed token (RFC 9068, `typ: at+jwt`).
    pub access_token: String,
    /// In an exchange: `urn:ietf:params:oauth:token-type:access_token` (RFC 8693, section 2.2.1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued_token_type: Option<String>,
    /// `DPoP` where it is bound to a key (RFC 9449), `Bearer` where it is bound to a certificate (RFC 8705).
    pub token_type: String,
    /// In how many seconds it ends.
    pub expires_in: u64,
    /// What it permits (RFC 9396, section 7).
    pub authorization_details: Vec<GrantedDetail>,
    /// The grant that it was issued from: `grt_…`.
    pub grant_id: String,
    /// The decision that the grant came of: `dec_…`.
    pub decision_id: String,
}

impl fmt::Debug for TokenAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenAnswer").field("grant_id", &self.grant_id).finish_non_exhaustive()
    }
}

/// What a token permits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GrantedDetail {
    /// `attorn_action`.
    #[serde(rename = "type")]
    pub detail_type: String,
    /// The action, one.
    pub actions: Vec<String>,
    /// The resource.
    pub identifier: String,
    /// Where it is accepted.
    pub locations: Vec<String>,
    /// SHA-256 of the canonical arguments (RFC 8785).
    pub arguments_digest: String,
    /// How often it may be used.
    pub uses_max: u32,
}

/// `POST /v1/backchannel-logout`: a provider says that a user logged out.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Logout {
    /// A logout token (OpenID Connect Back-Channel Logout 1.0) of a registered provider.
    pub logout_token: String,
}

/// `POST /oauth/introspect` (RFC 7662) and `POST /oauth/revoke` (RFC 7009).
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct AboutToken {
    /// The token.
    pub token: String,
    /// What kind of token it is thought to be. It changes nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_type_hint: Option<String>,
    /// Who asks.
    #[serde(flatten)]
    pub client: ClientAuthentication,
}

/// Whether a token is good for something now, and for what (RFC 7662, section 2.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Introspection {
    /// Whether it is, as all that it hangs on stands now.
    pub active: bool,
    /// If it is: what the token says, and `token_type`, `uses_left`, `decision_id`.
    #[serde(flatten)]
    pub claims: Map<String, Value>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_unique_and_comes_back_from_its_text() {
        for code in OAuthCode::ALL {
            let text = serde_json::to_string(code).unwrap();
            assert_eq!(serde_json::from_str::<OAuthCode>(&text).unwrap(), *code);
            assert_eq!(OAuthCode::ALL.iter().filter(|other| other.as_str() == code.as_str()).count(), 1);
            assert!((400..600).contains(&code.status()));
        }
        assert!(serde_json::from_str::<OAuthCode>("\"invalid\"").is_err());
    }

    /// RFC 6749, section 5.2: %x20-21 / %x23-5B / %x5D-7E.
    #[test]
    fn descriptions_have_only_the_characters_that_are_allowed() {
        let every: String = (0..0x180).filter_map(char::from_u32).collect();
        let error = OAuthError::new(OAuthCode::InvalidRequest, &every);
        assert!(error.error_description.bytes().all(|b| matches!(b, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e)));
        let expect = r#"{"error":"invalid_request","error_description":"`a` is 'b'"}"#;
        assert_eq!(serde_json::to_string(&OAuthError::new(OAuthCode::InvalidRequest, "`a` is \"b\"")).unwrap(), expect);
    }
}
