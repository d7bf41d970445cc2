//! `/v1/audit`: entries, receipts, checkpoints, the whole log. For auditors.

pub(crate) mod epochs;
pub(crate) mod record;

use std::sync::Arc;

use attorn_api::ProblemCode;
use attorn_api::audit::{Entry as EntryAnswer, EntryList, EntryReference, EntryType};
use attorn_core::DecisionId;
use attorn_log::{Entry, EntryRef, Receipt, SignedCheckpoint, export_header};
use attorn_store::records::{DecisionRecord, LogEpochRecord};
use attorn_store::{Key, PAGE_BYTES_MAX, Versioned};
use axum::body::{Body, Bytes};
use data_encoding::BASE64;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::mpsc;

use self::epochs::Damaged;
use crate::app::App;
use crate::http::call::{Call, Reply};
use crate::http::failure::{Failure, causes};
use crate::queries;
use crate::replays::read::without_record;
use crate::users::kept;

/// How many entries are looked at for one page.
const LOOKED_AT_MAX: u64 = 50_000;
/// How many entries are read at a time for an export.
const EXPORT_ENTRIES: usize = 256;

/// An entry's name, as it goes over the wire.
pub(crate) fn reference(at: &EntryRef) -> EntryReference {
    EntryReference { log_id: at.log_id.to_string(), epoch: at.epoch.0, index: at.index }
}

pub(crate) async fn list(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    if queries::is_asked(&call) {
        return queries::list(app, call).await;
    }
    let (from, limit) = (call.query::<u64>("from")?.unwrap_or(0), call.limit()?);
    Reply::ok(&queries::reading_list(&app, call.operator()?, move |app| page(app, from, limit)).await?)
}

/// The entries from an index on. One in a file that is bad keeps nobody from reading the others.
fn page(app: &App, from: u64, limit: usize) -> Result<EntryList, Failure> {
    let size = app.store.log_head()?.size;
    let (mut reader, mut damaged) = (app.store.entry_reader(), None);
    let (mut entries, mut bytes_sum, mut next) = (Vec::new(), 0, from);
    let end = size.min(from.saturating_add(LOOKED_AT_MAX));
    while next < end && entries.len() < limit && bytes_sum <= PAGE_BYTES_MAX {
        match reader.entry(next) {
            Ok(Some(bytes)) => {
                bytes_sum += bytes.len();
                entries.push(entry_answer(&parsed(&bytes)?)?);
            }
            Ok(None) => return Err(Failure::internal(format_args!("the log has no entry {next}"))),
            Err(error) if error.damage().is_some() => Damaged::add(&mut damaged, next, error),
            Err(error) => return Err(error.into()),
        }
        next += 1;
    }
    let (next, damaged) = ((next < size).then_some(next), damaged.and_then(Damaged::all));
    Ok(EntryList { entries, next, cursor: None, indexed_through: None, size, earlier: epochs::earlier(app), damaged })
}

pub(crate) async fn show(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    Reply::ok(&entry_answer(&entry(&app, &call).await?)?)
}

pub(crate) async fn receipt(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    receipt_of(&app, &call, &entry(&app, &call).await?).await
}

/// There is no such decision.
pub(crate) fn no_decision(id: DecisionId) -> Failure {
    Failure::not_found("decision", id).with_help(
        "`attorn audit list --type decision --since 24h` lists decisions, and `attorn audit show` an entry's",
    )
}

/// The receipt of the entry that records a decision.
pub(crate) async fn decision_receipt(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let id: DecisionId = call.path("decision_id")?;
    let record = match app.store.record::<DecisionRecord>(&Key::decision(&id)).await {
        // The record is not what is proved.
        Err(error) if error.damage().is_some() => return receipt_without_record(&app, &call, (id, error.into())).await,
        record => record?,
    };
    let record = record.ok_or_else(|| no_decision(id))?;
    match of_decision(&app, id, &record).await? {
        Some(OfDecision { entry, earlier: Some(known), .. }) => {
            Ok(Reply::text(epochs::receipt_of(&app, known, entry.at.index).await?))
        }
        Some(OfDecision { entry, earlier: None, .. }) => receipt_of(&app, &call, &entry).await,
        // What the record says of where its entry is, nobody signed.
        None => {
            let lost = Failure::internal(format_args!("the decision `{id}` has a record and no entry"));
            receipt_without_record(&app, &call, (id, lost)).await
        }
    }
}

/// The same, where the record cannot be read that says which entry it is: then it is looked for.
async fn receipt_without_record(
    app: &Arc<App>,
    call: &Call,
    (id, damaged): (DecisionId, Failure),
) -> Result<Reply, Failure> {
    let Some((at, _)) = without_record(app, id).await? else { return Err(damaged) };
    if let Some(known) = crate::epochs::earlier(&app.store, at.epoch).await? {
        return Ok(Reply::text(epochs::receipt_of(app, known, at.index).await?));
    }
    let entry = queries::reading_one(app, move |app| Ok(app.store.entry(at.index)?)).await?;
    receipt_of(app, call, &parsed(&entry.ok_or(damaged)?)?).await
}

/// The entry of a decision.
pub(crate) struct OfDecision {
    pub(crate) entry: Entry,
    pub(crate) body: Value,
    /// The epoch that it is in, if the log is not in that any more.
    earlier: Option<LogEpochRecord>,
}

