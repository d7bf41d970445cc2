//! What a request means, and what of it goes on. What could be read in two ways is refused before anything is decided,
//! and what goes on is written anew from what is decided: method, path, query, named headers, and a body that is JSON in
//! its canonical form, or bytes that the arguments have the digest of.

use attorn_api::decisions::{CredentialKind, DecisionRequest};
use attorn_api::json::canonical;
use attorn_api::{FOR_HEADER, HEADERS_HEADER, ProblemCode};
use attorn_broker::proxy::{Outgoing, is_of_hop};
use attorn_core::proxy::{ProxyBody, ProxyQuery};
use attorn_core::{FieldName, ProxyMethod, ProxyPath, ProxyRoute, ProxySettings};
use attorn_store::Versioned;
use attorn_store::records::TargetRecord;
use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, header};
use data_encoding::HEXLOWER;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::decisions::ask::{self, Row, Through, Wanted};
use crate::http::call::Call;
use crate::http::failure::Failure;

/// The longest value of a header that goes on.
const VALUE_BYTES_MAX: usize = 1_024;

/// A request as it is decided, and as it goes on; nothing goes on of one that no row is for.
pub(super) struct Onward {
    pub(super) wanted: Wanted,
    pub(super) outgoing: Option<Outgoing>,
}

/// For whom and why a request is made, as its header says it.
#[derive(Debug, Default, PartialEq, Eq)]
struct AskedFor<'a> {
    purpose: &'a str,
    delegation: Option<&'a str>,
    session: Option<&'a str>,
}

/// Read a request.
pub(super) fn onward(
    call: &Call,
    target: &Versioned<TargetRecord>,
    settings: &ProxySettings,
) -> Result<Onward, Failure> {
    if call.uri.scheme().is_some() || call.uri.authority().is_some() {
        return Err(invalid("the request names a whole URL where a path belongs"));
    }
    let method: ProxyMethod = call.method.as_str().parse()?;
    let path = path(call.uri.path(), target.value.id.as_str())?;
    let asked_for = asked_for(&call.headers)?;
    let through = |row| Through { target: target.value.id.clone(), version: target.version, row };
    let unreadable = |error: attorn_core::ParseError| invalid(error.to_string()).with_help(error.help());
    let Some(matched) = settings.matched(method, &path).map_err(unreadable)? else {
        let action = format!("proxy.{}", method.as_str().to_ascii_lowercase());
        let arguments = json!({ "method": method.as_str(), "path": path.to_string() });
        let what = (action, format!("target/{}", target.value.id), arguments);
        return Ok(Onward { wanted: wanted(&asked_for, what, through(Row::Missing))?, outgoing: None });
    };
    let query = call.uri.query().unwrap_or_default();
    let query = ProxyQuery::parse(query, &matched.route.query)
        .map_err(|error| Failure::of(ProblemCode::InvalidQuery, error.to_string()).with_help(error.help()))?;
    let headers = headers(&call.headers, settings)?;
    let mut arguments = json!({ "method": method.as_str(), "path": path.to_string(), "query": query.members() });
    if !headers.is_empty() {
        let said = headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().into()));
        arguments["headers"] = Value::Object(said.collect::<Map<_, _>>());
    }
    let (body, media_type) = body(call, (matched.route, settings), &mut arguments)?;
    let what = (matched.action.to_string(), matched.resource.to_string(), arguments);
    let outgoing = Outgoing { method, target: format!("{path}{query}"), headers, media_type, body };
    Ok(Onward { wanted: wanted(&asked_for, what, through(Row::Found))?, outgoing: Some(outgoing) })
}

/// What stands behind the target in the path, exactly as it came.
fn path(whole: &str, target: &str) -> Result<ProxyPath, Failure> {
    let rest = whole.strip_prefix("/proxy/").and_then(|rest| rest.strip_prefix(target));
    // A target that is written in another way than it is called is no other target.
    let rest = rest.filter(|rest| rest.starts_with('/'));
    let rest = rest.ok_or_else(|| invalid("the target's id is written in another way than it is called"))?;
    rest.parse().map_err(|error: attorn_core::ParseError| invalid(error.to_string()).with_help(error.help()))
}

fn wanted(
    asked_for: &AskedFor<'_>,
    (action, resource, arguments): (String, String, Value),
    through: Through,
) -> Result<Wanted, Failure> {
    let arguments = RawValue::from_string(arguments.to_string()).map_err(Failure::internal)?;
    let wanted = ask::wanted(DecisionRequest {
        action,
        resource,
        purpose: asked_for.purpose.into(),
        session: asked_for.session.map(str::to_owned),
        delegation: asked_for.delegation.map(str::to_owned),
        user: None,
        credential: CredentialKind::Token,
        arguments: Some(&arguments),
        claims: None,
    })?;
    Ok(Wanted { through: Some(through), ..wanted })
}

