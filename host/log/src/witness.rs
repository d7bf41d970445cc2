//! Witnesses: who else has seen a checkpoint, and found that it continues what they saw before.
//!
//! A witness's cosignature (`c2sp.org/tlog-cosignature`, `cosignature/v1`) stands under a checkpoint as one more
//! signature, with the time when it was made. Here it is checked, and the one request that a log sends to a
//! witness (`c2sp.org/tlog-witness`, `add-checkpoint`) is written and its answers are read. Nothing is sent here.
//! Cosignatures of other kinds than Ed25519 are passed over.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use data_encoding::{BASE64, HEXLOWER};
use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest as _, Sha256};

use crate::checkpoint::SignedCheckpoint;
use crate::key::KeyError;
use crate::note::{self, Note};
use crate::reference::decimal;
use crate::tree::Hash;

/// The signature type of Ed25519 cosignatures in signed notes.
const COSIGNATURE: u8 = 0x04;

/// How many bytes of the signature are the time.
const TIME_BYTES: usize = 8;

/// The longest answer of a witness that is read, in bytes: room for cosignatures of several kinds.
pub const WITNESS_ANSWER_BYTES_MAX: usize = 16 << 10;

/// The public key of a witness: `<name>+<key id, 8 hex digits>+<base64 of a four byte and the key>`.
#[derive(Clone, PartialEq, Eq)]
pub struct WitnessKey {
    name: Box<str>,
    key: VerifyingKey,
}

/// A cosignature that is good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cosignature {
    /// When the witness says that it made it, in seconds since 1970.
    pub at_s: u64,
    /// The line of the note, without its newline.
    line: String,
}

/// Why an answer of a witness is no cosignature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CosignatureError {
    /// The lines are no signature lines.
    #[error("it is no cosignature: its lines are no signatures")]
    Form,
    /// None is by the key.
    #[error("no line is a cosignature by the witness's key")]
    NotSigned,
    /// It bears the key's name and id, and is of something else.
    #[error("the cosignature is wrong: it is of another checkpoint, or by another key")]
    Bad,
}

impl WitnessKey {
    /// The longest text form, in bytes.
    pub const TEXT_BYTES_MAX: usize = 512;

    /// What the witness is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    fn key_id(&self) -> [u8; 4] {
        let hash = Sha256::new().chain_update(&*self.name).chain_update([b'\n', COSIGNATURE]);
        let hash = hash.chain_update(self.key.as_bytes()).finalize();
        [hash[0], hash[1], hash[2], hash[3]]
    }

    /// The cosignature of this witness under a checkpoint; none if there is none.
    pub fn find(&self, checkpoint: &SignedCheckpoint) -> Result<Option<Cosignature>, CosignatureError> {
        let note = Note::parse(checkpoint.note().as_bytes()).map_err(|_| CosignatureError::Form)?;
        match self.among(note.text, &note.signatures) {
            Err(CosignatureError::NotSigned) => Ok(None),
            found => found.map(Some),
        }
    }

    /// The cosignature in a witness's answer, which is one signature line or several.
    pub fn read(&self, checkpoint: &SignedCheckpoint, answer: &[u8]) -> Result<Cosignature, CosignatureError> {
        let form = CosignatureError::Form;
        if answer.len() > WITNESS_ANSWER_BYTES_MAX {
            return Err(form);
        }
        let note = Note::parse(checkpoint.note().as_bytes()).map_err(|_| form)?;
        let signed = [note.text.as_bytes(), b"\n", answer].concat();
        // What an answer may hold is what may stand under a note.
        let lines = Note::parse(&signed).ok().filter(|with| with.text == note.text).ok_or(form)?;
        self.among(note.text, &lines.signatures)
    }

    fn among(&self, text: &str, signatures: &[note::Signature<'_>]) -> Result<Cosignature, CosignatureError> {
        let key_id = self.key_id();
        let mut found = Err(CosignatureError::NotSigned);
        for signature in signatures.iter().filter(|one| one.name == self.name() && one.key_id == key_id) {
            found = Ok(self.check(text, &signature.bytes)?);
        }
        found
    }

    fn check(&self, text: &str, bytes: &[u8]) -> Result<Cosignature, CosignatureError> {
        let (time, signature) = bytes.split_first_chunk::<TIME_BYTES>().ok_or(CosignatureError::Bad)?;
        let at_s = u64::from_be_bytes(*time);
        let signature = Signature::from_slice(signature).map_err(|_| CosignatureError::Bad)?;
        let message = message(at_s, text);
        self.key.verify_strict(message.as_bytes(), &signature).map_err(|_| CosignatureError::Bad)?;
        let line = note::signature_line(self.name(), self.key_id(), bytes);
        Ok(Cosignature { at_s, line })
    }
}

