//! `attorn audit show`: reads an entry and all that belongs to it.

use attorn_api::ProblemCode;
use attorn_api::audit::{DamagedEntries, Entry, EntryList, LogEpochList};
use attorn_core::{DecisionId, GrantId, TimeMs};
use attorn_log::Receipt;
use serde::Serialize;
use serde_json::Value;

use super::epochs::{damaged_entries, damaged_first};
use super::leases::Lease;
use super::place::Asked;
use super::{body, leases, story};
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::operator_client::OperatorClient;
use crate::output::Output;

/// How many pages are read of what came of a decision.
const PAGES_MAX: usize = 50;

/// A decision and what came of it.
#[derive(Serialize)]
pub(super) struct Told {
    /// Its entry.
    pub(super) entry: Entry,
    /// Its full record; none where nobody can read it any more.
    pub(super) record: Option<Value>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) record_gone: Option<String>,
    /// Entries that name it, later ones: uses, effects, what shadow policies said, and what became of its login.
    pub(super) came_of_it: Vec<Entry>,
    /// The logins that came of it, as the last of these entries leave them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) leases: Vec<Lease>,
}

pub(super) async fn run(what: Asked, context: &Context) -> Result<Exit, Failure> {
    let (client, output) = (context.operator()?, &context.output);
    let entry = match what {
        Asked::Entry(place) => place.entry(&client).await?,
        Asked::Decision(id) => return told(&client, output, id, None).await,
    };
    let said = body(&entry)?;
    let id: Option<DecisionId> = said["decision_id"].as_str().and_then(|id| id.parse().ok());
    match id.filter(|_| said["type"] == "decision") {
        Some(id) => told(&client, output, id, Some(entry)).await,
        None if output.json => output.json(&entry).map(|()| Exit::Done),
        None => plain(output, &entry, &said),
    }
}

fn plain(output: &Output, entry: &Entry, said: &Value) -> Result<Exit, Failure> {
    let at = &entry.reference;
    output.line(format!("entry {}/{}/{}", at.log_id, at.epoch, at.index));
    if let Some(ms) = said["time_ms"].as_u64() {
        output.line(format!("time {}", TimeMs(ms)));
    }
    let text = serde_json::to_string_pretty(said).map_err(|error| Failure::of(&error))?;
    text.lines().for_each(|line| output.line(line));
    story::proof(entry, &mut |name, what| output.line(format!("{name:9} {what}")));
    Ok(Exit::Done)
}

async fn told(client: &OperatorClient, output: &Output, id: DecisionId, known: Option<Entry>) -> Result<Exit, Failure> {
    let (mut own, mut came_of_it) = (known, Vec::new());
    let Found { entries, mut damaged } = naming(client, id, own.as_ref()).await?;
    for entry in entries {
        if body(&entry)?["type"] == "decision" {
            own = Some(entry);
        } else {
            came_of_it.push(entry);
        }
    }
    let (record, gone) = match record(client, id).await? {
        Record::There(record) => (Some(record), None),
        Record::Gone(failure) => (None, Some(failure)),
    };
    let Some(entry) = own else {
        // Where entries cannot be read, its own may be among them.
        return Err(damaged.into_iter().next().unwrap_or_else(|| no_entry(id, gone)));
    };
    let record_gone = gone.as_ref().map(why_gone);
    let of_login = of_login(client, &entry).await?;
    came_of_it.extend(of_login.entries);
    damaged.extend(of_login.damaged);
    // Both looked through the same epochs.
    damaged.sort_by(|one, other| one.message.cmp(&other.message));
    damaged.dedup_by(|one, other| one.message == other.message);
    came_of_it.sort_by_key(place);
    came_of_it.dedup_by_key(|entry| place(entry));
    let leases = leases::of(&came_of_it)?;
    let told = Told { entry, record, record_gone, came_of_it, leases };
    if output.json {
        output.json(&told)?;
    } else {
        story::tell(&told)?.iter().for_each(|line| output.line(line));
    }
    if !damaged.is_empty() {
        output.note("what came of it is not all here:");
        damaged.iter().for_each(Failure::print);
    }
    // Where its user was erased, or somebody accepted that it is lost, that is as it should be.
    let lost = gone.filter(|failure| failure.exit == Exit::VerificationFailed);
    if lost.is_some() {
        // What is wrong with it was said.
        Failure::new(format!("the record of the decision `{id}` is lost or altered, and nobody was erased"))
            .with_help(
                "`attorn audit verify --config` names its file, and `attorn repair` looks for what was in it, while no \
                 server runs",
            )
            .print();
    }
    let exits: Vec<Exit> = damaged.iter().chain(&lost).map(|failure| failure.exit).collect();
    // That something was lost or altered is worse than that not all was looked at.
    let worst = exits.iter().find(|exit| **exit == Exit::VerificationFailed).or(exits.first());
    Ok(worst.copied().unwrap_or(Exit::Done))
}

