//! What a provider's metadata says of asking users: where, how, and whether it can show them what they approve; and where
//! they sign in.
//!
//! It is the same document that keys are found by, and whatever it says is looked at before anything is sent there.

use attorn_api::oauth::ATTORN_APPROVAL;
use attorn_core::Issuer;
use reqwest::Url;
use serde::Deserialize;

use super::problem::Problem;
use crate::providers::fetch::FetchError;
use crate::providers::issuer;

/// The longest token endpoint at which a sign-in ends, in bytes.
const TOKEN_ENDPOINT_BYTES_MAX: usize = 1_024;

/// Where a provider asks its users, and how.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Endpoints {
    /// Where a question is put.
    pub(super) authentication: Url,
    /// Where it says what came of it.
    pub(super) token: Url,
    /// Whether it shows its users what they approve.
    pub(super) shows_details: bool,
}

/// Where users sign in.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SignInEndpoints {
    /// Where they are sent.
    pub(super) authorization: Url,
    /// Where the code that they come back with becomes an ID token.
    pub(super) token: Url,
    /// Whether they come back with its issuer, too (RFC 9207).
    pub(super) says_issuer: bool,
    /// Whether a user may have the same `sub` for all clients (`public`; `OpenID` Connect Core 1.0, section 8).
    pub(super) has_public_subjects: bool,
}

#[derive(Deserialize)]
struct Wire {
    issuer: String,
    backchannel_authentication_endpoint: Option<String>,
    token_endpoint: Option<String>,
    authorization_endpoint: Option<String>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
    #[serde(default)]
    backchannel_token_delivery_modes_supported: Vec<String>,
    #[serde(default)]
    authorization_details_types_supported: Vec<String>,
    #[serde(default)]
    subject_types_supported: Vec<String>,
}

impl Wire {
    fn read(issuer: &Issuer, document: &[u8]) -> Result<Self, Problem> {
        let malformed = || Problem::Metadata(FetchError::Configuration);
        let wire: Self = serde_json::from_slice(document).map_err(|_| malformed())?;
        let is_theirs = wire.issuer == issuer.as_str();
        is_theirs.then_some(wire).ok_or(Problem::Metadata(FetchError::AnotherIssuer))
    }
}

/// Where the metadata of this issuer says that users sign in.
pub(super) fn sign_in_endpoints(issuer: &Issuer, document: &[u8]) -> Result<SignInEndpoints, Problem> {
    let wire = Wire::read(issuer, document)?;
    let (Some(authorization), Some(token)) = (wire.authorization_endpoint, wire.token_endpoint) else {
        return Err(Problem::NoSignIn);
    };
    // The browser of who signs in keeps it.
    if token.len() > TOKEN_ENDPOINT_BYTES_MAX {
        return Err(Problem::Nonsense("`token_endpoint` has more than 1024 bytes"));
    }
    Ok(SignInEndpoints {
        authorization: endpoint(issuer, &authorization)?,
        token: endpoint(issuer, &token)?,
        says_issuer: wire.authorization_response_iss_parameter_supported,
        has_public_subjects: wire.subject_types_supported.iter().any(|kind| kind == "public"),
    })
}

/// What the metadata of this issuer says.
pub(super) fn endpoints(issuer: &Issuer, document: &[u8]) -> Result<Endpoints, Problem> {
    let wire = Wire::read(issuer, document)?;
    let (Some(authentication), Some(token)) = (wire.backchannel_authentication_endpoint, wire.token_endpoint) else {
        return Err(Problem::NoBackchannel);
    };
    if !wire.backchannel_token_delivery_modes_supported.iter().any(|mode| mode == "poll") {
        return Err(Problem::NoBackchannel);
    }
    Ok(Endpoints {
        authentication: endpoint(issuer, &authentication)?,
        token: endpoint(issuer, &token)?,
        shows_details: wire.authorization_details_types_supported.iter().any(|known| known == ATTORN_APPROVAL),
    })
}

