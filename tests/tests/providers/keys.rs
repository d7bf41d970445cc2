//! Keys that cannot be had, rotate, or are made up.

use std::time::Duration;

use attorn_tests::Provider;
use attorn_tests::provider::{KeyKind, Mood, with};
use serde_json::json;

use super::{Scene, good};

#[tokio::test(flavor = "multi_thread")]
async fn documents_that_are_slow_huge_elsewhere_or_another_s_give_no_keys() {
    let scene = Scene::new(KeyKind::Es256).await;
    let cases: Vec<(Mood, &str)> = vec![
        (Mood::Slow(Duration::from_mins(1)), "they did not come within 5 s"),
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
    // All of them stay, so that none gets the port of one before.
    let mut providers = Vec::new();
    for (n, (mood, why)) in cases.into_iter().enumerate() {
        providers.push(Provider::start(KeyKind::Es256).await);
        let (provider, id) = (&providers[n], format!("p{n}"));
        scene.register(provider, &id, json!({})).await;
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
        scene.refused(&foreign, "unknown_issuer", "issuer").await;
    }
    assert_eq!(scene.provider.asked(), (2, 2));
    scene.gives(&token, "delegation").await;
}
