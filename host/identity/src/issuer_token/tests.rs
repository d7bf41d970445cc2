//! Tokens that are refused, each with its code; and the few that are not.

use serde_json::{Value, json};

use super::mint::{Signer, encode};
use super::*;

const NOW: TimeMs = TimeMs(1_767_323_045_678);
const NOW_S: u64 = NOW.0 / 1_000;
const ISSUER: &str = "https://sso.example/realms/main";
const AUDIENCE: &str = "https://attorn.example";

struct Scene {
    signer: Signer,
    keys: IssuerKeys,
}

fn all() -> BTreeSet<IssuerAlgorithm> {
    IssuerAlgorithm::ALL.iter().copied().collect()
}

fn keys(keys: &[Value]) -> IssuerKeys {
    IssuerKeys::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
}

fn header() -> Value {
    json!({ "alg": "ES256", "kid": "k1", "typ": "at+jwt" })
}

fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "exp": NOW_S + 300, "iat": NOW_S, "client_id": "bot",
        "scope": "invoices",
    })
}

fn changed(mut value: Value, name: &str, to: Value) -> String {
    match value.as_object_mut() {
        Some(members) if to.is_null() => drop(members.remove(name)),
        Some(members) => drop(members.insert(name.into(), to)),
        None => {}
    }
    value.to_string()
}

impl Scene {
    fn new() -> Self {
        let signer = Signer::p256();
        let keys = keys(&[signer.jwk("k1")]);
        Self { signer, keys }
    }

    fn verify(&self, token: &str, kind: TokenKind) -> Result<Claims, IssuerTokenError> {
        let algorithms = all();
        let expect =
            TokenExpectation { issuer: ISSUER, kind, algorithms: &algorithms, audiences: &[AUDIENCE], now: NOW };
        UnverifiedToken::parse(token)?.verify(&self.keys, &expect)
    }

    #[track_caller]
    fn check_kind(&self, token: &str, kind: TokenKind, expect: &str) {
        let code = self.verify(token, kind).map_or_else(IssuerTokenError::code, |_| "verified");
        assert_eq!(code, expect, "{token}");
    }

    #[track_caller]
    fn check(&self, token: &str, expect: &str) {
        self.check_kind(token, TokenKind::Access(ProviderTokenType::AtJwt), expect);
    }

    #[track_caller]
    fn check_header(&self, name: &str, to: Value, expect: &str) {
        self.check(&self.signer.sign(&changed(header(), name, to), &claims().to_string()), expect);
    }

    #[track_caller]
    fn check_claim(&self, name: &str, to: Value, expect: &str) {
        self.check(&self.signer.sign(&header().to_string(), &changed(claims(), name, to)), expect);
    }
}

#[test]
fn the_form_is_three_parts_of_two_objects() {
    let scene = Scene::new();
    let good = scene.signer.sign(&header().to_string(), &claims().to_string());
    scene.check(&good, "verified");
    let parts: Vec<&str> = good.split('.').collect();
    let padded = format!("{}.{}=.{}", parts[0], parts[1], parts[2]);
    let array = format!("{}.{}.{}", encode("[]"), parts[1], parts[2]);
    for token in [
        "",
        ".",
        "..",
        "...",
        "a.b",
        &good[..good.len() / 2],
        &format!("{good}."),
        &format!("{good}.x"),
        &padded,
        &array,
        &format!(" {good}"),
        &format!("{good}\n"),
        &format!("{}.{}.{}", parts[0], encode("null"), parts[2]),
        &format!("{}.{}.{}", parts[0], encode("{} {}"), parts[2]),
        &format!("{}.{}.{}", parts[0], "%%", parts[2]),
    ] {
        scene.check(token, "token_malformed");
    }
    scene.check(&"a".repeat(TOKEN_BYTES_MAX + 1), "token_too_large");
    let stuffed = changed(claims(), "x", "y".repeat(TOKEN_BYTES_MAX).into());
    scene.check(&scene.signer.sign(&header().to_string(), &stuffed), "token_too_large");
}

#[test]
fn a_member_that_stands_twice_is_refused_at_any_depth() {
    let scene = Scene::new();
    let sign = |header: &str, claims: &str| scene.signer.sign(header, claims);
    let (header, claims) = (header().to_string(), claims().to_string());
    for (from, to) in [
        ("\"aud\":", "\"aud\":\"x\",\"aud\":"),
        ("\"aud\":", "\"deep\":[{\"a\":{\"b\":1,\"b\":1}}],\"aud\":"),
        // An escape is another spelling of the same name.
        ("\"aud\":", "\"\\u0061ud\":\"x\",\"aud\":"),
    ] {
        scene.check(&sign(&header, &claims.replace(from, to)), "duplicate_member");
    }
    scene.check(&sign(&header.replace("\"alg\":", "\"alg\":\"none\",\"alg\":"), &claims), "duplicate_member");
}

