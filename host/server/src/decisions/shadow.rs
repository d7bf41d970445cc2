//! Shadow policies: asked when a decision is recorded and its answer is made, written down, never counted.
//!
//! One task does all of it, one policy at a time, and rests three times as long as it worked, so that
//! shadow policies have no more than a quarter of one evaluator thread. What does not fit its queue, or
//! could not be asked or written down, or is about a user who was erased meanwhile, is dropped, and counted.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use attorn_api::audit::EntryType;
use attorn_core::reason::HostReason;
use attorn_core::{Decision, DecisionId, Denied, Evaluated, Outcome, PolicyId, TimeMs, UserId, Verdict};
use attorn_engine::{Evaluation, Question};
use attorn_store::records::ShadowReportRecord;
use attorn_store::{Batch, Key, Require};
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::evaluate::evaluated;
use super::gather::Ground;
use super::known;
use super::observe;
use super::record::{Made, RECORD_BYTES_MAX, kind, outcome};
use crate::active::ActivePolicy;
use crate::app::App;
use crate::approvals::content;
use crate::entry;
use crate::http::failure::Failure;

/// How many decisions wait for their shadow policies at most. One more is dropped.
const QUEUE_MAX: usize = 256;
/// How many shadow policies one decision is put to, and how many reports of what was dropped are written
/// at a time.
const SHADOWS_MAX: usize = 16;
/// How long the task rests, as a multiple of how long an evaluation took.
const REST_FACTOR: u32 = 3;
/// How much rest is owed before it is taken: sleeping for less takes longer than was meant.
const REST_MIN: Duration = Duration::from_millis(2);
/// How often what was dropped is written down, if nothing else is.
const DROPPED_INTERVAL: Duration = Duration::from_secs(5);

/// A decision that was made, for its shadow policies.
struct Job {
    ground: Ground,
    made: Made,
    decision: DecisionId,
    shadows: Vec<Arc<ActivePolicy>>,
}

impl Job {
    /// On whose behalf it was asked for.
    fn user(&self) -> Option<&UserId> {
        self.made.context.as_ref().and_then(|context| context.user.as_ref()).map(|user| &user.id)
    }
}

type Dropped = BTreeMap<(PolicyId, u32), u64>;

/// Where decisions wait for their shadow policies.
pub(crate) struct Shadows {
    waiting: Mutex<VecDeque<Job>>,
    came: Notify,
    dropped: Mutex<Dropped>,
}

impl Shadows {
    pub(crate) fn new() -> Self {
        Self { waiting: Mutex::default(), came: Notify::new(), dropped: Mutex::default() }
    }

    /// Put a recorded decision to its shadow policies, later. This never waits.
    pub(super) fn later(&self, app: &App, ground: Ground, made: Made, decision: DecisionId) {
        if made.context.is_none() {
            return;
        }
        let mut shadows = match ground.check(made.now, app.limits) {
            Ok(within) => ground.active.shadows(&within),
            Err(_) => return,
        };
        let over = shadows.split_off(shadows.len().min(SHADOWS_MAX));
        self.drop_these(app, &over);
        if shadows.is_empty() {
            return;
        }
        let mut waiting = self.waiting();
        if waiting.len() < QUEUE_MAX {
            waiting.push_back(Job { ground, made, decision, shadows });
            self.came.notify_one();
        } else {
            drop(waiting);
            self.drop_these(app, &shadows);
        }
    }

    /// Drop what waits about a user who was erased.
    pub(crate) fn forget(&self, app: &App, user: &UserId) {
        let mut waiting = self.waiting();
        let (about, others): (VecDeque<Job>, VecDeque<Job>) =
            std::mem::take(&mut *waiting).into_iter().partition(|job| job.user() == Some(user));
        *waiting = others;
        drop(waiting);
        for job in about {
            self.drop_these(app, &job.shadows);
        }
    }

