//! Each kind of token is good for one thing, and each way of naming agents reads one claim.

use attorn_tests::Provider;
use attorn_tests::provider::{KeyKind, USER_AUDIENCE, with};
use serde_json::json;

use super::{Scene, good};

#[tokio::test(flavor = "multi_thread")]
async fn each_way_of_naming_reads_its_claim_and_no_other() {
    for (naming, right, others) in [
        ("may_act", json!({ "may_act": { "sub": "bot-client" } }), ["act", "client_id", "azp"]),
        ("act", json!({ "act": { "sub": "bot-client" } }), ["may_act", "client_id", "azp"]),
        ("client_id", json!({ "client_id": "bot-client" }), ["may_act", "act", "azp"]),
        ("azp", json!({ "azp": "bot-client" }), ["may_act", "act", "client_id"]),
    ] {
        let scene = Scene::with(KeyKind::Es256, json!({ "names_agent_by": naming })).await;
        let gives = scene.gives(&scene.provider.access_token(right.clone()), "delegation").await;
        assert_eq!(gives.agent.as_deref(), Some("support-bot"), "{naming}");
        for other in others {
            let value = if other.ends_with("act") { json!({ "sub": "bot-client" }) } else { json!("bot-client") };
            scene.refused(&scene.provider.access_token(json!({ other: value })), "agent_not_named", "agent").await;
        }
        // The user's own client may have got the token for the agent, and is no agent itself.
        if naming == "may_act" {
            let through = with(right, json!({ "client_id": "portal", "azp": "portal" }));
            scene.gives(&scene.provider.access_token(through), "delegation").await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn providers_that_set_no_type_are_told_apart_by_claims() {
    let scene = Scene::with(KeyKind::Rs256, json!({ "token_type": "jwt", "names_agent_by": "azp" })).await;
    let provider = &scene.provider;
    let claims = with(provider.claims(), json!({ "azp": "bot-client", "typ": "Bearer" }));
    for typ in [json!("JWT"), json!(null), json!("at+jwt")] {
        let header = with(provider.header(), json!({ "typ": typ }));
        scene.gives(&provider.mint(&header, &claims), "delegation").await;
        let id_token = with(claims.clone(), json!({ "typ": "ID" }));
        scene.refused(&provider.mint(&header, &id_token), "not_an_access_token", "kind").await;
    }
    let header = with(provider.header(), json!({ "typ": "dpop+jwt" }));
    scene.refused(&provider.mint(&header, &claims), "wrong_type", "header").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn users_own_tokens_are_no_agent_s() {
    let scene = Scene::new(KeyKind::Es256).await;
    let provider = &scene.provider;
    let gives = scene.gives(&provider.user_token(json!({})), "user").await;
    assert_eq!((gives.client.as_deref(), gives.agent), (Some("portal"), None));
    scene.gives(&provider.user_token(json!({ "client_id": null, "azp": "portal" })), "user").await;
    for (claims, code, check) in [
        (json!({ "aud": "https://attorn.example" }), "wrong_audience", "audience"),
        (json!({ "aud": [USER_AUDIENCE, "https://attorn.example"] }), "audience_mixed", "audience"),
        (json!({ "client_id": "bot-client" }), "not_a_user_client", "agent"),
        (json!({ "client_id": "another" }), "not_a_user_client", "agent"),
        (json!({ "client_id": null }), "claim_missing", "agent"),
        (json!({ "azp": "bot-client" }), "another_actor", "agent"),
        (json!({ "act": { "sub": "bot-client" } }), "not_the_user", "agent"),
        (json!({ "may_act": { "sub": "bot-client" } }), "not_the_user", "agent"),
        (json!({ "act": null, "nonce": "n" }), "not_an_access_token", "kind"),
        (json!({ "cnf": { "kid": "k" } }), "confirmation_unknown", "confirmation"),
        (json!({ "sub": null }), "claim_missing", "user"),
    ] {
        scene.refused_at("main", &provider.user_token(claims), "user", code, check).await;
    }
    let user_token = provider.user_token(json!({}));
    let detail = scene.refused_at("main", &user_token, "delegation", "wrong_audience", "audience").await;
    assert_eq!(detail, format!("the token is for `{USER_AUDIENCE}`, and has to be for `https://attorn.example`"));
    let help = scene.check_at("main", &user_token, "delegation").await.help.unwrap();
    assert!(help.contains("a user's token"), "{help}");
    let without = Provider::start(KeyKind::Es256).await;
    scene.register(&without, "without", json!({ "user_audience": null, "user_clients": null })).await;
    let token = without.user_token(json!({}));
    scene.refused_at("without", &token, "user", "no_user_face", "issuer").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logout_tokens_name_a_user_or_a_session() {
    let scene = Scene::new(KeyKind::Es256).await;
    let provider = &scene.provider;
    for (claims, subject, session) in [
        (json!({}), Some("alice"), Some("session-1")),
        (json!({ "sub": null }), None, Some("session-1")),
        (json!({ "sid": null }), Some("alice"), None),
        (json!({ "aud": "bot-client" }), Some("alice"), Some("session-1")),
        (json!({ "aud": ["portal", "x"] }), Some("alice"), Some("session-1")),
        (json!({ "aud": USER_AUDIENCE, "typ": "Logout" }), Some("alice"), Some("session-1")),
    ] {
        let gives = scene.gives(&provider.logout_token(claims), "logout").await;
        assert_eq!((gives.subject.as_deref(), gives.session.as_deref()), (subject, session));
        assert_eq!(gives.token_id.as_deref(), Some("l-1"));
    }
    for (claims, code, check) in [
        (json!({ "sub": null, "sid": null }), "not_a_logout_token", "kind"),
        (json!({ "nonce": "n" }), "not_a_logout_token", "kind"),
        (json!({ "events": {} }), "not_a_logout_token", "kind"),
        (json!({ "aud": "x" }), "wrong_audience", "audience"),
        (json!({ "jti": null }), "claim_missing", "user"),
        (json!({ "exp": 1 }), "expired", "time"),
        (json!({ "sid": 7 }), "claim_malformed", "context"),
    ] {
        scene.refused_at("main", &provider.logout_token(claims), "logout", code, check).await;
    }
    let access = provider.access_token(good());
    scene.refused_at("main", &access, "logout", "wrong_type", "header").await;
    scene.refused(&provider.logout_token(good()), "wrong_type", "header").await;
    let untyped = with(provider.header(), json!({ "typ": null }));
    scene.gives(&provider.mint(&untyped, &provider.logout_claims()), "logout").await;
}
