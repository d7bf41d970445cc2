//! Time as the domain knows it: a number that somebody else read from a clock.

use std::fmt;

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TimeMs(pub u64);

impl TimeMs {
    /// This time and some milliseconds more; the end of time if there are too many.
    #[must_use]
    pub const fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// How many milliseconds `self` is after `earlier`; 0 if it is not.
    #[must_use]
    pub const fn ms_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// From one time until another, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeSpan {
    /// The first.
    pub from: TimeMs,
    /// The last.
    pub until: TimeMs,
}

impl TimeSpan {
    /// Whether a time is one of them.
    #[must_use]
    pub fn contains(self, time: TimeMs) -> bool {
        self.from <= time && time <= self.until
    }

    /// How long it is, in milliseconds.
    #[must_use]
    pub const fn ms(self) -> u64 {
        self.until.ms_since(self.from)
    }
}

impl fmt::Display for TimeMs {
    /// RFC 3339 in UTC: `2026-01-02T03:04:05.678Z`; beyond the year 9999, the bare number and `ms`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let timestamp = i64::try_from(self.0).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
        match timestamp {
            Some(timestamp) => write!(f, "{timestamp:.3}"),
            None => write!(f, "{}ms", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_rfc_3339() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_799_999, "2000-02-29T23:59:59.999Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"),
            (1_767_323_045_678, "2026-01-02T03:04:05.678Z"),
            (4_107_542_399_000, "2100-02-28T23:59:59.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (u64::MAX, "18446744073709551615ms"),
        ] {
            assert_eq!(TimeMs(ms).to_string(), text);
        }
    }

    #[test]
    fn sums_do_not_wrap() {
        assert_eq!(TimeMs(u64::MAX).plus_ms(1), TimeMs(u64::MAX));
        assert_eq!(TimeMs(1).ms_since(TimeMs(2)), 0);
    }
}
