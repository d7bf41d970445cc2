//! Proofs as the SDKs in other languages make them, and the host takes them: `tests/vectors/proofs.json`.

use std::time::Duration;

use serde_json::Value;

use super::*;

#[test]
fn proofs_say_the_same_in_every_language() {
    let vectors: Value = serde_json::from_str(include_str!("../../../../tests/vectors/proofs.json")).unwrap();
    let text = |name: &str| vectors[name].as_str().unwrap();
    let now = UNIX_EPOCH + Duration::from_secs(vectors["now_s"].as_u64().unwrap());
    for vector in vectors["proofs"].as_array().unwrap() {
        let key = AgentKey::parse(vector["private_jwk"].to_string().as_bytes()).unwrap();
        assert_eq!(key.thumbprint(), vector["thumbprint"]);
        let nonce = vector["claims"]["nonce"].as_str();
        let proof = key.prove(text("method"), text("url"), text("body").as_bytes(), nonce, now).unwrap();
        same(&proof, vector, &vector["claims"]);
        let (onward, expect) = (&vectors["onward"], &vector["onward"]["claims"]);
        let text = |name: &str| onward[name].as_str().unwrap();
        let body = text("body").as_bytes();
        let proof = key.prove_onward(text("method"), text("url"), body, text("asked_for"), nonce, now).unwrap();
        same(&proof, vector, expect);
    }
}

/// See that a proof says what it should, but for what is said once.
fn same(proof: &str, vector: &Value, expect: &Value) {
    let part = |at: usize| -> Value {
        let part = BASE64URL_NOPAD.decode(proof.split('.').nth(at).unwrap().as_bytes()).unwrap();
        serde_json::from_slice(&part).unwrap()
    };
    let mut claims = part(1);
    claims["jti"] = expect["jti"].clone();
    assert_eq!((&part(0), &claims), (&vector["header"], expect), "{}", vector["name"]);
}
