use serde_json::{Value, json};

use super::super::forge::{NOW_S, TokenKey};
use super::*;

const ID: &str = "spiffe://example.org/bot";
const US: &str = "https://attorn.example";
const NOW: TimeMs = TimeMs(NOW_S * 1_000);

fn header(alg: &str) -> Value {
    json!({ "alg": alg, "kid": "k1", "typ": "JWT" })
}

fn claims() -> Value {
    json!({ "sub": ID, "aud": [US], "exp": NOW_S + 300, "iat": NOW_S })
}

fn verify(token: &str, key: &TokenKey) -> Result<JwtSvid, SvidError> {
    let keys = [JwtSvidKey::parse(&key.in_bundle("k1").to_string()).unwrap()];
    UnverifiedJwtSvid::parse(token)?.verify(&"example.org".parse().unwrap(), &keys, US, NOW)
}

#[test]
fn a_token_of_each_family_is_who_it_says() {
    let cases = [
        (TokenKey::p256(), "ES256"),
        (TokenKey::p384(), "ES384"),
        (TokenKey::rsa(), "RS256"),
        (TokenKey::rsa(), "PS512"),
    ];
    for (key, alg) in cases {
        let verified = verify(&key.token(&header(alg), &claims()), &key).unwrap();
        assert_eq!((verified.spiffe_id().as_str(), verified.expires_at()), (ID, TimeMs((NOW_S + 300) * 1_000)));
        let mut one = claims();
        one["aud"] = US.into();
        verify(&key.token(&json!({ "alg": alg, "kid": "k1" }), &one), &key).unwrap();
    }
}

#[test]
fn each_wrong_header_has_its_code() {
    let key = TokenKey::p256();
    let code = |header: Value| verify(&key.token(&header, &claims()), &key).unwrap_err().code();
    for alg in ["none", "HS256", "EdDSA", "es256", ""] {
        assert_eq!(code(header(alg)), "unsupported_algorithm", "{alg}");
    }
    for (name, value) in [
        ("jku", json!("https://example.net/keys")),
        ("x5u", json!("https://example.net/x")),
        ("jwk", key.in_bundle("k1")),
        ("crit", json!(["exp"])),
        ("b64", json!(false)),
    ] {
        let mut header = header("ES256");
        header[name] = value;
        assert_eq!(code(header), "header", "{name}");
    }
    assert_eq!(code(json!({ "alg": "ES256", "kid": "k1", "typ": "at+jwt" })), "header");
    assert_eq!(code(json!({ "alg": "ES256" })), "header");
    assert_eq!(code(json!({ "kid": "k1" })), "header");
    assert_eq!(code(json!(["ES256", "k1", "JWT"])), "header");
    assert_eq!(code(json!({ "alg": "ES256", "kid": "k2" })), "unknown_key");
    // The key has one algorithm, whatever the header says.
    assert_eq!(code(header("ES384")), "bad_signature");
    assert_eq!(code(header("RS256")), "bad_signature");
}

#[test]
fn each_wrong_claim_has_its_code() {
    let key = TokenKey::p256();
    let cases: &[(&str, &str, Value)] = &[
        ("bad_spiffe_id", "sub", json!("bot")),
        ("bad_spiffe_id", "sub", json!("spiffe://example.org")),
        ("foreign_trust_domain", "sub", json!("spiffe://example.net/bot")),
        ("audience", "aud", json!("https://attorn.example/")),
        ("audience", "aud", json!([])),
        ("audience", "aud", json!([US, "https://other.example"])),
        ("audience", "aud", json!([US, US])),
        ("malformed", "aud", Value::Null),
        ("expired", "exp", json!(NOW_S)),
        ("expired", "exp", json!(0)),
        ("malformed", "exp", Value::Null),
        ("malformed", "exp", json!("soon")),
        ("malformed", "exp", json!(-1)),
        ("lives_too_long", "exp", json!(NOW_S + 3_606)),
        ("lives_too_long", "exp", json!(u64::MAX)),
        ("not_yet_valid", "nbf", json!(NOW_S + 6)),
        ("not_yet_valid", "iat", json!(NOW_S + 6)),
    ];
    for (code, name, value) in cases {
        let mut claims = claims();
        claims[*name] = value.clone();
        let error = verify(&key.token(&header("ES256"), &claims), &key).unwrap_err();
        assert_eq!(error.code(), *code, "{name} {value}: {error}");
    }
    let mut claims = claims();
    (claims["exp"], claims["nbf"]) = (json!(NOW_S + 3_605), json!(NOW_S + 5));
    verify(&key.token(&header("ES256"), &claims), &key).unwrap();
}

#[test]
fn only_the_trust_domains_key_signs_for_it() {
    let (key, other) = (TokenKey::p256(), TokenKey::p256());
    let token = key.token(&header("ES256"), &claims());
    assert_eq!(verify(&token, &other).unwrap_err().code(), "bad_signature");
    let (signed, _) = token.rsplit_once('.').unwrap();
    assert_eq!(verify(&format!("{signed}."), &key).unwrap_err().code(), "bad_signature");
    for text in ["", ".", "..", signed, &format!("{token}."), &format!("{token}=")] {
        let code = verify(text, &key).unwrap_err().code();
        assert!(matches!(code, "malformed" | "header"), "{text}: {code}");
    }
    assert_eq!(verify(&"x".repeat(JWT_BYTES_MAX + 1), &key).unwrap_err().code(), "malformed");
    let id = UnverifiedJwtSvid::parse(&token).unwrap();
    assert_eq!(format!("{id:?}"), format!("UnverifiedJwtSvid({ID})"));
}
