//! What was looked up for a decision: each policy gets what it asked for and no other, and what was looked up
//! still holds when the decision is recorded.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use attorn_api::decisions::{DecisionAnswer, DecisionKind};
use attorn_api::facts::FactList;
use attorn_tests::world::{ask, server_registration};
use attorn_tests::{Call, Machine, World, components};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use DecisionKind::Allow;

/// How many tasks ask at once.
const ASKERS: usize = 16;

fn one(name: &str, value: &Value) -> Value {
    json!({ "facts": [{ "name": name, "value": value }] })
}

/// More time than by default: what is tried here is not to depend on the machine.
fn patient() -> Value {
    json!({ "limits": { "cpu_us_max": 200_000, "wall_us_max": 240_000, "memory_bytes_max": 16 << 20 } })
}

async fn record_of(world: &World, answer: &DecisionAnswer) -> Value {
    world.staff.auditor.get(format!("/v1/audit/decisions/{}", answer.decision_id)).await.json()
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
    let fact = record_of(&world, &answer).await["facts"][0].clone();
    assert_eq!((&fact["missing"], &fact["value"]), (&json!("source_revoked"), &Value::Null));
    assert_eq!(fact["set_by"], "resource-server/crm");
    let list: FactList = world.staff.registrar.get("/v1/facts").await.json();
    assert!(!list.facts[0].counts);
    // An operator who says the same vouches for it.
    world.staff.registrar.post("/v1/facts", &one(&tier, &json!("gold"))).await.expect(200);
    assert_eq!(world.bot.decide(&ask()).await.decision, Allow);
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
        while self.answered.load(Ordering::SeqCst) < until {
            assert!(self.tasks.iter().all(|task| !task.is_finished()), "nobody asks any more");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    async fn end(self) {
        self.stop.store(true, Ordering::SeqCst);
        for task in self.tasks {
            task.await.unwrap();
        }
    }
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
