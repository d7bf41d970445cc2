//! Client assertions (RFC 7523) that are refused.

use attorn_api::PROOF_HEADER;
use attorn_tests::oauth::{Client, form, now_s, refused, token_request};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::{Scene, TOKEN, detail, replace};

#[tokio::test(flavor = "multi_thread")]
async fn clients_without_a_good_assertion_are_refused() {
    let scene = Scene::new().await;
    let (bot, now) = (&scene.bot, now_s());
    let claims = |changes: Value| {
        let mut claims = bot.claims();
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        claims
    };
    let changed = |changes: Value| bot.assertion_of(&claims(changes));
    let header = |change: Value| {
        let mut header = json!({ "alg": "ES256", "kid": bot.key.thumbprint, "typ": "JWT" });
        header.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        bot.key.sign_raw(&header, &bot.claims())
    };
    let stranger = Client::new(&scene.world.reach, "bot");
    let unsigned = {
        let assertion = header(json!({ "alg": "none" }));
        format!("{}.", assertion.rsplit_once('.').unwrap().0)
    };
    let secret = EncodingKey::from_secret(bot.key.jwk.to_string().as_bytes());
    let hmac = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &bot.claims(), &secret).unwrap();
    let without = |name: &str| {
        let mut claims = bot.claims();
        claims.as_object_mut().unwrap().remove(name);
        bot.assertion_of(&claims)
    };
    let named = |client: &Client, kid: &str| {
        client.key.sign_raw(&json!({ "alg": "ES256", "kid": kid, "typ": "JWT" }), &bot.claims())
    };
    let size = scene.world.log_size().await;
    for (what, assertion) in [
        ("none", String::new()),
        ("garbage", "a.b.c".into()),
        ("too long", "a".repeat(5_000)),
        ("for another audience", changed(json!({ "aud": "https://other.example" }))),
        ("for another path", changed(json!({ "aud": format!("{}/oauth/introspect", scene.world.reach.url) }))),
        ("for two audiences", changed(json!({ "aud": [scene.world.reach.url, "https://other.example"] }))),
        ("with a final slash", changed(json!({ "aud": format!("{}/", scene.world.reach.url) }))),
        ("of another issuer", changed(json!({ "iss": "other" }))),
        ("about another", changed(json!({ "sub": "other" }))),
        ("of another client", changed(json!({ "iss": "other", "sub": "other" }))),
        ("of an unknown client", changed(json!({ "iss": "nobody", "sub": "nobody" }))),
        ("of a client that is none", changed(json!({ "iss": "../bot", "sub": "../bot" }))),
        ("of a resource server", changed(json!({ "iss": "docs", "sub": "docs" }))),
        ("expired", changed(json!({ "iat": now - 120, "exp": now - 60 }))),
        ("living too long", changed(json!({ "exp": now + 400 }))),
        ("from the future", changed(json!({ "iat": now + 60, "exp": now + 120 }))),
        ("not yet begun", changed(json!({ "nbf": now + 60 }))),
        ("without `exp`", without("exp")),
        ("without `iat`", without("iat")),
        ("without `jti`", without("jti")),
        ("without `aud`", without("aud")),
        ("unsigned", unsigned),
        ("with an HMAC", hmac),
        ("with another `alg`", header(json!({ "alg": "EdDSA" }))),
        ("with `crit`", header(json!({ "crit": ["exp"] }))),
        ("with `jku`", header(json!({ "jku": "https://evil.example" }))),
        ("with `x5u`", header(json!({ "x5u": "https://evil.example" }))),
        ("with `jwk`", header(json!({ "jwk": bot.key.jwk }))),
        ("with an unknown `kid`", header(json!({ "kid": "A".repeat(43) }))),
        ("with a `kid` that is none", header(json!({ "kid": "../x" }))),
        ("a proof", header(json!({ "typ": "dpop+jwt" }))),
        ("signed by a stranger", stranger.assertion()),
        ("signed by a stranger as the bot", named(&stranger, &bot.key.thumbprint)),
        ("signed by another agent", named(&scene.other, &scene.other.key.thumbprint)),
        ("signed by another agent as the bot", named(&scene.other, &bot.key.thumbprint)),
        ("signed by a resource server", named(&scene.docs, &scene.docs.key.thumbprint)),
    ] {
        let answer = scene.with_assertion(&assertion).await;
        assert_eq!(answer.status, 401, "{what}: {}", answer.text());
        refused(&answer, 401, "invalid_client");
    }
    for (name, value) in [
        ("client_assertion_type", ""),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"),
        ("client_id", "other"),
    ] {
        let mut parameters = [bot.authentication(), token_request(&detail())].concat();
        replace(&mut parameters, name, value);
        let proof = bot.proof(TOKEN, &bot.nonce().await);
        refused(&scene.send(form(TOKEN, &parameters).header(PROOF_HEADER, proof)).await, 401, "invalid_client");
    }
    assert_eq!(scene.world.log_size().await, size, "something was recorded");
    // What the bot may leave out, it may.
    let bare = bot.key.sign_raw(&json!({ "alg": "ES256" }), &bot.claims());
    let to_endpoint = changed(json!({ "aud": [format!("{}{TOKEN}", scene.world.reach.url)] }));
    for assertion in [bare, to_endpoint, header(json!({}))] {
        scene.with_assertion(&assertion).await.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_tell_strangers_apart_tells_them_nothing() {
    let scene = Scene::new().await;
    let stranger = Client::new(&scene.world.reach, "bot");
    let nobody = Client::new(&scene.world.reach, "nobody");
    let kid =
        |client: &Client, kid: &str| client.key.sign_raw(&json!({ "alg": "ES256", "kid": kid }), &client.claims());
    let bare = |client: &Client| client.key.sign_raw(&json!({ "alg": "ES256" }), &client.claims());
    let mut told = Vec::new();
    for assertion in [
        kid(&nobody, &nobody.key.thumbprint),
        bare(&nobody),
        kid(&stranger, &stranger.key.thumbprint),
        kid(&stranger, &scene.bot.key.thumbprint),
        bare(&stranger),
    ] {
        told.push(refused(&scene.with_assertion(&assertion).await, 401, "invalid_client").error_description);
    }
    told.dedup();
    assert_eq!(told.len(), 1, "{told:?}");
    // What needs no key is checked before it is looked up whose it is.
    for (name, value) in
        [("aud", json!("https://elsewhere.example")), ("exp", json!(1)), ("iat", json!(9_999_999_999_u64))]
    {
        let changed = |client: &Client| {
            let mut claims = client.claims();
            claims[name] = value.clone();
            client.key.sign_raw(&json!({ "alg": "ES256" }), &claims)
        };
        let mut told = Vec::new();
        for client in [&nobody, &stranger] {
            let answer = scene.with_assertion(&changed(client)).await;
            told.push(refused(&answer, 401, "invalid_client").error_description);
        }
        assert_eq!(told[0], told[1], "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_assertion_is_accepted_once_and_only_with_a_good_proof() {
    let scene = Scene::new().await;
    let assertion = scene.bot.assertion();
    // A proof that is no good does not spend it: the client may have to come again with the nonce.
    let mut parameters = [scene.bot.authentication(), token_request(&detail())].concat();
    replace(&mut parameters, "client_assertion", &assertion);
    refused(&scene.send(form(TOKEN, &parameters)).await, 400, "invalid_dpop_proof");
    let stale = scene.bot.proof(TOKEN, "made-up");
    refused(&scene.send(form(TOKEN, &parameters).header(PROOF_HEADER, stale)).await, 400, "use_dpop_nonce");
    scene.with_assertion(&assertion).await.expect(200);
    for _ in 0..2 {
        refused(&scene.with_assertion(&assertion).await, 401, "invalid_client");
    }
    // Nor is it accepted anywhere else.
    let mut elsewhere = scene.bot.authentication();
    replace(&mut elsewhere, "client_assertion", &assertion);
    elsewhere.push(("token", "x".into()));
    let proof = scene.bot.proof("/oauth/revoke", &scene.bot.nonce().await);
    let answer = scene.send(form("/oauth/revoke", &elsewhere).header(PROOF_HEADER, proof)).await;
    refused(&answer, 401, "invalid_client");
}