#[test]
fn headers_that_bring_keys_or_change_the_reading_are_refused() {
    let scene = Scene::new();
    for name in ["crit", "jku", "x5u", "x5c", "jwk", "b64", "zip", "enc"] {
        for value in [json!("https://evil.example/jwks"), json!(["b64"]), scene.signer.jwk("k1"), json!(false)] {
            scene.check_header(name, value, "forbidden_header");
        }
    }
    scene.check_header("x5t", json!("harmless"), "verified");
}

#[test]
fn only_listed_asymmetric_algorithms_are_taken() {
    let scene = Scene::new();
    for (algorithm, expect) in [
        ("none", "unsigned"),
        ("None", "unsigned"),
        ("nOnE", "unsigned"),
        ("", "unsigned"),
        ("HS256", "symmetric_algorithm"),
        ("HS384", "symmetric_algorithm"),
        ("hs512", "symmetric_algorithm"),
        ("ES512", "algorithm_not_allowed"),
        ("ES256K", "algorithm_not_allowed"),
        ("es256", "algorithm_not_allowed"),
        ("RS1", "algorithm_not_allowed"),
        ("\u{e9}S", "algorithm_not_allowed"),
        // The algorithm is allowed, and the key is of another kind.
        ("RS256", "key_disagrees"),
        ("EdDSA", "key_disagrees"),
        ("ES384", "key_disagrees"),
    ] {
        scene.check_header("alg", json!(algorithm), expect);
    }
    for odd in [json!(null), json!(["ES256"]), json!(1)] {
        scene.check_header("alg", odd, "token_malformed");
    }
    // What is known in general may be unlisted for this provider.
    let algorithms = BTreeSet::from([IssuerAlgorithm::Rs256]);
    let kind = TokenKind::Access(ProviderTokenType::AtJwt);
    let expect = TokenExpectation { issuer: ISSUER, kind, algorithms: &algorithms, audiences: &[AUDIENCE], now: NOW };
    let token = scene.signer.sign(&header().to_string(), &claims().to_string());
    let refused = UnverifiedToken::parse(&token).unwrap().verify(&scene.keys, &expect).unwrap_err();
    assert_eq!(refused, IssuerTokenError::Algorithm);
}

#[test]
fn a_signature_of_none_is_none() {
    let scene = Scene::new();
    let unsigned = |algorithm: &str| {
        let header = changed(header(), "alg", json!(algorithm));
        format!("{}.{}.", encode(header), encode(claims().to_string()))
    };
    scene.check(&unsigned("none"), "unsigned");
    scene.check(&unsigned("ES256"), "bad_signature");
    // The public key taken for a shared secret.
    scene.check(&unsigned("HS256"), "symmetric_algorithm");
}

#[test]
fn every_algorithm_verifies_its_own_key_and_no_other_message() {
    for (signer, algorithms) in [
        (Signer::rsa(), &["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"][..]),
        (Signer::p256(), &["ES256"]),
        (Signer::p384(), &["ES384"]),
        (Signer::ed25519(), &["EdDSA"]),
    ] {
        let scene = Scene { keys: keys(&[signer.jwk("k1")]), signer };
        for algorithm in algorithms {
            let header = changed(header(), "alg", json!(algorithm));
            let token = scene.signer.sign(&header, &claims().to_string());
            scene.check(&token, "verified");
            let (signed, signature) = token.rsplit_once('.').unwrap();
            let (head, _) = signed.split_once('.').unwrap();
            let other = encode(changed(claims(), "sub", json!("mallory")));
            scene.check(&format!("{head}.{other}.{signature}"), "bad_signature");
            scene.check(&format!("{signed}.{}", encode([0; 64])), "bad_signature");
            scene.check(&format!("{signed}."), "bad_signature");
        }
    }
}

#[test]
fn the_type_is_what_is_recorded() {
    let scene = Scene::new();
    for (typ, strict, lenient, logout) in [
        (json!("at+jwt"), "verified", "verified", "wrong_type"),
        (json!("AT+JWT"), "verified", "verified", "wrong_type"),
        (json!("application/at+jwt"), "verified", "verified", "wrong_type"),
        (json!("JWT"), "wrong_type", "verified", "not_a_logout_token"),
        (json!(null), "wrong_type", "verified", "not_a_logout_token"),
        (json!("logout+jwt"), "wrong_type", "wrong_type", "not_a_logout_token"),
        (json!("dpop+jwt"), "wrong_type", "wrong_type", "wrong_type"),
        (json!(""), "wrong_type", "wrong_type", "wrong_type"),
        (json!(1), "token_malformed", "token_malformed", "token_malformed"),
    ] {
        let token = scene.signer.sign(&changed(header(), "typ", typ), &claims().to_string());
        scene.check(&token, strict);
        scene.check_kind(&token, TokenKind::Access(ProviderTokenType::Jwt), lenient);
        scene.check_kind(&token, TokenKind::Logout(ProviderTokenType::Jwt), logout);
    }
    let token = scene.signer.sign(&changed(header(), "typ", json!("JWT")), &claims().to_string());
    scene.check_kind(&token, TokenKind::Logout(ProviderTokenType::AtJwt), "wrong_type");
}

