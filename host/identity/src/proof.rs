//! Proofs of possession: the profile of RFC 9449 (DPoP) in which a proof also signs the digest of the
//! request's body (`content_digest`, in the form of RFC 9530) and a nonce of this run of the server.
//! Whether the digest has to be there is the endpoint's to say, never the client's: see [`BodyDigest`].
//!
//! [`UnverifiedProof::parse`] needs no key and costs little, so that strangers are sent away before
//! any signature is verified. [`UnverifiedProof::verify`] takes the key from the registry, never from
//! the proof. A service has no registry: [`UnverifiedProof::verify_by_holder`] takes the one key whose
//! thumbprint a token is bound to. Whether a proof came before is the business of [`crate::ReplayGuard`].

use std::fmt;

use attorn_core::{KeyThumbprint, TimeMs};
use data_encoding::BASE64URL_NOPAD;
use sha2::{Digest as _, Sha256};

use crate::jwk::Jwk;
use crate::key::{PublicKey, SIGNATURE_BYTES};
use crate::nonce::Nonces;
use crate::target::{query_of, same_target};

mod error;
#[cfg(test)]
pub(crate) mod forge;
mod wire;

pub use error::ProofError;

/// The longest proof that is read, in bytes.
pub const PROOF_BYTES_MAX: usize = 4096;

/// How old a proof may be, in milliseconds.
pub const PROOF_AGE_MS_MAX: u64 = 60_000;

/// How far the clocks of client and server may be apart, in milliseconds.
pub const CLOCK_SKEW_MS_MAX: u64 = 5_000;

/// The longest `jti`, in bytes.
pub const JTI_BYTES_MAX: usize = 128;

/// The request that a proof has to be of.
#[derive(Debug, Clone, Copy)]
pub struct ProofExpectation<'a> {
    /// The request's method.
    pub method: &'a str,
    /// The configured public URL and the request's path; never what the client says the host is.
    pub url: &'a str,
    /// The body, exactly as it came; empty if there is none.
    pub body: &'a [u8],
    /// Whether the proof has to sign the body's digest.
    pub body_digest: BodyDigest,
    /// When.
    pub now: TimeMs,
    /// The access token that comes with the request, if one does. The proof must be of it, too.
    pub access_token: Option<&'a str>,
    /// What goes on to another server, if anything does. The proof must be of that, too.
    pub passage: Option<Passage<'a>>,
}

/// What a request brings that goes on to another server, beside what every request does. The proof's `htu` has the
/// query, and its `attorn_for` says the same as the request's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passage<'a> {
    /// What stands behind the `?`; empty if there is none.
    pub query: &'a str,
    /// For whom and why it is made, as the header says it; none if there is not exactly one.
    pub asked_for: Option<&'a str>,
}

/// Whether a proof has to sign the digest of the request's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyDigest {
    /// It has to.
    Needed,
    /// It is a proof as RFC 9449 has it, which knows no such digest; one that is there has to be right.
    /// Only for endpoints where the client authenticates beside the proof.
    IfPresent,
}

/// A proof of the right form. Nothing in it can be believed yet.
pub struct UnverifiedProof {
    compact: Box<str>,
    /// Where the part ends that is signed.
    signed_bytes: usize,
    signature: [u8; SIGNATURE_BYTES],
    jwk: Jwk,
    thumbprint: KeyThumbprint,
    claims: wire::Claims,
}

impl UnverifiedProof {
    /// Read a compact JWS.
    ///
    /// # Errors
    ///
    /// [`ProofError::Malformed`], [`ProofError::WrongType`] or [`ProofError::UnsupportedAlgorithm`].
    pub fn parse(compact: &str) -> Result<Self, ProofError> {
        if compact.len() > PROOF_BYTES_MAX {
            return Err(ProofError::Malformed("it has more than 4096 bytes"));
        }
        let mut parts = compact.split('.');
        let (Some(header), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(ProofError::Malformed("it has not three parts"));
        };
        let header = wire::header(&decode(header)?)?;
        let claims = wire::claims(&decode(claims)?)?;
        let signed_bytes = compact.len() - signature.len() - 1;
        let signature = decode(signature)?;
        let signature = signature.try_into().map_err(|_| ProofError::Malformed("its signature has not 64 bytes"))?;
        let thumbprint = header.jwk.thumbprint();
        Ok(Self { compact: compact.into(), signed_bytes, signature, jwk: header.jwk, thumbprint, claims })
    }

    /// The thumbprint of the key that the proof names. Nobody showed yet that they hold it.
    #[must_use]
    pub const fn thumbprint(&self) -> &KeyThumbprint {
        &self.thumbprint
    }

    /// Check the proof against the request, and its signature with the key that is registered under
    /// [`Self::thumbprint`]. The signature comes last, because it costs most.
    ///
    /// # Errors
    ///
    /// What does not hold, the first of: method, URL, what goes on, age, nonce, access token, body, signature.
    pub fn verify(
        self,
        registered: &PublicKey,
        expectation: &ProofExpectation<'_>,
        nonces: &Nonces,
    ) -> Result<VerifiedProof, ProofError> {
        self.verify_with(registered, expectation, Some(nonces))
    }

