//! Changing what is in force while traffic flows, and while the server is killed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use attorn_api::decisions::{DecisionAnswer, DecisionKind};
use attorn_api::policies::{ActiveSet, Policy, SetChanged};
use attorn_tests::server::Fresh;
use attorn_tests::world::{Cast, ask};
use attorn_tests::{Call, Metrics, Process, Staff, World, components};
use serde_json::{Value, json};

const CONNECTIONS: usize = 64;
/// Changes in one round.
const CHANGES: u64 = 20;

fn rounds() -> u64 {
    std::env::var("ATTORN_TEST_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(10)
}

async fn push_two_versions(cast: &Cast, id: &str) {
    // More time than by default: what is tried here is not to depend on the machine.
    let limits = json!({ "cpu_us_max": 200_000, "wall_us_max": 240_000, "memory_bytes_max": 16 << 20 });
    for uses_max in [1, 2] {
        let (component, extra) = (components::bytes("allow_all"), json!({ "limits": limits }));
        cast.push(id, component, json!({ "uses_max": uses_max }), extra).await.expect(201);
    }
}

/// The change of each step: activations, rollbacks and deactivations in turn.
fn step(n: u64) -> (&'static str, Value) {
    match n % 4 {
        0 => ("activate", json!({ "version": 1 })),
        1 => ("activate", json!({ "version": 2 })),
        2 => ("rollback", json!({})),
        _ => ("deactivate", json!({})),
    }
}

/// 64 connections ask all the time while the policy is changed again and again: every request gets a
/// decision, and none was made under a revision that was not in force any more when it was recorded.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_pace_of_changes_lets_an_old_set_decide_or_a_request_fail() {
    let world = Arc::new(World::without_policy().await);
    push_two_versions(&world, "p").await;
    let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let askers: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let (world, stop, acknowledged) = (Arc::clone(&world), Arc::clone(&stop), Arc::clone(&acknowledged));
            tokio::spawn(async move {
                let mut count = 0_u64;
                while !stop.load(Ordering::SeqCst) {
                    let at_least = acknowledged.load(Ordering::SeqCst);
                    let answer: DecisionAnswer =
                        world.bot.send(Call::post("/v1/decisions", &ask())).await.expect(200).json();
                    assert!(answer.active_set.revision >= at_least, "{} < {at_least}", answer.active_set.revision);
                    count += 1;
                }
                count
            })
        })
        .collect();
    for n in 0..rounds() * CHANGES {
        let (verb, body) = step(n);
        let who = if verb == "deactivate" { &world.staff.policy_weakener } else { &world.staff.policy_replacer };
        let changed: SetChanged = who.post(format!("/v1/policies/p/{verb}"), &body).await.expect(200).json();
        acknowledged.store(changed.active_set.revision, Ordering::SeqCst);
    }
    stop.store(true, Ordering::SeqCst);
    let mut asked = 0;
    for asker in askers {
        asked += asker.await.unwrap();
    }
    let metrics = Metrics::of(&world.staff.auditor).await;
    let (mut revision, mut changes, mut decisions, mut allowed) = (0, 0, 0, 0);
    for entry in world.entries().await {
        if let Some(changed) = entry["about"]["active_set"]["revision"].as_u64() {
            assert!(changed > revision);
            (revision, changes) = (changed, changes + 1);
        } else if entry["type"] == "decision" {
            assert_eq!(entry["active_set"]["revision"], revision, "a decision was recorded under another set");
            let in_force = revision % 4 != 0;
            assert_eq!(entry["decision"], if in_force { "allow" } else { "deny" }, "{entry}");
            (decisions, allowed) = (decisions + 1, allowed + u64::from(in_force));
        }
    }
    assert_eq!(changes, rounds() * CHANGES);
    assert_eq!(metrics.sum("attorn_decisions_total"), decisions);
    let met = metrics.count("attorn_decision_conflicts_total", &[("cause", "changed")]);
    assert!(met > Some(0), "no decision met a change");
    assert!(allowed > 0 && asked >= changes, "{asked} were asked, {allowed} allowed, during {changes} changes");
}

/// Two policies always change together. After SIGKILL at any moment of a change, both are as the last
/// acknowledged change or the one under way left them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigkill_while_changing_leaves_the_old_or_the_new_set() {
    let fresh = Fresh::make().await;
    let mut process = Process::start(&fresh.config, &fresh.reach).await;
    let staff = Staff::hire(&fresh.reach, &fresh.bootstrap_token).await;
    let cast = Arc::new(Cast::register(&fresh.reach, &staff).await);
    push_two_versions(&cast, "p").await;
    push_two_versions(&cast, "q").await;
    let mut acknowledged: ActiveSet = staff.policy_admin.get("/v1/active-set").await.json();
    for round in 0..rounds() {
        let changer = tokio::spawn(change_until_killed(Arc::clone(&cast), acknowledged.revision));
        tokio::time::sleep(Duration::from_millis(100 + round * 37 % 150)).await;
        process.kill().await;
        let last = changer.await.unwrap();
        process = Process::start(&fresh.config, &fresh.reach).await;
        let now: ActiveSet = staff.policy_admin.get("/v1/active-set").await.json();
        let expect = last.as_ref().map_or(acknowledged.revision, |set| set.revision);
        assert!((expect..=expect + 1).contains(&now.revision), "round {round}: {} after {expect}", now.revision);
        if now.revision == expect {
            assert_eq!(now, last.unwrap_or(acknowledged), "round {round}");
        }
        let policy = async |id: &str| -> Policy { staff.policy_admin.get(format!("/v1/policies/{id}")).await.json() };
        let versions = [policy("p").await.active_version, policy("q").await.active_version];
        assert_eq!(versions, [in_force(now.revision); 2], "round {round}: half a change");
        let answer = cast.bot.decide(&ask()).await;
        let expect = if in_force(now.revision).is_some() { DecisionKind::Allow } else { DecisionKind::Deny };
        assert_eq!((answer.decision, answer.active_set.revision), (expect, now.revision));
        acknowledged = now;
    }
    assert!(acknowledged.revision > rounds(), "hardly anything was changed");
    process.kill().await;
}

/// The version that both policies have at a revision.
fn in_force(revision: u64) -> Option<u32> {
    match revision % 3 {
        0 => None,
        1 => Some(1),
        _ => Some(2),
    }
}

/// Change both policies until the connection breaks; the last set that was acknowledged.
async fn change_until_killed(cast: Arc<Cast>, mut revision: u64) -> Option<ActiveSet> {
    let mut last = None;
    loop {
        let version = in_force(revision + 1);
        let body = json!({ "policies": { "p": version, "q": version } });
        let call = Call::post("/v1/active-set/changes", &body).bearer(&cast.staff.policy_replacer.token);
        let Ok(answer) = cast.reach.try_send(call).await else { return last };
        let set = answer.expect(200).json::<SetChanged>().active_set;
        assert_eq!(set.revision, revision + 1);
        revision = set.revision;
        last = Some(set);
    }
}
