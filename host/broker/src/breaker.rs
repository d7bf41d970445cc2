//! A breaker for each target: after some failures in a row nobody asks the target for a while, and then one asks
//! first. So a dead target costs nobody else anything.
//!
//! It knows no clock: whoever asks brings the time since some start that is always the same.

use crate::backoff::Backoff;

/// After how many failures in a row it opens.
pub const FAILURES: u32 = 3;
/// How long nobody asks.
const PAUSE: Backoff = Backoff { first_ms: 1_000, most_ms: 30_000 };

/// How a target behaves lately.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Breaker {
    /// Failures in a row.
    failures: u32,
    /// Until when nobody asks, in milliseconds.
    until_ms: u64,
    /// Whether one is asking, to see whether it goes again.
    probing: bool,
}

/// What asking is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// Ask.
    Ask,
    /// Ask, and all others wait for what comes of it.
    Probe,
    /// Nobody asks, for so many milliseconds.
    Wait(u64),
}

impl Breaker {
    /// How long a probe may take before another may ask, in milliseconds: more than any attempt takes.
    const PROBE_MS: u64 = 25_000;

    /// Whether to ask now. Whoever may ask says what came of it.
    pub const fn ask(&mut self, now_ms: u64) -> Leave {
        if self.failures < FAILURES {
            return Leave::Ask;
        }
        if now_ms < self.until_ms {
            return Leave::Wait(self.until_ms - now_ms);
        }
        // If whoever asked never says what came of it, the next does not wait for ever.
        self.probing = true;
        self.until_ms = now_ms.saturating_add(Self::PROBE_MS);
        Leave::Probe
    }

    /// For how many more milliseconds nobody asks; none if somebody may.
    #[must_use]
    pub const fn closed_for_ms(&self, now_ms: u64) -> Option<u64> {
        if self.failures >= FAILURES && now_ms < self.until_ms { Some(self.until_ms - now_ms) } else { None }
    }

    /// Whoever was given leave had nothing to ask.
    pub const fn not_asked(&mut self, now_ms: u64) {
        if self.probing {
            self.probing = false;
            self.until_ms = now_ms;
        }
    }

    /// It answered. Says whether it had not before.
    pub const fn good(&mut self) -> bool {
        let was_open = self.failures >= FAILURES;
        *self = Self { failures: 0, until_ms: 0, probing: false };
        was_open
    }

    /// It did not, or not as it should.
    pub const fn bad(&mut self, now_ms: u64, random: u64) {
        self.failures = self.failures.saturating_add(1);
        self.probing = false;
        if self.failures >= FAILURES {
            self.until_ms = now_ms.saturating_add(PAUSE.pause_ms(self.failures - FAILURES + 1, random));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_failures_in_a_row_and_lets_one_try() {
        let mut breaker = Breaker::default();
        for _ in 1..FAILURES {
            breaker.bad(0, 999);
            assert_eq!(breaker.ask(0), Leave::Ask);
        }
        breaker.bad(0, 499);
        assert_eq!(breaker.ask(0), Leave::Wait(1_000));
        assert_eq!(breaker.closed_for_ms(999), Some(1));
        assert_eq!(breaker.ask(1_000), Leave::Probe);
        assert_eq!(breaker.ask(1_000), Leave::Wait(25_000), "others wait for the one that asks");
        breaker.bad(1_500, 999);
        assert_eq!(breaker.ask(1_500), Leave::Wait(2_000), "twice as long");
        assert_eq!(breaker.ask(3_500), Leave::Probe);
        breaker.not_asked(3_500);
        assert_eq!(breaker.ask(3_500), Leave::Probe, "whoever had leave had nothing to ask");
        assert!(breaker.good() && !breaker.good());
        assert_eq!((breaker.ask(3_500), breaker.closed_for_ms(3_500)), (Leave::Ask, None));
    }

    #[test]
    fn one_that_answers_between_failures_is_asked_on() {
        let mut breaker = Breaker::default();
        for _ in 0..10 {
            breaker.bad(0, 0);
            breaker.bad(0, 0);
            breaker.good();
        }
        assert_eq!(breaker.ask(0), Leave::Ask);
    }

    #[test]
    fn who_never_says_what_came_of_it_does_not_stop_all_others_for_ever() {
        let mut breaker = Breaker::default();
        (0..FAILURES).for_each(|_| breaker.bad(0, 0));
        assert_eq!(breaker.ask(500), Leave::Wait(1));
        assert_eq!(breaker.ask(501), Leave::Probe);
        assert_eq!(breaker.ask(25_500), Leave::Wait(1));
        assert_eq!(breaker.ask(25_501), Leave::Probe);
    }
}