    /// The next decision, when there is one.
    async fn next(&self) -> Job {
        loop {
            if let Some(job) = self.waiting().pop_front() {
                return job;
            }
            self.came.notified().await;
        }
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Job>> {
        // Nothing in here panics while it holds the lock.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn drop_these(&self, app: &App, shadows: &[Arc<ActivePolicy>]) {
        app.metrics.shadow_dropped(shadows.len());
        self.put_back(shadows.iter().map(|policy| ((policy.record.policy.clone(), policy.record.version), 1)));
    }

    /// Some of what was dropped; the others stay for the next time.
    fn take_dropped(&self) -> Dropped {
        let mut dropped = self.dropped.lock().unwrap_or_else(PoisonError::into_inner);
        let rest = dropped.keys().nth(SHADOWS_MAX).cloned().map(|key| dropped.split_off(&key));
        std::mem::replace(&mut *dropped, rest.unwrap_or_default())
    }

    fn put_back(&self, counts: impl IntoIterator<Item = ((PolicyId, u32), u64)>) {
        let mut dropped = self.dropped.lock().unwrap_or_else(PoisonError::into_inner);
        for (policy, count) in counts {
            *dropped.entry(policy).or_default() += count;
        }
    }
}

/// Ask shadow policies for ever.
pub(crate) async fn run(app: Arc<App>) {
    let mut rest = Rest::default();
    loop {
        let job = tokio::time::timeout(DROPPED_INTERVAL, app.shadows.next()).await.ok();
        let job = match job {
            Some(job) if is_about_nobody(&app, &job).await => {
                app.shadows.drop_these(&app, &job.shadows);
                None
            }
            job => job,
        };
        let dropped = app.shadows.take_dropped();
        if job.is_none() && dropped.is_empty() {
            continue;
        }
        if let Err(failure) = work(&app, job.as_ref(), &dropped, &mut rest).await {
            tracing::warn!(why = failure.internal, "what shadow policies say could not be written down");
            app.shadows.put_back(dropped);
            app.shadows.drop_these(&app, job.as_ref().map_or(&[], |job| &job.shadows));
        }
    }
}

/// Whether the user was erased whom a decision is about. It was in no queue when they were.
async fn is_about_nobody(app: &App, job: &Job) -> bool {
    match job.user() {
        None => false,
        Some(user) => !matches!(app.store.get(&Key::user(user)).await, Ok(Some(_))),
    }
}

/// What is owed for the work that was done.
#[derive(Default)]
struct Rest {
    owed: Duration,
}

impl Rest {
    async fn after(&mut self, worked: Duration) {
        self.owed += worked * REST_FACTOR;
        if self.owed >= REST_MIN {
            tokio::time::sleep(std::mem::take(&mut self.owed)).await;
        }
    }
}

async fn work(app: &App, job: Option<&Job>, dropped: &Dropped, rest: &mut Rest) -> Result<(), Failure> {
    let mut reports = Reports::default();
    let mut batch = Batch::new(app.clock.now());
    if !dropped.is_empty() {
        let each = |((policy, version), count): (&(PolicyId, u32), &u64)| json!({ "policy": policy.as_str(), "version": version, "count": count });
        let policies: Vec<Value> = dropped.iter().map(each).collect();
        let count: u64 = dropped.values().sum();
        tracing::warn!(count, "shadow policies were not evaluated because too much waited");
        batch.entries.push(entry::body(
            batch.now,
            EntryType::ShadowDropped,
            json!({ "count": count, "policies": policies }),
        )?);
        for ((policy, version), count) in dropped {
            reports.of(app, policy, *version, batch.now).await?.dropped += count;
        }
    }
    if let Some(job) = job {
        let mut said = Vec::new();
        for policy in &job.shadows {
            let begin = Instant::now();
            let one = ask(app, job, policy).await?;
            let report = reports.of(app, &policy.record.policy, policy.record.version, batch.now).await?;
            said.push(write_down(job, policy, &one, app, report));
            rest.after(begin.elapsed()).await;
        }
        let members = json!({
            "decision_id": job.decision.to_string(),
            "decision": kind(&job.made.decision),
            "policies": said,
            "active_set": { "revision": job.ground.active.record.revision, "digest": job.ground.active.digest },
        });
        batch.entries.push(entry::body(batch.now, EntryType::ShadowEvaluated, members)?);
    }
    for (report, require) in reports.0.into_values() {
        batch.require.push((Key::shadow_report(&report.policy, report.version), require));
        batch.put_record(&report);
    }
    app.store.commit(batch).await?;
    Ok(())
}

async fn ask(app: &App, job: &Job, policy: &Arc<ActivePolicy>) -> Result<Evaluated, Failure> {
    let evaluation = evaluate(app, job, policy).await?;
    let one = evaluated(policy, evaluation.as_ref());
    observe::shadow_evaluated(app, (&job.made, job.decision), policy, (&one, evaluation.as_ref())).await;
    Ok(one)
}

/// None if it could not be run at all.
async fn evaluate(app: &App, job: &Job, policy: &Arc<ActivePolicy>) -> Result<Option<Evaluation>, Failure> {
    let (Some(loaded), Some(context)) = (&policy.loaded, &job.made.context) else { return Ok(None) };
    // As it stands now: what it says counts for nothing, so no commit has to hold on to this.
    let looked_up = known::look_up(app, std::slice::from_ref(policy), context, RECORD_BYTES_MAX).await?;
    let Some(known) = looked_up.ok().and_then(|looked_up| looked_up.known.into_iter().next()) else {
        return Ok(None);
    };
    let question = Question { policy: loaded.clone(), known };
    Ok(app.engine.evaluate(vec![question], Arc::clone(context)).await?.pop())
}

/// What one shadow policy said, for the entry, and its share in the report.
fn write_down(job: &Job, policy: &ActivePolicy, one: &Evaluated, app: &App, report: &mut ShadowReportRecord) -> Value {
    let without: Vec<Evaluated> = job.made.asked.iter().map(|asked| asked.evaluated.clone()).collect();
    let with: Vec<Evaluated> = without.iter().cloned().chain([one.clone()]).collect();
    let would = job.ground.check(job.made.now, app.limits).ok().and_then(|within| {
        let met = job.made.approval.met();
        let with = match attorn_core::decide(&within, met, &with) {
            Decision::Challenge(_) if !content::can_be_shown(within.request()) => {
                Decision::Deny(Denied::by_host(HostReason::ApprovalUnreadable))
            }
            with => with,
        };
        let alone = attorn_core::decide(&within, met, &without);
        let denied = matches!(job.made.decision, Decision::Deny(_));
        // Where a counter had no room for an allow, it has none for another.
        let limited = denied && matches!(alone, Decision::Allow(_)) && matches!(with, Decision::Allow(_));
        // And where nobody is asked for an approval, nobody is for another.
        let refused = denied && matches!(alone, Decision::Challenge(_)) && matches!(with, Decision::Challenge(_));
        (!limited && !refused).then(|| kind(&with))
    });
    let was = kind(&job.made.decision);
    let would = would.unwrap_or(was);
    let allowed = matches!(job.made.decision, Decision::Allow(_));
    let allows = matches!(one.outcome, Outcome::Verdict(Verdict::Allow { .. }));
    let abstains = matches!(one.outcome, Outcome::Verdict(Verdict::Abstain));
    if would != was {
        policy.metrics.would_change();
    }
    report.evaluations += 1;
    report.would_change += u64::from(would != was);
    report.stricter += u64::from(allowed && !allows && !abstains);
    report.laxer += u64::from(!allowed && allows);
    report.failures += u64::from(matches!(one.outcome, Outcome::Failed(_)));
    json!({
        "policy": policy.record.policy.as_str(),
        "version": policy.record.version,
        "digest": policy.digest,
        "outcome": outcome(&one.outcome),
        "would": would,
    })
}

/// The reports that one batch changes, each read once.
#[derive(Default)]
struct Reports(BTreeMap<(PolicyId, u32), (ShadowReportRecord, Require)>);

impl Reports {
    async fn of(
        &mut self,
        app: &App,
        policy: &PolicyId,
        version: u32,
        now: TimeMs,
    ) -> Result<&mut ShadowReportRecord, Failure> {
        let key = (policy.clone(), version);
        if !self.0.contains_key(&key) {
            let stored = app.store.record::<ShadowReportRecord>(&Key::shadow_report(policy, version)).await?;
            let report = match stored {
                Some(stored) => (stored.value, Require::Version(stored.version)),
                None => (ShadowReportRecord::new(policy.clone(), version, now), Require::Absent),
            };
            self.0.insert(key.clone(), report);
        }
        let report = self.0.get_mut(&key).map(|(report, _)| report);
        report.ok_or_else(|| Failure::internal("a report that was read is gone"))
    }
}
