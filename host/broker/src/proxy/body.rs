//! The body of an answer as it is passed on: bit by bit, within time and size, and never with the secret in it. However
//! it ends, whoever waits for that is told.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::Stream;
use futures_util::stream::unfold;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::Proxy;
use super::connect::Wire;
use super::scan::Scan;

/// Why an answer did not come whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Cut {
    /// It paused too long.
    #[error("it paused too long")]
    Idle,
    /// It took too long.
    #[error("it took too long")]
    Late,
    /// It is too long.
    #[error("it is too long")]
    TooLong,
    /// It holds the secret.
    #[error("it holds the secret")]
    Secret,
    /// It broke off, or is framed wrong.
    #[error("it broke off")]
    Broken,
    /// Whoever asked hung up.
    #[error("whoever asked hung up")]
    HungUp,
}

impl Cut {
    /// A stable name, for the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Late => "late",
            Self::TooLong => "too_long",
            Self::Secret => "secret",
            Self::Broken => "broken",
            Self::HungUp => "hung_up",
        }
    }
}

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// How many bytes of its body were passed on.
    pub bytes: u64,
    /// Why it did not come whole, if it did not.
    pub cut: Option<Cut>,
}

/// Told of the end, once.
pub type Told = Box<dyn FnOnce(End) + Send>;

/// The body of an answer.
pub struct Answer {
    pieces: Pin<Box<dyn Stream<Item = Result<Bytes, Cut>> + Send>>,
    bytes: Option<u64>,
}

/// What an answer is read within.
pub(super) struct Within {
    pub(super) proxy: Arc<Proxy>,
    pub(super) wire: Wire,
    pub(super) until: Instant,
    /// Held until the answer has ended: so many are asked at once.
    pub(super) place: OwnedSemaphorePermit,
}

struct Reading {
    incoming: Incoming,
    scan: Scan,
    idle: Duration,
    left: u64,
    within: Option<Within>,
    until: Instant,
    report: Report,
}

/// Tells of the end, also if it is only dropped.
struct Report {
    bytes: u64,
    told: Option<Told>,
}

impl Report {
    fn end(&mut self, cut: Option<Cut>) {
        if let Some(told) = self.told.take() {
            told(End { bytes: self.bytes, cut });
        }
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        self.end(Some(Cut::HungUp));
    }
}

impl Answer {
    pub(super) fn new(incoming: Incoming, scan: Scan, within: Within, told: Told) -> Self {
        let bytes = incoming.size_hint().exact();
        let settings = within.proxy.settings();
        let (idle, left) = (Duration::from_millis(settings.idle_ms_max), settings.response_bytes_max);
        let (until, report) = (within.until, Report { bytes: 0, told: Some(told) });
        let reading = Reading { incoming, scan, idle, left, within: Some(within), until, report };
        let pieces = unfold(Some(reading), async |reading| next(reading?).await);
        Self { pieces: Box::pin(pieces), bytes }
    }
}

/// The next piece, and what follows it.
async fn next(mut reading: Reading) -> Option<(Result<Bytes, Cut>, Option<Reading>)> {
    loop {
        if reading.within.is_none() {
            reading.report.end(None);
            return None;
        }
        match piece(&mut reading).await {
            Ok(piece) if piece.is_empty() => {}
            Ok(piece) => {
                reading.report.bytes += piece.len() as u64;
                return Some((Ok(piece), Some(reading)));
            }
            Err(cut) => {
                reading.report.end(Some(cut));
                return Some((Err(cut), None));
            }
        }
    }
}

/// What comes next; empty for what is not passed on. After the last there is nothing left to read within.
async fn piece(reading: &mut Reading) -> Result<Bytes, Cut> {
    let idle_until = Instant::now() + reading.idle;
    let (until, late) = if idle_until < reading.until { (idle_until, Cut::Idle) } else { (reading.until, Cut::Late) };
    let frame = tokio::time::timeout_at(until, reading.incoming.frame()).await.map_err(|_| late)?;
    let Some(frame) = frame else {
        if let Some(Within { proxy, wire, place, .. }) = reading.within.take() {
            proxy.keep(wire);
            drop(place);
        }
        return Ok(reading.scan.rest());
    };
    // Trailers go no further.
    let Ok(data) = frame.map_err(|_| Cut::Broken)?.into_data() else { return Ok(Bytes::new()) };
    reading.left = reading.left.checked_sub(data.len() as u64).ok_or(Cut::TooLong)?;
    reading.scan.pass(data).map_err(|_| Cut::Secret)
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        self.pieces.as_mut().poll_next(context).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }

    fn size_hint(&self) -> SizeHint {
        self.bytes.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
