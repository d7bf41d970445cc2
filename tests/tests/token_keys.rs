//! Keys that sign tokens: rotation with overlap, and the end of all that a lost key signed.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use attorn_api::decisions::DecisionAnswer;
use attorn_api::token_keys::{TokenKeyChanged, TokenKeyList, TokenKeyState};
use attorn_tests::components;
use attorn_tests::oauth::{Client, form, refused, token_request};
use attorn_tests::server::Fresh;
use attorn_tests::world::{Cast, ask, read_only_settings};
use attorn_tests::{Call, Process, Staff, World};
use serde_json::{Value, json};

const KEYS: &str = "/v1/token-keys";

async fn published(world: &Cast) -> Vec<String> {
    let jwks: Value = world.reach.send(Call::get("/.well-known/jwks.json")).await.json();
    jwks["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

fn kid(answer: &DecisionAnswer) -> String {
    jsonwebtoken::decode_header(&answer.credential.as_ref().unwrap().access_token).unwrap().kid.unwrap()
}

async fn rotate(world: &Cast) -> TokenKeyChanged {
    world.staff.admin.post(format!("{KEYS}/rotate"), &json!({ "reason": "a test" })).await.expect(200).json()
}

async fn retire(world: &Cast, kid: &str, body: Value) -> attorn_tests::Answer {
    world.staff.admin.post(format!("{KEYS}/{kid}/retire"), &body).await
}

async fn list(world: &Cast) -> TokenKeyList {
    world.staff.admin.get(KEYS).await.expect(200).json()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_key_signed_outlives_its_rotation() {
    let world = World::new().await;
    let [first] = <[String; 1]>::try_from(published(&world).await).unwrap();
    let before = world.bot.decide(&ask()).await;
    assert_eq!(kid(&before), first);
    let changed = rotate(&world).await;
    assert_eq!((changed.key.thumbprint.as_str(), changed.key.state), (first.as_str(), TokenKeyState::Retired));
    assert_eq!((changed.signing.state, changed.signing.version), (TokenKeyState::Signing, 2));
    let second = changed.signing.thumbprint;
    assert_eq!(published(&world).await, [second.clone(), first.clone()]);
    let after = world.bot.decide(&ask()).await;
    assert_eq!(kid(&after), second);
    world.use_grant(&before.grant.unwrap()).await.expect(200);
    world.use_grant(&after.grant.unwrap()).await.expect(200);
    let entries = world.entries().await;
    let entry = entries.iter().find(|entry| entry["type"] == "token_key_rotated").unwrap();
    assert_eq!((&entry["operator"], &entry["about"]["made"]["thumbprint"]), (&json!("admin"), &json!(second)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_lost_key_signed_ends_at_once() {
    let world = World::new().await;
    let once: DecisionAnswer = world.bot.ask_once("key-1", &ask()).await.json();
    let (first, before) = (kid(&once), world.bot.decide(&ask()).await);
    let changed: TokenKeyChanged = retire(&world, &first, json!({ "compromised": true })).await.expect(200).json();
    let second = changed.signing.thumbprint;
    assert_eq!(changed.key.state, TokenKeyState::Compromised);
    assert_eq!(published(&world).await, [second.as_str()]);
    for answer in [&once, &before] {
        world.use_grant(answer.grant.as_ref().unwrap()).await.refused(409, "grant_inactive");
    }
    world.bot.ask_once("key-1", &ask()).await.refused(409, "grant_inactive");
    let after = world.bot.decide(&ask()).await;
    assert_eq!(kid(&after), second);
    world.use_grant(&after.grant.unwrap()).await.expect(200);
    // A key can be found lost after it was rotated out, too.
    let third = rotate(&world).await.signing.thumbprint;
    assert_eq!(published(&world).await, [third.clone(), second.clone()]);
    retire(&world, &second, json!({ "compromised": true })).await.expect(200);
    assert_eq!(published(&world).await, [third]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_keys_tokens_are_introspected_as_dead() {
    let world = World::without_policy().await;
    let (bot, docs) = (Client::new(&world.reach, "bot"), Client::new(&world.reach, "docs"));
    let registrar = &world.staff.registrar;
    let mut agent = attorn_tests::world::agent_registration(&world.bot);
    (agent["id"], agent["keys"]) = ("bot".into(), json!([bot.key.registration("pod-1")]));
    agent["ceiling"]["answer-questions"]["permissions"] = json!([{ "action": "faq.read", "resource": "document/*" }]);
    registrar.post("/v1/agents", &agent).await.expect(201);
    let server = docs.server_registration("https://docs.example", "document");
    registrar.post("/v1/resource-servers", &server).await.expect(201);
    let settings = json!({ "allow": [{ "actions": ["faq.read"], "resource_types": ["document"] }] });
    world.activate("documents", components::bytes("read-only"), settings).await;
    let detail = json!({ "type": "attorn_action", "actions": ["faq.read"], "identifier": "document/1",
        "purpose": "answer-questions" });
    let (old, kid) = (bot.issued(&detail).await, published(&world).await.remove(0));
    rotate(&world).await;
    let new = bot.issued(&detail).await;
    for token in [&old, &new] {
        assert_eq!(docs.introspect(&token.access_token).await["active"], true);
    }
    retire(&world, &kid, json!({ "compromised": true })).await.expect(200);
    assert_eq!(docs.introspect(&old.access_token).await, json!({ "active": false }));
    assert_eq!(docs.introspect(&new.access_token).await["active"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_end_once_and_only_those_that_are_there() {
    let world = World::new().await;
    let first = rotate(&world).await.key.thumbprint;
    let size = world.log_size().await;
    retire(&world, &first, json!({})).await.refused(409, "invalid_state");
    retire(&world, world.bot.key.thumbprint(), json!({})).await.refused(404, "not_found");
    retire(&world, "x", json!({})).await.refused(422, "invalid_field");
    retire(&world, &first, json!({ "compromised": "yes" })).await.refused(400, "invalid_body");
    retire(&world, &first, json!({ "reason": "x".repeat(257) })).await.refused(422, "invalid_field");
    world.staff.admin.post(format!("{KEYS}/rotate"), &json!({ "reason": "a\nb" })).await.refused(422, "invalid_field");
    assert_eq!(world.log_size().await, size);
    retire(&world, &first, json!({ "compromised": true })).await.expect(200);
    for body in [json!({}), json!({ "compromised": true })] {
        retire(&world, &first, body).await.refused(409, "invalid_state");
    }
    let signing = list(&world).await.keys.into_iter().find(|key| key.state == TokenKeyState::Signing).unwrap();
    let changed: TokenKeyChanged = retire(&world, &signing.thumbprint, json!({})).await.expect(200).json();
    assert_eq!((changed.key.state, changed.signing.version), (TokenKeyState::Retired, signing.version + 1));
    let keys = list(&world).await.keys;
    assert_eq!(keys.iter().filter(|key| key.state == TokenKeyState::Signing).count(), 1);
    let shown: Vec<_> = keys.iter().filter(|key| key.published).map(|key| key.thumbprint.clone()).collect();
    let mut published = published(&world).await;
    published.sort();
    assert_eq!(shown, published);
}

/// Rotations while agents ask: every decision is made, and every token's key is published.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_is_kept_from_deciding_by_a_rotation() {
    let world = std::sync::Arc::new(World::new().await);
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let world = std::sync::Arc::clone(&world);
            tokio::spawn(async move {
                for _ in 0..10 {
                    let answer = world.bot.send(Call::post("/v1/decisions", &ask())).await;
                    // Contention says that nothing was decided and that one may ask again.
                    if answer.status == 503 {
                        continue;
                    }
                    let answer: DecisionAnswer = answer.expect(200).json();
                    assert!(published(&world).await.contains(&kid(&answer)));
                }
            })
        })
        .collect();
    for _ in 0..5 {
        rotate(&world).await;
    }
    for task in tasks {
        task.await.unwrap();
    }
}

/// A server in a process of its own that is killed and started again: keys are where they were, and what an
/// earlier run accepted is not accepted again.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_forgets_no_key_and_takes_no_assertion_again() {
    let fresh = Fresh::make().await;
    let process = Process::start(&fresh.config, &fresh.reach).await;
    let staff = Staff::hire(&fresh.reach, &fresh.bootstrap_token).await;
    let cast = Cast::register(&fresh.reach, &staff).await;
    cast.activate("read-only", components::bytes("read-only"), read_only_settings()).await;
    let bot = Client::new(&fresh.reach, "bot");
    let mut agent = attorn_tests::world::agent_registration(&cast.bot);
    (agent["id"], agent["keys"]) = ("bot".into(), json!([bot.key.registration("pod-1")]));
    staff.registrar.post("/v1/agents", &agent).await.expect(201);
    let detail = json!({ "type": "attorn_action", "actions": ["faq.read"], "identifier": "article/1",
        "purpose": "answer-questions" });
    let mut long_lived = bot.claims();
    long_lived["exp"] = (attorn_tests::oauth::now_s() + 290).into();
    let assertion = bot.assertion_of(&long_lived);
    let send = async |assertion: String| {
        let mut parameters = [bot.authentication(), token_request(&detail)].concat();
        parameters.retain(|(name, _)| *name != "client_assertion");
        parameters.push(("client_assertion", assertion));
        let proof = bot.proof("/oauth/token", &bot.nonce().await);
        fresh.reach.send(form("/oauth/token", &parameters).header("DPoP", proof)).await
    };
    send(assertion.clone()).await.expect(200);
    let before = cast.bot.decide(&ask()).await;
    rotate(&cast).await;
    let keys = published(&cast).await;
    process.kill().await;

    let process = Process::start(&fresh.config, &fresh.reach).await;
    assert_eq!(published(&cast).await, keys);
    assert_eq!(kid(&cast.bot.decide(&ask()).await), keys[0]);
    assert_eq!(kid(&before), keys[1]);
    cast.use_grant(&before.grant.unwrap()).await.expect(200);
    // The same assertion is never taken; another is, as soon as no earlier run can have seen it.
    attorn_tests::until("another is taken", async || {
        let again = send(assertion.clone()).await;
        assert_ne!(again.status, 200, "{}", again.text());
        let another = bot.token(&detail).await;
        if another.status != 200 {
            // A slow machine may have made it before the server was ready to take any.
            let code = if another.status == 503 { "temporarily_unavailable" } else { "invalid_client" };
            refused(&another, if another.status == 503 { 503 } else { 401 }, code);
        }
        another.status == 200
    })
    .await;
    // Soon after that the server has nothing more to excuse itself with.
    attorn_tests::until("it says that it is not taken", async || send(assertion.clone()).await.status != 503).await;
    refused(&send(assertion).await, 401, "invalid_client");
    process.kill().await;
}
