//! `POST /v1/decisions`: the way of a request, whole, in [`decide`]. Tokens are asked for on the same way.
//!
//! Authentication has happened before (`http::access`), and the credential is issued from nothing but
//! a grant that the store has recorded (`answer`).

mod answer;
pub(crate) mod ask;
pub(crate) mod behalf;
pub(crate) mod charge;
pub(crate) mod digests;
pub(crate) mod evaluate;
#[cfg(test)]
pub(crate) mod fixtures;
pub(crate) mod gather;
mod in_record;
pub(crate) mod known;
mod observe;
pub(crate) mod pause;
pub(crate) mod record;
pub(crate) mod rehearse;
pub(crate) mod shadow;
pub(crate) mod veil;

use std::sync::Arc;
use std::time::Instant;

use attorn_api::ProblemCode;
use attorn_api::decisions::DecisionAnswer;
use attorn_api::json::parse_body;
use attorn_core::{Decision, Denied, Grant};
use attorn_store::{CommitError, Recorded};
use tracing::{Instrument as _, Span};

use crate::app::App;
use crate::http::call::{Call, Reply};
use crate::http::failure::Failure;
use crate::metrics::Conflict;
use crate::{approvals, leases, random};
use ask::{Ask, Wanted};
use gather::{Gathered, gather};
pub(crate) use in_record::charge_in_record;

/// How often a decision is made anew because what it rests on changed meanwhile.
const ATTEMPTS_MAX: usize = 4;

pub(crate) async fn create(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    app.ensure_ready()?;
    let wait = app.published.check(call.query("wait")?)?;
    let wanted = ask::wanted(parse_body(&call.body)?)?;
    let answer = made(&app, &call, wanted).await?;
    if let Some(wait) = wait {
        app.published.reached(answer.entry.index + 1, wait).await.map_err(made_all_the_same)?;
    }
    Reply::ok(&answer)
}

/// A decision that was made counts, whatever its answer waited for.
fn made_all_the_same(failure: Failure) -> Failure {
    if failure.problem.code != ProblemCode::Timeout {
        return failure;
    }
    let Failure { mut problem, .. } = failure;
    problem.detail.push_str("; the decision is made and recorded");
    Failure { problem, ..failure }
        .with_help("ask again with the same `Idempotency-Key`, if there was one: the recorded decision comes back")
}

/// The decision on what an agent asks that was authenticated with this call, wherever it asks.
pub(crate) async fn made(app: &App, call: &Call, wanted: Wanted) -> Result<DecisionAnswer, Failure> {
    made_onward(app, call, wanted).await.map(|(answer, _)| answer)
}

/// The same, with the grant where something is to be done for it: where what is wanted goes on to a target.
pub(crate) async fn made_onward(
    app: &App,
    call: &Call,
    wanted: Wanted,
) -> Result<(DecisionAnswer, Option<Recorded<Grant>>), Failure> {
    let ask = Ask::of(app, call, wanted)?;
    let span = tracing::debug_span!("decision", decision_id = tracing::field::Empty, agent = %ask.agent);
    decide(app, &ask).instrument(span).await
}

/// Decide: gather what the decision rests on, check the bounds, ask the policies, decide, commit
/// decision, grant and audit entry together, and only then issue.
pub(crate) async fn decide(app: &App, ask: &Ask) -> Result<(DecisionAnswer, Option<Recorded<Grant>>), Failure> {
    let (began, decision) = (Instant::now(), random::decision_id()?);
    let (mut exceeded, mut turn) = (None, None);
    for attempt in 1..=ATTEMPTS_MAX {
        // However often the policies change, they cannot keep a decision from being made.
        let mut held = if attempt == ATTEMPTS_MAX { Some(app.active.hold().await) } else { None };
        let gathered = match gather(app, ask).await? {
            Gathered::Earlier(earlier) => return Ok((answer::again(app, ask, *earlier).await?, None)),
            Gathered::Now(gathered) => gathered,
        };
        if attempt == 1 {
            Span::current().record("decision_id", tracing::field::display(&decision));
        }
        let now = app.clock.now();
        let bounds = gathered.check(now, app.limits);
        let mut made = match &bounds {
            Err(reason) => record::Made::by_bounds(now, Decision::Deny(Denied::by_host(*reason))),
            Ok(within) => evaluate::decide(app, (ask, &gathered), within, decision).await?,
        };
        observe::evaluated(&made);
        // Nobody waits for a target while the policies in force are held as they are.
        let waits = held.is_none();
        let wanted = (ask, gathered.credential.as_ref());
        let place = leases::place::of(app, wanted, &made, (&mut turn, waits)).await?;
        // Once more only when a counter has no room: the second decision is a deny, which charges nothing.
        for _ in 0..2 {
            let (veiled, within) = ((&*gathered, gathered.veil(app)), bounds.as_ref().ok());
            let recording = record::batch(ask, veiled, within, &made, decision, place.as_ref())?;
            match app.store.commit_recorded(recording.batch, recording.grant).await {
                Ok(recorded) => {
                    // What comes now may take as long as the target does.
                    drop(held.take());
                    observe::decided(app, &made, decision, began).await;
                    if let Some((asked, page)) = made.approval.asked() {
                        app.webhooks.asked(app, asked, page);
                    }
                    let lease = recording.lease.zip(place);
                    let answer = answer::first(app, (ask, &gathered), &made, decision, (recorded, lease)).await;
                    app.shadows.later(app, *gathered, made, decision);
                    return answer;
                }
                Err(CommitError::Conflict(_)) => {
                    app.metrics.conflict(Conflict::Changed);
                    // Catching up may have to change the set, which nobody can who keeps it as it is.
                    drop(held.take());
                    app.active.catch_up(&app.store, &app.engine).await?;
                    break;
                }
                Err(CommitError::LimitExceeded { key, .. }) if approvals::step::too_many(&mut made, &key) => {}
                Err(CommitError::LimitExceeded { key, found }) => {
                    if let Some(full) = leases::place::full(&key) {
                        return Err(full);
                    }
                    app.metrics.conflict(Conflict::Limit);
                    let before = exceeded.take();
                    exceeded = charge::exceeded(&made, key, found);
                    match exceeded.as_ref().filter(|limit| limit.is_final(&made, before.as_ref())) {
                        Some(limit) => made.deny_at(limit.clone()),
                        None => break,
                    }
                }
                Err(other) => return Err(other.into()),
            }
        }
    }
    let detail = format!("what the decision rests on changed {ATTEMPTS_MAX} times while it was made");
    Err(Failure::of(ProblemCode::Contention, detail).with_help("ask again"))
}
