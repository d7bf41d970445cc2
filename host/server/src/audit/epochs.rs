//! `/v1/audit/epochs`: the epochs of the log, and the entries of those that have ended, which are read from the exports
//! that were kept of them.
//!
//! An export has no index, so whoever asks for an entry has those before it read, too; that is done on the threads of
//! queries, fewer at a time than those of the epoch that the log is in, which wait for none of it. Of the epoch that
//! the log is in the same routes answer as those without a number.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::fs::File;
use std::io::{BufReader, ErrorKind};
use std::sync::Arc;

use attorn_api::ProblemCode;
use attorn_api::audit::{EarlierEpoch, EntryList, LogEpoch, LogEpochEnd, LogEpochList};
use attorn_log::tree::{inclusion_proof, leaf_hash};
use attorn_log::{Entry, Epoch, ExportReader, Hash, NodeId, Receipt, TreeBuilder};
use attorn_store::records::{EpochEnd, LogEpochRecord};
use axum::body::Body;

use super::{entry_answer, parsed};
use crate::app::App;
use crate::epochs::{self, export_path};
use crate::http::call::{Call, Reply};
use crate::http::failure::{Failure, causes};
use crate::published;
use crate::queries::filter::Filter;
use crate::queries::{self, reading_ended, terms};
use crate::streamed::streamed;

/// How many entries are looked at for one page, beyond those that are only passed over.
const LOOKED_AT_MAX: u64 = 50_000;
/// After how many bytes a page takes no further entry.
const BYTES_MAX: usize = 4 << 20;

/// The epochs that have ended, for a list of the entries of the one that has not.
pub(crate) fn earlier(app: &App) -> Vec<EarlierEpoch> {
    app.store.earlier_epochs().iter().map(|one| EarlierEpoch { epoch: one.epoch.0, size: one.size }).collect()
}

pub(crate) async fn list(app: Arc<App>, _: Call) -> Result<Reply, Failure> {
    let mut all = Vec::new();
    for one in app.store.earlier_epochs() {
        let Some(known) = epochs::earlier(&app.store, one.epoch).await? else { continue };
        let ended = match known.ended {
            EpochEnd::Restored => LogEpochEnd::Restored,
            EpochEnd::KeyRotated => LogEpochEnd::KeyRotated,
            EpochEnd::KeyCompromised => LogEpochEnd::KeyCompromised,
        };
        all.push(LogEpoch {
            epoch: one.epoch.0,
            size: one.size,
            key: known.key.to_string(),
            checkpoint: Some(known.checkpoint),
            ended: Some(ended),
            ended_at_ms: Some(known.at.0),
        });
    }
    let head = app.store.log_head()?;
    all.push(LogEpoch {
        epoch: head.epoch.0,
        size: head.size,
        key: app.log_signer.verifier().to_string(),
        checkpoint: None,
        ended: None,
        ended_at_ms: None,
    });
    Reply::ok(&LogEpochList { epochs: all })
}

pub(crate) async fn entries(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let Some(known) = asked_for(&app, &call).await? else { return super::list(app, call).await };
    let filtered = queries::is_asked(&call);
    let filter = if filtered { Some(Filter::of(&app, &call, &["from", "limit"]).await?) } else { None };
    let (from, limit) = (call.query::<u64>("from")?.unwrap_or(0), call.limit()?);
    let page = reading_ended(&app, move |app| page(app, &known, (from, limit), filter.as_ref())).await?;
    Reply::ok(&page)
}

pub(crate) async fn show(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    match asked_for(&app, &call).await? {
        None => super::show(app, call).await,
        Some(known) => Reply::ok(&entry_answer(&entry(&app, known, index(&call)?).await?)?),
    }
}

pub(crate) async fn receipt(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    match asked_for(&app, &call).await? {
        None => super::receipt(app, call).await,
        Some(known) => {
            let index = index(&call)?;
            Ok(Reply::text(receipt_of(&app, known, index).await?))
        }
    }
}

/// The whole epoch as one file. It is sent as it was written, and whoever gets it verifies it.
pub(crate) async fn export(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let Some(known) = asked_for(&app, &call).await? else { return super::export(app, call).await };
    let file = File::open(export_path(&app.config.data_dir, known.epoch())).map_err(|error| lost(&known, &error))?;
    Ok(Reply::text(Body::from_stream(streamed(file))))
}

/// An entry of an epoch that has ended.
pub(super) async fn entry(app: &Arc<App>, known: LogEpochRecord, index: u64) -> Result<Entry, Failure> {
    reading_ended(app, move |app| {
        let mut kept = Kept::open(app, known)?;
        while let Some(at) = kept.read_next()? {
            if at == index {
                return kept_entry(&kept.known, index, &kept.bytes);
            }
        }
        Err(Failure::not_found("entry", format_args!("{}/{index}", kept.known.epoch())))
    })
    .await
}

