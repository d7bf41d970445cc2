//! Hostile proofs, each with the code that it is refused with.

use aws_lc_rs::hmac;
use proptest::prelude::*;

use super::forge::{BODY, NOW, NOW_S, Scene, Signer, URL, digest_of, encode, expectation, scenes};
use super::*;
use crate::jwk::{Algorithm, Jwk};
use crate::{ReplayGuard, ReplayLimits};

#[test]
fn another_request_s_proof_is_refused() {
    for scene in scenes() {
        let proof = scene.proof();
        let good = expectation();
        for (expectation, code) in [
            (ProofExpectation { method: "GET", ..good }, "method_mismatch"),
            (ProofExpectation { method: "post", ..good }, "method_mismatch"),
            (ProofExpectation { url: "https://attorn.example/v1/other", ..good }, "url_mismatch"),
            (ProofExpectation { url: "https://evil.example/v1/decisions", ..good }, "url_mismatch"),
            (ProofExpectation { url: "", ..good }, "url_mismatch"),
            (ProofExpectation { body: b"", ..good }, "body_mismatch"),
            (ProofExpectation { body: br#"{"action":"faq.read"} "#, ..good }, "body_mismatch"),
            (ProofExpectation { access_token: Some("token"), ..good }, "access_token_mismatch"),
        ] {
            assert_eq!(scene.verify(&proof, &expectation).unwrap_err().code(), code, "{expectation:?}");
        }
        assert!(scene.verify(&proof, &good).is_ok());
    }
}

#[test]
fn another_key_s_proof_is_refused() {
    let scene = Scene::new(Signer::es256());
    let other = Signer::es256();
    // With the other's own header, and with the header of the key that is registered.
    scene.check(&other.sign(&other.header(), &scene.claims()), "bad_signature");
    scene.check(&other.sign(&scene.signer.header(), &scene.claims()), "bad_signature");
    scene.check(&scene.signer.sign(&other.header(), &scene.claims()), "bad_signature");
    let ed_dsa = Signer::ed_dsa();
    scene.check(&ed_dsa.sign(&ed_dsa.header(), &scene.claims()), "bad_signature");
}

#[test]
fn ages_are_bounded_on_both_sides() {
    let scene = Scene::new(Signer::ed_dsa());
    let made_at = TimeMs(NOW_S * 1000);
    for (now, expect) in [
        (TimeMs(made_at.0 - 5_001), Err(ProofError::NotYetValid)),
        (TimeMs(made_at.0 - 5_000), Ok(())),
        (made_at.plus_ms(65_000), Ok(())),
        (made_at.plus_ms(65_001), Err(ProofError::Expired)),
        (TimeMs(0), Err(ProofError::NotYetValid)),
        (TimeMs(u64::MAX), Err(ProofError::Expired)),
    ] {
        let claims = scene.claims().replace(&scene.nonces.current(NOW), &scene.nonces.current(now));
        let proof = scene.signer.sign(&scene.signer.header(), &claims);
        let outcome = scene.verify(&proof, &ProofExpectation { now, ..expectation() });
        assert_eq!(outcome.map(drop), expect, "{now}");
    }
    let iat = NOW_S.to_string();
    scene.check_claims(&iat, "0", "expired");
    scene.check_claims(&iat, "18446744073709551615", "not_yet_valid");
    scene.check_claims(&iat, &NOW.0.to_string(), "not_yet_valid");
    for other in ["-1", "1.5", "1e9", "null", "\"1767323045\"", "18446744073709551616", &format!("{iat}.0")] {
        scene.check_claims(&iat, other, "malformed");
    }
}

#[test]
fn other_runs_nonces_are_refused() {
    let scene = Scene::new(Signer::es256());
    let nonce = format!(r#""nonce":"{}","#, scene.nonces.current(NOW));
    let other_run = format!(r#""nonce":"{}","#, Nonces::new().unwrap().current(NOW));
    let old = format!(r#""nonce":"{}","#, scene.nonces.current(TimeMs(NOW.0 - 300_000)));
    scene.check_claims(&nonce, "", "nonce_missing");
    scene.check_claims(&nonce, r#""nonce":null,"#, "nonce_missing");
    scene.check_claims(&nonce, r#""nonce":"","#, "nonce_unknown");
    scene.check_claims(&nonce, &other_run, "nonce_unknown");
    scene.check_claims(&nonce, &old, "nonce_unknown");
    assert!(ProofError::NonceMissing.wants_nonce() && ProofError::NonceUnknown.wants_nonce());
    assert!(!ProofError::BadSignature.wants_nonce());
}

#[test]
fn tricks_with_the_algorithm_are_refused() {
    for scene in scenes() {
        let alg = if scene.signer.public_key().algorithm() == Algorithm::Es256 { "ES256" } else { "EdDSA" };
        for other in ["none", "None", "HS256", "RS256", "ES384", "ES256K", "es256", ""] {
            scene.check_header(alg, other, "unsupported_algorithm");
        }
        scene.check_header(&format!(r#""alg":"{alg}","#), "", "unsupported_algorithm");
        let swapped = if alg == "ES256" { "EdDSA" } else { "ES256" };
        scene.check_header(alg, swapped, "unsupported_algorithm");
        // No signature at all, with `none`.
        let unsigned = format!("{}.{}.", encode(scene.signer.header().replace(alg, "none")), encode(scene.claims()));
        scene.check(&unsigned, "unsupported_algorithm");
        let unsigned = format!("{}.{}.", encode(scene.signer.header()), encode(scene.claims()));
        scene.check(&unsigned, "malformed");
    }
    // The public key, which everybody knows, as the secret of an HMAC.
    let scene = Scene::new(Signer::es256());
    let message = format!("{}.{}", encode(scene.signer.header().replace("ES256", "HS256")), encode(scene.claims()));
    for secret in [scene.signer.jwk(), scene.signer.public_key().jwk().canonical_text()] {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), message.as_bytes());
        scene.check(&format!("{message}.{}", encode(tag)), "unsupported_algorithm");
    }
    // An ECDSA header with an OKP key.
    let header = scene.signer.header().replace(&scene.signer.jwk(), &Signer::ed_dsa().jwk());
    scene.check(&scene.signer.sign(&header, &scene.claims()), "unsupported_algorithm");
}

#[test]
fn signatures_that_prove_nothing_are_refused() {
    for scene in scenes() {
        let message = format!("{}.{}", encode(scene.signer.header()), encode(scene.claims()));
        let one = [[0; 31].as_slice(), &[1], &[0; 31], &[1]].concat();
        for signature in [&[0; 64][..], &[0xff; 64], &one] {
            scene.check(&format!("{message}.{}", encode(signature)), "bad_signature");
        }
        for signature in [&[0; 63][..], &[0; 65], &[0x30, 6, 2, 1, 1, 2, 1, 1]] {
            scene.check(&format!("{message}.{}", encode(signature)), "malformed");
        }
    }
}

#[test]
fn headers_have_exactly_three_members_and_maybe_a_name_of_the_key() {
    let scene = Scene::new(Signer::es256());
    for kid in [r#""kid":"other","#, r#""kid":["odd"],"#] {
        scene.check_header(r#""typ":"dpop+jwt","#, &format!(r#"{kid}"typ":"dpop+jwt","#), "verified");
    }
    for (from, to) in [("dpop+jwt", "JWT"), ("dpop+jwt", "at+jwt"), ("dpop+jwt", "DPOP+JWT")] {
        scene.check_header(from, to, "wrong_type");
    }
    scene.check_header(r#""typ":"dpop+jwt","#, "", "wrong_type");
    for added in [
        r#""crit":["exp"],"typ":"dpop+jwt","#,
        r#""kid":"one","kid":"other","typ":"dpop+jwt","#,
        r#""b64":false,"typ":"dpop+jwt","#,
        r#""x5c":["AA"],"typ":"dpop+jwt","#,
        r#""jku":"https://evil.example/","typ":"dpop+jwt","#,
        r#""typ":"dpop+jwt","typ":"dpop+jwt","#,
        r#""typ":"dpop+jwt","\u0074yp":"dpop+jwt","#,
        r#""alg":"none","typ":"dpop+jwt","#,
    ] {
        scene.check_header(r#""typ":"dpop+jwt","#, added, "malformed");
    }
    let twice = format!(r#""jwk":{0},"jwk":{0}"#, scene.signer.jwk());
    scene.check_header(&format!(r#""jwk":{}"#, scene.signer.jwk()), &twice, "malformed");
    scene.check_header("}}", r#","d":"AAAA"}}"#, "malformed");
    scene.check_header("}}", r#","kty":"EC"}}"#, "malformed");
    scene.check_header(&scene.signer.jwk(), "null", "malformed");
    let array = format!(r#"["dpop+jwt","ES256",{}]"#, scene.signer.jwk());
    scene.check(&scene.signer.sign(&array, &scene.claims()), "malformed");
}

#[test]
fn claims_are_known_ones_once_each() {
    let scene = Scene::new(Signer::es256());
    for claim in [r#""jti":"j-1","#, r#""htm":"POST","#] {
        scene.check_claims(claim, "", "malformed");
        scene.check_claims(claim, &format!("{claim}{claim}"), "malformed");
        scene.check_claims(claim, &format!(r#"{claim}"exp":1,"#), "malformed");
    }
    let long = "j".repeat(JTI_BYTES_MAX + 1);
    for jti in ["", "j 1", "j\\n", "j\\u0000", "\u{e4}", "j\u{7f}", &long] {
        scene.check_claims(r#""j-1""#, &format!(r#""{jti}""#), "malformed");
    }
    scene.check_claims(r#""j-1""#, &format!(r#""{}""#, &long[1..]), "verified");
    scene.check_claims("\"j-1\"", "1", "malformed");
    scene.check_claims("POST", "GET", "method_mismatch");
    scene.check_claims("attorn.example", "evil.example", "url_mismatch");
    scene.check_claims(r#""jti""#, r#""ath":"AAAA","jti""#, "access_token_mismatch");
    let array = format!(r#"["j-1","POST","{URL}",{NOW_S},null,"{}",null]"#, digest_of(BODY));
    scene.check(&scene.signer.sign(&scene.signer.header(), &array), "malformed");
}

#[test]
fn content_digests_have_one_form() {
    let scene = Scene::new(Signer::es256());
    let digest = digest_of(BODY);
    for other in [
        "",
        "sha-256=::",
        "sha-256=:AAAA:",
        &digest.replace("sha-256", "sha-512"),
        &digest.replace("sha-256", "SHA-256"),
        &format!("{digest}, {digest}"),
        &format!("{}:", digest.trim_end_matches("=:")),
        &digest[..digest.len() - 1],
        &format!(" {digest}"),
    ] {
        scene.check_claims(&digest, other, "malformed");
    }
    scene.check_claims(&digest, &digest_of(b""), "body_mismatch");
    let claims = scene.claims().replace(&digest, &digest_of(b""));
    let proof = scene.signer.sign(&scene.signer.header(), &claims);
    assert!(scene.verify(&proof, &ProofExpectation { body: b"", ..expectation() }).is_ok());
}

/// Whether the digest may be left out is the endpoint's to say, never the client's.
#[test]
fn only_endpoints_that_say_so_take_proofs_without_body_digest() {
    for scene in scenes() {
        let digest = format!(r#","content_digest":"{}""#, digest_of(BODY));
        let (with, without) = (scene.claims(), scene.claims().replace(&digest, ""));
        assert!(!without.contains("content_digest"));
        let null = with.replace(&digest, r#","content_digest":null"#);
        let wrong = with.replace(&digest, &digest.replace(&digest_of(BODY), &digest_of(b"other")));
        let lax = ProofExpectation { body_digest: BodyDigest::IfPresent, ..expectation() };
        for (claims, needed, if_present) in [
            (&with, "verified", "verified"),
            (&without, "malformed", "verified"),
            (&null, "malformed", "verified"),
            (&wrong, "body_mismatch", "body_mismatch"),
        ] {
            let proof = scene.signer.sign(&scene.signer.header(), claims);
            for (expectation, expect) in [(&expectation(), needed), (&lax, if_present)] {
                let code = scene.verify(&proof, expectation).map_or_else(ProofError::code, |_| "verified");
                assert_eq!(code, expect, "{claims} {expectation:?}");
            }
        }
    }
}

#[test]
fn a_proof_of_an_access_token_is_of_that_token() {
    let scene = Scene::new(Signer::es256());
    let ath = encode(Sha256::digest("token"));
    let claims = scene.claims().replace(r#""jti""#, &format!(r#""ath":"{ath}","jti""#));
    let proof = scene.signer.sign(&scene.signer.header(), &claims);
    for (access_token, expect) in [
        (Some("token"), Ok(())),
        (Some("other"), Err(ProofError::AccessTokenMismatch)),
        (Some(""), Err(ProofError::AccessTokenMismatch)),
        (None, Err(ProofError::AccessTokenMismatch)),
    ] {
        let outcome = scene.verify(&proof, &ProofExpectation { access_token, ..expectation() });
        assert_eq!(outcome.map(drop), expect, "{access_token:?}");
    }
}

#[test]
fn a_proof_of_what_goes_on_is_of_its_query_and_of_whom_it_is_for() {
    let scene = Scene::new(Signer::es256());
    let claims = scene.claims().replace(URL, &format!("{URL}?a=1"));
    let claims = claims.replace(r#""jti""#, r#""attorn_for":"support","jti""#);
    let proof = scene.signer.sign(&scene.signer.header(), &claims);
    let passage = |query, asked_for| Some(Passage { query, asked_for });
    for (passage, expect) in [
        (passage("a=1", Some("support")), Ok(())),
        (passage("a=2", Some("support")), Err(ProofError::PassageMismatch)),
        (passage("a=1&b=2", Some("support")), Err(ProofError::PassageMismatch)),
        (passage("", Some("support")), Err(ProofError::PassageMismatch)),
        (passage("a=1", Some("refunds")), Err(ProofError::PassageMismatch)),
        (passage("a=1", None), Err(ProofError::PassageMismatch)),
        // It is of nothing else.
        (None, Err(ProofError::PassageMismatch)),
    ] {
        let outcome = scene.verify(&proof, &ProofExpectation { passage, ..expectation() });
        assert_eq!(outcome.map(drop), expect, "{passage:?}");
    }
    let usual = scene.proof();
    let outcome = scene.verify(&usual, &ProofExpectation { passage: passage("", Some("support")), ..expectation() });
    assert_eq!(outcome.map(drop), Err(ProofError::PassageMismatch));
}

#[test]
fn what_is_not_a_compact_jws_is_malformed() {
    let scene = Scene::new(Signer::es256());
    let proof = scene.proof();
    for other in
        ["", ".", "..", "...", "a.b.c", "{}", &format!("{proof}.x"), &format!("{proof}="), &format!("{proof}\n")]
    {
        scene.check(other, "malformed");
    }
    scene.check(&proof.replacen('.', "=.", 1), "malformed");
    scene.check(&format!("{} ", "A".repeat(PROOF_BYTES_MAX)), "malformed");
    let deep = encode("[".repeat(2_000));
    scene.check(&format!("{deep}.{deep}.{}", encode([0; 64])), "malformed");
    let padded = format!(r#"{}"jti":"j-1","#, " ".repeat(PROOF_BYTES_MAX));
    scene.check_claims(r#""jti":"j-1","#, &padded, "malformed");
}

#[test]
fn no_part_of_a_proof_verifies() {
    for scene in scenes() {
        let proof = scene.proof();
        for at in 0..proof.len() {
            assert!(scene.verify(&proof[..at], &expectation()).is_err(), "{at}");
        }
    }
}

#[test]
fn no_changed_byte_verifies() {
    for scene in scenes() {
        let proof = scene.proof();
        for at in 0..proof.len() {
            for bit in 0..8 {
                let mut bytes = proof.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                let Ok(changed) = String::from_utf8(bytes) else { continue };
                assert!(scene.verify(&changed, &expectation()).is_err(), "{at} {bit}");
            }
        }
    }
}

#[test]
fn what_verified_is_accepted_once() {
    let guard = ReplayGuard::new(ReplayLimits::default()).unwrap();
    for scene in scenes() {
        let proof = scene.proof();
        let parsed = UnverifiedProof::parse(&proof).unwrap();
        assert_eq!(parsed.thumbprint(), &scene.signer.jwk().parse::<Jwk>().unwrap().thumbprint());
        let verified = || scene.verify(&proof, &expectation()).unwrap();
        assert_eq!(verified().jti(), "j-1");
        assert_eq!(verified().issued_at(), TimeMs(NOW_S * 1000));
        let accepted = guard.accept(verified(), NOW).unwrap();
        assert_eq!(accepted.thumbprint(), scene.signer.public_key().thumbprint());
        assert_eq!(guard.accept(verified(), NOW).unwrap_err(), ProofError::Replayed);
        // A new signature over the same claims is the same proof.
        let again = scene.verify(&scene.proof(), &expectation()).unwrap();
        assert_eq!(guard.accept(again, NOW).unwrap_err().code(), "replayed");
    }
    let full = ReplayGuard::new(ReplayLimits { proofs_per_key_max: 0, proofs_max: 0 }).unwrap();
    let [scene, _] = scenes();
    let verified = scene.verify(&scene.proof(), &expectation()).unwrap();
    assert_eq!(full.accept(verified, NOW).unwrap_err().code(), "too_many_proofs");
}

#[test]
fn debug_shows_no_more_than_the_key() {
    let [scene, _] = scenes();
    let parsed = UnverifiedProof::parse(&scene.proof()).unwrap();
    assert_eq!(format!("{parsed:?}"), format!("UnverifiedProof({})", parsed.thumbprint()));
}

proptest! {
    /// Any text at all is refused without a panic.
    #[test]
    fn any_text_is_refused(text in ".{0,200}", parts in prop::array::uniform3("[A-Za-z0-9_-]{0,80}")) {
        prop_assert!(UnverifiedProof::parse(&text).is_err());
        prop_assert!(UnverifiedProof::parse(&parts.join(".")).is_err());
    }

    /// Any JSON inside of a well-signed proof is refused without a panic.
    #[test]
    fn any_signed_json_is_refused(header in ".{0,100}", claims in ".{0,100}") {
        let signature = encode([1; 64]);
        let text = format!("{}.{}.{signature}", encode(&header), encode(&claims));
        prop_assert!(UnverifiedProof::parse(&text).is_err());
    }
}