#[test]
fn other_kinds_of_tokens_are_no_access_tokens() {
    let scene = Scene::new();
    for name in ["nonce", "at_hash", "c_hash", "events"] {
        scene.check_claim(name, json!("x"), "not_an_access_token");
        scene.check_claim(name, json!({}), "not_an_access_token");
    }
    for typ in [json!("ID"), json!("Refresh"), json!("Offline"), json!("Logout"), json!(""), json!(1)] {
        scene.check_claim("typ", typ, "not_an_access_token");
    }
    scene.check_claim("typ", json!("Bearer"), "verified");
    scene.check_claim("typ", json!("DPoP"), "verified");
}

#[test]
fn issuer_and_audience_are_compared_byte_by_byte() {
    let scene = Scene::new();
    for issuer in ["https://sso.example/realms/main/", "https://SSO.example/realms/main", "https://sso.example", "x"] {
        scene.check_claim("iss", json!(issuer), "wrong_issuer");
    }
    scene.check_claim("iss", json!(null), "claim_missing");
    for issuer in [json!(""), json!([ISSUER]), json!(1), json!("a\nb"), json!("x".repeat(2_000))] {
        scene.check_claim("iss", issuer, "claim_malformed");
    }
    for audience in [json!("https://attorn.example/"), json!("x"), json!([]), json!(["a", "b"])] {
        scene.check_claim("aud", audience, "wrong_audience");
    }
    scene.check_claim("aud", json!(null), "claim_missing");
    for audience in [json!(1), json!({}), json!([AUDIENCE, 1])] {
        scene.check_claim("aud", audience, "claim_malformed");
    }
    scene.check_claim("aud", json!(["account", AUDIENCE]), "verified");
}

#[test]
fn times_are_whole_seconds_and_have_their_limits() {
    let scene = Scene::new();
    scene.check_claim("exp", json!(null), "claim_missing");
    scene.check_claim("iat", json!(null), "claim_missing");
    for (name, value, expect) in [
        ("exp", json!(NOW_S), "expired"),
        ("exp", json!(0), "expired"),
        ("exp", json!(NOW_S + 1), "verified"),
        ("exp", json!(NOW_S + 24 * 3_600), "verified"),
        ("exp", json!(NOW_S + 24 * 3_600 + 1), "lifetime_too_long"),
        ("exp", json!(u64::MAX), "claim_malformed"),
        ("exp", json!(-1), "claim_malformed"),
        ("exp", json!(1e10), "claim_malformed"),
        ("exp", json!("1"), "claim_malformed"),
        // What expires soon may have been made to live for years.
        ("iat", json!(NOW_S + 300 - 24 * 3_600), "verified"),
        ("iat", json!(NOW_S + 299 - 24 * 3_600), "lifetime_too_long"),
        ("iat", json!(1), "lifetime_too_long"),
        ("iat", json!(NOW_S + 5), "verified"),
        ("iat", json!(NOW_S + 6), "not_yet_valid"),
        ("nbf", json!(NOW_S + 5), "verified"),
        ("nbf", json!(NOW_S + 6), "not_yet_valid"),
        ("nbf", json!("now"), "claim_malformed"),
        ("auth_time", json!(NOW_S + 6), "not_yet_valid"),
        ("auth_time", json!(0.5), "claim_malformed"),
    ] {
        scene.check_claim(name, value, expect);
    }
}

#[test]
fn logout_tokens_say_that_they_are_such() {
    let scene = Scene::new();
    let logout = json!({
        "iss": ISSUER, "aud": AUDIENCE, "iat": NOW_S, "exp": NOW_S + 120, "jti": "j1", "sid": "s1",
        "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
    });
    let check = |name: &str, to: Value, expect: &str| {
        let header = changed(header(), "typ", json!("logout+jwt"));
        let token = scene.signer.sign(&header, &changed(logout.clone(), name, to));
        scene.check_kind(&token, TokenKind::Logout(ProviderTokenType::AtJwt), expect);
        scene.check(&token, "wrong_type");
    };
    check("other", json!(1), "verified");
    check("typ", json!("Logout"), "verified");
    for events in
        [json!(null), json!([]), json!({}), json!({ "http://schemas.openid.net/event/backchannel-logout": 1 })]
    {
        check("events", events, "not_a_logout_token");
    }
    check("nonce", json!("n"), "not_a_logout_token");
    check("sid", json!(null), "not_a_logout_token");
    check("typ", json!("ID"), "not_a_logout_token");
    check("exp", json!(NOW_S), "expired");
    check("aud", json!("x"), "wrong_audience");
    check("iss", json!("https://other.example"), "wrong_issuer");
}

