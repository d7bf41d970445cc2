//! How much of the server's time those take who prove nothing.
//!
//! Before a signature is checked, a good request and a bad one look alike, and checking it is what costs. So an address
//! from which much was refused lately ([`noise`]) goes through a narrow lane ([`lane`]): few of its requests are
//! authenticated at a time, and the others wait. While much is refused to all addresses together, every address goes
//! through it. Whoever was let in lately from the same address by the same key does not ([`known`]), so behind a proxy,
//! where all have one address, a stranger keeps no agent waiting. One who knows the key's thumbprint and comes by that
//! takes the agent's pass from nobody: under such a name all go one by one, beside the lane of strangers.
//!
//! Nobody is refused for where they come from. Handshakes of noisy addresses are done by threads of their own, as few as
//! the lane is wide: a handshake waits for its client most of the time, and whoever waits holds no thread.
//!
//! Operators' tokens are looked up and not verified, so operators never wait here.

mod known;
mod lane;
mod noise;

use std::future::Future;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Instant;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::{OwnedSemaphorePermit, SemaphorePermit};
use tokio::task::JoinSet;

pub(crate) use known::claimed;

use crate::http::failure::Failure;
use known::{Known, Way};
use lane::Lane;
use noise::Noise;

/// One in so many threads may be busy with noisy addresses, and always one.
const THREADS_PER_PERMIT: usize = 4;

/// Where a request came from, as its connection says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Remote(pub(crate) IpAddr);

/// The right to be authenticated now, for as long as it is held.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    _in_lane: SemaphorePermit<'a>,
    /// Of those that come by the same name.
    _of_name: Option<OwnedSemaphorePermit>,
}

/// Who is noisy, who is known, and the lanes.
pub(crate) struct Strangers {
    noise: Noise,
    known: Known,
    agents: Lane,
    /// Agents whose names somebody else seems to use, one of each name at a time.
    disputed: Lane,
    /// Users and their providers: whoever has much verified there keeps no agent waiting.
    users: Lane,
    /// Where noisy addresses' handshakes are done. There is one until the end.
    handshakes: Option<Runtime>,
}

impl Strangers {
    /// Nobody is noisy yet.
    pub(crate) fn new() -> std::io::Result<Self> {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
        let permits = (threads / THREADS_PER_PERMIT).max(1);
        let mut handshakes = Builder::new_multi_thread();
        handshakes.worker_threads(permits).thread_name("handshakes").enable_time();
        Ok(Self {
            noise: Noise::new(Instant::now()),
            known: Known::default(),
            agents: Lane::new(permits),
            disputed: Lane::new(permits),
            users: Lane::new(permits),
            handshakes: Some(handshakes.build()?),
        })
    }

    /// Wait until an agent's or a resource server's request from this address may be authenticated: at once, unless
    /// the address is noisy and whoever the request claims to be was not let in from there lately. What comes of it is
    /// held meanwhile.
    pub(crate) async fn enter(
        &self,
        from: Remote,
        claimed: impl FnOnce() -> Option<String>,
    ) -> Result<Option<Turn<'_>>, Failure> {
        let (address, now) = (network(from.0), Instant::now());
        if !self.noise.is_of(address, now) {
            return Ok(None);
        }
        match claimed().and_then(|name| self.known.way(address, name, now)) {
            Some(Way::Free) => Ok(None),
            Some(Way::InTurn(turn)) => {
                let of_name = turn.acquire_owned().await.map_err(Failure::internal)?;
                Ok(Some(Turn { _in_lane: self.disputed.enter(address).await?, _of_name: Some(of_name) }))
            }
            None => Ok(Some(Turn { _in_lane: self.agents.enter(address).await?, _of_name: None })),
        }
    }

    /// Wait until a token of a user or a provider from this address may be verified.
    pub(crate) async fn enter_as_user(&self, from: Remote) -> Result<Option<SemaphorePermit<'_>>, Failure> {
        let address = network(from.0);
        if !self.noise.is_of(address, Instant::now()) {
            return Ok(None);
        }
        self.users.enter(address).await.map(Some)
    }

    /// Do a handshake with this address. What it comes to is awaited here, wherever it is done; none if the server
    /// stops.
    pub(crate) async fn handshake<T: Send + 'static>(
        &self,
        from: Remote,
        handshake: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        match &self.handshakes {
            Some(threads) if self.noise.is_of(network(from.0), Instant::now()) => {
                // It ends when nobody waits for it any more.
                let mut one = JoinSet::new();
                one.spawn_on(handshake, threads.handle());
                one.join_next().await?.ok()
            }
            _ => Some(handshake.await),
        }
    }

    /// Something was refused to this address. By what name it came is no more than a claim, which takes nothing from
    /// whoever has that name.
    pub(crate) fn refused(&self, from: Remote, claimed: Option<String>) {
        let (address, now) = (network(from.0), Instant::now());
        self.noise.add(address, now);
        if let Some(name) = claimed {
            self.known.dispute(address, name, now);
        }
    }

    /// Somebody proved from this address that they are who they claimed to be.
    pub(crate) fn let_in(&self, from: Remote, name: String) {
        self.known.add(network(from.0), name, Instant::now());
    }

    /// How many requests have come into the lane of agents, and how many into that of users.
    pub(crate) fn entered(&self) -> [u64; 2] {
        [self.agents.entered() + self.disputed.entered(), self.users.entered()]
    }

    /// Whether anything was refused to this address that is not forgotten.
    #[cfg(test)]
    pub(crate) fn has_heard_of(&self, from: Remote) -> bool {
        self.noise.has(network(from.0))
    }

    /// Forget the addresses that are quiet, and whoever was not there lately.
    pub(crate) fn forget_idle(&self) {
        let now = Instant::now();
        self.noise.forget_idle(now);
        self.known.forget_idle(now);
    }
}

impl Drop for Strangers {
    fn drop(&mut self) {
        // Nobody waits for strangers at the end.
        if let Some(threads) = self.handshakes.take() {
            threads.shutdown_background();
        }
    }
}

/// Whoever has an address of version 6 has all 2^64 of its network.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(six) => Ipv6Addr::from_bits(six.to_bits() >> 64 << 64).into(),
        four @ IpAddr::V4(_) => four,
    }
}

#[cfg(test)]
#[path = "strangers_tests.rs"]
mod tests;
