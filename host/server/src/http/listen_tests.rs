//! Whose handshakes count as refused, and what is never waited for.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use rcgen::{CertificateParams, KeyPair};
use rustls::client::ResolvesClientCert;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, SignatureScheme};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsConnector;

use super::*;
use crate::http::connections::Party;
use crate::http::tls::ServerCertificate;

const NAME: &str = "attorn.example";

fn pair() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    (CertificateParams::new(vec![NAME.to_owned()]).unwrap().self_signed(&key).unwrap().pem(), key.serialize_pem())
}

/// What a client shows, whatever the server says that it takes.
#[derive(Debug)]
struct Shows(Option<Arc<CertifiedKey>>);

impl Shows {
    fn certificate(pem: &str, key_pem: &str) -> Self {
        let chain = vec![CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).unwrap();
        let key = aws_lc_rs::sign::any_supported_type(&key).unwrap();
        Self(Some(Arc::new(CertifiedKey::new(chain, key))))
    }
}

impl ResolvesClientCert for Shows {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.clone()
    }

    fn has_certs(&self) -> bool {
        self.0.is_some()
    }
}

/// A server that speaks TLS, and serves `/` to anybody and `/in` as if somebody had proved who they are.
struct Scene {
    acceptor: TlsAcceptor,
    root: String,
    router: Router,
}

impl Scene {
    fn new() -> Self {
        let (dir, (root, key)) = (tempfile::TempDir::new().unwrap(), pair());
        let (certificate_path, key_path) = (dir.path().join("tls.crt"), dir.path().join("tls.key"));
        std::fs::write(&certificate_path, &root).unwrap();
        std::fs::write(&key_path, key).unwrap();
        std::fs::set_permissions(&key_path, Permissions::from_mode(0o600)).unwrap();
        let certificate = Arc::new(ServerCertificate::load(&certificate_path, &key_path).unwrap());
        let let_in =
            |request: axum::extract::Request| async move { request.extensions().get::<LetIn>().unwrap().note() };
        let router = Router::new().route("/", axum::routing::get(|| async {})).route("/in", axum::routing::get(let_in));
        Self { acceptor: certificate.acceptor().unwrap(), root, router }
    }

    /// Whether something was refused when all of this is over: a client that shows this, trusts that, and asks.
    async fn was_refused(&self, shows: Shows, trusts: &str, asks: Option<&str>) -> bool {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let client =
            tokio::spawn(client(listener.local_addr().unwrap(), shows, trusts.to_owned(), asks.map(str::to_owned)));
        let (stream, from) = listener.accept().await.unwrap();
        let (from, admission) = (Remote(from.ip()), Arc::new(self.admission()));
        let place = admission.connections.place(from).await.unwrap();
        let graceful = GracefulShutdown::new();
        let http = (self.router.clone(), graceful.watcher());
        connection((stream, from), place, Arc::clone(&admission), http).await;
        client.await.unwrap();
        admission.strangers.has_heard_of(from)
    }

    fn admission(&self) -> Admission {
        Admission { acceptor: Some(self.acceptor.clone()), ..plain(1) }
    }
}

/// Plain HTTP on so many connections.
fn plain(connections: usize) -> Admission {
    Admission {
        tls: Tls::None,
        acceptor: None,
        strangers: Arc::new(Strangers::new().unwrap()),
        connections: Arc::new(Connections::new(connections, connections)),
        deadlines: Deadlines::USUAL,
    }
}

