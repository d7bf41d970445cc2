//! Shadow policies: asked, written down, never counted.

#![expect(clippy::panic, reason = "helpers of tests fail by panicking")]

use std::time::Duration;

use attorn_api::decisions::DecisionAnswer;
use attorn_api::policies::{Policy, ShadowReport};
use attorn_tests::world::{ask, ask_with};
use attorn_tests::{Metrics, World, components};
use serde_json::{Value, json};

/// What the agent sees of a decision, without what is new each time.
fn seen(answer: &DecisionAnswer) -> Value {
    let reasons: Vec<_> = answer.reasons.iter().map(|reason| reason.code.clone()).collect();
    json!([answer.decision, reasons, answer.grant.as_ref().map(|grant| grant.uses_max), answer.approvers.len()])
}

async fn report(world: &World, id: &str, evaluations: u64) -> ShadowReport {
    for _ in 0..400 {
        let policy: Policy = world.staff.policy_admin.get(format!("/v1/policies/{id}")).await.json();
        let report = policy.versions.first().and_then(|version| version.shadow);
        if let Some(report) = report.filter(|report| report.evaluations >= evaluations) {
            return report;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("`{id}` was not evaluated {evaluations} times");
}

/// The report once as many decisions stand in it, evaluated or dropped.
async fn all_counted(world: &World, id: &str, decisions: u64) -> ShadowReport {
    let mut last = None;
    for _ in 0..4_000 {
        let policy: Policy = world.staff.policy_admin.get(format!("/v1/policies/{id}")).await.json();
        last = policy.versions.first().and_then(|version| version.shadow);
        if let Some(report) = last.filter(|report| report.evaluations + report.dropped >= decisions) {
            assert_eq!(report.evaluations + report.dropped, decisions, "{report:?}");
            return report;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("`{id}`: {last:?} of {decisions}");
}

/// A deny that a counter caused is not the shadow policies' doing.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_counter_is_no_change_of_a_shadow_policy() {
    let world = World::without_policy().await;
    world.activate("spends", components::bytes("debit"), json!({})).await;
    let mode = json!({ "mode": "shadow" });
    for guest in ["abstain", "allow_all", "challenge"] {
        world.activate_with(&guest.replace('_', "-"), components::bytes(guest), json!({}), mode.clone()).await;
    }
    for _ in 0..12 {
        world.bot.decide(&ask()).await;
    }
    // Ten were allowed. Of the two that the counter denied, a challenge would have charged nothing.
    for (id, would_change) in [("abstain", 0), ("allow-all", 0), ("challenge", 12)] {
        let report = all_counted(&world, id, 12).await;
        assert_eq!((report.would_change, report.dropped), (would_change, 0), "{id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shadow_policy_never_changes_an_answer_and_says_what_it_would_have() {
    let world = World::new().await;
    let asks = [ask(), ask_with(json!({ "action": "faq.write" }))];
    let answers = async || {
        let mut seen_all = Vec::new();
        for ask in &asks {
            seen_all.push(seen(&world.bot.decide(ask).await));
        }
        seen_all
    };
    let without = answers().await;
    // How often each would have changed one of the two decisions, an allow and a deny, was stricter,
    // was laxer, failed.
    let rows = [
        ("allow_all", [0, 0, 1, 0]),
        ("abstain", [0, 0, 0, 0]),
        ("deny_public_reason", [1, 1, 0, 0]),
        ("challenge", [1, 1, 0, 0]),
        ("loop_in_evaluate", [1, 1, 0, 2]),
        ("trap", [1, 1, 0, 2]),
        ("obliges", [1, 0, 1, 0]),
    ];
    for (guest, expect) in rows {
        let id = guest.replace('_', "-");
        let extra = json!({ "mode": "shadow", "required": guest != "abstain" });
        world.activate_with(&id, components::bytes(guest), json!({}), extra).await;
        assert_eq!(answers().await, without, "{guest} changed an answer");
        let report = report(&world, &id, 2).await;
        let counts = [report.would_change, report.stricter, report.laxer, report.failures];
        assert_eq!((counts, report.evaluations, report.dropped), (expect, 2, 0), "{guest}");
        world.deactivate(&id).await.expect(200);
    }
    let entries = world.entries().await;
    let shadows: Vec<&Value> = entries.iter().filter(|entry| entry["type"] == "shadow_evaluated").collect();
    assert_eq!(shadows.len(), 2 * rows.len());
    for shadow in shadows {
        let decided =
            entries.iter().find(|entry| entry["type"] == "decision" && entry["decision_id"] == shadow["decision_id"]);
        let decided = decided.unwrap();
        assert_eq!((&decided["decision"], &decided["active_set"]), (&shadow["decision"], &shadow["active_set"]));
        let names = |entry: &Value| -> Vec<Value> {
            entry["policies"].as_array().unwrap().iter().map(|one| one["policy"].clone()).collect()
        };
        assert!(names(shadow).iter().all(|name| !names(decided).contains(name)), "a shadow policy counted");
    }
}

/// More decisions than shadow policies can keep up with: the answers come, and what was dropped is said.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_flood_of_shadow_work_is_dropped_and_counted() {
    let world = std::sync::Arc::new(World::new().await);
    let extra = json!({ "mode": "shadow" });
    world.activate_with("slow", components::bytes("loop_in_evaluate"), json!({}), extra).await;
    let askers: Vec<_> = (0..16)
        .map(|_| {
            let world = std::sync::Arc::clone(&world);
            tokio::spawn(async move {
                for _ in 0..40 {
                    assert_eq!(world.bot.decide(&ask()).await.reasons[0].code, "listed");
                }
            })
        })
        .collect();
    for asker in askers {
        asker.await.unwrap();
    }
    let report = all_counted(&world, "slow", 640).await;
    assert!(report.stricter == report.evaluations && report.dropped > 0, "{report:?}");
    // It is counted as it happens, and written down later.
    let dropped = Metrics::of(&world.staff.auditor).await.count("attorn_shadow_evaluations_dropped_total", &[]);
    assert!(dropped.is_some_and(|dropped| (usize::try_from(report.dropped).unwrap()..640).contains(&dropped)));
    assert!(world.entries().await.iter().any(|entry| entry["type"] == "shadow_dropped"));
}
