//! What comes with a push: whatever is wrong with a signature, and that nothing is kept of what is refused.

use attorn_api::policies::PolicyVersion;
use attorn_tests::world::blake3_hex;
use attorn_tests::{World, components};
use data_encoding::BASE64;
use serde_json::json;

use super::{ACTIVATE, Desk, REQUIRE, allow, push, revoke};

/// Where signatures are required: whatever is wrong, nothing is kept of it.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_signed_as_it_must_be_is_refused_and_nothing_of_it_is_kept() {
    let (world, desk) = (World::without_policy().await, Desk::with(&["release", "stranger"]));
    desk.register(&world, "release").await;
    world.staff.policy_admin.post(REQUIRE, &json!({})).await.expect(200);
    let (good, another) =
        (desk.sign(&allow(), "release"), desk.sign(&components::bytes("deny_public_reason"), "release"));
    let by_stranger = desk.sign(&allow(), "stranger");
    // A custom section more, which changes nothing that it does.
    let altered = [&allow()[..], &[0, 2, 1, b'x']].concat();
    for component in [&allow(), &altered] {
        world.put(component.clone()).await;
    }
    let size = world.log_size().await;
    let long = format!("{good}{}", "x".repeat(8 << 10));
    let rows: [(&[u8], Option<&str>, &str, &str); 9] = [
        (&allow(), None, "signature_missing", "components have to be signed"),
        (&allow(), Some(""), "signature_refused", "no signature of minisign"),
        (&allow(), Some(&good[..good.len() - 10]), "signature_refused", "no signature of minisign"),
        (&allow(), Some(&long), "signature_refused", "no signature of minisign"),
        (&allow(), Some(&by_stranger), "signature_refused", &desk.id("stranger")),
        (&allow(), Some(&another), "signature_refused", "not of these bytes"),
        (&altered, Some(&good), "signature_refused", "not of these bytes"),
        (
            &allow(),
            Some(&good.replace("file:policy.wasm", "file:another.wasm")),
            "signature_refused",
            "trusted comment",
        ),
        // The right key's id, under the stranger's signature.
        (&allow(), Some(&relabelled(&by_stranger, &good)), "signature_refused", "not of these bytes"),
    ];
    for (component, signature, code, detail) in rows {
        let problem = push(&world, component, signature).await.refused(422, code);
        assert!(problem.detail.contains(detail) && problem.help.is_some(), "{signature:?}: {problem}");
    }
    assert_eq!(world.log_size().await, size, "something was recorded");
    world.staff.policy_admin.get("/v1/policies/p").await.refused(404, "not_found");
    // The same with the right one.
    let version: PolicyVersion = push(&world, &allow(), Some(&good)).await.expect(201).json();
    let signer = version.signer.unwrap();
    assert_eq!((signer.id.as_str(), signer.key, signer.revoked_at_ms), ("release", desk.id("release"), None));
    let entry = world.entries().await.pop().unwrap();
    assert_eq!(entry["type"], "policy_pushed");
    let about = &entry["about"];
    let expect = json!(["release", desk.id("release"), blake3_hex(good.as_bytes())]);
    assert_eq!(json!([about["signer"], about["signer_key"], about["signature_digest"]]), expect);
}

/// This signature under the key's id of another.
fn relabelled(signature: &str, other: &str) -> String {
    let line = |text: &str| text.lines().nth(1).unwrap().to_owned();
    let bytes = |text: &str| BASE64.decode(line(text).as_bytes()).unwrap();
    let mixed = [&bytes(other)[..10], &bytes(signature)[10..]].concat();
    signature.replace(&line(signature), &BASE64.encode(&mixed))
}

/// Where none is required, one that comes is verified all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_signature_that_comes_is_verified_whether_one_has_to_or_not() {
    let (world, desk) = (World::without_policy().await, Desk::with(&["release"]));
    let good = desk.sign(&allow(), "release");
    let problem = push(&world, &allow(), Some(&good)).await.refused(422, "signature_refused");
    assert!(problem.help.unwrap().contains("--unsigned"));
    desk.register(&world, "release").await;
    push(&world, &components::bytes("deny_public_reason"), Some(&good)).await.refused(422, "signature_refused");
    let unsigned: PolicyVersion = push(&world, &allow(), None).await.expect(201).json();
    let signed: PolicyVersion = push(&world, &allow(), Some(&good)).await.expect(201).json();
    assert_eq!((unsigned.signer, signed.signer.unwrap().id.as_str()), (None, "release"));
    // It has no part in what a version is.
    assert_eq!((unsigned.version, signed.version), (1, 2));
    revoke(&world, "release").await.expect(200);
    let problem = push(&world, &allow(), Some(&good)).await.refused(422, "signature_refused");
    assert!(problem.detail.contains("`release`") && problem.detail.contains("revoked"), "{problem}");
    // What was signed comes into force all the same, since nothing has to be.
    world.staff.policy_admin.post(ACTIVATE, &json!({ "version": 2 })).await.expect(200);
}
