//! What Keycloak and `oidc-provider` really say, as kept in `tests/interop/samples`, minted anew with a key of ours.

use attorn_api::providers::TokenGives;
use attorn_tests::machines::now_ms;
use attorn_tests::provider::{KeyKind, with};
use serde_json::{Value, json};

use super::Scene;

/// When the samples were issued, in seconds.
const ISSUED_AT_S: u64 = 1_800_000_000;

/// A sample with our issuer and key, and its times as if it were issued now.
fn sample(scene: &Scene, name: &str, changes: Value) -> String {
    let path = format!("{}/interop/samples/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let sample: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let key = scene.provider.key();
    let mut claims = sample["claims"].clone();
    claims["iss"] = json!(scene.provider.issuer);
    for name in ["iat", "exp", "auth_time"] {
        if let Some(at_s) = claims[name].as_u64() {
            claims[name] = json!(at_s - ISSUED_AT_S + now_ms() / 1_000);
        }
    }
    let header = with(sample["header"].clone(), json!({ "kid": key.kid, "alg": key.alg() }));
    scene.provider.mint(&header, &with(claims, changes))
}

/// What is recorded about either of them, beside how it names agents.
async fn scene(kind: KeyKind, token_type: &str, names_agent_by: &str) -> Scene {
    let permission = |action: &str| json!([{ "action": action, "resource": "invoice/*" }]);
    let changes = json!({
        "token_type": token_type,
        "names_agent_by": names_agent_by,
        "clients": { "assistant": "support-bot" },
        "scopes": {
            "invoices": { "purposes": ["billing"], "permissions": permission("invoice.read") },
            "payments": { "purposes": ["billing"], "permissions": permission("invoice.pay") },
        },
        "authorization_details": {
            "invoice_access": {
                "purposes": ["billing"],
                "actions": { "invoices.read": "invoice.read" },
                "resource_prefix": "invoice/",
            },
        },
    });
    Scene::with(kind, changes).await
}

fn is_alice_s(gives: &TokenGives) {
    assert_eq!(gives.subject.as_deref(), Some("sample-subject-alice"));
    assert_eq!(gives.agent.as_deref(), Some("support-bot"));
    assert_eq!(gives.session.as_deref(), Some("sample-session-1"));
    assert_eq!(gives.groups.as_ref().unwrap(), &["billing", "staff"]);
    assert_eq!(super::permissions(gives, "billing").len(), 2);
    assert!(gives.authenticated_at_ms.is_some() && gives.acr.is_some());
}

async fn everybody_s_tokens(scene: &Scene, of: &str) {
    let nothing = || json!({});
    is_alice_s(&scene.gives(&sample(scene, &format!("{of}-access-token"), nothing()), "delegation").await);
    let bound = scene.gives(&sample(scene, &format!("{of}-access-token-bound"), nothing()), "delegation").await;
    assert!(bound.confirmation.is_some());
    is_alice_s(&bound);
    let users = sample(scene, &format!("{of}-access-token-users"), nothing());
    assert_eq!(scene.gives(&users, "user").await.client.as_deref(), Some("portal"));
    scene.refused(&users, "wrong_audience", "audience").await;
    let logout = scene.gives(&sample(scene, &format!("{of}-logout-token"), nothing()), "logout").await;
    assert_eq!((logout.session.as_deref(), logout.subject.is_some()), (Some("sample-session-1"), true));
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_oidc_provider() {
    let scene = scene(KeyKind::Es256, "at+jwt", "client_id").await;
    everybody_s_tokens(&scene, "oidc-provider").await;
    let details = scene.gives(&sample(&scene, "oidc-provider-access-token-details", json!({})), "delegation").await;
    assert!(super::permissions(&details, "billing").contains(&"invoice.read invoice/17".to_owned()));
    let id_token = sample(&scene, "oidc-provider-id-token", json!({}));
    let detail = scene.refused_at("main", &id_token, "delegation", "wrong_type", "header").await;
    assert!(detail.contains("looks like an ID token"), "{detail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_keycloak() {
    let scene = scene(KeyKind::Rs256, "jwt", "azp").await;
    everybody_s_tokens(&scene, "keycloak").await;
    // Its header is that of access tokens, and a careless mapper makes its audience ours.
    for changes in [json!({}), json!({ "aud": "https://attorn.example" }), json!({ "nonce": null, "at_hash": null })] {
        let id_token = sample(&scene, "keycloak-id-token", changes);
        scene.refused(&id_token, "not_an_access_token", "kind").await;
    }
}

/// Both name the agent in `may_act`, while the token was issued to another client.
#[tokio::test(flavor = "multi_thread")]
async fn tokens_whose_may_act_names_the_agent() {
    for (kind, of) in [(KeyKind::Es256, "oidc-provider"), (KeyKind::Rs256, "keycloak")] {
        let scene = scene(kind, "jwt", "may_act").await;
        let name = format!("{of}-access-token-may-act");
        // The sample has another `sub` there, as everywhere.
        let token = sample(&scene, &name, json!({ "may_act": { "sub": "assistant" } }));
        is_alice_s(&scene.gives(&token, "delegation").await);
        scene.refused(&sample(&scene, &name, json!({})), "no_registered_agent", "agent").await;
        scene.refused(&sample(&scene, &format!("{of}-access-token"), json!({})), "agent_not_named", "agent").await;
    }
}
