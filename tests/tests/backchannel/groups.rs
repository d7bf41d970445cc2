//! A policy wants the yes of members of a group: they sign in at their provider, read what is asked, and answer.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use attorn_api::approvals::{Approval, Group, Wanted, WebhookMessage};
use attorn_api::decisions::{ApprovalReference, DecisionKind};
use attorn_core::Duty;
use attorn_tests::device::Says;
use attorn_tests::process::binary;
use attorn_tests::provider::with;
use attorn_tests::replays::replays_identically;
use attorn_tests::{Answer, Behalf, Call, components};
use axum::body::Bytes;
use serde_json::{Value, json};
use tokio::process::Command;

use super::page::{Browser, form, pairs, path, with_page};
use super::prompts::{Scene, providers};

pub(super) const NOTHING: &str = "/approve/apr_00000000000000000000000000000000";

/// Alice's bot may pay more with the yes of so many of `finance`.
pub(super) async fn scene(count: u32) -> Scene {
    let behalf = Behalf::with_provider(providers()).await;
    Box::pin(Scene::asking(behalf, with_page(), json!({}), ("finance", count))).await
}

/// Somebody of `finance`.
pub(super) fn finance(subject: &str) -> Value {
    json!({ "sub": subject, "groups": ["staff", "finance"] })
}

/// Somebody signs in, of whom the provider says this; what they get.
pub(super) async fn signs_in(
    browser: &mut Browser,
    scene: &Scene,
    approval: &ApprovalReference,
    claims: &Value,
) -> Answer {
    let back = browser.begin(&path(approval)).await;
    let provider = &scene.behalf.provider;
    let claims = with(json!({ "nonce": back.nonce }), claims.clone());
    provider.device().says_to_codes(Says::Yes(claims, json!({})));
    browser.back(&provider.issuer, &back, &[]).await
}

/// Somebody who is asked signs in: their browser, and what they read.
pub(super) async fn reads(scene: &Scene, approval: &ApprovalReference, claims: &Value) -> (Browser, String) {
    let mut browser = Browser::new(scene);
    signs_in(&mut browser, scene, approval, claims).await.expect(303);
    let page = browser.get(&path(approval)).await.expect(200).text();
    (browser, page)
}

/// Somebody who is asked signs in and answers; what comes of the answer.
pub(super) async fn answers(scene: &Scene, approval: &ApprovalReference, claims: &Value, say: &'static str) -> Answer {
    let (mut browser, page) = reads(scene, approval, claims).await;
    browser.post(&path(approval), &pairs(&form(&page, say))).await
}

