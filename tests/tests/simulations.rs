//! Simulations: what would be decided and why, without any effect, for those who may know.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use attorn_api::decisions::DecisionKind::{Allow, Challenge, Deny};
use attorn_api::grants::GrantList;
use attorn_api::policies::ActiveSet;
use attorn_api::simulations::{SimulatedPolicy, Simulation};
use attorn_tests::world::{ask, ask_with, blake3_hex};
use attorn_tests::{Answer, World, components};
use serde_json::{Value, json};

async fn try_it(world: &World, body: Value) -> Answer {
    world.staff.explainer.post("/v1/simulations", &body).await
}

async fn simulate(world: &World, body: Value) -> Simulation {
    try_it(world, body).await.expect(200).json()
}

fn of_bot(request: &Value) -> Value {
    json!({ "agent": "support-bot", "request": request })
}

fn codes(simulation: &Simulation) -> Vec<&str> {
    simulation.reasons.iter().map(|reason| reason.code.as_str()).collect()
}

fn policy<'a>(simulation: &'a Simulation, id: &str) -> &'a SimulatedPolicy {
    simulation.policies.iter().find(|policy| policy.policy == id).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_tried_is_refused_and_leaves_no_entry() {
    let world = World::new().await;
    let size = world.log_size().await;
    let with = |with: Value| json!({ "agent": "support-bot", "request": ask(), "with": with });
    let many: serde_json::Map<String, Value> = (0..17).map(|n| (format!("p{n}"), Value::Null)).collect();
    for (body, status, code) in [
        (json!({ "request": ask() }), 400, "invalid_body"),
        (json!({ "agent": "support-bot" }), 400, "invalid_body"),
        (json!({ "agent": "support-bot", "request": ask(), "effect": true }), 400, "invalid_body"),
        (json!({ "agent": "nobody", "request": ask() }), 404, "not_found"),
        (json!({ "agent": "../bot", "request": ask() }), 422, "invalid_field"),
        (json!({ "agent": "support-bot", "instance": "pod-9", "request": ask() }), 404, "not_found"),
        (of_bot(&ask_with(json!({ "action": "faq.*" }))), 422, "invalid_field"),
        (of_bot(&ask_with(json!({ "arguments": [] }))), 400, "invalid_body"),
        (of_bot(&ask_with(json!({ "user": "usr_1" }))), 422, "invalid_field"),
        (with(json!({ "read-only": 9 })), 404, "not_found"),
        (with(json!({ "nothing": 1 })), 404, "not_found"),
        (with(Value::Object(many)), 422, "invalid_field"),
    ] {
        try_it(&world, body).await.refused(status, code);
    }
    world.staff.policy_admin.post("/v1/simulations", &of_bot(&ask())).await.refused(403, "missing_duty");
    let body = with(json!({ "read-only": 1 }));
    let denied = world.staff.auditor.post("/v1/simulations", &body).await.refused(403, "missing_duty");
    assert!(denied.help.unwrap().contains("policy_admin"));
    assert_eq!(world.log_size().await, size);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_says_what_the_decision_would_and_has_no_effect() {
    let world = World::new().await;
    for (request, expect) in [
        (ask(), Allow),
        (ask_with(json!({ "action": "faq.write" })), Deny),
        (ask_with(json!({ "purpose": "unknown" })), Deny),
        (ask_with(json!({ "resource": "account/7" })), Deny),
    ] {
        let simulation = simulate(&world, of_bot(&request)).await;
        let grants: GrantList = world.staff.registrar.get("/v1/grants").await.json();
        let entry = world.entries().await.pop().unwrap();
        let decided = world.bot.decide(&request).await;
        assert_eq!((simulation.decision, decided.decision), (expect, expect), "{request}");
        let reasons: Vec<&str> = decided.reasons.iter().map(|reason| reason.code.as_str()).collect();
        assert_eq!(codes(&simulation), reasons, "{request}");
        assert_eq!(simulation.terms.map(|terms| terms.uses_max), decided.grant.as_ref().map(|grant| grant.uses_max));
        assert_eq!((&entry["type"], &entry["operator"]), (&json!("simulation"), &json!("explainer")));
        assert_eq!(entry["about"]["decision"], json!(expect));
        assert!(grants.grants.iter().all(|grant| Some(&grant.id) != decided.grant.as_ref().map(|grant| &grant.id)));
    }
    // One allow was decided for real, and only that one made a grant.
    let grants: GrantList = world.staff.registrar.get("/v1/grants").await.json();
    assert_eq!(grants.grants.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_policy_is_shown_with_what_it_takes() {
    let world = World::new().await;
    let only = |action: &str| json!({ "selector": { "actions": [action] } });
    world.activate_with("other", components::bytes("allow_all"), json!({}), only("invoice.*")).await;
    world.activate_with("chatty", components::bytes("log_flood"), json!({}), json!({})).await;
    world.activate_with("looping", components::bytes("loop_in_evaluate"), json!({}), only("faq.list")).await;
    world
        .activate_with("quiet", components::bytes("deny_private_reason"), json!({}), json!({ "mode": "shadow" }))
        .await;
    let simulation = simulate(&world, of_bot(&ask())).await;
    assert_eq!(simulation.decision, Allow);
    let read_only = policy(&simulation, "read-only");
    assert_eq!((read_only.outcome.as_str(), read_only.reasons[0].code.as_str()), ("allow", "listed"));
    assert!(read_only.fuel.unwrap() > 100 && read_only.memory_bytes >= 65_536, "{read_only:?}");
    let chatty = policy(&simulation, "chatty");
    assert!(!chatty.log.is_empty() && chatty.log_cut);
    let quiet = policy(&simulation, "quiet");
    assert_eq!((quiet.outcome.as_str(), quiet.would), ("deny", Some(Deny)));
    assert_eq!(quiet.reasons.len(), 1, "operators see private reasons");
    let not_asked: Vec<(&str, &[String])> =
        simulation.not_asked.iter().map(|one| (one.policy.as_str(), one.because_of.as_slice())).collect();
    let actions = ["actions".to_owned()];
    assert_eq!(not_asked, [("looping", &actions[..]), ("other", &actions[..])]);
    assert_eq!(simulation.not_asked_count, 2);
    // Fuel is the same each time; time is not.
    let again = simulate(&world, of_bot(&ask())).await;
    assert_eq!(policy(&again, "read-only").fuel, read_only.fuel);
    let looping = simulate(&world, of_bot(&ask_with(json!({ "action": "faq.list" })))).await;
    assert_eq!((looping.decision, codes(&looping)), (Deny, vec!["policy_failed"]));
    let one = policy(&looping, "looping");
    assert_eq!((one.outcome.as_str(), one.fuel), ("failed:deadline", None));
    assert!(one.failure_detail.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_can_be_tried_that_are_not_in_force() {
    let world = World::new().await;
    world.push("read-only", components::bytes("deny_public_reason"), json!({}), json!({})).await.expect(201);
    world.push("ask-first", components::bytes("challenge"), json!({}), json!({})).await.expect(201);
    let in_force: ActiveSet = world.staff.policy_admin.get("/v1/active-set").await.json();
    for (with, expect, other) in [
        (json!({}), Allow, false),
        (json!({ "read-only": 1 }), Allow, false),
        (json!({ "ask-first": null }), Allow, false),
        (json!({ "read-only": 2 }), Deny, true),
        (json!({ "ask-first": 1 }), Challenge, true),
        (json!({ "read-only": null, "ask-first": 1 }), Challenge, true),
        (json!({ "read-only": null }), Deny, true),
    ] {
        let simulation = simulate(&world, json!({ "agent": "support-bot", "request": ask(), "with": with })).await;
        assert_eq!(simulation.decision, expect, "{with}");
        assert_eq!(simulation.approvers.is_empty(), expect != Challenge);
        // What is in force is told apart from what was tried, here and in the log.
        let set = &simulation.active_set;
        assert_eq!((set.revision, &set.digest), (in_force.revision, &in_force.digest), "{with}");
        let tried = &simulation.tried_set_digest;
        assert_eq!(tried.as_ref().is_some_and(|tried| *tried != in_force.digest), other, "{with}");
        assert_eq!(tried.is_some(), other, "{with}");
        let about = world.entries().await.pop().unwrap()["about"].clone();
        assert_eq!(about["with"], with);
        assert_eq!(about["active_set"], json!({ "revision": in_force.revision, "digest": in_force.digest }));
        assert_eq!(about["tried_set_digest"], json!(tried));
    }
    assert_eq!(world.bot.decide(&ask()).await.decision, Allow, "nothing was put in force");
}

/// Every reader of JSON reads these numbers as they are.
#[tokio::test(flavor = "multi_thread")]
async fn no_number_is_beyond_what_all_readers_of_json_hold() {
    fn numbers(value: &Value) -> Vec<&serde_json::Number> {
        match value {
            Value::Number(number) => vec![number],
            Value::Array(all) => all.iter().flat_map(numbers).collect(),
            Value::Object(members) => members.values().flat_map(numbers).collect(),
            _ => Vec::new(),
        }
    }
    let world = World::new().await;
    world.activate("yes", components::bytes("allow_all"), json!({})).await;
    world.activate("spends", components::bytes("debit"), json!({})).await;
    world.activate("ask-first", components::bytes("challenge"), json!({})).await;
    let answer: Value = try_it(&world, of_bot(&ask())).await.expect(200).json();
    let numbers = numbers(&answer);
    assert!(numbers.len() > 10, "{answer}");
    for number in numbers {
        assert!(number.as_u64().is_some_and(|number| number < 1 << 53), "{number} in {answer}");
    }
    let simulation: Simulation = serde_json::from_value(answer).unwrap();
    let terms = policy(&simulation, "yes").terms.as_ref().unwrap();
    assert_eq!(terms.grant_ms_max, None, "the policy sets no limit");
    assert!(simulation.terms.unwrap().grant_ms_max.is_some(), "and the server has one");
}

/// What a policy declares is looked up as in a decision, in a phase that it can tell from one.
#[tokio::test(flavor = "multi_thread")]
async fn facts_and_counters_are_shown_and_nothing_is_charged() {
    let world = World::new().await;
    world.activate("spends", components::bytes("debit"), json!({})).await;
    world.activate("knows", components::bytes("needs_fact"), json!({})).await;
    world.activate("echo", components::bytes("echo_context"), json!({})).await;
    let mut used = Vec::new();
    for _ in 0..3 {
        let simulation = simulate(&world, of_bot(&ask())).await;
        used.push(policy(&simulation, "spends").counters[0].used.clone());
        let knows = policy(&simulation, "knows");
        assert_eq!(knows.facts[0].value, None, "missing is visible: {:?}", knows.facts);
        let echo = policy(&simulation, "echo");
        let seen = echo.failure_detail.as_deref().unwrap();
        assert!(seen.contains(r#""phase":"Phase::Simulate""#), "{seen}");
    }
    assert_eq!(used, ["0", "0", "0"]);
}

/// A limit that only the commit of a decision would hit is foreseen.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_counter_is_seen() {
    let world = World::without_policy().await;
    world.activate("spends", components::bytes("debit"), json!({})).await;
    for at in 0..100 {
        let (simulated, decided) = (simulate(&world, of_bot(&ask())).await, world.bot.decide(&ask()).await);
        assert_eq!(simulated.decision, decided.decision, "at {at}");
        if decided.decision == Deny {
            assert_eq!(codes(&simulated), ["limit_exceeded"]);
            return;
        }
    }
    unreachable!("the counter has a limit");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_is_gone_is_said_and_not_guessed() {
    let world = World::new().await;
    let digest = blake3_hex(&components::bytes("deny_public_reason"));
    world.push("gone", components::bytes("deny_public_reason"), json!({}), json!({})).await.expect(201);
    std::fs::remove_file(world.server.data_dir().join("blobs").join(&digest)).unwrap();
    let body = json!({ "agent": "support-bot", "request": ask(), "with": { "gone": 1 } });
    try_it(&world, body).await.refused(404, "not_found");
}
