//! How often each agent and each user may call.
//!
//! A bucket for each, filled at a steady rate, so that a flood of one costs the others nothing but the check of
//! its proofs. Only whoever proved who they are takes from a bucket: a stranger who names an agent's key spends
//! nothing of the agent's. Buckets live in memory and end with the process.

use std::fmt::Display;
use std::hash::Hash;
use std::num::NonZeroU32;

use attorn_api::ProblemCode;
use governor::clock::{Clock, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

use crate::http::failure::Failure;

/// How many seconds' worth of calls may come at once.
const BURST_S: u32 = 2;

/// How often each of a kind may call.
pub(crate) struct Rates<K: Hash + Eq + Clone, C: Clock = MonotonicClock> {
    /// What they are called.
    what: &'static str,
    /// There is one bucket for each that called lately, and only who is recorded has one.
    buckets: RateLimiter<K, HashMapStateStore<K>, C, NoOpMiddleware<C::Instant>>,
}

impl<K: Hash + Eq + Clone + Display, C: Clock> Rates<K, C> {
    /// Each may call so often in a second, and twice as often at once.
    pub(crate) fn new(what: &'static str, requests_per_s_max: NonZeroU32, clock: C) -> Self {
        let burst = requests_per_s_max.saturating_mul(NonZeroU32::MIN.saturating_add(BURST_S - 1));
        let quota = Quota::per_second(requests_per_s_max).allow_burst(burst);
        Self { what, buckets: RateLimiter::hashmap_with_clock(quota, clock) }
    }

    /// Count a call of somebody who proved who they are.
    pub(crate) fn take(&self, caller: &K) -> Result<(), Failure> {
        self.buckets.check_key(caller).map_err(|_| {
            Failure::of(ProblemCode::TooManyRequests, format!("{} `{caller}` calls too often", self.what))
                .with_help("slow down, and try again after the seconds in `Retry-After`")
        })
    }

    /// Forget the buckets that are full again.
    pub(crate) fn forget_idle(&self) {
        self.buckets.retain_recent();
        self.buckets.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use attorn_core::AgentId;
    use governor::clock::FakeRelativeClock;

    use super::*;

    #[test]
    fn a_flood_of_one_agent_leaves_the_others_alone() {
        let clock = FakeRelativeClock::default();
        let rates = Rates::new("agent", NonZeroU32::new(200).unwrap(), clock.clone());
        let (flood, quiet): (AgentId, AgentId) = ("flood".parse().unwrap(), "quiet".parse().unwrap());
        let passed = |agent: &AgentId| (0..1_000).filter(|_| rates.take(agent).is_ok()).count();
        assert_eq!(passed(&flood), 400);
        assert_eq!(rates.take(&flood).unwrap_err().problem.code, ProblemCode::TooManyRequests);
        rates.take(&quiet).unwrap();
        rates.forget_idle();
        assert_eq!(passed(&flood), 0, "what is spent was forgotten");
        clock.advance(Duration::from_secs(1));
        assert_eq!(passed(&flood), 200);
        clock.advance(Duration::from_mins(1));
        rates.forget_idle();
        assert!(rates.buckets.is_empty());
        assert_eq!(passed(&flood), 400);
    }
}
