//! The key with which this server is a client of providers is rotated.

use attorn_api::provider_client_keys::ProviderClientKeys;
use attorn_tests::{Call, World};
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};

use super::prompts::Scene;

const KEYS: &str = "/v1/provider-client-keys";
const ROTATE: &str = "/v1/provider-client-keys/rotate";

/// The keys that anybody reads, by name.
async fn published(world: &World) -> Vec<String> {
    let keys: Value = world.reach.send(Call::get("/.well-known/client-jwks.json")).await.expect(200).json();
    keys["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

/// The key that signed the question of this number.
async fn signed(scene: &Scene, number: usize) -> String {
    let question = scene.question(number).await;
    let header = question.get("client_assertion").split('.').next().unwrap().to_owned();
    let header: Value = serde_json::from_slice(&BASE64URL_NOPAD.decode(header.as_bytes()).unwrap()).unwrap();
    header["kid"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_rotated_is_not() {
    let world = World::without_policy().await;
    let admin = &world.staff.admin;
    let none: ProviderClientKeys = admin.get(KEYS).await.expect(200).json();
    assert!(none.keys.is_empty());
    admin.post(ROTATE, &json!({})).await.refused(409, "invalid_state");
    admin.post(ROTATE, &json!({ "overlap_ms": 604_800_001 })).await.refused(422, "invalid_field");
    admin.post(ROTATE, &json!({ "reason": "x".repeat(257) })).await.refused(422, "invalid_field");
    admin.post(ROTATE, &json!({ "overlap_ms": -1 })).await.refused(400, "invalid_body");
    assert!(published(&world).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn both_keys_are_published_and_the_old_one_signs_until_the_new_one_was_seen() {
    let mut scene = Scene::new().await;
    let admin = &scene.behalf.staff.admin;
    let old = published(&scene.behalf).await;
    assert_eq!(old.len(), 1);
    let keys: ProviderClientKeys = admin.post(ROTATE, &json!({ "reason": "each year" })).await.expect(200).json();
    let [new, before] = &keys.keys[..] else { panic!("{keys:?}") };
    assert_eq!((&before.thumbprint, before.signs, new.signs), (&old[0], true, false));
    let until = before.published_until_ms.unwrap();
    assert_eq!((new.published_until_ms, until - new.signs_from_ms), (None, 1_800_000));
    assert_eq!(published(&scene.behalf).await, [new.thumbprint.clone(), old[0].clone()]);
    let asked = scene.challenged(5_000).await;
    assert_eq!(signed(&scene, 1).await, old[0]);
    // Not twice at once: the one that nobody has seen yet would never sign.
    scene.behalf.staff.admin.post(ROTATE, &json!({})).await.refused(409, "invalid_state");
    scene.behalf.world.server.restart(false).await;
    assert_eq!(published(&scene.behalf).await.len(), 2);
    let again: ProviderClientKeys = scene.behalf.staff.admin.get(KEYS).await.expect(200).json();
    assert_eq!(again, keys);
    assert_eq!(scene.state(&asked).await, "pending");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_somebody_may_have_is_gone_at_once_also_during_an_overlap() {
    let scene = Scene::new().await;
    let admin = &scene.behalf.staff.admin;
    admin.post(ROTATE, &json!({})).await.expect(200);
    let before = published(&scene.behalf).await;
    let body = json!({ "compromised": true, "reason": "a backup was stolen" });
    let keys: ProviderClientKeys = admin.post(ROTATE, &body).await.expect(200).json();
    assert_eq!((keys.keys.len(), keys.keys[0].version, keys.keys[0].signs), (1, 3, true));
    let now = published(&scene.behalf).await;
    assert_eq!(now, [keys.keys[0].thumbprint.clone()]);
    assert!(!before.contains(&now[0]));
    scene.challenged(5_000).await;
    assert_eq!(signed(&scene, 1).await, now[0]);

    let entries = scene.behalf.entries().await;
    let rotated: Vec<_> = entries.iter().filter(|entry| entry["type"] == "provider_client_key_rotated").collect();
    assert_eq!(rotated.len(), 2);
    let about = &rotated[1]["about"];
    assert_eq!((&about["compromised"], &about["reason"]), (&json!(true), &json!("a backup was stolen")));
    assert_eq!((&about["version"], &about["made"]["version"]), (&json!(2), &json!(3)));
    assert_eq!(about["made"]["thumbprint"], now[0].as_str());
}
