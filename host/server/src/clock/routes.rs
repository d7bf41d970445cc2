//! `/v1/clock`: how the clocks stand, and an operator who accepts what the wall clock says.
//!
//! Where it stands ahead, time goes forward: what lives by time ends early, and nothing lives longer. Where it stands
//! behind, time is set back, and so that nothing lives longer by that, all grants and delegations from before end in
//! the same write, and no proof and no assertion from before counts a second time.

use std::sync::Arc;

use attorn_api::ProblemCode;
use attorn_api::clock as api;
use attorn_store::records::ClockRecord;
use attorn_store::{Batch, Key, Require};
use serde_json::json;

use super::{Reading, Stand};
use crate::app::App;
use crate::entry;
use crate::http::call::{Call, OperatorCaller, Reply};
use crate::http::failure::Failure;
use crate::registry::{commit, moved, note};

pub(crate) async fn show(app: Arc<App>, _: Call) -> Result<Reply, Failure> {
    Reply::ok(&shown(app.clock.reading()))
}

pub(crate) async fn accept(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let (operator, wire): (_, api::AcceptClock) = (call.operator()?, call.json()?);
    note("reason", wire.reason.as_deref())?;
    // Nobody who lives by time is half way through a request.
    let _era = app.era.write().await;
    let reading = app.clock.reading();
    match (wire.stands, reading.stand()) {
        (api::Stands::Ahead, Stand::Ahead(_)) => forward(&app, operator, &wire, reading).await?,
        (api::Stands::Behind, Stand::Behind(_)) => back(&app, operator, &wire, reading).await?,
        (_, stand) => return Err(otherwise(stand)),
    }
    Reply::ok(&shown(app.clock.reading()))
}

/// Whoever accepts says what they saw, since the two mean different things.
fn otherwise(stand: Stand) -> Failure {
    let stands = match stand {
        Stand::Agrees => "agrees with",
        Stand::Ahead(_) => "stands ahead of",
        Stand::Behind(_) => "stands behind",
    };
    Failure::of(ProblemCode::InvalidState, format!("the wall clock {stands} the server's time"))
        .with_help("`attorn clock show` says how it stands")
}

async fn forward(
    app: &App,
    operator: &OperatorCaller,
    wire: &api::AcceptClock,
    reading: Reading,
) -> Result<(), Failure> {
    commit(app, batch(operator, wire, reading)?, moved).await?;
    app.clock.go_on_at(reading.wall);
    Ok(())
}

async fn back(app: &App, operator: &OperatorCaller, wire: &api::AcceptClock, reading: Reading) -> Result<(), Failure> {
    let mut batch = batch(operator, wire, reading)?;
    let earlier = app.store.record::<ClockRecord>(&Key::clock()).await?;
    let version = earlier.as_ref().map_or(Require::Absent, |earlier| Require::Version(earlier.version));
    batch.require.push((Key::clock(), version));
    let from = reading.server.max(earlier.map_or(reading.server, |earlier| earlier.value.from));
    batch.put_record(&ClockRecord { by: operator.id.clone(), at: reading.wall, from });
    // Also if nothing is recorded after all: then clients fetch another nonce.
    app.nonces.renew().map_err(Failure::internal)?;
    let committed = commit(app, batch, moved).await?;
    app.clock.end_before(committed.version);
    app.clock.go_on_at(reading.wall);
    app.replay.set_back(reading.wall);
    app.assertions.set_back(reading.server, reading.wall);
    // What is remembered with a time would be kept for longer than was meant.
    app.providers.forget();
    app.pauses.forget();
    Ok(())
}

/// The entry is the first at the time that is accepted.
fn batch(operator: &OperatorCaller, wire: &api::AcceptClock, reading: Reading) -> Result<Batch, Failure> {
    let mut batch = Batch::new(reading.wall);
    let about = json!({ "stood": wire.stands, "from_ms": reading.server.0, "reason": wire.reason });
    entry::act(&mut batch, operator, "clock_accepted", about)?;
    Ok(batch)
}

fn shown(reading: Reading) -> api::ClockShown {
    let stands = match reading.stand() {
        Stand::Agrees => None,
        Stand::Ahead(_) => Some(api::Stands::Ahead),
        Stand::Behind(_) => Some(api::Stands::Behind),
    };
    let apart_ms = reading.wall.0.abs_diff(reading.server.0);
    api::ClockShown { server_ms: reading.server.0, wall_ms: reading.wall.0, apart_ms, stands }
}
