//! How the key of one epoch passes on to the next: a signed note by which the old key names the new one.
//!
//! ```text
//! attorn-log-succession/v1
//! <origin of the epoch that ended>
//! <its size>
//! <its root, base64>
//! <verifier key of the next epoch>
//!
//! — <origin of the epoch that ended> <base64 of key id and Ed25519 signature>
//! ```
//!
//! No checkpoint begins like that, so neither passes for the other. Whoever trusts the old key, and that nobody else
//! had it when the epoch ended, may go on with the new one. Of a key that was stolen such a note proves nothing, so
//! none is made then; that is for whoever signs to know.

use crate::checkpoint::{Checkpoint, CheckpointError, CheckpointSigner, SignedCheckpoint, signed_text};
use crate::key::{CheckpointVerifier, KeyError};

const MAGIC: &str = "attorn-log-succession/v1\n";

/// What an old key says of the one after it. Only a verifier makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Succession {
    /// Where the old key's epoch ended.
    pub ended: Checkpoint,
    /// The key of a later epoch of the same log.
    pub key: CheckpointVerifier,
}

/// Why a note is no succession that can be relied on.
#[derive(Debug, thiserror::Error)]
pub enum SuccessionError {
    /// It is not signed by the old key, or does not say where its epoch ended.
    #[error("the note that names the next key cannot be relied on")]
    Note(#[source] CheckpointError),
    /// It is something else.
    #[error("the note names no next key: it does not begin with `attorn-log-succession/v1`")]
    OtherNote,
    /// The key that it names is none.
    #[error("the next key cannot be read")]
    Key(#[source] KeyError),
    /// The key that it names is of another log, or of no later epoch.
    #[error("the next key is of `{found}`, which is no later epoch of the log")]
    NotLater {
        /// Whose it is.
        found: crate::reference::Origin,
    },
}

impl CheckpointSigner {
    /// Name the key of the next epoch, now that this one has ended with this checkpoint.
    #[must_use]
    pub fn succession(&self, ended: &SignedCheckpoint, next: &CheckpointVerifier) -> String {
        self.note(&format!("{MAGIC}{}{next}\n", ended.text()))
    }
}

impl Succession {
    /// Check that the old key signed this, and read it.
    pub fn verify(note: &[u8], old: &CheckpointVerifier) -> Result<Self, SuccessionError> {
        let text = signed_text(note, old).map_err(SuccessionError::Note)?;
        let rest = text.strip_prefix(MAGIC).ok_or(SuccessionError::OtherNote)?;
        let lines: Vec<&str> = rest.split_inclusive('\n').collect();
        let [head @ .., key] = &lines[..] else { return Err(SuccessionError::OtherNote) };
        if head.len() != 3 {
            return Err(SuccessionError::Note(CheckpointError::Lines));
        }
        let ended = Checkpoint::parse(&head.concat()).map_err(SuccessionError::Note)?;
        if ended.origin != *old.origin() {
            let (found, expected) = (ended.origin, old.origin().clone());
            return Err(SuccessionError::Note(CheckpointError::OtherOrigin { found, expected }));
        }
        let key: CheckpointVerifier = key.trim_end_matches('\n').parse().map_err(SuccessionError::Key)?;
        if key.origin().log_id != ended.origin.log_id || key.origin().epoch <= ended.origin.epoch {
            return Err(SuccessionError::NotLater { found: key.origin().clone() });
        }
        Ok(Self { ended, key })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Hash;

    fn signer(origin: &str, seed: u8) -> CheckpointSigner {
        CheckpointSigner::new(origin.parse().unwrap(), &[seed; 32])
    }

    #[test]
    fn the_old_key_names_the_next_one() {
        let (old, next) = (signer("attorn/main/1", 1), signer("attorn/main/4", 2));
        let ended = old.sign(7, Hash([9; 32]));
        let note = old.succession(&ended, &next.verifier());
        let said = Succession::verify(note.as_bytes(), &old.verifier()).unwrap();
        assert_eq!((&said.ended, &said.key), (ended.checkpoint(), &next.verifier()));
    }

    #[test]
    fn what_the_old_key_did_not_say_is_refused() {
        let (old, next) = (signer("attorn/main/2", 1), signer("attorn/main/3", 2));
        let ended = old.sign(7, Hash([9; 32]));
        let note = old.succession(&ended, &next.verifier());
        let refused = |note: &str, by: &CheckpointSigner| {
            Succession::verify(note.as_bytes(), &by.verifier()).unwrap_err().to_string()
        };
        let unsigned = "the note that names the next key cannot be relied on";
        // Another key, also one of the same name; every byte that is not what was signed.
        assert_eq!(refused(&note, &signer("attorn/main/2", 3)), unsigned);
        assert_eq!(refused(&note, &next), unsigned);
        for at in 0..note.len() {
            let mut bytes = note.clone().into_bytes();
            bytes[at] ^= 1;
            assert!(Succession::verify(&bytes, &old.verifier()).is_err(), "{at}");
        }
        // A checkpoint is none, and neither passes for the other.
        let other = "the note names no next key: it does not begin with `attorn-log-succession/v1`";
        assert_eq!(refused(ended.note(), &old), other);
        assert!(old.verifier().verify(note.as_bytes()).is_err());
        // The next key is of this log, and later.
        for origin in ["attorn/main/2", "attorn/main/1", "attorn/other/3"] {
            let note = old.succession(&ended, &signer(origin, 2).verifier());
            assert_eq!(
                refused(&note, &old),
                format!("the next key is of `{origin}`, which is no later epoch of the log")
            );
        }
        let elsewhere = signer("attorn/other/2", 1).sign(7, Hash([9; 32]));
        assert_eq!(refused(&old.succession(&elsewhere, &next.verifier()), &old), unsigned);
    }
}
