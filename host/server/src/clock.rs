//! The server's time. It advances by `CLOCK_BOOTTIME`, which nobody can set, so that no step of the wall clock changes
//! it; also over a stop and a start, as it is marked every few seconds from which moment of which boot it is reckoned
//! ([`mark`], [`keep`]). A wall clock that stands elsewhere makes the server not ready until both agree again, or an
//! operator accepts what the wall clock says ([`routes`]).
//!
//! After a boot only the wall clock can say how much time has passed: it is believed where it stands no earlier than
//! the server's time came to, and no more than [`STOPPED_MS_MAX`] later. Until it does, the server's time goes on from
//! where it came to, and the server is not ready.
//!
//! Nothing here decides what a step means for what was granted: time that goes forward ends things early, and where
//! it is set back, all that lived by it has ended ([`Clock::outlived`]).

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use attorn_core::{TimeMs, TimeSpan};
use attorn_store::records::ClockMarkRecord;

use wall::since_boot_ms;

mod mark;
mod wall;

pub(crate) mod keep;
pub(crate) mod routes;

pub(crate) use mark::MARKED_EVERY_MS;
pub use wall::WallClock;

/// How far the wall clock may be from the server's time before the server is not ready any more.
pub(crate) const DRIFT_MS_MAX: u64 = 5_000;

/// For how long a machine may have been off without an operator being asked whether that is so: 7 days.
pub(crate) const STOPPED_MS_MAX: u64 = 7 * 24 * 3_600 * 1_000;

/// The server's time.
#[derive(Debug)]
pub(crate) struct Clock {
    wall: WallClock,
    mark: RwLock<ClockMarkRecord>,
    /// How far ahead the wall clock is believed, as long as it has not been since the boot.
    ahead_ms_max: u64,
    /// What was recorded by batches before this version, and lives by time, has ended.
    ended_before: AtomicU64,
}

/// Both clocks at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reading {
    /// The server's time.
    pub(crate) server: TimeMs,
    /// The wall clock's.
    pub(crate) wall: TimeMs,
}

/// How the wall clock stands to the server's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stand {
    /// Close enough.
    Agrees,
    /// Later, by so many milliseconds.
    Ahead(u64),
    /// Earlier.
    Behind(u64),
}

impl Clock {
    /// Go on from what was marked, and never before the time of the last record. After a boot the wall clock is believed
    /// up to so many milliseconds ahead.
    pub(crate) fn start(
        wall: WallClock,
        marked: Option<ClockMarkRecord>,
        last_record: TimeMs,
        ahead_ms_max: u64,
    ) -> Self {
        let moment = wall.moment();
        let mark = match marked {
            Some(marked) => mark::go_on(&marked, moment, last_record),
            None => mark::first(moment, last_record),
        };
        let clock = Self { wall, mark: RwLock::new(mark), ahead_ms_max, ended_before: AtomicU64::new(0) };
        clock.settle();
        clock
    }

    /// The time now. It never goes back, unless an operator has it go back.
    pub(crate) fn now(&self) -> TimeMs {
        mark::now(&self.read(), since_boot_ms())
    }

    /// The time by which things are removed for good: the same, without what the wall clock alone said of it in the
    /// last days.
    pub(crate) fn counted(&self) -> TimeMs {
        mark::counted(&self.read(), since_boot_ms())
    }

    /// Both clocks.
    pub(crate) fn reading(&self) -> Reading {
        self.settle();
        Reading { server: self.now(), wall: self.wall.now() }
    }

    /// Where the wall clock has not been believed since the boot: believe it, if it can be right.
    fn settle(&self) {
        if self.read().settled {
            return;
        }
        let mut mark = self.mark.write().unwrap_or_else(PoisonError::into_inner);
        let (now, wall) = (mark::later(&mark, since_boot_ms()), self.wall.now());
        if !mark.settled && now.at.ms_since(wall) <= DRIFT_MS_MAX && wall.ms_since(now.at) <= self.ahead_ms_max {
            let time = wall.max(now.at);
            *mark = ClockMarkRecord { settled: true, ..mark::forward(&now, time) };
        }
    }

    /// What to mark now.
    pub(crate) fn mark(&self) -> ClockMarkRecord {
        mark::later(&self.read(), since_boot_ms())
    }

    /// What to mark where the wall clock's time is accepted, which is later. No token from before is exchanged.
    fn forward(&self, wall: TimeMs) -> ClockMarkRecord {
        ClockMarkRecord { settled: true, tokens_after: wall, ..mark::forward(&self.mark(), wall) }
    }

    /// The same where it is earlier, and the eras that come again, with those of before.
    pub(crate) fn back(&self, wall: TimeMs, earlier: &[TimeSpan]) -> (ClockMarkRecord, Vec<TimeSpan>) {
        let (mark, eras) = mark::back(&self.mark(), wall, earlier);
        (ClockMarkRecord { settled: true, ..mark }, eras)
    }

    /// Go on from this mark. Only for whoever holds `App::era`, when it is recorded.
    pub(crate) fn go_on_from(&self, mark: ClockMarkRecord) {
        *self.mark.write().unwrap_or_else(PoisonError::into_inner) = mark;
    }

    /// No token that was issued until then is exchanged; none if no step was ever accepted.
    pub(crate) fn tokens_after(&self) -> Option<TimeMs> {
        Some(self.read().tokens_after).filter(|after| *after > TimeMs(0))
    }

    /// When something was that is recorded with this time of ours. What has not come yet was recorded before time was
    /// set back, and happened before that.
    pub(crate) fn remembered(&self, at: TimeMs) -> TimeMs {
        let mark = self.read();
        if at > mark::now(&mark, since_boot_ms()) { at.min(mark.tokens_after) } else { at }
    }

    /// Time was set back by the batch of this version.
    pub(crate) fn end_before(&self, version: u64) {
        self.ended_before.fetch_max(version, Ordering::SeqCst);
    }

    /// Whether what was recorded by the batch of this version has outlived the time that it was to live by: time was
    /// set back since, and nobody can say any more when it ends.
    pub(crate) fn outlived(&self, version: u64) -> bool {
        version < self.ended_before.load(Ordering::SeqCst)
    }

    /// Whether time was ever set back.
    pub(crate) fn was_set_back(&self) -> bool {
        self.ended_before.load(Ordering::SeqCst) > 0
    }

    fn read(&self) -> RwLockReadGuard<'_, ClockMarkRecord> {
        self.mark.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reading {
    /// How the one stands to the other.
    pub(crate) fn stand(self) -> Stand {
        let (ahead_ms, behind_ms) = (self.wall.ms_since(self.server), self.server.ms_since(self.wall));
        if ahead_ms > DRIFT_MS_MAX {
            Stand::Ahead(ahead_ms)
        } else if behind_ms > DRIFT_MS_MAX {
            Stand::Behind(behind_ms)
        } else {
            Stand::Agrees
        }
    }
}

impl Stand {
    /// Why nothing is decided now, if that is so.
    pub(crate) fn problem(self) -> Option<String> {
        let (how, word, ms) = match self {
            Self::Agrees => return None,
            Self::Ahead(ms) => ("ahead of", "ahead", ms),
            Self::Behind(ms) => ("behind", "behind", ms),
        };
        Some(format!(
            "the wall clock stands {ms} ms {how} the server's time; set it right, or accept it: \
             `attorn clock accept {word} {ms}`"
        ))
    }
}

#[cfg(test)]
#[path = "clock_tests.rs"]
mod tests;
