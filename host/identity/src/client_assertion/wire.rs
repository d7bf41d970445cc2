//! The JSON inside of a client assertion. The header has no member that is not known, so nobody can
//! bring a key of their own (`jwk`, `jku`, `x5u`) or ask for what is not understood (`crit`). Other
//! claims may be there, as RFC 7523 says; they mean nothing here.

use std::borrow::Cow;

use attorn_core::TimeMs;
use serde::Deserialize;

use super::{AssertionError, Times};
use crate::compact::object;
use crate::jwk::Algorithm;
use crate::proof::JTI_BYTES_MAX;

/// The longest client id and audience, in bytes.
const TEXT_BYTES_MAX: usize = 512;

pub(super) struct Header {
    pub(super) algorithm: Algorithm,
    pub(super) kid: Option<Box<str>>,
}

pub(super) struct Claims {
    pub(super) client: Box<str>,
    pub(super) audience: Box<str>,
    pub(super) jti: Box<str>,
    pub(super) times: Times,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireHeader<'a> {
    #[serde(borrow)]
    alg: Cow<'a, str>,
    #[serde(borrow)]
    kid: Option<Cow<'a, str>>,
    #[serde(borrow)]
    typ: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct WireClaims<'a> {
    #[serde(borrow)]
    iss: Cow<'a, str>,
    #[serde(borrow)]
    sub: Cow<'a, str>,
    aud: OneOrMany,
    exp: u64,
    iat: u64,
    nbf: Option<u64>,
    #[serde(borrow)]
    jti: Cow<'a, str>,
}

#[derive(Deserialize)]
struct WireNames<'a> {
    #[serde(borrow)]
    iss: Cow<'a, str>,
    #[serde(borrow)]
    sub: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

pub(super) fn header(json: &[u8]) -> Result<Header, AssertionError> {
    let wire: WireHeader<'_> = object(json).ok_or(AssertionError::Malformed(
        "its header is not an object with `alg`, perhaps `kid` and `typ`, and nothing else",
    ))?;
    match wire.typ.as_deref() {
        None | Some("JWT" | "client-authentication+jwt") => {}
        Some(_) => return Err(AssertionError::WrongType),
    }
    let algorithm = Algorithm::from_name(&wire.alg).ok_or(AssertionError::UnsupportedAlgorithm)?;
    Ok(Header { algorithm, kid: wire.kid.map(Into::into) })
}

/// `iss` and `sub`, if both are there and texts.
pub(super) fn names(json: &[u8]) -> Option<[Cow<'_, str>; 2]> {
    object(json).map(|WireNames { iss, sub }| [iss, sub])
}

pub(super) fn claims(json: &[u8]) -> Result<Claims, AssertionError> {
    let wire: WireClaims<'_> = object(json).ok_or(AssertionError::Malformed(
        "its claims are not an object with `iss`, `sub`, `aud`, `exp`, `iat` and `jti`, each once",
    ))?;
    let visible = wire.jti.bytes().all(|b| b.is_ascii_graphic());
    if !visible || wire.jti.is_empty() || wire.jti.len() > JTI_BYTES_MAX {
        return Err(AssertionError::Malformed("its `jti` is not 1 to 128 visible ASCII characters"));
    }
    if wire.iss != wire.sub {
        return Err(AssertionError::SubjectMismatch);
    }
    let audience = match wire.aud {
        OneOrMany::One(one) => one,
        // One that is for several could be carried from one to another.
        OneOrMany::Many(many) => {
            let [one] = <[String; 1]>::try_from(many).map_err(|_| AssertionError::WrongAudience)?;
            one
        }
    };
    if wire.iss.len().max(audience.len()) > TEXT_BYTES_MAX {
        return Err(AssertionError::Malformed("its `iss` or `aud` has more than 512 bytes"));
    }
    let ms = |seconds: u64| {
        seconds.checked_mul(1000).map(TimeMs).ok_or(AssertionError::Malformed("a time in it is too large"))
    };
    let times =
        Times { issued_at: ms(wire.iat)?, not_before: wire.nbf.map(ms).transpose()?, expires_at: ms(wire.exp)? };
    Ok(Claims { client: wire.iss.into(), audience: audience.into(), jti: wire.jti.into(), times })
}