/// An endpoint of this issuer's, if it is where something may be sent to.
pub(super) fn endpoint(issuer: &Issuer, text: &str) -> Result<Url, Problem> {
    let url = Url::parse(text).map_err(|_| Problem::Address)?;
    let good = issuer::may_be_fetched(&url, issuer::is_local(issuer)) && url.fragment().is_none();
    good.then_some(url).ok_or(Problem::Address)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(changes: &[(&str, Value)]) -> Result<Endpoints, Problem> {
        let mut whole = json!({
            "issuer": "https://sso.example", "token_endpoint": "https://sso.example/token",
            "backchannel_authentication_endpoint": "https://sso.example/ask",
            "backchannel_token_delivery_modes_supported": ["poll", "ping"], "more": 1,
        });
        for (name, value) in changes {
            match value {
                Value::Null => drop(whole.as_object_mut().unwrap().remove(*name)),
                value => whole[*name] = value.clone(),
            }
        }
        endpoints(&"https://sso.example".parse().unwrap(), whole.to_string().as_bytes())
    }

    #[test]
    fn a_provider_that_polls_says_where() {
        let found = read(&[]).unwrap();
        assert_eq!((found.authentication.as_str(), found.shows_details), ("https://sso.example/ask", false));
        assert_eq!(found.token.as_str(), "https://sso.example/token");
        let types = |types: Value| read(&[("authorization_details_types_supported", types)]);
        assert!(types(json!(["other", "attorn_approval"])).unwrap().shows_details);
        assert!(!types(json!(["attorn_action"])).unwrap().shows_details);
    }

    #[test]
    fn users_sign_in_where_it_says_and_nowhere_else() {
        let issuer = "https://sso.example".parse().unwrap();
        let read = |authorization: Value, token: Value| {
            let mut whole = json!({ "issuer": "https://sso.example" });
            for (name, value) in [("authorization_endpoint", authorization), ("token_endpoint", token)] {
                if !value.is_null() {
                    whole[name] = value;
                }
            }
            sign_in_endpoints(&issuer, whole.to_string().as_bytes())
        };
        let (authorization, token) = (json!("https://sso.example/in?x=1"), json!("https://sso.example/token"));
        let found = read(authorization.clone(), token.clone()).unwrap();
        assert_eq!((found.authorization.as_str(), found.says_issuer), ("https://sso.example/in?x=1", false));
        assert!(!found.has_public_subjects);
        assert_eq!(read(json!(null), token.clone()), Err(Problem::NoSignIn));
        assert_eq!(read(authorization.clone(), json!(null)), Err(Problem::NoSignIn));
        let long = format!("https://sso.example/{}", "x".repeat(TOKEN_ENDPOINT_BYTES_MAX - 20));
        assert!(read(authorization.clone(), json!(long)).is_ok());
        let longer = read(authorization.clone(), json!(format!("{long}x")));
        assert_eq!(longer, Err(Problem::Nonsense("`token_endpoint` has more than 1024 bytes")));
        for wrong in
            ["http://sso.example/in", "https://127.0.0.1/in", "javascript:alert(1)", "https://a:b@sso.example/", "/in"]
        {
            assert_eq!(read(json!(wrong), token.clone()), Err(Problem::Address), "{wrong}");
            assert_eq!(read(authorization.clone(), json!(wrong)), Err(Problem::Address), "{wrong}");
        }
        for (kinds, public) in [(json!(["pairwise"]), false), (json!(["pairwise", "public"]), true)] {
            let whole = json!({ "issuer": "https://sso.example", "authorization_endpoint": authorization,
                "token_endpoint": token, "subject_types_supported": kinds });
            let found = sign_in_endpoints(&issuer, whole.to_string().as_bytes()).unwrap();
            assert_eq!(found.has_public_subjects, public, "{kinds}");
        }
        let other = json!({ "issuer": "https://other.example" }).to_string();
        let refused = Problem::Metadata(FetchError::AnotherIssuer);
        assert_eq!(sign_in_endpoints(&issuer, other.as_bytes()), Err(refused));
    }

    #[test]
    fn whatever_else_it_says_nobody_is_asked_there() {
        const AUTHENTICATION: &str = "backchannel_authentication_endpoint";
        const MODES: &str = "backchannel_token_delivery_modes_supported";
        let malformed = Problem::Metadata(FetchError::Configuration);
        for (name, value, expect) in [
            ("issuer", json!("https://sso.example/"), Problem::Metadata(FetchError::AnotherIssuer)),
            ("issuer", json!(null), malformed),
            ("issuer", json!(1), malformed),
            (AUTHENTICATION, json!(null), Problem::NoBackchannel),
            ("token_endpoint", json!(null), Problem::NoBackchannel),
            (MODES, json!(null), Problem::NoBackchannel),
            (MODES, json!([]), Problem::NoBackchannel),
            (MODES, json!(["ping", "push"]), Problem::NoBackchannel),
            (MODES, json!("poll"), malformed),
            (AUTHENTICATION, json!("http://sso.example/ask"), Problem::Address),
            (AUTHENTICATION, json!("http://127.0.0.1/ask"), Problem::Address),
            (AUTHENTICATION, json!("https://localhost/ask"), Problem::Address),
            (AUTHENTICATION, json!("https://a:b@sso.example/ask"), Problem::Address),
            (AUTHENTICATION, json!("https://sso.example/ask#x"), Problem::Address),
            (AUTHENTICATION, json!("/ask"), Problem::Address),
            ("token_endpoint", json!("file:///etc/passwd"), Problem::Address),
        ] {
            assert_eq!(read(&[(name, value.clone())]), Err(expect), "{name} {value}");
        }
        assert_eq!(endpoints(&"https://sso.example".parse().unwrap(), b"[]"), Err(malformed));
    }
}
