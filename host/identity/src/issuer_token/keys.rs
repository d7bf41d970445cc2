//! A provider's published keys: a JWK Set (RFC 7517) of RSA, P-256, P-384 and Ed25519 keys.
//!
//! Keys of other kinds are passed over, as RFC 7517 (section 5) says; so are keys that hold a private half, of
//! which everybody has a copy by now.

use std::fmt;

use attorn_core::IssuerAlgorithm;
use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::{Map, Value};

use super::{IssuerTokenError, json};

/// The most keys that a provider may publish.
pub const KEYS_MAX: usize = 64;

/// Bytes of an RSA modulus: 2048 to 8192 bits.
const RSA_BYTES: std::ops::RangeInclusive<usize> = 256..=1_024;

/// Why a document is no JWK Set that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JwksError {
    /// It is no JSON object with a list of objects in `keys`, each member once.
    #[error("the JWK Set is no JSON object with a list `keys` of objects, in which no member stands twice")]
    Malformed,
    /// There are too many.
    #[error("the JWK Set has more than 64 keys")]
    TooMany,
    /// None of them can verify a token.
    #[error("the JWK Set has no RSA, P-256, P-384 or Ed25519 key")]
    None,
}

/// The keys that a provider publishes.
#[derive(Clone)]
pub struct IssuerKeys(Vec<ProviderKey>);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    Rsa,
    P256,
    P384,
    Ed25519,
}

#[derive(Clone)]
pub(super) struct ProviderKey {
    key_id: Option<String>,
    family: Family,
    algorithm: Option<String>,
    signs: bool,
    verifies: bool,
    key: DecodingKey,
}

impl IssuerKeys {
    /// Read a JWK Set.
    ///
    /// # Errors
    ///
    /// When it is none, has more than [`KEYS_MAX`] keys, or none that can be used.
    pub fn parse(jwks: &[u8]) -> Result<Self, JwksError> {
        let members = json::object(jwks).map_err(|_| JwksError::Malformed)?;
        let Some(Value::Array(all)) = members.get("keys") else { return Err(JwksError::Malformed) };
        if all.len() > KEYS_MAX {
            return Err(JwksError::TooMany);
        }
        let mut keys = Vec::new();
        for one in all {
            keys.extend(ProviderKey::of(one.as_object().ok_or(JwksError::Malformed)?));
        }
        if keys.is_empty() { Err(JwksError::None) } else { Ok(Self(keys)) }
    }

    /// Whether one of them has this name; with no name, there is nothing to look for.
    #[must_use]
    pub fn has(&self, key_id: Option<&str>) -> bool {
        key_id.is_none_or(|id| self.0.iter().any(|key| key.key_id.as_deref() == Some(id)))
    }

    /// The one key that a token means.
    pub(super) fn find(
        &self,
        key_id: Option<&str>,
        algorithm: IssuerAlgorithm,
    ) -> Result<&ProviderKey, IssuerTokenError> {
        let named: Vec<_> = match key_id {
            Some(id) => self.0.iter().filter(|key| key.key_id.as_deref() == Some(id)).collect(),
            None => self.0.iter().collect(),
        };
        match (named.as_slice(), key_id) {
            ([], _) => Err(IssuerTokenError::UnknownKey),
            ([one], Some(_)) => one.agrees(algorithm).map(|()| *one),
            (several, _) => {
                let mut fitting = several.iter().filter(|key| key.agrees(algorithm).is_ok());
                match (fitting.next(), fitting.next()) {
                    (Some(one), None) => Ok(one),
                    _ => Err(IssuerTokenError::AmbiguousKey),
                }
            }
        }
    }
}

impl fmt::Debug for IssuerKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.iter().map(|key| &key.key_id)).finish()
    }
}

