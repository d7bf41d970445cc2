//! What other languages make and check, too: `tests/vectors/proofs.json` and `credentials.json`. So the SDKs make
//! proofs that are taken here, and take tokens that are ours.

use attorn_core::TimeMs;
use serde_json::Value;

use crate::proof::{BodyDigest, Passage, ProofError, ProofExpectation, UnverifiedProof};
use crate::token_check::UnverifiedToken;
use crate::{Jwk, Nonces, PublicKey};

fn vectors(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn key(jwk: &Value) -> PublicKey {
    let mut public = jwk.clone();
    for more in ["alg", "kid", "use", "d"] {
        public.as_object_mut().unwrap().remove(more);
    }
    let jwk: Jwk = public.to_string().parse().unwrap();
    PublicKey::new(&jwk).unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

#[test]
fn proofs_of_the_sdks_are_taken_and_each_spoiled_one_is_refused_for_its_reason() {
    let vectors = vectors(include_str!("../../../tests/vectors/proofs.json"));
    let nonces = Nonces::of_test([u8::try_from(vectors["run_key_byte"].as_u64().unwrap()).unwrap(); 32]);
    let expectation = ProofExpectation {
        method: text(&vectors["method"]),
        url: text(&vectors["url"]),
        body: text(&vectors["body"]).as_bytes(),
        body_digest: BodyDigest::Needed,
        now: TimeMs(vectors["now_s"].as_u64().unwrap() * 1_000),
        access_token: None,
        passage: None,
    };
    for vector in vectors["proofs"].as_array().unwrap() {
        let key = key(&vector["private_jwk"]);
        assert_eq!(key.thumbprint().to_string(), vector["thumbprint"]);
        let code = |proof: &Value| {
            let verified =
                UnverifiedProof::parse(text(proof)).and_then(|proof| proof.verify(&key, &expectation, &nonces));
            verified.map_or_else(ProofError::code, |_| "verified")
        };
        assert_eq!(code(&vector["proof"]), "verified", "{}", vector["name"]);
        for (expect, proof) in vector["refused"].as_object().unwrap() {
            assert_eq!(code(proof), expect, "{}", vector["name"]);
        }
    }
}

#[test]
fn proofs_of_what_goes_on_are_taken_and_each_spoiled_one_is_refused_for_its_reason() {
    let vectors = vectors(include_str!("../../../tests/vectors/proofs.json"));
    let nonces = Nonces::of_test([u8::try_from(vectors["run_key_byte"].as_u64().unwrap()).unwrap(); 32]);
    let onward = &vectors["onward"];
    let (url, query) = text(&onward["url"]).split_once('?').unwrap();
    let expectation = ProofExpectation {
        method: text(&onward["method"]),
        url,
        body: text(&onward["body"]).as_bytes(),
        body_digest: BodyDigest::Needed,
        now: TimeMs(vectors["now_s"].as_u64().unwrap() * 1_000),
        access_token: None,
        passage: Some(Passage { query, asked_for: Some(text(&onward["asked_for"])) }),
    };
    for vector in vectors["proofs"].as_array().unwrap() {
        let (key, name) = (key(&vector["private_jwk"]), &vector["name"]);
        let code = |proof: &Value| {
            let verified =
                UnverifiedProof::parse(text(proof)).and_then(|proof| proof.verify(&key, &expectation, &nonces));
            verified.map_or_else(ProofError::code, |_| "verified")
        };
        assert_eq!(code(&vector["onward"]["proof"]), "verified", "{name}");
        // One of a request that stays here is none of this.
        assert_ne!(code(&vector["proof"]), "verified", "{name}");
        for refused in vector["onward"]["refused"].as_array().unwrap() {
            assert_eq!(code(&refused["proof"]), text(&refused["code"]), "{name}");
        }
    }
}

#[test]
fn tokens_that_the_sdks_take_are_ours() {
    let vectors = vectors(include_str!("../../../tests/vectors/credentials.json"));
    let (key, good) = (key(&vectors["jwks"]["keys"][0]), &vectors["good"]);
    let token = UnverifiedToken::parse(text(&good["access_token"])).unwrap();
    assert_eq!(token.verify(&key, text(&vectors["issuer"])).unwrap().to_string(), good["grant"]);
    let proof = UnverifiedProof::parse(text(&good["proof"])).unwrap();
    assert_ne!(proof.thumbprint(), key.thumbprint());
}
