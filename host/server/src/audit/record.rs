//! The record of a decision, and whether it is the one that was signed: entries are, and records are not.
//!
//! Nobody is shown another one: neither an auditor nor whoever approves.

use std::sync::Arc;

use attorn_api::ProblemCode;
use attorn_core::DecisionId;
use attorn_log::EntryRef;
use attorn_store::records::{DecisionRecord, Record as _};
use attorn_store::{Key, Versioned, digest_of};
use serde_json::Value;

use super::{decides, of_decision, parsed};
use crate::app::App;
use crate::http::failure::Failure;
use crate::queries::{self, filter::Filter};

/// A record, and what its entry says.
pub(crate) struct Found {
    pub(crate) record: DecisionRecord,
    pub(crate) at: EntryRef,
    pub(crate) body: Value,
}

impl Found {
    /// Whether the record is the one that its entry names. Entries from before records had such digests name none.
    pub(crate) fn is_right(&self) -> bool {
        match &self.body["stored_digest"] {
            Value::Null => true,
            digest => *digest == digest_of(&self.record.encode()),
        }
    }
}

/// Find both; none if there is no decision of this id.
pub(crate) async fn find(app: &Arc<App>, id: DecisionId) -> Result<Option<Found>, Failure> {
    let Some(record) = app.store.record::<DecisionRecord>(&Key::decision(&id)).await? else { return Ok(None) };
    let (at, body) = entry(app, id, &record).await?;
    Ok(Some(Found { record: record.value, at, body }))
}

/// The record, if it is the one that its entry names.
pub(crate) async fn right(app: &Arc<App>, id: DecisionId) -> Result<Option<DecisionRecord>, Failure> {
    let Some(found) = find(app, id).await? else { return Ok(None) };
    if found.is_right() {
        return Ok(Some(found.record));
    }
    let detail = format!("the record of the decision `{id}` is not the one that entry {} names", found.at.index);
    Err(Failure::of(ProblemCode::LogDamaged, detail).with_help(
        "somebody wrote to the data directory: the entry is right if the log proves (`attorn audit verify`), and a backup \
         from before may have the record",
    ))
}

/// What is said of a record that is lost where somebody has accepted that: it is no damage any more. None of any other.
pub(crate) async fn accepted(app: &App, id: DecisionId) -> Result<Option<Failure>, Failure> {
    let Some(at) = app.store.lost_accepted_at(&id).await? else { return Ok(None) };
    let detail = format!("the record of the decision `{id}` is lost, which was accepted at {at}");
    Ok(Some(Failure::of(ProblemCode::RecordLost, detail).with_help(
        "`attorn audit list --type records_lost` lists what was accepted; whoever finds the file puts it back into `records/`, \
         where it has the same name",
    )))
}

/// The entry. A record that was written once more is found by what the log says of it.
async fn entry(
    app: &Arc<App>,
    id: DecisionId,
    record: &Versioned<DecisionRecord>,
) -> Result<(EntryRef, Value), Failure> {
    if let Some(found) = of_decision(app, id, record).await? {
        return Ok((found.entry.at, found.body));
    }
    let everywhere = 0..app.store.log_head()?.size;
    let (entries, _) = queries::decisions(app, Filter::about_decision(id), everywhere, 1).await?;
    for stored in entries {
        let entry = parsed(&stored.bytes)?;
        if let Some(body) = decides(id, &entry)? {
            return Ok((entry.at, body));
        }
    }
    let help = "its record was written once more, and the log does not have it in this epoch: `attorn audit list --epoch` \
                searches an earlier one";
    Err(Failure::not_found("entry of the decision", id).with_help(help))
}
