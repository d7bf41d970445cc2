//! Connections: for how long, what is spoken on them, and how they end. Which of them have a place is said by
//! [`super::connections`].

use std::convert::Infallible;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::{Bytes, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::config::Tls;
use crate::http::connections::{Connections, InFlight, LetIn, Place};
use crate::http::strangers::{Remote, Strangers};
use crate::http::tls::ClientCertificates;

/// How long what was sent may stay unread, in milliseconds.
const UNREAD_MS_MAX: u32 = 30_000;
/// How long requests in flight may take when the server stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
/// The most bytes of a request's head.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// How long things may take in all, however steadily they go on. How long bodies may is said by [`super::dispatch`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadlines {
    /// The TLS handshake.
    handshake: Duration,
    /// The head of a request, from when the last one was answered on: so for this long a connection may idle, too.
    head: Duration,
    /// A connection: long enough to export a large log.
    connection: Duration,
}

impl Deadlines {
    /// For clients as they come.
    pub(crate) const USUAL: Self =
        Self { handshake: Duration::from_secs(10), head: Duration::from_secs(15), connection: Duration::from_hours(1) };
}

/// Which connections are let in, and how they are spoken.
#[derive(Clone)]
pub(crate) struct Admission {
    pub(crate) tls: Tls,
    /// What speaks TLS; there is one if this server does.
    pub(crate) acceptor: Option<TlsAcceptor>,
    /// Told whose handshakes came to nothing.
    pub(crate) strangers: Arc<Strangers>,
    pub(crate) connections: Arc<Connections>,
    pub(crate) deadlines: Deadlines,
}

/// Serve until `stop` is there; then take no more, and let what is in flight end.
pub(crate) async fn serve(listener: TcpListener, router: Router, admission: Admission, stop: impl Future<Output = ()>) {
    let admission = Arc::new(admission);
    let graceful = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = accept(&listener, &admission) => accepted,
        };
        match accepted {
            Ok(Some((stream, from, place))) => {
                let http = (router.clone(), graceful.watcher());
                tokio::spawn(connection((stream, from), place, Arc::clone(&admission), http));
            }
            Ok(None) => {}
            Err(error) => {
                // Out of file descriptors, most likely: give some time to close.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    if tokio::time::timeout(STOP_TIMEOUT, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests were cut off, {} s after the stop", STOP_TIMEOUT.as_secs());
    }
}

/// The next connection; none if it was closed again.
async fn accept(listener: &TcpListener, admission: &Admission) -> std::io::Result<Option<(TcpStream, Remote, Place)>> {
    let (stream, from) = listener.accept().await?;
    let from = from.ip();
    if !is_trusted(&admission.tls, from) {
        tracing::warn!(%from, "closed a connection that came past the trusted proxies");
        return Ok(None);
    }
    stream.set_nodelay(true)?;
    // A client that asks and does not read would hold its connection for ever.
    rustix::net::sockopt::set_tcp_user_timeout(&stream, UNREAD_MS_MAX)?;
    let Some(place) = admission.connections.place(Remote(from)).await else {
        tracing::debug!(%from, "closed a connection of an address that has its share");
        return Ok(None);
    };
    Ok(Some((stream, Remote(from), place)))
}

fn is_trusted(tls: &Tls, from: IpAddr) -> bool {
    match tls {
        Tls::None | Tls::Server { .. } => true,
        Tls::Proxy { trusted_proxies } => trusted_proxies.contains(&from.to_canonical()),
    }
}

/// Speak, until it is over or somebody else gets the place.
async fn connection(whence: (TcpStream, Remote), place: Place, admission: Arc<Admission>, http: (Router, Watcher)) {
    tokio::select! {
        () = speak(whence, place.let_in(), &admission, http) => {}
        () = place.is_wanted() => {}
    }
    drop(place);
}

async fn speak((stream, from): (TcpStream, Remote), let_in: &LetIn, admission: &Admission, http: (Router, Watcher)) {
    let Admission { strangers, deadlines, .. } = admission;
    let Some(acceptor) = admission.acceptor.clone() else {
        return speak_http(stream, Whence { from, let_in, certificates: None }, *deadlines, http).await;
    };
    // However it ends: this server has signed for whoever it was.
    let cost = Handshake { strangers, from, let_in };
    let longest = deadlines.handshake;
    let handshake = async move { tokio::time::timeout(longest, acceptor.accept(stream)).await };
    // Whoever does not finish is a stranger, of whom nothing is worth a line.
    if let Some(Ok(Ok(stream))) = strangers.handshake(from, handshake).await {
        let certificates = client_certificates(&stream);
        speak_http(stream, Whence { from, let_in, certificates }, *deadlines, http).await;
    }
    drop(cost);
}

/// A handshake that is counted at the end as refused, if nobody was let in for it.
struct Handshake<'a> {
    strangers: &'a Strangers,
    from: Remote,
    let_in: &'a LetIn,
}

impl Drop for Handshake<'_> {
    fn drop(&mut self) {
        if !self.let_in.was_noted() {
            self.strangers.refused(self.from, None);
        }
    }
}

/// What the client showed, if it did.
fn client_certificates(stream: &TlsStream<TcpStream>) -> Option<ClientCertificates> {
    let certificates = stream.get_ref().1.peer_certificates()?;
    Some(ClientCertificates(certificates.iter().map(|certificate| certificate.to_vec()).collect()))
}

/// What is known of whoever is at the other end.
struct Whence<'a> {
    from: Remote,
    let_in: &'a LetIn,
    certificates: Option<ClientCertificates>,
}

async fn speak_http(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    Whence { from, let_in, certificates }: Whence<'_>,
    deadlines: Deadlines,
    (router, watcher): (Router, Watcher),
) {
    let (router, let_in) = (TowerToHyperService::new(router), let_in.clone());
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(from);
        request.extensions_mut().insert(let_in.clone());
        if let Some(certificates) = &certificates {
            request.extensions_mut().insert(certificates.clone());
        }
        let (in_flight, answer) = (let_in.begin(), router.call(request));
        async move { Ok::<_, Infallible>(answer.await?.map(|body| Answered { body, _in_flight: in_flight })) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(deadlines.head)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    // How a connection ends is the client's business; what was asked on it has been logged.
    let _ = tokio::time::timeout(deadlines.connection, watcher.watch(connection)).await;
}

/// The body of an answer. While it is sent the request is in flight.
struct Answered {
    body: Body,
    _in_flight: InFlight,
}

impl hyper::body::Body for Answered {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
#[path = "listen_tests.rs"]
mod tests;
