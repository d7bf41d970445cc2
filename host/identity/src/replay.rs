//! Every proof is accepted once.
//!
//! The guard remembers each accepted proof for longer than a proof can live, within bounds: when they
//! are reached it refuses further proofs rather than forget one. It is in memory only, because proofs
//! with another run's nonce are refused before they get here.

use attorn_core::{KeyThumbprint, TimeMs};

use crate::proof::{CLOCK_SKEW_MS_MAX, PROOF_AGE_MS_MAX, ProofError, VerifiedProof, check_age};
use crate::random::NoRandomness;

mod memory;

pub(crate) use memory::{Memory, Refused};

/// How long each accepted proof is remembered at least, in milliseconds. A proof lives from its `iat`
/// less one skew to its `iat` plus its age and another skew, both ends included; this is a second more.
pub const REMEMBERED_MS_MIN: u64 = PROOF_AGE_MS_MAX + 2 * CLOCK_SKEW_MS_MAX + 1000;

/// How many proofs are remembered at most. Each takes up to 40 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplayLimits {
    /// Of one key.
    pub proofs_per_key_max: usize,
    /// Of all keys.
    pub proofs_max: usize,
}

impl Default for ReplayLimits {
    fn default() -> Self {
        Self { proofs_per_key_max: 1_000_000, proofs_max: 4_000_000 }
    }
}

/// A proof that nobody brought before. Only [`ReplayGuard::accept`] makes one.
#[derive(Debug)]
pub struct AcceptedProof(VerifiedProof);

impl AcceptedProof {
    /// The proof.
    #[must_use]
    pub const fn proof(&self) -> &VerifiedProof {
        &self.0
    }

    /// The thumbprint of the key that the caller proved to hold.
    #[must_use]
    pub fn thumbprint(&self) -> &KeyThumbprint {
        self.0.thumbprint()
    }
}

/// Remembers the proofs that were accepted.
pub struct ReplayGuard(Memory);

impl ReplayGuard {
    /// A guard that remembers nothing yet. There may be only one for all that share their
    /// [`crate::Nonces`].
    ///
    /// # Errors
    ///
    /// [`NoRandomness`]
    pub fn new(limits: ReplayLimits) -> Result<Self, NoRandomness> {
        Memory::new(limits, REMEMBERED_MS_MIN).map(Self)
    }

    /// Accept a proof, unless it was accepted before.
    ///
    /// # Errors
    ///
    /// [`ProofError::Replayed`]; [`ProofError::Expired`] if it got too old since it was verified;
    /// [`ProofError::TooManyProofs`] if it cannot be remembered.
    pub fn accept(&self, proof: VerifiedProof, now: TimeMs) -> Result<AcceptedProof, ProofError> {
        let fresh = |now| check_age(proof.issued_at(), now);
        match self.0.accept(proof.thumbprint(), proof.jti(), now, fresh) {
            Ok(()) => Ok(AcceptedProof(proof)),
            Err(Refused::NotFresh(error)) => Err(error),
            Err(Refused::Seen) => Err(ProofError::Replayed),
            Err(Refused::Full) => Err(ProofError::TooManyProofs),
        }
    }

    /// Begin anew, because time is set back. All that was accepted has nonces that nobody knows any more
    /// ([`crate::Nonces::renew`]), which the caller sees to.
    pub fn forget_all(&self) {
        self.0.forget_all();
    }

    /// Forget all proofs that cannot come again. Calling this is never needed; doing it once in a
    /// while gives back the memory of keys that are not used any more.
    pub fn forget_expired(&self, now: TimeMs) {
        self.0.forget_expired(now);
    }
}

#[cfg(test)]
#[path = "replay_tests.rs"]
mod tests;
