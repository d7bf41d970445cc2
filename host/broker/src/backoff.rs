//! How long to wait before something is tried again: twice as long each time, up to a limit, and then any time within
//! that ("full jitter": `<https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter>`), so that
//! what failed together is not tried again together.

/// How long to wait, and how long at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The most that is waited after the first attempt, in milliseconds.
    pub first_ms: u64,
    /// The most that is ever waited, in milliseconds.
    pub most_ms: u64,
}

impl Backoff {
    /// The wait after so many attempts, 1 or more, out of a random number. It is 1 at least.
    #[must_use]
    pub const fn wait_ms(self, attempts: u32, random: u64) -> u64 {
        let most = self.most_after_ms(attempts);
        1 + random % most
    }

    /// The same, but half of the most at least: for pauses that are there to spare somebody.
    #[must_use]
    pub const fn pause_ms(self, attempts: u32, random: u64) -> u64 {
        let most = self.most_after_ms(attempts);
        let half = most / 2;
        half + 1 + random % (most - half)
    }

    /// The most that is waited after so many attempts.
    #[must_use]
    const fn most_after_ms(self, attempts: u32) -> u64 {
        let doublings = if attempts == 0 { 0 } else { attempts - 1 };
        // From 2^32 on it is the limit in any case.
        let factor = if doublings > 31 { 1 << 32 } else { 1_u64 << doublings };
        let grown = self.first_ms.saturating_mul(factor);
        let most = if grown < self.most_ms { grown } else { self.most_ms };
        if most == 0 { 1 } else { most }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff { first_ms: 500, most_ms: 60_000 };

    #[test]
    fn the_limit_doubles_and_then_stays() {
        for (attempts, most) in
            [(0, 500), (1, 500), (2, 1_000), (3, 2_000), (7, 32_000), (8, 60_000), (u32::MAX, 60_000)]
        {
            assert_eq!(BACKOFF.most_after_ms(attempts), most, "{attempts}");
        }
    }

    #[test]
    fn every_wait_within_the_limit_can_come_and_none_beyond() {
        assert_eq!(BACKOFF.wait_ms(1, 0), 1);
        assert_eq!(BACKOFF.wait_ms(1, 499), 500);
        assert_eq!(BACKOFF.wait_ms(1, 500), 1);
        for random in [0, 1, 12_345, u64::MAX] {
            for attempts in [0, 1, 5, 40, u32::MAX] {
                let wait = BACKOFF.wait_ms(attempts, random);
                assert!((1..=BACKOFF.most_after_ms(attempts)).contains(&wait), "{attempts} {random} {wait}");
            }
        }
        assert_eq!((BACKOFF.pause_ms(1, 0), BACKOFF.pause_ms(1, 249), BACKOFF.pause_ms(1, 250)), (251, 500, 251));
        let none = Backoff { first_ms: 0, most_ms: 0 };
        assert_eq!(none.pause_ms(3, u64::MAX), 1);
        assert_eq!(none.wait_ms(3, u64::MAX), 1);
    }
}
