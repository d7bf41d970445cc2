//! Events on their way to a reader: so many wait, of so many bytes in all, and no longer than so long.
//!
//! What waits for a reader who is too slow, or who may not read any more, is dropped at the end, so that it takes no room
//! until somebody finds the connection dead. That it ended, and where to go on, is told whenever they read on.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use attorn_log::Epoch;
use axum::body::{Body, Bytes};
use serde_json::json;
use tokio::sync::Notify;

/// Why a stream ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Its reader does not read.
    Slow,
    /// The server stops, and its reader comes back to the next one.
    Stopped,
    /// Its reader is no operator any more.
    Revoked,
    /// The user whom it is about was erased.
    UserGone,
    /// What comes next is damaged.
    LogDamaged,
    /// The server failed.
    Failed,
}

impl End {
    pub(super) const fn reason(self) -> &'static str {
        match self {
            Self::Slow => "slow",
            Self::Stopped => "stopped",
            Self::Revoked => "revoked",
            Self::UserGone => "user_gone",
            Self::LogDamaged => "log_damaged",
            Self::Failed => "failed",
        }
    }

    /// Whether what waits is still for the reader.
    const fn lets_finish(self) -> bool {
        match self {
            Self::Stopped | Self::LogDamaged | Self::Failed => true,
            Self::Slow | Self::Revoked | Self::UserGone => false,
        }
    }
}

/// How much waits for a reader, and how long they may let it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) events: usize,
    /// One event may be larger: then it waits alone.
    pub(super) bytes: usize,
    pub(super) slow: Duration,
}

/// The first entry that was not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Next {
    pub(super) epoch: Epoch,
    pub(super) index: u64,
}

impl Next {
    /// The last that was, as events are named; none at the beginning of an epoch.
    pub(super) fn last(self) -> Option<String> {
        self.index.checked_sub(1).map(|last| format!("{}/{last}", self.epoch))
    }
}

/// An event, and what comes after it.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) text: Bytes,
    pub(super) next: Next,
}

/// Events on their way to a reader.
pub(super) struct Queue {
    shared: Arc<Shared>,
    limits: Limits,
}

struct Shared {
    state: Mutex<State>,
    /// Something came, or the end.
    came: Notify,
    /// Something was taken, or the reader hung up.
    went: Notify,
}

struct State {
    waiting: VecDeque<Event>,
    bytes: usize,
    /// What comes after all that the reader has taken.
    next: Next,
    last: Option<Bytes>,
    is_ended: bool,
    has_hung_up: bool,
}

/// A queue and what its reader reads from this entry on: all that is sent, and at last how it ended.
pub(super) fn queue(limits: Limits, next: Next) -> (Queue, Body) {
    let state = State { waiting: VecDeque::new(), bytes: 0, next, last: None, is_ended: false, has_hung_up: false };
    let shared = Arc::new(Shared { state: Mutex::new(state), came: Notify::new(), went: Notify::new() });
    let reader = Reader(Arc::clone(&shared));
    let stream = futures_util::stream::unfold(reader, |reader| async move {
        let event = reader.next().await?;
        Some((Ok::<_, std::convert::Infallible>(event), reader))
    });
    (Queue { shared, limits }, Body::from_stream(stream))
}

impl Queue {
    /// Put an event in, unless the reader is too slow.
    pub(super) async fn send(&self, event: Event) -> Result<(), End> {
        tokio::time::timeout(self.limits.slow, self.has_room(event.text.len())).await.map_err(|_| End::Slow)?;
        let mut state = self.shared.lock();
        if state.has_hung_up {
            return Ok(());
        }
        state.bytes += event.text.len();
        state.waiting.push_back(event);
        drop(state);
        self.shared.came.notify_one();
        Ok(())
    }

    /// Wait until so many bytes have room. Who has hung up has room for all; that is found out elsewhere.
    async fn has_room(&self, bytes: usize) {
        let fits = |state: &State| {
            let within = state.waiting.len() < self.limits.events && state.bytes + bytes <= self.limits.bytes;
            within || state.waiting.is_empty() || state.has_hung_up
        };
        loop {
            if fits(&self.shared.lock()) {
                return;
            }
            self.shared.went.notified().await;
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.shared.lock().has_hung_up
    }

    pub(super) async fn closed(&self) {
        while !self.is_closed() {
            self.shared.went.notified().await;
        }
    }

    /// Say why it ends: after all that was queued, or instead of it; and where to go on.
    pub(super) fn end(self, end: End, next: Next) {
        let mut state = self.shared.lock();
        if !end.lets_finish() {
            state.waiting.clear();
            state.bytes = 0;
        }
        let resume_after = if end.lets_finish() { next } else { state.next }.last();
        let data = json!({ "reason": end.reason(), "resume_after": resume_after });
        state.last = Some(format!("event: ended\ndata: {data}\n\n").into());
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.shared.lock().is_ended = true;
        self.shared.came.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the events are read.
struct Reader(Arc<Shared>);

impl Reader {
    async fn next(&self) -> Option<Bytes> {
        loop {
            {
                let mut state = self.0.lock();
                if let Some(Event { text, next }) = state.waiting.pop_front() {
                    state.bytes -= text.len();
                    state.next = next;
                    self.0.went.notify_one();
                    return Some(text);
                }
                if state.is_ended {
                    return state.last.take();
                }
            }
            self.0.came.notified().await;
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.has_hung_up = true;
        state.waiting.clear();
        state.bytes = 0;
        drop(state);
        self.0.went.notify_one();
    }
}
