//! `/v1/audit/epochs`: the epochs of the log, and the entries of those that have ended, which are read from the exports
//! that were kept of them, and proved one by one ([`crate::epochs::kept`]).
//!
//! No filter has an index there, so whoever searches has one entry after the other read; that is done on the threads of
//! queries, fewer at a time than those of the epoch that the log is in, which wait for none of it. Of the epoch that
//! the log is in the same routes answer as those without a number. A whole export is sent as it was written: whoever
//! gets it verifies it.

use std::io::ErrorKind;
use std::ops::Range;
use std::sync::Arc;

use attorn_api::ProblemCode;
use attorn_api::audit::{DamagedEntries, EarlierEpoch, EntryList, EntryRange, LogEpoch, LogEpochEnd, LogEpochList};
use attorn_log::{Entry, Epoch};
use attorn_store::records::{EpochEnd, LogEpochRecord};
use attorn_store::{Store, StoredEntry, open_regular};
use axum::body::Body;

use super::entry_answer;
use crate::app::App;
use crate::epochs::kept::{KeptEpoch, KeptError};
use crate::epochs::{self, export_path};
use crate::http::call::{Call, Reply};
use crate::http::failure::Failure;
use crate::published;
use crate::queries::filter::Filter;
use crate::queries::{self, reading_ended, terms};
use crate::streamed::streamed;

/// How many entries are looked at for one page.
const LOOKED_AT_MAX: u64 = 50_000;
/// After how many bytes a page takes no further entry.
const BYTES_MAX: usize = 4 << 20;

/// The epochs that have ended, for a list of the entries of the one that has not.
pub(crate) fn earlier(app: &App) -> Vec<EarlierEpoch> {
    app.store.earlier_epochs().iter().map(|one| EarlierEpoch { epoch: one.epoch.0, size: one.size }).collect()
}

/// What is recorded of the epochs that have ended.
pub(crate) async fn recorded(store: &Store) -> Result<Vec<LogEpoch>, Failure> {
    let mut all = Vec::new();
    for one in store.earlier_epochs() {
        let Some(known) = epochs::earlier(store, one.epoch).await? else { continue };
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
            bad_entries: known.bad.iter().map(|bad| EntryRange { from: bad.start, to: bad.end - 1 }).collect(),
        });
    }
    Ok(all)
}

pub(crate) async fn list(app: Arc<App>, _: Call) -> Result<Reply, Failure> {
    let mut all = recorded(&app.store).await?;
    let head = app.store.log_head()?;
    all.push(LogEpoch {
        epoch: head.epoch.0,
        size: head.size,
        key: app.log_signer.verifier().to_string(),
        checkpoint: None,
        ended: None,
        ended_at_ms: None,
        bad_entries: Vec::new(),
    });
    Reply::ok(&LogEpochList { epochs: all })
}

pub(crate) async fn entries(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let Some(known) = asked_for(&app, &call).await? else { return super::list(app, call).await };
    let filtered = queries::is_asked(&call);
    let filter = if filtered { Some(Filter::of(&app, &call, &["from", "limit"]).await?) } else { None };
    let (from, limit) = (call.query::<u64>("from")?.unwrap_or(0), call.limit()?);
    let page = reading_ended(&app, move |app| page(app, known, (from, limit), filter.as_ref())).await?;
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
    let path = export_path(&app.config.data_dir, known.epoch());
    let file = open_regular(&path).map_err(|source| match source.kind() {
        ErrorKind::NotFound => KeptError::Missing(known.epoch()),
        _ => KeptError::Io { path, source },
    })?;
    Ok(Reply::text(Body::from_stream(streamed(file))))
}

/// An entry of an epoch that has ended.
pub(super) async fn entry(app: &Arc<App>, known: LogEpochRecord, index: u64) -> Result<Entry, Failure> {
    reading_ended(app, move |app| {
        let name = format!("{}/{index}", known.epoch());
        let mut kept = KeptEpoch::open(&app.config.data_dir, known)?;
        kept.entry(index)?.ok_or_else(|| Failure::not_found("entry", name))
    })
    .await
}

/// The receipt of an entry of an epoch that has ended: under the checkpoint that witnesses cosigned, where that counts
/// it, and otherwise under the one with which the epoch ended. After a restore there may be one that witnesses cosigned
/// of more entries than the backup had: then nothing is left that it could be shown of.
pub(super) async fn receipt_of(app: &Arc<App>, known: LogEpochRecord, index: u64) -> Result<String, Failure> {
    reading_ended(app, move |app| {
        let name = format!("{}/{index}", known.epoch());
        let witnessed = published::witnessed_of(&app.config.data_dir, &known.key).map_err(Failure::internal)?;
        let mut kept = KeptEpoch::open(&app.config.data_dir, known)?;
        let entry = kept.entry(index)?.ok_or_else(|| Failure::not_found("entry", &name))?;
        let counted = index.saturating_add(1)..=kept.ended().checkpoint().size;
        let witnessed = witnessed.filter(|one| counted.contains(&one.checkpoint().size));
        let ended = kept.ended().clone();
        let mut receipts = witnessed.iter().chain([&ended]).filter_map(|under| kept.receipt(&entry, under));
        let receipt = receipts.next();
        let unproved = || Failure::internal(format_args!("entry {name} was proved, and then was not"));
        Ok(receipt.ok_or_else(unproved)?.to_string())
    })
    .await
}

