//! What the machine says: its wall clock, which anybody may set, which boot this is, and for how long it has run since,
//! which nobody can.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use attorn_core::TimeMs;
use rustix::time::{ClockId, clock_gettime};

use super::mark::Moment;

/// Where Linux says which boot this is.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// The wall clock: the machine's. Tests of what happens when it steps shift what is read of it; nothing that an
/// operator can set does.
#[derive(Debug, Clone, Default)]
pub struct WallClock {
    shift_ms: Arc<AtomicI64>,
    /// How often a test said that the machine was booted anew.
    boots: Arc<AtomicU64>,
}

impl WallClock {
    /// From now on, read so many milliseconds more than the machine's clock says.
    pub fn shift_ms(&self, by: i64) {
        self.shift_ms.store(by, Ordering::SeqCst);
    }

    /// From now on, what starts takes it that the machine was booted since.
    pub fn boot_anew(&self) {
        self.boots.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn moment(&self) -> Moment {
        let boot = match (boot_id(), self.boots.load(Ordering::SeqCst)) {
            ("", _) => String::new(),
            (boot, 0) => boot.to_owned(),
            (boot, boots) => format!("{boot}+{boots}"),
        };
        Moment { boot: boot.into(), since_boot_ms: since_boot_ms() }
    }

    pub(crate) fn now(&self) -> TimeMs {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let machine_ms = u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX);
        TimeMs(machine_ms.saturating_add_signed(self.shift_ms.load(Ordering::SeqCst)))
    }
}

/// How long the machine has run since it was booted.
pub(super) fn since_boot_ms() -> u64 {
    let time = clock_gettime(ClockId::Boottime);
    let since = Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0));
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Which boot of the machine this is; empty if nobody can say, which is then like another at each start.
fn boot_id() -> &'static str {
    static ID: OnceLock<String> = OnceLock::new();
    ID.get_or_init(|| std::fs::read_to_string(BOOT_ID).unwrap_or_default().trim().to_owned())
}
