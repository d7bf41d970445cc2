//! `GET /v1/audit/stream`: entries as they become durable, as server-sent events (HTML, section 9.2), of which each
//! has the entry's epoch and index as its id. Whoever comes back with `Last-Event-ID` goes on after it; where the log has begun
//! a new epoch since, with the rest of the old one, which is read from its export.
//!
//! Each stream reads from the log at its reader's pace, so nobody is kept waiting by one. Whoever does not read what
//! is queued for them is dropped, and told so by the last event. A stream ends when its reader may not read any more:
//! that is looked at before each look at the log and all the time beside it, also while a slow reader is waited for.

mod queue;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use attorn_api::ProblemCode;
use attorn_api::audit::{Entry, EntryList};
use attorn_core::UserId;
use attorn_log::{EntryRef, Epoch};
use attorn_store::records::LogEpochRecord;
use attorn_store::{Key, LogHead, Order};
use axum::body::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::filter::{Filter, invalid};
use super::find::{self, Ask, Page, Unreadable};
use super::reading_ended;
use crate::app::App;
use crate::audit::epochs::page;
use crate::http::call::{Call, OperatorCaller, Reply};
use crate::http::failure::Failure;
use crate::users::kept;
use crate::{audit, epochs};
use queue::{End, Event, Limits, Next, Queue, queue};

/// The most streams at a time.
pub(crate) const STREAMS_MAX: usize = 32;
/// What a stream may say beside its filters.
pub(crate) const OF_A_STREAM: [&str; 1] = ["from"];
const LAST_EVENT_ID: &str = "last-event-id";
const MEDIA_TYPE: &str = "text/event-stream";
/// How much waits for a reader, and how long they may let it.
const QUEUED: Limits = Limits { events: 256, bytes: 1 << 20, slow: Duration::from_secs(10) };
/// How often it is looked whether a reader may still read.
const RIGHTS_EVERY: Duration = Duration::from_millis(250);
/// After how long a silent stream says that it lives.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// How long a stream rests between looking at what is new: less than a second, so that nobody learns late, and long
/// enough that streams take a bounded share of the machine.
const REST: Duration = Duration::from_millis(100);
/// The same, as long as there is more than one look brings.
const SHORT_REST: Duration = Duration::from_millis(5);
/// How many entries one look brings.
const LOOK_ENTRIES: usize = 200;

/// All streams.
pub(crate) struct Streams {
    permits: Arc<Semaphore>,
    stopped: watch::Sender<bool>,
}

impl Streams {
    pub(super) fn new() -> Self {
        Self { permits: Arc::new(Semaphore::new(STREAMS_MAX)), stopped: watch::Sender::new(false) }
    }

    pub(super) fn count(&self) -> usize {
        STREAMS_MAX - self.permits.available_permits()
    }

    pub(super) fn stop(&self) {
        self.stopped.send_replace(true);
    }
}

pub(crate) async fn create(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let filter = Filter::of(&app, &call, &OF_A_STREAM).await?;
    let begin = Begin::of(&app, &call).await?;
    let permit = Arc::clone(&app.queries.streams.permits).try_acquire_owned();
    let permit = permit.map_err(|_| {
        Failure::of(ProblemCode::Busy, format!("there are {STREAMS_MAX} streams already, and no more are served"))
    })?;
    let (queue, body) = queue(QUEUED, begin.next);
    let reader = Arc::new(Reader { operator: call.operator()?.clone(), user: filter.user.clone() });
    tokio::spawn(pump(app, Pump { filter, reader, begin, behind: false, queue, permit }));
    Ok(Reply { media_type: MEDIA_TYPE, ..Reply::text(body) })
}

/// What is brought, in its order.
struct Begin {
    /// What came to epochs that have ended by now, from this entry on.
    earlier: VecDeque<(LogEpochRecord, u64)>,
    /// What comes after all that was looked at.
    next: Next,
}

impl Begin {
    /// After the last that the reader has, or as asked, or the next that comes.
    async fn of(app: &App, call: &Call) -> Result<Self, Failure> {
        let LogHead { epoch, size, .. } = app.store.log_head()?;
        let from = call.query::<u64>("from")?;
        if let Some(last) = call.headers.get(LAST_EVENT_ID) {
            let last = last.to_str().ok().and_then(parse_id);
            let last = last.ok_or_else(|| invalid("`Last-Event-ID` is no entry, as `EPOCH/INDEX`"))?;
            return Self::after(app, last, (epoch, size)).await;
        }
        let index = from.unwrap_or(size);
        if index > size {
            return Err(beyond(format!("`from` is {index}, and the log has {size} entries")));
        }
        Ok(Self { earlier: VecDeque::new(), next: Next { epoch, index } })
    }

