//! Public keys that sign JWT-SVIDs: RSA, and the three NIST curves.
//!
//! They are not the keys of agents ([`crate::Jwk`]): those sign proofs with ES256 or Ed25519, and the
//! JWT-SVID specification (section 2) allows RSA and forbids Ed25519. They are parsed for each token, for a
//! token is shown once in its life of minutes.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, EcdsaVerificationAlgorithm,
    ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
    RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters,
    RsaPublicKeyComponents, UnparsedPublicKey,
};
use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;
use serde::de::IgnoredAny;

/// The longest name of a key, in bytes.
const KID_BYTES_MAX: usize = 128;

/// Why a key of a bundle is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JwtSvidKeyError {
    /// It has no name, or one that is too long or odd.
    #[error("its `kid` is not 1 to 128 visible ASCII characters")]
    Kid,
    /// It is a private key. Whoever sent it should consider it lost.
    #[error("this is a private key")]
    PrivateKey,
    /// It is of another type.
    #[error("it is neither `RSA` of 2048 to 4096 bits nor `EC` on `P-256`, `P-384` or `P-521`")]
    Unsupported,
    /// A number is missing, or not what its type asks for.
    #[error("a number of it is missing, or not unpadded base64url of the right length")]
    Number,
    /// Its coordinates are not a point on the curve.
    #[error("its coordinates are not a point on the curve")]
    Point,
}

/// A public key that signs JWT-SVIDs. Only parsing makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwtSvidKey {
    kid: String,
    material: Material,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Material {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    Ec { curve: Curve, point: Vec<u8> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Curve {
    P256,
    P384,
    P521,
}

/// A key of a SPIFFE bundle. It is a standard's document, so members that are not known are passed over.
#[derive(Deserialize)]
pub(super) struct WireKey {
    #[serde(rename = "use")]
    pub(super) public_key_use: Option<String>,
    pub(super) x5c: Option<Vec<String>>,
    kid: Option<String>,
    kty: Option<String>,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
    d: Option<IgnoredAny>,
}

impl Curve {
    const fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
        }
    }

    const fn coordinate_bytes(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    const fn algorithm(self) -> &'static EcdsaVerificationAlgorithm {
        match self {
            Self::P256 => &ECDSA_P256_SHA256_FIXED,
            Self::P384 => &ECDSA_P384_SHA384_FIXED,
            Self::P521 => &ECDSA_P521_SHA512_FIXED,
        }
    }

    /// The one algorithm that goes with it (RFC 7518, section 3.4).
    const fn alg(self) -> &'static str {
        match self {
            Self::P256 => "ES256",
            Self::P384 => "ES384",
            Self::P521 => "ES512",
        }
    }
}

