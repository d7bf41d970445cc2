//! The public half of a log's key, in the text form that C2SP calls a verifier key.
//!
//! `<origin>+<key id, 8 hex digits>+<base64 of a one byte and the public key>`. Whether a key is to be
//! trusted is the caller's to know: whoever holds a [`CheckpointVerifier`] has decided that.

use std::fmt;
use std::str::FromStr;

use data_encoding::{BASE64, HEXLOWER};
use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest as _, Sha256};

use crate::checkpoint::{CheckpointError, SignedCheckpoint};
use crate::reference::Origin;

/// The signature type of Ed25519 in signed notes.
const ED25519: u8 = 0x01;

/// What checks the checkpoints of one log epoch.
#[derive(Clone, PartialEq, Eq)]
pub struct CheckpointVerifier {
    origin: Origin,
    key: VerifyingKey,
}

/// Why a text is no verifier key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It is not three parts.
    #[error("a verifier key is `<origin>+<key id>+<base64>`")]
    Form,
    /// Its name is not the origin of a log. Nothing is said of what stands there: it may be somebody's secret key.
    #[error("the verifier key's name is not the origin of a log")]
    Name,
    /// Its last part is not base64, or is of another kind or length.
    #[error("the verifier key is no ed25519 key")]
    NotEd25519,
    /// It is a key of something else than a witness.
    #[error("the verifier key is no key of a witness that cosigns with ed25519")]
    NotWitness,
    /// No point, or one for which signatures prove nothing.
    #[error("the verifier key is no usable ed25519 key")]
    Weak,
    /// The id does not belong to the name and key.
    #[error("the verifier key's id is not `{expected}`, which its name and key give")]
    Id {
        /// The id that belongs to them.
        expected: String,
    },
}

impl CheckpointVerifier {
    /// The longest text form, in bytes.
    pub const TEXT_BYTES_MAX: usize = 256;

    pub(crate) const fn new(origin: Origin, key: VerifyingKey) -> Self {
        Self { origin, key }
    }

    /// Whose checkpoints it checks.
    #[must_use]
    pub const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The first four bytes of SHA-256 over name, newline, type and key.
    pub(crate) fn key_id(&self) -> [u8; 4] {
        key_id(&self.origin.to_string(), &self.key)
    }

    /// Check a signed note and read the checkpoint in it. Signatures by other keys are ignored; one of
    /// this key that is wrong refuses the note, whatever else stands under it.
    pub fn verify(&self, note: &[u8]) -> Result<SignedCheckpoint, CheckpointError> {
        SignedCheckpoint::verify(note, self)
    }

    /// Whether the key made this signature, by the strict rules: no other bytes are a signature of the
    /// same text.
    pub(crate) fn made(&self, signature: &[u8], text: &str) -> bool {
        let signature = Signature::from_slice(signature);
        signature.is_ok_and(|signature| self.key.verify_strict(text.as_bytes(), &signature).is_ok())
    }
}

impl FromStr for CheckpointVerifier {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        // Base64 may hold a `+`; neither the name nor the id can.
        let parts: Vec<&str> = text.splitn(3, '+').collect();
        let [name, id, base64] = parts[..] else {
            return Err(KeyError::Form);
        };
        let origin = name.parse().map_err(|_| KeyError::Name)?;
        let bytes = BASE64.decode(base64.as_bytes()).map_err(|_| KeyError::NotEd25519)?;
        let Some((&[ED25519], key)) = bytes.split_first_chunk() else {
            return Err(KeyError::NotEd25519);
        };
        let key = key.try_into().map_err(|_| KeyError::NotEd25519)?;
        let key = VerifyingKey::from_bytes(key).ok().filter(|key| !key.is_weak()).ok_or(KeyError::Weak)?;
        let verifier = Self { origin, key };
        let expected = HEXLOWER.encode(&verifier.key_id());
        if id == expected { Ok(verifier) } else { Err(KeyError::Id { expected }) }
    }
}

impl fmt::Display for CheckpointVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = HEXLOWER.encode(&self.key_id());
        let key = BASE64.encode(&[&[ED25519][..], self.key.as_bytes()].concat());
        write!(f, "{}+{id}+{key}", self.origin)
    }
}

impl fmt::Debug for CheckpointVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CheckpointVerifier({self})")
    }
}

fn key_id(name: &str, key: &VerifyingKey) -> [u8; 4] {
    let hash = Sha256::new().chain_update(name).chain_update([b'\n', ED25519]).chain_update(key.as_bytes()).finalize();
    [hash[0], hash[1], hash[2], hash[3]]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::verifier;

    #[track_caller]
    fn refused(text: &str, message: &str) {
        assert_eq!(text.parse::<CheckpointVerifier>().unwrap_err().to_string(), message, "{text}");
    }

    #[test]
    fn a_key_parses_as_it_is_printed() {
        let text = verifier().to_string();
        assert_eq!(text.parse::<CheckpointVerifier>().unwrap(), verifier());
        assert!(text.len() <= CheckpointVerifier::TEXT_BYTES_MAX);
    }

    #[test]
    fn every_other_text_is_refused() {
        let text = verifier().to_string();
        let (name, id_and_key) = text.split_once('+').unwrap();
        let (id, key) = id_and_key.split_once('+').unwrap();
        let form = "a verifier key is `<origin>+<key id>+<base64>`";
        refused("", form);
        refused(&format!("{name}+{id}"), form);
        refused(&format!("other+{id}+{key}"), "the verifier key's name is not the origin of a log");
        let error = "secret+0+0".parse::<CheckpointVerifier>().unwrap_err();
        assert!(std::error::Error::source(&error).is_none(), "nothing of a file is told");
        let other = format!("the verifier key's id is not `{id}`, which its name and key give");
        refused(&format!("{name}+00000000+{key}"), &other);
        refused(&format!("{name}+{}+{key}", id.to_uppercase()), &other);
        let kind = "the verifier key is no ed25519 key";
        refused(&format!("{text}="), kind);
        refused(&format!("{text}\n"), kind);
        refused(&format!("{name}+{id}+{}", BASE64.encode(&[1; 32])), kind);
        refused(&format!("{name}+{id}+{}", BASE64.encode(&[2; 33])), kind);
        // The neutral element: every signature would be "by" it.
        let mut neutral = [0; 33];
        (neutral[0], neutral[1]) = (ED25519, 1);
        refused(&format!("{name}+{id}+{}", BASE64.encode(&neutral)), "the verifier key is no usable ed25519 key");
    }

    #[test]
    fn ids_and_signatures_agree_with_the_example_of_the_standard() {
        let public = BASE64.decode(b"AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k").unwrap();
        let key = VerifyingKey::from_bytes(public[1..].try_into().unwrap()).unwrap();
        assert_eq!(HEXLOWER.encode(&key_id("example.com/foo", &key)), "530d903a");
        let note = "This is an example message.\n\n\u{2014} example.com/foo \
                    Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";
        let note = crate::note::Note::parse(note.as_bytes()).unwrap();
        let verifier = CheckpointVerifier::new(verifier().origin, key);
        assert_eq!(note.signatures[0].key_id, [0x53, 0x0d, 0x90, 0x3a]);
        assert!(verifier.made(&note.signatures[0].bytes, note.text));
        assert!(!verifier.made(&note.signatures[0].bytes, "This is another message.\n"));
    }
}
