//! Who may say whose signatures count, how many signers there are, and which keys.

use attorn_api::policy_signers::{PolicySigner, PolicySignerList};
use attorn_core::Duty;
use attorn_identity::SignerKey;
use attorn_tests::{Operator, World};
use data_encoding::BASE64;
use serde_json::{Value, json};

use super::{Desk, LIFT, REQUIRE, SIGNERS, revoke};

/// Every duty but the one, alone and all together; `routes` has the latter for each route.
#[tokio::test(flavor = "multi_thread")]
async fn who_may_say_whose_signatures_count() {
    let (world, desk) = (World::without_policy().await, Desk::with(&["release", "second"]));
    let mut staff: Vec<(Duty, Operator)> = Vec::new();
    for duty in Duty::ALL {
        staff.push((*duty, world.staff.admin.hire(&format!("only-{}", duty.as_str()), &[*duty]).await));
    }
    let body = |id: &str| json!({ "id": id, "public_key": desk.public(id), "name": "somebody" });
    let (admin, weakener) = (Duty::PolicyAdmin, Duty::PolicyWeakener);
    for (needed, path, body) in [
        (weakener, SIGNERS, body("release")),
        (weakener, SIGNERS, body("second")),
        (admin, REQUIRE, json!({ "reason": "since today" })),
        (weakener, LIFT, json!({})),
        (admin, REQUIRE, json!({})),
        (admin, "/v1/policy-signers/release/revoke", json!({ "reason": "lost" })),
        (weakener, LIFT, json!({})),
    ] {
        let size = world.log_size().await;
        for (duty, operator) in staff.iter().filter(|(duty, _)| *duty != needed) {
            let problem = operator.post(path, &body).await.refused(403, "missing_duty");
            assert!(problem.detail.contains(needed.as_str()), "{path} as {duty}: {problem}");
        }
        assert_eq!(world.log_size().await, size, "{path}: something was recorded");
        let (_, who) = staff.iter().find(|(duty, _)| *duty == needed).unwrap();
        let answer = who.post(path, &body).await;
        assert!(matches!(answer.status, 200 | 201), "{path}: {}", answer.text());
        assert_eq!(world.entries().await.pop().unwrap()["operator"], json!(who.id), "{path}");
        // What is so already is said, and changes nothing.
        let again = who.post(path, &body).await;
        assert_eq!(again.status, 409, "{path}: {}", again.text());
    }
    let entries = world.entries().await;
    let abouts = |kind: &str| -> Vec<Value> {
        entries.iter().filter(|entry| entry["type"] == kind).map(|entry| entry["about"].clone()).collect()
    };
    let registered = SignerKey::parse(&desk.public("release")).unwrap();
    let expect = json!({ "id": "release", "name": "somebody", "key": desk.id("release"),
        "public_key": registered.as_str() });
    assert_eq!(abouts("policy_signer_registered")[0], expect);
    let expect = json!({ "id": "release", "key": desk.id("release"), "reason": "lost" });
    assert_eq!(abouts("policy_signer_revoked"), [expect]);
    assert_eq!(abouts("policy_signatures_required"), [json!({ "reason": "since today" }), json!({ "reason": null })]);
    let shown: PolicySigner = world.staff.policy_admin.get("/v1/policy-signers/release").await.expect(200).json();
    assert_eq!(
        (shown.created_by.as_str(), shown.revoked_by.as_deref()),
        ("only-policy_weakener", Some("only-policy_admin"))
    );
    let list: PolicySignerList = world.staff.policy_admin.get(format!("{SIGNERS}?limit=1")).await.expect(200).json();
    assert_eq!((list.policy_signers, list.next.as_deref()), (vec![shown], Some("release")));
}

/// A public key that nobody has the other half of: half of all numbers are points.
fn keys() -> impl Iterator<Item = String> {
    (0_u64..).filter_map(|number| {
        let point = *blake3::hash(&number.to_le_bytes()).as_bytes();
        let key = BASE64.encode(&[&b"Ed"[..], &number.to_le_bytes(), &point].concat());
        SignerKey::parse(&key).is_ok().then_some(key)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn signers_are_few_and_no_key_is_two_of_them() {
    let world = World::without_policy().await;
    let (who, mut keys) = (&world.staff.policy_weakener, keys());
    let register = async |id: &str, key: &str| who.post(SIGNERS, &json!({ "id": id, "public_key": key })).await;
    // Nothing could come into force.
    let problem = world.staff.policy_admin.post(REQUIRE, &json!({})).await.refused(409, "invalid_state");
    assert!(problem.help.unwrap().contains("attorn policy signer register"));
    let first = keys.next().unwrap();
    let weak = BASE64.encode(&[&b"Ed"[..], &[7; 8], &[1], &[0; 31]].concat());
    let secret = BASE64.encode(&[0; 158]);
    for (id, key, name, code) in [
        ("first", "", None, "invalid_field"),
        ("first", "RWQ", None, "invalid_field"),
        ("first", &weak, None, "invalid_field"),
        ("first", &secret, None, "invalid_field"),
        ("First", &first, None, "invalid_field"),
        ("first", &first, Some("x".repeat(257)), "invalid_field"),
        ("first", &first, Some("a\nb".into()), "invalid_field"),
    ] {
        let body = json!({ "id": id, "public_key": key, "name": name });
        let problem = who.post(SIGNERS, &body).await.refused(422, code);
        assert!(!problem.to_string().contains(&secret));
    }
    register("first", &first).await.expect(201);
    register("first", &keys.next().unwrap()).await.refused(409, "already_exists");
    register("another", &first).await.refused(409, "key_taken");
    // The same key under another id, and another key under the same id.
    let with = |id: &str, point: &str| {
        let (id, point) = (BASE64.decode(id.as_bytes()).unwrap(), BASE64.decode(point.as_bytes()).unwrap());
        BASE64.encode(&[&id[..10], &point[10..]].concat())
    };
    let other = keys.next().unwrap();
    register("another", &with(&other, &first)).await.refused(409, "key_taken");
    register("another", &with(&first, &other)).await.refused(409, "key_taken");
    revoke(&world, "none").await.refused(404, "not_found");
    revoke(&world, "first").await.expect(200);
    revoke(&world, "first").await.refused(409, "invalid_state");
    // What was revoked stays so.
    let problem = register("another", &first).await.refused(409, "key_taken");
    assert!(problem.detail.contains("the revoked signer `first`"), "{problem}");
    register("first", &other).await.refused(409, "already_exists");
    world.staff.policy_admin.post(REQUIRE, &json!({})).await.refused(409, "invalid_state");
    for (number, key) in keys.by_ref().take(64).enumerate() {
        register(&format!("signer-{number}"), &key).await.expect(201);
    }
    let more = keys.next().unwrap();
    let problem = register("one-more", &more).await.refused(409, "invalid_state");
    assert!(problem.detail.contains("64 active signers") && problem.help.is_some(), "{problem}");
    revoke(&world, "signer-7").await.expect(200);
    register("one-more", &more).await.expect(201);
}
