//! Events on their way to a reader: so many wait, and no longer than so long.

use std::time::Duration;

use axum::body::{Body, Bytes};
use serde_json::json;
use tokio::sync::{mpsc, oneshot};

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
            Self::Failed => "failed",
        }
    }
}

/// Events on their way to a reader.
pub(super) struct Queue {
    sender: mpsc::Sender<Bytes>,
    last: oneshot::Sender<Bytes>,
    slow: Duration,
}

/// A queue and what its reader reads: all that is sent, and at last how it ended.
pub(super) fn queue(events_max: usize, slow: Duration) -> (Queue, Body) {
    let ((sender, receiver), (last, ended)) = (mpsc::channel(events_max), oneshot::channel());
    let stream = futures_util::stream::unfold((receiver, Some(ended)), |(mut receiver, mut ended)| async move {
        let event = match receiver.recv().await {
            Some(event) => event,
            // Who hung up on purpose says nothing.
            None => ended.take()?.await.ok()?,
        };
        Some((Ok::<_, std::convert::Infallible>(event), (receiver, ended)))
    });
    (Queue { sender, last, slow }, Body::from_stream(stream))
}

impl Queue {
    /// Put an event in, unless the reader is too slow.
    pub(super) async fn send(&self, event: Bytes) -> Result<(), End> {
        // Whether they have hung up is found out elsewhere.
        self.sender.send_timeout(event, self.slow).await.or_else(|error| match error {
            mpsc::error::SendTimeoutError::Timeout(_) => Err(End::Slow),
            mpsc::error::SendTimeoutError::Closed(_) => Ok(()),
        })
    }

    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    pub(super) async fn closed(&self) {
        self.sender.closed().await;
    }

    /// Say why it ends. The reader reads it after all that was queued, however late.
    pub(super) fn end(self, end: End, next: u64) {
        let resume_after = next.checked_sub(1);
        let data = json!({ "reason": end.reason(), "resume_after": resume_after });
        // Nobody may be there any more.
        let _ = self.last.send(format!("event: ended\ndata: {data}\n\n").into());
    }
}
