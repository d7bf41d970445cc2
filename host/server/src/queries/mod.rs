//! Questions to the audit log: entries that filters take, as pages or as they come; and when permissions were last
//! used. They are answered from an index that follows the log and is no part of any commit.
//!
//! Queries read on threads of their own and only so many at a time: decisions wait for none of them.

pub(crate) mod compare;
pub(crate) mod filter;
pub(crate) mod find;
pub(crate) mod follow;
pub(crate) mod stream;
pub(crate) mod uses;

mod cursor;
pub(crate) mod terms;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use attorn_api::ProblemCode;
use attorn_api::audit::EntryList;
use attorn_store::{EntryIndex, Order, StorageError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::app::App;
use crate::audit;
use crate::audit::epochs::Damaged;
use crate::http::call::{Call, OperatorCaller, Reply};
use crate::http::failure::{Failure, causes};
use cursor::Cursors;
use filter::{Filter, invalid};
use find::{Ask, Page, Unreadable};

/// How many queries read at a time; more wait.
const QUERIES_MAX: usize = 4;
/// How many of them read epochs that have ended, each from the begin of a long file.
const ENDED_MAX: usize = 2;
/// How many of them are lists of one operator's. So some turns are always for others.
const OF_ONE_OPERATOR_MAX: usize = 2;
/// How many read one entry, or what proves it, at a time. That takes no time, unless its disk hangs.
const SINGLE_MAX: usize = 32;
/// How long a query waits for the index, and how long for its turn.
const PATIENCE: Duration = Duration::from_secs(5);
/// What a query may say beside its filters.
pub(crate) const OF_A_LIST: [&str; 4] = ["cursor", "from", "limit", "order"];

/// What queries share.
pub(crate) struct Queries {
    /// None until it is open, and while one that failed is made anew.
    index: watch::Sender<Option<Arc<EntryIndex>>>,
    at_once: Arc<Semaphore>,
    of_ended: Arc<Semaphore>,
    of_one: Arc<Semaphore>,
    /// By the operator's name: of those who read lists or wait for their turn.
    of_operators: Mutex<HashMap<String, Arc<Semaphore>>>,
    streams: stream::Streams,
}

impl Queries {
    pub(crate) fn new() -> Self {
        let turns = [QUERIES_MAX, ENDED_MAX, SINGLE_MAX].map(|turns| Arc::new(Semaphore::new(turns)));
        let ([at_once, of_ended, of_one], streams) = (turns, stream::Streams::new());
        let (index, of_operators) = (watch::Sender::new(None), Mutex::default());
        Self { index, at_once, of_ended, of_one, of_operators, streams }
    }

    /// How many entries the index has still to be told of; none while it is not open.
    pub(crate) fn lag(&self, log_entries: u64) -> Option<u64> {
        self.index.borrow().as_ref().map(|index| log_entries.saturating_sub(index.through()))
    }

    /// How many streams there are.
    pub(crate) fn streams(&self) -> usize {
        self.streams.count()
    }

    /// End all streams, because the server stops.
    pub(crate) fn stop(&self) {
        self.streams.stop();
    }

    fn index(&self) -> Option<Arc<EntryIndex>> {
        self.index.borrow().clone()
    }

    /// The index, as soon as there is one. It is opened and made anew within moments, unless its disk is full.
    async fn index_ready(&self, patience: Duration) -> Result<Arc<EntryIndex>, Failure> {
        let mut index = self.index.subscribe();
        let Ok(ready) = tokio::time::timeout(patience, index.wait_for(Option::is_some)).await else {
            return Err(Failure::of(ProblemCode::Busy, "the query index is not open yet, or failed and is made anew")
                .with_help("ask again later, or read the entries by their indexes: only `from` and `limit`"));
        };
        let ready = ready.map_err(Failure::internal)?.clone();
        ready.ok_or_else(|| Failure::internal("the query index is gone"))
    }

    /// The turn of one more query.
    async fn turn(&self, patience: Duration) -> Result<OwnedSemaphorePermit, Failure> {
        turn_of(&self.at_once, patience).await
    }

    /// The turn of one more list that an operator reads, among theirs. Whoever has it still needs a turn among all.
    async fn turn_of_operator(&self, name: &str, patience: Duration) -> Result<OwnedSemaphorePermit, Failure> {
        let turns = {
            let mut all = self.of_operators.lock().unwrap_or_else(PoisonError::into_inner);
            // Whoever waits or reads has a share of theirs.
            all.retain(|_, turns| Arc::strong_count(turns) > 1);
            let turns = all.entry(name.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(OF_ONE_OPERATOR_MAX)));
            Arc::clone(turns)
        };
        turn_of(&turns, patience).await
    }

    /// The turn of one more query about an epoch that has ended: among those, and among all.
    async fn turn_of_ended(&self, patience: Duration) -> Result<[OwnedSemaphorePermit; 2], Failure> {
        Ok([turn_of(&self.of_ended, patience).await?, self.turn(patience).await?])
    }
}

