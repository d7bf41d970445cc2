//! What came of asking one policy.

use attorn_core::{Failure, Outcome};

use crate::log::LogLine;
use crate::sandbox::Failed;

/// The outcome of one policy, what it cost, and what is kept for operators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluation {
    /// What the policy says, or how it failed.
    pub outcome: Outcome,
    /// What it used.
    pub usage: Usage,
    /// What it wrote to its log, in order.
    pub log: Vec<LogLine>,
    /// More about a failure, at most 1 KiB, for operators only: it may hold words of the policy.
    pub failure_detail: Option<String>,
}

/// What one evaluation used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// CPU time, in microseconds.
    pub cpu_us: u64,
    /// Wall time, in microseconds.
    pub wall_us: u64,
    /// Bytes over all memories.
    pub memory_bytes: u64,
    /// Units of fuel, where they are counted: see [`LoadRequest::metered`](crate::LoadRequest).
    pub fuel: Option<u64>,
    /// Of these, what was used up before `evaluate`, where `init` ran first. A policy that starts from a snapshot pays
    /// for it once.
    pub fuel_of_init: Option<u64>,
    /// Whether messages were dropped because the log was full.
    pub log_dropped: bool,
}

impl Evaluation {
    /// The policy did not get to run.
    pub(crate) fn not_run(failure: Failure, detail: &str) -> Self {
        let Failed { failure, detail } = Failed::new(failure, detail);
        let outcome = Outcome::Failed(failure);
        Self { outcome, usage: Usage::default(), log: Vec::new(), failure_detail: Some(detail) }
    }
}
