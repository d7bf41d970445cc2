//! What happens around every handler: request id, body limit, authentication, deadline, log line.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use attorn_api::{NONCE_HEADER, PROOF_HEADER, ProblemCode, REQUEST_ID_HEADER};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{RawPathParams, Request};
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use axum::routing::{MethodFilter, on};
use http_body_util::BodyExt;
use tokio::sync::{OwnedRwLockReadGuard, oneshot};

use crate::app::App;
use crate::http::access::{Shown, Signed, identify, passage, take_rate};
use crate::http::call::{Call, Caller, Reply, parse_query};
use crate::http::connections::{LetIn, Party};
use crate::http::errors::{Errors, respond_with};
use crate::http::failure::Failure;
use crate::http::route::{Access, Content, REQUEST_TIMEOUT, Route};
use crate::http::strangers::{Remote, claimed};
use crate::http::tls::ClientCertificates;
use crate::oauth::form::Form;
use crate::refusals::{Door, Refusals};

/// The longest that a body may take to arrive which is read before anybody knows who sent it. Such bodies are small.
const STRANGERS_BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// How much is read and dropped of a body that is too long.
const DROPPED_BYTES_MAX: usize = 2 << 20;

/// A router of all rows of the table.
pub(crate) fn router(app: &Arc<App>, table: &[Route]) -> Router {
    let mut router = Router::new();
    for route in table {
        let (app, route) = (Arc::clone(app), Arc::new(route.clone()));
        let filter = MethodFilter::try_from(route.method.clone()).unwrap_or(MethodFilter::GET);
        router = router.route(
            route.path,
            on(filter, {
                let route = Arc::clone(&route);
                move |path: Result<RawPathParams, _>, request: Request| serve(app, route, path.ok(), request)
            }),
        );
    }
    let (no_method, no_route) = (Arc::clone(app), Arc::clone(app));
    router
        .method_not_allowed_fallback(move |request: Request| async move {
            let detail = format!("`{}` has no method `{}`", request.uri().path(), request.method());
            nowhere(&no_method, &request, Failure::of(ProblemCode::MethodNotAllowed, detail))
        })
        .fallback(move |request: Request| async move {
            let failure = Failure::of(ProblemCode::NoSuchRoute, format!("there is no `{}`", request.uri().path()))
                .with_help("`GET /v1/openapi.json` lists all routes");
            nowhere(&no_route, &request, failure)
        })
}

/// What nobody serves anybody may ask for.
fn nowhere(app: &App, request: &Request, failure: Failure) -> Response {
    if app.refusals.count(Door::Public, &failure, false) {
        app.metrics.refused(Door::Public);
    }
    respond_with(app, Errors::Problems, &request_id(request.headers()), Err(failure))
}

async fn serve(app: Arc<App>, route: Arc<Route>, path: Option<RawPathParams>, request: Request) -> Response {
    let started = Instant::now();
    let (parts, body) = request.into_parts();
    let id = request_id(&parts.headers);
    let Some(path) = path else {
        let onward = route.access == Access::AgentOnward;
        let code = if onward { ProblemCode::InvalidPath } else { ProblemCode::InvalidField };
        let failure = Failure::of(code, "the path is no UTF-8");
        return respond_with(&app, Errors::of(&route), &id, Err(failure));
    };
    let path = path.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let longest = route.lasts_at_most(&app.config.compile);
    let answer = tokio::time::timeout(longest, handle(&app, &route, (&id, path), &parts, body)).await;
    let answer = answer.unwrap_or_else(|_| {
        let detail = format!("the request took longer than {} s", longest.as_secs());
        Err(Failure::of(ProblemCode::Timeout, detail).with_help("it may still take effect: look before you repeat it"))
    });
    log(&route, &id, &answer, started.elapsed());
    let errors = Errors::of(&route);
    let mut response = respond_with(&app, errors, &id, answer);
    if route.access.needs_body()
        && let Ok(nonce) = HeaderValue::from_str(&app.nonces.current(app.clock.now()))
    {
        response.headers_mut().insert(NONCE_HEADER, nonce);
    }
    response
}

