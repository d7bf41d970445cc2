//! Proofs as RFC 9449 has them: beside an assertion, and nowhere else.

use attorn_api::PROOF_HEADER;
use attorn_api::oauth::TokenAnswer;
use attorn_tests::Call;
use attorn_tests::oauth::{Client, form, now_s, refused, token_request};
use serde_json::{Value, json};

use super::{PURPOSE, Scene, TOKEN, detail, verified};

#[tokio::test(flavor = "multi_thread")]
async fn clients_without_a_good_proof_are_refused() {
    let scene = Scene::new().await;
    let bot = &scene.bot;
    let nonce = bot.nonce().await;
    let claims = |changes: Value| {
        let mut claims = bot.proof_claims(TOKEN, &nonce);
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        bot.proof_of(&claims)
    };
    let raw = |header: Value| bot.key.sign_raw(&header, &bot.proof_claims(TOKEN, &nonce));
    let spliced = {
        let (own, foreign) = (bot.proof(TOKEN, &nonce), scene.other.proof(TOKEN, &nonce));
        format!("{}.{}", own.rsplit_once('.').unwrap().0, foreign.rsplit_once('.').unwrap().1)
    };
    let now = now_s();
    let stranger = Client::new(&scene.world.reach, "bot");
    let size = scene.world.log_size().await;
    for (what, proof, code) in [
        ("empty", String::new(), "invalid_dpop_proof"),
        ("garbage", "a.b.c".into(), "invalid_dpop_proof"),
        ("of another registered agent", scene.other.proof(TOKEN, &nonce), "invalid_dpop_proof"),
        ("of a resource server", scene.docs.proof(TOKEN, &nonce), "invalid_dpop_proof"),
        ("of a stranger", stranger.proof(TOKEN, &nonce), "invalid_dpop_proof"),
        ("signed by another", spliced, "invalid_dpop_proof"),
        ("of another path", bot.proof("/oauth/revoke", &nonce), "invalid_dpop_proof"),
        ("of another method", claims(json!({ "htm": "GET" })), "invalid_dpop_proof"),
        ("too old", claims(json!({ "iat": now - 120 })), "invalid_dpop_proof"),
        ("from the future", claims(json!({ "iat": now + 120 })), "invalid_dpop_proof"),
        ("of an access token", claims(json!({ "ath": "AAAA" })), "invalid_dpop_proof"),
        (
            "of another body",
            claims(json!({ "content_digest": format!("sha-256=:{}=:", "A".repeat(43)) })),
            "invalid_dpop_proof",
        ),
        ("with `none`", raw(json!({ "typ": "dpop+jwt", "alg": "none", "jwk": bot.key.jwk })), "invalid_dpop_proof"),
        ("a plain JWT", raw(json!({ "typ": "JWT", "alg": "ES256", "jwk": bot.key.jwk })), "invalid_dpop_proof"),
        ("without nonce", claims(json!({ "nonce": null })), "use_dpop_nonce"),
        ("with a made-up nonce", claims(json!({ "nonce": "made-up" })), "use_dpop_nonce"),
    ] {
        let answer = scene.with_proof(proof).await;
        assert_eq!(answer.status, 400, "{what}: {}", answer.text());
        refused(&answer, 400, code);
    }
    assert_eq!(scene.world.log_size().await, size, "something was recorded");
    let proof = bot.proof(TOKEN, &nonce);
    scene.with_proof(proof.clone()).await.expect(200);
    refused(&scene.with_proof(proof.clone()).await, 400, "invalid_dpop_proof");
    let parameters = [bot.authentication(), token_request(&detail())].concat();
    let two = form(TOKEN, &parameters).header(PROOF_HEADER, bot.proof(TOKEN, &nonce)).header(PROOF_HEADER, proof);
    refused(&scene.send(two).await, 400, "invalid_dpop_proof");
}

/// Elsewhere in the API a proof without the body's digest is none, however the client authenticates.
#[tokio::test(flavor = "multi_thread")]
async fn a_proof_of_rfc_9449_alone_opens_nothing_in_the_api() {
    let scene = Scene::new().await;
    let ask = json!({ "action": "doc.read", "resource": "document/42", "purpose": PURPOSE });
    let proof = scene.bot.proof("/v1/decisions", &scene.bot.nonce().await);
    let answer = scene.send(Call::post("/v1/decisions", &ask).header(PROOF_HEADER, proof)).await;
    answer.refused(401, "proof_invalid");
    scene.bot.post_json("/v1/decisions", &ask).await.expect(200);
}

/// An agent with two keys authenticates with one, and its token is bound to the one that it proves.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_bound_to_the_key_of_the_proof() {
    let scene = Scene::new().await;
    let second = Client::new(&scene.world.reach, "bot");
    scene.operate("/v1/agents/bot/keys", &second.key.registration("pod-2")).await;
    let parameters = [scene.bot.authentication(), token_request(&detail())].concat();
    let proof = second.proof(TOKEN, &second.nonce().await);
    let token: TokenAnswer = scene.send(form(TOKEN, &parameters).header(PROOF_HEADER, proof)).await.json();
    assert_eq!(verified(&scene, &token.access_token).await["cnf"]["jkt"], second.key.thumbprint.as_str());
    // Of two keys none is guessed.
    let bare = scene.bot.key.sign_raw(&json!({ "alg": "ES256" }), &scene.bot.claims());
    refused(&scene.with_assertion(&bare).await, 401, "invalid_client");
}