/// The epoch that a call names; none if the log is in it.
async fn asked_for(app: &App, call: &Call) -> Result<Option<LogEpochRecord>, Failure> {
    named(app, call.path_text("epoch")).await
}

/// The epoch of this number; none if the log is in it.
pub(crate) async fn named(app: &App, text: &str) -> Result<Option<LogEpochRecord>, Failure> {
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

/// Entries of an epoch that has ended, as a page of a list.
pub(crate) fn page(
    app: &App,
    known: LogEpochRecord,
    (from, limit): (u64, usize),
    filter: Option<&Filter>,
) -> Result<EntryList, Failure> {
    let mut kept = KeptEpoch::open(&app.config.data_dir, known)?;
    let size = kept.ended().checkpoint().size;
    let within = Within { range: from..u64::MAX, limit, looked_at_max: LOOKED_AT_MAX };
    let Found { entries, next, damaged } = some(&mut kept, &within, filter)?;
    let entries = entries.iter().map(entry_answer).collect::<Result<_, _>>()?;
    let damaged = damaged.and_then(|damaged| damaged.before(size));
    Ok(EntryList { entries, next, cursor: None, indexed_through: None, size, earlier: Vec::new(), damaged })
}

/// Decisions of an epoch.
pub(crate) struct Decisions {
    /// The oldest first.
    pub(crate) entries: Vec<StoredEntry>,
    /// The first entry that was not looked at, if there is one.
    pub(crate) next: Option<u64>,
    /// Those that were looked at and cannot be read.
    pub(crate) damaged: Option<Damaged>,
}

/// The decisions of an ended epoch that the filters take, among these entries.
pub(crate) async fn decisions(
    app: &Arc<App>,
    known: LogEpochRecord,
    filter: Filter,
    (within, limit): (Range<u64>, usize),
) -> Result<Decisions, Failure> {
    let within = Within { range: within, limit, looked_at_max: LOOKED_AT_MAX };
    reading_ended(app, move |app| {
        let mut kept = KeptEpoch::open(&app.config.data_dir, known)?;
        let found = some(&mut kept, &within, Some(&filter.of_decisions()))?;
        let stored = |entry: &Entry| StoredEntry { index: entry.at.index, bytes: entry.to_bytes() };
        let entries = found.entries.iter().map(stored).collect();
        Ok(Decisions { entries, next: found.next, damaged: found.damaged })
    })
    .await
}

/// Which entries of an epoch are looked at.
struct Within {
    range: Range<u64>,
    /// How many are found at most.
    limit: usize,
    looked_at_max: u64,
}

/// Entries that a filter takes.
struct Found {
    entries: Vec<Entry>,
    /// The first that was not looked at; none if all were.
    next: Option<u64>,
    damaged: Option<Damaged>,
}

/// Entries that were looked at and cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Damaged {
    /// Which, in the order in which they were looked at.
    at: Vec<u64>,
    /// What is wrong with the first, and what to do.
    why: String,
    help: Option<String>,
}

impl Damaged {
    /// One more that cannot be read.
    pub(crate) fn add(this: &mut Option<Self>, at: u64, error: impl Into<Failure>) {
        let begin = || {
            let Failure { problem, .. } = error.into();
            Self { at: Vec::new(), why: problem.detail, help: problem.help }
        };
        this.get_or_insert_with(begin).at.push(at);
    }

    /// All of them.
    pub(crate) fn all(self) -> Option<DamagedEntries> {
        self.before(u64::MAX)
    }

    /// Those before this entry.
    pub(crate) fn before(self, end: u64) -> Option<DamagedEntries> {
        let first = self.at.iter().copied().min().filter(|first| *first < end)?;
        let count = self.at.iter().filter(|at| **at < end).count() as u64;
        Some(DamagedEntries { count, first, why: self.why, help: self.help })
    }
}

/// The entries that a filter takes. One that cannot be proved keeps nobody from reading the others.
fn some(kept: &mut KeptEpoch, within: &Within, filter: Option<&Filter>) -> Result<Found, Failure> {
    let (mut found, mut bytes_sum) = (Found { entries: Vec::new(), next: None, damaged: None }, 0);
    let end = within.range.end.min(kept.ended().checkpoint().size);
    for at in within.range.start..end {
        let looked_at = at - within.range.start;
        if found.entries.len() >= within.limit || bytes_sum > BYTES_MAX || looked_at >= within.looked_at_max {
            found.next = Some(at);
            break;
        }
        let entry = match kept.entry(at) {
            Ok(Some(entry)) => entry,
            Ok(None) => break,
            Err(error) if error.is_of_entries() => {
                Damaged::add(&mut found.damaged, at, error);
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let bytes = entry.to_bytes();
        if filter.is_none_or(|filter| filter.takes(&terms::of_bytes(&bytes))) {
            bytes_sum += bytes.len();
            found.entries.push(entry);
        }
    }
    Ok(found)
}