/// That there is no entry of a decision: what is wrong with its record may say why.
fn no_entry(id: DecisionId, gone: Option<Failure>) -> Failure {
    let failure = Failure::new(format!("the entry of the decision `{id}` is not found"));
    match gone {
        None => failure.with_help("the index of the log is behind: try again, or look at `attorn audit list`"),
        Some(gone) if gone.exit == Exit::VerificationFailed => gone,
        Some(_) => {
            failure.with_help("`attorn audit list --type decision` lists decisions; the index may be behind: try again")
        }
    }
}

/// Why a record is gone, in a line.
fn why_gone(failure: &Failure) -> String {
    match failure.code {
        Some(ProblemCode::NotFound) => "there is none".to_owned(),
        _ => failure.message.clone(),
    }
}

/// All entries that name a decision, of all epochs where they may be.
async fn naming(client: &OperatorClient, id: DecisionId, own: Option<&Entry>) -> Result<Found, Failure> {
    let filter = format!("decision_id={id}");
    let mut all = about(client, &filter, None).await?;
    // What came of it may be in a later epoch than it.
    for epoch in epochs_before(client, id, own, &all.entries).await? {
        let of_epoch = about(client, &filter, Some(epoch)).await?;
        let is_there = decided_in(&of_epoch.entries)?;
        all.and(of_epoch);
        if is_there {
            break;
        }
    }
    all.entries.sort_by_key(place);
    all.entries.dedup_by_key(|entry| place(entry));
    Ok(all)
}

/// What became of the login that a decision allowed: its entries name the grant, and not the decision. It may have
/// ended in a later epoch than the one that it was made in.
async fn of_login(client: &OperatorClient, decision: &Entry) -> Result<Found, Failure> {
    let (said, mut found) = (body(decision)?, Found::default());
    let grant: Option<GrantId> = said["grant"]["id"].as_str().and_then(|id| id.parse().ok());
    let Some(grant) = grant.filter(|_| said["credential"]["kind"] == "postgresql") else { return Ok(found) };
    let filter = format!("grant={grant}");
    let epochs = epochs_since(&client.get("/v1/audit/epochs").await?, decision.reference.epoch);
    for epoch in &epochs.looked_at {
        let of_epoch = about(client, &filter, *epoch).await?;
        found.and(of_epoch);
        found.entries.retain(|entry| body(entry).is_ok_and(|said| leases::is_of_lease(&said)));
        // Nothing comes of a login that has ended.
        let known = leases::of(&found.entries)?;
        if !known.is_empty() && known.iter().all(leases::Lease::has_ended) {
            return Ok(found);
        }
    }
    if let Some((first, last)) = epochs.passed_over {
        let failure =
            Failure::new(format!("the epochs {first} to {last} were not looked through for what became of its login"))
                .with_help(format!("`attorn audit list --epoch {first} --grant {grant}` lists one"));
        found.damaged.push(failure);
    }
    Ok(found)
}

/// In how many epochs it is looked for what became of a login: none lives as long as several do, and those that have
/// ended are read entry by entry.
const EPOCHS_MAX: usize = 16;

/// Where it is looked for what came of something.
#[derive(Debug, PartialEq, Eq)]
struct Epochs {
    /// In their order; none is the one that the log is in.
    looked_at: Vec<Option<u64>>,
    /// The first and the last of those that are too many.
    passed_over: Option<(u64, u64)>,
}

/// All epochs from this one on, each once: the first of them, and the one that the log is in.
fn epochs_since(all: &LogEpochList, from: u64) -> Epochs {
    let ended = all.epochs.iter().filter(|one| one.ended.is_some() && one.epoch >= from).map(|one| one.epoch);
    let mut looked_at: Vec<u64> = ended.collect();
    let rest = looked_at.split_off(looked_at.len().min(EPOCHS_MAX - 1));
    let passed_over = rest.first().copied().zip(rest.last().copied());
    Epochs { looked_at: looked_at.into_iter().map(Some).chain([None]).collect(), passed_over }
}

/// Entries, and why others could not be read that may belong to them.
#[derive(Default)]
struct Found {
    entries: Vec<Entry>,
    damaged: Vec<Failure>,
}

impl Found {
    fn and(&mut self, other: Self) {
        self.entries.extend(other.entries);
        self.damaged.extend(other.damaged);
    }
}

fn place(entry: &Entry) -> (u64, u64) {
    (entry.reference.epoch, entry.reference.index)
}

