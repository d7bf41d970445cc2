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

/// What a service sees of one token and one proof, at the vectors' time: nothing, or the code that it refuses with.
fn refusal(vectors: &Value, access_token: &str, proof: &str) -> Option<&'static str> {
    let now = TimeMs(vectors["now_s"].as_u64().unwrap() * 1_000);
    let (audience, key) = (text(&vectors["audience"]), key(&vectors["jwks"]["keys"][0]));
    let token = UnverifiedToken::parse(access_token)
        .and_then(|token| token.verify_for(audience, &key, text(&vectors["issuer"]), now));
    let Ok(token) = token else { return Some("bad_token") };
    let expectation = ProofExpectation {
        method: text(&vectors["method"]),
        url: &format!("{audience}{}", text(&vectors["path"])),
        body: text(&vectors["body"]).as_bytes(),
        body_digest: BodyDigest::Needed,
        now,
        access_token: Some(access_token),
        passage: None,
    };
    let proof = UnverifiedProof::parse(proof).and_then(|proof| proof.verify_by_holder(&token.holder, &expectation));
    let granted = (token.action.as_str(), token.resource.as_str());
    match proof {
        Err(_) => Some("bad_proof"),
        Ok(_) if granted.0 != vectors["action"] => Some("other_action"),
        Ok(_) if granted.1 != vectors["resource"] => Some("other_resource"),
        Ok(_) => None,
    }
}

#[test]
fn what_the_sdks_of_services_refuse_is_refused_here() {
    let vectors = vectors(include_str!("../../../tests/vectors/credentials.json"));
    for refused in vectors["refused"].as_array().unwrap() {
        let found = refusal(&vectors, text(&refused["access_token"]), text(&refused["proof"]));
        // Which arguments a digest is of is not known here.
        let expect = Some(text(&refused["code"])).filter(|code| *code != "other_arguments");
        assert_eq!(found, expect, "{}", refused["name"]);
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
    assert_eq!(refusal(&vectors, text(&good["access_token"]), text(&good["proof"])), None);
    for spelled_otherwise in good["same_targets"].as_array().unwrap() {
        assert_eq!(refusal(&vectors, text(&good["access_token"]), text(spelled_otherwise)), None);
    }
}

#[test]
fn whichever_byte_of_a_token_or_a_proof_changes_a_service_refuses_it() {
    let vectors = vectors(include_str!("../../../tests/vectors/credentials.json"));
    let (token, proof) = (text(&vectors["good"]["access_token"]), text(&vectors["good"]["proof"]));
    let flipped = |text: &str, at: usize| {
        let mut bytes = text.as_bytes().to_vec();
        bytes[at] ^= 1;
        String::from_utf8_lossy(&bytes).into_owned()
    };
    for at in 0..token.len() {
        assert!(refusal(&vectors, &flipped(token, at), proof).is_some(), "byte {at} of the token");
    }
    for at in 0..proof.len() {
        assert_eq!(refusal(&vectors, token, &flipped(proof, at)), Some("bad_proof"), "byte {at} of the proof");
    }
}
