//! What needs an approval goes on when it is there: that very request, once.

use attorn_api::approvals::{Approval, ApprovalStanding, AskedCredential};
use attorn_core::Duty;
use attorn_tests::replays::replays_identically;
use attorn_tests::{Call, components};
use serde_json::json;

use super::scene::{Scene, through};

fn note(body: &str) -> Call {
    through("POST", "/v2/articles/42").json(body.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_approved_goes_on_once_and_nothing_else_does() {
    let scene = Scene::new().await;
    let world = &scene.world;
    world.activate("careful", components::bytes("challenge_private_reason"), json!({})).await;
    let ada = world.staff.admin.hire("ada", &[Duty::Approver]).await;
    let waits = async |call: Call| scene.send(call).await.refused(403, "approval_needed").approval.unwrap();
    let challenge = scene.send(note(r#"{"a":1}"#)).await.refused(403, "approval_needed");
    let who: Vec<_> = challenge.approvers.iter().map(|one| (one.role.as_str(), one.count)).collect();
    assert_eq!(who, [("operator", 1)], "whoever waits is told for whom");
    let asked = waits(note(r#"{"a":1}"#)).await;
    assert_eq!(waits(note(r#"{ "a": 1 }"#)).await, asked, "what is the same is asked once");
    for other in [note(r#"{"a":2}"#), note(r#"{"a":1}"#).header("if-match", "x"), through("GET", "/v2/articles/42")] {
        assert_ne!(waits(other).await.id, asked.id);
    }
    let path = format!("/v1/approvals/{}", asked.id);
    let shown: Approval = ada.get(&path).await.expect(200).json();
    let Approval { asks, code, digest, .. } = shown;
    assert_eq!((asks.credential, asks.target.as_deref(), code), (AskedCredential::Proxy, Some("crm"), asked.code));
    assert_eq!(asks.arguments, r#"{"body":{"a":1},"method":"POST","path":"/v2/articles/42","query":{}}"#);
    assert_eq!(asks.follows.uses_max, 1);
    ada.post(format!("{path}/approve"), &json!({ "digest": digest, "reason": "a test" })).await.expect(200);
    let standing: ApprovalStanding = world.bot.send(Call::get(format!("{path}/state"))).await.expect(200).json();
    assert_eq!(standing.state, "approved");

    // It is a yes to nothing else, and a token is something else.
    waits(note(r#"{"a":2}"#)).await;
    let token = json!({ "action": "faq.list", "resource": "article/42", "purpose": asks.purpose,
        "arguments": { "body": { "a": 1 }, "method": "POST", "path": "/v2/articles/42", "query": {} } });
    let token = world.bot.decide(&token).await;
    assert!(token.grant.is_none() && token.approval.unwrap().id != asked.id);
    assert!(scene.upstream.seen().is_empty());

    scene.send(note(r#"{"a":1}"#)).await.expect(200);
    let effect = scene.effect().await;
    assert_eq!(effect["effect"], "done");
    let said = world.entries().await.into_iter().rfind(|entry| entry["type"] == "decision").unwrap();
    assert_eq!((&said["approval"]["id"], &said["approval"]["is"]), (&json!(asked.id), &json!("spent")));
    assert_eq!(said["grant"]["id"], effect["grant"]);
    // It is spent.
    assert_ne!(waits(note(r#"{"a":1}"#)).await.id, asked.id);
    assert_eq!(scene.upstream.seen().iter().map(|seen| seen.body.as_str()).collect::<Vec<_>>(), [r#"{"a":1}"#]);
    replays_identically(world).await;
}
