//! Tokens: decided, recorded, used and given up.

use attorn_api::decisions::DecisionKind;
use attorn_api::grants::GrantUse;
use attorn_api::oauth::OAuthError;
use attorn_tests::components;
use attorn_tests::oauth::refused;
use attorn_tests::replays::replays_identically;
use serde_json::json;

use super::{AUDIENCE, Scene, detail, used, verified};

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
    replays_identically(&scene.world).await;
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
