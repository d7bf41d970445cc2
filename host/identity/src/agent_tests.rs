//! What the agents' SDK makes, the server takes: both sides of a proof together.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::{
    BodyDigest, Jwk, Nonces, Passage, ProofError, ProofExpectation, PublicKey, ReplayGuard, ReplayLimits,
    UnverifiedProof, VerifiedProof,
};
use attorn_agent::key::{AgentKey, Algorithm};
use attorn_core::TimeMs;

const NOW: TimeMs = TimeMs(1_767_323_045_678);
const URL: &str = "https://attorn.example/v1/decisions";
const EXPECTATION: ProofExpectation<'_> = ProofExpectation {
    method: "POST",
    url: URL,
    body: b"{}",
    body_digest: BodyDigest::Needed,
    now: NOW,
    access_token: None,
    passage: None,
};

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(NOW.0)
}

fn keys() -> [AgentKey; 2] {
    [Algorithm::Es256, Algorithm::EdDsa].map(|algorithm| AgentKey::generate(algorithm).unwrap())
}

fn verify(key: &AgentKey, proof: &str, nonces: &Nonces) -> Result<VerifiedProof, ProofError> {
    let registered: PublicKey = key.public_jwk().parse().unwrap();
    UnverifiedProof::parse(proof)?.verify(&registered, &EXPECTATION, nonces)
}

#[test]
fn a_first_proof_without_a_nonce_is_sent_back_for_one() {
    let nonces = Nonces::new().unwrap();
    for key in keys() {
        let proof = key.prove("POST", URL, b"{}", None, now()).unwrap();
        let error = verify(&key, &proof, &nonces).unwrap_err();
        assert!(error.wants_nonce(), "{error}");
    }
}

#[test]
fn another_agent_s_proof_is_refused() {
    let nonces = Nonces::new().unwrap();
    let [one, other] = keys();
    let proof = one.prove("POST", URL, b"{}", Some(&nonces.current(NOW)), now()).unwrap();
    assert_eq!(verify(&other, &proof, &nonces).unwrap_err(), ProofError::BadSignature);
}

#[test]
fn a_proof_with_the_nonce_is_accepted_once() {
    let nonces = Nonces::new().unwrap();
    let guard = ReplayGuard::new(ReplayLimits::default()).unwrap();
    for key in keys() {
        let nonce = nonces.current(NOW);
        for _ in 0..3 {
            let url = format!("{URL}?page=2#top");
            let proof = key.prove("POST", &url, b"{}", Some(&nonce), now()).unwrap();
            let accepted = guard.accept(verify(&key, &proof, &nonces).unwrap(), NOW).unwrap();
            assert_eq!(accepted.thumbprint().as_str(), key.thumbprint());
            let again = guard.accept(verify(&key, &proof, &nonces).unwrap(), NOW);
            assert_eq!(again.unwrap_err(), ProofError::Replayed);
        }
    }
}

#[test]
fn a_proof_with_a_token_is_of_that_token() {
    let nonces = Nonces::new().unwrap();
    for key in keys() {
        let registered: PublicKey = key.public_jwk().parse().unwrap();
        let nonce = nonces.current(NOW);
        let proof = key.prove_with_token("POST", URL, b"{}", Some(&nonce), "token", now()).unwrap();
        for (access_token, expect) in [(Some("token"), true), (Some("other"), false), (None, false)] {
            let expectation = ProofExpectation { access_token, ..EXPECTATION };
            let outcome = UnverifiedProof::parse(&proof).unwrap().verify(&registered, &expectation, &nonces);
            assert_eq!(outcome.is_ok(), expect, "{access_token:?}");
        }
    }
}

#[test]
fn a_proof_of_what_goes_on_has_the_query_and_says_whom_it_is_for() {
    let nonces = Nonces::new().unwrap();
    for key in keys() {
        let registered: PublicKey = key.public_jwk().parse().unwrap();
        let (url, nonce) = (format!("{URL}?a=1#top"), nonces.current(NOW));
        let proof = key.prove_onward("POST", &url, b"{}", "support", Some(&nonce), now()).unwrap();
        for (query, expect) in [("a=1", true), ("a=2", false), ("", false)] {
            let passage = Some(Passage { query, asked_for: Some("support") });
            let expectation = ProofExpectation { passage, ..EXPECTATION };
            let outcome = UnverifiedProof::parse(&proof).unwrap().verify(&registered, &expectation, &nonces);
            assert_eq!(outcome.is_ok(), expect, "{query}");
        }
    }
}

#[test]
fn both_sides_know_a_key_by_the_same_name_and_text() {
    for key in keys() {
        let jwk: Jwk = key.public_jwk().parse().unwrap();
        assert_eq!(jwk.thumbprint().as_str(), key.thumbprint());
        assert_eq!(jwk.canonical_text(), key.public_jwk());
    }
}
