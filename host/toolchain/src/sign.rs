//! Signatures of components, in the format of minisign: what vouches for a policy outside of any server.
//!
//! A signature is of a component's bytes alone; settings come with a push and are nobody's here. Verifying is
//! [`attorn_identity::signer`]'s, which servers use, too.

use attorn_engine::LoadError;
use attorn_identity::{ComponentSignature, SignatureError, SignerKey, SignerKeyError};
use data_encoding::BASE64;
use minisign::{KeyPair, PError, PublicKey, SecretKey, SecretKeyBox};
use thiserror::Error;

use crate::look::look;

/// The most bytes of a secret key's file.
pub const KEY_BYTES_MAX: u64 = 4 << 10;

/// How many bytes a secret key has, and where in them stands how it is encrypted.
const SECRET_BYTES: usize = 158;
const ENCRYPTED_AT: std::ops::Range<usize> = 2..4;

/// What the first line of a signature says.
const COMMENT: &str = "signature of a policy component";

/// A key pair, as it stands in its two files.
pub struct NewKey {
    /// The file that its owner alone reads.
    pub secret: String,
    /// The file that everybody may read.
    pub public: String,
    /// The public key.
    pub key: SignerKey,
}

/// Why there is no key, or no signature.
#[derive(Debug, Error)]
pub enum SignError {
    /// The key's file holds something else.
    #[error("it is no secret key of minisign")]
    NoKey,
    /// The key is encrypted, and nobody said with what.
    #[error("it is encrypted")]
    NeedsPassword,
    /// The key is not encrypted.
    #[error("it is not encrypted, so there is no password to it")]
    NeedsNoPassword,
    /// The key does not open.
    #[error("the password is not that of this key, or the key is damaged")]
    WrongPassword,
    /// What came of it does not verify: the file was changed.
    #[error("the key is damaged: what it signs does not verify")]
    Damaged,
    /// It is no policy.
    #[error(transparent)]
    NoPolicy(#[from] LoadError),
    /// The system gave no random numbers, or no memory.
    #[error("minisign failed")]
    Failed(#[source] PError),
}

impl From<SignerKeyError> for SignError {
    fn from(_: SignerKeyError) -> Self {
        Self::Damaged
    }
}

impl From<SignatureError> for SignError {
    fn from(_: SignatureError) -> Self {
        Self::Damaged
    }
}

/// Make a key pair. The secret half is encrypted if there is a password.
///
/// # Errors
///
/// When the system has no random numbers.
pub fn new_key(password: Option<&str>) -> Result<NewKey, SignError> {
    let made = match password {
        Some(password) => KeyPair::generate_encrypted_keypair(Some(password.to_owned())),
        None => KeyPair::generate_unencrypted_keypair(),
    };
    let KeyPair { pk, sk } = made.map_err(SignError::Failed)?;
    let key = SignerKey::parse(&pk.to_base64())?;
    // What minisign itself writes there.
    let secret = sk.to_box(Some("minisign encrypted secret key")).map_err(SignError::Failed)?;
    let public = format!("untrusted comment: minisign public key {}\n{}\n", key.id(), key.as_str());
    Ok(NewKey { secret: secret.into_string(), public, key })
}

/// Sign a component: what stands in its `.minisig` file, and the public key that verifies it. The trusted comment says
/// when (seconds since 1970), by which name, and of which digest.
///
/// # Errors
///
/// When it is no policy, the key is none or does not open, or its signature does not verify.
pub fn sign(
    component: &[u8],
    key: &str,
    password: Option<&str>,
    file: &str,
    at_s: u64,
) -> Result<(String, SignerKey), SignError> {
    let secret = open(key, password)?;
    let look = look(component)?;
    // A comment is one line.
    let file: String = file.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    let comment = format!("timestamp:{at_s}\tfile:{file}\tblake3:{}", look.digest);
    let signature =
        minisign::sign(None, &secret, component, Some(&comment), Some(COMMENT)).map_err(SignError::Failed)?;
    let text = signature.into_string();
    // Unencrypted keys have no checksum that one may rely on, so what they sign is looked at.
    let public = PublicKey::from_secret_key(&secret).map_err(|_| SignError::Damaged)?;
    let public = SignerKey::parse(&public.to_base64())?;
    public.verify(component, &ComponentSignature::parse(&text)?)?;
    Ok((text, public))
}

/// A secret key, ready to sign.
fn open(file: &str, password: Option<&str>) -> Result<SecretKey, SignError> {
    let line = file.lines().nth(1).ok_or(SignError::NoKey)?;
    let bytes = BASE64.decode(line.trim_end().as_bytes()).map_err(|_| SignError::NoKey)?;
    if bytes.len() != SECRET_BYTES || !bytes.starts_with(b"Ed") {
        return Err(SignError::NoKey);
    }
    match (bytes.get(ENCRYPTED_AT), password) {
        // Debian's minisign leaves out the checksum here, which the library wants to see.
        (Some(b"\0\0"), None) => SecretKey::from_bytes(&bytes).map_err(|_| SignError::NoKey),
        (Some(b"\0\0"), Some(_)) => Err(SignError::NeedsNoPassword),
        (Some(b"Sc"), None) => Err(SignError::NeedsPassword),
        (Some(b"Sc"), Some(password)) => {
            let boxed = SecretKeyBox::from(file.to_owned());
            boxed.into_secret_key(Some(password.to_owned())).map_err(|_| SignError::WrongPassword)
        }
        _ => Err(SignError::NoKey),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Made with Debian's minisign 0.11: `minisign -G -W`.
    const KEY: &str = "untrusted comment: minisign encrypted secret key
RWQAAEIyAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA9U98CQf965iSvNF2UYyqv2g1gobhYV/hhyO6QNfnZAKIDaeQCmk08oZF6vTLLhQFk1hl0DUX3hfkjAmIdJM9fU2g5FY/Z4uhAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
";

    fn opens(key: &str, password: Option<&str>) -> Result<(), String> {
        open(key, password).map(drop).map_err(|error| error.to_string())
    }

    #[test]
    fn a_key_that_does_not_open_says_why() {
        let locked = new_key(Some("right")).unwrap();
        for (key, password, error) in [
            ("", None, "it is no secret key of minisign"),
            (locked.public.as_str(), None, "it is no secret key of minisign"),
            (&KEY[..200], None, "it is no secret key of minisign"),
            (KEY, Some("right"), "it is not encrypted, so there is no password to it"),
            (&locked.secret, None, "it is encrypted"),
            (&locked.secret, Some("wrong"), "the password is not that of this key, or the key is damaged"),
        ] {
            assert_eq!(opens(key, password), Err(error.to_owned()));
        }
        assert_eq!(opens(&locked.secret, Some("right")), Ok(()));
        assert_eq!(opens(&new_key(None).unwrap().secret, None), Ok(()));
        assert_eq!(opens(KEY, None), Ok(()));
    }

    #[test]
    fn what_is_no_policy_is_not_signed() {
        for bytes in [&b"#!/bin/sh"[..], b"\0asm\x0d\0\x01\0", b""] {
            assert!(matches!(sign(bytes, KEY, None, "policy.wasm", 1), Err(SignError::NoPolicy(_))));
        }
    }
}
