//! Who is not asked any more, and whose yes comes to nothing: what the approval rests on is looked at before a question is
//! put, while it waits, and when an answer comes.

use std::time::Duration;

use attorn_api::decisions::{ApprovalReference, DecisionKind};
use attorn_api::delegations::{Delegation, DelegationMade};
use attorn_core::Duty;
use attorn_tests::behalf::exchange;
use attorn_tests::device::Says;
use attorn_tests::world::PURPOSE_WITH_USER;
use attorn_tests::{Call, Machine};
use serde_json::{Value, json};

use super::prompts::Scene;

/// What an operator does, and why the prompt ends then.
const ENDINGS: [(&str, &str); 4] = [
    ("/v1/agents/helper/suspend", "agent_suspended"),
    ("/v1/freeze", "frozen"),
    ("/v1/delegations/{delegation}/revoke", "delegation_revoked"),
    ("/v1/providers/main/backchannel/remove", "provider_gone"),
];

async fn act(scene: &Scene, path: &str) {
    let path = path.replace("{delegation}", &scene.delegation.id);
    scene.behalf.staff.registrar.post(path, &json!({ "reason": "a test" })).await.expect(200);
}

async fn votes(scene: &Scene) -> usize {
    scene.behalf.entries().await.iter().filter(|entry| entry["type"] == "approval_voted").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_stand_any_more_is_not_asked_on() {
    futures_util::future::join_all(ENDINGS.map(async |(path, expect)| {
        let scene = Scene::new().await;
        let device = scene.behalf.provider.device();
        let approval = scene.challenged(5_000).await;
        device.polled(1).await;
        act(&scene, path).await;
        assert_eq!(scene.ended(&approval).await, expect);
        device.says(Says::yes());
        assert_eq!((device.questions().len(), votes(&scene).await), (1, 0), "{path}");
        assert_eq!(scene.state(&approval).await, "pending", "{path}");
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_stand_is_not_asked_again() {
    futures_util::future::join_all(ENDINGS.map(async |(path, expect)| {
        let scene = Scene::new().await;
        let device = scene.behalf.provider.device();
        // Nobody knows whether the first question arrived.
        device.says_to_questions(Says::Nothing);
        let approval = scene.challenged(5_000).await;
        device.question(1).await;
        act(&scene, path).await;
        assert_eq!(scene.ended(&approval).await, expect);
        assert_eq!((device.questions().len(), device.polls().len()), (1, 0), "{path}");
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_yes_to_a_poll_that_was_held_meanwhile_is_none() {
    futures_util::future::join_all(ENDINGS.map(async |(path, expect)| {
        let scene = Scene::new().await;
        let device = scene.behalf.provider.device();
        device.says(Says::Held);
        let approval = scene.challenged(5_000).await;
        device.polled(1).await;
        act(&scene, path).await;
        device.says(Says::yes());
        assert_eq!(scene.ended(&approval).await, expect);
        assert_eq!((scene.state(&approval).await.as_str(), votes(&scene).await), ("pending", 0), "{path}");
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_became_no_vote_is_recorded() {
    let scene = Scene::new().await;
    let device = scene.behalf.provider.device();
    let limits = json!({ "cpu_us_max": 200_000, "wall_us_max": 240_000, "memory_bytes_max": 16 << 20 });
    let extra = json!({ "limits": limits, "selector": { "actions": ["account.pay"] } });
    let component = attorn_tests::components::bytes("challenge_private_reason");
    scene.behalf.activate_with("careful", component, json!({}), extra).await;
    let ada = scene.behalf.staff.admin.hire("ada", &[Duty::Approver]).await;
    device.says(Says::Held);
    let approval = scene.challenged(5_000).await;
    device.polled(1).await;
    // An operator says no before she does.
    let shown: Value = ada.get(format!("/v1/approvals/{}", approval.id)).await.expect(200).json();
    let body = json!({ "digest": shown["digest"], "reason": "a test" });
    ada.post(format!("/v1/approvals/{}/refuse", approval.id), &body).await.expect(200);
    device.says(Says::yes());
    assert_eq!(scene.ended(&approval).await, "answered_in_vain");
    let ended = ended(&scene, &approval).await;
    assert_eq!((&ended["says"], &ended["evidence"]["provider"]), (&json!("approve"), &json!("main")));
    assert_eq!((scene.state(&approval).await.as_str(), votes(&scene).await), ("refused", 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn however_many_operators_say_yes_there_is_room_for_the_user_s() {
    let scene = Scene::new().await;
    let limits = json!({ "cpu_us_max": 200_000, "wall_us_max": 240_000, "memory_bytes_max": 16 << 20 });
    let extra = json!({ "limits": limits, "selector": { "actions": ["account.pay"] } });
    scene.behalf.activate_with("careful", attorn_tests::components::bytes("challenge"), json!({}), extra).await;
    let approval = scene.challenged(5_000).await;
    scene.behalf.provider.device().polled(1).await;
    for n in 0..17 {
        let operator = scene.behalf.staff.admin.hire(&format!("operator-{n}"), &[Duty::Approver]).await;
        let shown: Value = operator.get(format!("/v1/approvals/{}", approval.id)).await.expect(200).json();
        let body = json!({ "digest": shown["digest"], "reason": "a test" });
        let answer = operator.post(format!("/v1/approvals/{}/approve", approval.id), &body).await;
        match n {
            16 => drop(answer.refused(409, "invalid_state")),
            _ => drop(answer.expect(200)),
        }
    }
    assert_eq!(scene.state(&approval).await, "pending");
    scene.behalf.provider.device().says(Says::yes());
    scene.becomes(&approval, "approved").await;
    assert_eq!(scene.pay(5_000).await.decision, DecisionKind::Allow);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_agent_s_users_keep_no_other_s_waiting() {
    let scene = Scene::new().await;
    let device = scene.behalf.provider.device();
    // The provider holds each poll back until the user has answered.
    device.says(Says::Held);
    for n in 0..20 {
        let claims = json!({ "client_id": "helper-client", "sub": format!("user-{n}"), "sid": format!("of-user-{n}"),
            "jti": format!("token-{n}") });
        let made: DelegationMade = exchange(&scene.behalf.helper, &scene.behalf.token(claims)).await.expect(201).json();
        pay(&scene.behalf.helper, &made.delegation).await;
    }
    device.polled(4).await;
    let token = scene.behalf.token(json!({ "client_id": "second-client" }));
    let made: DelegationMade = exchange(&scene.behalf.second, &token).await.expect(201).json();
    let approval = pay(&scene.behalf.second, &made.delegation).await;
    device.says_of("alice", Says::yes());
    for _ in 0..400 {
        let path = format!("/v1/approvals/{}/state", approval.id);
        let state: Value = scene.behalf.second.send(Call::get(path)).await.expect(200).json();
        if state["state"] == "approved" {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("she was not asked, or not heard");
}

async fn pay(agent: &Machine, delegation: &Delegation) -> ApprovalReference {
    let ask = json!({
        "action": "account.pay", "resource": format!("account/{}/giro", delegation.user),
        "purpose": PURPOSE_WITH_USER, "delegation": delegation.id,
        "arguments": { "amount": 5_000, "currency": "EUR" },
    });
    let answer = agent.decide(&ask).await;
    assert_eq!(answer.decision, DecisionKind::Challenge, "{:?}", answer.reasons);
    answer.approval.unwrap()
}

async fn ended(scene: &Scene, approval: &ApprovalReference) -> Value {
    let entries = scene.behalf.entries().await;
    let is = |entry: &Value| entry["type"] == "prompt_ended" && entry["approval"] == approval.id.as_str();
    entries.into_iter().find(is).unwrap()
}
