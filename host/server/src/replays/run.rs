//! Running a policy again: loading the version that was recorded, and asking it, when nobody who decides has to wait.
//!
//! It runs in the engine that decides, from the same machine code. The engine that counts fuel would give each policy
//! the same number of steps on every machine, and it is another configuration than the one that was recorded; what a
//! limit of time came to cannot be had twice in either. So a policy has more time here than it had, and where one ran
//! out of time then or now, the comparison says so.
//!
//! Only so many replay at a time, half as many as there are threads that evaluate, and each lets decisions go first.
//! Where there is one thread only, a replay that decisions leave no time to is told so: it would keep them waiting.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use attorn_api::ProblemCode;
use attorn_core::{EvaluationContext, Failure as PolicyFailure, Known, Outcome, PolicyId};
use attorn_engine::{Evaluation, LoadedPolicy, Question};
use attorn_store::Key;
use attorn_store::records::PolicyVersionRecord;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::active::{NotLoaded, load_patient};
use crate::app::App;
use crate::http::failure::Failure;
use crate::loads::LoadAsk;

/// How long one replay waits for others.
const TURN_WAIT: Duration = Duration::from_secs(5);
/// How often, and for how long each time, a policy is not asked while decisions wait for threads.
const GIVES_WAY_MAX: usize = 200;
const GIVES_WAY: Duration = Duration::from_millis(1);
/// How often a policy is asked that runs out of time: the machine may have been busy.
const TRIES_MAX: usize = 3;
/// How many versions stay loaded for the next replay, and how many bytes of machine code they have.
const KEPT_MAX: usize = 32;
const KEPT_BYTES_MAX: u64 = 128 << 20;

/// What replays share.
pub(crate) struct Replays {
    turns: Semaphore,
    /// Whether there is one thread only that evaluates.
    one_thread: bool,
    /// Versions that were loaded to be run again, by their digests, the latest last.
    kept: Mutex<VecDeque<(String, LoadedPolicy)>>,
}

/// Why a policy cannot be run again.
#[derive(Debug, Clone)]
pub(crate) struct Gone {
    /// What is not there.
    pub(crate) what: &'static str,
    /// Why.
    pub(crate) detail: String,
}

impl Replays {
    pub(crate) fn new(evaluator_threads: usize) -> Self {
        let turns = Semaphore::new((evaluator_threads / 2).max(1));
        Self { turns, one_thread: evaluator_threads <= 1, kept: Mutex::default() }
    }

    /// The right to replay.
    pub(crate) async fn turn(&self) -> Result<SemaphorePermit<'_>, Failure> {
        let turn = tokio::time::timeout(TURN_WAIT, self.turns.acquire()).await;
        let busy = || Failure::of(ProblemCode::Busy, "others are replaying").with_help("try again in a moment");
        turn.map_err(|_| busy())?.map_err(Failure::internal)
    }

    fn kept(&self, digest: &str) -> Option<LoadedPolicy> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|(other, _)| other == digest).map(|(_, loaded)| loaded.clone())
    }

    fn keep(&self, digest: &str, loaded: &LoadedPolicy) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(other, _)| other != digest);
        kept.push_back((digest.to_owned(), loaded.clone()));
        let bytes = |(_, loaded): &(String, LoadedPolicy)| loaded.report().machine_code_bytes;
        while kept.len() > KEPT_MAX || kept.iter().map(bytes).sum::<u64>() > KEPT_BYTES_MAX {
            kept.pop_front();
        }
    }
}

/// The version of this policy, if it is the one of this digest.
pub(crate) async fn version(
    app: &App,
    (policy, version, digest): (&PolicyId, u32, &str),
) -> Result<Result<PolicyVersionRecord, Gone>, Failure> {
    let gone = |detail: String| Ok(Err(Gone { what: "policy_version", detail }));
    let found = app.store.record::<PolicyVersionRecord>(&Key::policy_version(policy, version)).await?;
    let Some(found) = found else { return gone(format!("there is no version {version} of policy `{policy}`")) };
    if found.value.digest().to_string() != digest {
        return gone(format!("version {version} of policy `{policy}` is not the one that was recorded"));
    }
    Ok(Ok(found.value))
}

/// A version, made ready to be asked again.
pub(crate) async fn ready(
    app: &App,
    record: &PolicyVersionRecord,
    ask: &LoadAsk,
) -> Result<Result<LoadedPolicy, Gone>, Failure> {
    let digest = record.digest().to_string();
    if let Some(kept) = app.replays.kept(&digest) {
        return Ok(Ok(kept));
    }
    let error = match load_patient(app, record, ask).await? {
        Ok(loaded) => {
            app.replays.keep(&digest, &loaded);
            return Ok(Ok(loaded));
        }
        Err(error) => error,
    };
    let what = match &error {
        NotLoaded::Settings(_) => "settings",
        NotLoaded::Component(_) | NotLoaded::Refused(_) | NotLoaded::Server(_) => "component",
    };
    let detail = format!("version {} of policy `{}` cannot be run: {error}", record.version, record.policy);
    Ok(Err(Gone { what, detail }))
}

/// Ask a policy. One that runs out of time where it did not before is asked again.
pub(crate) async fn ask(
    app: &App,
    policy: &LoadedPolicy,
    known: Known,
    context: &Arc<EvaluationContext>,
    ran_out_before: bool,
) -> Result<Evaluation, Failure> {
    let ran_out = |evaluation: &Evaluation| evaluation.outcome == Outcome::Failed(PolicyFailure::Deadline);
    let mut tries = 0;
    loop {
        give_way(app.replays.one_thread, || app.engine.counts().waiting).await?;
        let question = Question { policy: policy.clone(), known: known.clone() };
        let evaluation = app.engine.evaluate(vec![question], Arc::clone(context)).await?.pop();
        let evaluation = evaluation.ok_or_else(|| Failure::internal("the engine answered nothing"))?;
        tries += 1;
        if !ran_out(&evaluation) || ran_out_before || tries >= TRIES_MAX {
            return Ok(evaluation);
        }
    }
}

/// Wait while decisions wait, and not for ever. Where they have one thread only, nothing is asked then.
async fn give_way(one_thread: bool, waiting: impl Fn() -> usize) -> Result<(), Failure> {
    for _ in 0..GIVES_WAY_MAX {
        if waiting() == 0 {
            return Ok(());
        }
        tokio::time::sleep(GIVES_WAY).await;
    }
    if one_thread {
        let detail = "decisions wait, and there is one thread only that evaluates policies";
        return Err(Failure::of(ProblemCode::Busy, detail).with_help("try again in a moment"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn on_one_thread_decisions_go_first_however_long_they_wait() {
        for (threads, turns, one_thread) in [(1, 1, true), (2, 1, false), (8, 4, false)] {
            let replays = Replays::new(threads);
            assert_eq!((replays.turns.available_permits(), replays.one_thread), (turns, one_thread), "{threads}");
        }
        let failure = give_way(true, || 1).await.unwrap_err();
        assert_eq!(failure.problem.code, ProblemCode::Busy);
        // The other half of several threads is there for them.
        give_way(false, || 1).await.unwrap();
        let left = AtomicUsize::new(3);
        give_way(true, || left.fetch_sub(1, Ordering::Relaxed)).await.unwrap();
        assert_eq!(left.load(Ordering::Relaxed), usize::MAX, "it was asked until none waited");
    }
}
