//! What was looked up for a decision: each policy gets what it asked for and no other, and what was looked up
//! still holds when the decision is recorded.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use attorn_api::decisions::DecisionKind;
use attorn_api::facts::FactList;
use attorn_tests::replays::replays_identically;
use attorn_tests::world::{ask, ask_with, server_registration};
use attorn_tests::{Call, Machine, World, components};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use DecisionKind::Allow;

const OWNER: &str = "resource/article/42/owner";
/// How many tasks ask at once.
const ASKERS: usize = 16;

fn one(name: &str, value: &Value) -> Value {
    json!({ "facts": [{ "name": name, "value": value }] })
}

/// More time than by default: what is tried here is not to depend on the machine.
fn patient() -> Value {
    json!({ "limits": { "cpu_us_max": 200_000, "wall_us_max": 240_000, "memory_bytes_max": 16 << 20 } })
}

/// Register a resource server that says something, and a policy that allows if it is so; the name of what it
/// says.
async fn trusts(world: &World, server: &str, resource_type: &str) -> String {
    let machine = Machine::new(&world.reach, server);
    let body = server_registration(&machine, &format!("https://{server}.example"), &[resource_type]);
    world.staff.registrar.post("/v1/resource-servers", &body).await.expect(201);
    let name = format!("resource/{resource_type}/7/tier");
    let settings = json!({ "facts": [name], "say": "if_known" });
    world.activate_with("trusting", components::bytes("knows"), settings, patient()).await;
    machine.post("/v1/resource-facts", &one(&name, &json!("gold"))).await.expect(200);
    name
}

/// Nobody vouches for what a revoked resource server said.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_revoked_resource_server_said_is_missing_in_the_very_next_decision() {
    let world = World::without_policy().await;
    let tier = trusts(&world, "crm", "customer").await;
    assert_eq!(world.bot.decide(&ask()).await.decision, Allow);
    world.staff.registrar.act("/v1/resource-servers/crm/revoke").await.expect(200);
    let answer = world.bot.decide(&ask()).await;
    assert_eq!(answer.reasons[0].code, "unknown");
    let fact = world.record_of(&answer).await["facts"][0].clone();
    assert_eq!((&fact["missing"], &fact["value"]), (&json!("source_revoked"), &Value::Null));
    assert_eq!(fact["set_by"], "resource-server/crm");
    let list: FactList = world.staff.registrar.get("/v1/facts").await.json();
    assert!(!list.facts[0].counts);
    // An operator who says the same vouches for it.
    world.staff.registrar.post("/v1/facts", &one(&tier, &json!("gold"))).await.expect(200);
    assert_eq!(world.bot.decide(&ask()).await.decision, Allow);
    replays_identically(&world).await;
}

