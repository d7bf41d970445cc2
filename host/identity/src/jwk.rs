//! Public keys as JSON Web Keys (RFC 7517): P-256 for ES256 (RFC 7518) and Ed25519 (RFC 8037), and
//! nothing else.
//!
//! A [`Jwk`] has the right form. Whether its coordinates are a point that may be used is checked when
//! a [`crate::PublicKey`] is made of it, which costs more and happens once, at registration. Private
//! keys are never accepted here.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use attorn_core::KeyThumbprint;
use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;
use serde::de::IgnoredAny;
use sha2::{Digest as _, Sha256};

/// The longest JWK that is read, in bytes.
pub const JWK_BYTES_MAX: usize = 1024;

/// How a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    /// Its name in the header of a JWS.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The algorithm of this name; none if it is any other.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Es256, Self::EdDsa].into_iter().find(|algorithm| algorithm.as_str() == name)
    }
}

/// Why a text is not accepted as a public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JwkError {
    /// It is longer than [`JWK_BYTES_MAX`].
    #[error("a JWK of more than 1024 bytes is not read")]
    TooLong,
    /// It has the member `d`. Whoever sent it should consider that key lost.
    #[error("this is a private key")]
    PrivateKey,
    /// It is not one JSON object with the members of a public key, each once.
    #[error("this is not a JSON object with exactly the members of an EC or OKP public key")]
    Members,
    /// Its type and curve are not among those that are known.
    #[error("the key is neither `EC` on `P-256` nor `OKP` on `Ed25519`")]
    UnsupportedKey,
    /// A coordinate is missing, too much, or not 32 bytes of unpadded base64url.
    #[error("a coordinate is not 43 characters of unpadded base64url")]
    Coordinate,
    /// `use`, `alg` or `key_ops` say something else than that the key verifies such signatures.
    #[error("`{0}` does not agree with a key that verifies signatures of this type")]
    Disagrees(&'static str),
    /// The coordinates are not a point on the curve, or one that anybody could sign for.
    #[error("the coordinates are not a usable point on the curve")]
    Point,
}

/// A public key of the right form. Only parsing makes one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Jwk(Coordinates);

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Coordinates {
    P256 { x: [u8; 32], y: [u8; 32] },
    Ed25519 { x: [u8; 32] },
}

/// The members that a public key may have. What they mean is checked by [`Jwk::from_str`].
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireJwk<'a> {
    #[serde(borrow)]
    kty: Cow<'a, str>,
    #[serde(borrow)]
    crv: Cow<'a, str>,
    #[serde(borrow)]
    x: Cow<'a, str>,
    #[serde(borrow)]
    y: Option<Cow<'a, str>>,
    d: Option<IgnoredAny>,
    /// A name that its owner gave it. It says nothing to us: keys are known by their thumbprints.
    #[serde(rename = "kid")]
    _kid: Option<IgnoredAny>,
    #[serde(borrow, rename = "use")]
    public_key_use: Option<Cow<'a, str>>,
    #[serde(borrow)]
    alg: Option<Cow<'a, str>>,
    key_ops: Option<Vec<String>>,
}

impl Jwk {
    /// How the key signs.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        match self.0 {
            Coordinates::P256 { .. } => Algorithm::Es256,
            Coordinates::Ed25519 { .. } => Algorithm::EdDsa,
        }
    }

    /// The canonical text: the required members only, sorted, without blanks. It is what RFC 7638
    /// (section 3) hashes.
    #[must_use]
    pub fn canonical_text(&self) -> String {
        let text = |bytes: &[u8; 32]| BASE64URL_NOPAD.encode(bytes);
        match &self.0 {
            Coordinates::P256 { x, y } => {
                format!(r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#, text(x), text(y))
            }
            Coordinates::Ed25519 { x } => format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, text(x)),
        }
    }

    /// The key's RFC 7638 SHA-256 thumbprint.
    #[must_use]
    #[expect(
        clippy::expect_used,
        clippy::missing_panics_doc,
        reason = "32 bytes are always 43 characters of base64url, which is a thumbprint"
    )]
    pub fn thumbprint(&self) -> KeyThumbprint {
        let digest = Sha256::digest(self.canonical_text());
        BASE64URL_NOPAD.encode(&digest).parse().expect("a SHA-256 digest in base64url is a thumbprint")
    }

    /// The P-256 key with this point in the uncompressed form of SEC 1.
    pub(crate) fn from_sec1_point(point: &[u8]) -> Option<Self> {
        let (x, y) = point.strip_prefix(&[4])?.split_at_checked(32)?;
        Some(Self(Coordinates::P256 { x: x.try_into().ok()?, y: y.try_into().ok()? }))
    }

    pub(crate) const fn coordinates(&self) -> &Coordinates {
        &self.0
    }
}

impl FromStr for Jwk {
    type Err = JwkError;

    fn from_str(text: &str) -> Result<Self, JwkError> {
        if text.len() > JWK_BYTES_MAX {
            return Err(JwkError::TooLong);
        }
        // Serde would take an array of the members' values for an object.
        if !text.trim_ascii_start().starts_with('{') {
            return Err(JwkError::Members);
        }
        let wire: WireJwk<'_> = serde_json::from_str(text).map_err(|_| JwkError::Members)?;
        if wire.d.is_some() {
            return Err(JwkError::PrivateKey);
        }
        let coordinates = match (&*wire.kty, &*wire.crv, &wire.y) {
            ("EC", "P-256", Some(y)) => Coordinates::P256 { x: coordinate(&wire.x)?, y: coordinate(y)? },
            ("OKP", "Ed25519", None) => Coordinates::Ed25519 { x: coordinate(&wire.x)? },
            ("EC", "P-256", None) | ("OKP", "Ed25519", Some(_)) => return Err(JwkError::Coordinate),
            _ => return Err(JwkError::UnsupportedKey),
        };
        let jwk = Self(coordinates);
        if wire.public_key_use.is_some_and(|public_key_use| public_key_use != "sig") {
            return Err(JwkError::Disagrees("use"));
        }
        if wire.alg.is_some_and(|alg| Algorithm::from_name(&alg) != Some(jwk.algorithm())) {
            return Err(JwkError::Disagrees("alg"));
        }
        if wire.key_ops.is_some_and(|operations| operations != ["verify"]) {
            return Err(JwkError::Disagrees("key_ops"));
        }
        Ok(jwk)
    }
}

fn coordinate(text: &str) -> Result<[u8; 32], JwkError> {
    let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| JwkError::Coordinate)?;
    bytes.try_into().map_err(|_| JwkError::Coordinate)
}

impl fmt::Debug for Jwk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.canonical_text())
    }
}

#[cfg(test)]
#[path = "jwk_tests.rs"]
mod tests;
