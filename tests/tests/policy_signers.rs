//! Whose signatures of components count: what is refused without one, who may say whose count, and that nothing comes
//! into force that nobody vouches for, where somebody has to.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::fs;
use std::process::Command;

use attorn_api::decisions::DecisionKind;
use attorn_api::policies::{Policy, PolicyList, PolicyVersion, SetChanged};
use attorn_api::policy_signers::{PolicySignatures, PolicySigner, PolicySignerList};
use attorn_core::Duty;
use attorn_identity::SignerKey;
use attorn_tests::process::binary;
use attorn_tests::world::{ask, blake3_hex};
use attorn_tests::{Answer, Operator, World, components};
use data_encoding::BASE64;
use serde_json::{Value, json};
use tempfile::TempDir;

const SIGNERS: &str = "/v1/policy-signers";
const REQUIREMENT: &str = "/v1/policy-signatures";
const REQUIRE: &str = "/v1/policy-signatures/require";
const LIFT: &str = "/v1/policy-signatures/lift";
const ACTIVATE: &str = "/v1/policies/p/activate";
const ROLLBACK: &str = "/v1/policies/p/rollback";

/// Keys on somebody's disk, outside of any server.
struct Desk(TempDir);

impl Desk {
    fn with(keys: &[&str]) -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        for key in keys {
            desk.attorn(&["new-key", key]);
        }
        desk
    }

    fn attorn(&self, arguments: &[&str]) {
        let mut command = Command::new(binary());
        let said = command.arg("policy").args(arguments).current_dir(self.0.path()).output().unwrap();
        assert!(said.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&said.stderr));
    }

    /// A signature of this component, as it stands in its file.
    fn sign(&self, component: &[u8], key: &str) -> String {
        fs::write(self.0.path().join("policy.wasm"), component).unwrap();
        let _ = fs::remove_file(self.0.path().join("policy.wasm.minisig"));
        self.attorn(&["sign", "policy.wasm", "--key", key]);
        fs::read_to_string(self.0.path().join("policy.wasm.minisig")).unwrap()
    }

    fn public(&self, key: &str) -> String {
        fs::read_to_string(self.0.path().join(format!("{key}.pub"))).unwrap()
    }

    /// What minisign names this key by.
    fn id(&self, key: &str) -> String {
        SignerKey::parse(&self.public(key)).unwrap().id().to_string()
    }

    /// Have its signatures count.
    async fn register(&self, world: &World, key: &str) -> PolicySigner {
        let body = json!({ "id": key, "public_key": self.public(key), "name": format!("whoever has {key}") });
        world.staff.policy_weakener.post(SIGNERS, &body).await.expect(201).json()
    }
}

/// Push a version of `p`.
async fn push(world: &World, component: &[u8], signature: Option<&str>) -> Answer {
    push_as(world, "p", component, signature).await
}

async fn push_as(world: &World, id: &str, component: &[u8], signature: Option<&str>) -> Answer {
    let limits = json!({ "cpu_us_max": 200_000, "wall_us_max": 240_000, "memory_bytes_max": 16 << 20 });
    world.push(id, component.to_vec(), json!({}), json!({ "limits": limits, "signature": signature })).await
}

async fn requirement(world: &World) -> PolicySignatures {
    world.staff.policy_admin.get(REQUIREMENT).await.expect(200).json()
}

async fn revoke(world: &World, id: &str) -> Answer {
    world.staff.policy_admin.post(format!("{SIGNERS}/{id}/revoke"), &json!({ "reason": "lost" })).await
}

async fn policy(world: &World) -> Policy {
    world.staff.policy_admin.get("/v1/policies/p").await.expect(200).json()
}

fn allow() -> Vec<u8> {
    components::bytes("allow_all")
}

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
    let changed: SetChanged = changes(json!({ "p": null })).await.expect(200).json();
    assert_eq!(changed.active_set.policies, 0);
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

/// `attorn policy signer` and `attorn policy push` as operators run them.
#[tokio::test(flavor = "multi_thread")]
async fn the_commands_say_what_they_do() {
    let (world, desk) = (World::without_policy().await, Desk::with(&["release", "stranger"]));
    let run = |who: &Operator, line: &str| {
        let mut command = Command::new(binary());
        command.args(["policy"]).args(line.split(' ')).current_dir(desk.0.path());
        command.env("ATTORN_URL", &world.reach.url).env("ATTORN_TOKEN", &who.token);
        let output = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout) + &text(output.stderr))
    };
    let good = |who: &Operator, line: &str, expect: &str| {
        let (code, said) = run(who, line);
        assert!(code == 0 && said.contains(expect), "{line}: {code} {said}");
    };
    let refused = |who: &Operator, line: &str, code: i32, expect: &str, help: &str| {
        let (ended, said) = run(who, line);
        assert!(ended == code && said.contains(expect) && said.contains(help), "{line}: {ended} {said}");
    };
    let staff = &world.staff;
    let (admin, weakener) = (&staff.policy_admin, &staff.policy_weakener);
    fs::write(desk.0.path().join("policy.wasm"), allow()).unwrap();
    let push = "push p --component policy.wasm";
    good(admin, push, "pushed p version 1");
    desk.sign(&allow(), "stranger");
    refused(admin, push, 1, &desk.id("stranger"), "--unsigned");
    good(admin, &format!("{push} --unsigned"), "pushed p version 2");
    refused(weakener, "signer register release --public-key release.key", 1, "No such file", "");
    refused(weakener, "signer register release --public-key release", 2, "secret key", "`.pub` file");
    refused(admin, "signer require on", 1, "no signer is active", "attorn policy signer register");
    good(weakener, "signer register release --public-key release.pub", &desk.id("release"));
    refused(weakener, "signer require on", 1, "policy_admin", "");
    good(admin, "signer require", "do not have to be signed");
    good(admin, "signer require on", "have to be signed by an active signer");
    refused(admin, &format!("{push} --unsigned"), 1, "signature_missing", "attorn policy sign");
    desk.sign(&allow(), "release");
    good(admin, push, &format!("signed by release with the key {}", desk.id("release")));
    fs::rename(desk.0.path().join("policy.wasm.minisig"), desk.0.path().join("elsewhere")).unwrap();
    refused(admin, push, 1, "signature_missing", "");
    refused(admin, &format!("{push} --signature nothing"), 1, "cannot read `nothing`", "");
    refused(admin, &format!("{push} --signature policy.wasm"), 1, "more than 8192 bytes", "");
    good(admin, &format!("{push} --signature elsewhere --activate"), "in force: revision 1");
    good(admin, "signer list", "release");
    good(admin, "signer show release", "public key  RW");
    good(admin, "list", "SIGNED BY");
    good(admin, "signer revoke release --reason lost", "no signer is active");
    good(admin, "list", "release (revoked)");
    good(admin, "show p", "release (revoked)");
    good(admin, "signer list", "in force without a signature of an active signer: 1");
    good(weakener, "signer require off --reason away", "do not have to be signed");
}
