//! Members of a group are asked, and somebody who is asked for less, or for nothing, tries to get past them.

use attorn_api::decisions::{DecisionAnswer, DecisionKind};
use attorn_tests::components;
use attorn_tests::replays::replays_identically;
use serde_json::json;

use super::groups::{answers, finance};
use super::page::{Browser, form, pairs, path};
use super::prompts::Scene;

fn is_denied(answer: &DecisionAnswer, code: &str) {
    let codes: Vec<_> = answer.reasons.iter().map(|reason| reason.code.as_str()).collect();
    assert_eq!((answer.decision, codes), (DecisionKind::Deny, vec![code]), "{answer:?}");
}

/// Up to 100.00 Alice's yes is enough; beyond that it takes one of `finance`, too.
async fn with_finance_from_100() -> Scene {
    let scene = super::page::scene().await;
    let settings = json!({
        "amount_argument": "amount", "currency_argument": "currency", "currency": "EUR", "scope": "user_agent",
        "window": "day", "allow_max": 10_000, "challenge": { "max": 1_000_000, "role": "finance", "count": 1 },
    });
    let limits = json!({ "cpu_us_max": 200_000, "wall_us_max": 240_000, "memory_bytes_max": 16 << 20 });
    let extra = json!({ "limits": limits, "selector": { "actions": ["account.pay"] } });
    scene.behalf.activate_with("large", components::bytes("spend-limit"), settings, extra).await;
    scene
}

#[tokio::test(flavor = "multi_thread")]
async fn a_yes_to_something_small_does_not_end_the_no_to_something_large() {
    let scene = with_finance_from_100().await;
    let (small, large) = (scene.challenged(5_000).await, scene.challenged(50_000).await);
    answers(&scene, &large, &finance("bob"), "refuse").await.expect(303);
    // What was asked before the no waits on, and is Alice's alone to approve.
    let mut alice = Browser::new(&scene);
    let page = alice.sign_in(&scene, &small).await;
    alice.post(&path(&small), &pairs(&form(&page, "approve"))).await.expect(303);
    assert_eq!(scene.state(&small).await, "approved");
    is_denied(&scene.pay(50_000).await, "approval_refused");
    is_denied(&scene.pay(49_999).await, "approval_refused");
    assert_eq!(scene.pay(5_000).await.decision, DecisionKind::Allow);
    // Nobody is asked for more of it either.
    is_denied(&scene.pay(49_998).await, "approval_refused");
    is_denied(&scene.pay(5_000).await, "approval_refused");
    replays_identically(&scene.behalf).await;
}
