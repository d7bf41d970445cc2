//! The bot, a service behind the server, and what the server has recorded.

use std::time::Duration;

use attorn_api::{FOR_HEADER, PROOF_HEADER};
use attorn_tests::world::PURPOSE;
use attorn_tests::{Answer, Call, World};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::upstream::{SECRET, Upstream};

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(50);

pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) upstream: Upstream,
}

/// A target that calls this origin.
pub(crate) fn target(id: &str, origin: &str) -> Value {
    let row = |method: &str, path: &str, action: &str, resource: &str| json!({ "method": method, "path": path, "action": action, "resource": resource });
    let article = "/v2/articles/{id}";
    let with = |mut row: Value, member: &str, value: Value| {
        row[member] = value;
        row
    };
    json!({ "id": id, "resource_types": ["article"], "secret": SECRET, "proxy": {
        "origin": origin, "secret_header": "authorization", "secret_prefix": "Bearer ",
        "routes": [
            with(row("GET", article, "faq.read", "article/{id}"), "query", json!(["q", "page"])),
            row("HEAD", article, "faq.read", "article/{id}"),
            with(row("POST", article, "faq.list", "article/{id}"), "body", json!("json")),
            with(row("PUT", article, "faq.list", "article/{id}"), "body", json!("text/plain")),
            row("DELETE", article, "faq.write", "article/{id}"),
            row("GET", "/v2/payments/{id}", "payment.send", "article/{id}"),
        ],
        "request_headers": ["accept-language", "if-match"], "response_headers": ["x-version"],
        "request_bytes_max": 1_000, "response_bytes_max": 100_000,
        "head_ms_max": 1_500, "idle_ms_max": 1_000, "total_ms_max": 20_000, "requests_max": 8 } })
}

impl Scene {
    pub(crate) async fn new() -> Self {
        let (world, upstream) = (World::new().await, Upstream::start().await);
        world.staff.registrar.post("/v1/targets", &target("crm", &upstream.origin)).await.expect(201);
        Self { world, upstream }
    }

    /// Send a request of the bot's through the server.
    pub(crate) async fn send(&self, call: Call) -> Answer {
        self.world.bot.send(call).await
    }

    /// Get an article, which is a part that the service plays.
    pub(crate) async fn get(&self, part: &str) -> Answer {
        self.send(get(part)).await
    }

    /// What `head` makes of the first lines of this call, on a connection of its own, with a proof of the call: all that
    /// comes back.
    pub(crate) async fn raw(&self, call: Call, head: impl FnOnce(String) -> String) -> String {
        let signed = self.world.bot.signed(call).await;
        let address = self.world.reach.url.strip_prefix("http://").unwrap();
        let text = begin(&signed, address);
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(head(text).as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("an end");
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// The effect of the last use, when it is recorded; there are as many as uses then.
    pub(crate) async fn effect(&self) -> Value {
        attorn_tests::found("an effect that is recorded", async || {
            let entries = self.world.entries().await;
            let of = |kind: &str| entries.iter().filter(|entry| entry["type"] == kind).cloned().collect::<Vec<_>>();
            let (used, effects) = (of("grant_used"), of("grant_effect"));
            (used.len() == effects.len()).then(|| effects.last().unwrap().clone())
        })
        .await
    }

    /// Wait until this holds.
    pub(crate) async fn until(&self, holds: impl Fn(&Upstream) -> bool) {
        attorn_tests::until("what is waited for of the service", async || holds(&self.upstream)).await;
    }
}

/// A request through the server.
pub(crate) fn through(method: &str, path: &str) -> Call {
    Call::new(method, format!("/proxy/crm{path}")).header(FOR_HEADER, PURPOSE)
}

pub(crate) fn get(part: &str) -> Call {
    through("GET", &format!("/v2/articles/{part}"))
}

/// The first lines of a request, without the end of its head.
pub(crate) fn begin(call: &Call, host: &str) -> String {
    let lines =
        call.headers.iter().map(|(name, value)| [name, ": ", std::str::from_utf8(value).unwrap(), "\r\n"].concat());
    let lines = lines.collect::<Vec<_>>().concat();
    format!("{} {} HTTP/1.1\r\nhost: {host}\r\n{lines}", call.method, call.path)
}

/// The end of a head without body, after which the server closes.
pub(crate) fn end(head: String) -> String {
    head + "connection: close\r\n\r\n"
}

/// The same request with another proof.
pub(crate) fn with_proof(mut call: Call, proof: &str) -> Call {
    call.headers.retain(|(name, _)| name != PROOF_HEADER);
    call.header(PROOF_HEADER, proof)
}
