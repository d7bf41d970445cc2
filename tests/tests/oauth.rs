//! The OAuth endpoints: what is refused, with the exact error, and the whole way of a token.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use attorn_api::PROOF_HEADER;
use attorn_api::decisions::DecisionKind;
use attorn_api::grants::GrantUse;
use attorn_api::oauth::{OAuthError, TokenAnswer};
use attorn_tests::components;
use attorn_tests::oauth::{Client, Parameters, form, now_s, refused, token_request};
use attorn_tests::{Answer, Call, World};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde_json::{Value, json};

const TOKEN: &str = "/oauth/token";
const AUDIENCE: &str = "https://docs.example";
const PURPOSE: &str = "answer-questions";

/// Two agents and two services that are OAuth clients, and a policy that lets documents be read.
struct Scene {
    world: World,
    bot: Client,
    other: Client,
    docs: Client,
    elsewhere: Client,
}

impl Scene {
    async fn new() -> Self {
        let world = World::without_policy().await;
        let settings = json!({ "allow": [{ "actions": ["doc.read"], "resource_types": ["document"] }] });
        world.activate("read-only", components::bytes("read-only"), settings).await;
        let client = |id| Client::new(&world.reach, id);
        let scene = Self {
            bot: client("bot"),
            other: client("other"),
            docs: client("docs"),
            elsewhere: client("elsewhere"),
            world,
        };
        let registrar = &scene.world.staff.registrar;
        for agent in [&scene.bot, &scene.other] {
            registrar.post("/v1/agents", &registration(agent)).await.expect(201);
        }
        for (server, audience, resource_type) in
            [(&scene.docs, AUDIENCE, "document"), (&scene.elsewhere, "https://elsewhere.example", "thing")]
        {
            let body = json!({ "id": server.id, "audience": audience, "resource_types": [resource_type],
                "jwk": server.key.jwk });
            registrar.post("/v1/resource-servers", &body).await.expect(201);
        }
        scene
    }

    async fn send(&self, call: Call) -> Answer {
        self.world.reach.send(call).await
    }

    async fn operate(&self, path: &str, body: &Value) {
        self.world.staff.registrar.post(path, body).await.expect(200);
    }

    /// Send a good request with this assertion in place of its own.
    async fn with_assertion(&self, assertion: &str) -> Answer {
        let mut parameters = [self.bot.authentication(), token_request(&detail())].concat();
        replace(&mut parameters, "client_assertion", assertion);
        let proof = self.bot.proof(TOKEN, &self.bot.nonce().await);
        self.send(form(TOKEN, &parameters).header(PROOF_HEADER, proof)).await
    }

    /// Send a good request with this proof.
    async fn with_proof(&self, proof: String) -> Answer {
        let parameters = [self.bot.authentication(), token_request(&detail())].concat();
        self.send(form(TOKEN, &parameters).header(PROOF_HEADER, proof)).await
    }

