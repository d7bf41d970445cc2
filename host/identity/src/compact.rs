//! A compact JWS (RFC 7515, section 7.1), taken apart. Nothing in it can be believed yet.

use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;

use crate::key::SIGNATURE_BYTES;

/// A compact JWS of the right form, with a signature of one of our algorithms' length.
pub(crate) struct Compact {
    text: Box<str>,
    /// Where the part ends that is signed.
    signed_bytes: usize,
    pub(crate) header: Vec<u8>,
    pub(crate) claims: Vec<u8>,
    pub(crate) signature: [u8; SIGNATURE_BYTES],
}

impl Compact {
    /// Take a text apart; what is wrong with it, if it is none.
    pub(crate) fn parse(text: &str, bytes_max: usize) -> Result<Self, &'static str> {
        if text.len() > bytes_max {
            return Err("it is too long");
        }
        let mut parts = text.split('.');
        let (Some(header), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err("it has not three parts");
        };
        let signed_bytes = text.len() - signature.len() - 1;
        let signature = decode(signature)?.try_into().map_err(|_| "its signature has not 64 bytes")?;
        Ok(Self { header: decode(header)?, claims: decode(claims)?, signature, signed_bytes, text: text.into() })
    }

    /// What is signed.
    pub(crate) fn signed(&self) -> &[u8] {
        &self.text.as_bytes()[..self.signed_bytes]
    }
}

/// Only the one encoding of the bytes is taken: no padding, no stray bits.
fn decode(part: &str) -> Result<Vec<u8>, &'static str> {
    BASE64URL_NOPAD.decode(part.as_bytes()).map_err(|_| "a part is not unpadded base64url")
}

/// One JSON object. Serde would take an array of the members' values for one.
pub(crate) fn object<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Option<T> {
    if json.first() != Some(&b'{') {
        return None;
    }
    serde_json::from_slice(json).ok()
}