/// What is said where the index cannot be read: its follower makes it anew.
fn unreadable(error: &StorageError) -> Failure {
    let failure = Failure::of(ProblemCode::Busy, "the query index cannot be read: it is damaged, and is made anew")
        .with_help("ask again later, or read the entries by their indexes: only `from` and `limit`");
    Failure { internal: Some(causes(error)), ..failure }
}

async fn turn_of(turns: &Arc<Semaphore>, patience: Duration) -> Result<OwnedSemaphorePermit, Failure> {
    let turn = tokio::time::timeout(patience, Arc::clone(turns).acquire_owned()).await;
    let busy = |_| {
        Failure::of(ProblemCode::Busy, "too many queries wait for their turn")
            .with_help("ask again later, or for less at a time")
    };
    turn.map_err(busy)?.map_err(Failure::internal)
}

/// Read on a thread where that may take its time.
pub(crate) async fn reading<T: Send + 'static>(
    app: &Arc<App>,
    read: impl FnOnce(&App) -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let turn = app.queries.turn(PATIENCE).await?;
    read_within(app, turn, read).await
}

/// The same for a list that an operator asked for: theirs leave turns to others.
pub(crate) async fn reading_list<T: Send + 'static>(
    app: &Arc<App>,
    operator: &OperatorCaller,
    read: impl FnOnce(&App) -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let own = app.queries.turn_of_operator(operator.name(), PATIENCE).await?;
    let turns = (own, app.queries.turn(PATIENCE).await?);
    read_within(app, turns, read).await
}

/// The same for one entry of the epoch that the log is in, or for what proves it. Queries hold none of these up.
pub(crate) async fn reading_one<T: Send + 'static>(
    app: &Arc<App>,
    read: impl FnOnce(&App) -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let turn = turn_of(&app.queries.of_one, PATIENCE).await?;
    read_within(app, turn, read).await
}

/// The same for what is read of an epoch that has ended.
pub(crate) async fn reading_ended<T: Send + 'static>(
    app: &Arc<App>,
    read: impl FnOnce(&App) -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let turns = app.queries.turn_of_ended(PATIENCE).await?;
    read_within(app, turns, read).await
}

/// Read, and give the turn back when that is done: also where nobody waits for it any more.
async fn read_within<T: Send + 'static>(
    app: &Arc<App>,
    turn: impl Send + 'static,
    read: impl FnOnce(&App) -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let reader = Arc::clone(app);
    let reading = move || {
        let found = read(&reader);
        drop(turn);
        found
    };
    tokio::task::spawn_blocking(reading).await.map_err(Failure::internal)?
}

/// The decisions that the filters take, the oldest first, among these entries. What was not looked at yet begins with
/// the index that comes beside them; none if all was.
pub(crate) async fn decisions(
    app: &Arc<App>,
    filter: Filter,
    within: std::ops::Range<u64>,
    limit: usize,
) -> Result<(Vec<attorn_store::StoredEntry>, Option<u64>), Failure> {
    if within.is_empty() {
        return Ok((Vec::new(), None));
    }
    let end = within.end;
    let (filter, unreadable) = (filter.of_decisions(), Unreadable::Refused);
    let ask = Ask { filter, order: Order::Oldest, within, limit, beyond_max: find::BEYOND_MAX, unreadable };
    let index = app.queries.index_ready(PATIENCE).await?;
    let page = reading(app, move |app| find::page(&app.store, Some(&index), &ask)).await?;
    // Where the index is far behind, it is asked again for the rest.
    let behind = Some(page.through).filter(|through| *through < end);
    let next = if page.rest.is_empty() { behind } else { Some(page.rest.start) };
    Ok((page.entries, next))
}

/// Whether a call asks for more than the entries from an index on.
pub(crate) fn is_asked(call: &Call) -> bool {
    call.query.keys().any(|name| !["from", "limit"].contains(&name.as_str()))
}