    /// Send a good request with these parameters changed; an empty value takes one away.
    async fn with(&self, changes: &[(&'static str, &str)]) -> Answer {
        let mut parameters = token_request(&detail());
        for (name, value) in changes {
            replace(&mut parameters, name, value);
        }
        self.bot.post(TOKEN, &parameters).await
    }
}

fn registration(agent: &Client) -> Value {
    json!({
        "id": agent.id,
        "owner": "support@example.org",
        "ceiling": { PURPOSE: { "user": "without", "permissions": [{ "action": "doc.*", "resource": "document/*" }] } },
        "keys": [agent.key.registration("pod-1")],
    })
}

fn detail() -> Value {
    json!({ "type": "attorn_action", "actions": ["doc.read"], "identifier": "document/42", "purpose": PURPOSE,
        "arguments": { "section": "billing" } })
}

fn replace(parameters: &mut Parameters, name: &'static str, value: &str) {
    parameters.retain(|(other, _)| *other != name);
    if !value.is_empty() {
        parameters.push((name, value.into()));
    }
}

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

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_none_are_refused() {
    let scene = Scene::new().await;
    let changed = |change: Value| {
        let mut detail = detail();
        detail.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        json!([detail]).to_string()
    };
    let without = |name: &str| {
        let mut detail = detail();
        detail.as_object_mut().unwrap().remove(name);
        json!([detail]).to_string()
    };
    let two = json!([detail(), detail()]).to_string();
    let exchange = "urn:ietf:params:oauth:grant-type:token-exchange";
    let access = "urn:ietf:params:oauth:token-type:access_token";
    let id = "urn:ietf:params:oauth:token-type:id_token";
    let details = "authorization_details";
    let bad_details = "invalid_authorization_details";
    let size = scene.world.log_size().await;
    for (changes, code) in [
        (vec![("grant_type", "")], "invalid_request"),
        (vec![("grant_type", "password")], "unsupported_grant_type"),
        (vec![("grant_type", "authorization_code")], "unsupported_grant_type"),
        (vec![("grant_type", "Client_Credentials")], "unsupported_grant_type"),
        (vec![("scope", "read")], "invalid_scope"),
        (vec![("resource", AUDIENCE)], "invalid_target"),
        (vec![("audience", "https://elsewhere.example")], "invalid_target"),
        (vec![("audience", "https://docs.example/")], "invalid_target"),
        (vec![(details, "")], "invalid_request"),
        (vec![(details, "[]")], "invalid_request"),
        (vec![(details, "{}")], "invalid_request"),
        (vec![(details, "x")], "invalid_request"),
        (vec![(details, &*two)], "invalid_request"),
        (vec![(details, r#"[{"type":"attorn_action","type":"attorn_action"}]"#)], "invalid_request"),
        (vec![(details, &*changed(json!({ "type": "payment" })))], bad_details),
        (vec![(details, &*changed(json!({ "actions": [] })))], bad_details),
        (vec![(details, &*changed(json!({ "actions": ["doc.read", "doc.list"] })))], bad_details),
        (vec![(details, &*changed(json!({ "actions": ["doc.*"] })))], bad_details),
        (vec![(details, &*changed(json!({ "identifier": "document/*" })))], bad_details),
        (vec![(details, &*changed(json!({ "identifier": ["document/42"] })))], bad_details),
        (vec![(details, &*changed(json!({ "user": "alice" })))], bad_details),
        (vec![(details, &*changed(json!({ "locations": [AUDIENCE] })))], bad_details),
        (vec![(details, &*without("identifier"))], bad_details),
        (vec![(details, &*without("actions"))], bad_details),
        (vec![(details, &*without("purpose"))], bad_details),
        (vec![(details, &*without("type"))], bad_details),
        (vec![("grant_type", exchange)], "invalid_request"),
        (vec![("grant_type", exchange), ("subject_token", "x"), ("subject_token_type", id)], "invalid_request"),
        (vec![("grant_type", exchange), ("subject_token", "x"), ("subject_token_type", access)], "invalid_grant"),
    ] {
        let answer = scene.with(&changes).await;
        assert_eq!(answer.status, 400, "{changes:?}: {}", answer.text());
        let error = refused(&answer, 400, code);
        assert_eq!(error.decision_id, None, "{changes:?}");
    }
    assert_eq!(scene.world.log_size().await, size, "something was recorded");
    scene.with(&[("audience", AUDIENCE), ("unknown", "x"), ("client_id", "bot")]).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_no_forms_are_refused() {
    let scene = Scene::new().await;
    let parameters = [scene.bot.authentication(), token_request(&detail())].concat();
    let good = String::from_utf8(form(TOKEN, &parameters).body).unwrap();
    let media_type = "application/x-www-form-urlencoded";
    for (media_type, body) in [
        ("application/json", json!({ "grant_type": "client_credentials" }).to_string()),
        ("text/plain", good.clone()),
        ("multipart/form-data", good.clone()),
        (media_type, format!("{good}&grant_type=client_credentials")),
        (media_type, format!("{good}&%67rant_type=client_credentials")),
        (media_type, format!("{good}&unknown=1&unknown=1")),
        (media_type, format!("{good}&x=%ff")),
        (media_type, format!("{good}&x=%zz")),
        (media_type, format!("{good}&x=\u{e9}")),
        (media_type, format!("{good}&x={}", "x".repeat(16 << 10))),
    ] {
        let proof = scene.bot.proof(TOKEN, &scene.bot.nonce().await);
        let call = Call::new("POST", TOKEN).body(media_type, body).header(PROOF_HEADER, proof);
        refused(&scene.send(call).await, 400, "invalid_request");
    }
    scene.send(Call::get(TOKEN)).await.refused(405, "method_not_allowed");
}

async fn verified(scene: &Scene, token: &str) -> Value {
    let metadata: Value = scene.send(Call::get("/.well-known/oauth-authorization-server")).await.json();
    let path = metadata["jwks_uri"].as_str().unwrap().strip_prefix(&scene.world.reach.url).unwrap();
    let jwks: JwkSet = scene.send(Call::get(path)).await.json();
    let header = jsonwebtoken::decode_header(token).unwrap();
    let key = jwks.find(header.kid.as_deref().unwrap()).unwrap();
    let mut expect = Validation::new(Algorithm::ES256);
    expect.set_audience(&[AUDIENCE]);
    expect.set_issuer(&[metadata["issuer"].as_str().unwrap()]);
    jsonwebtoken::decode::<Value>(token, &DecodingKey::from_jwk(key).unwrap(), &expect).unwrap().claims
}

async fn used(scene: &Scene, token: &TokenAnswer) -> Answer {
    let granted = &token.authorization_details[0];
    let body = json!({ "action": granted.actions[0], "resource": granted.identifier,
        "arguments_digest": granted.arguments_digest });
    scene.docs.post_json(&format!("/v1/grants/{}/uses", token.grant_id), &body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_goes_its_whole_way() {
    let scene = Scene::new().await;
    let token = scene.bot.issued(&detail()).await;
    assert_eq!(token.token_type, "DPoP");
    assert!((1..=60).contains(&token.expires_in));
    let [granted] = token.authorization_details.as_slice() else { panic!("{token:?}") };
    assert_eq!(
        (granted.actions.as_slice(), granted.identifier.as_str()),
        (&["doc.read".to_owned()][..], "document/42")
    );
    assert_eq!(granted.locations, [AUDIENCE]);
    let claims = verified(&scene, &token.access_token).await;
    assert_eq!(claims["jti"], token.grant_id.as_str());
    assert_eq!(claims["cnf"]["jkt"], scene.bot.key.thumbprint.as_str());
    assert_eq!((&claims["sub"], &claims["client_id"]), (&json!("bot"), &json!("bot")));

    // It was decided and recorded like anything else.
    let entries = scene.world.entries().await;
    let entry = entries.iter().find(|entry| entry["decision_id"] == token.decision_id.as_str()).unwrap();
    assert_eq!((&entry["decision"], &entry["grant"]["id"]), (&json!("allow"), &json!(token.grant_id)));

    // Introspection says what the token says, and uses nothing up.
    for _ in 0..2 {
        let mut said = scene.docs.introspect(&token.access_token).await;
        for (name, expect) in [
            ("active", json!(true)),
            ("token_type", json!("DPoP")),
            ("uses_left", json!(1)),
            ("decision_id", json!(token.decision_id)),
        ] {
            assert_eq!(said.as_object_mut().unwrap().remove(name), Some(expect), "{name}");
        }
        assert_eq!(said, claims);
    }
    let counted: GrantUse = used(&scene, &token).await.json();
    assert_eq!((counted.use_number, counted.uses_left), (1, 0));
    used(&scene, &token).await.refused(409, "grant_spent");
    assert_eq!(scene.docs.introspect(&token.access_token).await, json!({ "active": false }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deny_is_recorded_and_named() {
    let scene = Scene::new().await;
    let mut other_action = detail();
    other_action["actions"] = json!(["doc.write"]);
    let mut other_purpose = detail();
    other_purpose["purpose"] = "sell-things".into();
    for (detail, reason) in [(&other_action, "action_not_listed"), (&other_purpose, "purpose_not_registered")] {
        let error: OAuthError = refused(&scene.bot.token(detail).await, 400, "access_denied");
        assert_eq!(error.decision, Some(DecisionKind::Deny));
        assert!(error.error_description.contains(reason), "{error:?}");
        let id = error.decision_id.unwrap();
        let entries = scene.world.entries().await;
        let entry = entries.iter().find(|entry| entry["decision_id"] == id.as_str()).unwrap();
        assert_eq!(entry["decision"], "deny");
        assert!(!entries.iter().any(|entry| entry["grant"]["id"].is_string()));
    }
    scene.operate("/v1/agents/bot/suspend", &json!({})).await;
    let error = refused(&scene.bot.token(&detail()).await, 400, "access_denied");
    assert!(error.error_description.contains("agent_suspended"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_challenge_is_named_too() {
    let scene = Scene::new().await;
    let guest = components::bytes("challenge");
    scene.world.activate("asks", guest, json!({})).await;
    let error = refused(&scene.bot.token(&detail()).await, 400, "access_denied");
    assert_eq!(error.decision, Some(DecisionKind::Challenge));
    assert!(error.decision_id.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_good_token_for_the_one_who_asks_looks_the_same() {
    let scene = Scene::new().await;
    let token = scene.bot.issued(&detail()).await.access_token;
    let (message, signature) = token.rsplit_once('.').unwrap();
    let (header, claims) = message.split_once('.').unwrap();
    let imposter = Client::new(&scene.world.reach, "imposter");
    let kid = jsonwebtoken::decode_header(&token).unwrap().kid.unwrap();
    let says = verified(&scene, &token).await;
    let forged = imposter.key.sign_raw(&json!({ "alg": "ES256", "typ": "at+jwt", "kid": kid }), &says);
    for text in [
        "x".to_owned(),
        "a.b.c".into(),
        token[1..].into(),
        format!("{token}."),
        format!("{header}.{claims}."),
        format!("{header}.{}.{signature}", claims.replacen('A', "B", 1)),
        "a".repeat(9_000),
        forged,
        scene.bot.assertion(),
    ] {
        assert_eq!(scene.docs.introspect(&text).await, json!({ "active": false }), "{text}");
    }
    assert_eq!(scene.elsewhere.introspect(&token).await, json!({ "active": false }));
    assert_eq!(scene.docs.introspect(&token).await["active"], true);
    refused(&scene.docs.post("/oauth/introspect", &[]).await, 400, "invalid_request");
    // Whoever is no registered resource server learns nothing at all.
    refused(&scene.bot.post("/oauth/introspect", &[("token", token)]).await, 401, "invalid_client");
}

#[tokio::test(flavor = "multi_thread")]
async fn introspection_sees_what_a_grant_hangs_on_as_it_is_now() {
    let scene = Scene::new().await;
    let second = Client::new(&scene.world.reach, "bot");
    scene.operate("/v1/agents/bot/keys", &second.key.registration("pod-2")).await;
    let of_second = second.issued(&detail()).await;
    let token = scene.bot.issued(&detail()).await;
    let active = async |token: &TokenAnswer| scene.docs.introspect(&token.access_token).await["active"] == true;
    assert!(active(&token).await && active(&of_second).await);
    scene.operate("/v1/agents/bot/suspend", &json!({})).await;
    assert!(!active(&token).await && !active(&of_second).await);
    // What was ended is not raised again.
    scene.operate("/v1/agents/bot/resume", &json!({})).await;
    assert!(!active(&token).await && !active(&of_second).await);
    let (of_second, token) = (second.issued(&detail()).await, scene.bot.issued(&detail()).await);
    assert!(active(&token).await && active(&of_second).await);
    scene.operate(&format!("/v1/agents/bot/keys/{}/revoke", second.key.thumbprint), &json!({})).await;
    assert!(active(&token).await && !active(&of_second).await);
    refused(&second.token(&detail()).await, 401, "invalid_client");
    scene.operate(&format!("/v1/grants/{}/revoke", token.grant_id), &json!({})).await;
    assert!(!active(&token).await);
    let last = scene.bot.issued(&detail()).await;
    scene.operate("/v1/resource-servers/docs/revoke", &json!({})).await;
    let answer = scene.docs.post("/oauth/introspect", &[("token", last.access_token)]).await;
    refused(&answer, 401, "invalid_client");
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

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_gives_up_its_own_tokens_only() {
    let scene = Scene::new().await;
    let token = scene.bot.issued(&detail()).await;
    let size = scene.world.log_size().await;
    refused(&scene.other.revoke(&token.access_token).await, 400, "unauthorized_client");
    scene.bot.revoke("x").await.expect(200);
    scene.bot.revoke(&scene.bot.assertion()).await.expect(200);
    refused(&scene.bot.post("/oauth/revoke", &[]).await, 400, "invalid_request");
    assert_eq!(scene.world.log_size().await, size);
    assert_eq!(scene.docs.introspect(&token.access_token).await["active"], true);
    for _ in 0..2 {
        scene
            .bot
            .post(
                "/oauth/revoke",
                &[("token", token.access_token.clone()), ("token_type_hint", "refresh_token".into())],
            )
            .await
            .expect(200);
    }
    let entries = scene.world.entries().await;
    let revoked: Vec<_> = entries.iter().filter(|entry| entry["type"] == "grant_revoked").collect();
    let [entry] = revoked.as_slice() else { panic!("{revoked:?}") };
    assert_eq!((&entry["agent"], &entry["about"]["grant"]), (&json!("bot"), &json!(token.grant_id)));
    assert_eq!(scene.docs.introspect(&token.access_token).await, json!({ "active": false }));
    used(&scene, &token).await.refused(409, "grant_inactive");
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_names_endpoints_that_are_there() {
    let scene = Scene::new().await;
    let url = &scene.world.reach.url;
    let server: Value = scene.send(Call::get("/.well-known/oauth-authorization-server")).await.json();
    assert_eq!(server["issuer"], url.as_str());
    assert_eq!(server["response_types_supported"], json!([]));
    assert_eq!(server["token_endpoint_auth_methods_supported"], json!(["private_key_jwt"]));
    for name in ["token_endpoint", "introspection_endpoint", "revocation_endpoint"] {
        let path = server[name].as_str().unwrap().strip_prefix(url.as_str()).unwrap();
        refused(&scene.send(form(path, &Parameters::new())).await, 401, "invalid_client");
    }
    // What it says of grants, it means; what it does not, it does not take.
    for grant_type in server["grant_types_supported"].as_array().unwrap() {
        let answer = scene.with(&[("grant_type", grant_type.as_str().unwrap())]).await;
        assert_ne!(answer.json::<Value>()["error"], "unsupported_grant_type");
    }
    let resource: Value = scene.send(Call::get("/.well-known/oauth-protected-resource")).await.json();
    assert_eq!((&resource["resource"], &resource["authorization_servers"]), (&json!(url), &json!([url])));
    assert_eq!(resource["dpop_bound_access_tokens_required"], true);
}