fn rsa_parameters(alg: &str) -> Option<&'static RsaParameters> {
    Some(match alg {
        "RS256" => &RSA_PKCS1_2048_8192_SHA256,
        "RS384" => &RSA_PKCS1_2048_8192_SHA384,
        "RS512" => &RSA_PKCS1_2048_8192_SHA512,
        "PS256" => &RSA_PSS_2048_8192_SHA256,
        "PS384" => &RSA_PSS_2048_8192_SHA384,
        "PS512" => &RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}

/// Whether a JWT-SVID may be signed so at all.
pub(super) fn is_algorithm(alg: &str) -> bool {
    rsa_parameters(alg).is_some() || [Curve::P256, Curve::P384, Curve::P521].iter().any(|curve| curve.alg() == alg)
}

impl JwtSvidKey {
    /// Read a JWK.
    ///
    /// # Errors
    ///
    /// When it is not a named public key that may sign JWT-SVIDs.
    pub fn parse(jwk: &str) -> Result<Self, JwtSvidKeyError> {
        let wire: WireKey = serde_json::from_str(jwk).map_err(|_| JwtSvidKeyError::Unsupported)?;
        Self::of_wire(&wire)
    }

    pub(super) fn of_wire(wire: &WireKey) -> Result<Self, JwtSvidKeyError> {
        let kid = wire.kid.as_deref().unwrap_or_default();
        if kid.is_empty() || kid.len() > KID_BYTES_MAX || !kid.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(JwtSvidKeyError::Kid);
        }
        if wire.d.is_some() {
            return Err(JwtSvidKeyError::PrivateKey);
        }
        let number = |text: &Option<String>| {
            let text = text.as_deref().ok_or(JwtSvidKeyError::Number)?;
            BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| JwtSvidKeyError::Number)
        };
        let curve = match (wire.kty.as_deref(), wire.crv.as_deref()) {
            (Some("RSA"), None) => None,
            (Some("EC"), Some("P-256")) => Some(Curve::P256),
            (Some("EC"), Some("P-384")) => Some(Curve::P384),
            (Some("EC"), Some("P-521")) => Some(Curve::P521),
            _ => return Err(JwtSvidKeyError::Unsupported),
        };
        let material = match curve {
            None => rsa(number(&wire.n)?, number(&wire.e)?)?,
            Some(curve) => ec(curve, &number(&wire.x)?, &number(&wire.y)?)?,
        };
        Ok(Self { kid: kid.to_owned(), material })
    }

    /// The name by which tokens choose it.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The key as JSON, the members that it needs and its name, sorted, without blanks.
    #[must_use]
    pub fn canonical_text(&self) -> String {
        let text = |bytes: &[u8]| BASE64URL_NOPAD.encode(bytes);
        let kid = serde_json::Value::from(self.kid.as_str());
        match &self.material {
            Material::Rsa { n, e } => format!(r#"{{"e":"{}","kid":{kid},"kty":"RSA","n":"{}"}}"#, text(e), text(n)),
            Material::Ec { curve, point } => {
                let (x, y) = point[1..].split_at(curve.coordinate_bytes());
                let name = curve.name();
                format!(r#"{{"crv":"{name}","kid":{kid},"kty":"EC","x":"{}","y":"{}"}}"#, text(x), text(y))
            }
        }
    }

    /// Whether this key's private half signed this message with this algorithm.
    pub(super) fn verifies(&self, alg: &str, message: &[u8], signature: &[u8]) -> bool {
        match &self.material {
            Material::Rsa { n, e } => rsa_parameters(alg).is_some_and(|parameters| {
                RsaPublicKeyComponents { n, e }.verify(parameters, message, signature).is_ok()
            }),
            Material::Ec { curve, point } => {
                alg == curve.alg()
                    && UnparsedPublicKey::new(curve.algorithm(), point).verify(message, signature).is_ok()
            }
        }
    }
}

fn rsa(n: Vec<u8>, e: Vec<u8>) -> Result<Material, JwtSvidKeyError> {
    // A first byte of zero would make two texts of one key.
    let fits = |number: &[u8], bytes: std::ops::RangeInclusive<usize>| {
        bytes.contains(&number.len()) && number.first().is_some_and(|&first| first != 0)
    };
    let odd = |number: &[u8]| number.last().is_some_and(|last| last % 2 == 1);
    if !fits(&n, 256..=512) || !fits(&e, 1..=4) || !odd(&n) || !odd(&e) || e == [1] {
        return Err(JwtSvidKeyError::Number);
    }
    Ok(Material::Rsa { n, e })
}

fn ec(curve: Curve, x: &[u8], y: &[u8]) -> Result<Material, JwtSvidKeyError> {
    if x.len() != curve.coordinate_bytes() || y.len() != curve.coordinate_bytes() {
        return Err(JwtSvidKeyError::Number);
    }
    let point = [&[4], x, y].concat();
    ParsedPublicKey::new(curve.algorithm(), &point).map_err(|_| JwtSvidKeyError::Point)?;
    Ok(Material::Ec { curve, point })
}
