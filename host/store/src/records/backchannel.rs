//! How users are asked at a provider (`OpenID` Connect CIBA), and whether they sign in there to answer on a page: what
//! this server is there as a client.
//!
//! That a secret is wrapped was seen to before it came here.

use std::fmt;

use attorn_core::{ClaimName, ClientId, ProviderId, TimeMs};
use data_encoding::BASE64;
use serde::{Deserialize, Serialize};

use super::codec::{self, Record, RecordError, Text};
use crate::key::Key;

/// How users are asked at a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackchannelRecord {
    /// Which provider.
    pub provider: ProviderId,
    /// What this server is called there.
    pub client: ClientId,
    /// How it says so.
    pub authentication: BackchannelAuthentication,
    /// By what the provider knows a user.
    pub login_hint: LoginHint,
    /// Whether users sign in there for the approval page.
    pub page: bool,
    /// Whether users are asked on their device also where that cannot show them what is asked.
    pub code_only: bool,
    /// When this became what it is.
    pub changed_at: TimeMs,
}

/// How a client says who it is.
#[derive(Clone, PartialEq, Eq)]
pub enum BackchannelAuthentication {
    /// With an assertion that this server signs (`private_key_jwt`).
    PrivateKeyJwt,
    /// With a secret that it shares with the provider (`client_secret_basic`).
    ClientSecretBasic {
        /// The number of the secret, from 1.
        version: u32,
        /// The secret, wrapped by the root key.
        wrapped: Vec<u8>,
    },
}

impl fmt::Debug for BackchannelAuthentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PrivateKeyJwt => f.write_str("PrivateKeyJwt"),
            Self::ClientSecretBasic { version, .. } => write!(f, "ClientSecretBasic({version}, [wrapped])"),
        }
    }
}

/// By what a provider knows a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoginHint {
    /// Their `sub`.
    Subject,
    /// A claim that the provider's record lets through.
    Claim(ClaimName),
}

impl Record for BackchannelRecord {
    fn key(&self) -> Key {
        Key::backchannel(&self.provider)
    }

    fn encode(&self) -> Vec<u8> {
        let secret = match &self.authentication {
            BackchannelAuthentication::PrivateKeyJwt => None,
            BackchannelAuthentication::ClientSecretBasic { version, wrapped } => {
                Some(SecretWire { version: *version, wrapped: BASE64.encode(wrapped) })
            }
        };
        let login_hint_claim = match &self.login_hint {
            LoginHint::Subject => None,
            LoginHint::Claim(name) => Some(Text(name.clone())),
        };
        codec::encode(&BackchannelWire {
            provider: Text(self.provider.clone()),
            client: Text(self.client.clone()),
            secret,
            login_hint_claim,
            page: self.page,
            code_only: self.code_only,
            changed_at_ms: self.changed_at.0,
        })
    }

    fn decode(key: &Key, stored: &[u8]) -> Result<Self, RecordError> {
        codec::decode(key, stored, |wire: BackchannelWire| {
            let authentication = match wire.secret {
                None => BackchannelAuthentication::PrivateKeyJwt,
                Some(secret) => BackchannelAuthentication::ClientSecretBasic {
                    version: secret.version,
                    wrapped: BASE64.decode(secret.wrapped.as_bytes()).map_err(|error| error.to_string())?,
                },
            };
            Ok(Self {
                provider: wire.provider.0,
                client: wire.client.0,
                authentication,
                login_hint: wire.login_hint_claim.map_or(LoginHint::Subject, |name| LoginHint::Claim(name.0)),
                page: wire.page,
                code_only: wire.code_only,
                changed_at: TimeMs(wire.changed_at_ms),
            })
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BackchannelWire {
    provider: Text<ProviderId>,
    client: Text<ClientId>,
    /// None for `private_key_jwt`.
    secret: Option<SecretWire>,
    /// None for `sub`.
    login_hint_claim: Option<Text<ClaimName>>,
    /// Not there in records from before there was a page.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    page: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    code_only: bool,
    changed_at_ms: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SecretWire {
    version: u32,
    wrapped: String,
}