#[test]
fn a_workload_s_token_is_for_one_alone_and_nobody_signed_in_for_it() {
    let scene = Scene::new();
    let bare = changed(header(), "typ", json!(null));
    let check = |name: &str, to: Value, expect: &str| {
        let claims = changed(
            json!({ "iss": ISSUER, "aud": [AUDIENCE], "sub": "pod", "iat": NOW_S, "exp": NOW_S + 9 }),
            name,
            to,
        );
        scene.check_kind(&scene.signer.sign(&bare, &claims), TokenKind::Workload, expect);
    };
    check("kubernetes.io", json!({ "namespace": "billing" }), "verified");
    check("aud", json!(AUDIENCE), "verified");
    for aud in [json!([]), json!("x"), json!([AUDIENCE, AUDIENCE]), json!([AUDIENCE, "x"]), json!(["x"])] {
        check("aud", aud, "wrong_audience");
    }
    check("aud", json!(null), "claim_missing");
    check("aud", json!([AUDIENCE, 1]), "claim_malformed");
    for name in ["nonce", "at_hash", "c_hash", "events"] {
        check(name, json!("x"), "not_a_workload_token");
    }
    check("typ", json!("Refresh"), "not_a_workload_token");
    check("iss", json!(format!("{ISSUER}/")), "wrong_issuer");
    check("exp", json!(NOW_S + 24 * 3_600), "verified");
    check("exp", json!(NOW_S + 24 * 3_600 + 1), "lifetime_too_long");
    check("exp", json!(NOW_S), "expired");
    check("exp", json!(null), "claim_missing");
    check("nbf", json!(NOW_S + 6), "not_yet_valid");
    check("iat", json!(NOW_S + 6), "not_yet_valid");
    let claims = json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": "pod", "iat": NOW_S, "exp": NOW_S + 9 }).to_string();
    for (typ, expect) in [("JWT", "verified"), ("at+jwt", "wrong_type"), ("dpop+jwt", "wrong_type")] {
        let token = scene.signer.sign(&changed(header(), "typ", json!(typ)), &claims);
        scene.check_kind(&token, TokenKind::Workload, expect);
    }
}

#[test]
fn an_id_token_was_issued_to_us_as_a_client() {
    let scene = Scene::new();
    let bare = changed(header(), "typ", json!(null));
    let whole = || json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "iat": NOW_S, "exp": NOW_S + 300 });
    let check = |name: &str, to: Value, expect: &str| {
        let claims = changed(whole(), name, to);
        scene.check_kind(&scene.signer.sign(&bare, &claims), TokenKind::Id, expect);
    };
    for (name, value) in
        [("at_hash", json!("x")), ("nonce", json!("n")), ("typ", json!("ID")), ("azp", json!(AUDIENCE))]
    {
        check(name, value, "verified");
    }
    for aud in [json!([]), json!("x"), json!(["x"]), json!([AUDIENCE, "x"])] {
        check("aud", aud, "wrong_audience");
    }
    check("azp", json!("another-client"), "wrong_audience");
    check("azp", json!(1), "claim_malformed");
    let several = changed(
        json!({ "aud": [AUDIENCE, "x"], "azp": AUDIENCE, "sub": "alice", "iat": NOW_S, "exp": NOW_S + 9 }),
        "iss",
        json!(ISSUER),
    );
    scene.check_kind(&scene.signer.sign(&bare, &several), TokenKind::Id, "verified");
    for typ in ["Bearer", "Refresh", "Logout"] {
        check("typ", json!(typ), "not_an_id_token");
    }
    check("events", json!({}), "not_an_id_token");
    check("iss", json!("https://other.example"), "wrong_issuer");
    check("exp", json!(NOW_S), "expired");
    for typ in ["at+jwt", "logout+jwt"] {
        let token = scene.signer.sign(&changed(header(), "typ", json!(typ)), &whole().to_string());
        scene.check_kind(&token, TokenKind::Id, "wrong_type");
    }
    let unsigned = format!("{}.{}.", encode(r#"{"alg":"none"}"#), encode(whole().to_string()));
    scene.check_kind(&unsigned, TokenKind::Id, "unsigned");
    let shared = scene.signer.sign(r#"{"alg":"HS256"}"#, &whole().to_string());
    scene.check_kind(&shared, TokenKind::Id, "symmetric_algorithm");
}

#[path = "keys_tests.rs"]
mod keys_tests;
