//! Public keys that are ready to verify.
//!
//! What is in hand here was checked: the point is on its curve and is none of those for which anybody
//! can make signatures. Private keys are not here; see [`crate::TokenSigner`].

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use attorn_core::KeyThumbprint;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey};

use crate::jwk::{Algorithm, Coordinates, Jwk, JwkError};

/// Bytes of a signature, of either algorithm.
pub const SIGNATURE_BYTES: usize = 64;

/// A public key, parsed once and cheap to clone.
#[derive(Clone)]
pub struct PublicKey(Arc<Inner>);

struct Inner {
    jwk: Jwk,
    thumbprint: KeyThumbprint,
    verifier: ParsedPublicKey,
}

impl PublicKey {
    /// Make the key ready for use.
    ///
    /// # Errors
    ///
    /// [`JwkError::Point`] if its coordinates are not a point on the curve, not that point's one
    /// encoding, or a point of small order, for which signatures can be made without a private key.
    pub fn new(jwk: &Jwk) -> Result<Self, JwkError> {
        let verifier = match jwk.coordinates() {
            Coordinates::P256 { x, y } => {
                let point = [&[4][..], x, y].concat();
                ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
            }
            Coordinates::Ed25519 { x } => {
                check_ed25519_point(x)?;
                ParsedPublicKey::new(&ED25519, x)
            }
        };
        let verifier = verifier.map_err(|_| JwkError::Point)?;
        Ok(Self(Arc::new(Inner { jwk: *jwk, thumbprint: jwk.thumbprint(), verifier })))
    }

    /// How the key signs.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.0.jwk.algorithm()
    }

    /// The key's RFC 7638 thumbprint.
    #[must_use]
    pub fn thumbprint(&self) -> &KeyThumbprint {
        &self.0.thumbprint
    }

    /// The key as a JWK.
    #[must_use]
    pub fn jwk(&self) -> &Jwk {
        &self.0.jwk
    }

    /// Whether this key's private half signed this message.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        signature.len() == SIGNATURE_BYTES && self.0.verifier.verify_sig(message, signature).is_ok()
    }
}

/// AWS-LC looks at an Ed25519 point only when it verifies, and takes points of small order.
fn check_ed25519_point(x: &[u8; 32]) -> Result<(), JwkError> {
    let key = ed25519_dalek::VerifyingKey::from_bytes(x).map_err(|_| JwkError::Point)?;
    let canonical = key.to_edwards().compress().to_bytes() == *x;
    if canonical && !key.is_weak() { Ok(()) } else { Err(JwkError::Point) }
}

impl FromStr for PublicKey {
    type Err = JwkError;

    fn from_str(text: &str) -> Result<Self, JwkError> {
        Self::new(&text.parse()?)
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.jwk == other.0.jwk
    }
}

impl Eq for PublicKey {}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.0.thumbprint)
    }
}
