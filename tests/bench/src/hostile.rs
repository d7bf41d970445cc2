//! Decisions of a good policy beside all hostile policies that can be loaded, each under a selector of
//! its own: without them, with them in force, and while they are asked all the time.
//!
//! That every decision comes out right is a test, in `tests/tests/hostile.rs`; here the latencies are.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use attorn_tests::server::Fresh;
use attorn_tests::world::{Cast, agent_registration, ask, read_only_settings};
use attorn_tests::{Machine, Process, Staff, components, hostile};
use serde_json::{Value, json};

use crate::Length;
use crate::figure::{Figures, float};
use crate::http;
use crate::load::{Order, Outcome};

/// How many ask the good policy at a time.
const CONNECTIONS: usize = 4;
/// How many ask hostile ones at a time.
const STORMS: usize = 2;
/// Proofs live for 60 s, so not all are made at once.
const DECISIONS_PER_ROUND: usize = 500;

/// Measure, and print.
pub(crate) async fn measure(length: Length, figures: &mut Figures) {
    let fresh = Fresh::make_in(&http::directory()).await;
    let server = Process::start(&fresh.config, &fresh.reach).await;
    let staff = Staff::hire(&fresh.reach, &fresh.bootstrap_token).await;
    let cast = Cast::register(&fresh.reach, &staff).await;
    let extra = hostile::good_policy();
    cast.activate_with("good", components::bytes("read-only"), read_only_settings(), extra).await;
    let stranger = Machine::new(&cast.reach, "stranger");
    cast.staff.registrar.post("/v1/agents", &agent_registration(&stranger)).await.expect(201);
    let key = fresh.dir.path().join("bot.key");
    cast.bot.key.save(&key).unwrap();
    let order = Order {
        address: fresh.reach.url.trim_start_matches("http://").to_owned(),
        url: format!("{}/v1/decisions", fresh.reach.url),
        key,
        nonce: String::new(),
        body: ask().to_string(),
        connections: CONNECTIONS,
        requests: DECISIONS_PER_ROUND,
        expect: r#""decision":"allow""#.into(),
        written: None,
    };
    let decisions = length.decisions;
    // What is asked first finds everything cold.
    decide(&order, &cast, server.id(), DECISIONS_PER_ROUND).await;
    let alone = decide(&order, &cast, server.id(), decisions).await;
    eprintln!("without hostile policies: done");
    let asks = hostile::put_in_force(&cast).await;
    eprintln!("{} hostile policies are in force", asks.len());
    let silent = decide(&order, &cast, server.id(), decisions).await;
    eprintln!("while nobody asks them: done");
    let (stop, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    let storms = futures_util::future::join_all((0..STORMS).map(|_| storm(&stranger, &asks, &stop, &asked)));
    let (_, beside) = tokio::join!(storms, async {
        let outcome = decide(&order, &cast, server.id(), decisions).await;
        stop.store(true, Ordering::Relaxed);
        outcome
    });
    let hostile_requests = asked.load(Ordering::Relaxed);
    for (name, outcome, hostile_policies, hostile_requests) in
        [("without", alone, 0, 0), ("in_force", silent, asks.len(), 0), ("asked", beside, asks.len(), hostile_requests)]
    {
        let raw = json!({
            "p50_us": outcome.quantile_us(0.5),
            "max_us": outcome.quantile_us(1.0),
            "decisions": decisions,
            "unexpected": outcome.unexpected,
            "connections": CONNECTIONS,
            "elapsed_us": outcome.elapsed_us,
            "hostile_policies": hostile_policies,
            "hostile_requests": hostile_requests,
        });
        figures.add(&format!("hostile.good_p99_{name}"), float(outcome.quantile_us(0.99)), "us (p99)", &raw);
    }
    server.kill().await;
}

/// So many decisions of the good policy.
async fn decide(order: &Order, cast: &Cast, server: u32, decisions: usize) -> Outcome {
    let mut all: Option<Outcome> = None;
    for _ in 0..decisions.div_ceil(DECISIONS_PER_ROUND) {
        let order = Order { nonce: cast.bot.fresh_nonce().await, ..order.clone() };
        let (outcome, _) = http::load(&order, server).await;
        match &mut all {
            Some(all) => all.add(&outcome),
            None => all = Some(outcome),
        }
    }
    all.unwrap()
}

/// Ask one hostile policy after the other, until it is enough.
async fn storm(stranger: &Machine, asks: &[Value], stop: &AtomicBool, asked: &AtomicUsize) {
    while !stop.load(Ordering::Relaxed) {
        let ask = &asks[asked.fetch_add(1, Ordering::Relaxed) % asks.len()];
        stranger.decide(ask).await;
    }
}