/// The entry of a decision, in whatever epoch: of the batch that made the decision, which may have entries of other
/// things, too.
pub(crate) async fn of_decision(
    app: &Arc<App>,
    id: DecisionId,
    record: &Versioned<DecisionRecord>,
) -> Result<Option<OfDecision>, Failure> {
    for index in record.entries.clone() {
        let at = app.store.entry_ref(record.version, index);
        let earlier = crate::epochs::earlier(&app.store, at.epoch).await?;
        let entry = match &earlier {
            Some(known) => epochs::entry(app, known.clone(), index).await?,
            None => match queries::reading_one(app, move |app| Ok(app.store.entry(index)?)).await? {
                Some(bytes) => parsed(&bytes)?,
                None => continue,
            },
        };
        if let Some(body) = decides(id, &entry)? {
            return Ok(Some(OfDecision { entry, body, earlier }));
        }
    }
    Ok(None)
}

/// What an entry says, if it is that of this decision.
pub(crate) fn decides(id: DecisionId, entry: &Entry) -> Result<Option<Value>, Failure> {
    let body: Value = serde_json::from_str(entry.body.as_str()).map_err(Failure::internal)?;
    let is_it = body["decision_id"] == id.to_string() && body["type"] == EntryType::Decision.as_str();
    Ok(is_it.then_some(body))
}

async fn receipt_of(app: &Arc<App>, call: &Call, entry: &Entry) -> Result<Reply, Failure> {
    let needed = entry.at.index + 1;
    let wait = app.published.check(call.query("wait")?)?;
    let covers = |checkpoint: &Arc<SignedCheckpoint>| checkpoint.checkpoint().size >= needed;
    let checkpoint = match (wait, app.published.shown().filter(covers)) {
        (Some(wait), _) => app.published.reached(needed, wait).await?,
        // With witnesses, what they cosigned shows more than what is newer.
        (None, Some(shown)) => shown,
        (None, None) => app.published.advance(app).await?,
    };
    let (index, size) = (entry.at.index, checkpoint.checkpoint().size);
    let proof = queries::reading_one(app, move |app| Ok(app.store.inclusion_proof(index, size)?)).await?;
    Ok(Reply::text(Receipt::new(entry, proof, &checkpoint).to_string()))
}

pub(crate) async fn checkpoint(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let wait = app.published.check(call.query("wait")?)?;
    let mut checkpoint = app.published.advance(&app).await?;
    if let Some(wait) = wait {
        checkpoint = app.published.reached(checkpoint.checkpoint().size, wait).await?;
    }
    Ok(Reply::text(checkpoint.note().to_owned()))
}

pub(crate) async fn decision(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let id: DecisionId = call.path("decision_id")?;
    let record = match record::right(&app, id).await {
        Err(failure) if failure.problem.code == ProblemCode::LogDamaged => {
            return Err(record::accepted(&app, id).await?.unwrap_or(failure));
        }
        record => record?.ok_or_else(|| no_decision(id))?,
    };
    let text = kept::read_text(&app, &Key::decision(&id), record.text).await?;
    let erased = || kept::erased(format!("the user of the decision `{id}` was erased, and its record with them"));
    Ok(Reply::json_text(text.ok_or_else(erased)?.as_str().to_owned()))
}

/// The whole log as one file that can be verified without this server. It is read bit by bit while it
/// is sent, and ends at the checkpoint that it begins with.
pub(crate) async fn export(app: Arc<App>, _: Call) -> Result<Reply, Failure> {
    let checkpoint = app.published.advance(&app).await?;
    let size = checkpoint.checkpoint().size;
    let head = export_header(&app.log_signer.verifier(), &checkpoint);
    let (sender, receiver) = mpsc::channel::<Result<Bytes, std::io::Error>>(4);
    let why = |error: attorn_store::ReadError| std::io::Error::other(causes(&error));
    tokio::spawn(async move {
        let mut from = 0;
        let mut sent = sender.send(Ok(head.into())).await.is_ok();
        while sent && from < size {
            let limit = usize::try_from(size - from).unwrap_or(usize::MAX).min(EXPORT_ENTRIES);
            let reader = Arc::clone(&app);
            let read = tokio::task::spawn_blocking(move || reader.store.entries(from, limit));
            let piece = match read.await.map_err(std::io::Error::other).and_then(|read| read.map_err(why)) {
                Ok(entries) if entries.is_empty() => Err(std::io::Error::other("the log ended before its size")),
                Ok(entries) => {
                    from += entries.len() as u64;
                    Ok(entries.into_iter().flat_map(|entry| entry.bytes).collect::<Vec<u8>>().into())
                }
                Err(error) => Err(error),
            };
            if let Err(error) = &piece {
                tracing::error!(error = error as &dyn std::error::Error, entry = from, "an export ends early");
            }
            let failed = piece.is_err();
            // Nobody may be listening any more; then there is nothing to do.
            sent = sender.send(piece).await.is_ok() && !failed;
        }
    });
    let stream = futures_util::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|piece| (piece, receiver))
    });
    Ok(Reply::text(Body::from_stream(stream)))
}

async fn entry(app: &Arc<App>, call: &Call) -> Result<Entry, Failure> {
    let text = call.path.get("index").map_or("", String::as_str);
    let invalid = || Failure::of(ProblemCode::InvalidField, format!("`{}` is no index", text.escape_default()));
    let index: u64 = text.parse().map_err(|_| invalid())?;
    let found = queries::reading_one(app, move |app| Ok(app.store.entry(index)?)).await?;
    parsed(&found.ok_or_else(|| Failure::not_found("entry", index))?)
}

pub(crate) fn parsed(bytes: &[u8]) -> Result<Entry, Failure> {
    Entry::parse(bytes).map_err(Failure::internal)
}

pub(crate) fn entry_answer(entry: &Entry) -> Result<EntryAnswer, Failure> {
    Ok(EntryAnswer {
        reference: reference(&entry.at),
        body: RawValue::from_string(entry.body.as_str().to_owned()).map_err(Failure::internal)?,
        bytes: BASE64.encode(&entry.to_bytes()),
    })
}