/// All entries that this filter takes, of the epoch that the log is in or of another one. One that cannot be read keeps
/// nobody from the others.
async fn about(client: &OperatorClient, filter: &str, epoch: Option<u64>) -> Result<Found, Failure> {
    let of = epoch.map_or_else(|| "entries".to_owned(), |epoch| format!("epochs/{epoch}/entries"));
    let (mut found, mut after) = (Found::default(), String::new());
    let mut damaged: Option<DamagedEntries> = None;
    for _ in 0..PAGES_MAX {
        let page: EntryList = match client.get(&format!("/v1/audit/{of}?limit=200&{filter}{after}")).await {
            Err(failure) if failure.code == Some(ProblemCode::LogDamaged) => {
                found.damaged.push(failure);
                break;
            }
            page => page?,
        };
        damaged = match (damaged, page.damaged) {
            (Some(known), Some(more)) => Some(known.and(more)),
            (known, more) => known.or(more),
        };
        found.entries.extend(page.entries);
        after = match (page.cursor, page.next) {
            (Some(cursor), _) => format!("&cursor={cursor}"),
            (None, Some(next)) if epoch.is_some() => format!("&from={next}"),
            _ => break,
        };
    }
    found.damaged.extend(damaged.map(|damaged| match epoch {
        None => damaged_first(damaged),
        Some(epoch) => damaged_entries(epoch, &damaged),
    }));
    Ok(found)
}

/// The earlier epochs where a decision may have been made; none if it was made in the one that the log is in, or not
/// at all. Its receipt tells which it is, and where that cannot be had for want of its record, all have to be searched.
async fn epochs_before(
    client: &OperatorClient,
    id: DecisionId,
    known: Option<&Entry>,
    found: &[Entry],
) -> Result<Vec<u64>, Failure> {
    if decided_in(found)? {
        return Ok(Vec::new());
    }
    if let Some(known) = known {
        return Ok(vec![known.reference.epoch]);
    }
    let text = match client.text(&format!("/v1/audit/decisions/{id}/receipt")).await {
        Err(failure) if failure.code == Some(ProblemCode::NotFound) => return Ok(Vec::new()),
        Err(failure) if failure.code == Some(ProblemCode::LogDamaged) => {
            let list: LogEpochList = client.get("/v1/audit/epochs").await?;
            return Ok(list.epochs.iter().rev().filter(|one| one.ended.is_some()).map(|one| one.epoch).collect());
        }
        text => text?,
    };
    let receipt = Receipt::parse(&text).map_err(|error| Failure::of(&error))?;
    Ok(vec![receipt.entry().map_err(|error| Failure::of(&error))?.at.epoch.0])
}

/// Whether a decision's own entry is among these.
fn decided_in(entries: &[Entry]) -> Result<bool, Failure> {
    for entry in entries {
        if body(entry)?["type"] == "decision" {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The record of a decision.
enum Record {
    There(Value),
    /// Nobody can read it any more: the entry tells what it can.
    Gone(Failure),
}

async fn record(client: &OperatorClient, id: DecisionId) -> Result<Record, Failure> {
    match client.get(&format!("/v1/audit/decisions/{id}")).await {
        Ok(record) => Ok(Record::There(record)),
        Err(failure) if failure.code.is_some_and(is_about_the_record) => Ok(Record::Gone(failure)),
        Err(failure) => Err(failure),
    }
}

/// Whether this is said of a record, and not of whoever asks or of the server.
fn is_about_the_record(code: ProblemCode) -> bool {
    matches!(code, ProblemCode::NotFound | ProblemCode::UserErased | ProblemCode::RecordLost | ProblemCode::LogDamaged)
}

#[cfg(test)]
mod tests {
    use attorn_api::audit::{LogEpoch, LogEpochEnd};

    use super::*;

    #[test]
    fn every_epoch_since_is_looked_at_once_and_no_more_than_can_be() {
        let list = |last: u64| {
            let one = |epoch| LogEpoch {
                epoch,
                size: 1,
                key: String::new(),
                checkpoint: None,
                ended: (epoch < last).then_some(LogEpochEnd::KeyRotated),
                ended_at_ms: None,
                bad_entries: Vec::new(),
            };
            LogEpochList { epochs: (1..=last).map(one).collect() }
        };
        let since = |last, from| epochs_since(&list(last), from);
        let all = |looked_at: &[Option<u64>]| Epochs { looked_at: looked_at.to_vec(), passed_over: None };
        assert_eq!(since(1, 1), all(&[None]));
        assert_eq!(since(4, 4), all(&[None]));
        assert_eq!(since(4, 1), all(&[Some(1), Some(2), Some(3), None]));
        assert_eq!(since(4, 3), all(&[Some(3), None]));
        let many = since(40, 2);
        assert_eq!((many.looked_at.len(), many.looked_at[0], many.looked_at[14]), (EPOCHS_MAX, Some(2), Some(16)));
        assert_eq!((many.looked_at[15], many.passed_over), (None, Some((17, 39))));
        assert_eq!(since(17, 2).passed_over, None);
    }
}
