//! A memory of what was accepted lately, bounded, in which nothing is forgotten too early.

use std::collections::{HashMap, HashSet};
use std::mem;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use attorn_core::{KeyThumbprint, TimeMs};
use zeroize::Zeroizing;

use super::ReplayLimits;
use crate::random::{NoRandomness, random};

const SHARDS: usize = 64;

/// Why something is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused<E> {
    /// It is not fresh any more, or not yet.
    NotFresh(E),
    /// It was accepted before.
    Seen,
    /// It could not be remembered.
    Full,
}

/// Remembers ids by the key that signed them, each for a stated time at least.
pub(crate) struct Memory {
    limits: ReplayLimits,
    remembered_ms_min: u64,
    hash_key: Zeroizing<[u8; 32]>,
    /// What a key signed is all in one shard, so that it can be counted.
    shards: [Mutex<Shard>; SHARDS],
    /// Over all shards.
    remembered: AtomicUsize,
}

impl Memory {
    /// A memory of nothing yet. What is accepted has to be dead for good after `remembered_ms_min`.
    pub(crate) fn new(limits: ReplayLimits, remembered_ms_min: u64) -> Result<Self, NoRandomness> {
        Ok(Self {
            limits,
            remembered_ms_min,
            hash_key: random()?,
            shards: std::array::from_fn(|_| Mutex::new(Shard::new())),
            remembered: AtomicUsize::new(0),
        })
    }

    /// Accept what this key signed under this id, unless it was accepted before. `fresh` says whether it
    /// is fresh at a time.
    pub(crate) fn accept<E>(
        &self,
        key: &KeyThumbprint,
        jti: &str,
        now: TimeMs,
        fresh: impl Fn(TimeMs) -> Result<(), E>,
    ) -> Result<(), Refused<E>> {
        let seen = self.seen(jti);
        if self.remember((key, seen), now, &fresh)? == Remembered::Now {
            return Ok(());
        }
        // Shards that are not used do not notice that what they remember has expired.
        self.forget_expired(now);
        match self.remember((key, seen), now, &fresh)? {
            Remembered::Now => Ok(()),
            Remembered::NoRoom => Err(Refused::Full),
        }
    }

    /// Forget all that cannot come again.
    pub(crate) fn forget_expired(&self, now: TimeMs) {
        for shard in self.shards.iter().filter_map(|shard| shard.lock().ok()) {
            let mut shard = shard;
            self.forgotten(shard.advance(now, self.remembered_ms_min));
        }
    }

    /// Begin anew, at whatever time. For whoever sees to it that nothing that was accepted until now is fresh again.
    pub(crate) fn forget_all(&self) {
        // A shard whose lock is poisoned accepts nothing anyway.
        for mut shard in self.shards.iter().filter_map(|shard| shard.lock().ok()) {
            let Shard { current, previous, .. } = mem::replace(&mut *shard, Shard::new());
            self.forgotten(ids_in(&current) + ids_in(&previous));
        }
    }

    /// How much is remembered.
    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.remembered.load(Ordering::Relaxed)
    }

    fn remember<E>(
        &self,
        (key, seen): (&KeyThumbprint, Seen),
        now: TimeMs,
        fresh: impl Fn(TimeMs) -> Result<(), E>,
    ) -> Result<Remembered, Refused<E>> {
        // A shard whose lock is poisoned may have lost something, so it accepts nothing any more.
        let mut shard = self.shards[shard_of(key)].lock().map_err(|_| Refused::Full)?;
        self.forgotten(shard.advance(now, self.remembered_ms_min));
        // INVARIANT: it is fresh by the shard's own clock, by which things are forgotten. The caller may
        // have verified it long ago, or read its clock before others who are done.
        fresh(shard.now).map_err(Refused::NotFresh)?;
        if shard.has(key, &seen) {
            return Err(Refused::Seen);
        }
        if shard.count(key) >= self.limits.proofs_per_key_max {
            return Err(Refused::Full);
        }
        if self.remembered.fetch_add(1, Ordering::Relaxed) >= self.limits.proofs_max {
            self.forgotten(1);
            return Ok(Remembered::NoRoom);
        }
        shard.current.entry(key.clone()).or_default().insert(seen);
        Ok(Remembered::Now)
    }

    fn forgotten(&self, count: usize) {
        self.remembered.fetch_sub(count, Ordering::Relaxed);
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

/// Part of a keyed hash of a `jti`. The key is the memory's own, so nobody can look for collisions.
type Seen = [u8; 16];

type Generation = HashMap<KeyThumbprint, HashSet<Seen>>;

/// What is remembered of the keys that fall into one shard, in two generations. When the current one
/// is old enough it becomes the previous one, and what was the previous one is forgotten. So each
/// id is remembered for the memory's time at least, and for three times that while the shard is used.
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

    /// Move on to `now`; how many ids were forgotten on the way.
    fn advance(&mut self, now: TimeMs, remembered_ms_min: u64) -> usize {
        self.now = self.now.max(now);
        let current_ms = self.now.ms_since(self.current_since);
        if current_ms < remembered_ms_min {
            return 0;
        }
        self.current_since = self.now;
        let mut forgotten = ids_in(&mem::replace(&mut self.previous, mem::take(&mut self.current)));
        // Everything in the current generation came within its first `remembered_ms_min`.
        if current_ms >= 2 * remembered_ms_min {
            forgotten += ids_in(&mem::take(&mut self.previous));
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

fn ids_in(generation: &Generation) -> usize {
    generation.values().map(HashSet::len).sum()
}

fn shard_of(key: &KeyThumbprint) -> usize {
    key.as_str().bytes().map(usize::from).sum::<usize>() % SHARDS
}