    async fn after(app: &App, last: (Epoch, u64), (epoch, size): (Epoch, u64)) -> Result<Self, Failure> {
        let (of, index) = last;
        let next = Next { epoch: of, index: index.saturating_add(1) };
        if of == epoch && index < size {
            return Ok(Self { earlier: VecDeque::new(), next });
        }
        if of >= epoch {
            return Err(beyond(format!(
                "`Last-Event-ID` is `{of}/{index}`, and the log has {size} entries in epoch {epoch}, the last"
            )));
        }
        let (mut earlier, mut is_known) = (VecDeque::new(), false);
        for known in app.store.earlier_epochs().iter().filter(|known| known.epoch >= of) {
            // A restored log may have ended before that.
            if known.epoch == of && index >= known.size {
                return Err(beyond(format!(
                    "`Last-Event-ID` is `{of}/{index}`, and epoch {of} of the log ended with {} entries",
                    known.size
                )));
            }
            is_known |= known.epoch == of;
            if known.epoch == of && next.index >= known.size {
                // They have all of it, whether it is kept or not.
                continue;
            }
            let record = epochs::earlier(&app.store, known.epoch).await?;
            let record = record.ok_or_else(|| Failure::internal("an epoch that has ended has no record"))?;
            earlier.push_back((record, if known.epoch == of { next.index } else { 0 }));
        }
        if !is_known {
            return Err(beyond(format!("`Last-Event-ID` is `{of}/{index}`, and the log has no epoch {of}")));
        }
        Ok(Self { earlier, next })
    }
}

fn beyond(detail: String) -> Failure {
    Failure::of(ProblemCode::InvalidField, detail)
        .with_help("was the server restored from a backup, or is this another one? begin without it")
}

/// An entry, as events are named.
fn parse_id(text: &str) -> Option<(Epoch, u64)> {
    let at: EntryRef = format!("log/{text}").parse().ok()?;
    Some((at.epoch, at.index))
}

/// Who reads, and whose key it takes.
struct Reader {
    operator: OperatorCaller,
    user: Option<UserId>,
}

impl Reader {
    /// Wait until they may not read any more, and say why.
    async fn is_done(&self, app: &App) -> Result<End, Failure> {
        loop {
            if let Some(end) = self.ended(app).await? {
                return Ok(end);
            }
            tokio::time::sleep(RIGHTS_EVERY).await;
        }
    }

    /// Why they may not read any more, if they may not.
    async fn ended(&self, app: &App) -> Result<Option<End>, Failure> {
        if let Some(id) = &self.operator.id
            && app.store.get(&Key::operator(id)).await?.map(|found| found.version) != Some(self.operator.version)
        {
            return Ok(Some(End::Revoked));
        }
        match &self.user {
            Some(user) if kept::key(app, user).await?.is_none() => Ok(Some(End::UserGone)),
            _ => Ok(None),
        }
    }
}

struct Pump {
    filter: Filter,
    reader: Arc<Reader>,
    begin: Begin,
    /// Whether there was more than the last look brought.
    behind: bool,
    queue: Queue,
    /// Given back when the stream ends.
    permit: OwnedSemaphorePermit,
}

async fn pump(app: Arc<App>, mut pump: Pump) {
    let mut stopped = app.queries.streams.stopped.subscribe();
    let is_stopped = async {
        // Who would tell of it is gone only when the server is.
        let _ = stopped.wait_for(|stopped| *stopped).await;
    };
    let reader = Arc::clone(&pump.reader);
    let end = tokio::select! {
        end = pump.run(&app) => end,
        end = reader.is_done(&app) => Some(end.unwrap_or_else(|failure| failed(&failure))),
        () = is_stopped => Some(End::Stopped),
    };
    let Pump { queue, permit, begin: Begin { next, .. }, .. } = pump;
    if let Some(end) = end {
        queue.end(end, next);
    }
    drop(permit);
}

fn failed(failure: &Failure) -> End {
    tracing::warn!(why = failure.internal, "a stream of the audit log failed");
    if failure.problem.code == ProblemCode::LogDamaged { End::LogDamaged } else { End::Failed }
}

impl Pump {
    /// Bring what comes; why it ended, unless nobody reads any more.
    async fn run(&mut self, app: &Arc<App>) -> Option<End> {
        // So that its reader knows at once where to go on, also where nothing comes before the connection breaks.
        match self.say_where().await {
            Ok(()) => {}
            Err(end) => return Some(end),
        }
        match self.catch_up(app).await {
            Ok(None) => {}
            Ok(Some(end)) => return Some(end),
            Err(failure) => return Some(failed(&failure)),
        }
        loop {
            match self.round(app).await {
                Ok(Some(end)) => return Some(end),
                Ok(None) if self.queue.is_closed() => return None,
                Ok(None) => tokio::time::sleep(if self.behind { SHORT_REST } else { REST }).await,
                Err(failure) => return Some(failed(&failure)),
            }
        }
    }

