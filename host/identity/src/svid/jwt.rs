//! JWT-SVIDs, as the JWT-SVID specification (sections 2 to 5) says.
//!
//! A JWT-SVID is a bearer token: whoever holds it can show it. It names an agent only beside a proof by
//! a key that is registered for that agent, and that is the caller's to check.

use attorn_core::{SpiffeId, TimeMs, TrustDomain};
use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;

use super::SvidError;
use super::jwt_key::{JwtSvidKey, is_algorithm};
use crate::proof::CLOCK_SKEW_MS_MAX;

/// The longest token that is read, in bytes.
pub const JWT_BYTES_MAX: usize = 8 << 10;

/// How far ahead the end of a token may be, in milliseconds.
pub const JWT_LIFE_MS_MAX: u64 = 3_600_000;

/// A token of the form of a JWT-SVID. Nothing in it can be believed yet.
pub struct UnverifiedJwtSvid {
    compact: Box<str>,
    /// Where the part ends that is signed.
    signed_bytes: usize,
    signature: Vec<u8>,
    alg: String,
    kid: String,
    spiffe_id: SpiffeId,
    claims: Claims,
}

/// Who a token is of: its own trust domain said so. Only [`UnverifiedJwtSvid::verify`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwtSvid {
    spiffe_id: SpiffeId,
    expires_at: TimeMs,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    aud: Audiences,
    exp: u64,
    nbf: Option<u64>,
    iat: Option<u64>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audiences {
    One(String),
    Several(Vec<String>),
}

impl JwtSvid {
    /// Who.
    #[must_use]
    pub const fn spiffe_id(&self) -> &SpiffeId {
        &self.spiffe_id
    }

    /// From when on the token does not count any more.
    #[must_use]
    pub const fn expires_at(&self) -> TimeMs {
        self.expires_at
    }
}

impl UnverifiedJwtSvid {
    /// Read a token in compact form.
    ///
    /// # Errors
    ///
    /// [`SvidError::Malformed`], [`SvidError::Header`], [`SvidError::UnsupportedAlgorithm`] or
    /// [`SvidError::BadSpiffeId`].
    pub fn parse(compact: &str) -> Result<Self, SvidError> {
        if compact.len() > JWT_BYTES_MAX {
            return Err(SvidError::Malformed("it has more than 8192 bytes"));
        }
        let mut parts = compact.split('.');
        let (Some(header), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(SvidError::Malformed("it has not three parts"));
        };
        let header: Header = object(header).map_err(|_| SvidError::Header)?;
        if !is_algorithm(&header.alg) {
            return Err(SvidError::UnsupportedAlgorithm);
        }
        if header.typ.is_some_and(|typ| typ != "JWT" && typ != "JOSE") {
            return Err(SvidError::Header);
        }
        let kid = header.kid.ok_or(SvidError::Header)?;
        let claims: Claims = object(claims)?;
        let spiffe_id = claims.sub.parse().map_err(SvidError::BadSpiffeId)?;
        let signed_bytes = compact.len() - signature.len() - 1;
        let signature = decode(signature)?;
        Ok(Self { compact: compact.into(), signed_bytes, signature, alg: header.alg, kid, spiffe_id, claims })
    }

    /// Whom the token names. Nobody vouched for it yet.
    #[must_use]
    pub const fn spiffe_id(&self) -> &SpiffeId {
        &self.spiffe_id
    }

    /// Check that this trust domain vouches for it now, for this audience alone. The signature comes last,
    /// because it costs most.
    ///
    /// # Errors
    ///
    /// What does not hold, the first of: trust domain, audience, time, key, signature.
    pub fn verify(
        self,
        trust_domain: &TrustDomain,
        keys: &[JwtSvidKey],
        audience: &str,
        now: TimeMs,
    ) -> Result<JwtSvid, SvidError> {
        if self.spiffe_id.trust_domain() != trust_domain {
            return Err(SvidError::ForeignTrustDomain);
        }
        let for_us = match &self.claims.aud {
            Audiences::One(one) => one == audience,
            Audiences::Several(several) => matches!(&several[..], [one] if one == audience),
        };
        if !for_us {
            return Err(SvidError::Audience);
        }
        let expires_at = self.check_times(now)?;
        let key = keys.iter().find(|key| key.kid() == self.kid).ok_or(SvidError::UnknownKey)?;
        if !key.verifies(&self.alg, &self.compact.as_bytes()[..self.signed_bytes], &self.signature) {
            return Err(SvidError::BadSignature);
        }
        Ok(JwtSvid { spiffe_id: self.spiffe_id, expires_at })
    }

    fn check_times(&self, now: TimeMs) -> Result<TimeMs, SvidError> {
        let time = |seconds: u64| TimeMs(seconds.saturating_mul(1_000));
        let expires_at = time(self.claims.exp);
        let later = |seconds: Option<u64>| seconds.is_some_and(|at| time(at) > now.plus_ms(CLOCK_SKEW_MS_MAX));
        if now >= expires_at {
            return Err(SvidError::Expired);
        }
        if later(self.claims.nbf) || later(self.claims.iat) {
            return Err(SvidError::NotYetValid);
        }
        if expires_at > now.plus_ms(JWT_LIFE_MS_MAX + CLOCK_SKEW_MS_MAX) {
            return Err(SvidError::LivesTooLong);
        }
        Ok(expires_at)
    }
}

impl std::fmt::Debug for UnverifiedJwtSvid {
    /// The token itself is a secret while it lives.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "UnverifiedJwtSvid({})", self.spiffe_id)
    }
}

/// Only the one encoding of the bytes is taken: no padding, no stray bits.
fn decode(part: &str) -> Result<Vec<u8>, SvidError> {
    BASE64URL_NOPAD.decode(part.as_bytes()).map_err(|_| SvidError::Malformed("a part is not unpadded base64url"))
}

fn object<T: serde::de::DeserializeOwned>(part: &str) -> Result<T, SvidError> {
    let json = decode(part)?;
    let problem = SvidError::Malformed("a part is not a JSON object with the members that it needs, each once");
    // Serde would take an array of the members' values for an object.
    if json.first() != Some(&b'{') {
        return Err(problem);
    }
    serde_json::from_slice(&json).map_err(|_| problem)
}

#[cfg(test)]
#[path = "jwt_tests.rs"]
mod tests;
