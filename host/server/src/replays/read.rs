//! Reading a decision to be decided again: its entry, and its record if that is there and is what the log says.
//!
//! What an erased user's key sealed is gone, and what was altered is not looked into: its digest stands in the entry.

use std::sync::Arc;

use attorn_api::replays::{ReasonCode, Said};
use attorn_core::reason::HostReason;
use attorn_core::{DecisionId, DecisionKind};
use attorn_log::EntryRef;
use attorn_store::records::{DecisionRecord, Kept};
use attorn_store::{Key, Versioned};
use serde_json::Value;

use super::then::Then;
use super::wire::RecordWire;
use crate::app::App;
use crate::audit;
use crate::http::failure::Failure;
use crate::queries::{self, filter::Filter};
use crate::users::kept;

/// A decision as the log has it.
pub(crate) struct Decided {
    pub(crate) id: DecisionId,
    pub(crate) at: EntryRef,
    pub(crate) body: Value,
    pub(crate) kind: DecisionKind,
    pub(crate) record: Read,
}

/// The record of a decision.
pub(crate) enum Read {
    /// Policies were asked.
    Asked(Box<Then>),
    /// A bound denied.
    Bound,
    /// Too many policies or facts were asked for, so that none was asked.
    TooMuch,
    /// The user was erased.
    Erased,
    /// It is not what the log says, and how.
    Altered(&'static str),
}

impl Decided {
    /// What was decided, and why, as the log has it.
    pub(crate) fn said(&self) -> Said {
        let reason = |reason: &Value| ReasonCode {
            code: reason["code"].as_str().unwrap_or_default().to_owned(),
            policy: reason["policy"].as_str().map(str::to_owned),
        };
        let reasons = self.body["reasons"].as_array().into_iter().flatten().map(reason).collect();
        Said { decision: super::answer::kind(self.kind), reasons }
    }

    /// A member of the entry, as text.
    pub(crate) fn text(&self, pointer: &str) -> String {
        self.body.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
    }
}

/// Read a decision; none if there is none of this id.
pub(crate) async fn read(app: &Arc<App>, id: DecisionId) -> Result<Option<Decided>, Failure> {
    let Some(record) = app.store.record::<DecisionRecord>(&Key::decision(&id)).await? else { return Ok(None) };
    let (at, body) = entry(app, id, &record).await?;
    let kind = body["decision"].as_str().unwrap_or_default();
    let kind = DecisionKind::ALL.iter().find(|one| one.as_str() == kind);
    let kind = *kind.ok_or_else(|| Failure::internal(format_args!("the entry of `{id}` decides nothing")))?;
    let record = opened(app, id, record.value, &body).await?;
    Ok(Some(Decided { id, at, body, kind, record }))
}

/// The entry. A record that was written once more is found by what the log says of it.
async fn entry(
    app: &Arc<App>,
    id: DecisionId,
    record: &Versioned<DecisionRecord>,
) -> Result<(EntryRef, Value), Failure> {
    if let Some(found) = audit::of_decision(app, id, record).await? {
        return Ok((found.entry.at, found.body));
    }
    let everywhere = 0..app.store.log_head()?.size;
    let (entries, _) = queries::decisions(app, Filter::about_decision(id), everywhere, 1).await?;
    for stored in entries {
        let entry = audit::parsed(&stored.bytes)?;
        if let Some(body) = audit::decides(id, &entry)? {
            return Ok((entry.at, body));
        }
    }
    let help = "its record was written once more, and the log does not have it in this epoch: `attorn audit list --epoch` \
                searches an earlier one";
    Err(Failure::not_found("entry of the decision", id).with_help(help))
}

async fn opened(app: &App, id: DecisionId, record: DecisionRecord, entry: &Value) -> Result<Read, Failure> {
    let place = Key::decision(&id);
    let text = match record.text {
        Kept::Plain(text) => text.as_str().to_owned(),
        Kept::Sealed { user, sealed } => {
            let Some(key) = kept::key(app, &user).await? else { return Ok(Read::Erased) };
            let Ok(bytes) = key.open(&place.to_string(), &sealed.0) else {
                return Ok(Read::Altered("it does not open with the key that sealed it"));
            };
            let Ok(text) = String::from_utf8(bytes.to_vec()) else { return Ok(Read::Altered("it is no text")) };
            text
        }
    };
    if entry["record_digest"] != blake3::hash(text.as_bytes()).to_hex().as_str() {
        return Ok(Read::Altered("its digest is not the one that its entry has"));
    }
    let wire: RecordWire = serde_json::from_str(&text).map_err(Failure::internal)?;
    Ok(match Then::of(wire)? {
        Some(then) => Read::Asked(Box::new(then)),
        None if is_too_much(entry) => Read::TooMuch,
        None => Read::Bound,
    })
}

fn is_too_much(entry: &Value) -> bool {
    let too_much = [HostReason::TooManyPolicies, HostReason::TooManyFacts].map(HostReason::code);
    let mut codes = entry["reasons"].as_array().into_iter().flatten().filter_map(|reason| reason["code"].as_str());
    codes.any(|code| too_much.contains(&code))
}
