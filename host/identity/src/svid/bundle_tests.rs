use rcgen::{IsCa, KeyUsagePurpose};
use serde_json::{Value, json};

use super::super::forge::{Authority, TokenKey, uri};
use super::*;

fn domain() -> TrustDomain {
    "example.org".parse().unwrap()
}

fn of_keys(keys: &Value) -> Result<TrustBundle, BundleError> {
    TrustBundle::from_spiffe(&json!({ "keys": keys, "spiffe_sequence": 7 }).to_string(), &domain())
}

#[test]
fn a_spiffe_bundle_gives_roots_and_keys() {
    let (root, key) = (Authority::root("root"), TokenKey::p256());
    let unknown = json!({ "use": "wit-svid", "kty": "OKP" });
    let bundle = of_keys(&json!([root.in_bundle(), key.in_bundle("k1"), unknown, root.in_bundle()])).unwrap();
    assert_eq!(bundle.x509_roots, [root.der]);
    let [key] = &bundle.jwt_keys[..] else { panic!("{bundle:?}") };
    assert_eq!(key.kid(), "k1");
    for key in [TokenKey::p256(), TokenKey::p384(), TokenKey::rsa()] {
        let key = JwtSvidKey::parse(&key.in_bundle("a\"b").to_string()).unwrap();
        assert_eq!(JwtSvidKey::parse(&key.canonical_text()).unwrap(), key);
    }
}

#[test]
fn pem_gives_roots() {
    let (one, two) = (Authority::root("one"), Authority::root("two"));
    let bundle = TrustBundle::from_pem(&format!("# roots\n{}\n{}", one.pem, two.pem), &domain()).unwrap();
    assert_eq!(bundle.x509_roots, [one.der, two.der]);
    assert_eq!(bundle.jwt_keys, []);
}

#[test]
fn what_cannot_sign_for_the_trust_domain_is_refused() {
    let root = Authority::root("root");
    let pem = |text: &str| TrustBundle::from_pem(text, &domain()).unwrap_err().to_string();
    for text in ["", "text", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", &root.pem[..60]] {
        assert_eq!(pem(text), "it is not PEM with nothing but certificates", "{text}");
    }
    let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    assert_eq!(pem(&format!("{}{key}", root.pem)), "it is not PEM with nothing but certificates");
    let leaf = Authority::root_with("leaf", |params| params.is_ca = IsCa::NoCa);
    let leaf_problem = "root 1 cannot be one: it is malformed: it is not the certificate of an authority";
    assert_eq!(pem(&leaf.pem), leaf_problem);
    let foreign =
        Authority::root_with("foreign", |params| params.subject_alt_names = vec![uri("spiffe://example.net")]);
    assert_eq!(
        pem(&format!("{}{}", root.pem, foreign.pem)),
        "root 2 cannot be one: it belongs to another trust domain"
    );
    let almost = Authority::root_with("a", |params| params.subject_alt_names = vec![uri("spiffe://example.organ")]);
    assert_eq!(pem(&almost.pem), "root 1 cannot be one: it belongs to another trust domain");
    let mute = Authority::root_with("mute", |params| params.key_usages = vec![KeyUsagePurpose::CrlSign]);
    assert!(pem(&mute.pem).starts_with("root 1 cannot be one: the certificate's key usage is wrong"));
    assert!(pem(&"x".repeat(BUNDLE_BYTES_MAX + 1)).starts_with("it has more than 65536 bytes"));
}

#[test]
fn what_is_no_bundle_is_refused() {
    for text in ["", "[]", "{}", "null", r#"{"keys":{}}"#, r#"{"keys":[],"keys":[]}"#] {
        assert_eq!(TrustBundle::from_spiffe(text, &domain()), Err(BundleError::NotABundle), "{text}");
    }
    let key = |change: &dyn Fn(&mut Value)| {
        let mut key = TokenKey::p256().in_bundle("k1");
        change(&mut key);
        of_keys(&json!([key])).unwrap_err()
    };
    let problem = |error| BundleError::Key { number: 1, error };
    let number = problem(JwtSvidKeyError::Number);
    let unsupported = problem(JwtSvidKeyError::Unsupported);
    assert_eq!(key(&|key| key["kid"] = "".into()), problem(JwtSvidKeyError::Kid));
    assert_eq!(key(&|key| key["kid"] = "a b".into()), problem(JwtSvidKeyError::Kid));
    assert_eq!(key(&|key| key["kid"] = "k".repeat(129).into()), problem(JwtSvidKeyError::Kid));
    assert_eq!(key(&|key| key["kid"] = Value::Null), problem(JwtSvidKeyError::Kid));
    assert_eq!(key(&|key| key["d"] = "AA".into()), problem(JwtSvidKeyError::PrivateKey));
    assert_eq!(key(&|key| key["crv"] = "Ed25519".into()), unsupported);
    assert_eq!(key(&|key| key["kty"] = "OKP".into()), unsupported);
    assert_eq!(key(&|key| key["kty"] = "oct".into()), unsupported);
    assert_eq!(key(&|key| key["crv"] = "P-384".into()), number);
    assert_eq!(key(&|key| key["x"] = "AA".into()), number);
    assert_eq!(key(&|key| key["y"] = key["x"].clone()), problem(JwtSvidKeyError::Point));
    let rsa = |n: usize, e: &str| {
        let n = data_encoding::BASE64URL_NOPAD.encode(&vec![0xff; n]);
        of_keys(&json!([{ "use": "jwt-svid", "kid": "k", "kty": "RSA", "n": n, "e": e }]))
    };
    rsa(256, "AQAB").unwrap();
    for (n, e) in [(128, "AQAB"), (513, "AQAB"), (256, "AQ"), (256, "AAEAAQ"), (256, "Ag"), (256, "")] {
        assert_eq!(rsa(n, e), Err(number.clone()), "{n} {e}");
    }
    let root = Authority::root("root");
    let x5c = |x5c: Value| {
        let mut key = root.in_bundle();
        key["x5c"] = x5c;
        of_keys(&json!([key])).unwrap_err().to_string()
    };
    let one = root.in_bundle()["x5c"][0].clone();
    assert!(x5c(Value::Null).ends_with("its `x5c` is not one certificate"));
    assert!(x5c(json!([])).ends_with("its `x5c` is not one certificate"));
    assert!(x5c(json!([one, one])).ends_with("its `x5c` is not one certificate"));
    assert!(x5c(json!(["!"])).ends_with("its `x5c` is not base64"));
    assert!(x5c(json!(["AAAA"])).ends_with("it is not one certificate in DER"));
}
