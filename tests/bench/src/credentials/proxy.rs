//! A request through the proxy beside one through nginx as a plain reverse proxy, to the same service.
//!
//! **`credentials.proxy_over_nginx`**: what the proxy adds to a request over what nginx adds, at the median. What is added
//! is the time through it less the time straight to the service. The three take turns in batches, one request at a time,
//! each over a connection that stays open, and both keep their connections to the service. The server runs in a process
//! of its own, on a disk; what it adds is proof, policies, a durable commit of decision and use, and the way on. What nginx
//! adds is only the way. Proofs are made beforehand.
//!
//! A decision that gives a token stands beside it: proof, policies, the same commit, and a token signed, without the way on.
//! What came of a request is recorded by another commit after its answer; the next request may have to wait for that.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use attorn_api::{FOR_HEADER, PROOF_HEADER};
use attorn_tests::server::{Fresh, free_address};
use attorn_tests::world::{Cast, PURPOSE, ask, read_only_settings};
use attorn_tests::{Call, Process, Reach, Staff};
use axum::Router;
use axum::routing::get;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

use super::tools;
use crate::figure::{Figures, median, quantile, rounded};
use crate::{Length, http, policy};

/// How many of each are sent in a batch.
const BATCH: usize = 50;
/// What is asked for.
const PATH: &str = "/v2/articles/42";

/// Measure, and print.
pub(super) async fn measure(length: Length, figures: &mut Figures) {
    let service = service().await;
    let fresh = Fresh::make_in(&http::directory()).await;
    let (_nginx, by_nginx) = nginx(fresh.dir.path(), &service).await;
    let process = Process::start(&fresh.config, &fresh.reach).await;
    let staff = Staff::hire(&fresh.reach, &fresh.bootstrap_token).await;
    let cast = Cast::register(&fresh.reach, &staff).await;
    cast.activate("read-only", policy::component(), read_only_settings()).await;
    staff.registrar.post("/v1/targets", &target(&service)).await.expect(201);
    let straight = Reach::new(service);
    let (mut through, mut plain, mut bare, mut decided) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for batch in 0..=length.asks.div_ceil(BATCH as u64) {
        let nonce = cast.bot.fresh_nonce().await;
        let proven = |call: Call| {
            let proof = cast.bot.prove(&call, Some(&nonce), cast.bot.now());
            call.header(PROOF_HEADER, proof)
        };
        let onward = || proven(Call::get(format!("/proxy/crm{PATH}")).header(FOR_HEADER, PURPOSE));
        let by_server = took(&cast.reach, (0..BATCH).map(|_| onward()).collect()).await;
        let by_nginx = took(&by_nginx, vec![Call::get(PATH); BATCH]).await;
        let by_nobody = took(&straight, vec![Call::get(PATH); BATCH]).await;
        let token = || proven(Call::post("/v1/decisions", &ask()));
        let by_decision = took(&cast.reach, (0..BATCH).map(|_| token()).collect()).await;
        // The first of each connects, and counts for nothing.
        if batch > 0 {
            through.extend(by_server);
            plain.extend(by_nginx);
            bare.extend(by_nobody);
            decided.extend(by_decision);
        }
    }
    let at = |took: &[f64]| (median(took.to_vec()), quantile(took.to_vec(), 0.99));
    let (through_ms, plain_ms, bare_ms) = (at(&through), at(&plain), at(&bare));
    let raw = json!({
        "proxy_added_p50_ms": rounded(through_ms.0 - bare_ms.0),
        "proxy_added_p99_ms": rounded(through_ms.1 - bare_ms.1),
        "nginx_added_p50_ms": rounded(plain_ms.0 - bare_ms.0),
        "nginx_added_p99_ms": rounded(plain_ms.1 - bare_ms.1),
        "decision_alone_p50_ms": rounded(median(decided)),
        "straight_p50_ms": rounded(bare_ms.0),
        "straight_p99_ms": rounded(bare_ms.1),
        "requests": through.len(),
    });
    figures.add("credentials.proxy_over_nginx", (through_ms.0 - bare_ms.0) / (plain_ms.0 - bare_ms.0), "ratio", &raw);
    process.kill().await;
}

/// How many milliseconds each takes, one after the other.
async fn took(reach: &Reach, calls: Vec<Call>) -> Vec<f64> {
    let mut took = Vec::new();
    for call in calls {
        let began = Instant::now();
        let answer = reach.send(call).await;
        took.push(began.elapsed().as_secs_f64() * 1e3);
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    took
}

/// A service that answers at once. Where it is.
async fn service() -> String {
    let router = Router::new().route("/v2/articles/{id}", get(|| async { "x".repeat(256) }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async { axum::serve(listener, router).await });
    origin
}

fn target(origin: &str) -> Value {
    json!({ "id": "crm", "resource_types": ["article"], "secret": "a-secret-of-some-length", "proxy": {
        "origin": origin, "secret_header": "authorization", "secret_prefix": "Bearer ",
        "routes": [{ "method": "GET", "path": "/v2/articles/{id}", "action": "faq.read", "resource": "article/{id}" }],
        "request_bytes_max": 1, "response_bytes_max": 1_000_000, "head_ms_max": 10_000, "idle_ms_max": 10_000,
        "total_ms_max": 60_000, "requests_max": 64 } })
}

/// A plain reverse proxy that keeps its connections, and how to reach it.
async fn nginx(directory: &Path, service: &str) -> (Child, Reach) {
    let (listen, home) = (free_address(), directory.join("nginx"));
    std::fs::create_dir(&home).unwrap();
    let host = service.trim_start_matches("http://");
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary: Vec<_> = temporary.iter().map(|of| format!("{of}_temp_path {}/{of};", home.display())).collect();
    let temporary = temporary.join("\n");
    let configuration = format!(
        "daemon off;\nmaster_process off;\npid {home}/pid;\nerror_log {home}/error.log;\nevents {{}}\nhttp {{\n{temporary}\
         access_log off;\nupstream service {{ server {host}; keepalive 16; }}\nserver {{ listen {listen};\n\
         location / {{ proxy_pass http://service; proxy_http_version 1.1; proxy_set_header Connection \"\"; }} }} }}\n",
        home = home.display()
    );
    let file = home.join("nginx.conf");
    std::fs::write(&file, configuration).unwrap();
    let mut command = Command::new(tools::nginx());
    command.arg("-c").arg(&file).arg("-p").arg(&home);
    // One process, so that nothing of it is left when it is killed.
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let child = command.spawn().unwrap();
    let reach = Reach::new(format!("http://{listen}"));
    for _ in 0..500 {
        if reach.try_send(Call::get(PATH)).await.is_ok() {
            return (child, reach);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("nginx does not answer: {}", std::fs::read_to_string(home.join("error.log")).unwrap_or_default());
}
