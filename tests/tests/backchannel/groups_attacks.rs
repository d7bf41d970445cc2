//! Members of a group are asked, and somebody who is asked for less, or for nothing, tries to get past them.

use std::collections::BTreeMap;
use std::process::Stdio;

use attorn_api::approvals::{Approval, ApprovalList, Group, Wanted};
use attorn_api::decisions::{DecisionAnswer, DecisionKind};
use attorn_api::delegations::DelegationMade;
use attorn_core::Duty;
use attorn_tests::behalf::exchange;
use attorn_tests::device::Says;
use attorn_tests::machines::now_ms;
use attorn_tests::process::binary;
use attorn_tests::provider::with;
use attorn_tests::replays::replays_identically;
use attorn_tests::{Behalf, components};
use serde_json::{Value, json};
use tokio::process::Command;

use super::groups::{answers, finance, reads, scene, voted};
use super::page::{Browser, form, pairs, path, with_page};
use super::prompts::{Scene, providers};

/// Bob delegates something, with a token that was issued then and says that he is of `staff`; who he is here.
async fn delegates(scene: &Scene, issued_at_s: u64) -> String {
    let claims = json!({
        "client_id": "helper-client", "sub": "bob", "sid": "s-2", "groups": ["staff"], "iat": issued_at_s,
    });
    let made = exchange(&scene.behalf.helper, &scene.behalf.token(claims)).await.expect(201);
    made.json::<DelegationMade>().delegation.user
}

fn is_denied(answer: &DecisionAnswer, code: &str) {
    let codes: Vec<_> = answer.reasons.iter().map(|reason| reason.code.as_str()).collect();
    assert_eq!((answer.decision, codes), (DecisionKind::Deny, vec![code]), "{answer:?}");
}

/// Bob has an agent of his own, which may do what `finance` may, as long as his provider says to it that he is one of them.
#[tokio::test(flavor = "multi_thread")]
async fn a_vote_gives_nobody_s_agents_a_group() {
    let scene = scene(1).await;
    let registrar = &scene.behalf.staff.registrar;
    let of = |user: &str| format!("/v1/users/{user}");
    let bob = delegates(&scene, now_ms() / 1_000 - 10).await;
    let before: Value = registrar.get(of(&bob)).await.expect(200).json();
    let approval = scene.challenged(5_000).await;
    answers(&scene, &approval, &finance("bob"), "approve").await.expect(303);
    assert_eq!(scene.state(&approval).await, "approved");
    let after: Value = registrar.get(of(&bob)).await.expect(200).json();
    assert_eq!(after["groups"], json!(["staff"]));
    assert_eq!(after, before);
    assert_eq!(scene.pay(5_000).await.decision, DecisionKind::Allow);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_left_the_group_since_they_signed_in_says_neither_yes_nor_no() {
    let scene = scene(1).await;
    let approval = scene.challenged(5_000).await;
    let (mut bob, page) = reads(&scene, &approval, &finance("bob")).await;
    delegates(&scene, now_ms() / 1_000 + 2).await;
    for say in ["approve", "refuse"] {
        let refused = bob.post(&path(&approval), &pairs(&form(&page, say))).await.expect(401).text();
        assert!(refused.contains("you are in no group that is asked"), "{say}: {refused}");
    }
    assert_eq!((scene.state(&approval).await.as_str(), voted(&scene).await.len()), ("pending", 0));
}

/// Bob is known here, as he delegated something in another session; he signs in to vote, and logs out of that again.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_logs_out_of_the_session_says_neither_yes_nor_no() {
    let scene = scene(1).await;
    delegates(&scene, now_ms() / 1_000 - 10).await;
    let approval = scene.challenged(5_000).await;
    for (session, logout) in [
        // One that his ID token did not name.
        (json!(null), json!({ "sub": "bob", "sid": "s-11" })),
        // The session that he signed in to, named by itself or with him.
        (json!("s-9"), json!({ "sub": null, "sid": "s-9" })),
        (json!("s-10"), json!({ "sub": "bob", "sid": "s-10" })),
        (json!("s-12"), json!({ "sub": "bob", "sid": null })),
    ] {
        let claims = with(finance("bob"), json!({ "sid": session }));
        let (mut bob, page) = reads(&scene, &approval, &claims).await;
        let logs_out = |logout: &Value| {
            let token = scene.behalf.provider.logout_token(logout.clone());
            scene.behalf.reach.send(attorn_tests::oauth::form("/v1/backchannel-logout", &[("logout_token", token)]))
        };
        // Another session of his is none of it, where this one has a name.
        if !session.is_null() {
            logs_out(&json!({ "sub": "bob", "sid": format!("other-{session}") })).await.expect(200);
            bob.get(&path(&approval)).await.expect(200);
        }
        logs_out(&logout).await.expect(200);
        for say in ["approve", "refuse"] {
            let refused = bob.post(&path(&approval), &pairs(&form(&page, say))).await.expect(401).text();
            assert!(refused.contains("or you have logged out"), "{session} {say}: {refused}");
        }
        bob.get(&path(&approval)).await.expect(303);
    }
    assert_eq!((scene.state(&approval).await.as_str(), voted(&scene).await.len()), ("pending", 0));
    // He signs in anew.
    answers(&scene, &approval, &finance("bob"), "refuse").await.expect(303);
}