/// Two policies are asked about one request. Each sees the facts and counters that it asked for, also where
/// both give a counter the same name.
#[tokio::test(flavor = "multi_thread")]
async fn each_policy_sees_what_it_asked_for_and_nothing_else() {
    let world = World::without_policy().await;
    for (name, value) in [(OWNER, json!("alice")), ("agent/support-bot/trust", json!(7)), ("global", json!("all"))] {
        world.staff.registrar.post("/v1/facts", &one(name, &value)).await.expect(200);
    }
    let owner = "resource/{request.resource_type}/{request.resource_id}/owner";
    let first = json!({ "facts": [owner, "global"], "counters": ["shared", "ones"] });
    let second = json!({ "facts": ["agent/{agent.id}/trust", "agent/{agent.id}/nothing"], "counters": ["shared"] });
    for (id, settings, amount) in [("one", &first, 3), ("other", &second, 5)] {
        let mut charging = settings.clone();
        charging["say"] = json!({ "charge": amount });
        world.activate(id, components::bytes("knows"), charging).await;
    }
    assert_eq!(world.bot.decide(&ask()).await.decision, Allow);
    for (id, settings) in [("one", &first), ("other", &second)] {
        world.activate(id, components::bytes("knows"), settings.clone()).await;
    }
    let record = world.record_of(&world.bot.decide(&ask()).await).await;
    let seen = |at: usize| -> Value {
        let detail = record["policies"][at]["failure_detail"].as_str().unwrap();
        serde_json::from_str(&detail[detail.find('{').unwrap()..]).unwrap()
    };
    let expect =
        json!({ "facts": { owner: "\"alice\"", "global": "\"all\"" }, "counters": { "shared": 3, "ones": 3 } });
    assert_eq!(seen(0), expect);
    let facts = json!({ "agent/{agent.id}/trust": "7", "agent/{agent.id}/nothing": null });
    assert_eq!(seen(1), json!({ "facts": facts, "counters": { "shared": 5 } }));
    // The record says the same: the facts once, by name, and for each policy which of them.
    let names: Vec<_> = record["facts"].as_array().unwrap().iter().map(|fact| fact["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["agent/support-bot/nothing", "agent/support-bot/trust", "global", OWNER]);
    assert_eq!((&record["policies"][0]["facts"], &record["policies"][1]["facts"]), (&json!([3, 2]), &json!([1, 0])));
    replays_identically(&world).await;
}

/// Tasks that ask all the time, until they are told to stop.
struct Asking {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    tasks: Vec<JoinHandle<()>>,
}

impl Asking {
    fn begin(world: &Arc<World>) -> Self {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let task = |_| {
            let (world, stop, answered) = (Arc::clone(world), Arc::clone(&stop), Arc::clone(&answered));
            tokio::spawn(async move {
                while !stop.load(Ordering::SeqCst) {
                    // A full queue is no decision.
                    let answer = world.bot.send(Call::post("/v1/decisions", &ask())).await;
                    if answer.status != 503 {
                        answer.expect(200);
                        answered.fetch_add(1, Ordering::SeqCst);
                    }
                }
            })
        };
        Self { tasks: (0..ASKERS).map(task).collect(), stop, answered }
    }

    /// Wait until each of them may have had an answer since now.
    async fn go_on(&self) {
        let until = self.answered.load(Ordering::SeqCst) + ASKERS as u64;
        attorn_tests::until("each has an answer", async || {
            assert!(self.tasks.iter().all(|task| !task.is_finished()), "nobody asks any more");
            self.answered.load(Ordering::SeqCst) >= until
        })
        .await;
    }

    async fn end(self) {
        self.stop.store(true, Ordering::SeqCst);
        for task in self.tasks {
            task.await.unwrap();
        }
    }
}

/// The owner changes again and again while others ask. In the order of the log, each decision rests on the
/// owner as it was when the decision was recorded.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_decision_is_recorded_on_a_fact_that_has_changed() {
    let world = Arc::new(World::without_policy().await);
    world.activate_with("owners", components::bytes("needs_fact"), json!({}), patient()).await;
    let asking = Asking::begin(&world);
    for n in 0..20 {
        asking.go_on().await;
        let owner = if n % 2 == 0 { "support@example.org" } else { "somebody@example.org" };
        world.staff.registrar.post("/v1/facts", &one(OWNER, &json!(owner))).await.expect(200);
    }
    asking.go_on().await;
    asking.end().await;
    let (mut changes, mut decided) = (0, [0, 0]);
    for entry in world.entries().await {
        if entry["type"] == "facts_set" {
            changes += 1;
        } else if entry["type"] == "decision" {
            let may = changes % 2 == 1;
            assert_eq!(entry["decision"], if may { "allow" } else { "deny" }, "after {changes} changes: {entry}");
            decided[usize::from(may)] += 1;
        }
    }
    assert!(changes == 20 && decided[0] > 0 && decided[1] > 0, "{changes} changes, {decided:?}");
}

/// A resource server is revoked while others ask for what its word decides. In the order of the log, nothing
/// is allowed after the revocation.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_allowed_on_the_word_of_a_server_that_is_revoked() {
    let world = Arc::new(World::without_policy().await);
    for n in 0..6 {
        trusts(&world, &format!("crm-{n}"), &format!("customer-{n}")).await;
        let from = usize::try_from(world.log_size().await).unwrap();
        let asking = Asking::begin(&world);
        asking.go_on().await;
        world.staff.registrar.act(format!("/v1/resource-servers/crm-{n}/revoke")).await.expect(200);
        asking.go_on().await;
        asking.end().await;
        let entries = world.entries().await.split_off(from);
        let at = entries.iter().position(|entry| entry["type"] == "resource_server_revoked").unwrap();
        let is_allow = |entry: &&Value| entry["decision"] == "allow";
        assert!(entries[..at].iter().any(|entry| is_allow(&entry)), "nothing was allowed before");
        assert_eq!(entries[at..].iter().find(is_allow), None, "something was allowed after the revocation");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_are_apart_from_what_is_known_and_private_reasons_stay_in_the_log() {
    let world = World::without_policy().await;
    world.activate("echo", components::bytes("echo_context"), json!({})).await;
    let lie = json!({ "owner": "root@example.org", "labels": { "team": "admins" }, "id": "admin", "trust": 1.0 });
    let answer = world.bot.decide(&ask_with(json!({ "claims": lie, "session": "s-1" }))).await;
    let record = world.record_of(&answer).await;
    let detail = record["policies"][0]["failure_detail"].as_str().unwrap();
    let seen: Value = serde_json::from_str(&detail[detail.find('{').unwrap()..]).unwrap();
    assert_eq!(seen["agent"]["owner"], "support@example.org");
    assert_eq!(seen["agent"]["labels"], json!({ "team": "support" }));
    assert_eq!((&seen["agent"]["id"], &seen["agent"]["instance"]), (&json!("support-bot"), &json!("pod-1")));
    assert_eq!(seen["caller"]["key_thumbprint"], world.bot.key.thumbprint());
    let canonical = r#"{"id":"admin","labels":{"team":"admins"},"owner":"root@example.org","trust":1}"#;
    assert_eq!(seen["request"]["claimed_properties"], canonical);
    assert_eq!(seen["request"]["arguments"], r#"{"section":"billing"}"#);
    assert_eq!((&seen["user"], &seen["delegations"], &seen["session"]), (&Value::Null, &json!(0), &Value::Null));
    assert!(!serde_json::to_string(&answer).unwrap().contains("support@example.org"), "the error's text leaked");
    world.deactivate("echo").await.expect(200);

    world.activate("watching", components::bytes("deny_private_reason"), json!({})).await;
    let answer = world.bot.decide(&ask()).await;
    assert!(!serde_json::to_string(&answer).unwrap().contains("watch"), "{answer:?}");
    assert_eq!(world.entry_of(&answer).await["reasons"][0]["code"], "watched");
}
