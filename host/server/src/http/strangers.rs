//! How much of the server's time those take who prove nothing.
//!
//! Before a signature is checked, a good request and a bad one look alike, and checking it is what costs. So an address
//! from which much was refused lately goes through a narrow lane: few of its requests are authenticated at a time, and
//! the others wait. Nobody is refused for where they come from, so a stranger cannot shut out who shares an address
//! with them, and behind a proxy, where all do, the lane is still wide enough for all that are good.
//!
//! `governor`, which limits agents, cannot look at a bucket without taking from it; and here only what was refused
//! takes. Operators' tokens are looked up and not verified, so operators never wait here.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use attorn_api::ProblemCode;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::http::failure::Failure;
use crate::refusals::Door;

/// How much may be refused to an address in a second before it is noisy.
const REFUSED_PER_S: u32 = 20;
/// How much at once.
const REFUSED_BURST: u32 = 100;
/// How many addresses are kept account of. While there are so many that are noisy, all others count as noisy, too.
const ADDRESSES_MAX: usize = 16_384;
/// How many requests of noisy addresses may wait.
const WAITING_MAX: usize = 1_024;
/// One in so many threads may be busy with them, and always one.
const THREADS_PER_PERMIT: usize = 4;

/// Where a request came from, as its connection says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Remote(pub(crate) IpAddr);

/// Who is noisy, and the lane for them.
pub(crate) struct Strangers {
    /// For each address, when all that was refused to it has been forgotten.
    forgotten_at: Mutex<HashMap<IpAddr, Instant>>,
    /// How many there are, so that nobody takes the lock where nothing was refused.
    kept: AtomicUsize,
    lane: Semaphore,
    /// That of users: whoever waits for a provider's keys keeps no agent waiting.
    users_lane: Semaphore,
    waiting: AtomicUsize,
}

impl Strangers {
    /// Nobody is noisy yet.
    pub(crate) fn new() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
        let permits = (threads / THREADS_PER_PERMIT).max(1);
        Self {
            forgotten_at: Mutex::default(),
            kept: AtomicUsize::new(0),
            lane: Semaphore::new(permits),
            users_lane: Semaphore::new(permits),
            waiting: AtomicUsize::new(0),
        }
    }

    /// Wait until a request from this address may be authenticated: at once, unless the address is noisy. What comes
    /// of it is held meanwhile.
    pub(crate) async fn enter(&self, from: Remote, door: Door) -> Result<Option<SemaphorePermit<'_>>, Failure> {
        if !self.is_noisy(from, Instant::now()) {
            return Ok(None);
        }
        let waits = Waits::of(&self.waiting)?;
        let lane = if door == Door::User { &self.users_lane } else { &self.lane };
        let permit = lane.acquire().await.map_err(Failure::internal)?;
        drop(waits);
        Ok(Some(permit))
    }

    /// Something was refused to this address.
    pub(crate) fn refused(&self, from: Remote) {
        self.refused_at(from, Instant::now());
    }

    fn refused_at(&self, from: Remote, now: Instant) {
        let (address, mut kept) = (network(from.0), self.lock());
        if kept.len() >= ADDRESSES_MAX && !kept.contains_key(&address) {
            kept.retain(|_, at| *at > now);
        }
        if kept.len() < ADDRESSES_MAX || kept.contains_key(&address) {
            let at = kept.entry(address).or_insert(now);
            // However much was refused, it is forgotten after a while.
            *at = ((*at).max(now) + Duration::from_secs(1) / REFUSED_PER_S).min(now + 2 * burst());
        }
        self.kept.store(kept.len(), Ordering::Relaxed);
    }

    fn is_noisy(&self, from: Remote, now: Instant) -> bool {
        if self.kept.load(Ordering::Relaxed) == 0 {
            return false;
        }
        let kept = self.lock();
        match kept.get(&network(from.0)) {
            Some(at) => *at > now + burst(),
            None => kept.len() >= ADDRESSES_MAX,
        }
    }

    /// Forget the addresses that are quiet.
    pub(crate) fn forget_idle(&self) {
        let mut kept = self.lock();
        let now = Instant::now();
        kept.retain(|_, at| *at > now);
        kept.shrink_to_fit();
        self.kept.store(kept.len(), Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, Instant>> {
        self.forgotten_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// After how long a whole burst is forgotten.
fn burst() -> Duration {
    Duration::from_secs(1) * REFUSED_BURST / REFUSED_PER_S
}

/// Whoever has an address of version 6 has all 2^64 of its network.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(six) => Ipv6Addr::from_bits(six.to_bits() >> 64 << 64).into(),
        four @ IpAddr::V4(_) => four,
    }
}

/// A request that waits.
struct Waits<'a>(&'a AtomicUsize);

