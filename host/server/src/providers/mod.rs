//! Providers of users: which are trusted, and what their tokens mean.
//!
//! [`subject_token`], [`user_token`] and [`logout_token`] are what others call. Each finds the provider by the
//! token's issuer, which nothing else has vouched for yet, gets the provider's keys, verifies the token
//! (`attorn_identity::issuer_token`), and reads what it claims in the words of the provider's record. The token
//! itself is kept nowhere.
//!
//! Nothing here delegates anything, opens sessions, or knows which users there are. Whether a token was used or
//! revoked before is the caller's business; so is whether the caller holds the key that it is bound to.

mod agent;
pub(crate) mod backchannel;
mod check;
mod consent;
mod context;
mod fetch;
mod help;
mod issuer;
mod keys;
mod refused;
pub(crate) mod registry;
mod verify;
mod wire;

use attorn_core::{AgentId, ClientId, Consent, Digest, JsonText, KeyThumbprint, TimeMs};
use attorn_store::Versioned;
use attorn_store::records::ProviderRecord;

use crate::app::App;
use crate::http::strangers::Remote;

pub(crate) use check::check;
pub(crate) use keys::ProviderKeyring;
pub(crate) use refused::Refused;

/// What every access token of a user's says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    /// Whose token it is; a commit that rests on it names the version.
    pub(crate) provider: Versioned<ProviderRecord>,
    /// Who the user is, as the provider names them.
    pub(crate) subject: String,
    /// The provider's session.
    pub(crate) session: Option<String>,
    /// Its `jti`.
    pub(crate) token_id: Option<String>,
    /// What stands for it in records: [`token_digest`].
    pub(crate) token_digest: Digest,
    /// When it was issued.
    pub(crate) issued_at: TimeMs,
    /// When it expires.
    pub(crate) expires_at: TimeMs,
    /// When the user authenticated, if the provider said so.
    pub(crate) auth_time: Option<TimeMs>,
    /// How they did.
    pub(crate) acr: Option<String>,
    /// What key it is bound to. Whoever presents it must hold that key.
    pub(crate) confirmation: Option<Confirmation>,
}

/// What an access token says that a user's delegation may rest on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SubjectToken {
    /// What every token says.
    pub(crate) said: Said,
    /// The agent that it names.
    pub(crate) agent: AgentId,
    /// The user's groups: sorted, at most 128 of at most 256 bytes; none if it says nothing of groups.
    pub(crate) groups: Option<Vec<String>>,
    /// The claims that the record lets through: one canonical object.
    pub(crate) claims: JsonText,
    /// What was consented to, by purpose. Nothing else was.
    pub(crate) consented: Vec<Consent>,
    /// Scopes and details that come to nothing, and why.
    pub(crate) unmapped: Vec<String>,
}

/// An access token with which a user sees and revokes what they delegated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UserToken {
    /// What every token says.
    pub(crate) said: Said,
    /// The client that it was issued to, which is no agent's.
    pub(crate) client: ClientId,
}

/// A provider says that somebody logged out (`OpenID` Connect Back-Channel Logout 1.0). It names a user, a session,
/// or both; with a session, only that one ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogoutToken {
    /// Whose token it is.
    pub(crate) provider: Versioned<ProviderRecord>,
    /// Who logged out, as the provider names them.
    pub(crate) subject: Option<String>,
    /// Which session ended.
    pub(crate) session: Option<String>,
    /// Its `jti`: the same one twice says nothing new.
    pub(crate) token_id: String,
    /// What stands for it in records: [`token_digest`].
    pub(crate) token_digest: Digest,
    /// When it was issued.
    pub(crate) issued_at: TimeMs,
    /// When it expires.
    pub(crate) expires_at: TimeMs,
}

/// What key a token is bound to (RFC 7800).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Confirmation {
    /// The key with this thumbprint (`jkt`, RFC 9449).
    Key(KeyThumbprint),
    /// The certificate with this SHA-256 digest (`x5t#S256`, RFC 8705).
    Certificate(Digest),
}

/// Verify an access token that is to be exchanged for a delegation.
pub(crate) async fn subject_token(app: &App, token: &str) -> Result<SubjectToken, Refused> {
    verify::subject_token(app, token).await
}

/// Verify an access token with which a user sees and revokes what they delegated; from an address if a stranger may
/// have sent it.
pub(crate) async fn user_token(app: &App, token: &str, from: Option<Remote>) -> Result<UserToken, Refused> {
    verify::user_token(app, token, from).await
}

/// Verify a logout token; from an address if a stranger may have sent it.
pub(crate) async fn logout_token(app: &App, token: &str, from: Option<Remote>) -> Result<LogoutToken, Refused> {
    verify::logout_token(app, token, from).await
}

/// What stands for a token in records and entries: BLAKE3 in the mode that derives keys, with the context
/// `attorn subject token v1`. A token has a signature that nobody guesses, so a salt would add nothing.
pub(crate) fn token_digest(token: &str) -> Digest {
    Digest::from_bytes(blake3::derive_key("attorn subject token v1", token.as_bytes()))
}
