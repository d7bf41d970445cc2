//! Providers: tokens that are refused, each with its code; keys that cannot be had; and what a good token gives.
//!
//! Everything goes through `POST /v1/providers/{id}/check`, which uses the very functions that delegations use.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

use std::time::Duration;

use attorn_api::providers::{CheckResult, Confirmation, TokenCheck, TokenGives};
use attorn_tests::provider::{KeyKind, Mood, ProviderKey, USER_AUDIENCE, encode, with};
use attorn_tests::{Call, Provider, World};
use serde_json::{Value, json};

struct Scene {
    world: World,
    provider: Provider,
}

/// What is recorded where a test does not say otherwise.
fn recorded() -> Value {
    json!({
        "clients": { "bot-client": "support-bot" },
        "scopes": {
            "invoices": {
                "purposes": ["serve-customers", "billing"],
                "permissions": [{ "action": "invoice.read", "resource": "invoice/*" }],
            },
            "notes": { "purposes": ["billing"], "permissions": [{ "action": "note.*", "resource": "note/*" }] },
        },
        "authorization_details": {
            "invoice": {
                "purposes": ["billing"],
                "actions": { "read": "invoice.read", "pay": "invoice.pay" },
                "resource_prefix": "invoice/",
            },
        },
        "groups_claim": "groups",
        "claims": ["tier", "region"],
    })
}

impl Scene {
    async fn new(kind: KeyKind) -> Self {
        Self::with(kind, json!({})).await
    }

    /// A provider that is registered as `main`, with these changes.
    async fn with(kind: KeyKind, changes: Value) -> Self {
        let scene = Self { world: World::without_policy().await, provider: Provider::start(kind).await };
        scene.register(&scene.provider, "main", changes).await;
        scene
    }

    async fn register(&self, provider: &Provider, id: &str, changes: Value) {
        let body = provider.configuration(id, with(recorded(), changes));
        self.world.staff.registrar.post("/v1/providers", &body).await.expect(201);
    }

    async fn check_at(&self, id: &str, token: &str, token_use: &str) -> TokenCheck {
        let body = json!({ "token": token, "token_use": token_use });
        let path = format!("/v1/providers/{id}/check");
        self.world.staff.registrar.post(path, &body).await.expect(200).json()
    }

    async fn gives(&self, token: &str, token_use: &str) -> TokenGives {
        let checked = self.check_at("main", token, token_use).await;
        assert!(checked.accepted && checked.code.is_none(), "{checked:?}");
        assert!(checked.checks.iter().all(|step| step.result == CheckResult::Passed), "{checked:?}");
        checked.gives.unwrap()
    }

    /// It is refused with this code, by this check; those before it passed, and those after it were not reached.
    async fn refused_at(&self, id: &str, token: &str, token_use: &str, code: &str, check: &str) -> String {
        let checked = self.check_at(id, token, token_use).await;
        assert_eq!(checked.code.as_deref(), Some(code), "{token}: {checked:?}");
        assert!(!checked.accepted && checked.gives.is_none(), "{checked:?}");
        let at = checked.checks.iter().position(|step| step.check == check).unwrap();
        for (n, step) in checked.checks.iter().enumerate() {
            let expect = match n.cmp(&at) {
                std::cmp::Ordering::Less => CheckResult::Passed,
                std::cmp::Ordering::Equal => CheckResult::Failed,
                std::cmp::Ordering::Greater => CheckResult::NotReached,
            };
            assert_eq!(step.result, expect, "{token}: {checked:?}");
        }
        checked.checks[at].detail.clone().unwrap()
    }

    async fn refused(&self, token: &str, code: &str, check: &str) {
        self.refused_at("main", token, "delegation", code, check).await;
    }
}

/// The claims of a token that is all right.
fn good() -> Value {
    json!({ "client_id": "bot-client", "scope": "invoices" })
}

