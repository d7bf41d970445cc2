//! A policy that runs out of time again and again is not asked for a while: for the agent whose requests
//! take it too long, and for no other.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use attorn_api::decisions::DecisionKind::{Allow, Deny};
use attorn_api::policies::Policy;
use attorn_tests::world::{agent_registration, ask, ask_with};
use attorn_tests::{Machine, World, components};
use serde_json::{Value, json};

/// How many in a row it takes.
const IN_A_ROW: usize = 8;

fn outcome_of_looper(entry: &Value) -> Value {
    let policies = entry["policies"].as_array().unwrap();
    policies.iter().find(|policy| policy["policy"] == "looping").unwrap()["outcome"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_not_asked_for_that_agent_and_the_log_says_so() {
    let world = World::new().await;
    let other = Machine::new(&world.reach, "other-bot");
    world.staff.registrar.post("/v1/agents", &agent_registration(&other)).await.expect(201);
    let looping = json!({ "selector": { "actions": ["faq.list"] } });
    world.activate_with("looping", components::bytes("loop_in_evaluate"), json!({}), looping).await;
    let looped = ask_with(json!({ "action": "faq.list" }));
    let before = world.entries().await.len();
    for _ in 0..IN_A_ROW + 4 {
        let answer = world.bot.decide(&looped).await;
        assert_eq!((answer.decision, answer.reasons[0].code.as_str()), (Deny, "policy_failed"));
    }
    let entries = world.entries().await.split_off(before);
    let decisions: Vec<_> = entries.iter().filter(|entry| entry["type"] == "decision").map(outcome_of_looper).collect();
    let expect: Vec<Value> = (0..IN_A_ROW + 4)
        .map(|n| if n < IN_A_ROW { json!("failed:deadline") } else { json!("failed:paused") })
        .collect();
    assert_eq!(decisions, expect);
    let begun: Vec<&Value> = entries.iter().filter(|entry| entry["type"] == "policy_paused").collect();
    assert_eq!(begun.len(), 1);
    assert_eq!((&begun[0]["policy"], &begun[0]["agent"]), (&json!("looping"), &json!("support-bot")));

    // What else the agent asks is decided; what the other asks is put to the policy.
    assert_eq!(world.bot.decide(&ask()).await.decision, Allow);
    other.decide(&looped).await;
    let entry = world.entries().await.pop().unwrap();
    assert_eq!((&entry["agent"]["id"], outcome_of_looper(&entry)), (&json!("other-bot"), json!("failed:deadline")));

    let shown: Policy = world.staff.policy_admin.get("/v1/policies/looping").await.json();
    let paused: Vec<&str> = shown.versions[0].paused.iter().map(|pause| pause.agent.as_str()).collect();
    assert_eq!(paused, ["support-bot"]);
    let metrics = world.staff.auditor.get("/metrics").await.expect(200).text();
    assert!(metrics.lines().any(|line| line == "attorn_policies_paused 1"), "{metrics}");

    // A new version begins anew.
    let looping = json!({ "selector": { "actions": ["faq.list"] } });
    world.activate_with("looping", components::bytes("loop_in_evaluate"), json!({}), looping).await;
    world.bot.decide(&looped).await;
    assert_eq!(outcome_of_looper(&world.entries().await.pop().unwrap()), json!("failed:deadline"));
}
