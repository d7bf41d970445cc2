//! A step that does not end is a failure, too.
//!
//! On a disk that is full or hangs the engine may wait for ever: in a flush, in a transaction, and in every read of
//! its process with that. Nobody can end such a thread. What can be done is to say so: the store has failed, every
//! commit is refused and nothing is read any more, so that whoever runs the server learns of it and ends the
//! process. A step that ends after all, later, changes nothing of that.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::error::{Failure, StorageError};
use crate::horizon::Teller;
use crate::steps::{Step, Steps};

/// In which part of a step's limit it is looked at once.
const LOOKS: u32 = 8;

/// Takes steps, and knows since when.
pub(crate) struct Watchdog {
    steps: Arc<dyn Steps>,
    state: Mutex<State>,
    over: Condvar,
}

#[derive(Default)]
struct State {
    /// What is being done: one step of the writer's, and one of the follower's.
    begun: Vec<(Step, Instant)>,
    over: bool,
    stalled: bool,
}

impl Watchdog {
    pub(crate) fn over(steps: Arc<dyn Steps>) -> Self {
        Self { steps, state: Mutex::default(), over: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Look on until there is nothing to look at any more, or a step has not ended in time.
    pub(crate) fn watch(&self, teller: &Teller) {
        while let Some(pause) = self.pause() {
            let late = self.state().begun.iter().find(|(step, since)| since.elapsed() >= self.limit(*step)).copied();
            if let Some((step, _)) = late {
                self.state().stalled = true;
                teller.fail(Failure::Stalled { step, limit: self.limit(step) });
                return;
            }
            let state = self.over.wait_timeout_while(self.state(), pause, |state| !state.over);
            drop(state.unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// How long until it is looked again; none when it is over.
    fn pause(&self) -> Option<Duration> {
        let shortest = Step::ALL.iter().map(|step| self.limit(*step)).min().unwrap_or_default();
        (!self.state().over).then_some((shortest / LOOKS).max(Duration::from_millis(1)))
    }

    /// Whether a step did not end in time, of a store that has failed before or by that.
    pub(crate) fn is_stalled(&self) -> bool {
        self.state().stalled
    }

    /// Nothing more is done.
    pub(crate) fn end(&self) {
        self.state().over = true;
        self.over.notify_all();
    }
}

impl Steps for Watchdog {
    fn take(&self, step: Step, act: &mut dyn FnMut() -> Result<(), StorageError>) -> Result<(), StorageError> {
        // The others may take their time: nobody waits for them.
        if !step.is_vital() {
            return self.steps.take(step, act);
        }
        self.state().begun.push((step, Instant::now()));
        let outcome = self.steps.take(step, act);
        self.state().begun.retain(|(begun, _)| *begun != step);
        outcome
    }

    fn limit(&self, step: Step) -> Duration {
        self.steps.limit(step)
    }
}
