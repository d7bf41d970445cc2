//! Reading a decision to be decided again: its entry, and its record if that is there and is what the log says.
//! Without a record the entry still tells what was decided, so a file that is lost keeps nobody from the others.
//!
//! What an erased user's key sealed is gone, and what was altered is not looked into: its digest stands in the entry.

use std::sync::Arc;

use attorn_api::ProblemCode;
use attorn_api::replays::{ReasonCode, Said};
use attorn_core::reason::HostReason;
use attorn_core::{DecisionId, DecisionKind};
use attorn_log::EntryRef;
use attorn_store::records::{DecisionRecord, Kept};
use attorn_store::{Key, StoredEntry};
use serde_json::Value;

use super::then::Then;
use super::wire::RecordWire;
use crate::app::App;
use crate::audit;
use crate::audit::record::{self, Found};
use crate::http::failure::Failure;
use crate::queries;
use crate::queries::filter::Filter;
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
    /// The file that it was in is missing, and which.
    Missing(String),
    /// The file that it is in is not what was written, and which.
    Damaged(String),
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

/// What names a decision's entry, and what it says.
pub(crate) type Place = (EntryRef, Value);

/// Read a decision, of which the entry may be known; none if there is none of this id.
pub(crate) async fn read(app: &Arc<App>, id: DecisionId, known: Option<Place>) -> Result<Option<Decided>, Failure> {
    let found = match record::find(app, id).await {
        Err(failure) if failure.problem.code == ProblemCode::LogDamaged => {
            let Some(bad) = bad(app, id).await else { return Err(failure) };
            let place = match known {
                None => without_record(app, id).await?,
                known => known,
            };
            let (at, body) = place.ok_or(failure)?;
            return Ok(Some(Decided { id, at, kind: kind(id, &body)?, body, record: bad }));
        }
        found => found?,
    };
    let Some(found) = found else { return Ok(None) };
    let (is_right, Found { record, at, body }) = (found.is_right(), found);
    let record = if is_right {
        opened(app, id, record, &body).await?
    } else {
        Read::Altered("it is not the one that its entry names")
    };
    Ok(Some(Decided { id, at, kind: kind(id, &body)?, body, record }))
}

fn kind(id: DecisionId, body: &Value) -> Result<DecisionKind, Failure> {
    let said = body["decision"].as_str().unwrap_or_default();
    let kind = DecisionKind::ALL.iter().find(|one| one.as_str() == said);
    kind.copied().ok_or_else(|| Failure::internal(format_args!("the entry of `{id}` decides nothing")))
}

/// What is wrong with the file of a record; none if that is not what is.
async fn bad(app: &App, id: DecisionId) -> Option<Read> {
    let error = app.store.get(&Key::decision(&id)).await.err()?;
    let what = error.damage()?.to_owned();
    Some(if error.is_missing() { Read::Missing(what) } else { Read::Damaged(what) })
}

/// The entry of a decision whose record does not say where it is.
pub(crate) async fn without_record(app: &Arc<App>, id: DecisionId) -> Result<Option<Place>, Failure> {
    let everywhere = 0..app.store.log_head()?.size;
    let (entries, _) = queries::decisions(app, Filter::about_decision(id), everywhere, 1).await?;
    if let Some(found) = decided_in(id, &entries)? {
        return Ok(Some(found));
    }
    for one in app.store.earlier_epochs().iter().rev() {
        let mut from = Some(0);
        while let Some(begin) = from {
            let Some(known) = crate::epochs::earlier(&app.store, one.epoch).await? else { break };
            let within = (begin..u64::MAX, 1);
            let page = match audit::epochs::decisions(app, known, Filter::about_decision(id), within).await {
                // An epoch that is not kept, or is damaged, keeps nobody from the others.
                Err(failure) if matches!(failure.problem.code, ProblemCode::NotFound | ProblemCode::LogDamaged) => {
                    break;
                }
                page => page?,
            };
            if let Some(found) = decided_in(id, &page.entries)? {
                return Ok(Some(found));
            }
            from = page.next;
        }
    }
    Ok(None)
}

fn decided_in(id: DecisionId, entries: &[StoredEntry]) -> Result<Option<Place>, Failure> {
    for stored in entries {
        let entry = audit::parsed(&stored.bytes)?;
        if let Some(body) = audit::decides(id, &entry)? {
            return Ok(Some((entry.at, body)));
        }
    }
    Ok(None)
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
