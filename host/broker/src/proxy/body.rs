//! The body of an answer as it is passed on: bit by bit, within time and size, and never with the secret in it. However
//! it ends, whoever waits for that is told.
//!
//! A task reads it, and hands on a piece at a time. So all limits count whether or not whoever asked reads on, and an
//! answer whose grant has ended goes no further.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::StatusCode;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::connect::Wire;
use super::scan::Scan;
use super::{Ended, Place, Proxy};

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
    /// Whoever asked did not read on.
    #[error("whoever asked did not read on")]
    Unread,
    /// Its grant stands no more.
    #[error("its grant stands no more")]
    Revoked,
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
            Self::Unread => "unread",
            Self::Revoked => "revoked",
        }
    }
}

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// The status with which it began.
    pub status: StatusCode,
    /// Whether a header held the secret, and was dropped.
    pub secret_in_header: bool,
    /// How many bytes of its body were passed on.
    pub bytes: u64,
    /// Why it did not come whole, if it did not.
    pub cut: Option<Cut>,
}

/// Told of the end, once.
pub type Told = Box<dyn FnOnce(End) + Send>;

/// The body of an answer.
pub struct Answer {
    pieces: mpsc::Receiver<Piece>,
    bytes: Option<u64>,
    came: Came,
}

/// How far it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Came {
    Begun,
    Whole,
    CutOff,
}

/// A piece of it.
enum Piece {
    More(Bytes),
    Last(Bytes),
}

/// What an answer is read within.
pub(super) struct Within {
    pub(super) proxy: Arc<Proxy>,
    pub(super) until: Instant,
    /// Held until the answer has ended: so many are asked at once.
    pub(super) place: Place,
    pub(super) ended: Ended,
}

struct Reading {
    incoming: Incoming,
    scan: Scan,
    idle: Duration,
    left: u64,
    until: Instant,
    pieces: mpsc::Sender<Piece>,
    /// How many bytes were handed on.
    bytes: u64,
}

impl Answer {
    pub(super) fn new(
        (incoming, scan): (Incoming, Scan),
        (status, secret_in_header): (StatusCode, bool),
        (wire, within): (Wire, Within),
        told: Told,
    ) -> Self {
        let end = move |bytes, cut| End { status, secret_in_header, bytes, cut };
        let bytes = incoming.size_hint().exact();
        let (pieces, receiver) = mpsc::channel(1);
        let Within { proxy, until, place, mut ended } = within;
        let settings = proxy.settings();
        let (idle, left) = (Duration::from_millis(settings.idle_ms_max), settings.response_bytes_max);
        // Nobody asks for pieces of what has none.
        if incoming.is_end_stream() {
            proxy.keep(wire);
            drop(place);
            told(end(0, None));
            return Self { pieces: receiver, bytes, came: Came::Whole };
        }
        let mut reading = Reading { incoming, scan, idle, left, until, pieces, bytes: 0 };
        tokio::spawn(async move {
            let cut = tokio::select! {
                biased;
                () = &mut ended => Some(Cut::Revoked),
                cut = reading.all() => cut,
            };
            // Only an answer that came whole leaves the connection good for another.
            if cut.is_none() {
                proxy.keep(wire);
            } else {
                drop(wire);
            }
            drop(place);
            told(end(reading.bytes, cut));
        });
        Self { pieces: receiver, bytes, came: Came::Begun }
    }
}

impl Reading {
    /// Read it to its end, and hand on what may be. Says why it was cut off, if it was.
    async fn all(&mut self) -> Option<Cut> {
        loop {
            let piece = match self.next().await {
                Ok(piece) => piece,
                Err(cut) => return Some(cut),
            };
            let is_last = matches!(piece, Piece::Last(_));
            if let Err(cut) = self.hand_on(piece).await {
                return Some(cut);
            }
            if is_last {
                return None;
            }
        }
    }

    /// What comes next. Nobody reads on for whoever hung up.
    async fn next(&mut self) -> Result<Piece, Cut> {
        let idle_until = Instant::now() + self.idle;
        let (until, late) = if idle_until < self.until { (idle_until, Cut::Idle) } else { (self.until, Cut::Late) };
        let frame = tokio::select! {
            () = self.pieces.closed() => return Err(Cut::HungUp),
            frame = timeout_at(until, self.incoming.frame()) => frame.map_err(|_| late)?,
        };
        let Some(frame) = frame else { return Ok(Piece::Last(self.scan.rest())) };
        // Trailers go no further.
        let Ok(data) = frame.map_err(|_| Cut::Broken)?.into_data() else { return Ok(Piece::More(Bytes::new())) };
        self.left = self.left.checked_sub(data.len() as u64).ok_or(Cut::TooLong)?;
        let piece = self.scan.pass(data).map_err(|_| Cut::Secret)?;
        if !self.incoming.is_end_stream() {
            return Ok(Piece::More(piece));
        }
        // Of an answer that said how long it is, nobody asks for more than that. With its last piece comes what was
        // held back.
        let rest = self.scan.rest();
        Ok(Piece::Last(if rest.is_empty() { piece } else { [piece, rest].concat().into() }))
    }

    async fn hand_on(&mut self, piece: Piece) -> Result<(), Cut> {
        let (Piece::More(bytes) | Piece::Last(bytes)) = &piece;
        let bytes = bytes.len() as u64;
        if bytes == 0 && matches!(piece, Piece::More(_)) {
            return Ok(());
        }
        let idle_until = Instant::now() + self.idle;
        let (until, late) = if idle_until < self.until { (idle_until, Cut::Unread) } else { (self.until, Cut::Late) };
        timeout_at(until, self.pieces.send(piece)).await.map_err(|_| late)?.map_err(|_| Cut::HungUp)?;
        self.bytes += bytes;
        Ok(())
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        if self.came == Came::Whole {
            return Poll::Ready(None);
        }
        let piece = std::task::ready!(self.pieces.poll_recv(context));
        Poll::Ready(match piece {
            Some(Piece::More(bytes)) => Some(Ok(Frame::data(bytes))),
            Some(Piece::Last(bytes)) => {
                self.came = Came::Whole;
                Some(bytes).filter(|bytes| !bytes.is_empty()).map(|bytes| Ok(Frame::data(bytes)))
            }
            // What was passed on before is flushed first, and be it the head alone.
            None if self.came == Came::Begun => {
                self.came = Came::CutOff;
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            // Why, the log says.
            None => Some(Err(Cut::Broken)),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.came == Came::Whole
    }

    fn size_hint(&self) -> SizeHint {
        self.bytes.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