/// The same for the user on whose behalf it is asked.
#[tokio::test(flavor = "multi_thread")]
async fn the_user_who_logs_out_of_the_session_answers_no_more() {
    let scene = super::page::scene().await;
    let approval = scene.challenged(5_000).await;
    let mut alice = Browser::new(&scene);
    let back = alice.begin(&path(&approval)).await;
    let says = Says::Yes(json!({ "nonce": back.nonce, "sid": "s-20" }), json!({}));
    scene.behalf.provider.device().says_to_codes(says);
    alice.back(&scene.behalf.provider.issuer, &back, &[]).await.expect(303);
    let page = alice.get(&path(&approval)).await.expect(200).text();
    let token = scene.behalf.provider.logout_token(json!({ "sid": "s-20" }));
    let logout = attorn_tests::oauth::form("/v1/backchannel-logout", &[("logout_token", token)]);
    scene.behalf.reach.send(logout).await.expect(200);
    let refused = alice.post(&path(&approval), &pairs(&form(&page, "approve"))).await.expect(401).text();
    assert!(refused.contains("or you have logged out"), "{refused}");
    assert_eq!(scene.state(&approval).await, "pending");
}

/// An operator who is called can say what it is, and nothing that they say of it counts.
#[tokio::test(flavor = "multi_thread")]
async fn operators_see_what_asks_a_group_and_have_no_say_in_it() {
    let scene = scene(2).await;
    let approval = scene.challenged(5_000).await;
    let ada = scene.behalf.staff.admin.hire("ada", &[Duty::Approver]).await;
    let list: ApprovalList = ada.get("/v1/approvals").await.expect(200).json();
    let listed: Vec<_> = list.approvals.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(listed, [approval.id.as_str()]);
    let shown: Approval = ada.get(format!("/v1/approvals/{}", approval.id)).await.expect(200).json();
    let group = Group { issuer: scene.behalf.provider.issuer.clone(), name: "finance".into() };
    assert_eq!(shown.approvers, [Wanted { role: "group".into(), group: Some(group), count: 2 }]);
    ada.get(format!("/v1/approvals/{}/arguments", approval.id)).await.expect(200);
    for verb in ["approve", "refuse"] {
        let path = format!("/v1/approvals/{}/{verb}", approval.id);
        let refused = ada.post(path, &json!({ "digest": shown.digest })).await.refused(409, "invalid_state");
        assert!(refused.detail.contains("asks no operator"), "{}", refused.detail);
    }
    for (arguments, expect) in
        [(&["list"][..], "2 of `finance`"), (&["show", &approval.id], "approvers   2 members of group `finance`")]
    {
        let mut command = Command::new(binary());
        command.env("ATTORN_TOKEN", &ada.token).env("ATTORN_URL", &scene.behalf.reach.url);
        let output = command.arg("approval").args(arguments).stdin(Stdio::null()).output().await.unwrap();
        let all = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&all);
        assert!(text.contains(expect) && text.contains("an operator's yes or no does not count"), "{text}");
    }
    assert_eq!((scene.state(&approval).await.as_str(), voted(&scene).await.len()), ("pending", 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_asks_its_user_alone_is_shown_to_nobody_else() {
    let scene = super::page::scene().await;
    let approval = scene.challenged(5_000).await;
    let ada = scene.behalf.staff.admin.hire("ada", &[Duty::Approver]).await;
    let list: ApprovalList = ada.get("/v1/approvals?state=all").await.expect(200).json();
    assert!(list.approvals.is_empty(), "{:?}", list.approvals);
    for path in ["", "/arguments"] {
        ada.get(format!("/v1/approvals/{}{path}", approval.id)).await.refused(404, "not_found");
    }
    ada.post(format!("/v1/approvals/{}/approve", approval.id), &json!({ "digest": "0".repeat(64) }))
        .await
        .refused(404, "not_found");
}

/// As many say yes as may, each of them in each of the groups but one: what they said has room in the decision.
#[tokio::test(flavor = "multi_thread")]
async fn what_as_many_approved_as_may_is_decided() {
    let behalf = Behalf::with_provider(providers()).await;
    let scene = Box::pin(Scene::asking(behalf, with_page(), json!({}), ("lead", 1))).await;
    let many: Vec<String> = (0..15).map(|n| format!("group-{n:02}")).collect();
    let limits = json!({ "cpu_us_max": 200_000, "wall_us_max": 1_000_000, "memory_bytes_max": 16 << 20 });
    let extra = json!({ "limits": limits, "selector": { "actions": ["account.pay"] } });
    // One policy asks for eight at most.
    for (n, some) in many.chunks(8).enumerate() {
        let groups: BTreeMap<&str, u32> = some.iter().map(|name| (name.as_str(), 3)).collect();
        let (guest, settings) = (components::bytes("challenge_groups"), json!({ "groups": groups }));
        scene.behalf.activate_with(&format!("groups-{n}"), guest, settings, extra.clone()).await;
    }
    let approval = scene.challenged(5_000).await;
    for n in 0..45 {
        let claims = json!({ "sub": format!("m{n}"), "groups": many });
        answers(&scene, &approval, &claims, "approve").await.expect(303);
    }
    assert_eq!(scene.state(&approval).await, "pending");
    let claims = json!({ "sub": "boss", "groups": many.iter().chain([&"lead".to_owned()]).collect::<Vec<_>>() });
    answers(&scene, &approval, &claims, "approve").await.expect(303);
    assert_eq!(scene.state(&approval).await, "approved");
    let allowed = scene.pay(5_000).await;
    assert_eq!(allowed.decision, DecisionKind::Allow, "{:?}", allowed.reasons);
    let entry = scene.behalf.entry_of(&allowed).await;
    assert_eq!(entry["approval"]["approved_by"].as_array().map(Vec::len), Some(46));
    replays_identically(&scene.behalf).await;
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
