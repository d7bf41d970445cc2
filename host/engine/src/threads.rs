//! How many evaluator threads one policy may hold at a time: all of them while it is quick, and one less
//! than there are when it is slow, so that a slow policy never keeps all others waiting.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// From this mean wall time on a policy is slow, in microseconds. Below, it is gone before anybody waits.
const SLOW_US: u64 = 1_000;
/// One over the weight of the newest evaluation in the mean.
const MEAN_OF: u64 = 8;

/// The threads that one policy holds now, and how long it usually holds one.
#[derive(Debug, Default)]
pub(crate) struct Threads {
    held: AtomicU32,
    mean_us: AtomicU64,
}

impl Threads {
    /// Take a thread, if this policy may have one more. Whoever gets it gives it back by [`Self::leave`].
    pub(crate) fn enter(&self, slow_max: u32) -> bool {
        let more = |held: u32| (!self.is_slow() || held < slow_max).then(|| held.saturating_add(1));
        self.held.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).is_ok()
    }

    /// Give it back after so many microseconds, or after nothing was run. Whether somebody may have waited
    /// for it.
    pub(crate) fn leave(&self, wall_us: Option<u64>) -> bool {
        let slow = self.is_slow();
        if let Some(wall_us) = wall_us {
            // Two that leave at once may lose one of the two times; it is a mean.
            let mean_us = self.mean_us.load(Ordering::Relaxed);
            self.mean_us.store(mean_us - mean_us / MEAN_OF + wall_us / MEAN_OF, Ordering::Relaxed);
        }
        self.held.fetch_sub(1, Ordering::AcqRel);
        slow || self.is_slow()
    }

    fn is_slow(&self) -> bool {
        self.mean_us.load(Ordering::Relaxed) >= SLOW_US
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quick_policy_may_have_all_threads_and_a_slow_one_not() {
        let threads = Threads::default();
        assert!((0..4).all(|_| threads.enter(1)));
        assert!((0..4).all(|_| !threads.leave(Some(100))));
        for _ in 0..40 {
            assert!(threads.enter(1));
            threads.leave(Some(5_000));
        }
        for _ in 0..100 {
            assert!(threads.enter(1));
            threads.leave(None);
        }
        assert!(threads.enter(1) && !threads.enter(1));
        assert!(threads.leave(Some(5_000)), "somebody may wait for a slow one");
        assert!(threads.enter(1));
        threads.leave(Some(0));
        for _ in 0..40 {
            assert!(threads.enter(1));
            threads.leave(Some(10));
        }
        assert!((0..4).all(|_| threads.enter(1)), "it is quick again");
    }
}