/// What of the log is about votes.
pub(super) async fn voted(scene: &Scene) -> Vec<Value> {
    let entries = scene.behalf.entries().await;
    entries.into_iter().filter(|entry| entry["type"] == "approval_voted").collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_of_finance_approve_and_nobody_says_who_they_are() {
    let scene = scene(2).await;
    let answer = scene.pay(5_000).await;
    assert_eq!(answer.decision, DecisionKind::Challenge, "{:?}", answer.reasons);
    let asked: Vec<_> = answer.approvers.iter().map(|one| (one.role.as_str(), one.count)).collect();
    assert_eq!(asked, [("finance", 2)]);
    let approval = answer.approval.unwrap();
    assert!(scene.behalf.provider.device().questions().is_empty(), "nobody is asked on a device");

    let (mut bob, page) = reads(&scene, &approval, &finance("bob")).await;
    let issuer = &scene.behalf.provider.issuer;
    let who = format!("2 members of the group <strong>finance</strong> at {issuer}");
    for text in ["account.pay", "giro", "5000", &approval.code, "In the name of", "alice", who.as_str()] {
        assert!(page.contains(text), "no `{text}` in {page}");
    }
    bob.post(&path(&approval), &pairs(&form(&page, "approve"))).await.expect(303);
    let waits = bob.get(&path(&approval)).await.expect(200).text();
    assert!(waits.contains("You have approved this") && waits.contains("Others have to approve it, too"), "{waits}");
    assert_eq!(scene.challenged(5_000).await, approval);
    answers(&scene, &approval, &finance("carol"), "approve").await.expect(303);
    let state = Call::get(format!("/v1/approvals/{}/state", approval.id));
    let told = scene.behalf.helper.send(state).await.expect(200).text();
    assert!(told.contains("approved") && !told.contains("usr_"), "{told}");

    let allowed = scene.pay(5_000).await;
    assert_eq!(allowed.decision, DecisionKind::Allow);
    let entry = scene.behalf.entry_of(&allowed).await;
    let by = entry["approval"]["approved_by"].as_array().unwrap().clone();
    assert!(by.len() == 2 && by.iter().all(|one| one["group"] == "finance"), "{by:?}");
    let users: BTreeSet<_> = by.iter().map(|one| one["user"].as_str().unwrap().to_owned()).collect();
    let entries = voted(&scene).await;
    let voters: BTreeSet<_> = entries.iter().map(|vote| vote["about"]["by"]["user"].as_str().unwrap().into()).collect();
    assert_eq!((users.len(), &users), (2, &voters));
    for vote in &entries {
        let about = &vote["about"];
        let said = (&about["channel"], &about["role"], &about["groups"], &about["says"]);
        assert_eq!(said, (&json!("page"), &json!("group"), &json!(["finance"]), &json!("approve")));
        assert!(about["groups_asserted_at_ms"].is_u64() && about["evidence"]["token"].is_string(), "{about}");
    }
    // Not the log, and nothing that the agent ever read.
    let answer = serde_json::to_string(&allowed).unwrap();
    for name in ["bob", "carol"] {
        let entries = json!(scene.behalf.entries().await).to_string();
        assert!(!entries.contains(name) && !answer.contains(name), "{name} is named");
    }
    assert!(users.iter().all(|user| !answer.contains(user)), "{answer}");
    for name in ["bob", "carol"] {
        let body = json!({ "provider": "main", "subject": name });
        let user: Value = scene.behalf.staff.registrar.post("/v1/users/find", &body).await.expect(200).json();
        assert!(!answer.contains(user["id"].as_str().unwrap()), "{answer}");
    }
    replays_identically(&scene.behalf).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_provider_is_asked_for_groups_only_where_they_matter() {
    let of_user = super::page::scene().await;
    let approval = of_user.challenged(5_000).await;
    let asked = Browser::new(&of_user).begin(&path(&approval)).await.asked;
    assert_eq!(asked.get("claims"), None);
    let scene = scene(1).await;
    let approval = scene.challenged(5_000).await;
    let asked = Browser::new(&scene).begin(&path(&approval)).await.asked;
    assert_eq!(
        asked.get("claims").map(String::as_str),
        Some(r#"{"id_token":{"email":null,"groups":null,"preferred_username":null}}"#)
    );
}

/// A policy names a group that hides what it is called, and another policy an operator.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_group_is_called_is_text_and_operators_read_whose_it_is() {
    const NAME: &str = "<b>\"Pay\" & 'x'</b>\u{202e}\\";
    let behalf = Behalf::with_provider(providers()).await;
    let scene = Box::pin(Scene::asking(behalf, with_page(), json!({}), ("operator", 1))).await;
    let settings = json!({ "groups": { NAME: 1 }, "operator": true });
    let extra = json!({ "selector": { "actions": ["account.pay"] } });
    scene.behalf.activate_with("groups", components::bytes("challenge_groups"), settings, extra).await;
    let ada = scene.behalf.staff.admin.hire("ada", &[Duty::Approver]).await;
    let (url, told) = receiver().await;
    let hook = json!({ "id": "chat", "url": url, "loopback": true });
    scene.behalf.staff.registrar.post("/v1/approval-webhooks", &hook).await.expect(201);

    let approval = scene.challenged(5_000).await;
    let message = attorn_tests::found("a message", async || told.lock().unwrap().first().cloned()).await;
    let message: WebhookMessage = serde_json::from_slice(&message).unwrap();
    assert_eq!((&message.asks[..], &message.user), (&["operator".to_owned(), "group".into()][..], &None));
    let issuer = scene.behalf.provider.issuer.clone();
    assert_eq!(message.groups, [Group { issuer: issuer.clone(), name: NAME.into() }]);
    assert_eq!(message.page, approval.page);

    let near = json!({ "sub": "bob", "groups": ["\"Pay\"", "<b>\"Pay\" & 'x'</b>", "operator"] });
    signs_in(&mut Browser::new(&scene), &scene, &approval, &near).await.expect(404);
    let bob = json!({ "sub": "bob", "groups": [NAME] });
    let (mut browser, page) = reads(&scene, &approval, &bob).await;
    let shown = "\\u003cb\\u003e&quot;Pay&quot; \\u0026 'x'\\u003c/b\\u003e\\u202e\\";
    assert!(page.contains(shown) && !page.contains("<b>") && !page.contains('\u{202e}'), "{page}");
    assert!(page.contains("1 operator of this server"), "{page}");
    browser.post(&path(&approval), &pairs(&form(&page, "approve"))).await.expect(303);

    let shown: Approval = ada.get(format!("/v1/approvals/{}", approval.id)).await.expect(200).json();
    let name = "\\u003cb\\u003e\"Pay\" \\u0026 'x'\\u003c/b\\u003e\\u202e\\";
    let group = Some(Group { issuer: issuer.clone(), name: name.into() });
    assert_eq!(
        shown.approvers,
        [Wanted { role: "operator".into(), group: None, count: 1 }, Wanted { role: "group".into(), group, count: 1 }]
    );
    assert!(shown.votes.len() == 1 && shown.votes[0].role == "group", "{:?}", shown.votes);
    let mut command = Command::new(binary());
    command.env("ATTORN_TOKEN", &ada.token).env("ATTORN_URL", &scene.behalf.reach.url);
    let output = command.args(["approval", "show", &approval.id]).stdin(Stdio::null()).output().await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains(&format!("approvers   1 member of group `{name}` of {issuer}")), "{text}");
    assert!(text.contains("approvers   1 of role operator"), "{text}");

    ada.post(format!("/v1/approvals/{}/approve", approval.id), &json!({ "digest": shown.digest })).await.expect(200);
    assert_eq!(scene.pay(5_000).await.decision, DecisionKind::Allow);
    replays_identically(&scene.behalf).await;
}

/// Somebody who takes messages.
async fn receiver() -> (String, Arc<Mutex<Vec<Bytes>>>) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let takes = Arc::clone(&told);
    let take = move |body: Bytes| {
        takes.lock().unwrap().push(body);
        std::future::ready(())
    };
    let router = axum::Router::new().fallback(take);
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, told)
}
