//! What was refused before anybody was let in: counted, and summarised in entries once a minute.
//!
//! Whoever is no one could else fill the log, or leave no trace in it. Counts are by what the route asks for and by the
//! code that was answered, both from fixed sets: the entry about strangers holds nothing that one wrote, not even the
//! name of an agent. What was refused after a registered key, certificate, token or assertion of somebody's had been
//! verified stands in an entry of its own for each of those, by name; beyond so many in a minute they count as
//! strangers. It is one batch, that only waits in the queue of commits like any other. What the server itself could not
//! do (5xx) is refused to nobody, and to be told a nonce (`use_dpop_nonce`) is how every client begins: neither counts.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use attorn_api::ProblemCode;
use attorn_api::audit::EntryType;
use attorn_api::oauth::OAuthCode;
use attorn_core::{AgentId, OperatorId, ResourceServerId, TimeMs};
use attorn_store::Batch;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::app::App;
use crate::entry;
use crate::http::failure::Failure;
use crate::http::route::Access;
use crate::oauth;

/// How often there is an entry at most.
const INTERVAL: Duration = Duration::from_mins(1);

/// What the routes ask for that strangers were refused at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// Nothing, or there is no such route.
    Public,
    /// An operator's token.
    Operator,
    /// A user's.
    User,
    /// A proof of an agent's.
    Agent,
    /// A proof of a resource server's.
    ResourceServer,
    /// A client's assertion.
    Client,
}

impl Door {
    /// All of them, in their order.
    pub(crate) const ALL: [Self; 6] =
        [Self::Public, Self::Operator, Self::User, Self::Agent, Self::ResourceServer, Self::Client];

    /// Of a route.
    pub(crate) const fn of(access: Access) -> Self {
        match access {
            Access::Public => Self::Public,
            Access::Operator(_) | Access::OperatorOfAny(_) | Access::OperatorOrBootstrap(_) | Access::PublishedLog => {
                Self::Operator
            }
            Access::User => Self::User,
            Access::Agent | Access::AgentOnward => Self::Agent,
            Access::ResourceServer => Self::ResourceServer,
            Access::AgentClient | Access::ResourceServerClient => Self::Client,
        }
    }

    /// Its name in entries and metrics.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Operator => "operator",
            Self::User => "user",
            Self::Agent => "agent",
            Self::ResourceServer => "resource_server",
            Self::Client => "client",
        }
    }
}

/// Somebody registered.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Party {
    Agent(AgentId),
    Operator(OperatorId),
    ResourceServer(ResourceServerId),
}

impl Party {
    /// As entries name it.
    fn in_entry(&self) -> Value {
        match self {
            Self::Agent(id) => json!({ "agent": id.as_str() }),
            Self::Operator(id) => json!({ "operator": id.as_str() }),
            Self::ResourceServer(id) => json!({ "resource_server": id.as_str() }),
        }
    }
}

/// How many of those that are known have an entry of their own in a minute.
const PARTIES_MAX: usize = 64;

/// How many codes there are, of problems and of OAuth.
const CODES: usize = ProblemCode::ALL.len() + OAuthCode::ALL.len();

/// What was refused since the last summary.
pub(crate) struct Refusals {
    /// To strangers, by door, then by code: those of problems first.
    counts: Vec<AtomicU64>,
    /// To those that are known.
    known: Mutex<BTreeMap<Party, Summary>>,
    /// When the last summary was made. Held while one is.
    since: tokio::sync::Mutex<TimeMs>,
}

/// What a summary says: by door and code.
type Summary = BTreeMap<&'static str, BTreeMap<&'static str, u64>>;

/// What was taken out to be recorded.
struct Taken {
    counts: Vec<u64>,
    known: BTreeMap<Party, Summary>,
}

impl Refusals {
    pub(crate) fn new(now: TimeMs) -> Self {
        let counts = (0..Door::ALL.len() * CODES).map(|_| AtomicU64::new(0)).collect();
        Self { counts, known: Mutex::default(), since: tokio::sync::Mutex::new(now) }
    }

    /// Whether somebody was refused something.
    pub(crate) fn counts(failure: &Failure) -> bool {
        let problem = failure.problem.code;
        problem.status() < 500 && problem != ProblemCode::UseDpopNonce
    }

