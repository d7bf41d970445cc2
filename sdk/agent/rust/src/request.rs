//! What an agent asks.

use attorn_api::decisions::{CredentialKind, DecisionRequest};
use attorn_api::json::{self, JsonError};
use attorn_api::oauth::{ATTORN_ACTION, AuthorizationDetail, GrantedDetail};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::error::Error;

/// The longest idempotency key that is sent, in bytes.
const IDEMPOTENCY_KEY_BYTES_MAX: usize = 128;

/// What an agent wants to do now: an action on a resource, for a purpose.
#[derive(Debug, Clone)]
pub struct Request {
    action: String,
    resource: String,
    purpose: String,
    session: Option<String>,
    delegation: Option<String>,
    credential: CredentialKind,
    arguments: Option<Canonical>,
    claims: Option<Canonical>,
    idempotency_key: Option<String>,
}

/// A JSON object in canonical form, and its digest.
#[derive(Debug, Clone)]
struct Canonical {
    text: Box<RawValue>,
    sha256: String,
}

impl Request {
    /// To do `action` (`faq.read`) to `resource` (`article/42`) for a purpose that the agent is
    /// registered for.
    #[must_use]
    pub fn new(action: impl Into<String>, resource: impl Into<String>, purpose: impl Into<String>) -> Self {
        Self {
            action: action.into(),
            resource: resource.into(),
            purpose: purpose.into(),
            session: None,
            delegation: None,
            credential: CredentialKind::Token,
            arguments: None,
            claims: None,
            idempotency_key: None,
        }
    }

    /// On behalf of the user whom this delegation is from: a [`crate::Delegation`], or its id. Without one the agent
    /// asks on its own authority.
    #[must_use]
    pub fn on_behalf_by(mut self, delegation: impl Into<String>) -> Self {
        self.delegation = Some(delegation.into());
        self
    }

    /// Ask for a login in the PostgreSQL that the resource type is tied to, instead of a token: an allow is then
    /// [`crate::Decision::AllowLogin`].
    #[must_use]
    pub const fn login(mut self) -> Self {
        self.credential = CredentialKind::Postgresql;
        self
    }

    /// The action's arguments: anything that serialises to one JSON object. A grant is for these and
    /// no others. `{}` if it is not said.
    ///
    /// # Errors
    ///
    /// [`Error::Json`] if it is no object, or has a number that a 64-bit float cannot hold.
    pub fn arguments(self, arguments: &impl Serialize) -> Result<Self, Error> {
        let text = to_text("arguments", arguments)?;
        self.arguments_json(&text)
    }

    /// As [`Self::arguments`], of a JSON text.
    ///
    /// # Errors
    ///
    /// [`Error::Json`], also if a key stands twice.
    pub fn arguments_json(mut self, arguments: &str) -> Result<Self, Error> {
        self.arguments = Some(canonical("arguments", arguments)?);
        Ok(self)
    }

    /// What else the agent claims: anything that serialises to one JSON object. Nobody checks it, and
    /// nothing should rest on it.
    ///
    /// # Errors
    ///
    /// [`Error::Json`]
    pub fn claims(mut self, claims: &impl Serialize) -> Result<Self, Error> {
        self.claims = Some(canonical("claims", &to_text("claims", claims)?)?);
        Ok(self)
    }

    /// The session that this belongs to.
    #[must_use]
    pub fn session(mut self, session: impl Into<String>) -> Self {
        self.session = Some(session.into());
        self
    }

    /// Make the decision happen once, however often it is asked for under this key.
    ///
    /// # Errors
    ///
    /// [`Error::Unsendable`] if it is not 1 to 128 visible ASCII characters.
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Result<Self, Error> {
        let key = key.into();
        let sendable =
            key.bytes().all(|b| b.is_ascii_graphic()) && (1..=IDEMPOTENCY_KEY_BYTES_MAX).contains(&key.len());
        if !sendable {
            let value = key.escape_debug().take(64).collect();
            return Err(Error::Unsendable { what: "idempotency key", value });
        }
        self.idempotency_key = Some(key);
        Ok(self)
    }

    pub(crate) fn sent_idempotency_key(&self) -> Option<&str> {
        self.idempotency_key.as_deref()
    }

    /// SHA-256 of the canonical arguments: what a grant for this request carries.
    pub(crate) fn arguments_digest(&self) -> Result<String, Error> {
        match &self.arguments {
            Some(arguments) => Ok(arguments.sha256.clone()),
            None => Ok(canonical("arguments", "{}")?.sha256),
        }
    }

