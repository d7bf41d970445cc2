use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde_json::{Value, json};

use super::*;
use crate::fake_server::{FakeServer, ok};

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../../../tests/vectors/credentials.json")).unwrap()
}

fn published() -> Value {
    vectors()["jwks"].clone()
}

fn name() -> KeyThumbprint {
    published()["keys"][0]["kid"].as_str().unwrap().parse().unwrap()
}

/// The name of a key that nobody has.
fn nobodys() -> KeyThumbprint {
    "A".repeat(43).parse().unwrap()
}

async fn answering(answers: impl IntoIterator<Item = Response>) -> (FakeServer, Keys) {
    let server = FakeServer::with(answers).await;
    let keys = Keys::new(server.url.parse().unwrap()).unwrap();
    (server, keys)
}

#[tokio::test]
async fn a_set_that_cannot_be_read_whole_is_none() {
    let jwk = &published()["keys"][0];
    let with = |member: &str, value: Value| {
        let mut jwk = jwk.clone();
        jwk[member] = value;
        ok(&json!({ "keys": [jwk] }))
    };
    let padded = format!("{{\"keys\":[],\"x\":\"{}\"}}", "x".repeat(ANSWER_BYTES_MAX));
    for answer in [
        StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        (StatusCode::FOUND, [(header::LOCATION, "/elsewhere")]).into_response(),
        "".into_response(),
        ok(&json!([])),
        ok(&json!({})),
        ok(&json!({ "keys": [1] })),
        ok(&json!({ "keys": [{ "kty": "RSA", "n": "AQAB", "e": "AQAB" }] })),
        with("d", "AAAA".into()),
        with("x", "A".repeat(43).into()),
        ok(&json!({ "keys": vec![jwk; KEYS_MAX + 1] })),
        padded.into_response(),
    ] {
        let about = format!("{answer:?}");
        let (server, keys) = answering([answer]).await;
        assert_eq!(keys.get(&name(), Instant::now()).await.map(|_| ()), Err(NoKeys), "{about}");
        assert_eq!(server.seen().len(), 1, "{about}");
    }
}

#[tokio::test]
async fn nobody_is_asked_again_and_again() {
    let start = Instant::now();
    let (server, keys) = answering([ok(&published())]).await;
    for _ in 0..5 {
        assert!(keys.get(&nobodys(), start).await.unwrap().is_none());
    }
    assert!(keys.get(&name(), start).await.unwrap().is_some());
    assert_eq!(server.seen(), [("/.well-known/jwks.json".to_owned(), Value::Null)]);

    let (server, keys) = answering([]).await;
    for _ in 0..5 {
        assert!(keys.get(&name(), start).await.is_err());
    }
    assert_eq!(server.seen().len(), 1);
    assert!(keys.get(&name(), start + ASKED_AGAIN).await.is_err());
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn a_new_key_is_looked_for_and_an_old_one_is_not_believed_for_ever() {
    let start = Instant::now();
    let (server, keys) = answering([ok(&json!({ "keys": [] })), ok(&published()), ok(&json!({ "keys": [] }))]).await;
    assert!(keys.get(&name(), start).await.unwrap().is_none());
    let later = start + ASKED_AGAIN;
    assert!(keys.get(&name(), later).await.unwrap().is_some());
    assert!(keys.get(&name(), later + BELIEVED.saturating_sub(Duration::from_millis(1))).await.unwrap().is_some());
    assert_eq!(server.seen().len(), 2);
    assert!(keys.get(&name(), later + BELIEVED).await.unwrap().is_none());
    // Then the issuer fails, and nothing old is believed.
    assert!(keys.get(&name(), later + 2 * BELIEVED).await.is_err());
    assert_eq!(server.seen().len(), 4);
}

#[tokio::test]
async fn keys_that_sign_no_tokens_are_none() {
    let okp = json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
    let (_server, keys) = answering([ok(&json!({ "keys": [okp] }))]).await;
    let name: KeyThumbprint = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k".parse().unwrap();
    assert!(keys.get(&name, Instant::now()).await.unwrap().is_none());
}
