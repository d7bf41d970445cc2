//! Hostile client assertions, each with the code that it is refused with.

use aws_lc_rs::hmac;
use proptest::prelude::*;

use super::*;
use crate::proof::forge::{NOW, NOW_S, Signer, encode};

const ISSUER: &str = "https://attorn.example";
const ENDPOINT: &str = "https://attorn.example/oauth/token";
const EXPECTATION: AssertionExpectation<'static> = AssertionExpectation { audiences: [ISSUER, ENDPOINT], now: NOW };

fn header(signer: &Signer) -> String {
    let alg = signer.public_key().algorithm().as_str();
    format!(r#"{{"alg":"{alg}","kid":"{}","typ":"JWT"}}"#, signer.public_key().thumbprint())
}

fn claims() -> String {
    let exp = NOW_S + 60;
    format!(r#"{{"iss":"bot","sub":"bot","aud":"{ISSUER}","exp":{exp},"iat":{NOW_S},"nbf":{NOW_S},"jti":"j-1"}}"#)
}

fn verify(signer: &Signer, compact: &str) -> Result<VerifiedAssertion, AssertionError> {
    UnverifiedAssertion::parse(compact)?.verify(&signer.public_key(), &EXPECTATION)
}

fn code(result: Result<VerifiedAssertion, AssertionError>) -> &'static str {
    result.map_or_else(AssertionError::code, |_| "verified")
}

fn signers() -> [Signer; 2] {
    [Signer::es256(), Signer::ed_dsa()]
}

#[track_caller]
fn check_claims(from: &str, to: &str, expect: &str) {
    for signer in signers() {
        let claims = claims();
        assert!(claims.contains(from), "{from} is not in {claims}");
        let compact = signer.sign(&header(&signer), &claims.replace(from, to));
        assert_eq!(code(verify(&signer, &compact)), expect, "{from} {to}");
    }
}

#[track_caller]
fn check_header(from: &str, to: &str, expect: &str) {
    let signer = Signer::es256();
    let header = header(&signer);
    assert!(header.contains(from), "{from} is not in {header}");
    let compact = signer.sign(&header.replace(from, to), &claims());
    assert_eq!(code(verify(&signer, &compact)), expect, "{from} {to}");
}

#[test]
fn other_headers_are_refused() {
    for (from, to, expect) in [
        (r#""alg":"ES256""#, r#""alg":"none""#, "unsupported_algorithm"),
        (r#""alg":"ES256""#, r#""alg":"HS256""#, "unsupported_algorithm"),
        (r#""alg":"ES256""#, r#""alg":"es256""#, "unsupported_algorithm"),
        (r#""alg":"ES256""#, r#""alg":"RS256""#, "unsupported_algorithm"),
        (r#""alg":"ES256""#, r#""alg":"EdDSA""#, "bad_signature"),
        (r#""alg":"ES256","#, "", "malformed"),
        (r#""typ":"JWT""#, r#""typ":"dpop+jwt""#, "wrong_type"),
        (r#""typ":"JWT""#, r#""typ":"at+jwt""#, "wrong_type"),
        (r#","typ":"JWT""#, "", "verified"),
        (r#""typ":"JWT""#, r#""typ":"client-authentication+jwt""#, "verified"),
        (r#","typ""#, r#","crit":[],"typ""#, "malformed"),
        (r#","typ""#, r#","b64":true,"typ""#, "malformed"),
        (r#","typ""#, r#","jku":"https://evil.example","typ""#, "malformed"),
        (r#","typ""#, r#","x5u":"https://evil.example","typ""#, "malformed"),
        (r#","typ""#, r#","x5c":[],"typ""#, "malformed"),
        (r#","typ""#, r#","jwk":{},"typ""#, "malformed"),
        (r#","typ""#, r#","alg":"ES256","typ""#, "malformed"),
    ] {
        check_header(from, to, expect);
    }
}

#[test]
fn a_workload_s_token_is_told_by_two_names() {
    let (padding, twice) = ("x".repeat(8 << 10), r#""sub":"pod","sub":"pod""#);
    for (claims, expect) in [
        (r#"{"iss":"https://k8s.example","sub":"pod"}"#.to_owned(), true),
        (r#"{"iss":"bot","sub":"Bot","aud":[1],"more":{}}"#.into(), true),
        (r#"{"iss":"bot","sub":"\u0062ot"}"#.into(), false),
        (r#"{"iss":"bot","sub":"bot"}"#.into(), false),
        (r#"{"iss":"https://k8s.example"}"#.into(), false),
        (r#"{"sub":"pod"}"#.into(), false),
        (r#"{"iss":"https://k8s.example","sub":1}"#.into(), false),
        (r#"{"iss":"https://k8s.example","sub":null}"#.into(), false),
        (r#"["https://k8s.example","pod"]"#.into(), false),
        (format!(r#"{{"iss":"https://k8s.example",{twice}}}"#), false),
        (format!(r#"{{"iss":"https://k8s.example","sub":"pod","x":"{padding}"}}"#), false),
        ("{".into(), false),
    ] {
        assert_eq!(is_about_another(&format!("a.{}.b", encode(claims.as_bytes()))), expect, "{claims}");
    }
    for text in ["", ".", "a.b.c", "..", "a.%%.c"] {
        assert!(!is_about_another(text), "{text}");
    }
}

#[test]
fn other_claims_are_refused() {
    let iat = format!(r#""iat":{NOW_S}"#);
    let exp = format!(r#""exp":{}"#, NOW_S + 60);
    let aud = format!(r#""aud":"{ISSUER}""#);
    let long = "j".repeat(129);
    for (from, to, expect) in [
        (r#""sub":"bot""#, r#""sub":"other""#, "subject_mismatch"),
        (r#""iss":"bot""#, r#""iss":"other""#, "subject_mismatch"),
        (r#""iss":"bot","#, "", "malformed"),
        (r#""sub":"bot","#, "", "malformed"),
        (r#""sub":"bot""#, r#""sub":"bot","sub":"bot""#, "malformed"),
        (&*aud, r#""aud":"https://other.example""#, "wrong_audience"),
        (&*aud, r#""aud":"https://attorn.example/""#, "wrong_audience"),
        (&*aud, r#""aud":"https://Attorn.example""#, "wrong_audience"),
        (&*aud, r#""aud":"https://attorn.example/oauth/introspect""#, "wrong_audience"),
        (&*aud, r#""aud":"""#, "wrong_audience"),
        (&*aud, r#""aud":[]"#, "wrong_audience"),
        (&*aud, r#""aud":["https://attorn.example","https://other.example"]"#, "wrong_audience"),
        (&*aud, r#""aud":["https://attorn.example","https://attorn.example"]"#, "wrong_audience"),
        (&*aud, r#""aud":["https://attorn.example"]"#, "verified"),
        (&*aud, r#""aud":"https://attorn.example/oauth/token""#, "verified"),
        (&*aud, r#""aud":null"#, "malformed"),
        (r#""jti":"j-1""#, r#""jti":"""#, "malformed"),
        (r#""jti":"j-1""#, r#""jti":"a b""#, "malformed"),
        (r#""jti":"j-1""#, &format!(r#""jti":"{long}""#), "malformed"),
        (r#","jti":"j-1""#, "", "malformed"),
        (&format!("{iat},"), "", "malformed"),
        (&format!("{exp},"), "", "malformed"),
        (&*exp, r#""exp":"1""#, "malformed"),
        (&*exp, r#""exp":1.5"#, "malformed"),
        (&*exp, r#""exp":18446744073709551615"#, "malformed"),
        (r#""jti""#, r#""scope":"x","jti""#, "verified"),
    ] {
        check_claims(from, to, expect);
    }
    for signer in signers() {
        let array = format!(r#"["bot","bot","{ISSUER}",{},{NOW_S},{NOW_S},"j-1"]"#, NOW_S + 60);
        assert_eq!(code(verify(&signer, &signer.sign(&header(&signer), &array))), "malformed");
    }
}

#[test]
fn times_are_bounded_on_both_sides() {
    let iat = format!(r#""iat":{NOW_S}"#);
    let nbf = format!(r#""nbf":{NOW_S}"#);
    let exp = format!(r#""exp":{}"#, NOW_S + 60);
    // NOW is 678 ms past the second.
    for (from, name, seconds, expect) in [
        (&iat, "iat", NOW_S + 5, "verified"),
        (&iat, "iat", NOW_S + 6, "not_yet_valid"),
        (&iat, "iat", 1, "verified"),
        (&nbf, "nbf", NOW_S + 5, "verified"),
        (&nbf, "nbf", NOW_S + 6, "not_yet_valid"),
        (&exp, "exp", NOW_S + 305, "verified"),
        (&exp, "exp", NOW_S + 306, "lives_too_long"),
        (&exp, "exp", NOW_S - 4, "verified"),
        (&exp, "exp", NOW_S - 5, "expired"),
        (&exp, "exp", 0, "expired"),
    ] {
        check_claims(from, &format!(r#""{name}":{seconds}"#), expect);
    }
}

#[test]
fn only_the_registered_key_signs() {
    for signer in signers() {
        let good = signer.sign(&header(&signer), &claims());
        assert_eq!(code(verify(&signer, &good)), "verified");
        for other in [Signer::es256(), Signer::ed_dsa()] {
            assert_eq!(code(verify(&signer, &other.sign(&header(&signer), &claims()))), "bad_signature");
            assert_eq!(code(verify(&other, &good)), "bad_signature");
        }
        let (message, signature) = good.rsplit_once('.').unwrap();
        for spoilt in [
            format!("{message}."),
            format!("{message}.{}", encode([0; 64])),
            format!("{message}.{}", encode([0; 63])),
            format!("{good}="),
            format!("{good}.{signature}"),
            message.to_owned(),
            String::new(),
            "a.b.c".into(),
            "a".repeat(ASSERTION_BYTES_MAX + 1),
        ] {
            assert_ne!(code(verify(&signer, &spoilt)), "verified", "{spoilt}");
        }
    }
}

/// The public key as the secret of an HMAC, as libraries once took it.
#[test]
fn a_public_key_is_no_secret() {
    let signer = Signer::es256();
    let message = format!("{}.{}", encode(r#"{"alg":"HS256","typ":"JWT"}"#), encode(claims()));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA512, signer.jwk().as_bytes()), message.as_bytes());
    let forged = format!("{message}.{}", encode(tag));
    assert_eq!(code(verify(&signer, &forged)), "unsupported_algorithm");
}

fn verified(jti: &str, issued_s: u64, expires_s: u64, now: TimeMs) -> Result<VerifiedAssertion, AssertionError> {
    let key: PublicKey =
        r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#.parse().unwrap();
    let times = Times { issued_at: TimeMs(issued_s * 1000), not_before: None, expires_at: TimeMs(expires_s * 1000) };
    times.check(now)?;
    Ok(VerifiedAssertion { key: key.thumbprint().clone(), client: "bot".into(), jti: jti.into(), times })
}

fn accept(guard: &AssertionGuard, jti: &str, issued_s: u64, expires_s: u64, now: TimeMs) -> Result<(), AssertionError> {
    guard.accept(verified(jti, issued_s, expires_s, now)?, now).map(drop)
}

#[test]
fn an_assertion_is_accepted_once_for_as_long_as_it_lives() {
    let guard = AssertionGuard::new(ReplayLimits::default(), None, Vec::new()).unwrap();
    let (issued, expires) = (NOW_S, NOW_S + 305);
    assert_eq!(accept(&guard, "a", issued, expires, NOW), Ok(()));
    for later_s in [0, 1, 60, 71, 150, 299, 309] {
        let now = NOW.plus_ms(later_s * 1000);
        assert_eq!(accept(&guard, "a", issued, expires, now), Err(AssertionError::Replayed), "{later_s}");
    }
    assert_eq!(accept(&guard, "a", issued, expires, NOW.plus_ms(310_000)), Err(AssertionError::Expired));
    assert_eq!(accept(&guard, "b", issued, expires, NOW.plus_ms(10_000)), Ok(()));
}

#[test]
fn caps_refuse_rather_than_forget() {
    let guard = AssertionGuard::new(ReplayLimits { proofs_per_key_max: 1, proofs_max: 10 }, None, Vec::new()).unwrap();
    assert_eq!(accept(&guard, "a", NOW_S, NOW_S + 60, NOW), Ok(()));
    assert_eq!(accept(&guard, "b", NOW_S, NOW_S + 60, NOW), Err(AssertionError::TooManyAssertions));
    assert_eq!(accept(&guard, "a", NOW_S, NOW_S + 60, NOW), Err(AssertionError::Replayed));
}

#[test]
fn for_some_seconds_after_a_restart_nothing_is_accepted() {
    let guard = AssertionGuard::new(ReplayLimits::default(), Some(NOW), Vec::new()).unwrap();
    for (issued_s, now_ms, expect) in [
        (NOW_S - 1, NOW.0, Err(AssertionError::EarlierRun)),
        (NOW_S + 5, NOW.0, Err(AssertionError::EarlierRun)),
        (NOW_S + 5, NOW.0 + 100_000, Err(AssertionError::EarlierRun)),
        (NOW_S + 6, NOW.0 + 5_400, Ok(())),
    ] {
        assert_eq!(accept(&guard, "a", issued_s, issued_s + 300, TimeMs(now_ms)), expect, "{issued_s}");
    }
    assert!(!guard.is_open(NOW) && !guard.is_open(NOW.plus_ms(7_000)) && guard.is_open(NOW.plus_ms(7_001)));
    assert!(AssertionGuard::new(ReplayLimits::default(), None, Vec::new()).unwrap().is_open(NOW));
}

const HOUR_MS: u64 = 3_600_000;

fn era(from: TimeMs, until: TimeMs) -> TimeSpan {
    TimeSpan { from, until }
}

#[test]
fn what_was_accepted_in_an_era_is_refused_when_its_times_come_again_and_nobody_at_other_times() {
    let year_s = 365 * 24 * 3_600;
    let wrong = era(NOW.plus_ms(year_s * 1_000), NOW.plus_ms(year_s * 1_000 + HOUR_MS));
    let wrong_s = NOW_S + year_s;
    let guard = AssertionGuard::new(ReplayLimits::default(), None, Vec::new()).unwrap();
    accept(&guard, "a", wrong_s, wrong_s + 300, wrong.from).unwrap();
    // Issued long before it was sent, as a client may say.
    accept(&guard, "b", NOW_S + 60, wrong_s + 300, wrong.from).unwrap();
    guard.set_back(NOW, vec![wrong]);
    assert!(!guard.is_open(NOW) && guard.is_open(NOW.plus_ms(7_001)));
    let restarted = AssertionGuard::new(ReplayLimits::default(), Some(NOW), vec![wrong]).unwrap();
    for guard in [&guard, &restarted] {
        // All goes on in some seconds, and for the year until then.
        for (n, passed_s) in [7, 3_600, year_s - 400].into_iter().enumerate() {
            let (now, now_s) = (NOW.plus_ms(passed_s * 1_000), NOW_S + passed_s);
            assert!(guard.is_open(now.plus_ms(1)), "{passed_s}");
            assert_eq!(accept(guard, &n.to_string(), now_s, now_s + 300, now), Ok(()), "{passed_s}");
        }
        for (jti, issued_s) in [("a", wrong_s), ("b", NOW_S + 60)] {
            assert_eq!(accept(guard, jti, issued_s, wrong_s + 300, wrong.from), Err(AssertionError::EarlierRun));
        }
        assert!(!guard.is_open(wrong.from) && !guard.is_open(wrong.until));
        let after_s = wrong_s + 3_600 + 8;
        let after = TimeMs((after_s + 1) * 1_000);
        assert!(guard.is_open(after));
        assert_eq!(accept(guard, "c", after_s, after_s + 300, after), Ok(()));
    }
}

proptest! {
    /// However often and however far time is set back, one assertion is accepted once at most.
    #[test]
    fn no_time_that_is_set_back_accepts_an_assertion_twice(
        steps in prop::collection::vec((0_u64..200_000, prop::option::of(0_u64..1_500_000), 0_u64..24), 1..60),
    ) {
        let mut guard = AssertionGuard::new(ReplayLimits::default(), None, Vec::new()).unwrap();
        let (mut now, mut accepted, mut eras) = (NOW.plus_ms(1_000_000), [0; 24], Vec::new());
        for (n, (passed_ms, back_ms, which)) in steps.into_iter().enumerate() {
            now = now.plus_ms(passed_ms);
            if let Some(back_ms) = back_ms {
                let until = now;
                now = TimeMs(now.0.saturating_sub(back_ms).max(NOW.0));
                eras.push(era(now, until));
                // In the same run, or by a start.
                if n.is_multiple_of(2) {
                    guard.set_back(now, eras.clone());
                } else {
                    guard = AssertionGuard::new(ReplayLimits::default(), Some(now), eras.clone()).unwrap();
                }
            }
            // Their times are no others when they come again.
            let (issued, expires) = (NOW_S + which % 4 * 300, NOW_S + which * 100);
            if accept(&guard, &which.to_string(), issued, expires, now).is_ok() {
                accepted[usize::try_from(which).unwrap()] += 1;
            }
        }
        prop_assert!(accepted.iter().all(|&times| times <= 1), "{accepted:?}");
    }

    /// Whatever is accepted in one run is accepted by none that starts afterwards, however the client
    /// chooses its times.
    #[test]
    fn no_later_run_accepts_what_an_earlier_one_did(
        iat in 0_u64..20, exp in 0_u64..320, first_ms in 0_u64..400_000, pause_ms in 0_u64..400_000, again_ms in 0_u64..400_000,
    ) {
        let (iat, exp) = (NOW_S + iat, NOW_S + exp);
        let earlier = AssertionGuard::new(ReplayLimits::default(), None, Vec::new()).unwrap();
        let first = NOW.plus_ms(first_ms);
        let started = first.plus_ms(pause_ms);
        let later = AssertionGuard::new(ReplayLimits::default(), Some(started), Vec::new()).unwrap();
        let before = accept(&earlier, "a", iat, exp, first);
        let after = accept(&later, "a", iat, exp, started.plus_ms(again_ms));
        prop_assert!(before.is_err() || after.is_err(), "{before:?} {after:?}");
    }

    /// Whatever the callers' clocks say, in whatever order: one assertion is accepted once at most.
    #[test]
    fn no_order_of_clock_readings_accepts_an_assertion_twice(
        steps in prop::collection::vec((0_u64..1_500_000, 0_u64..3), 1..60),
    ) {
        let guard = AssertionGuard::new(ReplayLimits::default(), None, Vec::new()).unwrap();
        let mut accepted = [0; 3];
        for (offset_ms, which) in steps {
            let (issued, now) = (NOW_S + which * 300, NOW.plus_ms(offset_ms));
            if accept(&guard, &which.to_string(), issued, issued + 300, now).is_ok() {
                accepted[usize::try_from(which).unwrap()] += 1;
            }
        }
        prop_assert!(accepted.iter().all(|&times| times <= 1), "{accepted:?}");
    }
}
