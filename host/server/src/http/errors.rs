//! Errors as whoever asked reads them: as problems, in the words of OAuth, or as a page.
//!
//! Which error has which status is not known here: see [`super::failure`].

use attorn_api::REQUEST_ID_HEADER;
use axum::http::{HeaderValue, header};
use axum::response::Response;

use crate::app::App;
use crate::approvals::page;
use crate::http::call::{NOT_KEPT, Reply, problem_response};
use crate::http::failure::Failure;
use crate::http::route::Route;
use crate::oauth;

/// How errors look.
#[derive(Clone, Copy)]
pub(super) enum Errors {
    /// RFC 9457.
    Problems,
    /// RFC 6749, section 5.2.
    OAuth,
    /// For people.
    Page,
}

impl Errors {
    /// As they look at a route.
    pub(super) const fn of(route: &Route) -> Self {
        if route.is_page() {
            Self::Page
        } else if route.is_oauth() {
            Self::OAuth
        } else {
            Self::Problems
        }
    }
}

/// The answer as a response, with the request's id.
pub(super) fn respond_with(app: &App, errors: Errors, id: &str, answer: Result<Reply, Failure>) -> Response {
    let mut response = match answer {
        Ok(reply) => reply.into_response(),
        Err(mut failure) => {
            app.metrics.problem(failure.problem.code);
            match errors {
                Errors::Problems => {
                    failure.problem.request_id = Some(id.to_owned());
                    problem_response(&failure.problem)
                }
                Errors::OAuth => oauth::error::response(&failure, id),
                Errors::Page => page::problem(&failure, id),
            }
        }
    };
    if let Ok(id) = HeaderValue::from_str(id) {
        response.headers_mut().insert(REQUEST_ID_HEADER, id);
    }
    // What says nothing else is for this moment alone.
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static(NOT_KEPT));
    response
}