    /// Count what was refused, if it counts: whether it did.
    pub(crate) fn count(&self, door: Door, failure: &Failure, as_oauth: bool) -> bool {
        if !Self::counts(failure) {
            return false;
        }
        let oauth = as_oauth.then(|| oauth::error::code(failure));
        if let Some(party) = &failure.party {
            let code = oauth.map_or(failure.problem.code.as_str(), OAuthCode::as_str);
            let mut known = self.known();
            if known.len() < PARTIES_MAX || known.contains_key(party) {
                *known.entry(party.clone()).or_default().entry(door.as_str()).or_default().entry(code).or_default() +=
                    1;
                return true;
            }
        }
        let code = oauth.map_or(failure.problem.code as usize, |code| ProblemCode::ALL.len() + code as usize);
        if let Some(count) = self.counts.get(door as usize * CODES + code) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        true
    }

    /// Take the counts out.
    fn take(&self) -> Taken {
        let counts = self.counts.iter().map(|count| count.swap(0, Ordering::Relaxed)).collect();
        Taken { counts, known: std::mem::take(&mut *self.known()) }
    }

    /// Put back what could not be recorded.
    fn put_back(&self, taken: Taken) {
        for (count, taken) in self.counts.iter().zip(taken.counts) {
            count.fetch_add(taken, Ordering::Relaxed);
        }
        let mut known = self.known();
        for (party, doors) in taken.known {
            let summary = known.entry(party).or_default();
            for (door, codes) in doors {
                for (code, count) in codes {
                    *summary.entry(door).or_default().entry(code).or_default() += count;
                }
            }
        }
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<Party, Summary>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The counts under their names, without what is 0.
fn summary(taken: &[u64]) -> Summary {
    let codes =
        || ProblemCode::ALL.iter().map(|code| code.as_str()).chain(OAuthCode::ALL.iter().map(|code| code.as_str()));
    let mut summary = Summary::new();
    for (door, counts) in Door::ALL.iter().zip(taken.chunks(CODES)) {
        for (code, count) in codes().zip(counts).filter(|(_, count)| **count > 0) {
            // A code that problems and OAuth share is one.
            *summary.entry(door.as_str()).or_default().entry(code).or_default() += count;
        }
    }
    summary
}

/// Summarise for ever.
pub(crate) async fn run(app: Arc<App>) {
    loop {
        tokio::time::sleep(INTERVAL).await;
        record(&app).await;
    }
}

/// Summarise a last time, where `task` did it until now.
pub(crate) async fn end(app: &App, task: &JoinHandle<()>) {
    // It is not half way through.
    let since = app.refusals.since.lock().await;
    task.abort();
    drop(since);
    if app.store.failure().is_none() {
        record(app).await;
    }
}

/// Write what was refused since the last time, if anything was. What cannot be recorded is in the next summary.
async fn record(app: &App) {
    let mut since = app.refusals.since.lock().await;
    let (now, taken) = (app.clock.now(), app.refusals.take());
    match write(app, now, *since, &taken).await {
        Ok(()) => *since = now,
        Err(failure) => {
            app.refusals.put_back(taken);
            tracing::warn!(why = failure.internal, "cannot record what was refused");
        }
    }
}

async fn write(app: &App, now: TimeMs, since: TimeMs, taken: &Taken) -> Result<(), Failure> {
    let mut batch = Batch::new(now);
    let strangers = summary(&taken.counts);
    if !strangers.is_empty() {
        batch.entries.push(entry::body(now, EntryType::Refusals, members(since, &strangers))?);
    }
    for (party, counts) in &taken.known {
        let mut members = members(since, counts);
        members["of"] = party.in_entry();
        batch.entries.push(entry::body(now, EntryType::KnownRefusals, members)?);
    }
    if !batch.entries.is_empty() {
        app.store.commit(batch).await?;
    }
    Ok(())
}

fn members(since: TimeMs, counts: &Summary) -> Value {
    let total: u64 = counts.values().flat_map(BTreeMap::values).sum();
    json!({ "since_ms": since.0, "total": total, "counts": counts })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_counts_under_its_own_name_until_it_is_taken() {
        let refusals = Refusals::new(TimeMs(0));
        let expected = |taken: &[u64]| serde_json::to_value(summary(taken)).unwrap();
        for door in Door::ALL {
            for code in ProblemCode::ALL {
                let counted = refusals.count(door, &Failure::of(*code, ""), false);
                assert_eq!(counted, code.status() < 500 && *code != ProblemCode::UseDpopNonce, "{code}");
            }
        }
        let taken = refusals.take();
        let summed = expected(&taken.counts);
        assert_eq!(summed.as_object().unwrap().len(), Door::ALL.len());
        for door in Door::ALL {
            let counts = summed[door.as_str()].as_object().unwrap();
            assert!(counts.values().all(|count| *count == 1), "{counts:?}");
            assert_eq!(counts["unknown_key"], 1);
            assert!(!counts.contains_key("use_dpop_nonce") && !counts.contains_key("busy"));
        }
        assert_eq!(expected(&refusals.take().counts), json!({}));
        refusals.put_back(taken);
        assert_eq!(expected(&refusals.take().counts), summed);
    }

    #[test]
    fn what_is_refused_to_somebody_known_counts_for_them_and_for_no_more_than_have_room() {
        let refusals = Refusals::new(TimeMs(0));
        let replayed = |n: usize| {
            let party = Party::Agent(format!("bot-{n}").parse().unwrap());
            Failure::of(ProblemCode::ProofReplayed, "").of_party(party)
        };
        for _ in 0..2 {
            for n in 0..=PARTIES_MAX {
                assert!(refusals.count(Door::Agent, &replayed(n), false));
            }
        }
        let busy = Failure::of(ProblemCode::Busy, "").of_party(Party::Agent("busy".parse().unwrap()));
        assert!(!refusals.count(Door::Agent, &busy, false));
        let first = || Party::Agent("bot-0".parse().unwrap());
        let taken = refusals.take();
        assert_eq!(taken.known.len(), PARTIES_MAX);
        let summed = |summary: &Summary| serde_json::to_value(summary).unwrap();
        let two = json!({ "agent": { "proof_replayed": 2 } });
        assert_eq!(summed(&taken.known[&first()]), two);
        // One too many is a stranger.
        assert_eq!(summed(&summary(&taken.counts)), two);
        refusals.count(Door::Client, &replayed(0), true);
        refusals.put_back(taken);
        let taken = refusals.take();
        let both = json!({ "agent": { "proof_replayed": 2 }, "client": { "invalid_dpop_proof": 1 } });
        assert_eq!(summed(&taken.known[&first()]), both);
        assert_eq!(refusals.take().known.len(), 0);
    }

    #[test]
    fn whose_doing_it_is_stays_who_was_named_first() {
        let party = |id: &str| Party::Agent(id.parse().unwrap());
        let failure = Failure::of(ProblemCode::ProofReplayed, "").of_party(party("first")).of_party(party("second"));
        assert_eq!(failure.party, Some(party("first")));
    }

    #[test]
    fn an_endpoint_of_oauth_counts_what_it_answered() {
        let refusals = Refusals::new(TimeMs(0));
        refusals.count(Door::Client, &Failure::of(ProblemCode::ProofReplayed, ""), true);
        refusals.count(Door::Client, &Failure::oauth(OAuthCode::InvalidClient, ""), true);
        assert!(!refusals.count(Door::Client, &Failure::oauth(OAuthCode::UseDpopNonce, ""), true));
        let expect = json!({ "client": { "invalid_client": 1, "invalid_dpop_proof": 1 } });
        assert_eq!(serde_json::to_value(summary(&refusals.take().counts)).unwrap(), expect);
    }

    #[test]
    fn the_largest_summary_fits_into_an_entry() {
        // Several codes of ours may be one of OAuth's, and what is counted together has to be a number of JSON's, too.
        let largest = summary(&vec![((1 << 53) - 1) / CODES as u64; Door::ALL.len() * CODES]);
        let members = json!({ "since_ms": u64::MAX >> 12, "total": 1, "counts": largest });
        entry::body(TimeMs(0), EntryType::Refusals, members).unwrap();
    }
}
