//! How long a policy takes on its cases, beside one that does nothing.
//!
//! Each case is asked of both in turns, so that what else the machine does meets both alike. Times are those of whole
//! evaluations, from the question to the answer: a fresh sandbox, the context handed over, what the policy does, and
//! the way to the thread that evaluates and back. What the policy itself takes is what is over the reference.
//!
//! Nothing is said about whether the cases hold; that is for [`crate::cases::run_dir`].

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use attorn_build::{BuildError, component_of_wat};
use attorn_core::{EvaluationContext, PolicyLimits};
use attorn_engine::{Activation, Engine, LoadError, Question, class_of};
use serde::Serialize;

use crate::cases::{CasesError, Prepared, Run, Side, Start, read_cases};

/// The contract that the reference is of, and the reference.
const CONTRACT: &str = include_str!("../../../wit/policy.wit");
const REFERENCE: &str = include_str!("bench/reference.wat");

/// How often each case is asked before anything is timed.
const WARM_UP_ROUNDS: u32 = 20;

/// The most rounds that can be wanted: their times are kept.
pub const ROUNDS_MAX: u32 = 1_000_000;

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The cases could not be read, or the policy not be asked.
    #[error(transparent)]
    Cases(#[from] CasesError),
    /// No case asks the policy anything: they are all about settings.
    #[error("no case in `{directory}` has a context to evaluate")]
    NothingToAsk {
        /// Where.
        directory: String,
    },
    /// The policy that others are measured beside cannot be made.
    #[error("the reference policy cannot be built")]
    Reference(#[source] BuildError),
    /// It does not load.
    #[error("the reference policy cannot be loaded")]
    ReferenceNotLoaded(#[source] LoadError),
}

/// What was measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measured {
    /// How often each case was asked of each policy.
    pub rounds: u32,
    /// One for each case that has a context; never empty.
    pub cases: Vec<CaseMeasured>,
}

/// What was measured of one case.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CaseMeasured {
    /// The file that it stands in.
    pub file: String,
    /// Its name.
    pub name: String,
    /// Whether each evaluation starts from a snapshot that was taken after `init`; where not, `init` runs in each.
    pub snapshot: bool,
    /// Of the policy.
    pub policy: Times,
    /// Of the reference, or of what stands in for it.
    pub reference: Times,
}

/// Times of evaluations, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Times {
    /// The middle one.
    pub p50_us: f64,
    /// 99 of 100 took no longer.
    pub p99_us: f64,
}

/// Measure a policy on the cases of a directory. `watch` hears how many evaluations are done, of how many.
///
/// # Errors
///
/// When there are no cases, none has a context, a file is invalid, or a component does not load.
pub async fn measure(
    engine: &Engine,
    side: Side<'_>,
    directory: &Path,
    rounds: u32,
    watch: impl Fn(u64, u64) + Sync,
) -> Result<Measured, BenchError> {
    measure_beside(engine, (side, None), directory, rounds, watch).await
}

/// The same beside another policy than the reference, which has to take `{}` as its settings.
///
/// # Errors
///
/// As [`measure`].
pub async fn measure_beside(
    engine: &Engine,
    (side, beside): (Side<'_>, Option<Side<'_>>),
    directory: &Path,
    rounds: u32,
    watch: impl Fn(u64, u64) + Sync,
) -> Result<Measured, BenchError> {
    let rounds = rounds.clamp(1, ROUNDS_MAX);
    let cases = read_cases(directory)?;
    let reference = component_of_wat("reference", REFERENCE, CONTRACT).map_err(BenchError::Reference)?;
    let limits = PolicyLimits::of_class(class_of(&reference));
    let beside = beside.unwrap_or(Side { component: &reference, limits });
    let [mut policy, mut beside] = [Run::new(engine, side)?, Run::new(engine, beside)?];
    let mut ready = Vec::new();
    for case in cases {
        let Prepared::Question(question, context) = policy.prepare(&case, Start::AsInForce)? else { continue };
        let reference = beside.prepare_bare().map_err(|error| match error {
            CasesError::NotLoaded(error) => BenchError::ReferenceNotLoaded(error),
            error => BenchError::Cases(error),
        })?;
        ready.push((case, question, reference, context));
    }
    if ready.is_empty() {
        return Err(BenchError::NothingToAsk { directory: directory.display().to_string() });
    }
    let of = ready.len() as u64 * u64::from(rounds);
    let mut measured = Vec::with_capacity(ready.len());
    for (number, (case, question, reference, context)) in ready.into_iter().enumerate() {
        let snapshot = question.policy.report().activation == Activation::Snapshot;
        let mut times = [Vec::new(), Vec::new()];
        for round in 0..WARM_UP_ROUNDS + rounds {
            for (question, times) in [&question, &reference].into_iter().zip(&mut times) {
                let took = once(engine, question, &context).await?;
                if round >= WARM_UP_ROUNDS {
                    times.push(took);
                }
            }
            watch(number as u64 * u64::from(rounds) + u64::from(round.saturating_sub(WARM_UP_ROUNDS)), of);
        }
        let [policy, reference] = times.map(Times::of);
        measured.push(CaseMeasured { file: case.file, name: case.name, snapshot, policy, reference });
    }
    Ok(Measured { rounds, cases: measured })
}

async fn once(engine: &Engine, question: &Question, context: &Arc<EvaluationContext>) -> Result<Duration, CasesError> {
    let (questions, context) = (vec![question.clone()], Arc::clone(context));
    let start = Instant::now();
    engine.evaluate(questions, context).await.map_err(CasesError::Busy)?;
    Ok(start.elapsed())
}

impl Times {
    /// Of at least one.
    fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        // The smallest that so many of a hundred are not above.
        let at = |percent: usize| {
            let rank = (times.len() * percent).div_ceil(100).max(1);
            times.get(rank - 1).map_or(0.0, |time| time.as_secs_f64() * 1e6)
        };
        Self { p50_us: at(50), p99_us: at(99) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_of_what_was_measured() {
        let of = |count: u64| Times::of((1..=count).rev().map(Duration::from_micros).collect());
        let near = |a: f64, b: f64| (a - b).abs() < 1e-6;
        for (count, p50, p99) in [(1, 1.0, 1.0), (2, 1.0, 2.0), (100, 50.0, 99.0), (1_000, 500.0, 990.0)] {
            let times = of(count);
            assert!(near(times.p50_us, p50) && near(times.p99_us, p99), "{count}: {times:?}");
        }
    }
}