async fn handle(
    app: &Arc<App>,
    route: &Route,
    (id, path): (&str, BTreeMap<String, String>),
    parts: &Parts,
    body: axum::body::Body,
) -> Result<Reply, Failure> {
    let from = parts.extensions.get::<Remote>().copied();
    let from = from.ok_or_else(|| Failure::internal("a request came from nowhere"))?;
    let Admitted { caller, body, form, era } =
        admit(app, route, (parts, from), body).await.inspect_err(|failure| note_refused(app, route, failure))?;
    // Only now: a stranger who names an agent or a user takes nothing from them.
    take_rate(app, &caller)?;
    // Only now: whoever calls too often keeps no place either.
    if let (Some(party), Some(let_in)) = (Party::of(&caller), parts.extensions.get::<LetIn>()) {
        let_in.keep(&party);
    }
    let body = match body {
        Ok(body) => body,
        Err(unread) => read_body_within(REQUEST_TIMEOUT, unread, route.body_bytes_max).await?,
    };
    let form = form.map_or_else(|| form_of(route, &body), |form| Ok(Some(form)))?;
    let query = parse_query(parts.uri.query().unwrap_or_default())?;
    let (method, uri, headers) = (parts.method.clone(), parts.uri.clone(), parts.headers.clone());
    // Dropped when whoever asked does not wait any more.
    let (_waits, hung_up) = oneshot::channel();
    let id = id.to_owned();
    let call = Call { id, from, caller, method, uri, path, query, headers, body, form, hung_up };
    let answer = (route.handler)(Arc::clone(app), call);
    // What began ends, whoever hangs up: a change that was recorded and not put in force would be worse
    // than either.
    let answer = tokio::spawn(async move {
        let answer = answer.await;
        drop(era);
        answer
    });
    let answer = answer.await.map_err(Failure::internal)?;
    if route.access == Access::Public {
        return answer.inspect_err(|failure| {
            note_refused(app, route, failure);
            if Refusals::counts(failure) {
                app.strangers.refused(from, None);
            }
        });
    }
    answer
}

/// Who calls, and what was read to know it.
struct Admitted {
    caller: Caller,
    /// As it was read, or as it still has to be.
    body: Result<Bytes, axum::body::Body>,
    form: Option<Form>,
    /// Held where time must not change meanwhile.
    era: Option<OwnedRwLockReadGuard<()>>,
}

/// Find out who calls. All that fails here fails for a stranger.
async fn admit(
    app: &App,
    route: &Route,
    (parts, from): (&Parts, Remote),
    body: axum::body::Body,
) -> Result<Admitted, Failure> {
    check_media_type(route, parts)?;
    let passage = (route.access == Access::AgentOnward).then(|| passage(parts));
    let nothing_yet = Signed { method: parts.method.as_str(), path: parts.uri.path(), body: &[], form: None, passage };
    // An operator's token does not depend on the body, so it is looked at first, and only operators make the
    // server hold a large body. A proof covers the body, which is read before it is known who sent it: such
    // bodies are small (`routes::tests::only_operators_send_large_bodies`).
    // Nobody else is known by a certificate, so nobody else's is looked at.
    let by_certificate = matches!(route.access, Access::Agent | Access::AgentOnward | Access::AgentClient);
    let certificates = parts.extensions.get::<ClientCertificates>().filter(|_| by_certificate);
    let shown = Shown { headers: &parts.headers, certificates, from };
    if !route.access.strangers_wait() {
        let caller = identify(app, route.access, shown, &nothing_yet).await?;
        note_let_in(parts, &caller);
        return Ok(Admitted { caller, body: Err(body), form: None, era: None });
    }
    let body = if route.access.needs_body() {
        Ok(read_body_within(STRANGERS_BODY_TIMEOUT, body, route.body_bytes_max).await?)
    } else {
        Err(body)
    };
    let form = match &body {
        Ok(body) => form_of(route, body)?,
        Err(_) => None,
    };
    let read = body.as_ref().map_or(&[][..], |body| body);
    let signed = Signed { body: read, form: form.as_ref(), ..nothing_yet };
    // Users wait where their token is verified, when the provider's keys are there.
    let lane =
        if route.access == Access::User { None } else { app.strangers.enter(from, || claimed(shown, &signed)).await? };
    let era = Some(Arc::clone(&app.era).read_owned().await);
    let caller = identify(app, route.access, shown, &signed).await.inspect_err(|failure| {
        if Refusals::counts(failure) {
            app.strangers.refused(from, claimed(shown, &signed));
        }
    })?;
    drop(lane);
    note_let_in(parts, &caller);
    if let Some(name) = name_of(&caller, shown, &signed) {
        app.strangers.let_in(from, name);
    }
    Ok(Admitted { caller, body, form, era })
}

