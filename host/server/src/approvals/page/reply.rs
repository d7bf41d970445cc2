//! Pages as answers: what a browser may do with them, which is to show them and to send their form back here; and the
//! cookies that say who looks.
//!
//! No page may be framed, kept, or say to others where somebody came from. What stands on a page is not known here.

use std::sync::LazyLock;

use attorn_core::ApprovalId;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use data_encoding::BASE64;
use sha2::{Digest as _, Sha256};

use super::html;
use crate::http::call::Reply;
use crate::http::failure::Failure;

/// What browsers are told. The one style has its digest here, and there is nothing else to load or to run.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let style = BASE64.encode(&Sha256::digest(html::STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    )
});

/// What a cookie says.
#[derive(Clone, Copy)]
pub(super) enum Cookie {
    /// In which browser somebody began to sign in.
    SignIn,
    /// Who has signed in.
    Visit,
}

impl Cookie {
    /// Its name: one for each approval, so that two of them do not get in each other's way.
    fn name(self, approval: &ApprovalId) -> String {
        match self {
            Self::SignIn => format!("__Host-sign-in-{approval}"),
            Self::Visit => format!("__Host-visit-{approval}"),
        }
    }

    /// What it holds; nothing if it is not there exactly once.
    pub(super) fn read<'h>(self, approval: &ApprovalId, headers: &'h HeaderMap) -> Option<&'h str> {
        let name = self.name(approval);
        let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut ours = all
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .filter(|(other, _)| *other == name);
        let (first, second) = (ours.next(), ours.next());
        first.filter(|_| second.is_none()).map(|(_, value)| value).filter(|value| !value.is_empty())
    }
}

/// A page.
pub(super) fn page(status: StatusCode, body: String) -> Reply {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(policy) = HeaderValue::from_str(&POLICY) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    Reply { status, media_type: "text/html; charset=utf-8", headers, ..Reply::text(body) }
}

/// The way to another page.
pub(super) fn see(location: &str) -> Result<Reply, Failure> {
    let mut reply = page(StatusCode::SEE_OTHER, String::new());
    reply.headers.insert(header::LOCATION, HeaderValue::from_str(location).map_err(Failure::internal)?);
    Ok(reply)
}

/// The same with a cookie. It goes with whoever comes from the provider by a link (`Lax`), and with no form of others.
pub(super) fn with_cookie(
    mut reply: Reply,
    (cookie, approval): (Cookie, &ApprovalId),
    value: &str,
    lives_ms: u64,
) -> Result<Reply, Failure> {
    let (name, seconds) = (cookie.name(approval), lives_ms / 1_000);
    let text = format!("{name}={value}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={seconds}");
    let mut value = HeaderValue::from_str(&text).map_err(Failure::internal)?;
    value.set_sensitive(true);
    reply.headers.append(header::SET_COOKIE, value);
    Ok(reply)
}

/// The same, and the cookie is gone.
pub(super) fn without_cookie(reply: Reply, which: (Cookie, &ApprovalId)) -> Result<Reply, Failure> {
    with_cookie(reply, which, "", 0)
}

/// What is shown in place of a page.
pub(crate) fn problem(failure: &Failure, request_id: &str) -> Response {
    let problem = &failure.problem;
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = page(status, html::problem(problem, request_id)).into_response();
    if status == StatusCode::SERVICE_UNAVAILABLE || status == StatusCode::TOO_MANY_REQUESTS {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_counts_once_and_for_its_approval() {
        let [ours, other] = [ApprovalId::from_random([1; 16]), ApprovalId::from_random([2; 16])];
        let name = Cookie::Visit.name(&ours);
        for (cookies, expect) in [
            (vec![format!("{name}=a")], Some("a")),
            (vec![format!("x=1; {name}=a;y=2")], Some("a")),
            (vec!["x=1".to_owned(), format!("{name}=a=b")], Some("a=b")),
            (vec![format!("{name}=a; {name}=b")], None),
            (vec![format!("{name}=a"), format!("{name}=a")], None),
            (vec![format!("{name}=")], None),
            (vec![format!("{}=a", Cookie::Visit.name(&other))], None),
            (vec![format!("{}=a", Cookie::SignIn.name(&ours))], None),
            (vec![format!("x{name}=a")], None),
            (vec![], None),
        ] {
            let mut headers = HeaderMap::new();
            for cookie in &cookies {
                headers.append(header::COOKIE, HeaderValue::from_str(cookie).unwrap());
            }
            assert_eq!(Cookie::Visit.read(&ours, &headers), expect, "{cookies:?}");
        }
    }
}
