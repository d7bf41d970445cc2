//! What was refused lately: to each address, and to all together.
//!
//! `governor`, which limits agents, cannot look at a bucket without taking from it; and here only what was refused
//! takes.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How many addresses are kept account of. What is refused to others still counts for all together, who are noisy long
/// before so many are.
const ADDRESSES_MAX: usize = 16_384;

/// How much is refused before it is noise.
struct Limit {
    per_s: u32,
    at_once: u32,
}

/// To one address.
const OF_ADDRESS: Limit = Limit { per_s: 20, at_once: 100 };
/// To all of them.
const OF_ALL: Limit = Limit { per_s: 200, at_once: 1_000 };

impl Limit {
    /// After how long all that may be refused at once is forgotten.
    fn forgotten_after(&self) -> Duration {
        Duration::from_secs(1) * self.at_once / self.per_s
    }

    /// When all is forgotten, with one more now. However much was refused, it is forgotten after a while.
    fn one_more(&self, forgotten_at: Instant, now: Instant) -> Instant {
        (forgotten_at.max(now) + Duration::from_secs(1) / self.per_s).min(now + 2 * self.forgotten_after())
    }

    fn is_passed(&self, forgotten_at: Instant, now: Instant) -> bool {
        forgotten_at > now + self.forgotten_after()
    }
}

/// Which addresses are noisy.
pub(super) struct Noise {
    /// Nothing was refused that is not forgotten, so nobody takes the lock.
    silence: AtomicBool,
    refused: Mutex<Refused>,
}

struct Refused {
    /// For each address, when all that was refused to it has been forgotten.
    forgotten_at: HashMap<IpAddr, Instant>,
    /// The same for all together.
    all_forgotten_at: Instant,
}

impl Noise {
    pub(super) fn new(now: Instant) -> Self {
        let refused = Mutex::new(Refused { forgotten_at: HashMap::new(), all_forgotten_at: now });
        Self { silence: AtomicBool::new(true), refused }
    }

    pub(super) fn add(&self, address: IpAddr, now: Instant) {
        let mut refused = self.lock();
        refused.all_forgotten_at = OF_ALL.one_more(refused.all_forgotten_at, now);
        let addresses = &mut refused.forgotten_at;
        if addresses.len() < ADDRESSES_MAX || addresses.contains_key(&address) {
            let at = addresses.entry(address).or_insert(now);
            *at = OF_ADDRESS.one_more(*at, now);
        }
        self.silence.store(false, Ordering::Relaxed);
    }

    pub(super) fn is_of(&self, address: IpAddr, now: Instant) -> bool {
        if self.silence.load(Ordering::Relaxed) {
            return false;
        }
        let refused = self.lock();
        OF_ALL.is_passed(refused.all_forgotten_at, now)
            || refused.forgotten_at.get(&address).is_some_and(|at| OF_ADDRESS.is_passed(*at, now))
    }

    pub(super) fn forget_idle(&self, now: Instant) {
        let mut refused = self.lock();
        refused.forgotten_at.retain(|_, at| *at > now);
        refused.forgotten_at.shrink_to_fit();
        let silence = refused.forgotten_at.is_empty() && refused.all_forgotten_at <= now;
        self.silence.store(silence, Ordering::Relaxed);
    }

    #[cfg(test)]
    pub(super) fn has(&self, address: IpAddr) -> bool {
        self.lock().forgotten_at.contains_key(&address)
    }

    fn lock(&self) -> MutexGuard<'_, Refused> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u32) -> IpAddr {
        std::net::Ipv4Addr::from_bits(n).into()
    }

    fn refuse(noise: &Noise, n: u32, times: u32, now: Instant) {
        (0..times).for_each(|_| noise.add(address(n), now));
    }

    #[test]
    fn whoever_is_refused_often_is_noisy_until_it_is_forgotten() {
        let now = Instant::now();
        let noise = Noise::new(now);
        refuse(&noise, 1, OF_ADDRESS.at_once, now);
        assert!(!noise.is_of(address(1), now));
        refuse(&noise, 1, 1, now);
        assert!(noise.is_of(address(1), now) && !noise.is_of(address(2), now));
        assert!(!noise.is_of(address(1), now + Duration::from_secs(1)));
        refuse(&noise, 1, 100_000, now);
        let forgotten = OF_ADDRESS.forgotten_after();
        assert!(noise.is_of(address(1), now + forgotten / 2) && !noise.is_of(address(1), now + forgotten));
        assert!(noise.is_of(address(2), now), "so much of one is much of all");
    }

    #[test]
    fn what_is_refused_to_many_a_little_each_makes_all_noisy() {
        let now = Instant::now();
        let noise = Noise::new(now);
        let often = |range: std::ops::Range<u32>| range.for_each(|n| refuse(&noise, n, 1, now));
        often(0..OF_ALL.at_once);
        assert!(!noise.is_of(address(0), now) && !noise.is_of(address(u32::MAX), now));
        refuse(&noise, OF_ALL.at_once, 1, now);
        assert!(noise.is_of(address(0), now) && noise.is_of(address(u32::MAX), now));
        assert!(!noise.is_of(address(u32::MAX), now + Duration::from_secs(1)));
    }

    #[test]
    fn no_more_addresses_are_kept_than_there_is_room_for_and_those_that_are_quiet_are_not_noisy_for_it() {
        let now = Instant::now();
        let noise = Noise::new(now);
        for n in 0..=u32::try_from(ADDRESSES_MAX).unwrap() {
            refuse(&noise, n, 1, now);
        }
        assert_eq!(noise.lock().forgotten_at.len(), ADDRESSES_MAX);
        // All together were noise, which is forgotten; that the table is full says nothing of anybody.
        noise.lock().all_forgotten_at = now;
        assert!(!noise.is_of(address(1), now) && !noise.is_of(address(u32::MAX), now));
        noise.forget_idle(now + Duration::from_secs(1));
        assert_eq!(noise.lock().forgotten_at.len(), 0);
        assert!(noise.silence.load(Ordering::Relaxed));
    }

    #[test]
    fn there_is_no_silence_while_all_together_are_noisy() {
        let now = Instant::now();
        let noise = Noise::new(now);
        (0..2 * OF_ALL.at_once).for_each(|n| refuse(&noise, n, 1, now));
        let later = now + Duration::from_secs(1);
        noise.forget_idle(later);
        assert_eq!(noise.lock().forgotten_at.len(), 0);
        assert!(noise.is_of(address(1), later));
    }
}
