//! Introspection: for the one whom the token is for, as things stand now.

use attorn_api::oauth::TokenAnswer;
use attorn_tests::oauth::{Client, refused};
use serde_json::json;

use super::{Scene, detail, verified};

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
