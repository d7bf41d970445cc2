//! `authorization_details` (RFC 9396): exactly one element, of one action and one resource, because every
//! token is issued from one grant.

use attorn_api::decisions::{CredentialKind, DecisionRequest};
use attorn_api::json::canonical;
use attorn_api::oauth::{ATTORN_ACTION, AuthorizationDetail, OAuthCode};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::form::Form;
use crate::decisions::ask::{self, Wanted};
use crate::http::failure::Failure;

/// What the client asks for. How many elements there are is a matter of the request (`invalid_request`),
/// what stands in the one is a matter of our type (RFC 9396, section 5).
pub(super) fn wanted(form: &Form) -> Result<Wanted, Failure> {
    of_element(&element(form)?)
}

/// The one element, as it came.
pub(super) fn element(form: &Form) -> Result<String, Failure> {
    let text = form.needed("authorization_details")?;
    let malformed = |why: String| Failure::oauth(OAuthCode::InvalidRequest, format!("`authorization_details`: {why}"));
    canonical(text).map_err(|error| malformed(error.to_string()))?;
    let elements: Vec<&RawValue> =
        serde_json::from_str(text).map_err(|_| malformed("it is no JSON array".to_owned()))?;
    let [element] = elements.as_slice() else {
        let why = format!("it has {} elements, and exactly one is taken: one token is for one action", elements.len());
        return Err(malformed(why));
    };
    Ok(element.get().to_owned())
}

/// What an element asks for.
pub(super) fn of_element(text: &str) -> Result<Wanted, Failure> {
    let invalid = |why: String| {
        Failure::oauth(OAuthCode::InvalidAuthorizationDetails, format!("the element of `authorization_details`: {why}"))
    };
    check_type(text).map_err(invalid)?;
    let detail: AuthorizationDetail<'_> = serde_json::from_str(text).map_err(|error| invalid(error.to_string()))?;
    let [action] = <[String; 1]>::try_from(detail.actions)
        .map_err(|actions| invalid(format!("it has {} `actions`, and exactly one is taken", actions.len())))?;
    let wire = DecisionRequest {
        action,
        resource: detail.identifier,
        purpose: detail.purpose,
        session: detail.session,
        user: None,
        credential: CredentialKind::Token,
        delegation: detail.delegation,
        arguments: detail.arguments,
        claims: detail.claims,
    };
    ask::wanted(wire).map_err(|failure| match &failure.problem.help {
        Some(help) => invalid(format!("{}; {help}", failure.problem.detail)),
        None => invalid(failure.problem.detail.clone()),
    })
}

fn check_type(text: &str) -> Result<(), String> {
    #[derive(Deserialize)]
    struct Typed {
        #[serde(rename = "type")]
        detail_type: String,
    }
    if !text.starts_with('{') {
        return Err("it is no JSON object".into());
    }
    let typed: Typed = serde_json::from_str(text).map_err(|_| "it has no `type`".to_owned())?;
    if typed.detail_type == ATTORN_ACTION {
        return Ok(());
    }
    Err(format!("its `type` is not `{ATTORN_ACTION}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"type":"attorn_action","actions":["faq.read"],"identifier":"article/42","purpose":"tests"}"#;

    fn read(details: &str) -> Result<Wanted, Failure> {
        let body: String =
            form_urlencoded::Serializer::new(String::new()).append_pair("authorization_details", details).finish();
        wanted(&Form::parse(body.as_bytes()).unwrap())
    }

    #[track_caller]
    fn refused(details: &str, code: OAuthCode) {
        assert_eq!(read(details).err().map(|failure| failure.oauth), Some(Some(code)), "{details}");
    }

    #[test]
    fn anything_but_one_element_is_no_request() {
        let two = format!("[{GOOD},{GOOD}]");
        let twice = GOOD.replace("\"purpose\"", r#""purpose":"x","purpose""#);
        let inexact = GOOD.replace("\"purpose\"", r#""arguments":{"n":9007199254740993},"purpose""#);
        for details in ["", "x", "{}", "[]", "null", GOOD, &two, &format!("[{twice}]"), &format!("[{inexact}]"), "[1]x"]
        {
            refused(details, OAuthCode::InvalidRequest);
        }
    }

    #[test]
    fn an_element_has_the_members_of_its_type() {
        for (from, to) in [
            (r#""type":"attorn_action""#, r#""type":"payment""#),
            (r#""type":"attorn_action","#, ""),
            (r#"["faq.read"]"#, "[]"),
            (r#"["faq.read"]"#, r#"["faq.read","faq.list"]"#),
            (r#"["faq.read"]"#, r#""faq.read""#),
            (r#"["faq.read"]"#, r#"["faq.*"]"#),
            (r#"["faq.read"]"#, r#"["faq..read"]"#),
            (r#""identifier":"article/42","#, ""),
            ("article/42", "article/*"),
            ("article/42", "article"),
            (r#","purpose":"tests""#, ""),
            (r#""purpose":"tests""#, r#""purpose":"Tests""#),
            (r#""purpose""#, r#""user":"alice","purpose""#),
            (r#""purpose""#, r#""privileges":["admin"],"purpose""#),
            (r#""purpose""#, r#""arguments":[],"purpose""#),
            (r#""purpose""#, r#""session":"a b","purpose""#),
        ] {
            assert!(GOOD.contains(from), "{from}");
            refused(&format!("[{}]", GOOD.replace(from, to)), OAuthCode::InvalidAuthorizationDetails);
        }
        for element in ["1", "null", "[]", "\"x\"", "{}"] {
            refused(&format!("[{element}]"), OAuthCode::InvalidAuthorizationDetails);
        }
        let request = read(&format!("[{GOOD}]")).unwrap().request;
        assert_eq!((request.action.as_str(), request.resource.as_str()), ("faq.read", "article/42"));
        assert_eq!(request.arguments.as_str(), "{}");
    }
}