/// By what name the caller came: what [`claimed`] said, with nothing parsed a second time where it is at hand.
fn name_of(caller: &Caller, shown: Shown<'_>, signed: &Signed<'_>) -> Option<String> {
    match caller {
        Caller::Agent(agent) if shown.certificates.is_none() && shown.headers.contains_key(PROOF_HEADER) => {
            Some(agent.thumbprint.to_string())
        }
        Caller::Agent(_) | Caller::ResourceServer(_) => claimed(shown, signed),
        // Of the others nothing was verified that has a name.
        Caller::User(_) | Caller::Operator(_) | Caller::Anonymous => None,
    }
}

fn note_let_in(parts: &Parts, caller: &Caller) {
    if !matches!(caller, Caller::Anonymous)
        && let Some(let_in) = parts.extensions.get::<LetIn>()
    {
        let_in.note();
    }
}

fn form_of(route: &Route, body: &Bytes) -> Result<Option<Form>, Failure> {
    route.takes_form().then(|| Form::parse(body)).transpose()
}

/// Nobody was let in: it is counted, and nothing else is recorded of it.
fn note_refused(app: &App, route: &Route, failure: &Failure) {
    let door = Door::of(route.access);
    if app.refusals.count(door, failure, route.is_oauth()) {
        app.metrics.refused(door);
    }
}

/// A body that could be read as something else than it is would be decided as one thing and executed
/// as another.
fn check_media_type(route: &Route, parts: &Parts) -> Result<(), Failure> {
    let expect = match route.takes {
        Content::None | Content::Page => return Ok(()),
        Content::Json(_) => "application/json",
        Content::Form(_) => "application/x-www-form-urlencoded",
        Content::Other(media_type) => media_type,
    };
    let got = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = got.split(';').next().unwrap_or_default().trim();
    // A request that announces no body has none (RFC 9112, section 6.3).
    let empty = match parts.headers.get(header::CONTENT_LENGTH) {
        Some(length) => length.as_bytes() == b"0",
        None => !parts.headers.contains_key(header::TRANSFER_ENCODING),
    };
    if essence.eq_ignore_ascii_case(expect) || (empty && got.is_empty()) {
        return Ok(());
    }
    let detail = format!("this route takes `{expect}`, not `{}`", essence.escape_default());
    Err(Failure::of(ProblemCode::UnsupportedMediaType, detail))
}

/// Read a body that has to be whole by then, however steadily it comes.
async fn read_body_within(longest: Duration, body: axum::body::Body, bytes_max: usize) -> Result<Bytes, Failure> {
    tokio::time::timeout(longest, read_body(body, bytes_max)).await.unwrap_or_else(|_| {
        let detail = format!("the body was not there after {} s", longest.as_secs());
        Err(Failure::of(ProblemCode::Timeout, detail).with_help("nothing was done; send it again, all at once"))
    })
}

