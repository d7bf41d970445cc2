//! Reading our own access tokens, strictly: what [`crate::TokenSigner`] signs, and nothing else.
//!
//! A token that verifies names a grant. Whether that still stands is for the caller to look up; nothing
//! here goes by what the token says about times or rights.

use attorn_core::{GrantId, KeyThumbprint};
use serde::Deserialize;

use crate::compact::{Compact, object};
use crate::jwk::Algorithm;
use crate::key::PublicKey;

/// The longest token that is read, in bytes.
pub const TOKEN_BYTES_MAX: usize = 8 << 10;

/// A text that is no token of ours. Why not is nobody's business: all such texts look alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no access token of this server")]
pub struct NotOurToken;

/// A token of the right form. Nothing in it can be believed yet.
pub struct UnverifiedToken {
    compact: Compact,
    key: KeyThumbprint,
    claims: Claims,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    kid: String,
    typ: String,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    jti: String,
}

impl UnverifiedToken {
    /// Read a compact JWS.
    ///
    /// # Errors
    ///
    /// If it is not of the form that our tokens have.
    pub fn parse(text: &str) -> Result<Self, NotOurToken> {
        let compact = Compact::parse(text, TOKEN_BYTES_MAX).map_err(|_| NotOurToken)?;
        let header: Header = object(&compact.header).ok_or(NotOurToken)?;
        if header.typ != "at+jwt" || header.alg != Algorithm::Es256.as_str() {
            return Err(NotOurToken);
        }
        let key = header.kid.parse().map_err(|_| NotOurToken)?;
        let claims = object(&compact.claims).ok_or(NotOurToken)?;
        Ok(Self { compact, key, claims })
    }

    /// Which of our keys is said to have signed it.
    #[must_use]
    pub const fn key(&self) -> &KeyThumbprint {
        &self.key
    }

    /// Check the signature with our key of that name, and give the grant that the token was issued from.
    ///
    /// # Errors
    ///
    /// If another key signed it, or it is of another issuer.
    pub fn verify(self, key: &PublicKey, issuer: &str) -> Result<GrantId, NotOurToken> {
        let ours = *key.thumbprint() == self.key && key.algorithm() == Algorithm::Es256 && self.claims.iss == issuer;
        if !ours || !key.verifies(self.compact.signed(), &self.compact.signature) {
            return Err(NotOurToken);
        }
        self.claims.jti.parse().map_err(|_| NotOurToken)
    }
}

#[cfg(test)]
#[path = "token_check_tests.rs"]
mod tests;
