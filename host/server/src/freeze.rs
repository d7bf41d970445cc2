//! `/v1/freeze` and `/v1/thaw`: one durable write, after which nothing is allowed, used or delegated until somebody
//! with another duty thaws the server. Every decision's commit names whether there is a freeze.

use std::sync::Arc;

use attorn_api::ProblemCode;
use attorn_api::audit::EntryType;
use attorn_api::users as api;
use attorn_store::records::FreezeRecord;
use attorn_store::{Batch, Key, Require};
use serde_json::json;

use crate::app::App;
use crate::entry;
use crate::http::call::{Call, Reply};
use crate::http::failure::Failure;
use crate::registry::{commit, moved, note};

pub(crate) async fn freeze(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let (operator, wire): (_, api::ChangeFreeze) = (call.operator()?, call.json()?);
    note("reason", wire.reason.as_deref())?;
    let by = operator.id.clone().ok_or_else(|| Failure::internal("the bootstrap token reached a freeze"))?;
    let mut batch = Batch::new(app.clock.now());
    let record = FreezeRecord { by, at: batch.now, reason: wire.reason };
    entry::act(&mut batch, operator, EntryType::Frozen, json!({ "reason": record.reason }))?;
    batch.require.push((Key::freeze(), Require::Absent));
    batch.put_record(&record);
    commit(&app, batch, || Failure::of(ProblemCode::InvalidState, "the server is frozen already")).await?;
    Reply::ok(&shown(Some(&record)))
}

pub(crate) async fn thaw(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let (operator, wire): (_, api::ChangeFreeze) = (call.operator()?, call.json()?);
    note("reason", wire.reason.as_deref())?;
    let found = app.store.record::<FreezeRecord>(&Key::freeze()).await?;
    let found = found.ok_or_else(|| Failure::of(ProblemCode::InvalidState, "the server is not frozen"))?;
    let mut batch = Batch::new(app.clock.now());
    entry::act(&mut batch, operator, EntryType::Thawed, json!({ "reason": wire.reason }))?;
    batch.require.push((Key::freeze(), Require::Version(found.version)));
    batch.delete.push(Key::freeze());
    commit(&app, batch, moved).await?;
    Reply::ok(&shown(None))
}

pub(crate) async fn show(app: Arc<App>, _: Call) -> Result<Reply, Failure> {
    let found = app.store.record::<FreezeRecord>(&Key::freeze()).await?;
    Reply::ok(&shown(found.map(|found| found.value).as_ref()))
}

fn shown(record: Option<&FreezeRecord>) -> api::Freeze {
    api::Freeze {
        frozen: record.is_some(),
        by: record.map(|record| record.by.to_string()),
        since_ms: record.map(|record| record.at.0),
        reason: record.and_then(|record| record.reason.clone()),
    }
}
