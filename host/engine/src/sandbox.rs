//! One evaluation's own world: what it may use, what it has used, and why it stopped.
//!
//! A sandbox is made fresh and dropped whole. Nothing in it outlives it but what it wrote to its log
//! and what it answered.

use std::time::{Duration, Instant};

use attorn_core::{Failure, PolicyLimits};
use wasmtime::{PoolConcurrencyLimitError, Store, Trap, UpdateDeadline};

use crate::evaluation::Usage;
use crate::log::{LogBuffer, LogLine};
use crate::meter::Meter;
use crate::stopwatch::{Reading, Stopwatch};
use crate::text;

/// The most bytes of what is said about a failure.
const DETAIL_BYTES_MAX: usize = 1_024;
/// How long the host may take to read a sandbox's memories.
const READING_WALL_MAX: Duration = Duration::from_secs(30);
/// More fuel than any evaluation uses up within its time.
const FUEL_MAX: u64 = u64::MAX / 2;
/// Handles of resources that a policy may hold. It has no use for any.
const HANDLES_MAX: usize = 1_024;

/// What the host holds for a running policy.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) log: LogBuffer,
    meter: Meter,
    stopwatch: Stopwatch,
    expired: bool,
    fuel_of_init: Option<u64>,
}

/// A failure, and what to tell operators about it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failed {
    pub(crate) failure: Failure,
    pub(crate) detail: String,
}

impl Failed {
    pub(crate) fn new(failure: Failure, detail: &str) -> Self {
        Self { failure, detail: text::bounded(detail, DETAIL_BYTES_MAX) }
    }
}

/// A fresh sandbox.
pub(crate) struct Sandbox {
    pub(crate) store: Store<Held>,
}

impl Sandbox {
    /// Made on the thread that runs it, and its time starts now.
    pub(crate) fn new(runtime: &wasmtime::Engine, limits: &PolicyLimits, deadline: Instant) -> Self {
        let held = Held {
            log: LogBuffer::new(limits.log_bytes_max),
            meter: Meter::new(limits),
            stopwatch: Stopwatch::start(limits, deadline),
            expired: false,
            fuel_of_init: None,
        };
        let mut store = Store::new(runtime, held);
        store.limiter(|held| &mut held.meter);
        // Each call between policy and host starts with this anew. It is taken before anything is
        // allocated for what the policy hands over.
        store.set_hostcall_fuel(usize::try_from(limits.output_bytes_max).unwrap_or(usize::MAX));
        store.set_max_component_handles(HANDLES_MAX);
        store.epoch_deadline_callback(|mut store| {
            let held = store.data_mut();
            if held.stopwatch.read().expired {
                held.expired = true;
                return Ok(UpdateDeadline::Interrupt);
            }
            Ok(UpdateDeadline::Continue(1))
        });
        // INVARIANT: a store without a deadline would never be interrupted.
        store.set_epoch_deadline(1);
        // Where nothing is metered this is refused, and there is nothing to be counted.
        let _ = store.set_fuel(FUEL_MAX);
        Self { store }
    }

    /// What has run here is read by the host now, which may take what it takes.
    pub(crate) fn lift_limits(&mut self) {
        let unlimited = PolicyLimits {
            cpu_us_max: u64::MAX,
            wall_us_max: u64::MAX,
            memory_bytes_max: u64::MAX,
            table_elements_max: u64::MAX,
            ..PolicyLimits::NATIVE
        };
        let far = Instant::now() + READING_WALL_MAX;
        let held = self.store.data_mut();
        (held.meter, held.stopwatch) = (Meter::new(&unlimited), Stopwatch::start(&unlimited, far));
        self.store.set_hostcall_fuel(usize::MAX);
    }

    /// CPU time so far, in microseconds, and whether the time is used up.
    pub(crate) fn cpu_us(&self) -> (u64, bool) {
        let Reading { cpu_us, expired, .. } = self.store.data().stopwatch.read();
        (cpu_us, expired)
    }

    /// `init` has run: what it logged is forgotten, and what it used up is kept apart.
    pub(crate) fn initialised(&mut self, limits: &PolicyLimits) {
        let fuel_of_init = self.fuel();
        let held = self.store.data_mut();
        held.log = LogBuffer::new(limits.log_bytes_max);
        held.fuel_of_init = fuel_of_init;
    }

    /// Fuel so far, where it is counted.
    fn fuel(&self) -> Option<u64> {
        self.store.get_fuel().ok().map(|left| FUEL_MAX.saturating_sub(left))
    }

    /// Why the runtime gave up. `otherwise` is for what is neither a limit nor a trap.
    pub(crate) fn failed(&self, error: &wasmtime::Error, otherwise: Failure) -> Failed {
        let held = self.store.data();
        let failure = if held.meter.exceeded() {
            Failure::Memory
        } else if held.expired {
            Failure::Deadline
        } else if is_fuel_exhausted(error) {
            Failure::OutputTooLarge
        } else if error.is::<PoolConcurrencyLimitError>() {
            Failure::NotRunnable
        } else if error.is::<Trap>() {
            Failure::Trap
        } else {
            otherwise
        };
        Failed::new(failure, &format!("{}: {error}", error.root_cause()))
    }

    /// What came of it, what was used, and what was logged. An answer that came too late is none, also
    /// when no tick fell into the time that it took.
    pub(crate) fn finish<T>(self, answer: Result<T, Failed>) -> (Result<T, Failed>, Usage, Vec<LogLine>) {
        let held = self.store.data();
        let Reading { cpu_us, wall_us, expired } = held.stopwatch.read();
        let memory_bytes = held.meter.memory_bytes();
        let (fuel, fuel_of_init) = (self.fuel(), held.fuel_of_init);
        let late = || Failed::new(Failure::Deadline, "it answered after its time was used up");
        let answer = answer.and_then(|answer| if expired { Err(late()) } else { Ok(answer) });
        let (lines, log_dropped) = self.store.into_data().log.into_parts();
        (answer, Usage { cpu_us, wall_us, memory_bytes, fuel, fuel_of_init, log_dropped }, lines)
    }
}

/// The runtime's error for this has no public type. A test holds on to its words.
fn is_fuel_exhausted(error: &wasmtime::Error) -> bool {
    error.root_cause().to_string().ends_with("fuel allocated for hostcalls has been exhausted")
}