impl ProviderKey {
    /// The key that this is; none if it is of no kind that is known.
    pub(super) fn of(jwk: &Map<String, Value>) -> Option<Self> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        if ["d", "k", "p", "q"].into_iter().any(|private| jwk.contains_key(private)) {
            return None;
        }
        let (family, key) = match (text("kty")?, text("crv")) {
            ("RSA", None) => (Family::Rsa, rsa(text("n")?, text("e")?)?),
            ("EC", Some("P-256")) => (Family::P256, point(text("x")?, text("y")?, 32)?),
            ("EC", Some("P-384")) => (Family::P384, point(text("x")?, text("y")?, 48)?),
            ("OKP", Some("Ed25519")) => (Family::Ed25519, ed25519(text("x")?)?),
            _ => return None,
        };
        let verifies = jwk.get("key_ops").is_none_or(|operations| {
            operations.as_array().is_some_and(|operations| operations.iter().any(|one| one == "verify"))
        });
        Some(Self {
            key_id: text("kid").map(str::to_owned),
            family,
            // What is there and no text agrees with nothing.
            algorithm: jwk.get("alg").map(|alg| alg.as_str().unwrap_or_default().to_owned()),
            signs: jwk.get("use").is_none_or(|key_use| key_use == "sig"),
            verifies,
            key,
        })
    }

    /// Whether it is there to verify signatures with.
    pub(super) const fn is_for_signatures(&self) -> bool {
        self.signs && self.verifies
    }

    fn agrees(&self, algorithm: IssuerAlgorithm) -> Result<(), IssuerTokenError> {
        use IssuerAlgorithm::{EdDsa, Es256, Es384, Ps256, Ps384, Ps512, Rs256, Rs384, Rs512};
        let family = match algorithm {
            Rs256 | Rs384 | Rs512 | Ps256 | Ps384 | Ps512 => Family::Rsa,
            Es256 => Family::P256,
            Es384 => Family::P384,
            EdDsa => Family::Ed25519,
        };
        let disagrees = |member| Err(IssuerTokenError::KeyDisagrees(member));
        if self.family != family {
            return disagrees("kty");
        }
        if !self.signs {
            return disagrees("use");
        }
        if !self.verifies {
            return disagrees("key_ops");
        }
        match &self.algorithm {
            Some(own) if own != algorithm.as_str() => disagrees("alg"),
            _ => Ok(()),
        }
    }

    pub(super) fn verify(
        &self,
        algorithm: IssuerAlgorithm,
        signed: &[u8],
        signature: &str,
    ) -> Result<(), IssuerTokenError> {
        match jsonwebtoken::crypto::verify(signature, signed, &self.key, library_name(algorithm)) {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(IssuerTokenError::BadSignature),
        }
    }
}

const fn library_name(algorithm: IssuerAlgorithm) -> Algorithm {
    match algorithm {
        IssuerAlgorithm::Rs256 => Algorithm::RS256,
        IssuerAlgorithm::Rs384 => Algorithm::RS384,
        IssuerAlgorithm::Rs512 => Algorithm::RS512,
        IssuerAlgorithm::Ps256 => Algorithm::PS256,
        IssuerAlgorithm::Ps384 => Algorithm::PS384,
        IssuerAlgorithm::Ps512 => Algorithm::PS512,
        IssuerAlgorithm::Es256 => Algorithm::ES256,
        IssuerAlgorithm::Es384 => Algorithm::ES384,
        IssuerAlgorithm::EdDsa => Algorithm::EdDSA,
    }
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    BASE64URL_NOPAD.decode(text.as_bytes()).ok()
}

fn rsa(n: &str, e: &str) -> Option<DecodingKey> {
    let length = bytes(n)?.iter().skip_while(|byte| **byte == 0).count();
    bytes(e)?;
    RSA_BYTES.contains(&length).then(|| DecodingKey::from_rsa_components(n, e).ok())?
}

fn point(x: &str, y: &str, coordinate_bytes: usize) -> Option<DecodingKey> {
    let whole = bytes(x)?.len() == coordinate_bytes && bytes(y)?.len() == coordinate_bytes;
    whole.then(|| DecodingKey::from_ec_components(x, y).ok())?
}

fn ed25519(x: &str) -> Option<DecodingKey> {
    (bytes(x)?.len() == 32).then(|| DecodingKey::from_ed_components(x).ok())?
}
