//! Cases: what a policy says under which settings about which request, as data beside the policy.
//!
//! A policy's directory `cases` holds JSON and YAML files. [`run_dir`] runs all of them in the real engine,
//! each case in a sandbox of its own, and reports for each where what came differs from what was expected,
//! and what it cost. [`update`] writes what came into the files, and [`compare`](compare()) asks two components.
//!
//! ```json
//! {
//!   "version": 1,
//!   "settings": { "allow": [{ "actions": ["faq.read"], "resource_types": ["article"] }] },
//!   "cases": [
//!     {
//!       "name": "an action that nobody listed is denied",
//!       "context": { "request": { "action": "faq.delete", "resource": "article/42" } },
//!       "expect": { "verdict": "deny", "reasons": ["action_not_listed"] }
//!     },
//!     {
//!       "name": "a list of no rules is refused",
//!       "settings": { "allow": [] },
//!       "expect": { "init_error": "it is empty" }
//!     }
//!   ]
//! }
//! ```
//!
//! - `settings` of a case stand in for those of the file, and these for `settings.json` beside the directory; one of them
//!   is needed.
//! - `context` says what the case is about: `request` with `action` and `resource`, and if they matter
//!   `purpose`, `session`, `arguments` and `claimed_properties`; `agent` with `id`, `instance`, `owner`
//!   and `labels`; `user` and `delegations`; `credential`, for one that is no token; `time_ms`. What is left
//!   out is something plain.
//! - `facts` of a context are values by template, or `null` for one that is missing, and `counters` are
//!   objects by name with what was `used`. They are looked up under the policy's requirements: what the
//!   policy declares and the case leaves out is missing, or 0; what it does not declare is an error.
//! - `expect` has one of `verdict` (`allow`, `challenge`, `deny`, `abstain`), `failure` (as in
//!   [`attorn_core::Failure`]: `deadline`, `trap`, …) and `init_error` (a part of what `init` says
//!   against the settings, or the host against what `init` asks for; such a case has no context). A verdict's
//!   `reasons` are the codes in any order, and none if they are left out; so are `approvers`, `debits` and
//!   `obligations`. `grant_ms_max` and `uses_max` are compared where they stand.
//!
//! Files are read strictly: an unknown or duplicate member is an error, and so is a directory without
//! any case. There are no approvals and enforcement points in a context yet. `sdk/policy/CASES.md` says
//! the whole of it.

mod compare;
mod context;
mod coverage;
mod file;
mod junit;
mod known;
mod number;
mod report;
mod said;
mod update;
mod user;
mod yaml;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use attorn_artifact::{Cancel, Progress};
use attorn_core::{EvaluationContext, Failure, JsonText, Known, Outcome, ParseError, PolicyId, PolicyLimits};
use attorn_engine::{Activation, Busy, Engine, Evaluation, LoadError, LoadRequest, LoadedPolicy, Question, Usage};

pub use compare::{ComparedCase, Comparison, Side, SideSaid, compare};
pub(crate) use context::ContextWire;
pub use coverage::Coverage;
pub use file::BYTES_MAX;
use file::Task;
pub(crate) use file::read_text;
pub(crate) use file::{Case, read_dir as read_cases};
pub use junit::junit;
pub(crate) use known::Given;
pub use report::{CaseReport, Cost, Difference, Report};
pub(crate) use said::Said;
pub use update::{Updated, update};

/// The wall time of a case, in microseconds. It is none of the policy's limits: a case is about what the
/// policy says, and a busy machine must not say otherwise.
pub(crate) const WALL_US_MAX: u64 = 5_000_000;