async fn client(address: std::net::SocketAddr, shows: Shows, trusts: String, asks: Option<String>) {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(trusts.as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_cert_resolver(Arc::new(shows));
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from(NAME).unwrap();
    let Ok(mut stream) = TlsConnector::from(Arc::new(config)).connect(name, stream).await else { return };
    if let Some(path) = asks {
        let request = format!("GET {path} HTTP/1.1\r\nhost: {NAME}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
        return;
    }
    // In TLS 1.3 a client is told only now that its certificate is no good.
    let _ = stream.shutdown().await;
    let _ = stream.read_to_end(&mut Vec::new()).await;
}

#[tokio::test]
async fn a_handshake_for_which_nobody_is_let_in_counts_as_refused_however_it_ends() {
    let (scene, (own, key), (_, other_key)) = (Scene::new(), pair(), pair());
    let (nothing, good) = (|| Shows(None), || Shows::certificate(&own, &key));
    let forged = Shows::certificate(&own, &other_key);
    assert!(scene.was_refused(forged, &scene.root, None).await, "its signature is no good");
    assert!(scene.was_refused(good(), &scene.root, None).await, "it asked for nothing");
    assert!(scene.was_refused(good(), &scene.root, Some("/")).await, "nobody was let in");
    assert!(scene.was_refused(nothing(), &scene.root, Some("/")).await, "it showed nothing, and nobody was let in");
    assert!(scene.was_refused(nothing(), &scene.root, None).await, "it hung up");
    assert!(scene.was_refused(good(), &own, None).await, "it does not trust the server, which has signed for it");
    assert!(!scene.was_refused(good(), &scene.root, Some("/in")).await, "somebody was let in");
    assert!(!scene.was_refused(nothing(), &scene.root, Some("/in")).await, "somebody was let in by a token");
}

/// A server of plain HTTP that serves `/` to anybody; it ends with what is returned.
async fn serving(admission: Admission) -> (std::net::SocketAddr, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let read = |body: axum::body::Bytes| async move { body.len().to_string() };
    let keep = |request: axum::extract::Request| async move {
        let flood = Party::Agent("flood".parse().unwrap());
        request.extensions().get::<LetIn>().unwrap().keep(&flood);
    };
    let router = Router::new().route("/", axum::routing::get(|| async { "here" }).post(read));
    let router = router.route("/in", axum::routing::get(keep));
    (address, tokio::spawn(serve(listener, router, admission, std::future::pending())))
}

async fn asked(address: std::net::SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// Whoever came first would have the places for as long as heads, bodies and idle connections may last.
#[tokio::test]
async fn half_sent_requests_keep_nobody_out() {
    const PLACES: usize = 6;
    let (address, server) = serving(plain(PLACES)).await;
    let mut halves = Vec::new();
    for n in 0..4 * PLACES {
        let mut half = TcpStream::connect(address).await.unwrap();
        let sent: &[u8] = match n % 3 {
            0 => b"GET / HTTP/1.1\r\nhost: a\r\nx-slow: ",
            1 => b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nabc",
            _ => b"",
        };
        half.write_all(sent).await.unwrap();
        halves.push(half);
    }
    for _ in 0..3 * PLACES {
        assert!(asked(address).await.ends_with("here"));
    }
    // Those that came first have gone.
    let first = &mut halves[0];
    let end = first.read(&mut [0; 1]).await;
    assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
    server.abort();
}

/// Whoever is let in once on each connection would have all places for as long as they may last.
#[tokio::test]
async fn one_who_is_let_in_everywhere_keeps_nobody_out() {
    const PLACES: usize = 16;
    let (address, server) = serving(plain(PLACES)).await;
    let come = async {
        let mut flood = Vec::new();
        for _ in 0..2 * PLACES {
            let mut one = TcpStream::connect(address).await.unwrap();
            one.write_all(b"GET /in HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
            one.read_exact(&mut [0; 12]).await.unwrap();
            flood.push(one);
        }
        for _ in 0..2 * PLACES {
            assert!(asked(address).await.ends_with("here"));
        }
        drop(flood);
    };
    // Less than the flood may have its connections for.
    assert!(tokio::time::timeout(Duration::from_mins(1), come).await.is_ok(), "the flood has all places");
    server.abort();
}

#[tokio::test]
async fn a_head_that_comes_byte_by_byte_is_not_waited_for() {
    let deadlines = Deadlines { head: Duration::from_millis(200), ..Deadlines::USUAL };
    let (address, server) = serving(Admission { deadlines, ..plain(4) }).await;
    for begin in ["", "GET / HTTP/1.1\r\nhost: a\r\n\r\n"] {
        let mut slow = TcpStream::connect(address).await.unwrap();
        // A whole request, of which the answer is read, and then the head of another.
        slow.write_all(begin.as_bytes()).await.unwrap();
        if !begin.is_empty() {
            slow.read_exact(&mut [0; 12]).await.unwrap();
        }
        slow.write_all(b"GET / HTTP/1.1\r\nx-slow: ").await.unwrap();
        let mut was_closed = false;
        for _ in 0..1_000 {
            tokio::time::sleep(Duration::from_millis(10)).await;
            // What was answered to the first may still be there to be read.
            let read = tokio::time::timeout(Duration::from_millis(1), slow.read(&mut [0; 1_024])).await;
            was_closed = slow.write_all(b"x").await.is_err() || matches!(read, Ok(Ok(0) | Err(_)));
            if was_closed {
                break;
            }
        }
        assert!(was_closed, "a head was waited for as long as bytes came");
    }
    server.abort();
}
