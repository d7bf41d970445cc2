//! What this server is as a client at a provider: how it is set, what it is not, and that its secret is nowhere.

use attorn_api::backchannel::{Backchannel, BackchannelCheck};
use attorn_tests::provider::{KeyKind, Mood, with};
use attorn_tests::{Call, Provider, World};
use serde_json::{Value, json};

const PATH: &str = "/v1/providers/main/backchannel";
const SECRET: &str = "correct horse battery staple";

/// Where the key is published.
const OWN: &str = "/.well-known/client-jwks.json";

async fn keys(world: &World, path: &str) -> Value {
    world.reach.send(Call::get(path)).await.expect(200).json::<Value>()["keys"].clone()
}

async fn world() -> (World, Provider) {
    let (world, provider) = (World::without_policy().await, Provider::start(KeyKind::Es256).await);
    let recorded = json!({ "clients": { "bot-client": "support-bot" }, "claims": ["preferred_username"] });
    world.staff.registrar.post("/v1/providers", &provider.configuration("main", recorded)).await.expect(201);
    (world, provider)
}

fn signed() -> Value {
    json!({ "client_id": "attorn", "client_authentication": "private_key_jwt" })
}

fn shared() -> Value {
    json!({ "client_id": "attorn", "client_authentication": "client_secret_basic", "client_secret": SECRET })
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_set_shown_changed_and_removed_each_with_an_entry() {
    let (world, _provider) = world().await;
    let registrar = &world.staff.registrar;
    registrar.get(PATH).await.refused(404, "not_found");
    registrar.act(&format!("{PATH}/remove")).await.refused(404, "not_found");
    let set: Backchannel = registrar.post(PATH, &signed()).await.expect(200).json();
    assert_eq!((set.login_hint_claim.as_str(), set.secret_version), ("sub", None));
    assert_eq!(registrar.get(PATH).await.expect(200).json::<Backchannel>(), set);
    let hint = json!({ "login_hint_claim": "preferred_username" });
    let set: Backchannel = registrar.post(PATH, &with(shared(), hint)).await.expect(200).json();
    assert_eq!((set.login_hint_claim.as_str(), set.secret_version), ("preferred_username", Some(1)));
    let same = with(shared(), json!({ "client_secret": null }));
    assert_eq!(registrar.post(PATH, &same).await.expect(200).json::<Backchannel>().secret_version, Some(1));
    assert_eq!(registrar.post(PATH, &shared()).await.expect(200).json::<Backchannel>().secret_version, Some(2));
    registrar.post(&format!("{PATH}/remove"), &json!({ "reason": "it moved" })).await.expect(200);
    registrar.get(PATH).await.refused(404, "not_found");
    let entries = world.entries().await;
    let ours = |entry: &&Value| entry["type"].as_str().is_some_and(|kind| kind.starts_with("backchannel_"));
    let ours: Vec<_> = entries.iter().filter(ours).collect();
    assert_eq!(ours.len(), 5);
    assert_eq!(ours[0]["about"]["client_authentication"], "private_key_jwt");
    assert_eq!(ours[4]["about"], json!({ "provider": "main", "reason": "it moved" }));
    assert!(!json!(entries).to_string().contains(SECRET), "the secret is in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_refused() {
    let (world, provider) = world().await;
    let registrar = &world.staff.registrar;
    let long = "x".repeat(1_025);
    for changes in [
        // Its answers are users' answers, and nothing that an agent could exchange.
        json!({ "client_id": "bot-client" }),
        json!({ "client_id": "portal" }),
        json!({ "client_id": "a b" }),
        json!({ "login_hint_claim": "email" }),
        json!({ "login_hint_claim": "" }),
        json!({ "client_secret": SECRET }),
        json!({ "client_authentication": "client_secret_basic" }),
        json!({ "client_authentication": "client_secret_basic", "client_secret": "" }),
        json!({ "client_authentication": "client_secret_basic", "client_secret": "a\nb" }),
        json!({ "client_authentication": "client_secret_basic", "client_secret": long }),
    ] {
        let problem = registrar.post(PATH, &with(signed(), changes.clone())).await.refused(422, "invalid_field");
        assert!(!problem.detail.contains(SECRET), "{changes}");
    }
    for changes in [json!({ "client_authentication": "none" }), json!({ "client_id": null }), json!({ "more": 1 })] {
        registrar.post(PATH, &with(signed(), changes)).await.refused(400, "invalid_body");
    }
    registrar.post("/v1/providers/nobody/backchannel", &signed()).await.refused(404, "not_found");
    registrar.get(PATH).await.refused(404, "not_found");
    // A secret that was shared is none of the key that signs.
    registrar.post(PATH, &signed()).await.expect(200);
    let same = with(shared(), json!({ "client_secret": null }));
    registrar.post(PATH, &same).await.refused(422, "invalid_field");
    registrar.act("/v1/providers/main/revoke").await.expect(200);
    registrar.post(PATH, &signed()).await.refused(409, "invalid_state");
    drop(provider);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_is_made_once_published_and_none_of_those_that_sign_tokens() {
    let (mut world, _provider) = world().await;
    assert_eq!(keys(&world, OWN).await, json!([]));
    world.staff.registrar.post(PATH, &signed()).await.expect(200);
    let first = keys(&world, OWN).await;
    assert_eq!((first.as_array().unwrap().len(), &first[0]["crv"]), (1, &json!("P-256")));
    assert!(first[0]["d"].is_null());
    assert_ne!(first[0]["kid"], keys(&world, "/.well-known/jwks.json").await[0]["kid"]);
    world.staff.registrar.post(PATH, &signed()).await.expect(200);
    assert_eq!(keys(&world, OWN).await, first);
    world.server.restart(false).await;
    assert_eq!(keys(&world, OWN).await, first);
    let made = |entry: &&Value| entry["purpose"] == "provider_client";
    assert_eq!(world.entries().await.iter().filter(made).count(), 1);
}

/// What the provider lacks is said before anybody is asked in vain, and nobody is asked for it.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_provider_lacks_is_said() {
    let (world, provider) = world().await;
    let registrar = &world.staff.registrar;
    let check = async || registrar.act(&format!("{PATH}/check")).await.expect(200).json::<BackchannelCheck>();
    let first = check().await;
    assert!(first.good && first.problems.is_empty(), "{first:?}");
    assert!(first.notes.iter().any(|note| note.contains("attorn_approval")), "{first:?}");
    // It would show nobody what they approve, so nobody would be asked.
    registrar.post(PATH, &signed()).await.expect(200);
    let set = check().await;
    assert!(!set.good && matches!(set.problems.as_slice(), [one] if one.contains("`--page`")), "{set:?}");
    registrar.post(PATH, &with(signed(), json!({ "code_only": true }))).await.expect(200);
    assert!(check().await.good);
    let without = json!({ "issuer": provider.issuer, "jwks_uri": format!("{}/jwks", provider.issuer) });
    provider.be(Mood::Configuration(without.to_string()));
    let lacks = check().await;
    let named = |text: &str| lacks.problems.iter().any(|problem| problem.contains(text));
    assert!(
        named("`backchannel_authentication_endpoint`") && named("`token_endpoint`") && named("`poll`"),
        "{lacks:?}"
    );
    provider.be(Mood::Down);
    let away = check().await;
    assert!(!away.good && away.problems.len() == 1 && away.problems[0].contains("cannot be had"), "{away:?}");
    registrar.act("/v1/providers/nobody/backchannel/check").await.refused(404, "not_found");
}