/// `PURPOSE`, and `; delegation=ID`, `; session=ID`, each once at most.
fn asked_for(headers: &HeaderMap) -> Result<AskedFor<'_>, Failure> {
    let bad = || {
        let detail = format!("exactly one header `{FOR_HEADER}` says what the request is for");
        Failure::of(ProblemCode::InvalidField, detail)
            .with_help("`Attorn-For: serve-customers; delegation=dlg_...; session=...`, the last two where they belong")
    };
    let text = one(headers, FOR_HEADER).map_err(|_| bad())?.ok_or_else(bad)?;
    let mut parts = text.to_str().map_err(|_| bad())?.split("; ");
    let mut asked_for = AskedFor { purpose: parts.next().unwrap_or_default(), ..AskedFor::default() };
    for part in parts {
        let place = match part.split_once('=') {
            Some(("delegation", _)) => &mut asked_for.delegation,
            Some(("session", _)) => &mut asked_for.session,
            _ => return Err(bad()),
        };
        let value = part.split_once('=').map(|(_, value)| value);
        if std::mem::replace(place, value).is_some() {
            return Err(bad());
        }
    }
    Ok(asked_for)
}

/// The headers that go on, each once at most, and none that `Connection` names: those are for this hop (RFC 9110,
/// section 7.6.1).
fn headers(all: &HeaderMap, settings: &ProxySettings) -> Result<Vec<(FieldName, HeaderValue)>, Failure> {
    let mut headers = Vec::new();
    for name in settings.request_headers.iter().filter(|name| !is_of_hop(all, name.as_str())) {
        let Some(value) = one(all, name.as_str())? else { continue };
        let visible = value.as_bytes().iter().all(|b| *b == b' ' || b.is_ascii_graphic());
        if !visible || value.len() > VALUE_BYTES_MAX {
            let detail = format!("`{name}` has visible ASCII characters, {VALUE_BYTES_MAX} at most");
            return Err(Failure::of(ProblemCode::InvalidField, detail));
        }
        headers.push((name.clone(), value.clone()));
    }
    each_named_goes_on(all, &headers)?;
    Ok(headers)
}

/// Whether all those go on that the agent says it means to. Programs and proxies on the way add headers of their own, so
/// which of them it is about only the agent knows.
fn each_named_goes_on(all: &HeaderMap, onward: &[(FieldName, HeaderValue)]) -> Result<(), Failure> {
    let Some(named) = one(all, HEADERS_HEADER)? else { return Ok(()) };
    let refused = |detail: String| Failure::of(ProblemCode::InvalidField, detail);
    let text = named.to_str().ok().filter(|text| text.len() <= VALUE_BYTES_MAX);
    let list = || refused(format!("`{HEADERS_HEADER}` is a list of names of headers, {VALUE_BYTES_MAX} bytes at most"));
    for name in text.ok_or_else(list)?.split(',').map(str::trim) {
        let name: FieldName = name.to_ascii_lowercase().parse()?;
        if !onward.iter().any(|(other, _)| *other == name) {
            let why =
                if all.contains_key(name.as_str()) { "the target takes none of that name" } else { "it did not come" };
            return Err(refused(format!("the header `{name}` would not go on: {why}"))
                .with_help("leave it out, or ask the target's operator to name it in `request_headers`"));
        }
    }
    Ok(())
}

/// The one value of a header, if it is there.
fn one<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a HeaderValue>, Failure> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        _ => Err(Failure::of(ProblemCode::InvalidField, format!("the header `{name}` stands twice"))),
    }
}