fn permissions(gives: &TokenGives, purpose: &str) -> Vec<String> {
    let consented = gives.consented.iter().find(|consented| consented.purpose == purpose);
    let permissions = consented.unwrap_or_else(|| panic!("nothing for {purpose}: {gives:?}")).permissions.iter();
    permissions.map(|permission| format!("{} {}", permission.action, permission.resource)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_are_refused_each_with_its_code() {
    let scene = Scene::new(KeyKind::Es256).await;
    let (world, provider) = (&scene.world, &scene.provider);
    let size = world.log_size().await;
    let now_s = attorn_tests::machines::now_ms() / 1_000;
    let token = |claims: Value| provider.access_token(with(good(), claims));
    let headed = |header: Value| provider.mint(&with(provider.header(), header), &with(provider.claims(), good()));
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
        (headed(json!({ "jku": "https://evil.example/jwks" })), "forbidden_header", "form"),
        (headed(json!({ "x5u": "https://evil.example/chain" })), "forbidden_header", "form"),
        (headed(json!({ "x5c": ["AA=="] })), "forbidden_header", "form"),
        (headed(json!({ "jwk": stranger.jwk() })), "forbidden_header", "form"),
        (headed(json!({ "crit": ["exp"] })), "forbidden_header", "form"),
        // Its issuer.
        (token(json!({ "iss": format!("{}/", provider.issuer) })), "another_provider", "issuer"),
        (token(json!({ "iss": "https://sso.example" })), "another_provider", "issuer"),
        (token(json!({ "iss": null })), "claim_missing", "issuer"),
        // Its header.
        (unsigned("none"), "unsigned", "header"),
        (unsigned("nOne"), "unsigned", "header"),
        (unsigned("HS256"), "symmetric_algorithm", "header"),
        (unsigned("ES384"), "algorithm_not_allowed", "header"),
        (headed(json!({ "typ": "JWT" })), "wrong_type", "header"),
        (headed(json!({ "typ": null })), "wrong_type", "header"),
        (headed(json!({ "typ": "logout+jwt" })), "wrong_type", "header"),
        // Its key and signature.
        (headed(json!({ "kid": "key-2" })), "unknown_key", "key"),
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
        (token(json!({ "cnf": { "jkt": "A".repeat(43), "jwk": {} } })), "confirmation_unknown", "confirmation"),
        (token(json!({ "cnf": { "x5t#S256": "AAAA" } })), "confirmation_unknown", "confirmation"),
        (token(json!({ "scope": ["invoices"] })), "claim_malformed", "consent"),
        (token(json!({ "scope": null, "scp": [1] })), "claim_malformed", "consent"),
        (token(json!({ "authorization_details": {} })), "claim_malformed", "consent"),
        (token(json!({ "authorization_details": ["invoice"] })), "claim_malformed", "consent"),
        (token(json!({ "authorization_details": [{ "actions": ["read"] }] })), "claim_malformed", "consent"),
    ] {
        scene.refused(&token, code, check).await;
    }
    assert_eq!(world.log_size().await, size, "something was recorded");
    // All of them together had the keys fetched for the first, and once more for the key that nobody has.
    assert_eq!(provider.asked(), (2, 2));
}

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
    assert_eq!(gives.groups, ["admins", "staff"]);
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
    assert!(gives.consented.is_empty() && gives.unmapped.is_empty() && gives.groups.is_empty());
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

#[tokio::test(flavor = "multi_thread")]
async fn more_consent_than_a_delegation_holds_is_refused() {
    let permissions = |n: usize| {
        let one = |m: usize| json!({ "action": "a.read", "resource": format!("a/{n}/{m}") });
        (0..64).map(one).collect::<Vec<_>>()
    };
    let scope = |n: usize| (format!("s{n}"), json!({ "purposes": ["billing"], "permissions": permissions(n) }));
    let scopes: serde_json::Map<String, Value> = (0..5).map(scope).collect();
    let scene = Scene::with(KeyKind::Es256, json!({ "scopes": scopes })).await;
    let token = |scope: &str| scene.provider.access_token(with(good(), json!({ "scope": scope })));
    scene.refused(&token("s0 s1 s2 s3 s4"), "consent_too_large", "consent").await;
    assert_eq!(scene.gives(&token("s0 s1 s2 s3"), "delegation").await.consented[0].permissions.len(), 256);
}

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
    scene.refused(&user_token, "wrong_audience", "audience").await;
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

#[tokio::test(flavor = "multi_thread")]
async fn documents_that_are_slow_huge_elsewhere_or_another_s_give_no_keys() {
    let scene = Scene::new(KeyKind::Es256).await;
    let cases: Vec<(Mood, &str)> = vec![
        (Mood::Slow(Duration::from_secs(60)), "they did not come within 5 s"),
        (Mood::Huge, "a document has more than 262144 bytes"),
        (Mood::ManyKeys, "the JWK Set has more than 64 keys"),
        (Mood::RedirectsConfiguration, "the provider redirects, which is never followed"),
        (Mood::RedirectsJwks, "the provider redirects, which is never followed"),
        (Mood::Down, "the provider answered with the status 503"),
        (Mood::SaysIssuer("https://sso.example".into()), "the configuration names another issuer"),
        (Mood::SaysJwksUri("http://keys.example/jwks".into()), "`jwks_uri` is no https URL"),
        (Mood::SaysJwksUri("file:///etc/passwd".into()), "`jwks_uri` is no https URL"),
        (Mood::SaysJwksUri("no URL".into()), "`jwks_uri` is no https URL"),
        (Mood::Configuration("[]".into()), "the configuration is no JSON object"),
        (Mood::Configuration(r#"{"issuer":"a","issuer":"b","jwks_uri":"c"}"#.into()), "the configuration is no JSON"),
        (Mood::Jwks("not json".into()), "the JWK Set is no JSON object"),
        (Mood::Jwks(r#"{"keys":[]}"#.into()), "the JWK Set has no RSA"),
    ];
    for (n, (mood, why)) in cases.into_iter().enumerate() {
        let (provider, id) = (Provider::start(KeyKind::Es256).await, format!("p{n}"));
        scene.register(&provider, &id, json!({})).await;
        provider.be(mood.clone());
        let token = provider.access_token(good());
        let said = scene.refused_at(&id, &token, "delegation", "keys_unavailable", "key").await;
        assert!(said.starts_with(&format!("the keys of the provider `{id}` cannot be had: {why}")), "{said}");
        // There is no second try at once, whatever is sent.
        provider.be(Mood::Good);
        let asked = provider.asked();
        scene.refused_at(&id, &token, "delegation", "keys_unavailable", "key").await;
        assert_eq!(provider.asked(), asked, "{mood:?}");
        assert!(asked.0 == 1 && asked.1 <= 1, "{mood:?}: {asked:?}");
    }
    let slash = Provider::start(KeyKind::Es256).await;
    scene.register(&slash, "slash", json!({})).await;
    slash.be(Mood::SaysIssuer(format!("{}/", slash.issuer)));
    let said = scene.refused_at("slash", &slash.access_token(good()), "delegation", "keys_unavailable", "key").await;
    assert!(said.ends_with("the configuration names another issuer"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_rotate_between_two_calls_are_found_and_old_ones_refused() {
    let scene = Scene::new(KeyKind::Rs256).await;
    let old = scene.provider.access_token(good());
    scene.gives(&old, "delegation").await;
    assert_eq!(scene.provider.asked(), (1, 1));
    scene.provider.rotate(KeyKind::Es256, "key-2");
    scene.gives(&scene.provider.access_token(good()), "delegation").await;
    assert_eq!(scene.provider.asked(), (2, 2));
    scene.refused(&old, "unknown_key", "key").await;
    assert_eq!(scene.provider.asked(), (2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn made_up_keys_and_issuers_make_nobody_fetch_more() {
    let scene = Scene::new(KeyKind::Es256).await;
    let token = scene.provider.access_token(good());
    // The first of many at once fetches, and the others wait for it.
    let many = (0..32).map(|_| scene.check_at("main", &token, "delegation"));
    assert!(futures_util::future::join_all(many).await.iter().all(|checked| checked.accepted));
    assert_eq!(scene.provider.asked(), (1, 1));
    for n in 0..50 {
        let header = with(scene.provider.header(), json!({ "kid": format!("made-up-{n}") }));
        let token = scene.provider.mint(&header, &with(scene.provider.claims(), good()));
        scene.refused(&token, "unknown_key", "key").await;
        let foreign = scene.provider.access_token(json!({ "iss": format!("{}/{n}", scene.provider.issuer) }));
        scene.refused(&foreign, "another_provider", "issuer").await;
    }
    assert_eq!(scene.provider.asked(), (2, 2));
    scene.gives(&token, "delegation").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_is_registered_changed_and_revoked_once() {
    let scene = Scene::new(KeyKind::Es256).await;
    let (provider, registrar) = (&scene.provider, &scene.world.staff.registrar);
    let own = |changes: Value| provider.configuration("main", with(recorded(), changes));
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
    let body = |changes: Value| scene.provider.configuration("fresh", with(with(recorded(), fresh.clone()), changes));
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
        // Each is within its limit, and the record is not.
        json!({ "scopes": many(20, large) }),
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
    let huge = body(json!({ "padding": "x".repeat(57 << 10) }));
    registrar.post("/v1/providers", &huge).await.refused(413, "body_too_large");
    registrar.post("/v1/providers/nobody/check", &json!({ "token": "a.b.c" })).await.refused(404, "not_found");
    registrar.post("/v1/providers/main/check", &json!({})).await.refused(400, "invalid_body");
    assert_eq!(scene.world.log_size().await, size, "something was recorded");
    registrar.post("/v1/providers", &body(json!({}))).await.expect(201);
}
