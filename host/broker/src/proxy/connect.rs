//! Connections to the service. Each is used by one request at a time, and kept only after an answer that came whole.

use std::net::SocketAddr;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio_rustls::TlsConnector;

use super::Proxy;
use crate::address;
use crate::kind::KindError;
use crate::tls;

/// How long connecting may take, with name and handshake.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a connection is kept that nobody uses: less than servers keep theirs, so that a request seldom meets one
/// that is being closed.
const IDLE: Duration = Duration::from_secs(4);
/// How many of those are kept.
const IDLE_MAX: usize = 32;
/// The most bytes that are read ahead, and of an answer's head.
const BUFFER_BYTES_MAX: usize = 32 << 10;
/// The most headers of an answer.
const HEADERS_MAX: usize = 64;

/// A connection. What drives it ends with it, and so does what is asked on it.
pub(super) struct Wire {
    pub(super) sender: SendRequest<Full<Bytes>>,
    driver: AbortHandle,
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Proxy {
    /// A connection that is kept, if there is one.
    pub(super) fn kept(&self) -> Option<Wire> {
        let mut idle = self.lock();
        while let Some((since, wire)) = idle.pop() {
            if since.elapsed() < IDLE && !wire.sender.is_closed() {
                return Some(wire);
            }
        }
        None
    }

    /// Keep a connection on which an answer came whole.
    pub(super) fn keep(&self, wire: Wire) {
        let mut idle = self.lock();
        idle.retain(|(since, _)| since.elapsed() < IDLE);
        if idle.len() < IDLE_MAX && !wire.sender.is_closed() {
            idle.push((Instant::now(), wire));
        }
    }

    /// A new connection.
    pub(super) async fn open(&self) -> Result<Wire, KindError> {
        // What it holds on to is large, and nobody's caller should carry it.
        let opened = tokio::time::timeout(CONNECT, Box::pin(self.connect())).await;
        opened.map_err(|_| KindError::unreachable("connecting took longer than 5 s"))?
    }

    async fn connect(&self) -> Result<Wire, KindError> {
        let origin = &self.settings.origin;
        let addresses = address::resolve(&origin.host, origin.port, self.own).await?;
        if !origin.is_https
            && let Some(far) = addresses.iter().find(|address| !address.ip().to_canonical().is_loopback())
        {
            let text = format!("`{}` is `{}`: without TLS only a loopback address is good", origin.host, far.ip());
            return Err(KindError::misconfigured(text));
        }
        let mut last = KindError::unreachable("there is no address");
        for address in addresses {
            match self.connect_to(address).await {
                Ok(wire) => return Ok(wire),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn connect_to(&self, address: SocketAddr) -> Result<Wire, KindError> {
        let failed = |error: std::io::Error| KindError::unreachable(format!("`{address}`: {error}"));
        let stream = TcpStream::connect(address).await.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        if !self.settings.origin.is_https {
            return shaken(stream).await;
        }
        let host = self.settings.origin.host.as_str().to_owned();
        let name = ServerName::try_from(host).map_err(|_| KindError::misconfigured("the host is no name for TLS"))?;
        let connector = self.tls.get_or_try_init(|| connector(self.settings.tls_roots_pem.clone())).await?;
        let stream = connector.connect(name, stream).await.map_err(|error| tls::not_spoken(&error))?;
        shaken(stream).await
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Instant, Wire)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Begin to speak HTTP.
async fn shaken(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Result<Wire, KindError> {
    let mut builder = http1::Builder::new();
    builder.max_buf_size(BUFFER_BYTES_MAX).max_headers(HEADERS_MAX);
    let shaken = builder.handshake(TokioIo::new(stream)).await;
    let (sender, connection) = shaken.map_err(|error| KindError::unreachable(error.to_string()))?;
    let driver = tokio::spawn(async move {
        // How it ends, whoever asked on it is told.
        let _ = connection.await;
    });
    Ok(Wire { sender, driver: driver.abort_handle() })
}

/// TLS for HTTP. What the machine trusts takes time to read.
async fn connector(roots_pem: Option<String>) -> Result<TlsConnector, KindError> {
    let build = move || {
        let mut config = tls::config(roots_pem.as_deref())?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(TlsConnector::from(Arc::new(config)))
    };
    tokio::task::spawn_blocking(build).await.map_err(tls::unread)?
}