    /// Check the proof against a request to a service, by the key of whoever holds the token that comes with it: its
    /// thumbprint is what the token is bound to. A service gives out no nonces, and remembers proofs all the same.
    ///
    /// # Errors
    ///
    /// As for [`Self::verify`], but for the nonce.
    pub fn verify_by_holder(
        self,
        holder: &KeyThumbprint,
        expectation: &ProofExpectation<'_>,
    ) -> Result<VerifiedProof, ProofError> {
        if self.thumbprint != *holder {
            return Err(ProofError::BadSignature);
        }
        let key = PublicKey::new(&self.jwk).map_err(|_| ProofError::BadSignature)?;
        self.verify_with(&key, expectation, None)
    }

    fn verify_with(
        self,
        registered: &PublicKey,
        expectation: &ProofExpectation<'_>,
        nonces: Option<&Nonces>,
    ) -> Result<VerifiedProof, ProofError> {
        let claims = &self.claims;
        if *claims.method != *expectation.method {
            return Err(ProofError::MethodMismatch);
        }
        if !same_target(&claims.url, expectation.url) {
            return Err(ProofError::UrlMismatch);
        }
        let asked_for = expectation.passage.and_then(|passage| passage.asked_for);
        let is_of = |passage: &Passage<'_>| query_of(&claims.url) == passage.query;
        if claims.asked_for.as_deref() != asked_for || !expectation.passage.as_ref().is_none_or(is_of) {
            return Err(ProofError::PassageMismatch);
        }
        check_age(claims.issued_at, expectation.now)?;
        if let Some(nonces) = nonces {
            nonces.check(claims.nonce.as_deref().ok_or(ProofError::NonceMissing)?, expectation.now)?;
        }
        let access_token_hash = expectation.access_token.map(|token| BASE64URL_NOPAD.encode(&Sha256::digest(token)));
        if claims.access_token_hash != access_token_hash {
            return Err(ProofError::AccessTokenMismatch);
        }
        match (&claims.body_sha256, expectation.body_digest) {
            (Some(sha256), _) if sha256[..] == Sha256::digest(expectation.body)[..] => {}
            (Some(_), _) => return Err(ProofError::BodyMismatch),
            (None, BodyDigest::Needed) => return Err(ProofError::Malformed("it has no `content_digest`")),
            (None, BodyDigest::IfPresent) => {}
        }
        // A caller that looked up another key finds out here, and so does whoever sends one key's
        // proof with another's header.
        let names_key = self.thumbprint == *registered.thumbprint() && self.jwk.algorithm() == registered.algorithm();
        let signed = &self.compact.as_bytes()[..self.signed_bytes];
        if !names_key || !registered.verifies(signed, &self.signature) {
            return Err(ProofError::BadSignature);
        }
        Ok(VerifiedProof { key: registered.clone(), jti: self.claims.jti, issued_at: self.claims.issued_at })
    }
}

impl fmt::Debug for UnverifiedProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UnverifiedProof({})", self.thumbprint)
    }
}

/// A proof of the expected request, signed by a registered key. It may have come before: it is worth
/// nothing until [`crate::ReplayGuard::accept`] took it. Only [`UnverifiedProof`] makes one.
#[derive(Debug)]
pub struct VerifiedProof {
    key: PublicKey,
    jti: Box<str>,
    issued_at: TimeMs,
}

impl VerifiedProof {
    /// The key that signed.
    #[must_use]
    pub const fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The signing key's thumbprint.
    #[must_use]
    pub fn thumbprint(&self) -> &KeyThumbprint {
        self.key.thumbprint()
    }

    /// The proof's id, as its maker chose it.
    #[must_use]
    pub fn jti(&self) -> &str {
        &self.jti
    }

    /// When it was made, by its maker's clock.
    #[must_use]
    pub const fn issued_at(&self) -> TimeMs {
        self.issued_at
    }

    #[cfg(test)]
    pub(crate) fn of_test(key: &PublicKey, jti: &str, issued_at: TimeMs) -> Self {
        Self { key: key.clone(), jti: jti.into(), issued_at }
    }
}

/// Whether a proof that was made then is fresh now.
pub(crate) fn check_age(issued_at: TimeMs, now: TimeMs) -> Result<(), ProofError> {
    if issued_at > now.plus_ms(CLOCK_SKEW_MS_MAX) {
        return Err(ProofError::NotYetValid);
    }
    if now > issued_at.plus_ms(PROOF_AGE_MS_MAX + CLOCK_SKEW_MS_MAX) {
        return Err(ProofError::Expired);
    }
    Ok(())
}

/// Only the one encoding of the bytes is taken: no padding, no stray bits.
fn decode(part: &str) -> Result<Vec<u8>, ProofError> {
    BASE64URL_NOPAD.decode(part.as_bytes()).map_err(|_| ProofError::Malformed("a part is not unpadded base64url"))
}

#[cfg(test)]
#[path = "proof_tests.rs"]
mod tests;
