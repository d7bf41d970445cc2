//! What a grant is good for: one holder, one service, one action, these arguments, so many uses.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::collections::BTreeSet;
use std::sync::Arc;

use attorn_api::decisions::{DecisionAnswer, DecisionKind, Grant};
use attorn_api::grants::{GrantDetails, GrantUse};
use attorn_tests::components;
use attorn_tests::wait::Waiting;
use attorn_tests::world::{PURPOSE, ask, ask_with, server_registration, use_of};
use attorn_tests::{Machine, World};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};

async fn allowed(world: &World, ask: &Value) -> (Grant, DecisionAnswer) {
    let answer = world.bot.decide(ask).await;
    assert_eq!(answer.decision, DecisionKind::Allow, "{answer:?}");
    (answer.grant.clone().unwrap(), answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_use_has_to_be_what_the_grant_is_for() {
    let world = World::new().await;
    let (grant, _) = allowed(&world, &ask()).await;
    let path = format!("/v1/grants/{}/uses", grant.id);
    let size = world.log_size().await;
    for change in [
        json!({ "arguments_digest": "0".repeat(64) }),
        json!({ "arguments_digest": grant.arguments_digest.to_uppercase() }),
        json!({ "arguments_digest": "" }),
        json!({ "action": "faq.write" }),
        json!({ "action": "faq.*" }),
        json!({ "resource": "article/43" }),
        json!({ "resource": "article/*" }),
    ] {
        let mut body = use_of(&grant);
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        world.faq.post(&path, &body).await.refused(409, "grant_mismatch");
    }
    assert_eq!(world.log_size().await, size);
    world.use_grant(&grant).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_is_used_once() {
    let world = World::new().await;
    let (grant, _) = allowed(&world, &ask()).await;
    let first: GrantUse = world.use_grant(&grant).await.json();
    assert_eq!((first.use_number, first.uses_left), (1, 0));
    let size = world.log_size().await;
    let spent = world.use_grant(&grant).await.refused(409, "grant_spent");
    assert!(spent.help.is_some());
    assert_eq!(world.log_size().await, size);
    let details: GrantDetails = world.staff.registrar.get(format!("/v1/grants/{}", grant.id)).await.json();
    assert_eq!((details.uses, details.active), (1, false));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_services_grant_looks_like_none() {
    let world = World::new().await;
    let (grant, _) = allowed(&world, &ask()).await;
    let other = Machine::new(&world.reach, "billing");
    let body = server_registration(&other, "https://billing.example", &["invoice"]);
    world.staff.registrar.post("/v1/resource-servers", &body).await.expect(201);
    let there = other.post(format!("/v1/grants/{}/uses", grant.id), &use_of(&grant)).await;
    let nowhere_id = format!("grt_{}", "0".repeat(32));
    let nowhere = other.post(format!("/v1/grants/{nowhere_id}/uses"), &use_of(&grant)).await;
    let (there, nowhere) = (there.refused(404, "not_found"), nowhere.refused(404, "not_found"));
    assert_eq!(there.detail.replace(&grant.id, ""), nowhere.detail.replace(&nowhere_id, ""));
    let effect = json!({ "use_number": 1, "effect": "done" });
    other.post(format!("/v1/grants/{}/effect", grant.id), &effect).await.refused(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_effect_is_recorded_once_and_only_of_a_use() {
    let world = World::new().await;
    for effect in ["done", "failed"] {
        let (grant, _) = allowed(&world, &ask()).await;
        let path = format!("/v1/grants/{}/effect", grant.id);
        let report = |n: u32, effect: &str| json!({ "use_number": n, "effect": effect, "note": "as asked" });
        for n in [0, 1] {
            world.faq.post(&path, &report(n, effect)).await.refused(409, "invalid_state");
        }
        world.use_grant(&grant).await.expect(200);
        world.faq.post(&path, &report(2, effect)).await.refused(409, "invalid_state");
        world.faq.post(&path, &report(1, effect)).await.expect(200);
        let size = world.log_size().await;
        for again in ["done", "failed", "released"] {
            world.faq.post(&path, &report(1, again)).await.refused(409, "invalid_state");
        }
        assert_eq!(world.log_size().await, size);
        world.use_grant(&grant).await.refused(409, "grant_spent");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_released_use_is_given_back() {
    let world = World::new().await;
    let (grant, _) = allowed(&world, &ask()).await;
    let path = format!("/v1/grants/{}/effect", grant.id);
    for n in 1..=3 {
        let counted: GrantUse = world.use_grant(&grant).await.json();
        assert_eq!(counted.use_number, n);
        world.use_grant(&grant).await.refused(409, "grant_spent");
        world.faq.post(&path, &json!({ "use_number": n, "effect": "released" })).await.expect(200);
        world.faq.post(&path, &json!({ "use_number": n, "effect": "released" })).await.refused(409, "invalid_state");
    }
    world.use_grant(&grant).await.expect(200);
    world.use_grant(&grant).await.refused(409, "grant_spent");
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_uses_never_pass_the_limit() {
    let world = Arc::new(World::without_policy().await);
    world.activate("uses", components::bytes("allow_all"), json!({ "uses_max": 3 })).await;
    let (grant, _) = allowed(&world, &ask()).await;
    assert_eq!(grant.uses_max, 3);
    let mut tasks = Vec::new();
    for _ in 0..32 {
        let (world, grant) = (Arc::clone(&world), grant.clone());
        tasks.push(tokio::spawn(async move {
            let waiting = Waiting::begin("a use that is recorded or refused");
            loop {
                let answer = world.use_grant(&grant).await;
                // Contention says that nothing was recorded and that one may try again.
                if answer.status != 503 {
                    return answer;
                }
                waiting.a_moment().await;
            }
        }));
    }
    let mut numbers = BTreeSet::new();
    for task in tasks {
        let answer = task.await.unwrap();
        if answer.status == 200 {
            assert!(numbers.insert(answer.json::<GrantUse>().use_number));
        } else {
            answer.refused(409, "grant_spent");
        }
    }
    assert_eq!(numbers, BTreeSet::from([1, 2, 3]));
    let used = world.entries().await.into_iter().filter(|entry| entry["type"] == "grant_used").count();
    assert_eq!(used, 3);
}

/// A service that only remembers what was used can count to one.
#[tokio::test(flavor = "multi_thread")]
async fn who_only_remembers_uses_gets_grants_of_one() {
    let world = World::without_policy().await;
    world.activate("uses", components::bytes("allow_all"), json!({ "uses_max": 3 })).await;
    let remembers = Machine::new(&world.reach, "remembers");
    let mut body = server_registration(&remembers, "https://remembers.example", &["orphan"]);
    for counts_uses in [json!(null), json!("sometimes"), json!(true)] {
        body["counts_uses"] = counts_uses;
        world.staff.registrar.post("/v1/resource-servers", &body).await.refused(400, "invalid_body");
    }
    body.as_object_mut().unwrap().remove("counts_uses");
    world.staff.registrar.post("/v1/resource-servers", &body).await.refused(400, "invalid_body");
    body["counts_uses"] = "remembers".into();
    let registered: Value = world.staff.registrar.post("/v1/resource-servers", &body).await.expect(201).json();
    assert_eq!(registered["counts_uses"], "remembers");
    assert_eq!(allowed(&world, &ask_with(json!({ "resource": "orphan/1" }))).await.0.uses_max, 1);
    assert_eq!(allowed(&world, &ask()).await.0.uses_max, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_verifies_with_public_keys_alone() {
    let world = World::new().await;
    let before_s = attorn_tests::machines::now_ms() / 1000;
    let (grant, answer) = allowed(&world, &ask_with(json!({ "session": "s-1" }))).await;
    let credential = answer.credential.unwrap();
    assert_eq!(credential.token_type, "DPoP");
    assert!(credential.expires_in <= 60);

    let jwks: JwkSet = world.reach.send(attorn_tests::Call::get("/.well-known/jwks.json")).await.json();
    let header = jsonwebtoken::decode_header(&credential.access_token).unwrap();
    assert_eq!((header.typ.as_deref(), header.alg), (Some("at+jwt"), Algorithm::ES256));
    let key = jwks.find(header.kid.as_deref().unwrap()).unwrap();
    let mut expect = Validation::new(Algorithm::ES256);
    expect.set_audience(&["https://faq.example"]);
    expect.set_issuer(&[&world.reach.url]);
    expect.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    let key = DecodingKey::from_jwk(key).unwrap();
    let claims = jsonwebtoken::decode::<Value>(&credential.access_token, &key, &expect).unwrap().claims;

    let (issued_s, expires_s) = (claims["iat"].as_u64().unwrap(), claims["exp"].as_u64().unwrap());
    assert!(before_s <= issued_s + 1 && issued_s < expires_s && expires_s - issued_s <= 60, "{claims}");
    assert_eq!(expires_s * 1000, grant.expires_at_ms);
    let expected = json!({
        "iss": world.reach.url,
        "sub": "support-bot",
        "client_id": "support-bot",
        "aud": "https://faq.example",
        "iat": issued_s,
        "exp": expires_s,
        "jti": grant.id,
        "cnf": { "jkt": world.bot.key.thumbprint() },
        "purpose": PURPOSE,
        "sid": "s-1",
        "authorization_details": [{
            "type": "attorn_action",
            "actions": ["faq.read"],
            "identifier": "article/42",
            "arguments_digest": grant.arguments_digest,
            "uses_max": 1,
        }],
    });
    assert_eq!(claims, expected);

    let tampered = credential.access_token.replacen('.', ".e30", 1);
    assert!(jsonwebtoken::decode::<Value>(&tampered, &key, &expect).is_err());
    // The log's key is not among those that verify credentials.
    assert!(jwks.keys.iter().all(|key| key.common.key_algorithm.is_none_or(|a| a.to_string() == "ES256")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_arguments_look_like_makes_no_difference_and_what_they_say_does() {
    let world = World::new().await;
    let digest_of = async |arguments: &str| {
        let body =
            format!(r#"{{"action":"faq.read","resource":"article/42","purpose":"{PURPOSE}","arguments":{arguments}}}"#);
        let answer = world.bot.send(attorn_tests::Call::new("POST", "/v1/decisions").json(body)).await;
        answer.expect(200).json::<DecisionAnswer>().grant.unwrap().arguments_digest
    };
    let one = digest_of(r#"{"a":1,"b":"x"}"#).await;
    assert_eq!(digest_of("{ \"b\" : \"\\u0078\", \"a\" : 1.0 }").await, one);
    assert_ne!(digest_of(r#"{"a":1,"b":"y"}"#).await, one);
    assert_ne!(digest_of(r#"{"a":"1","b":"x"}"#).await, one);
    assert_eq!(digest_of("{}").await, digest_of("{ }").await);
}
