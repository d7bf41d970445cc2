//! Policies that ask for an operator and for the user: both vote, in either order, and neither twice.

use attorn_api::approvals::Approval;
use attorn_api::decisions::DecisionKind;
use attorn_core::Duty;
use attorn_tests::device::Says;
use attorn_tests::replays::replays_identically;
use attorn_tests::{Operator, components};
use serde_json::json;

use super::prompts::Scene;

/// One policy asks for Alice, and another for an operator.
async fn scene() -> (Scene, Operator) {
    let scene = Scene::new().await;
    let selector = json!({ "selector": { "actions": ["account.pay"] } });
    let guest = components::bytes("challenge_private_reason");
    scene.behalf.activate_with("careful", guest, json!({}), selector).await;
    let ada = scene.behalf.staff.admin.hire("ada", &[Duty::Approver]).await;
    (scene, ada)
}

async fn show(ada: &Operator, id: &str) -> Approval {
    ada.get(format!("/v1/approvals/{id}")).await.expect(200).json()
}

async fn approve(ada: &Operator, id: &str) -> Approval {
    let body = json!({ "digest": show(ada, id).await.digest });
    ada.post(format!("/v1/approvals/{id}/approve"), &body).await.expect(200).json()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_first_and_then_alice() {
    let (scene, ada) = scene().await;
    let asked = scene.challenged(5_000).await;
    let roles: Vec<_> = show(&ada, &asked.id).await.approvers.into_iter().map(|one| one.role).collect();
    assert_eq!(roles, ["operator", "user"]);
    scene.question(1).await;
    assert_eq!(approve(&ada, &asked.id).await.state, "pending");
    for _ in 0..2 {
        assert_eq!(scene.challenged(5_000).await, asked, "her vote would be lost");
    }
    scene.behalf.provider.device().says(Says::yes());
    scene.becomes(&asked, "approved").await;
    let allowed = scene.pay(5_000).await;
    assert_eq!(allowed.decision, DecisionKind::Allow);
    assert_eq!(scene.behalf.provider.device().questions().len(), 1);
    let by = &scene.behalf.entry_of(&allowed).await["approval"]["approved_by"];
    assert!(by[0]["operator"] == "ada" && by[1]["user"].is_string() && by[2].is_null(), "{by}");
    replays_identically(&scene.behalf).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn alice_first_and_then_the_operator() {
    let (scene, ada) = scene().await;
    scene.behalf.provider.device().says(Says::yes());
    let asked = scene.challenged(5_000).await;
    attorn_tests::until("alice's vote", async || !show(&ada, &asked.id).await.votes.is_empty()).await;
    assert_eq!(scene.state(&asked).await, "pending");
    assert_eq!(scene.challenged(5_000).await, asked);
    assert_eq!(approve(&ada, &asked.id).await.state, "approved");
    assert_eq!(scene.pay(5_000).await.decision, DecisionKind::Allow);
    assert_eq!(scene.behalf.provider.device().questions().len(), 1);
    replays_identically(&scene.behalf).await;
}

/// One no is a no, whoever else said yes.
#[tokio::test(flavor = "multi_thread")]
async fn alice_s_no_ends_what_the_operator_approved() {
    let (scene, ada) = scene().await;
    let asked = scene.challenged(5_000).await;
    approve(&ada, &asked.id).await;
    scene.behalf.provider.device().says(Says::No);
    scene.becomes(&asked, "refused").await;
    let denied = scene.pay(5_000).await;
    assert_eq!((denied.decision, denied.reasons[0].code.as_str()), (DecisionKind::Deny, "approval_refused"));
}
