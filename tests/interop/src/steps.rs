//! Steps: a line for each, with its time. A step that fails panics, and its line says so first.

use std::future::Future;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::time::Instant;

use futures_util::FutureExt as _;

/// The steps of a part.
#[derive(Default)]
pub(crate) struct Steps {
    /// How many were taken.
    pub(crate) taken: usize,
}

impl Steps {
    /// Take a step.
    pub(crate) async fn take<T>(&mut self, name: &str, work: impl Future<Output = T>) -> T {
        let started = Instant::now();
        let outcome = AssertUnwindSafe(work).catch_unwind().await;
        self.taken += 1;
        let mark = if outcome.is_ok() { "      " } else { "FAILED" };
        println!("  {:6.1} s {mark} {name}", started.elapsed().as_secs_f64());
        outcome.unwrap_or_else(|panic| resume_unwind(panic))
    }
}
