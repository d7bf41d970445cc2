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
        let mut reading = Reading { incoming, scan, idle, left, within: Some(within), until, report };
        // Nobody asks for pieces of what has none.
        if reading.incoming.is_end_stream() {
            reading.finish(Bytes::new());
        }
        let pieces = unfold(Some(reading), async |reading| next(reading?).await);
        Self { pieces: Box::pin(pieces), bytes }
    }
}

impl Reading {
    /// The answer is whole: the connection is good for another, and with this last piece comes what was held back. Of
    /// an answer that said how long it is, nobody asks for more than that.
    fn finish(&mut self, last: Bytes) -> Bytes {
        if let Some(Within { proxy, wire, place, .. }) = self.within.take() {
            proxy.keep(wire);
            drop(place);
        }
        let rest = self.scan.rest();
        let last = if rest.is_empty() { last } else { [last, rest].concat().into() };
        self.report.bytes += last.len() as u64;
        self.report.end(None);
        last
    }
}

/// The next piece, and what follows it.
async fn next(mut reading: Reading) -> Option<(Result<Bytes, Cut>, Option<Reading>)> {
    loop {
        reading.within.as_ref()?;
        match piece(&mut reading).await {
            Ok(piece) if piece.is_empty() => {}
            Ok(piece) => return Some((Ok(piece), Some(reading))),
            Err(cut) => {
                reading.report.end(Some(cut));
                // What was passed on before is flushed first, and be it the head alone.
                tokio::task::yield_now().await;
                return Some((Err(cut), None));
            }
        }
    }
}

/// What comes next; empty where nothing is passed on. After the last there is nothing left to read within.
async fn piece(reading: &mut Reading) -> Result<Bytes, Cut> {
    let idle_until = Instant::now() + reading.idle;
    let (until, late) = if idle_until < reading.until { (idle_until, Cut::Idle) } else { (reading.until, Cut::Late) };
    let frame = tokio::time::timeout_at(until, reading.incoming.frame()).await.map_err(|_| late)?;
    let Some(frame) = frame else { return Ok(reading.finish(Bytes::new())) };
    // Trailers go no further.
    let Ok(data) = frame.map_err(|_| Cut::Broken)?.into_data() else { return Ok(Bytes::new()) };
    reading.left = reading.left.checked_sub(data.len() as u64).ok_or(Cut::TooLong)?;
    let piece = reading.scan.pass(data).map_err(|_| Cut::Secret)?;
    if reading.incoming.is_end_stream() {
        return Ok(reading.finish(piece));
    }
    reading.report.bytes += piece.len() as u64;
    Ok(piece)
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
