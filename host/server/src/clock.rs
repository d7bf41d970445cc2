//! The server's time. Within a run it advances by `CLOCK_BOOTTIME`, which nobody can set, so that no step of the wall
//! clock changes it. A wall clock that stands elsewhere makes the server not ready until both agree again, or an
//! operator accepts what the wall clock says ([`routes`]).
//!
//! A start begins with the wall clock, and never before the last record: a wall clock that stands before that is one
//! that stands behind the server's time.
//!
//! Nothing here decides what a step means for what was granted: time that goes forward ends things early, and where
//! it is set back, all that lived by it has ended ([`Clock::outlived`]).

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use attorn_core::TimeMs;
use rustix::time::{ClockId, clock_gettime};

pub(crate) mod routes;

/// How far the wall clock may be from the server's time before the server is not ready any more.
pub(crate) const DRIFT_MS_MAX: u64 = 5_000;

/// The wall clock: the machine's. Tests of what happens when it steps shift what is read of it; nothing that an
/// operator can set does.
#[derive(Debug, Clone, Default)]
pub struct WallClock {
    shift_ms: Arc<AtomicI64>,
}

impl WallClock {
    /// From now on, read so many milliseconds more than the machine's clock says.
    pub fn shift_ms(&self, by: i64) {
        self.shift_ms.store(by, Ordering::SeqCst);
    }

    pub(crate) fn now(&self) -> TimeMs {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let machine_ms = u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX);
        TimeMs(machine_ms.saturating_add_signed(self.shift_ms.load(Ordering::SeqCst)))
    }
}

/// The server's time.
#[derive(Debug)]
pub(crate) struct Clock {
    wall: WallClock,
    running: RwLock<Running>,
    /// What was recorded by batches before this version, and lives by time, has ended.
    ended_before: AtomicU64,
}

/// Time from some moment on.
#[derive(Debug)]
struct Running {
    from: TimeMs,
    boot_at_from: Duration,
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
    /// Begin with what the wall clock says now, and never before this time.
    pub(crate) fn start(wall: WallClock, not_before: TimeMs) -> Self {
        let running = Running { from: wall.now().max(not_before), boot_at_from: since_boot() };
        Self { wall, running: RwLock::new(running), ended_before: AtomicU64::new(0) }
    }

    /// The time now. It never goes back, unless an operator has it go back.
    pub(crate) fn now(&self) -> TimeMs {
        self.running.read().unwrap_or_else(PoisonError::into_inner).now()
    }

    /// Both clocks.
    pub(crate) fn reading(&self) -> Reading {
        Reading { server: self.now(), wall: self.wall.now() }
    }

    /// Go on at this time. Only for whoever holds `App::era`, when it is recorded.
    pub(crate) fn go_on_at(&self, time: TimeMs) {
        let mut running = self.running.write().unwrap_or_else(PoisonError::into_inner);
        *running = Running { from: time, boot_at_from: since_boot() };
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
}

impl Running {
    fn now(&self) -> TimeMs {
        let elapsed = since_boot().saturating_sub(self.boot_at_from);
        self.from.plus_ms(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX))
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
        let (how, word) = match self {
            Self::Agrees => return None,
            Self::Ahead(ms) => (format!("{ms} ms ahead of"), "ahead"),
            Self::Behind(ms) => (format!("{ms} ms behind"), "behind"),
        };
        Some(format!(
            "the wall clock stands {how} the server's time; set it right, or accept it: `attorn clock accept {word}`"
        ))
    }
}

fn since_boot() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: u64 = 3_600_000;

    #[test]
    fn it_never_stands_before_what_it_was_told() {
        let ahead = WallClock::default().now().plus_ms(HOUR_MS);
        let clock = Clock::start(WallClock::default(), ahead);
        assert!(clock.now() >= ahead);
        assert!(matches!(clock.reading().stand(), Stand::Behind(_)));
    }

    #[test]
    fn no_step_of_the_wall_clock_changes_it() {
        let wall = WallClock::default();
        let clock = Clock::start(wall.clone(), TimeMs(0));
        let first = clock.now();
        assert_eq!(clock.reading().stand(), Stand::Agrees);
        for (shift_ms, problem) in [(3_600_000, "clock accept ahead"), (-3_600_000, "clock accept behind")] {
            wall.shift_ms(shift_ms);
            assert!(clock.reading().stand().problem().unwrap().contains(problem));
            assert!((first..first.plus_ms(HOUR_MS / 2)).contains(&clock.now()));
        }
        wall.shift_ms(0);
        assert_eq!(clock.reading().stand(), Stand::Agrees);
    }

    #[test]
    fn clocks_agree_up_to_a_limit() {
        let at = |ms: u64| Reading { server: TimeMs(100_000), wall: TimeMs(ms) }.stand();
        assert_eq!((at(95_000), at(105_000)), (Stand::Agrees, Stand::Agrees));
        assert_eq!((at(94_999), at(105_001)), (Stand::Behind(5_001), Stand::Ahead(5_001)));
    }

    #[test]
    fn what_lived_by_time_has_ended_where_time_was_set_back() {
        let clock = Clock::start(WallClock::default(), TimeMs(0));
        assert!(!clock.was_set_back() && !clock.outlived(0));
        clock.end_before(7);
        clock.end_before(3);
        assert!(clock.was_set_back() && clock.outlived(6) && !clock.outlived(7));
        clock.go_on_at(TimeMs(1_000));
        assert!(clock.now() < TimeMs(HOUR_MS));
    }
}
