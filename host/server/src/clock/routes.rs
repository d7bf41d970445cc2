//! `/v1/clock`: how the clocks stand, and an operator who accepts what the wall clock says.
//!
//! Where it stands ahead, time goes forward: what lives by time ends early, and nothing lives longer. Where it stands
//! behind, time is set back, and so that nothing lives longer by that, all grants and delegations from before end in
//! the same write, and no proof and no assertion from before counts a second time. After either, no token of a user's
//! that was issued before is exchanged.

use std::sync::Arc;

use attorn_api::ProblemCode;
use attorn_api::audit::EntryType;
use attorn_api::clock as api;
use attorn_store::records::SetBackRecord;
use attorn_store::{Batch, Key, Require};
use serde_json::json;

use super::{DRIFT_MS_MAX, Reading, Stand};
use crate::app::App;
use crate::entry;
use crate::http::call::{Call, OperatorCaller, Reply};
use crate::http::failure::Failure;
use crate::registry::{commit, moved, note};

pub(crate) async fn show(app: Arc<App>, _: Call) -> Result<Reply, Failure> {
    Reply::ok(&shown(&app))
}

pub(crate) async fn accept(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let (operator, wire): (_, api::AcceptClock) = (call.operator()?, call.json()?);
    note("reason", wire.reason.as_deref())?;
    // Nobody who lives by time is half way through a request.
    let _era = app.era.write().await;
    let reading = app.clock.reading();
    as_seen(&wire, reading)?;
    match wire.stands {
        api::Stands::Ahead => forward(&app, operator, &wire, reading).await?,
        api::Stands::Behind => back(&app, operator, &wire, reading).await?,
    }
    Reply::ok(&shown(&app))
}

/// Whoever accepts says what they saw: the two ways mean different things, and nobody takes six seconds for a year.
fn as_seen(wire: &api::AcceptClock, reading: Reading) -> Result<(), Failure> {
    let otherwise = |detail: String| {
        Err(Failure::of(ProblemCode::InvalidState, detail).with_help("`attorn clock show` says how it stands"))
    };
    let ms = match (wire.stands, reading.stand()) {
        (api::Stands::Ahead, Stand::Ahead(ms)) | (api::Stands::Behind, Stand::Behind(ms)) => ms,
        (_, Stand::Agrees) => return otherwise("the wall clock agrees with the server's time".into()),
        (_, Stand::Ahead(_)) => return otherwise("the wall clock stands ahead of the server's time".into()),
        (_, Stand::Behind(_)) => return otherwise("the wall clock stands behind the server's time".into()),
    };
    if ms.abs_diff(wire.apart_ms) > DRIFT_MS_MAX {
        return otherwise(format!("the wall clock stands {ms} ms from the server's time, and not `{}`", wire.apart_ms));
    }
    Ok(())
}

async fn forward(
    app: &App,
    operator: &OperatorCaller,
    wire: &api::AcceptClock,
    reading: Reading,
) -> Result<(), Failure> {
    let mut batch = batch(operator, wire, reading)?;
    let mark = app.clock.forward(reading.wall);
    batch.put_record(&mark);
    commit(app, batch, moved).await?;
    app.clock.go_on_from(mark);
    Ok(())
}

async fn back(app: &App, operator: &OperatorCaller, wire: &api::AcceptClock, reading: Reading) -> Result<(), Failure> {
    let mut batch = batch(operator, wire, reading)?;
    let earlier = app.store.record::<SetBackRecord>(&Key::clock()).await?;
    let version = earlier.as_ref().map_or(Require::Absent, |earlier| Require::Version(earlier.version));
    batch.require.push((Key::clock(), version));
    let (mark, eras) =
        app.clock.back(reading.wall, earlier.as_ref().map_or(&[][..], |earlier| &earlier.value.eras[..]));
    batch.put_record(&mark);
    batch.put_record(&SetBackRecord { by: operator.id.clone(), at: reading.wall, eras: eras.clone() });
    // Also if nothing is recorded after all: then clients fetch another nonce.
    app.nonces.renew().map_err(Failure::internal)?;
    let committed = commit(app, batch, moved).await?;
    app.clock.end_before(committed.version);
    app.clock.go_on_from(mark);
    app.replay.forget_all();
    app.assertions.set_back(reading.wall, eras);
    // What is remembered with a time would be kept for longer than was meant.
    app.providers.forget();
    app.pauses.forget();
    Ok(())
}

/// The entry is the first at the time that is accepted.
fn batch(operator: &OperatorCaller, wire: &api::AcceptClock, reading: Reading) -> Result<Batch, Failure> {
    let mut batch = Batch::new(reading.wall);
    let about = json!({ "stood": wire.stands, "from_ms": reading.server.0, "to_ms": reading.wall.0,
        "reason": wire.reason });
    entry::act(&mut batch, operator, EntryType::ClockAccepted, about)?;
    Ok(batch)
}

fn shown(app: &App) -> api::ClockShown {
    let reading = app.clock.reading();
    let stands = match reading.stand() {
        Stand::Agrees => None,
        Stand::Ahead(_) => Some(api::Stands::Ahead),
        Stand::Behind(_) => Some(api::Stands::Behind),
    };
    let apart_ms = reading.wall.0.abs_diff(reading.server.0);
    let closed = app.assertions.closed().into_iter().filter(|span| span.until >= reading.server);
    let assertions_refused =
        closed.map(|span| api::TimeSpan { from_ms: span.from.0, until_ms: span.until.0 }).collect();
    api::ClockShown { server_ms: reading.server.0, wall_ms: reading.wall.0, apart_ms, stands, assertions_refused }
}
