//! A service that does whatever the last segment of a path says, mostly wrong, and remembers what it read.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What is shown to it, and to nobody else.
pub(crate) const SECRET: &str = "s3cret-of-the-service";

/// A service.
#[derive(Clone)]
pub(crate) struct Upstream {
    /// Where it answers.
    pub(crate) origin: String,
    seen: Arc<Mutex<Vec<Request>>>,
    hung_up: Arc<AtomicUsize>,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// Method, path and version.
    pub(crate) line: String,
    /// Headers, by their names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    /// The body, as long as `Content-Length` says.
    pub(crate) body: String,
}

impl Upstream {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let upstream = Self { origin, seen: Arc::default(), hung_up: Arc::default() };
        let serving = upstream.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let serving = serving.clone();
                tokio::spawn(async move { serving.serve(stream).await });
            }
        });
        upstream
    }

    /// All requests so far.
    pub(crate) fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }

    /// How many hung up while they were answered.
    pub(crate) fn hung_up(&self) -> usize {
        self.hung_up.load(Ordering::SeqCst)
    }

    async fn serve(&self, mut stream: TcpStream) {
        let mut read = Vec::new();
        while let Some(request) = next(&mut stream, &mut read).await {
            let path = request.line.split(' ').nth(1).unwrap_or_default().to_owned();
            self.seen.lock().unwrap().push(request.clone());
            let last = path.split('?').next().unwrap_or_default().rsplit('/').next().unwrap_or_default().to_owned();
            if !self.play(&last, &request, &mut stream).await {
                return;
            }
        }
    }

    /// Play a part. Says whether the connection goes on.
    async fn play(&self, part: &str, request: &Request, stream: &mut TcpStream) -> bool {
        let filler = "x".repeat(1_000);
        match part {
            "close" => return false,
            "hang" => {
                let mut nothing = [0];
                let _ = stream.read(&mut nothing).await;
                self.hung_up.fetch_add(1, Ordering::SeqCst);
                return false;
            }
            "endless" | "drip" => {
                let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
                let _ = stream.write_all(head.as_bytes()).await;
                let chunk = format!("{:x}\r\n{filler}\r\n", filler.len());
                while stream.write_all(chunk.as_bytes()).await.is_ok() {
                    let pause = if part == "drip" { 20 } else { 0 };
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                }
                self.hung_up.fetch_add(1, Ordering::SeqCst);
                return false;
            }
            "pause" => {
                let head = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf";
                let _ = stream.write_all(head.as_bytes()).await;
                let _ = stream.read(&mut [0]).await;
                return false;
            }
            _ => {}
        }
        let echoed = format!("{} {:?} {}", request.line, request.headers.keys().collect::<Vec<_>>(), request.body);
        let bytes = written(part, &echoed);
        let head = request.line.starts_with("HEAD");
        let end = if head { bytes.find("\r\n\r\n").map_or(bytes.len(), |at| at + 4) } else { bytes.len() };
        let _ = stream.write_all(&bytes.as_bytes()[..end]).await;
        !matches!(part, "short" | "garbage" | "bad-chunk" | "two-lengths" | "switch")
    }
}

/// A whole answer.
fn written(part: &str, echoed: &str) -> String {
    let good = |headers: &str, body: &str| {
        format!("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
    };
    match part {
        "garbage" => "SSH-2.0-OpenSSH_9.2\r\n".into(),
        "switch" => "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n".into(),
        "huge-head" => good(&format!("x-version: {}\r\n", "x".repeat(200_000)), "body"),
        "many-headers" => good(&"x-a: b\r\n".repeat(1_000), "body"),
        "two-lengths" => "HTTP/1.1 200 OK\r\ncontent-length: 4\r\ncontent-length: 5\r\n\r\nbodys".into(),
        "too-long" => good("", &"x".repeat(100_001)),
        "short" => "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf".into(),
        "bad-chunk" => "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n".into(),
        "secret-in-head" => good(&format!("x-version: {SECRET}\r\netag: \"{SECRET}\"\r\n"), "body"),
        "secret-in-body" => good("", &format!("before {SECRET} after")),
        "cookies" => good(
            "set-cookie: a=b\r\nserver: old/1.0\r\nconnection: x-hop\r\nx-hop: 1\r\nx-version: r1\r\nx-other: 2\r\n\
             alt-svc: h3=\":1\"\r\ncache-control: public, max-age=9\r\ndpop-nonce: theirs\r\n",
            "body",
        ),
        "twice" => good("etag: \"1\"\r\netag: \"2\"\r\n", "body"),
        "two-answers" => good("", "body") + &good("", "another's"),
        "out" => redirect("https://evil.example/a"),
        "in" => redirect("/v2/articles/41?q=1"),
        "error" => "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 4\r\n\r\nsad.".into(),
        "early" => format!("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n{}", good("", "body")),
        _ => good("x-version: r1\r\n", echoed),
    }
}

fn redirect(location: &str) -> String {
    format!("HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n")
}

/// The next request; none when the connection ends.
async fn next(stream: &mut TcpStream, read: &mut Vec<u8>) -> Option<Request> {
    loop {
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8(read[..end].to_vec()).unwrap();
            let (line, rest) = head.split_once("\r\n").unwrap();
            let mut headers = BTreeMap::new();
            for header in rest.split("\r\n") {
                let (name, value) = header.split_once(": ").unwrap();
                assert!(headers.insert(name.to_ascii_lowercase(), value.to_owned()).is_none(), "{name} came twice");
            }
            let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
            if read.len() >= end + 4 + length {
                let body = String::from_utf8(read[end + 4..end + 4 + length].to_vec()).unwrap();
                read.drain(..end + 4 + length);
                return Some(Request { line: line.into(), headers, body });
            }
        }
        let mut piece = [0; 4_096];
        match stream.read(&mut piece).await {
            Ok(bytes) if bytes > 0 => read.extend_from_slice(&piece[..bytes]),
            _ => return None,
        }
    }
}
