//! Keys that are refused, each with its reason; and the examples of the RFCs.

use aws_lc_rs::signature::{ED25519 as ED25519_VERIFICATION, UnparsedPublicKey};

use super::*;
use crate::PublicKey;

/// RFC 8037, appendix A.2.
const ED25519: &str = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
/// The key of the proofs in RFC 9449.
const P256: &str = r#"{"kty":"EC","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA","crv":"P-256"}"#;

#[track_caller]
fn refused(text: &str, expect: JwkError) {
    assert_eq!(text.parse::<PublicKey>().unwrap_err(), expect, "{text}");
}

fn with(base: &str, members: &str) -> String {
    format!("{},{members}}}", base.strip_suffix('}').unwrap())
}

fn ed25519(x: &[u8]) -> String {
    format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{}"}}"#, BASE64URL_NOPAD.encode(x))
}

#[test]
fn private_keys_are_refused_as_such() {
    refused(&with(P256, r#""d":"AAAA""#), JwkError::PrivateKey);
    refused(&with(ED25519, r#""d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A""#), JwkError::PrivateKey);
    refused(&with(ED25519, r#""d":0"#), JwkError::PrivateKey);
}

#[test]
fn other_members_are_refused() {
    refused("", JwkError::Members);
    refused("null", JwkError::Members);
    refused(r#"["EC","P-256","a","b"]"#, JwkError::Members);
    refused(&with(ED25519, r#""x5c":["AA"]"#), JwkError::Members);
    refused(&with(ED25519, r#""kty":"OKP""#), JwkError::Members);
    refused(&format!("{ED25519}{{}}"), JwkError::Members);
    refused(r#"{"kty":"oct","k":"c2VjcmV0"}"#, JwkError::Members);
    refused(r#"{"kty":"RSA","n":"AQAB","e":"AQAB"}"#, JwkError::Members);
    refused(&with(ED25519, r#""key_ops":"verify""#), JwkError::Members);
    refused(&with(ED25519, &format!(r#""kid":"{}""#, "k".repeat(JWK_BYTES_MAX))), JwkError::TooLong);
}

#[test]
fn members_that_disagree_are_refused() {
    refused(&with(ED25519, r#""use":"enc""#), JwkError::Disagrees("use"));
    refused(&with(ED25519, r#""alg":"ES256""#), JwkError::Disagrees("alg"));
    refused(&with(P256, r#""alg":"EdDSA""#), JwkError::Disagrees("alg"));
    refused(&with(P256, r#""alg":"none""#), JwkError::Disagrees("alg"));
    refused(&with(P256, r#""key_ops":["sign"]"#), JwkError::Disagrees("key_ops"));
    refused(&with(P256, r#""key_ops":["verify","sign"]"#), JwkError::Disagrees("key_ops"));
    refused(&with(P256, r#""key_ops":[]"#), JwkError::Disagrees("key_ops"));
    let agreeing = with(P256, r#""use":"sig","alg":"ES256","key_ops":["verify"],"kid":"mine""#);
    assert_eq!(agreeing.parse::<PublicKey>().unwrap(), P256.parse().unwrap());
}

#[test]
fn other_curves_are_refused() {
    refused(&P256.replace("P-256", "P-384"), JwkError::UnsupportedKey);
    refused(&P256.replace("P-256", "secp256k1"), JwkError::UnsupportedKey);
    refused(&ED25519.replace("Ed25519", "X25519"), JwkError::UnsupportedKey);
    refused(&ED25519.replace("OKP", "EC"), JwkError::UnsupportedKey);
}

#[test]
fn coordinates_have_one_form() {
    refused(&with(ED25519, r#""y":"AA""#), JwkError::Coordinate);
    refused(&P256.replace(r#""y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA","#, ""), JwkError::Coordinate);
    for x in [&[1; 31][..], &[1; 33], &[]] {
        refused(&ed25519(x), JwkError::Coordinate);
    }
    // Padding, the other alphabet, and bits after the last byte.
    refused(&ED25519.replace("URo\"", "URo=\""), JwkError::Coordinate);
    refused(&ED25519.replace("S_7", "S/7"), JwkError::Coordinate);
    refused(&ED25519.replace("URo\"", "URp\""), JwkError::Coordinate);
}

#[test]
fn points_off_the_curve_are_refused() {
    refused(&P256.replace("l8tF", "l8tG"), JwkError::Point);
    let zero = BASE64URL_NOPAD.encode(&[0; 32]);
    refused(&format!(r#"{{"kty":"EC","crv":"P-256","x":"{zero}","y":"{zero}"}}"#), JwkError::Point);
    let mut off = [0; 32];
    off[0] = 2;
    refused(&ed25519(&off), JwkError::Point);
}

#[test]
fn ed25519_points_of_small_order_and_second_encodings_are_refused() {
    let mut identity = [0; 32];
    identity[0] = 1;
    refused(&ed25519(&identity), JwkError::Point);
    // Why: the neutral point and zero "sign" everything.
    let signature = [identity, [0; 32]].concat();
    assert!(UnparsedPublicKey::new(&ED25519_VERIFICATION, identity).verify(b"anything", &signature).is_ok());
    refused(&ed25519(&[0; 32]), JwkError::Point);
    // The field's order and 3 more: a second encoding of y = 3.
    let mut second = [0xff; 32];
    second[0] = 0xf0;
    second[31] = 0x7f;
    refused(&ed25519(&second), JwkError::Point);
}

#[test]
fn thumbprints_are_those_of_the_rfcs() {
    for (jwk, thumbprint) in [
        (ED25519, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"),
        (P256, "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"),
    ] {
        assert_eq!(jwk.parse::<PublicKey>().unwrap().thumbprint().as_str(), thumbprint);
    }
}

#[test]
fn canonical_texts_are_sorted_and_parse_again() {
    for text in [ED25519, P256] {
        let jwk: Jwk = text.parse().unwrap();
        let canonical = jwk.canonical_text();
        assert!(canonical.starts_with(r#"{"crv":""#) && !canonical.contains(' '));
        assert_eq!(canonical.parse::<Jwk>().unwrap(), jwk);
    }
}