/// Why cases could not be run. A case that went otherwise than expected is no error; it stands in the
/// [`Report`].
#[derive(Debug, thiserror::Error)]
pub enum CasesError {
    /// The directory or a file in it cannot be read.
    #[error("cannot read `{}`", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// There is no case. A policy that nothing was said about is not a tested one.
    #[error("there is no case in `{}`", path.display())]
    NoCases {
        /// Where.
        path: PathBuf,
    },
    /// A file is not as it should be.
    #[error("`{}`: {problem}", path.display())]
    Invalid {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The component cannot be loaded, whatever the settings.
    #[error("the component cannot be loaded")]
    NotLoaded(#[source] LoadError),
    /// The engine had no room for an evaluation.
    #[error("the engine is busy")]
    Busy(#[source] Busy),
    /// A case gives what the policy does not ask for under its settings.
    #[error("`{file}`: case `{case}`: {problem}")]
    Unasked {
        /// The file.
        file: String,
        /// The case.
        case: String,
        /// What it gives.
        problem: String,
    },
    /// A file of cases could not be rewritten.
    #[error("cannot write `{}`", path.display())]
    Unwritable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The policy's name cannot be a policy's id.
    #[error("no policy can have this name")]
    Name(#[source] ParseError),
}

/// How far running cases is.
#[derive(Debug, Clone, Copy)]
pub enum Far<'a> {
    /// A case begins. Where its settings are new, the policy is made ready first, which takes longest.
    Begins {
        /// How many are done.
        done: usize,
        /// Of how many.
        of: usize,
        /// Its name.
        name: &'a str,
    },
    /// It is done.
    Done(&'a CaseReport),
}

/// Run all cases of a directory against a component, which may use what it may use in a decision, but for
/// the wall time.
///
/// # Errors
///
/// When there are no cases, a file is invalid, the component does not load at all, or a case gives a fact
/// or a counter that the policy does not ask for.
pub async fn run_dir(
    engine: &Engine,
    component: &[u8],
    directory: &Path,
    limits: PolicyLimits,
) -> Result<Report, CasesError> {
    run_dir_watched(engine, Side { component, limits }, directory, |_| {}).await
}

/// The same, for somebody who wants to see how far it is.
///
/// # Errors
///
/// As [`run_dir`].
pub async fn run_dir_watched(
    engine: &Engine,
    side: Side<'_>,
    directory: &Path,
    watch: impl Fn(Far<'_>) + Sync,
) -> Result<Report, CasesError> {
    let cases = file::read_dir(directory)?;
    let of = cases.len();
    let mut run = Run::new(engine, side)?;
    let mut coverage = Coverage::default();
    let mut reports = Vec::with_capacity(cases.len());
    for (done, case) in cases.into_iter().enumerate() {
        watch(Far::Begins { done, of, name: &case.name });
        let got = run.case(&case, Start::AsInForce).await?;
        let (got, evaluation) = got.unwrap_or_default();
        let mut differences = case.expect.differences(&got);
        let mut cost = None;
        if let Some(evaluation) = evaluation {
            // How an evaluation starts must make no difference to what the policy says, also where no case asks.
            if let Some((each_time, _)) = run.case(&case, Start::InitEachTime).await? {
                let named = |one: Difference| Difference { member: format!("{} without snapshot", one.member), ..one };
                differences.extend(got.differences_exactly(&each_time).into_iter().map(named));
            }
            cost = Some(Cost { fuel: run.fuel(&case).await?, memory_bytes: evaluation.usage.memory_bytes });
        }
        coverage.count(&got);
        let said = got.as_expectation(&case.expect);
        let report = CaseReport { file: case.file, name: case.name, said, differences, cost };
        watch(Far::Done(&report));
        reports.push(report);
    }
    for policy in run.loaded.into_values().flatten().flatten() {
        coverage.declare(policy.requirements());
    }
    Ok(Report { cases: reports, coverage })
}

pub(crate) struct Run<'a> {
    engine: &'a Engine,
    component: &'a [u8],
    policy: PolicyId,
    limits: PolicyLimits,
    /// By settings: most cases share theirs, and loading compiles. One that cannot start so is none.
    loaded: BTreeMap<(Start, String), Option<Result<LoadedPolicy, String>>>,
}

/// How evaluations start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Start {
    /// As they do in a decision: from a snapshot, where one can be taken.
    AsInForce,
    /// From the component as it came, with `init` before each.
    InitEachTime,
    /// The same, with every instruction counted.
    Counted,
    /// As in a decision, with every instruction counted.
    CountedFromSnapshot,
}

/// What a case comes to before anything is evaluated.
pub(crate) enum Prepared {
    /// It is to be evaluated.
    Question(Question, Arc<EvaluationContext>),
    /// `init` refuses the settings.
    Refused(String),
    /// The settings were to be refused and were taken.
    Taken,
    /// The policy cannot start so.
    CannotStart,
}

impl<'a> Run<'a> {
    pub(crate) fn new(engine: &'a Engine, Side { component, limits }: Side<'a>) -> Result<Self, CasesError> {
        let policy = "under-test".parse().map_err(CasesError::Name)?;
        let limits = PolicyLimits { wall_us_max: WALL_US_MAX, ..limits };
        Ok(Self { engine, component, policy, limits, loaded: BTreeMap::new() })
    }

    /// What came of a case, and of the evaluation if there was one. None if the policy cannot start so: its `init`
    /// takes too long to run each time, or to be counted.
    async fn case(&mut self, case: &Case, start: Start) -> Result<Option<(Said, Option<Evaluation>)>, CasesError> {
        let (question, context) = match self.prepare(case, start)? {
            Prepared::Question(question, context) => (question, context),
            Prepared::Refused(refusal) => return Ok(Some((Said::init_error(&refusal), None))),
            Prepared::Taken => return Ok(Some((Said::init_accepted(), None))),
            Prepared::CannotStart => return Ok(None),
        };
        let evaluations = self.engine.evaluate(vec![question], context).await.map_err(CasesError::Busy)?;
        // One policy was asked. If nothing came of it, nothing that was expected did.
        Ok(Some(
            evaluations
                .into_iter()
                .next()
                .map_or_else(Default::default, |evaluation| (Said::outcome(&evaluation.outcome), Some(evaluation))),
        ))
    }

    /// What a decision about a case uses up, in units of fuel. Counting makes it slower, so what the policy says then is
    /// not what is compared. A snapshot of each of the settings would have to be compiled for it, so what `init` used up
    /// is taken off instead, unless both together take too long.
    async fn fuel(&mut self, case: &Case) -> Result<Option<u64>, CasesError> {
        let starts_from_snapshot = match self.load(&case.settings, Start::AsInForce)? {
            Some(Ok(policy)) => policy.report().activation == Activation::Snapshot,
            _ => false,
        };
        let starts =
            if starts_from_snapshot { &[Start::Counted, Start::CountedFromSnapshot][..] } else { &[Start::Counted] };
        for start in starts {
            let Some((_, Some(counted))) = self.case(case, *start).await? else { continue };
            // How far it got until its time was over is not the same twice.
            if counted.outcome == Outcome::Failed(Failure::Deadline) {
                continue;
            }
            let Usage { fuel, fuel_of_init, .. } = counted.usage;
            let of_init = fuel_of_init.filter(|_| starts_from_snapshot).unwrap_or_default();
            return Ok(fuel.map(|fuel| fuel.saturating_sub(of_init)));
        }
        Ok(None)
    }

    /// A case up to its evaluation.
    pub(crate) fn prepare(&mut self, case: &Case, start: Start) -> Result<Prepared, CasesError> {
        let policy = match self.load(&case.settings, start)? {
            Some(Ok(policy)) => policy.clone(),
            Some(Err(refusal)) => return Ok(Prepared::Refused(refusal.clone())),
            None => return Ok(Prepared::CannotStart),
        };
        let Task::Evaluate(context, given) = &case.task else { return Ok(Prepared::Taken) };
        let known = given.known(policy.requirements(), context).map_err(|problem| CasesError::Unasked {
            file: case.file.clone(),
            case: case.name.clone(),
            problem,
        })?;
        Ok(Prepared::Question(Question { policy, known }, Arc::clone(context)))
    }

    /// A policy that needs no settings, facts and counters, ready to be asked about any context.
    pub(crate) fn prepare_bare(&mut self) -> Result<Question, CasesError> {
        match self.load(&JsonText::from_canonical("{}"), Start::AsInForce)? {
            Some(Ok(policy)) => Ok(Question { policy: policy.clone(), known: Known::default() }),
            Some(Err(problem)) => Err(CasesError::NotLoaded(LoadError::SettingsRejected { problem: problem.clone() })),
            None => Err(CasesError::Busy(Busy)),
        }
    }

    /// The policy under these settings, or what its `init` says against them.
    fn load(&mut self, settings: &JsonText, start: Start) -> Result<Option<&Result<LoadedPolicy, String>>, CasesError> {
        let key = (start, settings.as_str().to_owned());
        if !self.loaded.contains_key(&key) {
            let request = LoadRequest {
                name: self.policy.clone(),
                component: self.component,
                settings: settings.as_str(),
                limits: self.limits,
                metered: matches!(start, Start::Counted | Start::CountedFromSnapshot),
                without_snapshot: matches!(start, Start::InitEachTime | Start::Counted),
            };
            let loaded = match self.engine.load_watched(request, &Progress::default(), &Cancel::default()) {
                Ok(policy) => Some(Ok(policy)),
                Err(LoadError::SettingsRejected { problem }) => Some(Err(problem)),
                Err(LoadError::TooSlow { .. }) if start != Start::AsInForce => None,
                // The component is none that no case could ask: it comes to this under these settings.
                Err(error) if error.may_load_otherwise() => Some(Err(in_one_line(&error))),
                Err(error) => return Err(CasesError::NotLoaded(error)),
            };
            self.loaded.insert(key.clone(), loaded);
        }
        Ok(self.loaded.get(&key).and_then(Option::as_ref))
    }
}

/// What is wrong, on one line. Where in the program a trap was is left out: that differs with how the policy starts.
fn in_one_line(error: &LoadError) -> String {
    let line = error.problem().lines().next().unwrap_or_default();
    line.split(": error while executing at wasm backtrace").next().unwrap_or_default().to_owned()
}
