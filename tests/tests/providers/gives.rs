//! What a good token gives.

use attorn_api::providers::Confirmation;
use attorn_tests::provider::{KeyKind, encode, with};
use serde_json::json;

use super::{Scene, permissions};

#[tokio::test(flavor = "multi_thread")]
async fn a_good_token_gives_what_is_mapped_and_says_what_is_not() {
    let scene = Scene::new(KeyKind::Rs256).await;
    let token = scene.provider.access_token(json!({
        "client_id": "bot-client", "azp": "bot-client", "aud": ["account", "https://attorn.example"],
        "scope": "openid invoices  notes", "groups": ["staff", "admins", "staff"], "tier": { "b": 1.0, "a": "x" },
        "hidden": "claim", "acr": "silver", "cnf": { "jkt": "A".repeat(43) }, "typ": "Bearer",
        "authorization_details": [
            { "type": "invoice", "actions": ["read", "pay", "delete"], "identifier": "42" },
            { "type": "invoice", "actions": ["pay"], "identifier": "../note/1" },
            { "type": "invoice", "actions": ["pay"], "identifier": 42 },
            { "type": "invoice", "actions": ["pay"], "locations": ["https://bank.example"] },
            { "type": "invoice" },
            { "type": "account", "actions": ["read"] },
        ],
    }));
    let gives = scene.gives(&token, "delegation").await;
    assert_eq!(permissions(&gives, "serve-customers"), ["invoice.read invoice/*"]);
    assert_eq!(
        permissions(&gives, "billing"),
        ["invoice.pay invoice/42", "invoice.read invoice/*", "invoice.read invoice/42", "note.* note/*"]
    );
    assert_eq!(gives.consented.len(), 2);
    let why = [
        "the scope `openid` is not mapped",
        "details of the type `invoice`: the action `delete` is not mapped",
        "details of the type `invoice`: its `identifier` names no resource: ",
        "details of the type `invoice`: its `identifier` is no text",
        "details of the type `invoice`: `locations` may narrow it, and is not understood",
        "details of the type `invoice`: it has no list of `actions`",
        "details of the type `account`: the type is not mapped",
    ];
    assert_eq!(gives.unmapped.len(), why.len(), "{:?}", gives.unmapped);
    for (said, expect) in gives.unmapped.iter().zip(why) {
        assert!(said.starts_with(expect), "{said}");
    }
    assert_eq!((gives.subject.as_deref(), gives.agent.as_deref()), (Some("alice"), Some("support-bot")));
    assert_eq!((gives.session.as_deref(), gives.acr.as_deref()), (Some("session-1"), Some("silver")));
    assert_eq!(gives.groups.unwrap(), ["admins", "staff"]);
    assert_eq!(gives.claims, json!({ "tier": { "a": "x", "b": 1 } }));
    assert_eq!(gives.confirmation, Some(Confirmation::Key("A".repeat(43))));
    let digest = blake3::derive_key("attorn subject token v1", token.as_bytes());
    assert_eq!(gives.token_digest, blake3::Hash::from(digest).to_hex().to_string());
    assert!(gives.authenticated_at_ms.unwrap() <= gives.issued_at_ms && gives.issued_at_ms < gives.expires_at_ms);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_with_nothing_more_gives_nothing_more() {
    let scene = Scene::new(KeyKind::EdDsa).await;
    let bare = json!({ "client_id": "bot-client", "sid": null, "auth_time": null, "jti": null });
    let gives = scene.gives(&scene.provider.access_token(bare), "delegation").await;
    assert_eq!((gives.session, gives.token_id, gives.authenticated_at_ms), (None, None, None));
    assert!(gives.consented.is_empty() && gives.unmapped.is_empty());
    // Nothing said of groups is not the same as that there are none.
    assert_eq!(gives.groups, None);
    let none = json!({ "client_id": "bot-client", "groups": [] });
    let none = scene.gives(&scene.provider.access_token(none), "delegation").await;
    assert_eq!(none.groups, Some(Vec::new()));
    assert_eq!((gives.confirmation, gives.claims), (None, json!({})));
    for (scopes, expect) in [
        (json!({ "scope": "" }), 0),
        (json!({ "scp": ["notes"] }), 1),
        (json!({ "scp": "invoices notes" }), 2),
        // Where there is `scope`, nothing else widens it.
        (json!({ "scope": "notes", "scp": ["invoices"] }), 1),
    ] {
        let token = scene.provider.access_token(with(json!({ "client_id": "bot-client" }), scopes.clone()));
        assert_eq!(scene.gives(&token, "delegation").await.consented.len(), expect, "{scopes}");
    }
    let bound = json!({ "client_id": "bot-client", "cnf": { "x5t#S256": encode([0xab; 32]) } });
    let gives = scene.gives(&scene.provider.access_token(bound), "delegation").await;
    assert_eq!(gives.confirmation, Some(Confirmation::Certificate("ab".repeat(32))));
}
