//! Tokens of each kind pass as that kind and as no other.

use super::*;

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
