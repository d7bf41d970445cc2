//! What bad tokens get.

use attorn_tests::Provider;
use attorn_tests::provider::{KeyKind, ProviderKey, USER_AUDIENCE, encode, with};
use serde_json::{Value, json};

use super::{Scene, good};

#[tokio::test(flavor = "multi_thread")]
async fn forged_and_foreign_tokens_are_refused_each_with_its_code() {
    let scene = Scene::new(KeyKind::Es256).await;
    let (world, provider) = (&scene.world, &scene.provider);
    let another = Provider::start(KeyKind::Es256).await;
    scene.register(&another, "another", json!({})).await;
    let size = world.log_size().await;
    let token = |claims: Value| scene.token(claims);
    let with_header = |header: Value| provider.mint(&with(provider.header(), header), &with(provider.claims(), good()));
    let whole = token(json!({}));
    let unsigned = |algorithm: &str| {
        let header = with(provider.header(), json!({ "alg": algorithm }));
        format!("{}.{}.", encode(header.to_string()), encode(with(provider.claims(), good()).to_string()))
    };
    let twice = |from: &str, to: &str| {
        let claims = with(provider.claims(), good()).to_string();
        assert!(claims.contains(from));
        provider.key().sign(&provider.header().to_string(), &claims.replace(from, to))
    };
    let stranger = ProviderKey::generate(KeyKind::Es256, "key-1");
    let other_rsa = ProviderKey::generate(KeyKind::EdDsa, "key-1");
    for (token, code, check) in [
        // Its form.
        (String::new(), "token_malformed", "form"),
        ("a.b".into(), "token_malformed", "form"),
        (format!("{whole}.x"), "token_malformed", "form"),
        (format!("{whole} "), "token_malformed", "form"),
        (token(json!({ "padding": "x".repeat(8 << 10) })), "token_too_large", "form"),
        (twice("\"sub\":", "\"sub\":\"mallory\",\"sub\":"), "duplicate_member", "form"),
        (twice("\"sub\":", "\"deep\":{\"a\":1,\"a\":2},\"sub\":"), "duplicate_member", "form"),
        (with_header(json!({ "jku": "https://evil.example/jwks" })), "forbidden_header", "form"),
        (with_header(json!({ "x5u": "https://evil.example/chain" })), "forbidden_header", "form"),
        (with_header(json!({ "x5c": ["AA=="] })), "forbidden_header", "form"),
        (with_header(json!({ "jwk": stranger.jwk() })), "forbidden_header", "form"),
        (with_header(json!({ "crit": ["exp"] })), "forbidden_header", "form"),
        // Its issuer.
        (token(json!({ "iss": format!("{}/", provider.issuer) })), "unknown_issuer", "issuer"),
        (token(json!({ "iss": "https://sso.example" })), "unknown_issuer", "issuer"),
        (another.access_token(good()), "another_provider", "issuer"),
        (token(json!({ "iss": null })), "claim_missing", "issuer"),
        // Its header.
        (unsigned("none"), "unsigned", "header"),
        (unsigned("nOne"), "unsigned", "header"),
        (unsigned("HS256"), "symmetric_algorithm", "header"),
        (unsigned("ES384"), "algorithm_not_allowed", "header"),
        (with_header(json!({ "typ": "JWT" })), "wrong_type", "header"),
        (with_header(json!({ "typ": null })), "wrong_type", "header"),
        (with_header(json!({ "typ": "logout+jwt" })), "wrong_type", "header"),
        // Its key and signature.
        (with_header(json!({ "kid": "key-2" })), "unknown_key", "key"),
        (
            other_rsa.sign(
                &json!({ "alg": "EdDSA", "kid": "key-1", "typ": "at+jwt" }).to_string(),
                &with(provider.claims(), good()).to_string(),
            ),
            "key_disagrees",
            "key",
        ),
        (
            stranger.sign(&provider.header().to_string(), &with(provider.claims(), good()).to_string()),
            "bad_signature",
            "signature",
        ),
        (unsigned("ES256"), "bad_signature", "signature"),
    ] {
        scene.refused(&token, code, check).await;
    }
    assert_eq!(world.log_size().await, size, "something was recorded");
    // The keys were fetched for the first that could have been right.
    assert_eq!(provider.asked(), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_that_are_refused_each_with_its_code() {
    let scene = Scene::new(KeyKind::Es256).await;
    let size = scene.world.log_size().await;
    let now_s = attorn_tests::machines::now_ms() / 1_000;
    let token = |claims: Value| scene.token(claims);
    for (token, code, check) in [
        // Its kind.
        (token(json!({ "nonce": "n" })), "not_an_access_token", "kind"),
        (token(json!({ "at_hash": "h" })), "not_an_access_token", "kind"),
        (token(json!({ "c_hash": "h" })), "not_an_access_token", "kind"),
        (token(json!({ "typ": "ID" })), "not_an_access_token", "kind"),
        (token(json!({ "typ": "Refresh" })), "not_an_access_token", "kind"),
        (token(json!({ "events": {} })), "not_an_access_token", "kind"),
        // Whom it is for, and when.
        (token(json!({ "aud": "https://other.example" })), "wrong_audience", "audience"),
        (token(json!({ "aud": ["account", "bot-client"] })), "wrong_audience", "audience"),
        (token(json!({ "aud": USER_AUDIENCE })), "wrong_audience", "audience"),
        (token(json!({ "aud": ["https://attorn.example", USER_AUDIENCE] })), "audience_mixed", "audience"),
        (token(json!({ "aud": null })), "claim_missing", "audience"),
        (token(json!({ "exp": null })), "claim_missing", "time"),
        (token(json!({ "exp": now_s - 1 })), "expired", "time"),
        (token(json!({ "exp": now_s + 25 * 3_600 })), "lifetime_too_long", "time"),
        (token(json!({ "exp": "soon" })), "claim_malformed", "time"),
        (token(json!({ "nbf": now_s + 600 })), "not_yet_valid", "time"),
        (token(json!({ "iat": now_s + 600 })), "not_yet_valid", "time"),
        (token(json!({ "auth_time": now_s + 600 })), "not_yet_valid", "time"),
        // Who the user is.
        (token(json!({ "sub": null })), "claim_missing", "user"),
        (token(json!({ "sub": "" })), "claim_malformed", "user"),
        (token(json!({ "sub": "a\nb" })), "claim_malformed", "user"),
        (token(json!({ "sub": "x".repeat(256) })), "claim_malformed", "user"),
        (token(json!({ "jti": 7 })), "claim_malformed", "user"),
        (token(json!({ "acr": "x".repeat(257) })), "claim_malformed", "user"),
        // Which agent.
        (token(json!({ "client_id": null })), "agent_not_named", "agent"),
        (token(json!({ "client_id": "portal" })), "no_registered_agent", "agent"),
        (token(json!({ "client_id": "Bot-client" })), "no_registered_agent", "agent"),
        (token(json!({ "client_id": "support-bot" })), "no_registered_agent", "agent"),
        (token(json!({ "client_id": "*" })), "no_registered_agent", "agent"),
        (token(json!({ "client_id": ["bot-client"] })), "claim_malformed", "agent"),
        (token(json!({ "azp": "other-client" })), "another_actor", "agent"),
        (token(json!({ "act": "bot-client" })), "actor_malformed", "agent"),
        (token(json!({ "may_act": ["bot-client"] })), "actor_malformed", "agent"),
        (token(json!({ "may_act": {} })), "actor_malformed", "agent"),
        (token(json!({ "act": { "sub": 7 } })), "actor_malformed", "agent"),
        (token(json!({ "act": { "sub": "other-client" } })), "another_actor", "agent"),
        (token(json!({ "may_act": { "sub": "other-client" } })), "another_actor", "agent"),
        (token(json!({ "act": { "sub": "bot-client", "iss": "https://sso.example" } })), "another_actor", "agent"),
        (token(json!({ "act": { "sub": "bot-client", "act": { "sub": "bot-client" } } })), "actor_chain", "agent"),
        // What else it says.
        (token(json!({ "sid": 7 })), "claim_malformed", "context"),
        (token(json!({ "sid": "" })), "claim_malformed", "context"),
        (token(json!({ "groups": "staff" })), "claim_malformed", "context"),
        (token(json!({ "groups": ["a", ""] })), "claim_malformed", "context"),
        (token(json!({ "groups": ["x".repeat(257)] })), "claim_malformed", "context"),
        (token(json!({ "groups": (0..129).map(|n| n.to_string()).collect::<Vec<_>>() })), "claim_malformed", "context"),
        (token(json!({ "tier": "x".repeat(4 << 10) })), "claims_unusable", "context"),
        (token(json!({ "tier": 9_007_199_254_740_993_u64 })), "claims_unusable", "context"),
        (token(json!({ "cnf": "x" })), "confirmation_unknown", "confirmation"),
        (token(json!({ "cnf": {} })), "confirmation_unknown", "confirmation"),
        (token(json!({ "cnf": { "kid": "k" } })), "confirmation_unknown", "confirmation"),
        (token(json!({ "cnf": { "jkt": "short" } })), "confirmation_unknown", "confirmation"),
        (
            token(json!({ "cnf": { "jkt": "A".repeat(43), "x5t#S256": "A".repeat(43) } })),
            "confirmation_unknown",
            "confirmation",
        ),
        (token(json!({ "cnf": { "x5t#S256": "AAAA" } })), "confirmation_unknown", "confirmation"),
        (
            token(json!({ "cnf": { "jkt": "A".repeat(43), "x5t#S256": "A".repeat(43) } })),
            "confirmation_unknown",
            "confirmation",
        ),
        (token(json!({ "cnf": { "kc-jkt-type": "DPoP" } })), "confirmation_unknown", "confirmation"),
        (
            token(json!({ "cnf": { "jkt": "A".repeat(43), "kc-jkt-type": "other" } })),
            "confirmation_unknown",
            "confirmation",
        ),
        (token(json!({ "scope": ["invoices"] })), "claim_malformed", "consent"),
        (token(json!({ "scope": null, "scp": [1] })), "claim_malformed", "consent"),
        (token(json!({ "authorization_details": {} })), "claim_malformed", "consent"),
        (token(json!({ "authorization_details": ["invoice"] })), "claim_malformed", "consent"),
        (token(json!({ "authorization_details": [{ "actions": ["read"] }] })), "claim_malformed", "consent"),
    ] {
        scene.refused(&token, code, check).await;
    }
    assert_eq!(scene.world.log_size().await, size, "something was recorded");
    assert_eq!(scene.provider.asked(), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn more_consent_than_a_delegation_holds_is_refused() {
    let permissions = |n: usize| {
        let one = |m: usize| json!({ "action": "a.read", "resource": format!("a/{n}/{m}") });
        (0..64).map(one).collect::<Vec<_>>()
    };
    let scope = |n: usize| (format!("s{n}"), json!({ "purposes": ["billing"], "permissions": permissions(n) }));
    let scopes: serde_json::Map<String, Value> = (0..5).map(scope).collect();
    let scene = Scene::with(KeyKind::Es256, json!({ "scopes": scopes })).await;
    let token = |scope: &str| scene.token(json!({ "scope": scope }));
    scene.refused(&token("s0 s1 s2 s3 s4"), "consent_too_large", "consent").await;
    assert_eq!(scene.gives(&token("s0 s1 s2 s3"), "delegation").await.consented[0].permissions.len(), 256);
}