/// The receipt of an entry of an epoch that has ended: under the checkpoint that witnesses cosigned, where that counts
/// it, and otherwise under the one with which the epoch ended. After a restore there may be one that witnesses cosigned
/// of more entries than the backup had: then nothing is left that it could be shown of.
pub(super) async fn receipt_of(app: &Arc<App>, known: LogEpochRecord, index: u64) -> Result<String, Failure> {
    reading_ended(app, move |app| {
        let ended = known.key.verify(known.checkpoint.as_bytes()).map_err(Failure::internal)?;
        let counted = index.saturating_add(1)..=ended.checkpoint().size;
        let witnessed = published::witnessed_of(&app.config.data_dir, &known.key).map_err(Failure::internal)?;
        let checkpoint = witnessed.filter(|one| counted.contains(&one.checkpoint().size)).unwrap_or(ended);
        let size = checkpoint.checkpoint().size;
        let needed = needed(index, size)
            .ok_or_else(|| Failure::not_found("entry", format_args!("{}/{index}", known.epoch())))?;
        let (mut tree, mut found, mut asked) = (TreeBuilder::new(), HashMap::new(), None);
        let mut kept = Kept::open(app, known)?;
        while let Some(at) = kept.read_next()?.filter(|at| *at < size) {
            let new = tree.push(leaf_hash(&kept.bytes)).map_err(Failure::internal)?;
            found.extend(new.into_iter().filter(|(id, _)| needed.contains(id)));
            if at == index {
                asked = Some(kept.bytes.clone());
            }
        }
        let known = kept.known;
        if tree.size() != size || tree.root() != checkpoint.checkpoint().root {
            return Err(damaged(&known, "it is not what was signed"));
        }
        let entry = kept_entry(&known, index, &asked.unwrap_or_default())?;
        let proof = inclusion_proof(index, size, |id| Ok::<_, Infallible>(found.get(&id).copied()));
        Ok(Receipt::new(&entry, proof.map_err(Failure::internal)?, &checkpoint).to_string())
    })
    .await
}

/// The epoch that a call names; none if the log is in it.
async fn asked_for(app: &App, call: &Call) -> Result<Option<LogEpochRecord>, Failure> {
    let text = call.path_text("epoch");
    let invalid = || Failure::of(ProblemCode::InvalidField, format!("`{}` is no epoch", text.escape_default()));
    let epoch: Epoch = text.parse().map_err(|_| invalid())?;
    if epoch == app.store.log_head()?.epoch {
        return Ok(None);
    }
    let known = epochs::earlier(&app.store, epoch).await?;
    known.map(Some).ok_or_else(|| Failure::not_found("epoch", epoch))
}

fn index(call: &Call) -> Result<u64, Failure> {
    let text = call.path_text("index");
    text.parse().map_err(|_| Failure::of(ProblemCode::InvalidField, format!("`{}` is no index", text.escape_default())))
}

/// The nodes that the proof of an entry is made of; none if it is not within the size.
fn needed(index: u64, size: u64) -> Option<HashSet<NodeId>> {
    let mut needed = HashSet::new();
    let noted = inclusion_proof(index, size, |id| {
        needed.insert(id);
        Ok::<_, Infallible>(Some(Hash([0; 32])))
    });
    noted.ok().map(|_| needed)
}

fn page(
    app: &App,
    known: &LogEpochRecord,
    (from, limit): (u64, usize),
    filter: Option<&Filter>,
) -> Result<EntryList, Failure> {
    let ended = known.key.verify(known.checkpoint.as_bytes()).map_err(Failure::internal)?;
    let size = ended.checkpoint().size;
    let (mut entries, mut bytes_sum, mut next) = (Vec::new(), 0, None);
    let mut kept = Kept::open(app, known.clone())?;
    while let Some(at) = kept.read_next()? {
        let bytes = &kept.bytes;
        if at < from {
            continue;
        }
        if entries.len() >= limit || bytes_sum > BYTES_MAX || at - from >= LOOKED_AT_MAX {
            next = Some(at);
            break;
        }
        if filter.is_none_or(|filter| filter.takes(&terms::of_bytes(bytes))) {
            bytes_sum += bytes.len();
            entries.push(entry_answer(&kept_entry(known, at, bytes)?)?);
        }
    }
    Ok(EntryList { entries, next, cursor: None, indexed_through: None, size, earlier: Vec::new() })
}

/// The export of an epoch that has ended.
struct Kept {
    known: LogEpochRecord,
    reader: ExportReader<BufReader<File>>,
    bytes: Vec<u8>,
    next: u64,
}

impl Kept {
    fn open(app: &App, known: LogEpochRecord) -> Result<Self, Failure> {
        let file =
            File::open(export_path(&app.config.data_dir, known.epoch())).map_err(|error| lost(&known, &error))?;
        let reader = ExportReader::open(BufReader::new(file)).map_err(|error| damaged(&known, &causes(&error)))?;
        Ok(Self { known, reader, bytes: Vec::new(), next: 0 })
    }

    /// Read an entry in place of the one before it; which it is, if there is one.
    fn read_next(&mut self) -> Result<Option<u64>, Failure> {
        let more = self.reader.next_entry(&mut self.bytes);
        if !more.map_err(|error| damaged(&self.known, &error.to_string()))? {
            return Ok(None);
        }
        self.next += 1;
        Ok(Some(self.next - 1))
    }
}

fn kept_entry(known: &LogEpochRecord, index: u64, bytes: &[u8]) -> Result<Entry, Failure> {
    let entry = parsed(bytes)?;
    if entry.at.origin() != *known.key.origin() || entry.at.index != index {
        return Err(damaged(known, &format!("`{}` stands where entry {index} should", entry.at)));
    }
    Ok(entry)
}

fn damaged(known: &LogEpochRecord, why: &str) -> Failure {
    Failure::internal(format_args!("the export of epoch {} cannot be relied on: {why}", known.epoch()))
}

/// It is not there, or cannot be read. Whoever removed it knows.
fn lost(known: &LogEpochRecord, error: &std::io::Error) -> Failure {
    if error.kind() == ErrorKind::NotFound {
        let detail = format!("the entries of epoch {} are not kept here any more", known.epoch());
        return Failure::of(ProblemCode::NotFound, detail)
            .with_help("`epochs/` of the data directory had them: put the file back from a backup");
    }
    damaged(known, &error.to_string())
}
