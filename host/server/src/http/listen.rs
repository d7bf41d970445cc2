//! Connections: how many, for how long, and how they end.

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::config::Tls;
use crate::http::strangers::{Remote, Strangers};
use crate::http::tls::ClientCertificates;

/// The most connections at a time; more wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 4_096;
/// How long a client may take for the TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client may take for the head of a request, and how long a connection may idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);
/// How long what was sent may stay unread, in milliseconds.
const UNREAD_MS_MAX: u32 = 30_000;
/// How long a connection may live in all: long enough to export a large log.
const CONNECTION_LIFE: Duration = Duration::from_hours(1);
/// How long requests in flight may take when the server stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
/// The most bytes of a request's head.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// Which connections are let in, and how they are spoken.
pub(crate) struct Admission {
    pub(crate) tls: Tls,
    /// What speaks TLS; there is one if this server does.
    pub(crate) acceptor: Option<TlsAcceptor>,
    /// Told whose handshakes came to nothing.
    pub(crate) strangers: Arc<Strangers>,
}

/// Whether anybody proved on a connection who they are.
#[derive(Debug, Clone, Default)]
pub(crate) struct LetIn(Arc<AtomicBool>);

impl LetIn {
    /// Somebody did.
    pub(crate) fn note(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn was_noted(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Serve until `stop` is there; then take no more, and let what is in flight end.
pub(crate) async fn serve(listener: TcpListener, router: Router, admission: Admission, stop: impl Future<Output = ()>) {
    let Admission { tls, acceptor, strangers } = admission;
    let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let graceful = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = accept(&listener, &connections) => accepted,
        };
        match accepted {
            Ok((stream, from, permit)) if is_trusted(&tls, from) => {
                let whence = (stream, Remote(from));
                let speaks = acceptor.clone().map(|acceptor| (acceptor, Arc::clone(&strangers)));
                tokio::spawn(connection(whence, permit, speaks, router.clone(), graceful.watcher()));
            }
            Ok((_, from, _)) => tracing::warn!(%from, "closed a connection that came past the trusted proxies"),
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

async fn accept(
    listener: &TcpListener,
    connections: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, IpAddr, OwnedSemaphorePermit)> {
    let permit = Arc::clone(connections).acquire_owned().await.map_err(std::io::Error::other)?;
    let (stream, from) = listener.accept().await?;
    stream.set_nodelay(true)?;
    // A client that asks and does not read would hold its connection for ever.
    rustix::net::sockopt::set_tcp_user_timeout(&stream, UNREAD_MS_MAX)?;
    Ok((stream, from.ip(), permit))
}

fn is_trusted(tls: &Tls, from: IpAddr) -> bool {
    match tls {
        Tls::None | Tls::Server { .. } => true,
        Tls::Proxy { trusted_proxies } => trusted_proxies.contains(&from.to_canonical()),
    }
}

async fn connection(
    (stream, from): (TcpStream, Remote),
    permit: OwnedSemaphorePermit,
    speaks_tls: Option<(TlsAcceptor, Arc<Strangers>)>,
    router: Router,
    watcher: Watcher,
) {
    let let_in = LetIn::default();
    match speaks_tls {
        None => speak_http((stream, from, let_in), None, router, watcher).await,
        Some((acceptor, strangers)) => {
            let handshake = async move { tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await };
            // Whoever does not finish is a stranger, of whom nothing is worth a line.
            match strangers.handshake(from, handshake).await {
                Some(Ok(Ok(stream))) => {
                    let certificates = client_certificates(&stream);
                    let was_shown = certificates.is_some();
                    speak_http((stream, from, let_in.clone()), certificates, router, watcher).await;
                    // Its signature was checked for nothing.
                    if was_shown && !let_in.was_noted() {
                        strangers.refused(from, None);
                    }
                }
                Some(Ok(Err(error))) if is_wrong(&error) => strangers.refused(from, None),
                _ => {}
            }
        }
    }
    drop(permit);
}

/// Whether a handshake failed for what the client sent. One that hangs up, or does not trust this server, did nothing
/// wrong.
fn is_wrong(error: &std::io::Error) -> bool {
    let error = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>());
    error.is_some_and(|error| !matches!(error, rustls::Error::AlertReceived(_)))
}

/// What the client showed, if it did.
fn client_certificates(stream: &TlsStream<TcpStream>) -> Option<ClientCertificates> {
    let certificates = stream.get_ref().1.peer_certificates()?;
    Some(ClientCertificates(certificates.iter().map(|certificate| certificate.to_vec()).collect()))
}

async fn speak_http(
    (stream, from, let_in): (impl AsyncRead + AsyncWrite + Unpin + Send + 'static, Remote, LetIn),
    certificates: Option<ClientCertificates>,
    router: Router,
    watcher: Watcher,
) {
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(from);
        request.extensions_mut().insert(let_in.clone());
        if let Some(certificates) = &certificates {
            request.extensions_mut().insert(certificates.clone());
        }
        router.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    // How a connection ends is the client's business; what was asked on it has been logged.
    let _ = tokio::time::timeout(CONNECTION_LIFE, watcher.watch(connection)).await;
}

#[cfg(test)]
#[path = "listen_tests.rs"]
mod tests;
