//! Whoever is let in keeps nobody out, on however many connections, and keeps no place when it is let in no more.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::time::Duration;

use attorn_api::PROOF_HEADER;
use attorn_tests::http::Reach;
use attorn_tests::server::Fresh;
use attorn_tests::world::{agent_registration, ask};
use attorn_tests::{Call, Machine, Server, World};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

/// How many connections one address may have.
const PLACES: usize = 16;

async fn world() -> World {
    let few = Fresh::make().await;
    let few = few.configure("connections_per_address_max = 512", &format!("connections_per_address_max = {PLACES}"));
    World::new_in(Server::start_in(few).await).await
}

/// One connection, which stays open.
struct Wire(BufReader<TcpStream>);

impl Wire {
    async fn open(reach: &Reach) -> Self {
        let address = reach.url.strip_prefix("http://").unwrap();
        Self(BufReader::new(TcpStream::connect(address).await.unwrap()))
    }

    /// The status of the answer; none if the connection was closed.
    async fn status(&mut self, call: Call) -> Option<u16> {
        let mut request = format!("{} {} HTTP/1.1\r\nhost: a\r\n", call.method, call.path).into_bytes();
        for (name, value) in &call.headers {
            request.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        request.extend(format!("content-length: {}\r\n\r\n", call.body.len()).into_bytes());
        request.extend(call.body);
        self.0.write_all(&request).await.ok()?;
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).await.ok()? == 0 {
                return None;
            }
            match line.trim_end() {
                "" => break,
                line => lines.push(line.to_ascii_lowercase()),
            }
        }
        let length = lines.iter().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        self.0.read_exact(&mut vec![0; length.parse().unwrap()]).await.ok()?;
        lines[0].split(' ').nth(1)?.parse().ok()
    }

    /// Whether the server closes it long before an idle connection ends.
    async fn is_closed(&mut self) -> bool {
        let read = tokio::time::timeout(Duration::from_secs(8), self.0.read(&mut [0; 1])).await;
        matches!(read, Ok(Ok(0) | Err(_)))
    }
}

/// A question of this agent, which is decided.
fn question(agent: &Machine, nonce: &str) -> Call {
    let call = Call::post("/v1/decisions", &ask());
    let proof = agent.prove(&call, Some(nonce), agent.now());
    call.header(PROOF_HEADER, proof)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_let_in_on_all_connections_of_an_address_locks_no_operator_out() {
    let world = world().await;
    let nonce = world.bot.fresh_nonce().await;
    let mut flood = Vec::new();
    for _ in 0..2 * PLACES {
        let mut wire = Wire::open(&world.reach).await;
        assert_eq!(wire.status(question(&world.bot, &nonce)).await, Some(200));
        flood.push(wire);
    }
    for _ in 0..2 * PLACES {
        let suspend = Call::post("/v1/agents/support-bot/suspend", &serde_json::json!({}));
        let suspend = suspend.bearer(&world.staff.registrar.token);
        let status = Wire::open(&world.reach).await.status(suspend).await;
        // From the second time on it is suspended already.
        assert!(matches!(status, Some(200 | 409)), "{status:?}");
    }
    drop(flood);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_suspended_or_refused_or_asks_for_what_is_public_keeps_no_place() {
    let world = world().await;
    let quiet = Machine::new(&world.reach, "quiet-bot");
    world.staff.registrar.post("/v1/agents", &agent_registration(&quiet)).await.expect(201);
    let nonce = world.bot.fresh_nonce().await;
    let (mut theirs, mut kept) = (Vec::new(), Vec::new());
    for n in 0..8 {
        let (agent, wires) = if n < 4 { (&world.bot, &mut theirs) } else { (&quiet, &mut kept) };
        let mut wire = Wire::open(&world.reach).await;
        assert_eq!(wire.status(question(agent, &nonce)).await, Some(200));
        wires.push(wire);
    }
    let forged = Call::post("/v1/decisions", &ask()).header(PROOF_HEADER, "forged");
    for (wire, (call, status)) in
        theirs.iter_mut().zip([(Call::get("/healthz"), 200), (Call::get("/nowhere"), 404), (forged, 401)])
    {
        assert_eq!(wire.status(call).await, Some(status));
    }
    world.staff.registrar.post("/v1/agents/support-bot/suspend", &serde_json::json!({})).await.expect(200);
    // It is told so, and is a stranger from then on.
    assert_eq!(theirs[3].status(question(&world.bot, &nonce)).await, Some(200));
    let mut strangers = Vec::new();
    for _ in 0..PLACES {
        strangers.push(Wire::open(&world.reach).await);
    }
    assert_eq!(Wire::open(&world.reach).await.status(Call::get("/healthz")).await, Some(200));
    for (n, wire) in theirs.iter_mut().enumerate() {
        assert!(wire.is_closed().await, "the place of {n} was kept");
    }
    for wire in &mut kept {
        assert_eq!(wire.status(question(&quiet, &nonce)).await, Some(200));
    }
    drop(strangers);
}
