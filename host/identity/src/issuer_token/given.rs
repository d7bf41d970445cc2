//! A JWK Set that an operator brings, because its issuer publishes none that the server could fetch.
//!
//! It is read more strictly than one that was published: whoever brings it can be told what is wrong. What is kept of
//! it are the members that keys are verified with, so certificates and remarks in it take no room.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::keys::ProviderKey;
use super::{JwksError, json};

/// The most keys of one set.
pub const GIVEN_KEYS_MAX: usize = 16;

/// The longest name of a key, in bytes.
const NAME_BYTES_MAX: usize = 128;

/// What is kept of a key, sorted.
const KEPT: [&str; 10] = ["alg", "crv", "e", "key_ops", "kid", "kty", "n", "use", "x", "y"];

/// Members that only private and symmetric keys have.
const PRIVATE: [&str; 8] = ["d", "dp", "dq", "k", "oth", "p", "q", "qi"];

/// Keys that an operator brought, each with a name of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenKeys {
    names: Vec<String>,
    text: String,
}

/// Why a JWK Set that somebody brings is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GivenKeysError {
    /// It is no JWK Set, or there is nothing in it that verifies tokens.
    #[error("{0}")]
    Set(JwksError),
    /// There are too many keys.
    #[error("the JWK Set has {have} keys, and {GIVEN_KEYS_MAX} is the most")]
    TooMany {
        /// How many.
        have: usize,
    },
    /// It holds a private or secret key. Whoever sent it should consider it lost.
    #[error("a key of the JWK Set is private or a shared secret; consider it lost, and bring public keys")]
    Private,
    /// A key has no name that tokens could choose it by.
    #[error("a key of the JWK Set has no `kid` of 1 to 128 visible ASCII characters")]
    Unnamed,
    /// Two keys have one name.
    #[error("two keys of the JWK Set are named `{0}`")]
    Twice(String),
}

impl GivenKeys {
    /// Read a JWK Set. Keys of kinds that are not known are passed over, as RFC 7517 (section 5) says, and so are keys
    /// that are for something else than signatures.
    ///
    /// # Errors
    ///
    /// When it is none, or there is a key in it that should not be, or none that can be used.
    pub fn parse(jwks: &[u8]) -> Result<Self, GivenKeysError> {
        let malformed = GivenKeysError::Set(JwksError::Malformed);
        let members = json::object(jwks).map_err(|_| malformed.clone())?;
        let Some(Value::Array(all)) = members.get("keys") else { return Err(malformed) };
        if all.len() > GIVEN_KEYS_MAX {
            return Err(GivenKeysError::TooMany { have: all.len() });
        }
        let (mut names, mut kept) = (Vec::new(), Vec::new());
        for one in all {
            let jwk = one.as_object().ok_or_else(|| malformed.clone())?;
            if PRIVATE.iter().any(|name| jwk.contains_key(*name)) {
                return Err(GivenKeysError::Private);
            }
            if ProviderKey::of(jwk).is_some_and(|key| key.is_for_signatures()) {
                names.push(name(jwk)?);
                kept.push(essence(jwk));
            }
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = names.iter().find(|name| !seen.insert(name.as_str())) {
            return Err(GivenKeysError::Twice(twice.clone()));
        }
        if names.is_empty() {
            return Err(GivenKeysError::Set(JwksError::None));
        }
        let text = Value::Object(Map::from_iter([("keys".to_owned(), Value::Array(kept))])).to_string();
        Ok(Self { names, text })
    }

    /// The names by which tokens choose a key.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The set as JSON, with what is kept of each key, sorted, without blanks.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

fn name(jwk: &Map<String, Value>) -> Result<String, GivenKeysError> {
    let name = jwk.get("kid").and_then(Value::as_str).ok_or(GivenKeysError::Unnamed)?;
    let fits = (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then(|| name.to_owned()).ok_or(GivenKeysError::Unnamed)
}

fn essence(jwk: &Map<String, Value>) -> Value {
    let kept = KEPT.into_iter().filter_map(|name| jwk.get(name).map(|value| (name.to_owned(), value.clone())));
    kept.collect::<Map<_, _>>().into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::IssuerKeys;
    use super::super::mint::Signer;
    use super::*;

    fn set(keys: &[Value]) -> Result<GivenKeys, GivenKeysError> {
        GivenKeys::parse(json!({ "keys": keys, "more": "is not kept" }).to_string().as_bytes())
    }

    #[test]
    fn what_is_kept_is_what_verifies() {
        let (first, second) = (Signer::p256().jwk("a"), Signer::rsa().jwk("b"));
        let mut marked = first.clone();
        (marked["x5c"], marked["use"], marked["alg"]) = (json!(["AAAA"]), "sig".into(), "ES256".into());
        let for_encryption = with(Signer::rsa().jwk("c"), "use", "enc".into());
        let given = set(&[marked, second, for_encryption, json!({ "kty": "AKP", "kid": "d" })]).unwrap();
        assert_eq!(given.names(), ["a", "b"]);
        let kept: Value = serde_json::from_str(given.text()).unwrap();
        let expect = with(with(first, "use", "sig".into()), "alg", "ES256".into());
        assert_eq!((kept["keys"][0].clone(), kept["keys"].as_array().unwrap().len()), (expect, 2));
        assert!(given.text().starts_with(r#"{"keys":[{"alg":"ES256","crv":"P-256","kid":"a","#), "{}", given.text());
        assert_eq!(GivenKeys::parse(given.text().as_bytes()).unwrap(), given);
        IssuerKeys::parse(given.text().as_bytes()).unwrap();
    }

    fn with(mut jwk: Value, name: &str, value: Value) -> Value {
        jwk[name] = value;
        jwk
    }

    #[test]
    fn each_set_that_should_not_be_says_why() {
        let key = || Signer::p256().jwk("k");
        let refused = |keys: &[Value]| set(keys).unwrap_err();
        for text in ["", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":["k"]}"#, r#"{"keys":[],"keys":[]}"#] {
            assert_eq!(GivenKeys::parse(text.as_bytes()), Err(GivenKeysError::Set(JwksError::Malformed)), "{text}");
        }
        let none = GivenKeysError::Set(JwksError::None);
        assert_eq!(refused(&[]), none);
        assert_eq!(refused(&[json!({ "kty": "AKP", "kid": "k" })]), none);
        assert_eq!(refused(&[with(key(), "use", "enc".into())]), none);
        assert_eq!(refused(&[with(key(), "key_ops", json!(["sign"]))]), none);
        for name in PRIVATE {
            assert_eq!(refused(&[key(), with(Signer::p256().jwk("p"), name, "AAAA".into())]), GivenKeysError::Private);
        }
        assert_eq!(refused(&[json!({ "kty": "oct", "kid": "k", "k": "c2VjcmV0" })]), GivenKeysError::Private);
        for kid in [json!(null), json!(1), json!(""), json!("a b"), json!("\u{e4}"), json!("k".repeat(129))] {
            assert_eq!(refused(&[with(key(), "kid", kid)]), GivenKeysError::Unnamed);
        }
        assert_eq!(refused(&[key(), key()]), GivenKeysError::Twice("k".into()));
        let many: Vec<_> = (0..=GIVEN_KEYS_MAX).map(|number| Signer::p256().jwk(&number.to_string())).collect();
        assert_eq!(refused(&many), GivenKeysError::TooMany { have: GIVEN_KEYS_MAX + 1 });
        assert_eq!(set(&many[1..]).unwrap().names().len(), GIVEN_KEYS_MAX);
    }
}
