//! An agent's own key: made here, kept in a file of its own, and never sent anywhere.
//!
//! The file is a private JSON Web Key (RFC 7517; RFC 7518, section 6.2; RFC 8037), readable by its
//! owner only. What the key is used for stands in `proof.rs`.

use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use aws_lc_rs::encoding::AsBigEndian;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::file::{self, FileError};

/// The longest key file that is read, in bytes.
const KEY_FILE_BYTES_MAX: u64 = 4096;

/// How a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256. What most hardware and libraries know.
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
}

/// Why a key cannot be made, kept or used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file is not read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file cannot be written. One that exists is never overwritten.
    #[error("the key file cannot be written")]
    Write(#[source] io::Error),
    /// The file holds something else.
    #[error("the key file is not a private JWK of type `EC` on `P-256` or `OKP` on `Ed25519`")]
    NotAKey,
    /// The public half in the file does not belong to the private one.
    #[error("the two halves of the key in the key file do not belong together")]
    Inconsistent,
    /// The operating system gave no random bytes.
    #[error("no random bytes could be drawn")]
    NoRandomness,
    /// The cryptographic library failed to sign.
    #[error("the key could not sign")]
    NotSigned,
}

/// A private key, and its public half as the server knows it.
pub struct AgentKey {
    private: Private,
    public_jwk: String,
    thumbprint: String,
}

enum Private {
    Es256(EcdsaKeyPair),
    EdDsa(Ed25519KeyPair),
}

/// A key file. Everything is borrowed from its text, which is wiped after use.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireKey<'a> {
    kty: &'a str,
    crv: &'a str,
    x: &'a str,
    y: Option<&'a str>,
    d: &'a str,
}

impl AgentKey {
    /// A new key.
    ///
    /// # Errors
    ///
    /// [`KeyError::NoRandomness`]
    pub fn generate(algorithm: Algorithm) -> Result<Self, KeyError> {
        let private = match algorithm {
            Algorithm::Es256 => EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map(Private::Es256),
            Algorithm::EdDsa => Ed25519KeyPair::generate().map(Private::EdDsa),
        };
        Self::new(private.map_err(|_| KeyError::NoRandomness)?)
    }

    /// Read a key from its file.
    ///
    /// # Errors
    ///
    /// [`KeyError::File`], [`KeyError::NotAKey`], [`KeyError::Inconsistent`]
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        Self::parse(&file::read_secret(path, KEY_FILE_BYTES_MAX)?)
    }

    /// Write the key to a new file, which only its owner may read.
    ///
    /// # Errors
    ///
    /// [`KeyError::Write`], also if there is a file of this name.
    pub fn save(&self, path: &Path) -> Result<(), KeyError> {
        let text = self.file_text()?;
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(KeyError::Write)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(KeyError::Write)
    }

    /// How the key signs.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        match self.private {
            Private::Es256(_) => Algorithm::Es256,
            Private::EdDsa(_) => Algorithm::EdDsa,
        }
    }

    /// The public half, to be registered: a JWK in its canonical form (RFC 7638, section 3).
    #[must_use]
    pub fn public_jwk(&self) -> &str {
        &self.public_jwk
    }

    /// The RFC 7638 thumbprint by which the server knows the key.
    #[must_use]
    pub fn thumbprint(&self) -> &str {
        &self.thumbprint
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let signature = match &self.private {
            Private::Es256(pair) => pair.sign(&SystemRandom::new(), message),
            Private::EdDsa(pair) => pair.try_sign(message),
        };
        signature.map(|signature| signature.as_ref().to_vec()).map_err(|_| KeyError::NotSigned)
    }

    fn new(private: Private) -> Result<Self, KeyError> {
        let public_jwk = match &private {
            Private::Es256(pair) => {
                // SEC 1, section 2.3.3: a byte 4, then both coordinates.
                let point = pair.public_key().as_ref();
                let coordinates = point.strip_prefix(&[4]).and_then(|rest| rest.split_at_checked(32));
                let (x, y) = coordinates.ok_or(KeyError::NotAKey)?;
                format!(r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#, text(x), text(y))
            }
            Private::EdDsa(pair) => {
                format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, text(pair.public_key().as_ref()))
            }
        };
        let thumbprint = text(&Sha256::digest(&public_jwk));
        Ok(Self { private, public_jwk, thumbprint })
    }

    pub(crate) fn parse(json: &[u8]) -> Result<Self, KeyError> {
        if json.first() != Some(&b'{') {
            return Err(KeyError::NotAKey);
        }
        let wire: WireKey<'_> = serde_json::from_slice(json).map_err(|_| KeyError::NotAKey)?;
        let (x, d) = (bytes(wire.x)?, bytes(wire.d)?);
        let private = match (wire.kty, wire.crv, wire.y) {
            ("EC", "P-256", Some(y)) => {
                let point = [&[4], x.as_slice(), bytes(y)?.as_slice()].concat();
                EcdsaKeyPair::from_private_key_and_public_key(&ECDSA_P256_SHA256_FIXED_SIGNING, d.as_slice(), &point)
                    .map(Private::Es256)
            }
            ("OKP", "Ed25519", None) => {
                Ed25519KeyPair::from_seed_and_public_key(d.as_slice(), x.as_slice()).map(Private::EdDsa)
            }
            _ => return Err(KeyError::NotAKey),
        };
        Self::new(private.map_err(|_| KeyError::Inconsistent)?)
    }

    fn file_text(&self) -> Result<Zeroizing<String>, KeyError> {
        // Room for all of it, so that no copy of the secret stays behind when the text grows.
        let mut file = Zeroizing::new(String::with_capacity(1024));
        file.push_str(self.public_jwk.trim_end_matches('}'));
        file.push_str(r#","d":""#);
        // What the library gives out here it wipes itself.
        match &self.private {
            Private::Es256(pair) => {
                let scalar = pair.private_key().as_be_bytes().map_err(|_| KeyError::NotAKey)?;
                BASE64URL_NOPAD.encode_append(scalar.as_ref(), &mut file);
            }
            Private::EdDsa(pair) => {
                let seed = pair.seed().and_then(|seed| seed.as_be_bytes()).map_err(|_| KeyError::NotAKey)?;
                BASE64URL_NOPAD.encode_append(seed.as_ref(), &mut file);
            }
        }
        file.push_str("\"}\n");
        Ok(file)
    }
}

impl fmt::Debug for AgentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AgentKey({})", self.thumbprint)
    }
}

fn text(bytes: &[u8]) -> String {
    BASE64URL_NOPAD.encode(bytes)
}

fn bytes(text: &str) -> Result<Zeroizing<[u8; 32]>, KeyError> {
    let bytes = Zeroizing::new(BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| KeyError::NotAKey)?);
    let bytes = <&[u8; 32]>::try_from(bytes.as_slice()).map_err(|_| KeyError::NotAKey)?;
    Ok(Zeroizing::new(*bytes))
}

#[cfg(test)]
#[path = "key_tests.rs"]
mod tests;
