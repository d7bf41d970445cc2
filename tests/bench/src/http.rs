//! Decisions over HTTP: a real server in a process of its own, durable, proofs checked.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use attorn_tests::server::Fresh;
use attorn_tests::world::{Cast, ask};
use attorn_tests::{Process, Staff};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};

use crate::figure::{Figures, float, rounded};
use crate::load::{Order, Outcome};
use crate::{Length, cpu, parts, policy};

/// Requests with which the rate is estimated before the proofs for a measurement are made.
const PROBE_REQUESTS: usize = 300;
/// A proof lives for 60 s: so many are made and used up well within that.
const REQUESTS_MAX: usize = 100_000;
/// At how many connections the parts are set against the whole.
pub(crate) const CONNECTIONS_OF_PARTS: usize = 16;

/// Measure everything about HTTP. `floor_us` is what bare wasmtime takes for the policy.
pub(crate) async fn measure(length: Length, floor_us: f64, figures: &mut Figures) {
    // Temporary directories may be in memory; what is measured here has to reach a disk.
    let directory = directory();
    let fresh = Fresh::make_in(&directory).await;
    let server = Process::start(&fresh.config, &fresh.reach).await;
    let staff = Staff::hire(&fresh.reach, &fresh.bootstrap_token).await;
    let cast = Cast::register(&fresh.reach, &staff).await;
    cast.activate("read-only", policy::component(), attorn_tests::world::read_only_settings()).await;
    let key = fresh.dir.path().join("bot.key");
    cast.bot.key.save(&key).unwrap();
    let mut order = Order {
        address: fresh.reach.url.trim_start_matches("http://").to_owned(),
        url: format!("{}/v1/decisions", fresh.reach.url),
        key,
        nonce: String::new(),
        body: ask().to_string(),
        connections: 1,
        requests: 0,
        expect: r#""decision":"allow""#.into(),
        written: None,
    };
    let (mut cpu_us_of_parts, mut answer_bytes) = (0.0, 0);
    for connections in [1, CONNECTIONS_OF_PARTS, 64] {
        order.connections = connections;
        order.nonce = cast.bot.fresh_nonce().await;
        let (outcome, cpu_us) = measured(&order, server.id(), length).await;
        print(&format!("http.decisions_{connections}"), connections, &outcome, cpu_us, figures);
        if connections == CONNECTIONS_OF_PARTS {
            (cpu_us_of_parts, answer_bytes) = (cpu_us, outcome.0.answer_bytes);
        }
    }
    server.kill().await;
    let whole_us = cpu_us_of_parts;
    let echo_us = echo(&mut order, answer_bytes, length, figures).await;
    let (sign_us, verify_us) = parts::signatures(length.parts);
    let commits = parts::commits(length.parts, &directory).await;
    figures.add(
        "store.commits",
        commits.per_second,
        "1/s",
        &json!({ "callers": 16, "cpu_us": rounded(commits.cpu_us) }),
    );
    let parts_us = echo_us + verify_us + sign_us + floor_us + commits.cpu_us;
    let raw = json!({
        "cpu_us": rounded(whole_us),
        "parts_us": rounded(parts_us),
        "echo_us": rounded(echo_us),
        "verify_us": rounded(verify_us),
        "sign_us": rounded(sign_us),
        "engine_floor_us": rounded(floor_us),
        "commit_us": rounded(commits.cpu_us),
        "connections": CONNECTIONS_OF_PARTS,
    });
    figures.add("http.cpu_over_parts", whole_us / parts_us, "ratio", &raw);
}

/// A directory on the disk that the build is on.
pub(crate) fn directory() -> PathBuf {
    std::env::current_exe().unwrap().parent().map(Path::to_owned).unwrap()
}

/// Print what a load came to.
pub(crate) fn print(
    bench: &str,
    connections: usize,
    (outcome, requests): &(Outcome, usize),
    cpu_us: f64,
    figures: &mut Figures,
) {
    let rate = rate(outcome, *requests);
    let raw = json!({
        "connections": connections,
        "requests": requests,
        "p50_us": outcome.quantile_us(0.5),
        "p99_us": outcome.quantile_us(0.99),
        "unexpected": outcome.unexpected,
        "server_cpu_us": rounded(cpu_us),
    });
    figures.add(bench, rate, "1/s", &raw);
}

fn rate(outcome: &Outcome, requests: usize) -> f64 {
    float(requests as u64) * 1e6 / float(outcome.elapsed_us)
}

/// What a load comes to, and the CPU microseconds that the server took for each request.
pub(crate) async fn measured(order: &Order, server: u32, length: Length) -> ((Outcome, usize), f64) {
    let probe = PROBE_REQUESTS.max(order.connections);
    let mut order = Order { requests: probe, ..order.clone() };
    let (outcome, _) = load(&order, server).await;
    let wanted = rate(&outcome, probe) * float(length.load_ms) / 1e3;
    while float(order.requests as u64) < wanted && order.requests < REQUESTS_MAX {
        order.requests += probe;
    }
    let (outcome, cpu_us) = load(&order, server).await;
    ((outcome, order.requests), cpu_us / float(order.requests as u64))
}

/// Let a load generator of its own prepare, and measure from its first request to its last answer.
pub(crate) async fn load(order: &Order, server: u32) -> (Outcome, f64) {
    let mut child = this_program(&["load"]).stdin(Stdio::piped()).spawn().unwrap();
    let (mut input, mut output) = (child.stdin.take().unwrap(), lines(&mut child));
    input.write_all(format!("{}\n", serde_json::to_string(order).unwrap()).as_bytes()).await.unwrap();
    assert_eq!(output.next_line().await.unwrap().as_deref(), Some("ready"), "the load generator failed");
    let before = cpu::of_process_us(server);
    input.write_all(b"go\n").await.unwrap();
    let outcome = output.next_line().await.unwrap().unwrap_or_else(|| panic!("the load generator failed"));
    let cpu_us = cpu::of_process_us(server) - before;
    child.wait().await.unwrap();
    (serde_json::from_str(&outcome).unwrap(), cpu_us)
}

/// CPU microseconds of a request that a bare server answers, of the same sizes.
async fn echo(order: &mut Order, answer_bytes: usize, length: Length, figures: &mut Figures) -> f64 {
    let mut echo = this_program(&["echo", &answer_bytes.to_string()]).spawn().unwrap();
    let address = lines(&mut echo).next_line().await.unwrap().unwrap();
    (order.address, order.expect, order.connections) = (address, "xxx".into(), CONNECTIONS_OF_PARTS);
    let (outcome, cpu_us) = measured(order, echo.id().unwrap(), length).await;
    print("http.echo_16", CONNECTIONS_OF_PARTS, &outcome, cpu_us, figures);
    echo.kill().await.unwrap();
    cpu_us
}

fn this_program(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(arguments).stdout(Stdio::piped()).kill_on_drop(true);
    command
}

fn lines(child: &mut Child) -> tokio::io::Lines<BufReader<tokio::process::ChildStdout>> {
    BufReader::new(child.stdout.take().unwrap()).lines()
}
