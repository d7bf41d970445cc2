//! The signed head of a log: a C2SP checkpoint (`c2sp.org/tlog-checkpoint`) in a signed note.
//!
//! ```text
//! <origin>
//! <size>
//! <root, base64>
//!
//! — <origin> <base64 of key id and Ed25519 signature>
//! ```
//!
//! The name of the key is the origin, so that a checkpoint of another log or epoch never passes, not
//! even under the same key. Lines after the root are taken from others and never written. Whether a
//! checkpoint continues an earlier one is not seen here; that takes a consistency proof.

use std::fmt;

use attorn_core::ParseError;
use ed25519_dalek::{Signer as _, SigningKey};

use crate::key::CheckpointVerifier;
use crate::note::{self, Note};
use crate::reference::{Origin, decimal};
use crate::tree::Hash;
use crate::witness::Cosignature;

pub use crate::note::NoteError;

/// The head of a log's tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Of which log and epoch.
    pub origin: Origin,
    /// How many entries there are.
    pub size: u64,
    /// The root over all of them.
    pub root: Hash,
}

impl Checkpoint {
    /// What is signed.
    fn text(&self) -> String {
        let Self { origin, size, root } = self;
        format!("{origin}\n{size}\n{root}\n")
    }

    pub(crate) fn parse(text: &str) -> Result<Self, CheckpointError> {
        let lines: Vec<&str> = text.lines().collect();
        let [origin, size, root, extensions @ ..] = &lines[..] else {
            return Err(CheckpointError::Lines);
        };
        if extensions.iter().any(|line| line.is_empty()) {
            return Err(CheckpointError::Lines);
        }
        let checkpoint = Self {
            origin: origin.parse().map_err(CheckpointError::Origin)?,
            size: decimal(size).ok_or(CheckpointError::Size)?,
            root: Hash::from_base64(root).ok_or(CheckpointError::Root)?,
        };
        if checkpoint.size == 0 && checkpoint.root != Hash::EMPTY_ROOT {
            return Err(CheckpointError::EmptyRoot);
        }
        Ok(checkpoint)
    }
}

/// A checkpoint whose signature is good. Only a signer and a verifier make one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCheckpoint {
    checkpoint: Checkpoint,
    note: String,
}

/// What a note says that has the form of a checkpoint, and who signed it by what it says itself. No signature was
/// checked: it tells which key is wanted, and is believed by nobody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnverifiedCheckpoint {
    /// What it says.
    pub checkpoint: Checkpoint,
    /// The names of the keys that it says signed it, in its order.
    pub signers: Vec<String>,
}

impl UnverifiedCheckpoint {
    /// Take a note apart.
    pub fn parse(note: &[u8]) -> Result<Self, CheckpointError> {
        let Note { text, signatures } = Note::parse(note).map_err(CheckpointError::Note)?;
        let signers = signatures.iter().map(|signature| signature.name.to_owned()).collect();
        Ok(Self { checkpoint: Checkpoint::parse(text)?, signers })
    }
}