/// What a witness signs.
fn message(at_s: u64, text: &str) -> String {
    format!("cosignature/v1\ntime {at_s}\n{text}")
}

impl Cosignature {
    /// The line that stands under the note.
    #[must_use]
    pub fn line(&self) -> &str {
        &self.line
    }
}

impl FromStr for WitnessKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let parts: Vec<&str> = text.splitn(3, '+').collect();
        let [name, id, base64] = parts[..] else {
            return Err(KeyError::Form);
        };
        if text.len() > Self::TEXT_BYTES_MAX || !note::is_key_name(name) || name.contains(char::is_control) {
            return Err(KeyError::Form);
        }
        let bytes = BASE64.decode(base64.as_bytes()).map_err(|_| KeyError::NotEd25519)?;
        let Some((&[COSIGNATURE], key)) = bytes.split_first_chunk() else {
            return Err(KeyError::NotWitness);
        };
        let key = key.try_into().map_err(|_| KeyError::NotEd25519)?;
        let key = VerifyingKey::from_bytes(key).ok().filter(|key| !key.is_weak()).ok_or(KeyError::Weak)?;
        let witness = Self { name: name.into(), key };
        let expected = HEXLOWER.encode(&witness.key_id());
        if id == expected { Ok(witness) } else { Err(KeyError::Id { expected }) }
    }
}

impl fmt::Display for WitnessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = HEXLOWER.encode(&self.key_id());
        let key = BASE64.encode(&[&[COSIGNATURE][..], self.key.as_bytes()].concat());
        write!(f, "{}+{id}+{key}", self.name)
    }
}

impl fmt::Debug for WitnessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WitnessKey({self})")
    }
}

/// The body of an `add-checkpoint` request: the witness has seen `old` entries, and here is the proof that the
/// checkpoint continues them.
#[must_use]
pub fn add_checkpoint(old: u64, proof: &[Hash], checkpoint: &SignedCheckpoint) -> String {
    let mut body = format!("old {old}\n");
    for hash in proof {
        // Writing to a string cannot fail.
        let _ = writeln!(body, "{hash}");
    }
    body.push('\n');
    body.push_str(checkpoint.note());
    body
}

/// The size that a witness has seen, from the body of its 409.
#[must_use]
pub fn size_of_conflict(body: &[u8]) -> Option<u64> {
    decimal(std::str::from_utf8(body).ok()?.strip_suffix('\n')?)
}

/// Signs as a witness does.
#[cfg(test)]
pub(crate) mod sign {
    use ed25519_dalek::{Signer as _, SigningKey};

    use super::{WitnessKey, message};
    use crate::note;

    /// A witness with a key.
    pub(crate) struct Witness {
        /// Its public key.
        pub(crate) key: WitnessKey,
        secret: SigningKey,
    }

    impl Witness {
        /// The witness of this name with the key of this seed.
        pub(crate) fn new(name: &str, seed: &[u8; 32]) -> Self {
            let secret = SigningKey::from_bytes(seed);
            Self { key: WitnessKey { name: name.into(), key: secret.verifying_key() }, secret }
        }

        /// The signature line, with its newline, under a checkpoint's text.
        pub(crate) fn cosign(&self, at_s: u64, text: &str) -> String {
            let signature = self.secret.sign(message(at_s, text).as_bytes()).to_bytes();
            let bytes = [&at_s.to_be_bytes()[..], &signature].concat();
            format!("{}\n", note::signature_line(self.key.name(), self.key.key_id(), &bytes))
        }
    }
}

#[cfg(test)]
#[path = "witness_tests.rs"]
mod tests;