/// The body that goes on, and its media type. The arguments say what it is.
fn body(
    call: &Call,
    (route, settings): (&ProxyRoute, &ProxySettings),
    arguments: &mut Value,
) -> Result<(Bytes, Option<String>), Failure> {
    let (body, most) = (&call.body, settings.request_bytes_max as usize);
    if body.len() > most {
        return Err(Failure::of(ProblemCode::BodyTooLarge, format!("the body has more than {most} bytes")));
    }
    if call.headers.contains_key(header::CONTENT_ENCODING) {
        return Err(Failure::of(ProblemCode::UnsupportedMediaType, "the body may not be encoded"));
    }
    let media_type = one(&call.headers, header::CONTENT_TYPE.as_str())?;
    let media_type = media_type.map_or("", |value| value.to_str().unwrap_or("?")).to_ascii_lowercase();
    let expect = |expect: &str, is: bool| {
        let detail = || format!("this takes `{expect}`, not `{}`", media_type.escape_default());
        if is { Ok(()) } else { Err(Failure::of(ProblemCode::UnsupportedMediaType, detail())) }
    };
    match &route.body {
        ProxyBody::None if body.is_empty() => Ok((Bytes::new(), None)),
        ProxyBody::None => Err(Failure::of(ProblemCode::InvalidBody, "this takes no body")),
        ProxyBody::Json => {
            expect("application/json", matches!(&*media_type, "application/json" | "application/json; charset=utf-8"))?;
            let text = std::str::from_utf8(body);
            let text = text.map_err(|error| Failure::of(ProblemCode::InvalidBody, error.to_string()))?;
            let text = canonical(text)?.as_str().to_owned();
            arguments["body"] = serde_json::from_str(&text).map_err(Failure::internal)?;
            Ok((text.into(), Some("application/json".into())))
        }
        ProxyBody::Bytes(kind) => {
            expect(kind, media_type == **kind)?;
            arguments["body_sha256"] = HEXLOWER.encode(&Sha256::digest(body)).into();
            arguments["media_type"] = (**kind).into();
            Ok((body.clone(), Some(kind.to_string())))
        }
    }
}

fn invalid(detail: impl Into<String>) -> Failure {
    Failure::of(ProblemCode::InvalidPath, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_agent_means_to_go_on_goes_on_or_is_refused() {
        let said = |named: &[&str]| {
            let mut all = HeaderMap::new();
            for name in ["if-match", "x-foo", "user-agent"] {
                all.insert(name, HeaderValue::from_static("1"));
            }
            for named in named {
                all.append(HEADERS_HEADER, HeaderValue::from_str(named).unwrap());
            }
            let onward = [("if-match".parse().unwrap(), HeaderValue::from_static("1"))];
            each_named_goes_on(&all, &onward).map_err(|failure| failure.problem.detail)
        };
        // What nobody named is nobody's loss.
        assert_eq!(said(&[]), Ok(()));
        assert_eq!(said(&["if-match"]), Ok(()));
        assert_eq!(said(&["If-Match , if-match"]), Ok(()));
        for (named, why) in [
            (&["x-foo"][..], "the header `x-foo` would not go on: the target takes none of that name"),
            (&["if-match, x-foo"], "the header `x-foo` would not go on: the target takes none of that name"),
            (&["accept-language"], "the header `accept-language` would not go on: it did not come"),
            (&["if-match", "if-match"], "the header `Attorn-Headers` stands twice"),
            (&[""], ""),
            (&["a b"], ""),
            (&["if-match,"], ""),
        ] {
            let refused = said(named).unwrap_err();
            assert!(refused.contains(why), "{named:?}: {refused}");
        }
        assert!(said(&[&"if-match,".repeat(200)]).unwrap_err().contains("is a list of names"));
    }

    #[test]
    fn what_a_request_is_for_is_said_in_one_way() {
        let said = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(FOR_HEADER, HeaderValue::from_str(value).unwrap());
            }
            asked_for(&headers).map(|said| format!("{said:?}")).map_err(|failure| failure.problem.code)
        };
        let of = |purpose, delegation, session| Ok(format!("{:?}", AskedFor { purpose, delegation, session }));
        assert_eq!(said(&["support"]), of("support", None, None));
        assert_eq!(said(&["support; session=s; delegation=d"]), of("support", Some("d"), Some("s")));
        for bad in [
            &[][..],
            &["support", "support"],
            &["support; delegation=a; delegation=b"],
            &["support; user=u"],
            &["support; delegation"],
            &["support; "],
        ] {
            assert_eq!(said(bad), Err(ProblemCode::InvalidField), "{bad:?}");
        }
        // What is left in a purpose is refused as one.
        assert_eq!(said(&["support;delegation=d"]), of("support;delegation=d", None, None));
    }

    #[test]
    fn a_path_goes_on_from_behind_the_target_and_only_as_that_is_called() {
        assert_eq!(path("/proxy/crm/v2/a", "crm").unwrap().to_string(), "/v2/a");
        for bad in
            ["/proxy/crm", "/proxy/%63rm/v2", "/proxy/crmx/v2", "/proxy/crm//v2", "/proxy/crm/../x", "/proxy/crm/"]
        {
            assert_eq!(path(bad, "crm").unwrap_err().problem.code, ProblemCode::InvalidPath, "{bad}");
        }
    }
}
