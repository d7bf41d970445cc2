//! Which of a provider's keys a token means, and key sets that are none.

use super::*;

#[test]
fn what_is_no_key_set_is_refused() {
    let key = Signer::p256().jwk("k");
    let many: Vec<_> = (0..=KEYS_MAX).map(|_| key.clone()).collect();
    for (text, expect) in [
        (String::new(), JwksError::Malformed),
        ("[]".into(), JwksError::Malformed),
        ("{}".into(), JwksError::Malformed),
        (json!({ "keys": {} }).to_string(), JwksError::Malformed),
        (json!({ "keys": ["k"] }).to_string(), JwksError::Malformed),
        (format!(r#"{{"keys":[],"keys":[{key}]}}"#), JwksError::Malformed),
        (json!({ "keys": many }).to_string(), JwksError::TooMany),
        (json!({ "keys": [] }).to_string(), JwksError::None),
        (json!({ "keys": [{ "kty": "oct", "k": "c2VjcmV0" }, { "kty": "AKP" }, {}] }).to_string(), JwksError::None),
        (json!({ "keys": [{ "kty": "RSA", "n": encode([0xff; 128]), "e": "AQAB" }] }).to_string(), JwksError::None),
        (json!({ "keys": [{ "kty": "EC", "crv": "P-256", "x": "AA", "y": "AA" }] }).to_string(), JwksError::None),
        (json!({ "keys": [{ "kty": "OKP", "crv": "X25519", "x": encode([1; 32]) }] }).to_string(), JwksError::None),
    ] {
        assert_eq!(IssuerKeys::parse(text.as_bytes()).unwrap_err(), expect, "{text}");
    }
    // Everybody has a copy of a private key that was published.
    let mut private = key;
    private["d"] = json!("AAAA");
    assert_eq!(IssuerKeys::parse(json!({ "keys": [private] }).to_string().as_bytes()).unwrap_err(), JwksError::None);
}

#[test]
fn the_key_has_the_token_s_name_and_agrees_with_it() {
    let signer = Signer::p256();
    let token = signer.sign(&header().to_string(), &claims().to_string());
    let nameless = signer.sign(&changed(header(), "kid", json!(null)), &claims().to_string());
    let with = |name: &str, to: Value| serde_json::from_str::<Value>(&changed(signer.jwk("k1"), name, to)).unwrap();
    let scene = |all: &[Value]| Scene { signer: Signer::p256(), keys: keys(all) };
    let other = Signer::p256().jwk("k2");
    scene(std::slice::from_ref(&other)).check(&token, "unknown_key");
    scene(&[with("kid", json!("K1"))]).check(&token, "unknown_key");
    scene(&[with("kid", json!(null))]).check(&token, "unknown_key");
    // A key of the same name, of somebody else.
    scene(&[Signer::p256().jwk("k1")]).check(&token, "bad_signature");
    for (name, value) in [
        ("use", json!("enc")),
        ("use", json!(1)),
        ("alg", json!("ES384")),
        ("alg", json!("RS256")),
        ("alg", json!(["ES256"])),
        ("key_ops", json!(["sign"])),
        ("key_ops", json!("verify")),
    ] {
        scene(&[with(name, value)]).check(&token, "key_disagrees");
    }
    scene(&[Signer::ed25519().jwk("k1")]).check(&token, "key_disagrees");
    for (name, value) in [("use", json!("sig")), ("alg", json!("ES256")), ("key_ops", json!(["sign", "verify"]))] {
        scene(&[with(name, value)]).check(&token, "verified");
    }
    // Two of one name: the one that fits, if it is one.
    scene(&[signer.jwk("k1"), Signer::ed25519().jwk("k1")]).check(&token, "verified");
    scene(&[signer.jwk("k1"), Signer::p256().jwk("k1")]).check(&token, "ambiguous_key");
    // A token without a name: likewise.
    scene(&[signer.jwk("k1")]).check(&nameless, "verified");
    scene(&[signer.jwk("k1"), Signer::ed25519().jwk("k2")]).check(&nameless, "verified");
    scene(&[signer.jwk("k1"), other]).check(&nameless, "ambiguous_key");
    scene(&[Signer::ed25519().jwk("k2")]).check(&nameless, "ambiguous_key");
    let long = signer.sign(&changed(header(), "kid", json!("k".repeat(257))), &claims().to_string());
    scene(&[signer.jwk("k1")]).check(&long, "token_malformed");
}

#[test]
fn nothing_of_a_token_is_printed() {
    let scene = Scene::new();
    let token = scene.signer.sign(&header().to_string(), &claims().to_string());
    let unverified = UnverifiedToken::parse(&token).unwrap();
    assert_eq!(format!("{unverified:?}"), format!("UnverifiedToken({ISSUER})"));
    let claims = scene.verify(&token, TokenKind::Access(ProviderTokenType::AtJwt)).unwrap();
    assert!(!format!("{claims:?}").contains("alice"));
}
