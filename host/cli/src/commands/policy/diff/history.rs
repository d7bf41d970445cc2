//! `attorn policy diff --on history`: goes through recorded decisions, several calls at a time, epoch after epoch of the
//! log, and sums up where two sets of policies would decide otherwise.

mod sum;

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use attorn_api::ProblemCode;
use attorn_api::audit::{EarlierEpoch, EntryList, LogEpochList};
use attorn_api::replays::{HistoryPage, HistoryRequest, SetBase, WantedSet};
use attorn_core::{ActionPattern, AgentId};
use clap::Args;

use crate::commands::audit::epochs::damaged_entries;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::operator_client::OperatorClient;
use crate::output::Output;
use crate::parse::{self, Moment};
use sum::{Progress, Sum};

/// How many calls there are at a time: one for each walk in [`run`]. The server runs fewer where it has few threads.
const CALLS: u64 = 4;
/// How many entries one part has at least; parts are so many for each call at a time.
const PART_MIN: u64 = 500;
const PARTS_PER_CALL: u64 = 8;
/// How often, and for how long each time, a call waits because the server is busy or its index is behind.
const WAITS_MAX: u32 = 50;
const WAIT: Duration = Duration::from_millis(200);

/// Which decisions.
#[derive(Debug, Args)]
pub(super) struct Filters {
    /// Only decisions since then: `24h` or `1w` ago, `2026-01-02` (midnight in UTC), or `2026-01-02T03:04:05Z`
    #[arg(long, value_name = "TIME")]
    since: Option<Moment>,
    /// Only decisions until then, said in the same way
    #[arg(long, value_name = "TIME")]
    until: Option<Moment>,
    /// Only decisions in which this agent acts, in a chain too
    #[arg(long, value_name = "ID", value_parser = parse::id::<AgentId>)]
    agent: Option<AgentId>,
    /// Only decisions on such actions
    #[arg(long, value_name = "PATTERN", value_parser = parse::id::<ActionPattern>)]
    action: Option<ActionPattern>,
}

impl Filters {
    pub(super) const fn is_narrowed(&self) -> bool {
        self.since.is_some() || self.until.is_some() || self.agent.is_some() || self.action.is_some()
    }

    /// As the server takes them. All of these are of alphabets that stand in a query as they are.
    fn query(&self) -> String {
        let said = [
            ("since_ms", self.since.map(|moment| moment.ms.to_string())),
            ("until_ms", self.until.map(|moment| moment.ms.to_string())),
            ("agent", self.agent.as_ref().map(ToString::to_string)),
            ("action", self.action.as_ref().map(ToString::to_string)),
        ];
        said.into_iter().filter_map(|(name, value)| value.map(|value| format!("&{name}={value}"))).collect()
    }
}

/// A set of policies, as it is written on the command line.
pub(super) fn set(text: &str) -> Result<WantedSet, Failure> {
    let plain = |base| WantedSet { base, with: BTreeMap::new() };
    match text {
        "recorded" => return Ok(plain(SetBase::Recorded)),
        "active" => return Ok(plain(SetBase::Active)),
        _ => {}
    }
    let mut wanted = plain(SetBase::Active);
    for part in text.split(',') {
        let (id, version) = change(part).map_err(|problem| {
            Failure::usage(format!("`{}` is no set of policies: {problem}", text.escape_default()))
                .with_help("`recorded`, `active`, or versions as `read-only=3,old-rules=none`")
        })?;
        if wanted.with.insert(id.clone(), version).is_some() {
            return Err(Failure::usage(format!("the policy `{id}` is named twice")));
        }
    }
    Ok(wanted)
}

fn change(text: &str) -> Result<(String, Option<u32>), String> {
    if let Some(id) = text.strip_suffix("=none") {
        return parse::id::<attorn_core::PolicyId>(id).map(|id| (id.to_string(), None));
    }
    parse::policy_version(text).map(|(id, version)| (id.to_string(), Some(version)))
}

pub(super) async fn run(
    client: &OperatorClient,
    output: &Output,
    (a, b): (WantedSet, WantedSet),
    filters: &Filters,
) -> Result<Exit, Failure> {
    let request = HistoryRequest { a, b };
    let client = &client.patient()?;
    let lives = lives(client, filters).await?;
    let progress = Progress::new(output, lives.iter().map(|life| life.entries.end - life.entries.start).sum());
    let (sum, mut not_reached) = (Mutex::new(Sum::default()), Vec::new());
    for life in lives {
        let (epoch, size) = (life.epoch, life.entries.end);
        let parts = Mutex::new(parts(life.entries));
        let walk = Walk { client, request: &request, epoch, query: life.query, progress: &progress, sum: &sum };
        let done = tokio::try_join!(walk.parts(&parts), walk.parts(&parts), walk.parts(&parts), walk.parts(&parts));
        match (done, epoch) {
            (Err(failure), Some(epoch)) if failure.code == Some(ProblemCode::NotFound) => {
                not_reached.push(EarlierEpoch { epoch, size });
            }
            (done, _) => drop(done.inspect_err(|_| progress.end())?),
        }
    }
    progress.end();
    let sum = sum.into_inner().unwrap_or_else(PoisonError::into_inner);
    sum.print(output, &request, &not_reached)?;
    // What can be read was said; that there is more is a failure all the same.
    sum.damaged().iter().for_each(|(epoch, damaged)| damaged_entries(*epoch, damaged).print());
    Ok(if sum.damaged().is_empty() { Exit::Done } else { Exit::VerificationFailed })
}

/// Entries of one epoch of the log that are to be looked at.
struct Life {
    /// None for the one that the log is in.
    epoch: Option<u64>,
    entries: Range<u64>,
    /// Which decisions of them.
    query: String,
}

