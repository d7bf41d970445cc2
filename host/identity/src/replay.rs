//! Every proof is accepted once.
//!
//! The guard remembers each accepted proof for longer than a proof can live, within bounds: when they
//! are reached it refuses further proofs rather than forget one. It is in memory only, because proofs
//! with another run's nonce are refused before they get here.

use std::collections::{HashMap, HashSet};
use std::mem;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use attorn_core::{KeyThumbprint, TimeMs};
use zeroize::Zeroizing;

use crate::proof::{CLOCK_SKEW_MS_MAX, PROOF_AGE_MS_MAX, ProofError, VerifiedProof, check_age};
use crate::random::{NoRandomness, random};

/// How long each accepted proof is remembered at least, in milliseconds. A proof lives from its `iat`
/// less one skew to its `iat` plus its age and another skew, both ends included; this is a second more.
pub const REMEMBERED_MS_MIN: u64 = PROOF_AGE_MS_MAX + 2 * CLOCK_SKEW_MS_MAX + 1000;

const SHARDS: usize = 64;

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
pub struct ReplayGuard {
    limits: ReplayLimits,
    hash_key: Zeroizing<[u8; 32]>,
    /// A key's proofs are all in one shard, so that they can be counted.
    shards: [Mutex<Shard>; SHARDS],
    /// Over all shards.
    remembered: AtomicUsize,
}

impl ReplayGuard {
    /// A guard that remembers nothing yet. There may be only one for all that share their
    /// [`crate::Nonces`].
    pub fn new(limits: ReplayLimits) -> Result<Self, NoRandomness> {
        Ok(Self {
            limits,
            hash_key: random()?,
            shards: std::array::from_fn(|_| Mutex::new(Shard::new())),
            remembered: AtomicUsize::new(0),
        })
    }

    /// Accept a proof, unless it was accepted before.
    ///
    /// # Errors
    ///
    /// [`ProofError::Replayed`]; [`ProofError::Expired`] if it got too old since it was verified;
    /// [`ProofError::TooManyProofs`] if it cannot be remembered.
    pub fn accept(&self, proof: VerifiedProof, now: TimeMs) -> Result<AcceptedProof, ProofError> {
        let seen = self.seen(proof.jti());
        let mut remembered = self.remember(&proof, seen, now)?;
        if remembered == Remembered::NoRoom {
            // Shards that are not used do not notice that their proofs have expired.
            self.forget_expired(now);
            remembered = self.remember(&proof, seen, now)?;
        }
        match remembered {
            Remembered::Now => Ok(AcceptedProof(proof)),
            Remembered::NoRoom => Err(ProofError::TooManyProofs),
        }
    }

    /// Forget all proofs that cannot come again. Calling this is never needed; doing it once in a
    /// while gives back the memory of keys that are not used any more.
    pub fn forget_expired(&self, now: TimeMs) {
        for shard in self.shards.iter().filter_map(|shard| shard.lock().ok()) {
            let mut shard = shard;
            self.forgotten(shard.advance(now));
        }
    }

    fn remember(&self, proof: &VerifiedProof, seen: Seen, now: TimeMs) -> Result<Remembered, ProofError> {
        // A shard whose lock is poisoned may have lost a proof, so it accepts none any more.
        let shard = &self.shards[shard_of(proof.thumbprint())];
        let mut shard = shard.lock().map_err(|_| ProofError::TooManyProofs)?;
        self.forgotten(shard.advance(now));
        // INVARIANT: the proof is fresh by the shard's own clock, by which proofs are forgotten. The
        // caller may have verified it long ago, or read its clock before others who are done.
        check_age(proof.issued_at(), shard.now)?;
        if shard.has(proof.thumbprint(), &seen) {
            return Err(ProofError::Replayed);
        }
        if shard.count(proof.thumbprint()) >= self.limits.proofs_per_key_max {
            return Err(ProofError::TooManyProofs);
        }
        if self.remembered.fetch_add(1, Ordering::Relaxed) >= self.limits.proofs_max {
            self.forgotten(1);
            return Ok(Remembered::NoRoom);
        }
        shard.current.entry(proof.thumbprint().clone()).or_default().insert(seen);
        Ok(Remembered::Now)
    }

    fn forgotten(&self, proofs: usize) {
        self.remembered.fetch_sub(proofs, Ordering::Relaxed);
    }

    fn seen(&self, jti: &str) -> Seen {
        let hash = blake3::keyed_hash(&self.hash_key, jti.as_bytes());
        let mut seen = Seen::default();
        seen.copy_from_slice(&hash.as_bytes()[..size_of::<Seen>()]);
        seen
    }
}

#[derive(PartialEq, Eq)]
enum Remembered {
    Now,
    NoRoom,
}

/// Part of a keyed hash of a `jti`. The key is the guard's own, so nobody can look for collisions.
type Seen = [u8; 16];

type Generation = HashMap<KeyThumbprint, HashSet<Seen>>;

/// What is remembered of the keys that fall into one shard, in two generations. When the current one
/// is old enough it becomes the previous one, and what was the previous one is forgotten. So each
/// proof is remembered for [`REMEMBERED_MS_MIN`] at least, and for three times that while the shard is
/// used.
struct Shard {
    /// The latest time that was seen here: time never goes back for a shard.
    now: TimeMs,
    current_since: TimeMs,
    current: Generation,
    previous: Generation,
}

impl Shard {
    fn new() -> Self {
        let beginning = TimeMs(0);
        Self { now: beginning, current_since: beginning, current: Generation::new(), previous: Generation::new() }
    }

    /// Move on to `now`; how many proofs were forgotten on the way.
    fn advance(&mut self, now: TimeMs) -> usize {
        self.now = self.now.max(now);
        let current_ms = self.now.ms_since(self.current_since);
        if current_ms < REMEMBERED_MS_MIN {
            return 0;
        }
        self.current_since = self.now;
        let mut forgotten = proofs_in(&mem::replace(&mut self.previous, mem::take(&mut self.current)));
        // Everything in the current generation came within its first REMEMBERED_MS_MIN.
        if current_ms >= 2 * REMEMBERED_MS_MIN {
            forgotten += proofs_in(&mem::take(&mut self.previous));
        }
        forgotten
    }

    fn has(&self, key: &KeyThumbprint, seen: &Seen) -> bool {
        [&self.current, &self.previous]
            .into_iter()
            .filter_map(|generation| generation.get(key))
            .any(|s| s.contains(seen))
    }

    fn count(&self, key: &KeyThumbprint) -> usize {
        [&self.current, &self.previous].into_iter().filter_map(|generation| generation.get(key)).map(HashSet::len).sum()
    }
}

fn proofs_in(generation: &Generation) -> usize {
    generation.values().map(HashSet::len).sum()
}

fn shard_of(key: &KeyThumbprint) -> usize {
    key.as_str().bytes().map(usize::from).sum::<usize>() % SHARDS
}

#[cfg(test)]
#[path = "replay_tests.rs"]
mod tests;
