//! Forms that ask for nothing that can be had, and what the metadata says of those that do.

use attorn_api::PROOF_HEADER;
use attorn_api::oauth::{CLIENT_CREDENTIALS, TOKEN_EXCHANGE};
use attorn_tests::Call;
use attorn_tests::oauth::{Parameters, form, refused, token_request};
use serde_json::{Value, json};

use super::{AUDIENCE, Scene, TOKEN, detail};

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

#[tokio::test(flavor = "multi_thread")]
async fn metadata_names_endpoints_that_are_there() {
    let scene = Scene::new().await;
    let url = &scene.world.reach.url;
    let server: Value = scene.send(Call::get("/.well-known/oauth-authorization-server")).await.json();
    assert_eq!(server["issuer"], url.as_str());
    assert_eq!(server["response_types_supported"], json!([]));
    assert_eq!(server["token_endpoint_auth_methods_supported"], json!(["private_key_jwt", "spiffe_jwt"]));
    assert_eq!(server["revocation_endpoint_auth_methods_supported"], json!(["private_key_jwt", "spiffe_jwt"]));
    assert_eq!(server["introspection_endpoint_auth_methods_supported"], json!(["private_key_jwt"]));
    // This server speaks no TLS, so it sees nobody's certificate.
    assert_eq!(server["tls_client_certificate_bound_access_tokens"], false);
    for name in ["token_endpoint", "introspection_endpoint", "revocation_endpoint"] {
        let path = server[name].as_str().unwrap().strip_prefix(url.as_str()).unwrap();
        refused(&scene.send(form(path, &Parameters::new())).await, 401, "invalid_client");
    }
    assert_eq!(
        server["grant_types_supported"],
        json!([CLIENT_CREDENTIALS, TOKEN_EXCHANGE, "urn:openid:params:grant-type:ciba"])
    );
    // What it says of grants, it means; what it does not, it does not take.
    for grant_type in server["grant_types_supported"].as_array().unwrap() {
        let answer = scene.with(&[("grant_type", grant_type.as_str().unwrap())]).await;
        assert!(!answer.text().contains("unsupported_grant_type"), "{grant_type}: {}", answer.text());
    }
    let resource: Value = scene.send(Call::get("/.well-known/oauth-protected-resource")).await.json();
    assert_eq!((&resource["resource"], &resource["authorization_servers"]), (&json!(url), &json!([url])));
    assert_eq!(resource["dpop_bound_access_tokens_required"], true);
}