    async fn say_where(&self) -> Result<(), End> {
        let next = self.begin.next;
        self.queue.send(Event { text: heartbeat(next), next }).await
    }

    /// Bring what came to epochs that have ended, and begin where the log is.
    async fn catch_up(&mut self, app: &Arc<App>) -> Result<Option<End>, Failure> {
        while let Some((known, from)) = self.begin.earlier.pop_front() {
            let (epoch, mut from) = (known.epoch(), Some(from));
            while let Some(begin) = from.filter(|_| !self.queue.is_closed()) {
                if let Some(end) = self.reader.ended(app).await? {
                    return Ok(Some(end));
                }
                let (known, filter) = (known.clone(), self.filter.clone());
                let read = move |app: &App| page(app, known, (begin, LOOK_ENTRIES), Some(&filter));
                let EntryList { entries, next, damaged, .. } = match reading_ended(app, read).await {
                    // Others read there; somebody who only waits need not come back for it.
                    Err(failure) if failure.problem.code == ProblemCode::Busy => {
                        if let Err(end) = self.say_where().await {
                            return Ok(Some(end));
                        }
                        tokio::time::sleep(REST).await;
                        continue;
                    }
                    // It is not kept: whoever comes back with the same finds the same.
                    Err(failure) if failure.problem.code == ProblemCode::NotFound => {
                        failed(&failure);
                        return Ok(Some(End::LogDamaged));
                    }
                    read => read?,
                };
                for entry in &entries {
                    if let Some(end) = self.bring(entry).await? {
                        return Ok(Some(end));
                    }
                }
                if damaged.is_some() {
                    return Ok(Some(End::LogDamaged));
                }
                from = next;
                if let Some(index) = next {
                    self.begin.next = Next { epoch, index };
                    // Where nothing of it is wanted, that is the sign of life.
                    if let Err(end) = self.say_where().await {
                        return Ok(Some(end));
                    }
                }
            }
        }
        let epoch = app.store.log_head()?.epoch;
        if self.begin.next.epoch != epoch {
            self.begin.next = Next { epoch, index: 0 };
        }
        Ok(None)
    }

    async fn bring(&mut self, entry: &Entry) -> Result<Option<End>, Failure> {
        let at = &entry.reference;
        let next = Next { epoch: Epoch(at.epoch), index: at.index + 1 };
        if let Err(end) = self.queue.send(Event { text: event(entry)?, next }).await {
            return Ok(Some(end));
        }
        self.begin.next = next;
        Ok(None)
    }

    async fn round(&mut self, app: &Arc<App>) -> Result<Option<End>, Failure> {
        let Next { epoch, index } = self.begin.next;
        let more = tokio::select! {
            reached = app.store.log_reaches(index + 1) => reached.map(|_| true)?,
            () = tokio::time::sleep(HEARTBEAT) => false,
            () = self.queue.closed() => return Ok(None),
        };
        if let Some(end) = self.reader.ended(app).await? {
            return Ok(Some(end));
        }
        if !more {
            return Ok(self.say_where().await.err());
        }
        let ask = Ask {
            filter: self.filter.clone(),
            order: Order::Oldest,
            within: index..u64::MAX,
            limit: LOOK_ENTRIES,
            beyond_max: u64::MAX,
            unreadable: Unreadable::Refused,
        };
        let index = app.queries.index();
        let reader = Arc::clone(app);
        let found = move || find::page(&reader.store, index.as_deref(), &ask);
        let Page { entries, rest, through, .. } =
            tokio::task::spawn_blocking(found).await.map_err(Failure::internal)??;
        for entry in &entries {
            let entry = audit::entry_answer(&audit::parsed(&entry.bytes)?)?;
            if let Some(end) = self.bring(&entry).await? {
                return Ok(Some(end));
            }
        }
        self.behind = !rest.is_empty();
        let looked = if self.behind { rest.start } else { self.begin.next.index.max(through) };
        self.begin.next = Next { epoch, index: looked };
        Ok(None)
    }
}

fn event(entry: &Entry) -> Result<Bytes, Failure> {
    // JSON on one line: it has no line's end within.
    let json = serde_json::to_string(entry).map_err(Failure::internal)?;
    let at = &entry.reference;
    Ok(format!("id: {}/{}\nevent: entry\ndata: {json}\n\n", at.epoch, at.index).into())
}

/// A comment; and without data the id alone, which says how far was looked without anything to tell.
fn heartbeat(next: Next) -> Bytes {
    match next.last() {
        Some(last) => format!(":\nid: {last}\n\n").into(),
        None => ":\n\n".into(),
    }
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