impl<'a> Waits<'a> {
    fn of(waiting: &'a AtomicUsize) -> Result<Self, Failure> {
        let waits = Self(waiting);
        if waiting.fetch_add(1, Ordering::SeqCst) < WAITING_MAX {
            return Ok(waits);
        }
        Err(Failure::of(ProblemCode::Busy, "too much that is refused comes from this address; nothing was decided"))
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(text: &str) -> Remote {
        Remote(text.parse().unwrap())
    }

    fn refuse(strangers: &Strangers, remote: Remote, times: u32, now: Instant) {
        (0..times).for_each(|_| strangers.refused_at(remote, now));
    }

    #[test]
    fn whoever_is_refused_often_is_noisy_until_it_is_forgotten() {
        let (strangers, now) = (Strangers::new(), Instant::now());
        let (noisy, quiet) = (from("192.0.2.1"), from("192.0.2.2"));
        refuse(&strangers, noisy, REFUSED_BURST, now);
        assert!(!strangers.is_noisy(noisy, now));
        refuse(&strangers, noisy, 1, now);
        assert!(strangers.is_noisy(noisy, now) && !strangers.is_noisy(quiet, now));
        assert!(!strangers.is_noisy(noisy, now + Duration::from_secs(1)));
        refuse(&strangers, noisy, 1_000_000, now);
        assert!(strangers.is_noisy(noisy, now + burst() / 2) && !strangers.is_noisy(noisy, now + burst()));
    }

    #[test]
    fn a_network_of_version_6_is_one_address() {
        let (strangers, now) = (Strangers::new(), Instant::now());
        for host in 0..=REFUSED_BURST {
            refuse(&strangers, from(&format!("2001:db8:1:2::{host:x}")), 1, now);
        }
        assert!(strangers.is_noisy(from("2001:db8:1:2:ffff::1"), now));
        assert!(!strangers.is_noisy(from("2001:db8:1:3::1"), now));
        refuse(&strangers, from("::ffff:192.0.2.1"), REFUSED_BURST + 1, now);
        assert!(strangers.is_noisy(from("192.0.2.1"), now));
    }

    #[test]
    fn more_addresses_than_are_kept_are_all_noisy_while_they_last() {
        let (strangers, now) = (Strangers::new(), Instant::now());
        for address in 0..u32::try_from(ADDRESSES_MAX).unwrap() {
            refuse(&strangers, Remote(std::net::Ipv4Addr::from_bits(address).into()), 1, now);
        }
        let newcomer = from("192.0.2.1");
        assert!(strangers.is_noisy(newcomer, now));
        refuse(&strangers, newcomer, 1, now);
        assert_eq!(strangers.lock().len(), ADDRESSES_MAX);
        refuse(&strangers, newcomer, 1, now + Duration::from_secs(1));
        assert_eq!(strangers.lock().len(), 1);
        assert!(!strangers.is_noisy(newcomer, now + Duration::from_secs(1)));
    }

    #[tokio::test]
    async fn the_noisy_wait_for_each_other_and_nobody_waits_for_them() {
        let strangers = Strangers::new();
        let (noisy, quiet) = (from("192.0.2.1"), from("192.0.2.2"));
        refuse(&strangers, noisy, 1_000, Instant::now());
        let all = u32::try_from(strangers.lane.available_permits()).unwrap();
        let taken = strangers.lane.acquire_many(all).await.unwrap();
        assert!(strangers.enter(quiet, Door::Agent).await.unwrap().is_none());
        assert!(strangers.enter(noisy, Door::User).await.unwrap().is_some());
        let mut waiting: Vec<_> = (0..WAITING_MAX).map(|_| Box::pin(strangers.enter(noisy, Door::Agent))).collect();
        for entering in &mut waiting {
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(entering.as_mut().poll(&mut context).is_pending());
        }
        let refused = strangers.enter(noisy, Door::Agent).await.unwrap_err();
        assert_eq!(refused.problem.code, ProblemCode::Busy);
        drop(taken);
        assert!(waiting.remove(0).await.unwrap().is_some());
        drop(waiting);
        assert!(strangers.enter(noisy, Door::Agent).await.unwrap().is_some());
        assert_eq!(strangers.waiting.load(Ordering::SeqCst), 0);
    }
}
