//! Users over time: what of them lasts, what ages, what is forgotten, and how large they may be.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::path::{Path, PathBuf};

use attorn_api::decisions::DecisionKind;
use attorn_api::delegations::DelegationMade;
use attorn_api::users::{EntitlementHolder, EntitlementList, User};
use attorn_tests::behalf::{ask_by, later_login, pairs, registration};
use attorn_tests::machines::now_ms;
use attorn_tests::provider::with;
use attorn_tests::world::{PURPOSE_WITH_USER, blake3_hex};
use attorn_tests::{Behalf, Call, Machine, components};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

fn keys(scene: &Behalf) -> PathBuf {
    scene.server.data_dir().with_file_name("user-keys")
}

/// All files of users' keys.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { all.extend(files(&path)) } else { all.push(path) }
    }
    all.sort();
    all
}

fn erase(scene: &Behalf, user: &str) {
    let key = files(&keys(scene)).into_iter().find(|path| path.file_stem().unwrap() == user).unwrap();
    std::fs::remove_file(key).unwrap();
}

fn named(subject: &str) -> Value {
    json!({ "provider": "main", "subject": subject })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_whose_key_is_removed_is_nobody_and_begins_anew_with_the_next_login() {
    let scene = Behalf::new().await;
    let before = scene.delegated().await;
    let mine = || scene.reach.send(Call::get("/v1/me/delegations").bearer(&scene.provider.user_token(json!({}))));
    mine().await.expect(200);
    erase(&scene, &before.user);
    let registrar = &scene.staff.registrar;
    registrar.get(format!("/v1/users/{}", before.user)).await.refused(404, "not_found");
    registrar.post("/v1/users/find", &named("alice")).await.refused(404, "not_found");
    let nothing: Value = mine().await.expect(200).json();
    assert_eq!(nothing["delegations"], json!([]));
    // When the key went, nobody said: what was signed in before now delegates nothing, whichever token says so.
    for jti in ["another", "third"] {
        let token = scene.token(json!({ "sid": "another", "jti": jti }));
        scene.exchange(&token).await.refused(403, "login_needed");
    }
    let after: DelegationMade = scene.exchange(&scene.token(later_login().await)).await.expect(201).json();
    assert_ne!(after.delegation.user, before.user);
    assert_eq!(scene.alice().await.id, after.delegation.user);
    assert_eq!(scene.read(&scene.bot, &after.delegation).await.decision, DecisionKind::Allow);
    let list: Value = mine().await.expect(200).json();
    assert_eq!(list["delegations"].as_array().unwrap().len(), 1, "{list}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registrar_registers_a_user_again_only_when_the_key_is_gone() {
    let scene = Behalf::new().await;
    let bob = named("bob");
    let register = || scene.staff.registrar.post("/v1/users", &bob);
    let first: User = register().await.expect(201).json();
    register().await.refused(409, "already_exists");
    erase(&scene, &first.id);
    let second: User = register().await.expect(201).json();
    assert_ne!(first.id, second.id);
    register().await.refused(409, "already_exists");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_not_recorded_leaves_no_key() {
    let scene = Behalf::new().await;
    scene.delegated().await;
    let there = files(&keys(&scene));
    assert_eq!(there.len(), 1);
    // Alice's session is nobody else's.
    for n in 0..3 {
        let token = scene.token(json!({ "sub": format!("bob-{n}"), "jti": format!("bob-{n}") }));
        scene.exchange(&token).await.refused(403, "login_needed");
    }
    assert_eq!(files(&keys(&scene)), there);
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_are_as_the_newest_token_that_speaks_of_them_says() {
    let scene = Behalf::new().await;
    let seen = async |n: u64, ago_s: u64, claims: Value| {
        let claims = with(json!({ "jti": format!("t-{n}"), "iat": now_ms() / 1_000 - ago_s }), claims);
        scene.exchange(&scene.token(claims)).await.expect(201);
        let alice = scene.alice().await;
        (alice.groups.join(" "), alice.groups_asserted_at_ms, alice.claims["customer"].clone())
    };
    let (groups, at, _) = seen(1, 300, json!({ "groups": ["staff"], "customer": "c-1" })).await;
    assert_eq!(groups, "staff");
    // One for a client that asks for no groups says nothing of them.
    let (groups, still_at, customer) = seen(2, 200, json!({ "customer": "c-2" })).await;
    assert_eq!((groups.as_str(), still_at, customer), ("staff", at, json!("c-2")));
    // That there are none is said; and what was said before that does not come back.
    assert_eq!(seen(3, 100, json!({ "groups": [], "customer": "c-3" })).await.0, "");
    let (groups, _, customer) = seen(4, 150, json!({ "groups": ["staff"], "customer": "c-1" })).await;
    assert_eq!((groups.as_str(), customer), ("", json!("c-3")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_token_of_long_ago_says_gives_no_right() {
    let scene = Behalf::new().await;
    let everyone = json!({ "everyone": scene.provider.issuer });
    scene.entitle(everyone, &[("account.read", "account/{user.claim.customer}/*")]).await;
    let group = json!({ "group": { "issuer": scene.provider.issuer, "name": "staff" } });
    scene.entitle(group, &[("account.read", "account/all/*")]).await;
    let expect = async |ago_s: u64, decision: DecisionKind| {
        let iat = now_ms() / 1_000 - ago_s;
        let claims = json!({ "jti": format!("t-{ago_s}"), "iat": iat, "groups": ["staff"], "customer": "c-1" });
        let made: DelegationMade = scene.exchange(&scene.token(claims)).await.expect(201).json();
        for resource in ["account/c-1/giro", "account/all/giro"] {
            let answer = scene.bot.decide(&ask_by(&made.delegation, "account.read", resource)).await;
            assert_eq!(answer.decision, decision, "{resource} {answer:?}");
        }
    };
    expect(16 * 60, DecisionKind::Deny).await;
    expect(60, DecisionKind::Allow).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_delegation_lives_longer_than_its_provider_s_may() {
    let scene = Behalf::with_provider(json!({ "delegation_ms_max": 90_000 })).await;
    for (n, (asked, given)) in
        [(Some(30 * 24 * 3_600_000_u64), 90_000), (None, 90_000), (Some(60_000), 60_000)].into_iter().enumerate()
    {
        let token = scene.token(json!({ "jti": format!("t-{n}") }));
        let body = json!({ "subject_token": token, "purpose": PURPOSE_WITH_USER, "expires_in_ms": asked });
        let made: DelegationMade = scene.bot.post("/v1/delegations", &body).await.expect(201).json();
        assert_eq!(made.delegation.expires_at_ms - made.delegation.created_at_ms, given, "{asked:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_has_no_digest_that_could_be_guessed_of_what_is_done_for_a_user() {
    let scene = Behalf::new().await;
    let delegation = scene.delegated().await;
    let ask = with(scene.ask(&delegation), json!({ "arguments": { "pin": "1234" } }));
    let answer = scene.bot.decide(&ask).await;
    let entries = scene.entries().await;
    let entry = entries.iter().rfind(|entry| entry["type"] == "decision").unwrap();
    assert_eq!(entry["decision_id"], answer.decision_id.as_str());
    let record = scene.staff.auditor.get(format!("/v1/audit/decisions/{}", answer.decision_id)).await.expect(200);
    let (record, arguments) = (record.text(), r#"{"pin":"1234"}"#);
    let grant = answer.grant.unwrap();
    // Whoever has the record shows that it is this one. Without its salt nobody does, who knows all else.
    assert_eq!(entry["record_digest"], blake3_hex(record.as_bytes()));
    let mut guess: Value = serde_json::from_str(&record).unwrap();
    let salt = guess.as_object_mut().unwrap().remove("salt").unwrap();
    assert_eq!(salt.as_str().unwrap().len(), 32);
    let guess = guess.to_string();
    for digest in ["arguments_digest", "record_digest"] {
        let said = entry[digest].as_str().unwrap();
        assert_eq!(said.len(), 64, "{said}");
        for guessed in [arguments, guess.as_str()] {
            assert_ne!(said, blake3_hex(guessed.as_bytes()), "{digest}");
            assert_ne!(said, format!("{:x}", Sha256::digest(guessed)), "{digest}");
        }
        assert_ne!(said, grant.arguments_digest, "{digest}");
    }
    // The same again is another commitment of neither the same record nor, under another user's key, the same words.
    let token = scene.token(json!({ "sub": "bob", "sid": "of-bob", "jti": "bob" }));
    let made: DelegationMade = scene.exchange(&token).await.expect(201).json();
    scene.bot.decide(&with(scene.ask(&made.delegation), json!({ "arguments": { "pin": "1234" } }))).await;
    let entries = scene.entries().await;
    let other = entries.iter().rfind(|entry| entry["type"] == "decision").unwrap();
    assert_ne!(other["arguments_digest"], entry["arguments_digest"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_largest_user_chain_and_arguments_are_decided_or_denied_and_never_fail() {
    let scene = Behalf::with_provider(json!({ "claims": ["customer"] })).await;
    let third = Machine::new(&scene.reach, "third");
    scene.staff.registrar.post("/v1/agents", &registration(&third, "account.*", "account/*")).await.expect(201);
    let groups: Vec<String> = (0..128).map(|n| format!("group-{n:04}")).collect();
    let token = scene.token(json!({ "groups": groups, "customer": "x".repeat(2_500) }));
    // Every hop has as many permissions as fit: 32, of 64 bytes each.
    let names: Vec<String> = (0..31).map(|n| format!("account/{n:02}{}", "x".repeat(40))).collect();
    let many = |wide: &str| {
        let all = names.iter().map(|name| ("account.read", name.as_str())).chain([("account.read", wide)]);
        pairs(&all.collect::<Vec<_>>())
    };
    let body = json!({ "subject_token": token, "purpose": PURPOSE_WITH_USER, "permissions": many("account/*") });
    let made: DelegationMade = scene.bot.post("/v1/delegations", &body).await.expect(201).json();
    let mut last = made.delegation;
    for (from, to) in [(&scene.bot, &scene.helper), (&scene.helper, &scene.second), (&scene.second, &third)] {
        let give = json!({ "to_agent": to.id, "permissions": many("account/*") });
        let path = format!("/v1/delegations/{}/offer", last.id);
        let offered: DelegationMade = from.post(path, &give).await.expect(201).json();
        let path = format!("/v1/delegations/{}/accept", offered.delegation.id);
        last = to.send(Call::new("POST", path)).await.expect(200).json::<DelegationMade>().delegation;
    }
    let arguments = json!({ "a": "x".repeat((16 << 10) - 10) });
    let ask = with(scene.ask(&last), json!({ "arguments": arguments }));
    let fits = third.decide(&ask).await;
    assert_eq!(fits.decision, DecisionKind::Allow, "{fits:?}");
    for n in 0..24 {
        scene.activate(&format!("allow-{n}"), components::bytes("allow_all"), json!({})).await;
    }
    let denied = third.decide(&ask).await;
    let codes: Vec<_> = denied.reasons.iter().map(|reason| reason.code.as_str()).collect();
    assert_eq!((denied.decision, codes), (DecisionKind::Deny, vec!["too_many_facts"]));
    // With less to say there is room.
    assert_eq!(third.decide(&scene.ask(&last)).await.decision, DecisionKind::Allow);
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_at_a_provider_that_is_not_registered_are_refused_with_a_way_out() {
    let scene = Behalf::new().await;
    let registrar = &scene.staff.registrar;
    let with_slash = format!("{}/", scene.provider.issuer);
    for holder in [
        json!({ "everyone": "https://elsewhere.example" }),
        json!({ "everyone": with_slash }),
        json!({ "group": { "issuer": with_slash, "name": "staff" } }),
    ] {
        let body = json!({ "holder": holder, "permissions": pairs(&[("account.read", "account/*")]) });
        let problem = registrar.post("/v1/entitlements", &body).await.refused(422, "invalid_field");
        assert!(problem.detail.contains("no provider is registered with the issuer"), "{problem}");
        assert!(problem.help.unwrap().contains("attorn provider list"));
    }
    // One that is revoked is known, and its issuer nobody else's.
    registrar.act("/v1/providers/main/revoke").await.expect(200);
    scene.entitle(json!({ "everyone": scene.provider.issuer }), &[("account.read", "account/*")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn entitlements_are_listed_page_by_page_and_those_of_single_users_in_none() {
    const GROUPS: usize = 7;
    let scene = Behalf::new().await;
    let (issuer, registrar) = (&scene.provider.issuer, &scene.staff.registrar);
    let bob: User = registrar.post("/v1/users", &named("bob")).await.expect(201).json();
    scene.entitle(json!({ "user": bob.id }), &[("account.read", "account/all/*")]).await;
    // A name may have any character.
    let name = |n: usize| format!("group & {n} / \u{e9}?");
    for n in 0..GROUPS {
        let group = json!({ "group": { "issuer": issuer, "name": name(n) } });
        scene.entitle(group, &[("account.read", "account/all/*")]).await;
    }
    for limit in [1, 3, GROUPS + 1, GROUPS + 2] {
        let (mut path, mut seen) = (format!("/v1/entitlements?limit={limit}"), Vec::new());
        loop {
            let list: EntitlementList = registrar.get(&path).await.expect(200).json();
            assert!(list.entitlements.len() <= limit);
            seen.extend(list.entitlements.into_iter().map(|one| one.holder));
            let Some(next) = list.next else { break };
            path = format!("/v1/entitlements?limit={limit}&after={next}");
        }
        assert_eq!(seen.remove(0), EntitlementHolder::Everyone(issuer.clone()), "{limit}");
        let group = |n| EntitlementHolder::Group { issuer: issuer.clone(), name: name(n) };
        assert!((0..GROUPS).all(|n| seen.contains(&group(n))) && seen.len() == GROUPS, "{limit}: {seen:?}");
    }
    for after in ["x", "e30", "eyJ1c2VyIjoidXNyXzEifQ", "%00"] {
        registrar.get(format!("/v1/entitlements?after={after}")).await.refused(400, "invalid_query");
    }
    registrar.get("/v1/entitlements?limit=201").await.refused(400, "invalid_query");
}
