//! Tokens of `OpenID` providers, verified strictly: access tokens (RFC 9068, and those of providers that came
//! before it), and logout tokens (`OpenID` Connect Back-Channel Logout 1.0). The rules are those of RFC 8725. Tokens
//! that say who a workload is, as Kubernetes and clouds issue them, are read in the same way, and so are ID tokens that
//! were issued to this server as a client.
//!
//! Only what the issuer's record names is taken: its issuer byte by byte, its algorithms, its type. A token's
//! header chooses among the issuer's keys and nothing else. Signatures are checked by `jsonwebtoken`.
//!
//! Which providers there are, whom a claim names, and what scopes come to, is not known here. Nothing here
//! fetches keys.

mod claims;
mod error;
mod given;
mod header;
mod json;
mod keys;

use std::collections::BTreeSet;

use attorn_core::{IssuerAlgorithm, ProviderTokenType, TimeMs};
use data_encoding::BASE64URL_NOPAD;

pub use claims::{CLOCK_SKEW_MS, Claims, LIFETIME_MS_MAX, is_text};
pub use error::IssuerTokenError;
pub use given::{GIVEN_KEYS_MAX, GivenKeys, GivenKeysError};
use header::Header;
pub use keys::{IssuerKeys, JwksError, KEYS_MAX};

/// The longest token that is read, in bytes.
pub const TOKEN_BYTES_MAX: usize = 8 << 10;

/// What is expected of a token.
#[derive(Debug, Clone, Copy)]
pub struct TokenExpectation<'a> {
    /// Who must have issued it, byte by byte.
    pub issuer: &'a str,
    /// What kind of token it must be.
    pub kind: TokenKind,
    /// How it may be signed.
    pub algorithms: &'a BTreeSet<IssuerAlgorithm>,
    /// Whom it must be for: one of these.
    pub audiences: &'a [&'a str],
    /// The time now.
    pub now: TimeMs,
}

/// What kind of token is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// An access token, whose header says this.
    Access(ProviderTokenType),
    /// A logout token of a provider whose access tokens say this.
    Logout(ProviderTokenType),
    /// An ID token (`OpenID` Connect Core 1.0, section 2) that was issued to us as a client. It says who signed in, and
    /// nothing of what they consented to.
    Id,
    /// A token that says who a workload is. It is for one audience alone, so that nobody who is shown it can show it
    /// to another.
    Workload,
}

/// A token whose form is right, and of which nothing is known to be true.
#[derive(Clone)]
pub struct UnverifiedToken<'a> {
    signed: &'a str,
    signature: &'a str,
    header: Header,
    claims: Claims,
    issuer: String,
}

impl<'a> UnverifiedToken<'a> {
    /// Read a compact JWS.
    ///
    /// # Errors
    ///
    /// When it has more than [`TOKEN_BYTES_MAX`] bytes, is not three parts of base64url around two JSON objects in
    /// which no member stands twice, or its header tells us where to find keys or how to read it.
    pub fn parse(compact: &'a str) -> Result<Self, IssuerTokenError> {
        use IssuerTokenError::{Malformed, TooLarge};
        if compact.len() > TOKEN_BYTES_MAX {
            return Err(TooLarge);
        }
        let mut parts = compact.split('.');
        let (Some(header), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Malformed("it is not three parts with a `.` between them"));
        };
        let signed = &compact[..header.len() + 1 + claims.len()];
        let decode = |part: &str| BASE64URL_NOPAD.decode(part.as_bytes());
        let (Ok(header), Ok(claims), Ok(_)) = (decode(header), decode(claims), decode(signature)) else {
            return Err(Malformed("a part of it is no unpadded base64url"));
        };
        let header = Header::of(&json::object(&header)?)?;
        let claims = Claims::new(json::object(&claims)?);
        let issuer = claims.text("iss")?.ok_or(IssuerTokenError::ClaimMissing("iss"))?.to_owned();
        Ok(Self { signed, signature, header, claims, issuer })
    }

    /// Who issued it, if it is right. It serves to find what is recorded, and nothing more.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Which of its issuer's keys it names.
    #[must_use]
    pub fn key_id(&self) -> Option<&str> {
        self.header.key_id.as_deref()
    }

    /// Whether the header is one that could be accepted: before anybody fetches keys for it.
    ///
    /// # Errors
    ///
    /// When it names another type or algorithm than is expected.
    pub fn check_header(&self, expect: &TokenExpectation<'_>) -> Result<IssuerAlgorithm, IssuerTokenError> {
        let looks = matches!(expect.kind, TokenKind::Access(_)) && self.claims.are_of_an_id_token();
        self.header.check(expect).map_err(|error| match error {
            IssuerTokenError::WrongType if looks && self.header.is_of_any_jwt() => IssuerTokenError::IdTokenType,
            error => error,
        })
    }

    /// Whom it is for, if it is right; nobody where it does not say so in the form that it must have.
    #[must_use]
    pub fn audiences(&self) -> Vec<&str> {
        self.claims.audiences().unwrap_or_default()
    }

    /// Check everything, and give what it claims.
    ///
    /// # Errors
    ///
    /// With the first thing that is wrong: header, key, signature, kind, issuer, audience, times.
    pub fn verify(self, keys: &IssuerKeys, expect: &TokenExpectation<'_>) -> Result<Claims, IssuerTokenError> {
        let algorithm = self.check_header(expect)?;
        let key = keys.find(self.key_id(), algorithm)?;
        key.verify(algorithm, self.signed.as_bytes(), self.signature)?;
        self.claims.check_kind(expect.kind)?;
        if self.issuer != expect.issuer {
            return Err(IssuerTokenError::WrongIssuer);
        }
        self.claims.check_audience(expect)?;
        self.claims.check_times(expect.now)?;
        Ok(self.claims)
    }
}

impl std::fmt::Debug for UnverifiedToken<'_> {
    /// Nothing that could be used as the token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "UnverifiedToken({})", attorn_core::provider::shown(&self.issuer))
    }
}

#[cfg(test)]
mod mint;
#[cfg(test)]
mod tests;
