//! The load generator, a process of its own: requests whose proofs were made beforehand, over
//! connections that stay open.
//!
//! It reads one [`Order`] from its input, prepares, prints `ready`, waits for a line, sends, and prints
//! one [`Outcome`].

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use attorn_agent::AgentKey;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines, Stdin};
use tokio::net::TcpStream;

/// What to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Order {
    /// Where to connect.
    pub(crate) address: String,
    /// The URL that proofs are of.
    pub(crate) url: String,
    /// The key's file.
    pub(crate) key: std::path::PathBuf,
    /// The nonce in the proofs.
    pub(crate) nonce: String,
    /// The body of each request.
    pub(crate) body: String,
    /// How many connections.
    pub(crate) connections: usize,
    /// How many requests over all of them.
    pub(crate) requests: usize,
    /// What each answer should contain; those that do not are counted.
    pub(crate) expect: String,
    /// Where all requests stand as they go over the wire, as a JSON list of texts, if they were made before.
    pub(crate) written: Option<std::path::PathBuf>,
}

/// What came of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// From the first request to the last answer, in microseconds.
    pub(crate) elapsed_us: u64,
    /// How many answers took how many microseconds, from the fastest.
    pub(crate) took_us: Vec<(u64, u64)>,
    /// The bytes of one answer's body.
    pub(crate) answer_bytes: usize,
    /// Answers that did not contain what they should: where evaluations take too long, they deny.
    pub(crate) unexpected: usize,
}

impl Outcome {
    /// This part of the answers took no longer, in microseconds.
    pub(crate) fn quantile_us(&self, quantile: f64) -> u64 {
        self.histogram().value_at_quantile(quantile)
    }

    /// Another load of the same kind, as if both were one.
    pub(crate) fn add(&mut self, other: &Self) {
        let mut both = self.histogram();
        both.add(other.histogram()).unwrap();
        self.took_us = recorded(&both);
        self.elapsed_us += other.elapsed_us;
        self.unexpected += other.unexpected;
        self.answer_bytes = self.answer_bytes.max(other.answer_bytes);
    }

    fn histogram(&self) -> Histogram<u64> {
        let mut histogram = Histogram::new(3).unwrap();
        for (us, count) in &self.took_us {
            histogram.record_n(*us, *count).unwrap();
        }
        histogram
    }
}

fn recorded(histogram: &Histogram<u64>) -> Vec<(u64, u64)> {
    let recorded = histogram.iter_recorded();
    recorded.map(|value| (value.value_iterated_to(), value.count_since_last_iteration())).collect()
}

/// Be the load generator.
pub(crate) async fn run() {
    let mut input = BufReader::new(tokio::io::stdin()).lines();
    let order: Order = serde_json::from_str(&line(&mut input).await).unwrap();
    let requests: Arc<Vec<Vec<u8>>> = Arc::new(prepare(&order));
    let mut connections = Vec::new();
    for _ in 0..order.connections {
        let stream = TcpStream::connect(&order.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        connections.push(stream);
    }
    println!("ready");
    line(&mut input).await;
    let (next, started) = (Arc::new(AtomicUsize::new(0)), Instant::now());
    let tasks: Vec<_> = connections
        .into_iter()
        .map(|stream| tokio::spawn(connection(stream, Arc::clone(&requests), Arc::clone(&next), order.expect.clone())))
        .collect();
    let (mut latencies, mut answer_bytes, mut unexpected) = (Histogram::<u64>::new(3).unwrap(), 0, 0);
    for task in tasks {
        let own = task.await.unwrap();
        latencies.add(own.latencies).unwrap();
        answer_bytes = own.answer_bytes.max(answer_bytes);
        unexpected += own.unexpected;
    }
    let outcome = Outcome {
        elapsed_us: microseconds(started.elapsed()),
        took_us: recorded(&latencies),
        answer_bytes,
        unexpected,
    };
    println!("{}", serde_json::to_string(&outcome).unwrap());
}

async fn line(input: &mut Lines<BufReader<Stdin>>) -> String {
    input.next_line().await.unwrap().unwrap()
}

/// All requests, as they go over the wire. Each proof has a `jti` of its own.
fn prepare(order: &Order) -> Vec<Vec<u8>> {
    if let Some(file) = &order.written {
        let requests: Vec<String> = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        return requests.into_iter().map(String::into_bytes).collect();
    }
    let key = AgentKey::load(&order.key).unwrap();
    let host = order.url.trim_start_matches("http://").trim_end_matches("/v1/decisions");
    let prove = |_| {
        let body = order.body.as_bytes();
        let proof = key.prove("POST", &order.url, body, Some(&order.nonce), SystemTime::now()).unwrap();
        let head = format!(
            "POST /v1/decisions HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\ndpop: {proof}\r\n\r\n",
            body.len()
        );
        [head.as_bytes(), body].concat()
    };
    (0..order.requests).map(prove).collect()
}

/// What came of one connection.
struct Answered {
    latencies: Histogram<u64>,
    answer_bytes: usize,
    unexpected: usize,
}

/// Send over one connection whatever nobody else has sent yet.
async fn connection(
    mut stream: TcpStream,
    requests: Arc<Vec<Vec<u8>>>,
    next: Arc<AtomicUsize>,
    expect: String,
) -> Answered {
    let latencies = Histogram::<u64>::new(3).unwrap();
    let mut answered = Answered { latencies, answer_bytes: 0, unexpected: 0 };
    let mut buffer = Vec::with_capacity(8 << 10);
    while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
        let sent = Instant::now();
        stream.write_all(request).await.unwrap();
        let body = answer(&mut stream, &mut buffer).await;
        answered.latencies.record(microseconds(sent.elapsed()).max(1)).unwrap();
        answered.answer_bytes = body.len().max(answered.answer_bytes);
        answered.unexpected += usize::from(!body.contains(&expect));
    }
    answered
}

/// The body of one answer, which has to be a success.
async fn answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> String {
    buffer.clear();
    loop {
        assert_ne!(stream.read_buf(buffer).await.unwrap(), 0, "the server closed a connection");
        let Some(head) = buffer.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let text = String::from_utf8_lossy(&buffer[..head]).to_ascii_lowercase();
        let length = text.lines().find_map(|line| line.strip_prefix("content-length:")).unwrap();
        let (from, length) = (head + 4, length.trim().parse::<usize>().unwrap());
        if let Some(body) = buffer.get(from..from + length) {
            let body = String::from_utf8_lossy(body).into_owned();
            assert!(text.starts_with("http/1.1 200"), "{text}\n{body}");
            return body;
        }
    }
}

fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap()
}
