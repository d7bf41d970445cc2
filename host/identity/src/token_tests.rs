//! Tokens as somebody else's library sees them, who has nothing but the JWKS.

use attorn_core::{Grant, GrantBehalf, KeyBinding, TimeMs};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{DecodingKey, Validation, decode, decode_header};
use serde_json::Value;

use super::*;
use crate::fixtures::{self, ISSUER};

/// Far in the future, since the other library goes by the real clock.
const ISSUED_AT: TimeMs = TimeMs(4_102_444_800_123);

fn grant() -> Grant {
    let signed_by = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k".parse().unwrap();
    fixtures::grant(signed_by, ISSUED_AT, TimeMs(4_102_444_830_000))
}

fn signer() -> TokenSigner {
    TokenSigner::from_pkcs8(&generate_token_key().unwrap()).unwrap()
}

fn verify(token: &str, jwks: &str) -> Result<Value, jsonwebtoken::errors::Error> {
    let keys: JwkSet = serde_json::from_str(jwks).unwrap();
    let header = decode_header(token)?;
    assert_eq!(header.typ.as_deref(), Some("at+jwt"));
    let jwk = keys.find(&header.kid.unwrap()).expect("the token names a key of the set");
    let mut validation = Validation::new(jsonwebtoken::Algorithm::ES256);
    validation.set_audience(&["https://faq.example"]);
    validation.set_issuer(&[ISSUER]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    decode::<Value>(token, &DecodingKey::from_jwk(jwk)?, &validation).map(|data| data.claims)
}

#[test]
fn other_keys_are_refused() {
    for bytes in [&b""[..], b"key", &generate_token_key().unwrap()[1..]] {
        assert_eq!(TokenSigner::from_pkcs8(bytes).err(), Some(TokenKeyError::NotAKey));
    }
    let ed25519 = aws_lc_rs::signature::Ed25519KeyPair::generate().unwrap().to_pkcs8().unwrap();
    assert_eq!(TokenSigner::from_pkcs8(ed25519.as_ref()).err(), Some(TokenKeyError::NotAKey));
}

#[test]
fn a_changed_token_does_not_verify() {
    let signer = signer();
    let token = signer.sign(&TokenClaims::of(&grant(), None, ISSUER).unwrap()).unwrap();
    let mut wider = grant();
    wider.resource = "article/43".parse().unwrap();
    let wider = serde_json::to_vec(&TokenClaims::of(&wider, None, ISSUER).unwrap()).unwrap();
    let parts: Vec<_> = token.split('.').collect();
    let forged = format!("{}.{}.{}", parts[0], BASE64URL_NOPAD.encode(&wider), parts[2]);
    let jwks = jwks([signer.public_key()]);
    assert!(verify(&forged, &jwks).is_err());
    assert!(verify(&token, &jwks).is_ok());
}

#[test]
fn tokens_verify_with_only_the_jwks_also_after_a_rotation() {
    let (old, new) = (signer(), signer());
    let jwks = jwks([new.public_key(), old.public_key()]);
    for signer in [&old, &new] {
        let claims = verify(&signer.sign(&TokenClaims::of(&grant(), None, ISSUER).unwrap()).unwrap(), &jwks).unwrap();
        assert_eq!(claims["jti"], "grt_a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5");
    }
}

#[test]
fn the_jwks_is_canonical_keys_with_their_use() {
    let key: PublicKey =
        r#"{"kty":"EC","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA","crv":"P-256"}"#
            .parse()
            .unwrap();
    let one = r#"{"crv":"P-256","kty":"EC","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA","alg":"ES256","kid":"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I","use":"sig"}"#;
    assert_eq!(jwks([]), r#"{"keys":[]}"#);
    assert_eq!(jwks([&key]), format!(r#"{{"keys":[{one}]}}"#));
    assert_eq!(jwks([&key, &key]), format!(r#"{{"keys":[{one},{one}]}}"#));
}

#[test]
fn the_claims_are_these_bytes() {
    let golden = concat!(
        r#"{"iss":"https://attorn.example","sub":"support-bot","client_id":"support-bot","aud":"https://faq.example","#,
        r#""exp":4102444830,"iat":4102444800,"jti":"grt_a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5","#,
        r#""cnf":{"jkt":"kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"},"purpose":"answer-questions","#,
        r#""authorization_details":[{"type":"attorn_action","actions":["faq.read"],"identifier":"article/42","#,
        r#""arguments_digest":"abababababababababababababababababababababababababababababababab","uses_max":1}]}"#,
    );
    let mut grant = grant();
    assert_eq!(serde_json::to_string(&TokenClaims::of(&grant, None, ISSUER).unwrap()).unwrap(), golden);
    grant.session = Some("s-1".parse().unwrap());
    let golden = golden.replace(r#""purpose":"answer-questions","#, r#""purpose":"answer-questions","sid":"s-1","#);
    assert_eq!(serde_json::to_string(&TokenClaims::of(&grant, None, ISSUER).unwrap()).unwrap(), golden);
}

const ALICE: TokenSubject<'_> = TokenSubject { issuer: "https://idp.example", subject: "alice" };

/// What agents hold through whom `hops` leads, the holder last.
fn on_behalf(hops: &[&str]) -> Grant {
    let hop = |(at, agent): (usize, &&str)| (format!("dlg_{at}").parse().unwrap(), agent.parse().unwrap());
    let behalf = GrantBehalf { user: "usr_1".parse().unwrap(), hops: hops.iter().enumerate().map(hop).collect() };
    Grant { behalf: Some(behalf), ..grant() }
}

#[test]
fn a_token_names_the_user_and_every_agent_of_the_chain() {
    let claims = |grant: &Grant| {
        let claims = TokenClaims::of(grant, Some(&ALICE), ISSUER).unwrap();
        serde_json::to_value(&claims).unwrap()
    };
    let one = claims(&on_behalf(&["support-bot"]));
    assert_eq!(one["sub"], "usr_1");
    assert_eq!(one["sub_id"], serde_json::json!({ "format": "iss_sub", "iss": ALICE.issuer, "sub": "alice" }));
    assert_eq!(one["act"], serde_json::json!({ "sub": "support-bot" }));
    assert_eq!(one["client_id"], "support-bot");
    let three = claims(&on_behalf(&["planner", "researcher", "support-bot"]));
    let act = serde_json::json!({ "sub": "support-bot", "act": { "sub": "researcher", "act": { "sub": "planner" } } });
    assert_eq!(three["act"], act);
}

#[test]
fn no_token_loses_its_user_or_its_agent() {
    let lost = TokenKeyError::UserMissing;
    for (grant, user) in [
        (on_behalf(&["support-bot"]), None),
        (on_behalf(&[]), Some(&ALICE)),
        (on_behalf(&["support-bot", "other"]), Some(&ALICE)),
        (grant(), Some(&ALICE)),
    ] {
        assert_eq!(TokenClaims::of(&grant, user, ISSUER).err(), Some(lost), "{:?}", grant.behalf);
    }
}

#[test]
fn a_token_is_bound_to_a_key_or_to_a_certificate() {
    let grant = Grant { key_binding: KeyBinding::X5tS256, ..grant() };
    let claims = serde_json::to_value(TokenClaims::of(&grant, None, ISSUER).unwrap()).unwrap();
    assert_eq!(claims["cnf"], serde_json::json!({ "x5t#S256": grant.key_thumbprint.as_str() }));
}

#[test]
fn the_header_says_type_algorithm_and_key_only() {
    let signer = signer();
    let header = BASE64URL_NOPAD.decode(signer.prefix.trim_end_matches('.').as_bytes()).unwrap();
    let expect = format!(r#"{{"alg":"ES256","kid":"{}","typ":"at+jwt"}}"#, signer.public_key().thumbprint());
    assert_eq!(String::from_utf8(header).unwrap(), expect);
}
