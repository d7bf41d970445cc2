//! Targets of the kind `proxy`: what is refused and how, what is shown and what never is, and how a secret is replaced.

use attorn_api::targets::{Target, TargetCheck};
use attorn_tests::World;
use serde_json::{Value, json};

use super::scene::{Scene, get, target};
use super::upstream::SECRET;

#[tokio::test(flavor = "multi_thread")]
async fn registrations_that_cannot_be_are_refused() {
    let world = World::without_policy().await;
    let registrar = &world.staff.registrar;
    let refused = async |status: u16, code: &str, spoil: &dyn Fn(&mut Value)| {
        let mut body = target("crm", "http://127.0.0.1:1");
        spoil(&mut body);
        let answer = registrar.post("/v1/targets", &body).await;
        assert!(!answer.text().contains(SECRET), "{}", answer.text());
        answer.refused(status, code);
    };
    for secret in ["short", "with blank", "with\nline", "with\u{e9}", &"x".repeat(1_025)] {
        refused(422, "invalid_field", &|body| body["secret"] = secret.into()).await;
    }
    refused(422, "invalid_field", &|body| body["secret"] = Value::Null).await;
    refused(422, "invalid_field", &|body| body["password"] = "x".into()).await;
    refused(422, "invalid_field", &|body| body["resource_types"] = json!(["note"])).await;
    for (member, value) in [
        ("origin", json!("ftp://api.example")),
        ("origin", json!("https://api.example/v2")),
        ("origin", json!("https://a:b@api.example")),
        ("secret_header", json!("Authorization")),
        ("secret_header", json!("transfer-encoding")),
        ("secret_prefix", json!("Bearer\r\nx: ")),
        ("tls_roots_pem", json!("no certificate")),
        ("routes", json!([])),
        ("request_headers", json!(["cookie"])),
        ("request_headers", json!(["x-http-method-override"])),
        ("response_headers", json!(["set-cookie"])),
        ("request_bytes_max", json!(40_000)),
        ("response_bytes_max", json!(0)),
        ("head_ms_max", json!(20_001)),
        ("idle_ms_max", json!(0)),
        ("total_ms_max", json!(900_001)),
        ("requests_max", json!(0)),
    ] {
        refused(422, "invalid_field", &|body| body["proxy"][member] = value.clone()).await;
    }
    for (member, value) in [
        ("method", json!("TRACE")),
        ("method", json!("get")),
        ("path", json!("v2")),
        ("path", json!("/v2/../{id}")),
        ("path", json!("/v2/%2e%2e/{id}")),
        ("path", json!("/v2/{id}/{id}")),
        ("action", json!("faq.*")),
        ("resource", json!("article/{other}")),
        ("resource", json!("note/{id}")),
        ("resource", json!("{id}/x")),
        ("query", json!(["a b"])),
        ("body", json!("json")),
    ] {
        refused(422, "invalid_field", &|body| body["proxy"]["routes"][0][member] = value.clone()).await;
    }
    refused(400, "invalid_body", &|body| body["proxy"]["follow_redirects"] = true.into()).await;
    refused(400, "invalid_body", &|body| body["proxy"]["routes"][0]["headers"] = json!([])).await;
    registrar.post("/v1/targets", &target("crm", "http://127.0.0.1:1")).await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_never_shown_and_can_be_replaced() {
    const NEXT: &str = "the-next-secret";
    let scene = Scene::new().await;
    let registrar = &scene.world.staff.registrar;
    let answer = registrar.get("/v1/targets/crm").await.expect(200);
    let shown: Target = answer.json();
    assert_eq!((shown.secret_version, shown.postgresql.is_none(), shown.asked), (1, true, true));
    let routes = shown.proxy.unwrap().routes;
    assert_eq!(routes.iter().map(|row| row.action.as_str()).collect::<Vec<_>>()[..2], ["faq.read", "faq.read"]);
    let check: TargetCheck = registrar.post("/v1/targets/crm/check", &json!({})).await.expect(200).json();
    assert!(check.reachable && check.problems.is_empty(), "{check:?}");
    registrar.act("/v1/targets/crm/rotate").await.refused(409, "invalid_state");
    registrar.post("/v1/targets/crm/secret", &json!({ "secret": "short" })).await.refused(422, "invalid_field");
    scene.get("42").await.expect(200);
    let replaced: Target =
        registrar.post("/v1/targets/crm/secret", &json!({ "secret": NEXT })).await.expect(200).json();
    assert_eq!(replaced.secret_version, 2);
    scene.get("42").await.expect(200);
    let shown: Vec<String> = scene.upstream.seen().iter().map(|seen| seen.headers["authorization"].clone()).collect();
    assert_eq!(shown, [format!("Bearer {SECRET}"), format!("Bearer {NEXT}")]);
    let entries = json!(scene.world.entries().await).to_string();
    assert!(!entries.contains(SECRET) && !entries.contains(NEXT) && entries.contains("target_secret_replaced"));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_active_targets_that_are_called_are_called() {
    let scene = Scene::new().await;
    let registrar = &scene.world.staff.registrar;
    let call = |target: &str| {
        let mut call = get("42");
        call.path = call.path.replace("crm", target);
        call
    };
    scene.send(call("none")).await.refused(404, "not_found");
    scene.send(call("Crm")).await.refused(422, "invalid_field");
    let database = json!({ "id": "shop", "resource_types": ["order"], "password": "x", "postgresql": {
        "host": "127.0.0.1", "port": 1, "database": "shop", "admin": "attorn",
        "rules": [{ "action": "*", "resource": "*", "roles": ["reader"] }],
        "connections_max": 1, "leases_max": 1, "leases_per_agent_max": 1, "lease_ms_max": 1 } });
    registrar.post("/v1/targets", &database).await.expect(201);
    scene.send(call("shop")).await.refused(404, "not_found");
    // A password is tried before it counts.
    let secret = |text: &str| json!({ "secret": text });
    registrar.post("/v1/targets/shop/secret", &secret("new")).await.refused(503, "target_unavailable");
    for none in ["", &"x".repeat(1_025)] {
        registrar.post("/v1/targets/shop/secret", &secret(none)).await.refused(422, "invalid_field");
    }
    let shown: Target = registrar.get("/v1/targets/shop").await.expect(200).json();
    assert_eq!(shown.secret_version, 1);
    registrar.post("/v1/targets/crm/suspend", &json!({})).await.expect(200);
    scene.get("42").await.refused(422, "no_target");
    registrar.post("/v1/targets/crm/resume", &json!({})).await.expect(200);
    scene.get("42").await.expect(200);
    registrar.post("/v1/targets/crm/retire", &json!({})).await.expect(200);
    scene.get("42").await.refused(422, "no_target");
    registrar.post("/v1/targets/crm/secret", &json!({ "secret": "a-new-secret" })).await.refused(409, "invalid_state");
    assert_eq!(scene.upstream.seen().len(), 1);
}