/// Which entries there are to be looked at: of each epoch that did not end before any that may count, and of the one
/// that the log is in from the first that may.
async fn lives(client: &OperatorClient, filters: &Filters) -> Result<Vec<Life>, Failure> {
    let query = filters.query();
    let all: LogEpochList = client.get("/v1/audit/epochs").await?;
    let since = filters.since.map_or(0, |moment| moment.ms);
    let ended = all.epochs.iter().filter(|one| one.ended_at_ms.is_some_and(|ended| ended >= since));
    let earlier = ended.map(|one| Life {
        epoch: Some(one.epoch),
        entries: 0..one.size,
        query: format!("&epoch={}{query}", one.epoch),
    });
    let mut lives: Vec<Life> = earlier.collect();
    let path = format!("/v1/audit/entries?limit=1&type=decision{query}");
    let page: EntryList = client.get(&path).await?;
    // Those that cannot be read may count, too.
    let damaged = page.damaged.map(|damaged| damaged.first);
    let first = page.entries.first().map(|entry| entry.reference.index).into_iter().chain(damaged).min().unwrap_or(0);
    lives.push(Life { epoch: None, entries: first..page.size, query });
    Ok(lives)
}

/// Parts of about the same number of entries.
fn parts(all: Range<u64>) -> VecDeque<Range<u64>> {
    let length = ((all.end - all.start) / (PARTS_PER_CALL * CALLS)).max(PART_MIN);
    let (mut parts, mut from) = (VecDeque::new(), all.start);
    while from < all.end {
        let to = from.saturating_add(length).min(all.end);
        parts.push_back(from..to);
        from = to;
    }
    parts
}

/// How history is walked through.
struct Walk<'a> {
    client: &'a OperatorClient,
    request: &'a HistoryRequest,
    /// None for the one that the log is in.
    epoch: Option<u64>,
    /// Which decisions, beside where they stand.
    query: String,
    progress: &'a Progress,
    sum: &'a Mutex<Sum>,
}

impl Walk<'_> {
    /// One part after the other, as long as there are any.
    async fn parts(&self, parts: &Mutex<VecDeque<Range<u64>>>) -> Result<(), Failure> {
        loop {
            let part = parts.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some(part) = part else { return Ok(()) };
            self.through(part).await?;
        }
    }

    async fn through(&self, part: Range<u64>) -> Result<(), Failure> {
        let (mut from, mut waits) = (part.start, 0);
        loop {
            let path = format!("/v1/replays/history?from={from}&to={}{}", part.end, self.query);
            let page: HistoryPage = match self.client.post(&path, self.request).await {
                Ok(page) => page,
                Err(failure) if failure.code == Some(ProblemCode::Busy) && waits < WAITS_MAX => {
                    waits += 1;
                    tokio::time::sleep(WAIT).await;
                    continue;
                }
                Err(failure) => return Err(failure),
            };
            let (decisions, next) = (page.decisions, page.next);
            self.sum.lock().unwrap_or_else(PoisonError::into_inner).add(page, self.epoch);
            let to = next.unwrap_or(part.end);
            self.progress.step(to.saturating_sub(from), decisions);
            match next {
                None => return Ok(()),
                // The index of the log is behind.
                Some(next) if next <= from => {
                    waits += 1;
                    if waits > WAITS_MAX {
                        return Err(Failure::new("the index of the log is far behind")
                            .with_help("try again later: `attorn audit list` says how far it is"));
                    }
                    tokio::time::sleep(WAIT).await;
                }
                Some(next) => (from, waits) = (next, 0),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_what_is_written() {
        let with = |pairs: &[(&str, Option<u32>)]| {
            let with = pairs.iter().map(|(id, version)| ((*id).to_owned(), *version)).collect();
            WantedSet { base: SetBase::Active, with }
        };
        assert_eq!(set("active").unwrap(), with(&[]));
        assert_eq!(set("recorded").unwrap().base, SetBase::Recorded);
        assert_eq!(set("p=3").unwrap(), with(&[("p", Some(3))]));
        assert_eq!(set("p=3,q=none").unwrap(), with(&[("p", Some(3)), ("q", None)]));
        for text in ["", "p", "p=", "p=x", "P=1", "p=1,", "recorded,p=1", "=none"] {
            let failure = set(text).unwrap_err();
            assert_eq!(failure.exit, Exit::Usage, "{text}");
            assert!(failure.to_string().contains("is no set of policies"), "{failure}");
        }
        assert!(set("p=1,p=2").unwrap_err().to_string().contains("named twice"));
    }

    #[test]
    fn parts_make_up_the_whole() {
        for (all, count) in [(0..0, 0), (7..8, 1), (0..500, 1), (0..501, 2), (10..100_010, 32)] {
            let parts = parts(all.clone());
            assert_eq!(parts.len(), count);
            let mut at = all.start;
            for part in &parts {
                assert!(part.start == at && part.start < part.end);
                at = part.end;
            }
            assert_eq!(at, all.end);
        }
    }

    #[test]
    fn the_server_is_asked_for_what_the_filters_take() {
        let none = Filters { since: None, until: None, agent: None, action: None };
        assert!(none.query().is_empty() && !none.is_narrowed());
        let some = Filters {
            since: Some(Moment { ms: 7 }),
            agent: Some("bot".parse().unwrap()),
            action: Some("faq.*".parse().unwrap()),
            ..none
        };
        assert_eq!(some.query(), "&since_ms=7&agent=bot&action=faq.*");
        assert!(some.is_narrowed());
    }
}
