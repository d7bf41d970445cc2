//! The JSON inside of a proof. Every member is known, is there once, and has one form.

use std::borrow::Cow;

use attorn_core::TimeMs;
use data_encoding::BASE64;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::{JTI_BYTES_MAX, ProofError};
use crate::jwk::{Algorithm, Jwk};

/// What the header says, apart from what it always says. The key's algorithm is the header's.
pub(super) struct Header {
    pub(super) jwk: Jwk,
}

/// What the proof claims.
pub(super) struct Claims {
    pub(super) jti: Box<str>,
    pub(super) method: Box<str>,
    pub(super) url: Box<str>,
    pub(super) issued_at: TimeMs,
    pub(super) nonce: Option<Box<str>>,
    pub(super) body_sha256: Option<[u8; 32]>,
    pub(super) access_token_hash: Option<String>,
    pub(super) asked_for: Option<Box<str>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireHeader<'a> {
    #[serde(borrow)]
    typ: Option<Cow<'a, str>>,
    #[serde(borrow)]
    alg: Option<Cow<'a, str>>,
    #[serde(borrow)]
    jwk: &'a RawValue,
    /// What some clients call their key (RFC 9449, section 4.2, lets them). It says nothing to us: the key is known
    /// by its thumbprint.
    #[serde(rename = "kid")]
    _kid: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireClaims<'a> {
    #[serde(borrow)]
    jti: Cow<'a, str>,
    #[serde(borrow)]
    htm: Cow<'a, str>,
    #[serde(borrow)]
    htu: Cow<'a, str>,
    iat: u64,
    #[serde(borrow)]
    nonce: Option<Cow<'a, str>>,
    #[serde(borrow)]
    content_digest: Option<Cow<'a, str>>,
    ath: Option<String>,
    #[serde(borrow)]
    attorn_for: Option<Cow<'a, str>>,
}

pub(super) fn header(json: &[u8]) -> Result<Header, ProofError> {
    let wire: WireHeader<'_> =
        object(json, "its header is not an object with exactly the members `typ`, `alg`, `jwk`, and `kid` if any")?;
    if wire.typ.as_deref() != Some("dpop+jwt") {
        return Err(ProofError::WrongType);
    }
    let algorithm = wire.alg.as_deref().and_then(Algorithm::from_name).ok_or(ProofError::UnsupportedAlgorithm)?;
    let jwk: Jwk =
        wire.jwk.get().parse().map_err(|_| ProofError::Malformed("its `jwk` is not a P-256 or Ed25519 public key"))?;
    if jwk.algorithm() != algorithm {
        return Err(ProofError::UnsupportedAlgorithm);
    }
    Ok(Header { jwk })
}

pub(super) fn claims(json: &[u8]) -> Result<Claims, ProofError> {
    let wire: WireClaims<'_> = object(
        json,
        "its claims are not an object with exactly the members `jti`, `htm`, `htu`, `iat`, and \
         `content_digest`, `nonce`, `ath` and `attorn_for` where they belong",
    )?;
    let visible = wire.jti.bytes().all(|b| b.is_ascii_graphic());
    if !visible || wire.jti.is_empty() || wire.jti.len() > JTI_BYTES_MAX {
        return Err(ProofError::Malformed("its `jti` is not 1 to 128 visible ASCII characters"));
    }
    let issued_at_ms = wire.iat.checked_mul(1000).ok_or(ProofError::NotYetValid)?;
    let malformed = ProofError::Malformed("its `content_digest` is not of the form `sha-256=:<base64>:`");
    let digest = wire.content_digest.as_deref();
    let body_sha256 = digest.map(|text| content_digest(text).ok_or(malformed)).transpose()?;
    Ok(Claims {
        jti: wire.jti.into(),
        method: wire.htm.into(),
        url: wire.htu.into(),
        issued_at: TimeMs(issued_at_ms),
        nonce: wire.nonce.map(Into::into),
        body_sha256,
        access_token_hash: wire.ath,
        asked_for: wire.attorn_for.map(Into::into),
    })
}

/// One member of an RFC 9530 `Content-Digest`, with SHA-256, and nothing else.
fn content_digest(text: &str) -> Option<[u8; 32]> {
    let base64 = text.strip_prefix("sha-256=:")?.strip_suffix(':')?;
    BASE64.decode(base64.as_bytes()).ok()?.try_into().ok()
}

fn object<'a, T: Deserialize<'a>>(json: &'a [u8], otherwise: &'static str) -> Result<T, ProofError> {
    // Serde would take an array of the members' values for an object.
    if json.first() != Some(&b'{') {
        return Err(ProofError::Malformed(otherwise));
    }
    serde_json::from_slice(json).map_err(|_| ProofError::Malformed(otherwise))
}
