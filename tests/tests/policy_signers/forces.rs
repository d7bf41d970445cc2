//! What comes into force, what stays there, and what is not overtaken.

use attorn_api::decisions::DecisionKind;
use attorn_api::policies::{Policy, PolicyList, PolicyVersion, SetChanged};
use attorn_api::policy_signers::PolicySignatures;
use attorn_tests::World;
use attorn_tests::world::ask;
use serde_json::{Value, json};

use super::{ACTIVATE, Desk, LIFT, REQUIRE, REQUIREMENT, allow, push, push_as, revoke};

const ROLLBACK: &str = "/v1/policies/p/rollback";

async fn requirement(world: &World) -> PolicySignatures {
    world.staff.policy_admin.get(REQUIREMENT).await.expect(200).json()
}

async fn policy(world: &World) -> Policy {
    world.staff.policy_admin.get("/v1/policies/p").await.expect(200).json()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_comes_into_force_that_no_active_signer_signed_and_what_is_stays() {
    let (mut world, desk) = (World::without_policy().await, Desk::with(&["release", "second"]));
    for key in ["release", "second"] {
        desk.register(&world, key).await;
    }
    let (by_release, by_second) = (desk.sign(&allow(), "release"), desk.sign(&allow(), "second"));
    for signature in [None, Some(&by_release), Some(&by_second)] {
        push(&world, &allow(), signature.map(String::as_str)).await.expect(201);
    }
    push_as(&world, "q", &allow(), None).await.expect(201);
    let who = world.staff.policy_replacer.clone();
    let activate = async |version: u32| who.post(ACTIVATE, &json!({ "version": version })).await;
    activate(1).await.expect(200);
    let set: PolicySignatures = world.staff.policy_admin.post(REQUIRE, &json!({})).await.expect(200).json();
    assert_eq!((set.required, set.signers_active, set.in_force_without), (true, 2, 1));
    // What is in force stays so.
    assert_eq!(world.bot.decide(&ask()).await.decision, DecisionKind::Allow);
    activate(2).await.expect(200);
    let activated = world.entries().await.pop().unwrap();
    assert_eq!((&activated["type"], &activated["about"]["signer"]), (&json!("policy_replaced"), &json!("release")));
    assert_eq!(requirement(&world).await.in_force_without, 0);
    // All ways in.
    let changes = async |policies: Value| who.post("/v1/active-set/changes", &json!({ "policies": policies })).await;
    let size = world.log_size().await;
    let problem = activate(1).await.refused(422, "signature_missing");
    assert!(problem.detail.contains("version 1 of policy `p`") && problem.help.is_some(), "{problem}");
    who.post(ROLLBACK, &json!({})).await.refused(422, "signature_missing");
    who.post("/v1/policies/q/activate", &json!({ "version": 1 })).await.refused(422, "signature_missing");
    changes(json!({ "p": 3, "q": 1 })).await.refused(422, "signature_missing");
    assert_eq!(world.log_size().await, size, "something was recorded");
    // A signer goes: their version in force stays, and is named as what it is.
    revoke(&world, "release").await.expect(200);
    world.server.restart(false).await;
    assert_eq!(world.bot.decide(&ask()).await.decision, DecisionKind::Allow);
    let shown = policy(&world).await;
    let revoked = |version: &PolicyVersion| version.signer.as_ref().map(|signer| signer.revoked_at_ms.is_some());
    assert_eq!(shown.versions.iter().map(revoked).collect::<Vec<_>>(), [Some(false), Some(true), None]);
    let list: PolicyList = world.staff.policy_admin.get("/v1/policies").await.json();
    let signer = list.policies[0].active.as_ref().unwrap().signer.as_ref().unwrap();
    assert!(signer.id == "release" && signer.key == desk.id("release") && signer.revoked_at_ms.is_some());
    let stands = requirement(&world).await;
    assert_eq!((stands.required, stands.signers_active, stands.in_force_without), (true, 1, 1));
    // It does not come back, by no way.
    activate(3).await.expect(200);
    let size = world.log_size().await;
    activate(2).await.refused(422, "signature_refused");
    who.post(ROLLBACK, &json!({})).await.refused(422, "signature_refused");
    who.post(ROLLBACK, &json!({ "to": 1 })).await.refused(422, "signature_missing");
    changes(json!({ "p": 2 })).await.refused(422, "signature_refused");
    assert_eq!(world.log_size().await, size, "something was recorded");
    // Without any signer a policy still goes out of force, and nothing comes in.
    revoke(&world, "second").await.expect(200);
    let empty: SetChanged = changes(json!({ "p": null })).await.expect(200).json();
    assert_eq!(empty.active_set.policies, 0);
    activate(3).await.refused(422, "signature_refused");
    push(&world, &allow(), Some(&by_second)).await.refused(422, "signature_refused");
    assert_eq!(world.bot.decide(&ask()).await.decision, DecisionKind::Deny);
    // Until somebody who may says that nothing has to be signed.
    world.staff.policy_admin.post(LIFT, &json!({})).await.refused(403, "missing_duty");
    let body = json!({ "reason": "the keys are away" });
    world.staff.policy_weakener.post(LIFT, &body).await.expect(200);
    let entry = world.entries().await.pop().unwrap();
    assert_eq!((&entry["type"], &entry["about"]), (&json!("policy_signatures_lifted"), &body));
    activate(3).await.expect(200);
}

/// A revocation and an activation at once: whichever comes first, no activation stands behind the revocation in the log.
#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_is_not_overtaken_by_an_activation() {
    const ROUNDS: usize = 6;
    let keys: Vec<String> = (0..=ROUNDS).map(|round| format!("key-{round}")).collect();
    let (world, desk) =
        (World::without_policy().await, Desk::with(&keys.iter().map(String::as_str).collect::<Vec<_>>()));
    for key in &keys {
        desk.register(&world, key).await;
    }
    world.staff.policy_admin.post(REQUIRE, &json!({})).await.expect(200);
    for key in &keys[..ROUNDS] {
        let signature = desk.sign(&allow(), key);
        let version: PolicyVersion = push(&world, &allow(), Some(&signature)).await.expect(201).json();
        let body = json!({ "version": version.version });
        let activation = world.staff.policy_replacer.post(ACTIVATE, &body);
        let (activated, revoked) = tokio::join!(activation, revoke(&world, key));
        // One of them may have to be tried again, and none is lost.
        assert!(matches!(activated.status, 200 | 422 | 503), "{}", activated.text());
        assert!(matches!(revoked.status, 200 | 503), "{}", revoked.text());
        if revoked.status == 503 {
            revoke(&world, key).await.expect(200);
        }
        let entries = world.entries().await;
        let revoked = entries
            .iter()
            .position(|entry| entry["type"] == "policy_signer_revoked" && entry["about"]["id"] == key.as_str());
        let activated = entries.iter().rposition(|entry| {
            entry["about"]["signer"] == key.as_str()
                && matches!(entry["type"].as_str(), Some("policy_activated" | "policy_replaced"))
        });
        assert!(activated < revoked, "{key}: {activated:?} {revoked:?}");
    }
}
