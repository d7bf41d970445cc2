//! A provider's keys, fetched by discovery (`OpenID` Connect Discovery 1.0, section 4): its configuration, which must
//! name the very issuer, and the JWK Set that this points at.
//!
//! Redirects are followed nowhere, proxies of the environment are not used, and there are no cookies. Both documents
//! together have a limited time, and each a limited size. How often this happens is decided in `keys`.

use std::time::Duration;

use attorn_core::Issuer;
use attorn_identity::issuer_token::{IssuerKeys, JwksError};
use reqwest::{Client, Url};
use serde::Deserialize;

use super::issuer;
use crate::http::outbound;

/// The longest that both documents may take.
pub(super) const TIMEOUT: Duration = Duration::from_secs(5);

/// The longest document that is read, in bytes.
pub(super) const DOCUMENT_BYTES_MAX: usize = 256 << 10;

/// Why a provider's keys could not be fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FetchError {
    /// It took too long.
    #[error("they did not come within 5 s")]
    TimedOut,
    /// There was no connection, or it broke.
    #[error("the provider could not be reached, or the connection broke")]
    Unreachable,
    /// The provider sends us elsewhere.
    #[error("the provider redirects, which is never followed")]
    Redirected,
    /// The provider answered something else than 200.
    #[error("the provider answered with the status {0}")]
    Status(u16),
    /// A document is too long.
    #[error("a document has more than 262144 bytes")]
    TooLarge,
    /// The configuration is no JSON object of the right members.
    #[error("the configuration is no JSON object with `issuer` and `jwks_uri`, each once")]
    Configuration,
    /// The configuration is another issuer's.
    #[error("the configuration names another issuer")]
    AnotherIssuer,
    /// The keys are where nothing is fetched from.
    #[error("`jwks_uri` is no https URL, or one of this machine")]
    JwksUri,
    /// The keys are none.
    #[error("{0}")]
    Jwks(JwksError),
}

impl FetchError {
    /// A stable name, for the log.
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::TimedOut => "timed_out",
            Self::Unreachable => "unreachable",
            Self::Redirected => "redirected",
            Self::Status(_) => "status",
            Self::TooLarge => "too_large",
            Self::Configuration => "configuration",
            Self::AnotherIssuer => "another_issuer",
            Self::JwksUri => "jwks_uri",
            Self::Jwks(_) => "jwks",
        }
    }
}

#[derive(Deserialize)]
struct Configuration {
    issuer: String,
    jwks_uri: String,
}

/// Fetch the keys of this issuer.
pub(super) async fn keys(issuer: Issuer) -> Result<IssuerKeys, FetchError> {
    tokio::time::timeout(TIMEOUT, both(&issuer)).await.unwrap_or(Err(FetchError::TimedOut))
}

/// Fetch the configuration of this issuer. Whose it is, and what it says, is for the caller to see.
pub(super) async fn configuration(client: &Client, issuer: &Issuer) -> Result<Vec<u8>, FetchError> {
    let url = Url::parse(&issuer::configuration_url(issuer)).map_err(|_| FetchError::Configuration)?;
    let configuration = document(client, url).await?;
    if configuration.trim_ascii_start().first() != Some(&b'{') {
        return Err(FetchError::Configuration);
    }
    Ok(configuration)
}

async fn both(issuer: &Issuer) -> Result<IssuerKeys, FetchError> {
    let client = client().await?;
    let configuration = configuration(&client, issuer).await?;
    let configuration: Configuration = serde_json::from_slice(&configuration).map_err(|_| FetchError::Configuration)?;
    if configuration.issuer != issuer.as_str() {
        return Err(FetchError::AnotherIssuer);
    }
    let jwks_uri = Url::parse(&configuration.jwks_uri).map_err(|_| FetchError::JwksUri)?;
    if !issuer::may_be_fetched(&jwks_uri, issuer::is_local(issuer)) {
        return Err(FetchError::JwksUri);
    }
    IssuerKeys::parse(&document(&client, jwks_uri).await?).map_err(FetchError::Jwks)
}

/// A client for one fetch. A machine without any certificates still serves, and only fetches fail.
async fn client() -> Result<Client, FetchError> {
    outbound::client(TIMEOUT).await.map_err(|_| FetchError::Unreachable)
}

async fn document(client: &Client, url: Url) -> Result<Vec<u8>, FetchError> {
    let failed =
        |error: reqwest::Error| if error.is_timeout() { FetchError::TimedOut } else { FetchError::Unreachable };
    let request = client.get(url).header(reqwest::header::ACCEPT, "application/json");
    let mut response = request.send().await.map_err(failed)?;
    if response.status().is_redirection() {
        return Err(FetchError::Redirected);
    }
    if response.status() != reqwest::StatusCode::OK {
        return Err(FetchError::Status(response.status().as_u16()));
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if bytes.len() + chunk.len() > DOCUMENT_BYTES_MAX {
            return Err(FetchError::TooLarge);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}
