//! Proofs of possession that are not of this very request, now, by a registered key, with a nonce of this
//! run: each is refused, and nothing is decided.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::time::{Duration, SystemTime};

use attorn_agent::Algorithm;
use attorn_api::{NONCE_HEADER, PROOF_HEADER};
use attorn_tests::world::ask;
use attorn_tests::{Call, Machine, World};
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};

fn call() -> Call {
    Call::post("/v1/decisions", &ask())
}

/// The same proof with another header or other claims, and the old signature.
fn spliced(proof: &str, part: usize, change: impl FnOnce(&mut Value)) -> String {
    let mut parts: Vec<String> = proof.split('.').map(str::to_owned).collect();
    let mut value: Value = serde_json::from_slice(&BASE64URL_NOPAD.decode(parts[part].as_bytes()).unwrap()).unwrap();
    change(&mut value);
    parts[part] = BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    parts.join(".")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_is_of_one_request() {
    let world = World::new().await;
    let (bot, now) = (&world.bot, SystemTime::now());
    let nonce = bot.fresh_nonce().await;
    let stranger = Machine::new(&world.reach, "stranger");
    let good = || bot.prove(&call(), Some(&nonce), SystemTime::now());
    let elsewhere = Machine::new(&attorn_tests::Reach::new("http://localhost:1"), "elsewhere");
    let other_method = bot.prove(&Call { method: "PUT".into(), ..call() }, Some(&nonce), now);
    let other_path = bot.prove(&Call { path: "/v1/grants".into(), ..call() }, Some(&nonce), now);
    let other_body = bot.prove(&call().json(ask().to_string().replace("42", "43")), Some(&nonce), now);
    let no_body = bot.prove(&Call { body: Vec::new(), ..call() }, Some(&nonce), now);
    let foreign_signature = {
        let (own, foreign) = (good(), stranger.prove(&call(), Some(&nonce), now));
        format!("{}.{}", own.rsplit_once('.').unwrap().0, foreign.rsplit_once('.').unwrap().1)
    };
    let with_token = bot.key.prove_with_token(
        "POST",
        &format!("{}/v1/decisions", world.reach.url),
        &call().body,
        Some(&nonce),
        "token",
        now,
    );
    let cases = [
        ("expired", bot.prove(&call(), Some(&nonce), now - Duration::from_mins(2)), "proof_invalid"),
        ("from the future", bot.prove(&call(), Some(&nonce), now + Duration::from_mins(2)), "proof_invalid"),
        ("of another method", other_method, "proof_invalid"),
        ("of another path", other_path, "proof_invalid"),
        ("of another body", other_body, "proof_invalid"),
        ("of no body", no_body, "proof_invalid"),
        ("with an access token's hash", with_token.unwrap(), "proof_invalid"),
        ("by a stranger", stranger.prove(&call(), Some(&nonce), now), "unknown_key"),
        ("by a stranger, of another host", elsewhere.prove(&call(), Some(&nonce), now), "unknown_key"),
        ("signed by a stranger", foreign_signature, "proof_invalid"),
        ("with the stranger's key in its header", spliced(&good(), 0, |h| h["jwk"] = stranger.jwk()), "unknown_key"),
        ("with `none`", spliced(&good(), 0, |h| h["alg"] = "none".into()), "proof_invalid"),
        ("with `HS256`", spliced(&good(), 0, |h| h["alg"] = "HS256".into()), "proof_invalid"),
        ("with `EdDSA` of a P-256 key", spliced(&good(), 0, |h| h["alg"] = "EdDSA".into()), "proof_invalid"),
        ("a plain JWT", spliced(&good(), 0, |h| h["typ"] = "JWT".into()), "proof_invalid"),
        ("with a private key", spliced(&good(), 0, |h| h["jwk"]["d"] = "AA".into()), "proof_invalid"),
        ("with an odd header", spliced(&good(), 0, |h| h["crit"] = json!(["x"])), "proof_invalid"),
        ("changed afterwards", spliced(&good(), 1, |c| c["jti"] = "another".into()), "proof_invalid"),
        ("without `jti`", spliced(&good(), 1, |c| c["jti"] = Value::Null), "proof_invalid"),
        ("without body digest", spliced(&good(), 1, |c| c["content_digest"] = Value::Null), "proof_invalid"),
        ("empty", String::new(), "proof_invalid"),
        ("garbage", "a.b.c".into(), "proof_invalid"),
        ("too long", "a".repeat(5_000), "proof_invalid"),
        ("without nonce", bot.prove(&call(), None, now), "use_dpop_nonce"),
        ("with a made-up nonce", bot.prove(&call(), Some("made-up"), now), "use_dpop_nonce"),
        ("with an empty nonce", bot.prove(&call(), Some(""), now), "use_dpop_nonce"),
    ];
    let size = world.log_size().await;
    for (what, proof, code) in cases {
        let answer = world.reach.send(call().header(PROOF_HEADER, proof)).await;
        assert_eq!(answer.status, 401, "{what}: {}", answer.text());
        assert_eq!(answer.problem().code.as_str(), code, "{what}: {}", answer.text());
        assert!(answer.header(NONCE_HEADER).is_some_and(|nonce| !nonce.is_empty()), "{what}");
        let challenge = answer.header("www-authenticate").unwrap();
        assert!(challenge.starts_with("DPoP "), "{what}: {challenge}");
        assert_eq!(challenge.contains("use_dpop_nonce"), code == "use_dpop_nonce", "{what}: {challenge}");
    }
    let twice = call().header(PROOF_HEADER, good()).header(PROOF_HEADER, good());
    world.reach.send(twice).await.refused(401, "proof_missing");
    assert_eq!(world.log_size().await, size, "something was decided");
    world.reach.send(call().header(PROOF_HEADER, good())).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_servers_nonce_and_url_are_refused() {
    let (world, other) = (World::new().await, World::without_policy().await);
    let foreign = other.bot.fresh_nonce().await;
    let proof = world.bot.prove(&call(), Some(&foreign), SystemTime::now());
    world.reach.send(call().header(PROOF_HEADER, proof)).await.refused(401, "use_dpop_nonce");
    let nonce = world.bot.fresh_nonce().await;
    let url = format!("{}/v1/decisions", other.reach.url);
    let proof = world.bot.key.prove("POST", &url, &call().body, Some(&nonce), SystemTime::now()).unwrap();
    // What the client says the host is makes no difference.
    let host = other.reach.url.strip_prefix("http://").unwrap().to_owned();
    let sent = call().header(PROOF_HEADER, proof).header("host", host.clone()).header("x-forwarded-host", host);
    world.reach.send(sent).await.refused(401, "proof_invalid");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_is_accepted_once() {
    let world = World::new().await;
    let signed = world.bot.signed(call()).await;
    world.reach.send(signed.clone()).await.expect(200);
    let size = world.log_size().await;
    for _ in 0..3 {
        world.reach.send(signed.clone()).await.refused(401, "proof_replayed");
    }
    assert_eq!(world.log_size().await, size);

    // Of many that come at once, one is accepted.
    let signed = world.bot.signed(call()).await;
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let (reach, signed) = (world.reach.clone(), signed.clone());
            tokio::spawn(async move { reach.send(signed).await })
        })
        .collect();
    let mut accepted = 0;
    for task in tasks {
        let answer = task.await.unwrap();
        if answer.status == 200 {
            accepted += 1;
        } else {
            answer.refused(401, "proof_replayed");
        }
    }
    assert_eq!(accepted, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_key_is_refused_and_an_ed25519_key_works() {
    let world = World::new().await;
    let brief = Machine::with_algorithm(&world.reach, "support-bot", Algorithm::EdDsa);
    let until = attorn_tests::machines::now_ms() + 3_000;
    let body = brief.key_registration_until("pod-2", until);
    world.staff.registrar.post("/v1/agents/support-bot/keys", &body).await.expect(200);
    let grant = brief.decide(&ask()).await.grant.unwrap();
    assert!(grant.expires_at_ms <= until, "the grant outlives its holder's key");
    tokio::time::sleep(Duration::from_millis(until.saturating_sub(attorn_tests::machines::now_ms()) + 50)).await;
    assert!(brief.post("/v1/decisions", &ask()).await.refused(401, "key_expired").help.is_some());
    world.use_grant(&grant).await.refused(409, "grant_inactive");
}
