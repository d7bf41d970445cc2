//! Connections: how many, for how long, and how they end.

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
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
use crate::http::strangers::Remote;
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
}

/// Serve until `stop` is there; then take no more, and let what is in flight end.
pub(crate) async fn serve(listener: TcpListener, router: Router, admission: Admission, stop: impl Future<Output = ()>) {
    let Admission { tls, acceptor } = admission;
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
                tokio::spawn(connection(whence, permit, acceptor.clone(), router.clone(), graceful.watcher()));
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
    acceptor: Option<TlsAcceptor>,
    router: Router,
    watcher: Watcher,
) {
    match acceptor {
        None => speak_http((stream, from), None, router, watcher).await,
        Some(acceptor) => {
            // Whoever does not finish is a stranger, of whom nothing is worth a line.
            if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
                let certificates = client_certificates(&stream);
                speak_http((stream, from), certificates, router, watcher).await;
            }
        }
    }
    drop(permit);
}

/// What the client showed, if it did.
fn client_certificates(stream: &TlsStream<TcpStream>) -> Option<ClientCertificates> {
    let certificates = stream.get_ref().1.peer_certificates()?;
    Some(ClientCertificates(certificates.iter().map(|certificate| certificate.to_vec()).collect()))
}

async fn speak_http(
    (stream, from): (impl AsyncRead + AsyncWrite + Unpin + Send + 'static, Remote),
    certificates: Option<ClientCertificates>,
    router: Router,
    watcher: Watcher,
) {
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(from);
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
