//! `/v1/loads`: which policies are being made ready, how far each is, and an end to it.
//!
//! There are never many at a time: what is being loaded is held in memory, and one more is turned away
//! before anything of it is read. Nothing of a load is stored; what came of it is told to whoever asked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use attorn_api::ProblemCode;
use attorn_api::loads as api;
use attorn_artifact::{Cancel, Progress};
use attorn_core::{PolicyId, TimeMs};

use crate::app::App;
use crate::http::call::{Call, Reply};
use crate::http::failure::Failure;

/// How many policies are made ready at a time; all but one of them wait.
pub(crate) const LOADS_MAX: u32 = 8;

/// The policies that are being made ready.
#[derive(Debug, Clone, Default)]
pub(crate) struct Loads(Arc<Mutex<Running>>);

#[derive(Debug, Default)]
struct Running {
    next: u64,
    loads: BTreeMap<u64, Load>,
}

#[derive(Debug)]
struct Load {
    ask: LoadAsk,
    policy: PolicyId,
    version: u32,
    since: TimeMs,
    progress: Progress,
    cancel: Cancel,
}

/// For whom a policy is made ready.
#[derive(Debug, Clone)]
pub(crate) struct LoadAsk {
    /// The request's id.
    pub(crate) id: String,
    /// Who sent it.
    pub(crate) operator: String,
}

impl LoadAsk {
    pub(crate) fn of(call: &Call) -> Result<Self, Failure> {
        Ok(Self { id: call.id.clone(), operator: call.operator()?.name().to_owned() })
    }
}

/// A place among those that are made ready, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    number: u64,
    loads: Loads,
    pub(crate) progress: Progress,
    pub(crate) cancel: Cancel,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.loads.lock().loads.remove(&self.number);
    }
}

impl Loads {
    /// Take a place, or be turned away.
    pub(crate) fn begin(
        &self,
        ask: &LoadAsk,
        policy: &PolicyId,
        version: u32,
        since: TimeMs,
    ) -> Result<Place, Failure> {
        let mut running = self.lock();
        if running.loads.len() >= LOADS_MAX as usize {
            let detail = format!("{LOADS_MAX} policies are being made ready already");
            return Err(
                Failure::of(ProblemCode::Busy, detail).with_help("try again when one is done: `attorn load list`")
            );
        }
        let (progress, cancel) = (Progress::default(), Cancel::default());
        let number = running.next;
        running.next += 1;
        let load = Load {
            ask: ask.clone(),
            policy: policy.clone(),
            version,
            since,
            progress: progress.clone(),
            cancel: cancel.clone(),
        };
        running.loads.insert(number, load);
        Ok(Place { number, loads: self.clone(), progress, cancel })
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) async fn list(app: Arc<App>, _: Call) -> Result<Reply, Failure> {
    let shown = |load: &Load| api::Load {
        id: load.ask.id.clone(),
        policy: load.policy.to_string(),
        version: load.version,
        operator: load.ask.operator.clone(),
        since_ms: load.since.0,
        step: load.progress.step(),
    };
    let loads = app.loads.lock().loads.values().map(shown).collect();
    Reply::ok(&api::LoadList { loads })
}

/// Cancel all that is made ready for one request.
pub(crate) async fn cancel(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let id = call.path_text("id");
    let found = {
        let running = app.loads.lock();
        let of_request = running.loads.values().filter(|load| load.ask.id == id);
        of_request.inspect(|load| load.cancel.cancel()).count()
    };
    if found == 0 {
        let detail = format!("nothing is being made ready for the request `{}`", id.escape_default());
        return Err(Failure::of(ProblemCode::InvalidState, detail).with_help("it is done, or never began"));
    }
    tracing::info!(load = id, operator = call.operator()?.name(), "a load was cancelled");
    Reply::ok(&api::LoadCancelled { id: id.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_more_is_turned_away_until_one_is_done() {
        let loads = Loads::default();
        let begin = || {
            let ask = LoadAsk { id: "r".into(), operator: "alice".into() };
            loads.begin(&ask, &"p".parse().unwrap(), 1, TimeMs(0))
        };
        let mut places: Vec<Place> = (0..LOADS_MAX).map(|_| begin().unwrap()).collect();
        assert_eq!(begin().unwrap_err().problem.code, ProblemCode::Busy);
        places.pop();
        assert!(begin().is_ok());
        assert!(begin().is_ok(), "a place that is dropped is free again");
    }
}