/// A page of the entries that the filters take.
pub(crate) async fn list(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let order = order(&call)?;
    let origin = app.store.log_head().map(|head| attorn_log::Origin::of(&head.log_id, head.epoch))?;
    let cursors = Cursors::of(&app.names, &origin, &call.query);
    let place = call.query.get("cursor").map(|cursor| cursors.read(cursor)).transpose()?;
    let from = call.query::<u64>("from")?.unwrap_or(0);
    let within = match (order, place) {
        (_, None) => from..u64::MAX,
        (Order::Oldest, Some(place)) => place.max(from)..u64::MAX,
        (Order::Newest, Some(place)) => from..place,
    };
    let filter = Filter::of(&app, &call, &OF_A_LIST).await?;
    let (limit, unreadable) = (call.limit()?, Unreadable::Counted);
    let ask = Ask { filter, order, within, limit, beyond_max: find::BEYOND_MAX, unreadable };
    let index = app.queries.index_ready(PATIENCE).await?;
    let Page { entries, rest, through, damaged } =
        reading_list(&app, call.operator()?, move |app| find::page(&app.store, Some(&index), &ask)).await?;
    let next = match order {
        Order::Oldest => rest.start,
        Order::Newest => rest.end,
    };
    let entries = entries.iter().map(|stored| audit::entry_answer(&audit::parsed(&stored.bytes)?));
    Reply::ok(&EntryList {
        entries: entries.collect::<Result<_, _>>()?,
        next: None,
        cursor: (!rest.is_empty()).then(|| cursors.make(next)),
        indexed_through: Some(through),
        size: app.store.log_head()?.size,
        earlier: audit::epochs::earlier(&app),
        damaged: damaged.and_then(Damaged::all),
    })
}

fn order(call: &Call) -> Result<Order, Failure> {
    match call.query.get("order").map(String::as_str) {
        None | Some("oldest") => Ok(Order::Oldest),
        Some("newest") => Ok(Order::Newest),
        Some(_) => Err(invalid("`order` is `oldest` or `newest`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::call::problem_response;

    #[track_caller]
    fn is_busy<T>(found: Result<T, Failure>, detail: &str) {
        let Err(failure) = found else { panic!("it was there") };
        assert_eq!((failure.problem.code, failure.problem.detail.as_str()), (ProblemCode::Busy, detail));
        assert!(failure.problem.help.is_some());
        let response = problem_response(&failure.problem);
        assert_eq!((response.status().as_u16(), &response.headers()["retry-after"]), (503, &"1".parse().unwrap()));
    }

    #[tokio::test]
    async fn nobody_waits_for_ever_for_an_index_that_does_not_come_nor_for_a_turn() {
        let queries = Queries::new();
        let soon = Duration::from_millis(1);
        is_busy(queries.index_ready(soon).await, "the query index is not open yet, or failed and is made anew");
        let mut turns = Vec::new();
        for _ in 0..QUERIES_MAX {
            turns.push(queries.turn(soon).await.unwrap());
        }
        is_busy(queries.turn(soon).await, "too many queries wait for their turn");
        turns.pop();
        assert!(queries.turn(soon).await.is_ok());
    }

    #[tokio::test]
    async fn questions_about_epochs_that_have_ended_leave_turns_to_others() {
        let queries = Queries::new();
        let soon = Duration::from_millis(1);
        let mut turns = Vec::new();
        for _ in 0..ENDED_MAX {
            turns.push(queries.turn_of_ended(soon).await.unwrap());
        }
        is_busy(queries.turn_of_ended(soon).await, "too many queries wait for their turn");
        let mut others = Vec::new();
        for _ in ENDED_MAX..QUERIES_MAX {
            others.push(queries.turn(soon).await.unwrap());
        }
        is_busy(queries.turn(soon).await, "too many queries wait for their turn");
        turns.pop();
        let _one = queries.turn_of_ended(soon).await.unwrap();
        // One that waits for others' turns takes none of theirs.
        is_busy(queries.turn_of_ended(soon).await, "too many queries wait for their turn");
        others.pop();
        assert!(queries.turn(soon).await.is_ok());
    }

    #[tokio::test]
    async fn the_lists_of_one_operator_leave_turns_to_others() {
        let queries = Queries::new();
        let soon = Duration::from_millis(1);
        let mut turns = Vec::new();
        for _ in 0..OF_ONE_OPERATOR_MAX {
            turns.push((queries.turn_of_operator("alice", soon).await.unwrap(), queries.turn(soon).await.unwrap()));
        }
        is_busy(queries.turn_of_operator("alice", soon).await, "too many queries wait for their turn");
        // Bob has all of his, and there are turns for them.
        for _ in 0..QUERIES_MAX - OF_ONE_OPERATOR_MAX {
            turns.push((queries.turn_of_operator("bob", soon).await.unwrap(), queries.turn(soon).await.unwrap()));
        }
        is_busy(queries.turn_of_operator("bob", soon).await, "too many queries wait for their turn");
        drop(turns.remove(0));
        assert!(queries.turn_of_operator("alice", soon).await.is_ok());
        // Nothing is left of whoever reads nothing.
        turns.clear();
        drop(queries.turn_of_operator("carol", soon).await.unwrap());
        assert_eq!(queries.of_operators.lock().unwrap().keys().collect::<Vec<_>>(), ["carol"]);
    }
}