    /// Whether a grant is for this request.
    pub(crate) fn is_of(&self, grant: &attorn_api::decisions::Grant) -> Result<bool, Error> {
        Ok(grant.action == self.action
            && grant.resource == self.resource
            && grant.arguments_digest == self.arguments_digest()?)
    }

    /// Whether what a token permits is this request and nothing else.
    pub(crate) fn is_granted(&self, granted: &GrantedDetail) -> Result<bool, Error> {
        Ok(granted.actions == [self.action.as_str()]
            && granted.identifier == self.resource
            && granted.arguments_digest == self.arguments_digest()?)
    }

    /// As `authorization_details` (RFC 9396) say it: an array of one.
    pub(crate) fn to_details(&self) -> Result<String, Error> {
        let detail = AuthorizationDetail {
            detail_type: ATTORN_ACTION.to_owned(),
            actions: vec![self.action.clone()],
            identifier: self.resource.clone(),
            purpose: self.purpose.clone(),
            session: self.session.clone(),
            delegation: self.delegation.clone(),
            arguments: self.arguments.as_ref().map(|arguments| &*arguments.text),
            claims: self.claims.as_ref().map(|claims| &*claims.text),
        };
        to_text("authorization details", &[detail])
    }

    /// As it goes over the wire.
    pub(crate) fn to_body(&self) -> Result<Vec<u8>, Error> {
        let wire = DecisionRequest {
            action: self.action.clone(),
            resource: self.resource.clone(),
            purpose: self.purpose.clone(),
            session: self.session.clone(),
            delegation: self.delegation.clone(),
            user: None,
            credential: self.credential,
            arguments: self.arguments.as_ref().map(|arguments| &*arguments.text),
            claims: self.claims.as_ref().map(|claims| &*claims.text),
        };
        to_text("body", &wire).map(String::into_bytes)
    }
}

pub(crate) fn to_text(what: &'static str, value: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| malformed(what, &error))
}

fn malformed(what: &'static str, error: &serde_json::Error) -> Error {
    Error::Json { what, source: JsonError::Malformed(error.to_string()) }
}

fn canonical(what: &'static str, text: &str) -> Result<Canonical, Error> {
    let canonical = json::canonical_object(text).map_err(|source| Error::Json { what, source })?;
    let sha256 = json::digest(&canonical).to_string();
    let text = RawValue::from_string(canonical.as_str().to_owned()).map_err(|error| malformed(what, &error))?;
    Ok(Canonical { text, sha256 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Request {
        Request::new("faq.read", "article/42", "answer-questions")
    }

    #[test]
    fn arguments_that_readers_could_read_differently_are_refused() {
        for (text, problem) in [
            ("[1]", "it is no JSON object"),
            ("null", "it is no JSON object"),
            (r#"{"a":1,"a":2}"#, r#"the key "a" stands twice"#),
            (r#"{"a":9007199254740993}"#, "does not survive"),
            (r#"{"a":1}{}"#, "trailing characters"),
            ("{", "EOF"),
        ] {
            let Err(Error::Json { what: "arguments", source }) = request().arguments_json(text) else {
                panic!("{text} was taken");
            };
            assert!(source.to_string().contains(problem), "{source}");
        }
        assert!(request().claims(&7).is_err());
    }

    #[test]
    fn idempotency_keys_fit_into_a_header() {
        for key in ["", "a b", "a\r\nb", "\u{e9}", &"k".repeat(129)] {
            assert!(request().idempotency_key(key).is_err(), "{key}");
        }
        assert!(request().idempotency_key("k".repeat(128)).is_ok());
    }

    #[test]
    fn arguments_go_over_the_wire_in_canonical_form() {
        let request = request().arguments_json(r#" { "b" : 1.0, "a" : "x" } "#).unwrap().session("s1");
        let expect = r#"{"action":"faq.read","resource":"article/42","purpose":"answer-questions","session":"s1","arguments":{"a":"x","b":1}}"#;
        assert_eq!(String::from_utf8(request.to_body().unwrap()).unwrap(), expect);
    }

    #[test]
    fn no_arguments_are_the_empty_object() {
        let explicit = request().arguments_json("{}").unwrap().arguments_digest().unwrap();
        assert_eq!(request().arguments_digest().unwrap(), explicit);
        // echo -n '{}' | sha256sum
        assert_eq!(explicit, "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
    }
}
