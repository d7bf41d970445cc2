//! While every hostile policy that can be loaded is in force, under a selector of its own, and is asked
//! all the time, decisions of a good policy all come out right.
//!
//! Nothing here is timed: `cargo xtask bench hostile` sets the latencies beside each other.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use attorn_api::decisions::DecisionKind;
use attorn_tests::world::{agent_registration, ask, blake3_hex, read_only_settings};
use attorn_tests::{Call, Machine, World, components, hostile};
use serde_json::json;

/// Decisions of the good policy. With `ATTORN_TEST_ROUNDS`, there are [`DECISIONS_LONG`].
const DECISIONS: usize = 1_000;
const DECISIONS_LONG: usize = 10_000;

#[tokio::test(flavor = "multi_thread")]
async fn good_decisions_come_out_right_beside_all_hostile_policies() {
    let decisions = if std::env::var_os("ATTORN_TEST_ROUNDS").is_some() { DECISIONS_LONG } else { DECISIONS };
    let world = World::without_policy().await;
    world.activate_with("good", components::bytes("read-only"), read_only_settings(), hostile::good_policy()).await;
    let stranger = Machine::new(&world.reach, "stranger");
    world.staff.registrar.post("/v1/agents", &agent_registration(&stranger)).await.expect(201);
    let asks = hostile::put_in_force(&world).await;
    assert!(asks.len() > 30, "only {} hostile policies are in force", asks.len());

    // What each comes to while nobody else asks.
    let mut calm = BTreeMap::new();
    for ask in &asks {
        calm.insert(ask["action"].to_string(), stranger.decide(ask).await.decision);
    }
    let (stop, next, done) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    let storm = || async {
        while !stop.load(Ordering::Relaxed) {
            let ask = &asks[next.fetch_add(1, Ordering::Relaxed) % asks.len()];
            let answer = stranger.decide(ask).await;
            // A policy that fails may fail in another way; none allows what it did not allow alone.
            let calm = calm[&ask["action"].to_string()];
            assert!(answer.decision == calm || answer.decision == DecisionKind::Deny, "{ask}: {answer:?}");
        }
    };
    let good = || async {
        while done.fetch_add(1, Ordering::Relaxed) < decisions {
            let answer = world.bot.decide(&ask()).await;
            let codes: Vec<_> = answer.reasons.iter().map(|reason| reason.code.as_str()).collect();
            assert_eq!((answer.decision, codes.as_slice()), (DecisionKind::Allow, &["listed"][..]), "{answer:?}");
        }
    };
    tokio::join!(storm(), storm(), async {
        tokio::join!(good(), good(), good(), good());
        stop.store(true, Ordering::Relaxed);
    });
    let (asked, policies) = (next.load(Ordering::Relaxed), asks.len());
    assert!(asked >= policies, "only {asked} hostile requests were made");
    println!("{decisions} decisions were right beside {asked} requests to {policies} hostile policies");
}

/// What is too large is turned away before it is stored or read.
#[tokio::test(flavor = "multi_thread")]
async fn components_of_200_mb_and_settings_of_10_mb_are_refused() {
    let world = World::without_policy().await;
    let small = components::bytes("abstain");
    let settings = json!({ "padding": "x".repeat(10 << 20) });
    let pushed = world.push("large", small.clone(), settings, json!({})).await;
    pushed.refused(413, "body_too_large");
    let large = vec![0_u8; 200 << 20];
    let put = Call::new("PUT", format!("/v1/components/{}", blake3_hex(&large))).body("application/wasm", large);
    // The server need not read to the end; then the connection breaks while we still send.
    if let Ok(answer) = world.reach.try_send(put.bearer(&world.staff.policy_admin.token)).await {
        answer.refused(413, "body_too_large");
    }
    world.push("small", small, json!({}), json!({})).await.expect(201);
}
