//! Which providers are trusted, and configurations that cannot be.

use attorn_api::providers::CONFIGURATION_BYTES_MAX;
use attorn_tests::Call;
use attorn_tests::provider::{KeyKind, with};
use serde_json::{Value, json};

use super::{Scene, good, recorded};

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_is_registered_changed_and_revoked_once() {
    let scene = Scene::new(KeyKind::Es256).await;
    let (provider, registrar) = (&scene.provider, &scene.world.staff.registrar);
    let own = |changes: Value| with(provider.configuration("main", recorded()), changes);
    let post = |path: &'static str, body: Value| async move { registrar.post(path, &body).await };
    post("/v1/providers", own(json!({ "issuer": "https://a.example" }))).await.refused(409, "already_exists");
    post("/v1/providers", own(json!({ "id": "another" }))).await.refused(409, "already_exists");
    let update = "/v1/providers/main/update";
    post(update, own(json!({ "issuer": format!("{}/", provider.issuer) }))).await.refused(422, "invalid_field");
    post(update, own(json!({ "id": "another" }))).await.refused(422, "invalid_field");
    post("/v1/providers/nobody/update", own(json!({}))).await.refused(404, "not_found");
    let token = provider.access_token(good());
    scene.gives(&token, "delegation").await;
    post(update, own(json!({ "clients": {} }))).await.expect(200);
    scene.refused(&token, "no_registered_agent", "agent").await;
    post(update, own(json!({ "algorithms": ["RS256"] }))).await.expect(200);
    scene.refused(&token, "algorithm_not_allowed", "header").await;
    let shown: Value = registrar.get("/v1/providers/main").await.json();
    assert_eq!(shown["configuration"]["algorithms"], json!(["RS256"]));
    registrar.act("/v1/providers/main/revoke").await.expect(200);
    scene.refused(&token, "provider_revoked", "issuer").await;
    registrar.act("/v1/providers/main/revoke").await.refused(409, "invalid_state");
    post(update, own(json!({}))).await.refused(409, "invalid_state");
    // Id and issuer stay taken: nobody else speaks for its users.
    post("/v1/providers", own(json!({ "id": "another" }))).await.refused(409, "already_exists");
    post("/v1/providers", own(json!({ "issuer": "https://a.example" }))).await.refused(409, "already_exists");
    let list: Value = registrar.get("/v1/providers").await.json();
    assert_eq!(list["providers"].as_array().unwrap().len(), 1);
    let entries = scene.world.entries().await;
    let kinds: Vec<_> = entries.iter().filter_map(|entry| entry["type"].as_str()).collect();
    let ours: Vec<_> = kinds.into_iter().filter(|kind| kind.starts_with("provider_")).collect();
    assert_eq!(ours, ["provider_registered", "provider_updated", "provider_updated", "provider_revoked"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn configurations_that_cannot_be_are_refused() {
    let scene = Scene::new(KeyKind::Es256).await;
    let (registrar, size) = (&scene.world.staff.registrar, scene.world.log_size().await);
    let fresh = json!({ "id": "fresh", "issuer": "https://fresh.example" });
    let body = |changes: Value| with(with(scene.provider.configuration("fresh", recorded()), fresh.clone()), changes);
    let permission = json!({ "action": "a.read", "resource": "a/*" });
    let many = |n: usize, value: Value| (0..n).map(|n| (format!("n{n}"), value.clone())).collect::<Value>();
    let scope = json!({ "purposes": ["p"], "permissions": [permission] });
    let large = json!({ "purposes": ["p"], "permissions": vec![permission.clone(); 64] });
    for changes in [
        json!({ "id": "Fresh" }),
        json!({ "issuer": "http://fresh.example" }),
        json!({ "issuer": "fresh.example" }),
        json!({ "issuer": "https://fresh.example?x=1" }),
        json!({ "issuer": "https://a@fresh.example" }),
        json!({ "audience": "" }),
        json!({ "algorithms": [] }),
        json!({ "algorithms": ["none"] }),
        json!({ "algorithms": ["HS256"] }),
        json!({ "algorithms": ["RS256", "rs256"] }),
        json!({ "clients": { "bot-client": "nobody" } }),
        json!({ "clients": { "*": "support-bot" } }),
        json!({ "clients": { "a b": "support-bot" } }),
        json!({ "clients": { "portal": "support-bot" } }),
        json!({ "clients": many(257, json!("support-bot")) }),
        json!({ "scopes": { "a b": scope } }),
        json!({ "scopes": { "a": { "purposes": [], "permissions": [permission] } } }),
        json!({ "scopes": { "a": { "purposes": ["p"], "permissions": [] } } }),
        json!({ "scopes": { "a": { "purposes": ["P"], "permissions": [permission] } } }),
        json!({ "scopes": { "a": { "purposes": (0..17).map(|n| format!("p{n}")).collect::<Vec<_>>(), "permissions": [permission] } } }),
        json!({ "scopes": { "a": { "purposes": ["p"], "permissions": vec![permission.clone(); 65] } } }),
        json!({ "scopes": { "a": { "purposes": ["p"], "permissions": [{ "action": "a*", "resource": "a/*" }] } } }),
        json!({ "scopes": many(257, scope.clone()) }),
        json!({ "authorization_details": { "t": { "purposes": ["p"], "actions": {}, "resource_prefix": "a/" } } }),
        json!({ "authorization_details": { "t": { "purposes": ["p"], "actions": { "r": "a.r" }, "resource_prefix": "a" } } }),
        json!({ "authorization_details": { "t": { "purposes": ["p"], "actions": { "r": "a.r" }, "resource_prefix": "*" } } }),
        json!({ "groups_claim": "sub" }),
        json!({ "session_claim": "sub" }),
        json!({ "session_claim": "" }),
        json!({ "claims": ["scope"] }),
        json!({ "claims": (0..17).map(|n| format!("c{n}")).collect::<Vec<_>>() }),
        json!({ "delegation_ms_max": 999 }),
        json!({ "delegation_ms_max": 30_u64 * 24 * 3_600_000 + 1 }),
        json!({ "user_audience": "https://attorn.example" }),
        json!({ "user_audience": null }),
        json!({ "user_clients": null }),
    ] {
        let answer = registrar.post("/v1/providers", &body(changes.clone())).await;
        assert_eq!(answer.status, 422, "{changes}: {}", answer.text());
        answer.refused(422, "invalid_field");
    }
    for changes in [
        json!({ "token_type": "jwe" }),
        json!({ "names_agent_by": "sub" }),
        json!({ "audience": null }),
        json!({ "jwks_uri": "https://fresh.example/jwks" }),
    ] {
        registrar.post("/v1/providers", &body(changes)).await.refused(400, "invalid_body");
    }
    let twice =
        body(json!({})).to_string().replacen("\"bot-client\":", "\"bot-client\":\"support-bot\",\"bot-client\":", 1);
    registrar.send(Call::new("POST", "/v1/providers").json(twice)).await.refused(400, "invalid_body");
    // Each part is within its limit, and the whole is as long as a body may be, which the record is not.
    let mut full = body(json!({ "scopes": many(20, large) }));
    for n in 0.. {
        let left = CONFIGURATION_BYTES_MAX - full.to_string().len();
        let Some(bytes) = left.checked_sub(4) else { break };
        let (n, width): (u32, usize) = (n, (bytes + 1).min(200));
        let name = format!("{n:0>width$}");
        full["user_clients"].as_array_mut().unwrap().push(name.into());
    }
    registrar.post("/v1/providers", &full).await.refused(422, "invalid_field");
    let huge = body(json!({ "padding": "x".repeat(57 << 10) }));
    registrar.post("/v1/providers", &huge).await.refused(413, "body_too_large");
    registrar.post("/v1/providers/nobody/check", &json!({ "token": "a.b.c" })).await.refused(404, "not_found");
    registrar.post("/v1/providers/main/check", &json!({})).await.refused(400, "invalid_body");
    assert_eq!(scene.world.log_size().await, size, "something was recorded");
    registrar.post("/v1/providers", &body(json!({}))).await.expect(201);
}
