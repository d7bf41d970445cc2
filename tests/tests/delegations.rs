//! On behalf of a user: what a token gives, what is refused and with which code, how agents offer rights to others,
//! and that token, entry and record name everybody.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use attorn_api::decisions::{DecisionAnswer, DecisionKind};
use attorn_api::delegations::{DelegationDetails, DelegationMade, DelegationTree};
use attorn_tests::behalf::{ask_by, exchange, later_login, pairs};
use attorn_tests::provider::with;
use attorn_tests::replays::replays_identically;
use attorn_tests::world::{PURPOSE, PURPOSE_WITH_USER};
use attorn_tests::{Behalf, Call, Machine};
use serde_json::{Value, json};

#[track_caller]
fn denied(answer: &DecisionAnswer, code: &str) {
    let codes: Vec<_> = answer.reasons.iter().map(|reason| reason.code.as_str()).collect();
    assert_eq!((answer.decision, codes), (DecisionKind::Deny, vec![code]), "{answer:?}");
}

#[track_caller]
fn allowed(answer: &DecisionAnswer) {
    assert_eq!(answer.decision, DecisionKind::Allow, "{answer:?}");
}

/// What a token says, signed by nobody whom the test has to trust.
fn claims_of(answer: &DecisionAnswer) -> Value {
    let token = &answer.credential.as_ref().unwrap().access_token;
    let claims = data_encoding::BASE64URL_NOPAD.decode(token.split('.').nth(1).unwrap().as_bytes()).unwrap();
    serde_json::from_slice(&claims).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_delegate_nothing_are_refused_each_with_its_code() {
    let scene = Behalf::new().await;
    let cases = [
        ("another agent's", json!({ "client_id": "helper-client" }), 403, "subject_token_refused"),
        ("nobody's", json!({ "client_id": "stranger" }), 403, "subject_token_refused"),
        ("no agent named", json!({ "client_id": null }), 403, "subject_token_refused"),
        ("another audience", json!({ "aud": "https://elsewhere.example" }), 403, "subject_token_refused"),
        ("another issuer", json!({ "iss": format!("{}/", scene.provider.issuer) }), 403, "subject_token_refused"),
        ("an ID token", json!({ "nonce": "n" }), 403, "subject_token_refused"),
        ("expired", json!({ "exp": 1_000 }), 403, "subject_token_refused"),
        ("bound to another key", json!({ "cnf": { "jkt": "A".repeat(43) } }), 403, "subject_token_refused"),
        ("no consent", json!({ "scope": "" }), 403, "consent_missing"),
        ("consent that maps to nothing", json!({ "scope": "openid profile" }), 403, "consent_missing"),
    ];
    for (what, claims, status, code) in cases {
        let problem = scene.exchange(&scene.token(claims)).await.refused(status, code);
        assert!(!problem.detail.contains("eyJ"), "{what}: {problem}");
        // What only operators could do is no advice for an agent.
        let help = problem.help.clone().unwrap_or_default();
        assert!(!help.contains("attorn provider update") && !help.contains("token_type"), "{what}: {problem}");
    }
    scene.exchange("a.b.c").await.refused(403, "subject_token_refused");
    scene.exchange(&scene.provider.user_token(json!({}))).await.refused(403, "subject_token_refused");
    let ask = |changes: Value| {
        with(json!({ "subject_token": scene.token(json!({})), "purpose": PURPOSE_WITH_USER }), changes)
    };
    for (changes, status, code) in [
        (json!({ "purpose": PURPOSE }), 403, "consent_missing"),
        (json!({ "purpose": "gossip" }), 403, "consent_missing"),
        (json!({ "permissions": pairs(&[("account.close", "account/*")]) }), 403, "consent_missing"),
        (json!({ "permissions": pairs(&[("*", "account/*")]) }), 403, "consent_missing"),
        (json!({ "permissions": [] }), 422, "invalid_field"),
        (json!({ "expires_in_ms": 1 }), 422, "invalid_field"),
        (json!({ "more": 1 }), 400, "invalid_body"),
    ] {
        scene.bot.post("/v1/delegations", &ask(changes)).await.refused(status, code);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_does_for_its_user_what_all_of_them_may() {
    let scene = Behalf::new().await;
    let delegation = scene.delegated().await;
    assert_eq!((delegation.standing.as_str(), delegation.depth), ("active", 0));
    let answer = scene.read(&scene.bot, &delegation).await;
    allowed(&answer);
    let claims = claims_of(&answer);
    assert_eq!(claims["sub"], delegation.user);
    assert_eq!(claims["sub_id"], json!({ "format": "iss_sub", "iss": scene.provider.issuer, "sub": "alice" }));
    assert_eq!(claims["act"], json!({ "sub": "support-bot" }));
    assert_eq!(claims["sid"], delegation.session);
    let read = |resource: &str| ask_by(&delegation, "account.read", resource);
    let own = format!("account/{}/giro", delegation.user);
    denied(&scene.bot.decide(&read("account/usr_bob/giro")).await, "not_entitled");
    denied(&scene.bot.decide(&ask_by(&delegation, "account.close", &own)).await, "outside_ceiling");
    denied(&scene.bot.decide(&with(read(&own), json!({ "purpose": PURPOSE }))).await, "purpose_mismatch");
    denied(&scene.bot.decide(&with(read(&own), json!({ "session": "ses_other" }))).await, "session_mismatch");
    denied(&scene.bot.decide(&with(read(&own), json!({ "user": "usr_bob" }))).await, "user_mismatch");
    denied(&scene.bot.decide(&with(read(&own), json!({ "delegation": null }))).await, "purpose_needs_user");
    denied(&scene.bot.decide(&with(read(&own), json!({ "delegation": "dlg_0" }))).await, "delegation_unknown");
    denied(&scene.helper.decide(&read(&own)).await, "delegation_unknown");
    replays_identically(&scene).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_is_given_on_and_every_hop_narrows() {
    let scene = Behalf::new().await;
    let root = scene.delegated().await;
    let path = format!("/v1/delegations/{}/offer", root.id);
    let give = |to: &str, permission: (&str, &str)| json!({ "to_agent": to, "permissions": pairs(&[permission]) });
    let read = ("account.read", "account/*");
    scene.bot.post(&path, &give("helper", ("account.close", "account/*"))).await.refused(422, "invalid_field");
    scene.bot.post(&path, &give("helper", ("account.read", "*"))).await.refused(422, "invalid_field");
    scene.bot.post(&path, &give("support-bot", read)).await.refused(422, "invalid_field");
    scene.bot.post(&path, &give("nobody", read)).await.refused(404, "not_found");
    scene.helper.post(&path, &give("second", read)).await.refused(404, "not_found");
    let offered: DelegationMade = scene.bot.post(&path, &give("helper", read)).await.expect(201).json();
    denied(&scene.read(&scene.helper, &offered.delegation).await, "delegation_not_accepted");
    let accept = |id: &str| Call::new("POST", format!("/v1/delegations/{id}/accept"));
    scene.second.send(accept(&offered.delegation.id)).await.refused(404, "not_found");
    scene.helper.send(accept(&offered.delegation.id)).await.expect(200);
    scene.helper.send(accept(&offered.delegation.id)).await.refused(409, "invalid_state");
    let child = offered.delegation;
    let answer = scene.read(&scene.helper, &child).await;
    allowed(&answer);
    assert_eq!(claims_of(&answer)["act"], json!({ "sub": "helper", "act": { "sub": "support-bot" } }));
    let own = format!("account/{}/giro", child.user);
    denied(&scene.helper.decide(&ask_by(&child, "account.pay", &own)).await, "outside_ceiling");
    // The bot cannot use what it gave away as if it were its own, nor the helper the bot's.
    denied(&scene.read(&scene.bot, &child).await, "delegation_unknown");
    denied(&scene.read(&scene.helper, &root).await, "delegation_unknown");
    let grandchild = scene.offered(&scene.helper, &child, &scene.second).await;
    allowed(&scene.read(&scene.second, &grandchild).await);
    let tree: DelegationTree = scene.staff.registrar.get(format!("/v1/delegations/{}/tree", root.id)).await.json();
    assert_eq!(tree.children[0].children[0].delegation.id, grandchild.id);
    replays_identically(&scene).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_speaks_of_people_in_pseudonyms_and_keeps_no_token() {
    let scene = Behalf::new().await;
    let token = scene.token(json!({ "sub": "alice@example.org", "sid": "sid-of-alice" }));
    let made: DelegationMade = scene.exchange(&token).await.expect(201).json();
    let delegation = made.delegation;
    allowed(&scene.read(&scene.bot, &delegation).await);
    let log = serde_json::to_string(&scene.entries().await).unwrap();
    for secret in ["alice@example.org", "sid-of-alice", &token, &delegation.user, &delegation.session, "giro"] {
        assert!(!log.contains(secret), "the log has `{secret}`");
    }
    let decision = scene.entries().await.into_iter().rev().find(|entry| entry["type"] == "decision").unwrap();
    assert!(decision["on_behalf"]["user"].as_str().unwrap().starts_with("psn_"), "{decision}");
    assert_eq!(decision["on_behalf"]["chain"], json!([{ "delegation": delegation.id, "agent": "support-bot" }]));
    assert!(decision["resource"].as_str().unwrap().starts_with("account/psn_"), "{decision}");
    let details: DelegationDetails =
        scene.staff.registrar.get(format!("/v1/delegations/{}", delegation.id)).await.expect(200).json();
    let evidence = details.evidence.unwrap();
    assert_eq!(evidence.provider, "main");
    assert!(evidence.token_id.is_some() && evidence.auth_time_ms.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_token_is_exchanged_once() {
    let scene = Behalf::new().await;
    let token = scene.token(json!({}));
    let first: DelegationMade = scene.exchange(&token).await.expect(201).json();
    let again: DelegationMade = scene.exchange(&token).await.expect(201).json();
    assert_eq!((first.delegation.id, first.entry), (again.delegation.id, again.entry));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_says_what_came_of_a_token_that_was_exchanged_already() {
    let scene = Behalf::new().await;
    let token = scene.token(json!({}));
    let body = json!({ "token": token });
    let check = async || -> Value {
        let checked: Value = scene.staff.registrar.post("/v1/providers/main/check", &body).await.expect(200).json();
        assert_eq!(checked["accepted"], true, "{checked}");
        checked["gives"]["consented"][0]["exchanged"].clone()
    };
    assert_eq!(check().await, Value::Null);
    let made: DelegationMade = scene.exchange(&token).await.expect(201).json();
    let id = made.delegation.id;
    assert_eq!(check().await, json!({ "delegation": id, "standing": "active" }));
    scene.staff.registrar.post(format!("/v1/delegations/{id}/revoke"), &json!({})).await.expect(200);
    assert_eq!(check().await, json!({ "delegation": id, "standing": "delegation_revoked" }));
    // What the check says is what comes of it.
    scene.exchange(&token).await.refused(409, "delegation_inactive");
}

/// All places that an agent has for a user are taken, and then all that takes them has ended with one write.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_has_ended_makes_room_for_what_is_new() {
    const KEPT: usize = 1_000;
    let scene = Behalf::new().await;
    let exchange = async |n: usize, more: Value| {
        scene.exchange(&scene.token(with(json!({ "jti": format!("token-{n}") }), more))).await
    };
    exchange(0, json!({})).await.expect(201);
    for begin in (1..KEPT).step_by(50) {
        let some = (begin..KEPT.min(begin + 50)).map(|n| exchange(n, json!({})));
        for answer in futures_util::future::join_all(some).await {
            answer.expect(201);
        }
    }
    let problem = exchange(KEPT, json!({})).await.refused(409, "too_many_delegations");
    assert!(problem.detail.contains("1000"), "{problem:?}");
    let user = scene.alice().await.id;
    scene.staff.registrar.post(format!("/v1/users/{user}/revoke"), &json!({})).await.expect(200);
    let login = later_login().await;
    for n in [KEPT + 1, KEPT + 2] {
        let made: DelegationMade = exchange(n, login.clone()).await.expect(201).json();
        assert_eq!(made.delegation.standing, "active");
    }
    // The log has all that it had, and what is new.
    let made = |entry: &&Value| entry["type"] == "delegation_made";
    assert_eq!(scene.entries().await.iter().filter(made).count(), KEPT + 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_name_at_a_second_provider_is_another_user() {
    let scene = Behalf::new().await;
    let second = attorn_tests::Provider::start(attorn_tests::provider::KeyKind::Es256).await;
    let scopes = json!({ "accounts": { "purposes": [PURPOSE_WITH_USER],
        "permissions": pairs(&[("account.read", "account/*")]) } });
    let body = second.configuration(
        "second",
        json!({ "clients": { "bot-client": "support-bot" }, "scopes": scopes, "groups_claim": "groups" }),
    );
    scene.staff.registrar.post("/v1/providers", &body).await.expect(201);
    let group = json!({ "group": { "issuer": scene.provider.issuer, "name": "staff" } });
    scene.entitle(group, &[("account.read", "account/all/*")]).await;
    let claims = json!({ "client_id": "bot-client", "scope": "accounts", "groups": ["staff"] });
    let of = |token: String| {
        let scene = &scene;
        async move { exchange(&scene.bot, &token).await.expect(201).json::<DelegationMade>().delegation }
    };
    let (ours, theirs) = (of(scene.provider.access_token(claims.clone())).await, of(second.access_token(claims)).await);
    assert_ne!(ours.user, theirs.user);
    allowed(&scene.bot.decide(&ask_by(&ours, "account.read", "account/all/1")).await);
    denied(&scene.bot.decide(&ask_by(&theirs, "account.read", "account/all/1")).await, "not_entitled");
    denied(&scene.read(&scene.bot, &theirs).await, "not_entitled");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_without_the_purpose_receives_nothing() {
    let scene = Behalf::new().await;
    let root = scene.delegated().await;
    let loner = Machine::new(&scene.reach, "loner");
    let mut body = attorn_tests::behalf::registration(&loner, "account.*", "account/*");
    body["ceiling"] = json!({ PURPOSE: { "user": "without", "permissions": pairs(&[("*", "*")]) } });
    scene.staff.registrar.post("/v1/agents", &body).await.expect(201);
    let give = json!({ "to_agent": "loner", "permissions": pairs(&[("account.read", "account/*")]) });
    let path = format!("/v1/delegations/{}/offer", root.id);
    scene.bot.post(path, &give).await.refused(422, "invalid_field");
}