/// Read a body. Of one that is too long some more is read and dropped: whoever still sends reads no answer, and would
/// only see the connection break.
async fn read_body(mut body: axum::body::Body, bytes_max: usize) -> Result<Bytes, Failure> {
    let (mut read, mut dropped) = (Vec::new(), 0);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Failure::of(ProblemCode::InvalidBody, "the body broke off"))?;
        let Ok(data) = frame.into_data() else { continue };
        if dropped == 0 && data.len() <= bytes_max - read.len() {
            read.extend_from_slice(&data);
            continue;
        }
        dropped += data.len();
        if dropped > DROPPED_BYTES_MAX {
            break;
        }
    }
    match dropped {
        0 => Ok(read.into()),
        _ => Err(Failure::of(ProblemCode::BodyTooLarge, format!("the body has more than {bytes_max} bytes"))),
    }
}

/// The caller's request id if it is harmless, else one of ours.
fn request_id(headers: &axum::http::HeaderMap) -> String {
    let given = headers.get(REQUEST_ID_HEADER).and_then(|value| value.to_str().ok());
    let harmless = |id: &&str| {
        (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    given.filter(harmless).map_or_else(crate::random::request_id, str::to_owned)
}

fn log(route: &Route, id: &str, answer: &Result<Reply, Failure>, took: Duration) {
    let (status, code) = match answer {
        Ok(reply) => (reply.status.as_u16(), ""),
        Err(failure) => (failure.problem.status, failure.problem.code.as_str()),
    };
    let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    if let Err(Failure { internal: Some(internal), .. }) = answer {
        tracing::error!(request_id = id, route = route.path, status, code, took_us, internal, "failed");
    } else {
        tracing::debug!(request_id = id, route = route.path, status, code, took_us, "answered");
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Method;
    use futures_util::StreamExt as _;

    use super::*;
    use crate::http::route::{handler, json, route};

    #[test]
    fn a_body_says_what_it_is_and_none_need_not() {
        let takes = route(Method::POST, "/", Access::User, ("a", "b"), handler!(crate::me::revoke_all))
            .takes(json::<attorn_api::delegations::Revoke>());
        for (headers, is_taken) in [
            (&[][..], true),
            (&[("content-length", "0")], true),
            (&[("content-length", "2")], false),
            (&[("transfer-encoding", "chunked")], false),
            (&[("content-type", "text/plain")], false),
            (&[("content-type", "text/plain"), ("content-length", "0")], false),
            (&[("content-type", "application/json; charset=utf-8"), ("content-length", "2")], true),
        ] {
            let mut request = axum::http::Request::builder();
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let (parts, ()) = request.body(()).unwrap().into_parts();
            let checked = check_media_type(&takes, &parts);
            assert_eq!(checked.is_ok(), is_taken, "{headers:?}");
            let refused = checked.err().map(|failure| failure.problem.code);
            assert!(refused.is_none_or(|code| code == ProblemCode::UnsupportedMediaType));
        }
    }

    #[tokio::test]
    async fn a_body_that_comes_byte_by_byte_is_not_waited_for() {
        let byte = || Ok::<_, std::convert::Infallible>(Bytes::from_static(b"x"));
        // Each read succeeds at once, and it never ends.
        let endless = futures_util::stream::repeat_with(byte).then(|byte| async move {
            tokio::time::sleep(Duration::from_millis(1)).await;
            byte
        });
        let body = axum::body::Body::from_stream(endless);
        let refused = read_body_within(Duration::from_millis(50), body, 1 << 20).await.unwrap_err();
        assert_eq!(refused.problem.code, ProblemCode::Timeout);
        let whole = axum::body::Body::from("whole");
        assert_eq!(read_body_within(STRANGERS_BODY_TIMEOUT, whole, 5).await.unwrap(), "whole");
    }
}
