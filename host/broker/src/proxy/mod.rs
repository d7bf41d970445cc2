//! A service that is called for agents: one request for one recorded grant, with the secret that only the service and
//! this module see.
//!
//! It speaks HTTP/1.1. Names are resolved and looked at, and the connection goes to those very addresses; redirects are
//! followed nowhere. Of the answer, the headers that are passed on are named one by one, none that holds the secret is
//! among them, and a body that holds it is cut off before it. That finds the secret as it is: not compressed, not
//! encoded, not in parts. Which requests there are, and what they mean, is not known here.

mod body;
mod connect;
mod places;
mod scan;
mod send;

use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Instant;

use attorn_core::{AgentId, FieldName, ProxyMethod, ProxySettings};
use futures_util::future::BoxFuture;
use hyper::body::Bytes;
use hyper::header::HeaderValue;
use hyper::{HeaderMap, StatusCode};
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;
use zeroize::Zeroizing;

use crate::kind::KindError;

pub use body::{Answer, Cut, End, Told};
pub use places::Place;
pub use send::is_of_hop;

/// A service that is called for agents.
pub struct Proxy {
    settings: ProxySettings,
    secret: Zeroizing<Vec<u8>>,
    /// Where this server listens.
    own: SocketAddr,
    places: places::Places,
    tls: OnceCell<TlsConnector>,
    idle: Mutex<Vec<(Instant, connect::Wire)>>,
}

/// A request as it goes out, all of it of the host's making.
pub struct Outgoing {
    /// The method.
    pub method: ProxyMethod,
    /// Path and query, as they were decided.
    pub target: String,
    /// Headers that go on.
    pub headers: Vec<(FieldName, HeaderValue)>,
    /// The body's media type; none where there is no body.
    pub media_type: Option<String>,
    /// The body.
    pub body: Bytes,
}

/// The beginning of an answer.
pub struct Answered {
    /// Its status.
    pub status: StatusCode,
    /// Those of its headers that are passed on.
    pub headers: HeaderMap,
    /// Where it sends the caller, as it says it.
    pub location: Option<String>,
    /// Whether a header held the secret, and was dropped.
    pub secret_in_header: bool,
    /// The rest of it.
    pub body: Answer,
}

/// Comes when the grant of a request stands no more: what is not sent by then is not sent, and an answer is cut off.
pub type Ended = BoxFuture<'static, ()>;

/// Why there is no answer. Its text is for operators, and holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendError {
    /// Nothing of the request was sent.
    NotSent(KindError),
    /// The grant ended before anything was sent.
    Ended(KindError),
    /// Some of it was, and no answer came in time.
    Late(KindError),
    /// Some of it was, and what came is no answer.
    Broken(KindError),
    /// Whoever asked hung up before an answer began. Whether anything was sent by then is not known.
    HungUp(KindError),
}

impl SendError {
    /// Whoever asked hung up before an answer began.
    #[must_use]
    pub fn hung_up() -> Self {
        Self::HungUp(KindError::not_now("whoever asked hung up before the answer began"))
    }

    /// What went wrong.
    #[must_use]
    pub const fn why(&self) -> &KindError {
        match self {
            Self::NotSent(why) | Self::Ended(why) | Self::Late(why) | Self::Broken(why) | Self::HungUp(why) => why,
        }
    }
}

impl Proxy {
    /// The fewest bytes of a secret: a shorter one would be found in answers that do not hold it.
    pub const SECRET_BYTES_MIN: usize = 8;

    /// A service, as it is registered. Nothing is connected to yet.
    #[must_use]
    pub fn new(settings: ProxySettings, secret: Zeroizing<Vec<u8>>, own: SocketAddr) -> Self {
        let places = places::Places::new(settings.requests_max);
        Self { settings, secret, own, places, tls: OnceCell::new(), idle: Mutex::default() }
    }

    /// As it is registered.
    #[must_use]
    pub const fn settings(&self) -> &ProxySettings {
        &self.settings
    }

    /// Whether this can be a secret: visible ASCII characters, as a header holds them.
    #[must_use]
    pub fn is_secret(secret: &[u8]) -> bool {
        secret.len() >= Self::SECRET_BYTES_MIN && secret.iter().all(u8::is_ascii_graphic)
    }

    /// A place among those who ask it at once, as soon as there is one. One agent has half of them at most.
    pub async fn place(&self, agent: &AgentId) -> Option<Place> {
        self.places.take(agent).await
    }

    /// Whether a new connection can be made.
    ///
    /// # Errors
    ///
    /// Why not.
    pub async fn can_connect(&self) -> Result<(), KindError> {
        self.open().await.map(drop)
    }
}