/// Why a note is no checkpoint that can be relied on.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// It is no signed note.
    #[error("the checkpoint is no signed note")]
    Note(#[source] NoteError),
    /// The key did not sign it.
    #[error("the checkpoint is not signed by `{key}`")]
    NotSigned {
        /// The key that should have.
        key: String,
    },
    /// It bears the key's name and id, but the signature is not of this text and key.
    #[error("the checkpoint's signature is wrong")]
    BadSignature,
    /// The key signed it, but it is of another log or epoch.
    #[error("the checkpoint is of `{found}`, and its key is of `{expected}`")]
    OtherOrigin {
        /// Whose it says it is.
        found: Origin,
        /// Whose key it was checked with.
        expected: Origin,
    },
    /// It has fewer than three lines, or an empty one.
    #[error("the checkpoint is not origin, size and root, one line each")]
    Lines,
    /// Its first line is no origin of ours.
    #[error("the checkpoint's origin cannot be read")]
    Origin(#[source] ParseError),
    /// Its second line is no size.
    #[error("the checkpoint's size is no whole number")]
    Size,
    /// Its third line is no hash.
    #[error("the checkpoint's root is no base64 of 32 bytes")]
    Root,
    /// It says that there are no entries, with the root of some.
    #[error("the checkpoint's root is not that of an empty tree, and its size is")]
    EmptyRoot,
}

impl SignedCheckpoint {
    /// The longest note, in bytes.
    pub const NOTE_BYTES_MAX: usize = note::NOTE_BYTES_MAX;

    pub(crate) fn verify(note: &[u8], verifier: &CheckpointVerifier) -> Result<Self, CheckpointError> {
        let checkpoint = Checkpoint::parse(signed_text(note, verifier)?)?;
        if checkpoint.origin != *verifier.origin() {
            let expected = verifier.origin().clone();
            return Err(CheckpointError::OtherOrigin { found: checkpoint.origin, expected });
        }
        // `Note::parse` has seen that it is UTF-8, so nothing is replaced.
        Ok(Self { checkpoint, note: String::from_utf8_lossy(note).into_owned() })
    }

    /// What was signed.
    #[must_use]
    pub const fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The signed note, as it is published.
    #[must_use]
    pub fn note(&self) -> &str {
        &self.note
    }

    /// What the signatures are of: origin, size and root, a line each.
    #[must_use]
    pub fn text(&self) -> String {
        self.checkpoint.text()
    }

    /// The same with a witness's cosignature under it, in place of an earlier one of the same key.
    #[must_use]
    pub fn with_cosignature(&self, cosignature: &Cosignature) -> Self {
        let of =
            |line: &str| note::Signature::parse(line).map(|signature| (signature.name.to_owned(), signature.key_id));
        let same = of(cosignature.line());
        let kept = self.note.split_inclusive('\n').filter(|line| {
            let of_line = of(line.trim_end_matches('\n'));
            of_line.is_none() || of_line != same
        });
        let note = kept.chain([cosignature.line(), "\n"]).collect();
        Self { checkpoint: self.checkpoint.clone(), note }
    }
}

/// The text of a note that this key has signed. Signatures by other keys are ignored; one of this key that is wrong
/// refuses the note.
pub(crate) fn signed_text<'a>(note: &'a [u8], verifier: &CheckpointVerifier) -> Result<&'a str, CheckpointError> {
    let parsed = Note::parse(note).map_err(CheckpointError::Note)?;
    let (name, key_id) = (verifier.origin().to_string(), verifier.key_id());
    let by_key = |signature: &&note::Signature<'_>| signature.name == name && signature.key_id == key_id;
    let mut by_key = parsed.signatures.iter().filter(by_key).peekable();
    if by_key.peek().is_none() {
        return Err(CheckpointError::NotSigned { key: verifier.to_string() });
    }
    if !by_key.all(|signature| verifier.made(&signature.bytes, parsed.text)) {
        return Err(CheckpointError::BadSignature);
    }
    Ok(parsed.text)
}

/// What signs the checkpoints of one log epoch. The key is wiped when this is dropped.
///
/// It signs whatever it is given: that no checkpoint contradicts an earlier one is its caller's duty,
/// and the one promise that a log makes.
pub struct CheckpointSigner {
    origin: Origin,
    key: SigningKey,
}

impl CheckpointSigner {
    /// The signer of this origin with the key of this seed (RFC 8032, section 5.1.5).
    #[must_use]
    pub fn new(origin: Origin, seed: &[u8; 32]) -> Self {
        Self { origin, key: SigningKey::from_bytes(seed) }
    }

    /// Sign the head of the log.
    #[must_use]
    pub fn sign(&self, size: u64, root: Hash) -> SignedCheckpoint {
        let checkpoint = Checkpoint { origin: self.origin.clone(), size, root };
        let note = self.note(&checkpoint.text());
        SignedCheckpoint { checkpoint, note }
    }

    /// A text with its signature under it.
    pub(crate) fn note(&self, text: &str) -> String {
        let signature = self.key.sign(text.as_bytes()).to_bytes();
        note::render(text, &self.origin.to_string(), self.verifier().key_id(), &signature)
    }

    /// What checks its signatures.
    #[must_use]
    pub fn verifier(&self) -> CheckpointVerifier {
        CheckpointVerifier::new(self.origin.clone(), self.key.verifying_key())
    }
}

impl fmt::Debug for CheckpointSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CheckpointSigner").field("verifier", &self.verifier()).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "checkpoint_tests.rs"]
mod tests;
