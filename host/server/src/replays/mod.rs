//! `POST /v1/replays`: a recorded decision, decided again from its record ([`again`]); and history under other policies
//! ([`history`]).
//!
//! What is compared is what each policy said, whole, and what it came to: the policies run again with the context,
//! facts and counters that were recorded, and what they say is combined by the rule that decides. Which policies were
//! in force then is as it was recorded, and bounds are not checked again: what they looked at is not in the record.
//!
//! INVARIANT: nothing comes of a replay but its answer and the entry that says who asked for it. No grant, charge or
//! approval is made: what decides again, `attorn_core::Again`, yields nothing that a grant could be made of.

mod again;
mod answer;
pub(crate) mod history;
pub(crate) mod read;
mod run;
mod sets;
mod then;
mod wire;

use std::sync::Arc;

use attorn_api::audit::EntryType;
use attorn_api::replays::{Engines, Replay, ReplayRequest};
use attorn_core::DecisionId;
use attorn_store::Batch;
use serde_json::json;

use crate::app::App;
use crate::audit;
use crate::entry;
use crate::http::call::{Call, OperatorCaller, Reply};
use crate::http::failure::Failure;
use crate::loads::LoadAsk;
use crate::registry::{commit, moved};
use again::Replayed;
use read::Decided;
pub(crate) use run::Replays;

pub(crate) async fn create(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    app.ensure_ready()?;
    let wire: ReplayRequest = call.json()?;
    let id: DecisionId = wire.decision_id.parse()?;
    let _turn = app.replays.turn().await?;
    let decided = read::read(&app, id, None).await?.ok_or_else(|| audit::no_decision(id))?;
    let replayed = again::of(&app, &decided, &LoadAsk::of(&call)?).await?;
    Reply::ok(&answer(&app, call.operator()?, &decided, replayed).await?)
}

async fn answer(
    app: &App,
    operator: &OperatorCaller,
    decided: &Decided,
    replayed: Replayed,
) -> Result<Replay, Failure> {
    let Replayed { comparison, said, policies, missing, engine: recorded } = replayed;
    let mut batch = Batch::new(app.clock.now());
    let about = json!({ "decision_id": decided.id.to_string(), "comparison": comparison.as_str() });
    entry::act(&mut batch, operator, EntryType::Replay, about)?;
    let committed = commit(app, batch, moved).await?;
    let now = answer::engine_now(app);
    Ok(Replay {
        decision_id: decided.id.to_string(),
        comparison,
        recorded: decided.said(),
        replayed: said,
        policies,
        missing,
        engine: Engines { same: recorded.as_ref() == Some(&now), recorded, now },
        decided: crate::audit::reference(&decided.at),
        entry: crate::audit::reference(committed.entry().map_err(Failure::internal)?),
    })
}
