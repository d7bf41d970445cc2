//! Errors as OAuth has them (RFC 6749, section 5.2): the one place where a failure becomes one.

use attorn_api::ProblemCode;
use attorn_api::decisions::{ApprovalReference, DecisionAnswer, DecisionKind};
use attorn_api::oauth::{OAuthCode, OAuthError};
use attorn_identity::AssertionError;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;

use crate::app::App;
use crate::http::call::Reply;
use crate::http::failure::Failure;

const JSON: &str = "application/json";

/// A failure as a response.
pub(crate) fn response(failure: &Failure, request_id: &str) -> Response {
    let problem = &failure.problem;
    let code = code(failure);
    // OAuth has one text for what is wrong and for the way out.
    let text =
        problem.help.as_ref().map_or_else(|| problem.detail.clone(), |help| format!("{}; {help}", problem.detail));
    let error = OAuthError { request_id: Some(request_id.to_owned()), ..OAuthError::new(code, &text) };
    // Where the server is at fault or busy, how it is so matters to HTTP, too.
    let status = match code {
        OAuthCode::TemporarilyUnavailable | OAuthCode::ServerError => problem.status,
        _ => code.status(),
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = serde_json::to_vec(&error).unwrap_or_default();
    let mut response = Reply { status, media_type: JSON, ..Reply::text(body) }.into_response();
    let headers = response.headers_mut();
    if code == OAuthCode::TemporarilyUnavailable {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    // RFC 9110, section 15.5.2: a 401 says what would be accepted.
    if status == StatusCode::UNAUTHORIZED {
        let challenge = HeaderValue::from_static("DPoP error=\"invalid_client\", algs=\"ES256 EdDSA\"");
        headers.insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}

/// The code that a failure is answered with.
pub(crate) fn code(failure: &Failure) -> OAuthCode {
    failure.oauth.unwrap_or_else(|| of_problem(failure.problem.code))
}

/// A decision that is no allow. `access_denied` is registered for token endpoints (RFC 8628, section 7.2),
/// and says what happened: the client is known and its request is good, and the answer is no.
/// `invalid_grant` would say that a grant that it brought is bad, and `unauthorized_client` that it may not
/// use this `grant_type` at all.
pub(super) fn denied(answer: &DecisionAnswer, request_id: &str) -> Result<Reply, Failure> {
    let what = match answer.decision {
        DecisionKind::Challenge => "this needs an approval",
        DecisionKind::Deny | DecisionKind::Allow => "this is denied",
    };
    let reasons: Vec<_> = answer.reasons.iter().map(|reason| format!("{} ({})", reason.text, reason.code)).collect();
    let code = OAuthCode::AccessDenied;
    let error = OAuthError {
        decision: Some(answer.decision),
        decision_id: Some(answer.decision_id.clone()),
        approval: answer.approval.clone(),
        request_id: Some(request_id.to_owned()),
        ..OAuthError::new(code, &format!("{what}: {}", reasons.join("; ")))
    };
    reply(&error, code)
}

/// An authentication request waits for this approval (CIBA Core 1.0, section 11): nothing is wrong.
pub(super) fn pending(approval: ApprovalReference, request_id: &str) -> Result<Reply, Failure> {
    let code = OAuthCode::AuthorizationPending;
    let error =
        OAuthError { approval: Some(approval), ..OAuthError::new(code, "an approval is waited for; poll again") };
    reply(&OAuthError { request_id: Some(request_id.to_owned()), ..error }, code)
}

/// An authentication request comes to nothing, or a poll came too early.
pub(super) fn over(code: OAuthCode, detail: &str, request_id: &str) -> Result<Reply, Failure> {
    reply(&OAuthError { request_id: Some(request_id.to_owned()), ..OAuthError::new(code, detail) }, code)
}

fn reply(error: &OAuthError, code: OAuthCode) -> Result<Reply, Failure> {
    let body = serde_json::to_vec(error).map_err(Failure::internal)?;
    let status = StatusCode::from_u16(code.status()).map_err(Failure::internal)?;
    Ok(Reply { status, media_type: JSON, ..Reply::text(body) })
}

/// The problem by which an error of OAuth is counted and logged.
pub(crate) const fn counted_as(code: OAuthCode) -> ProblemCode {
    match code {
        OAuthCode::InvalidRequest => ProblemCode::InvalidBody,
        OAuthCode::InvalidClient => ProblemCode::Unauthenticated,
        OAuthCode::InvalidDpopProof => ProblemCode::ProofInvalid,
        OAuthCode::UseDpopNonce => ProblemCode::UseDpopNonce,
        OAuthCode::ServerError => ProblemCode::Internal,
        OAuthCode::TemporarilyUnavailable => ProblemCode::Busy,
        OAuthCode::InvalidGrant
        | OAuthCode::UnauthorizedClient
        | OAuthCode::UnsupportedGrantType
        | OAuthCode::InvalidScope
        | OAuthCode::InvalidTarget
        | OAuthCode::InvalidAuthorizationDetails
        | OAuthCode::InvalidBindingMessage
        | OAuthCode::UnknownUserId
        | OAuthCode::AuthorizationPending
        | OAuthCode::SlowDown
        | OAuthCode::ExpiredToken
        | OAuthCode::AccessDenied => ProblemCode::InvalidField,
    }
}

/// What the problem is in the words of OAuth.
const fn of_problem(code: ProblemCode) -> OAuthCode {
    match code {
        ProblemCode::UseDpopNonce => OAuthCode::UseDpopNonce,
        ProblemCode::ProofMissing
        | ProblemCode::ProofInvalid
        | ProblemCode::ProofReplayed
        | ProblemCode::UnknownKey
        | ProblemCode::KeyExpired => OAuthCode::InvalidDpopProof,
        ProblemCode::Unauthenticated | ProblemCode::CertificateInvalid | ProblemCode::UnknownIdentity => {
            OAuthCode::InvalidClient
        }
        ProblemCode::TooManyRequests
        | ProblemCode::Busy
        | ProblemCode::Contention
        | ProblemCode::NotReady
        | ProblemCode::TargetUnavailable
        | ProblemCode::UpstreamFailed
        | ProblemCode::UpstreamTimeout
        | ProblemCode::Timeout => OAuthCode::TemporarilyUnavailable,
        ProblemCode::Internal
        | ProblemCode::LogDamaged
        | ProblemCode::RecordLost
        | ProblemCode::TargetMisconfigured => OAuthCode::ServerError,
        // RFC 8693, section 2.2.2, has `invalid_request` for an unacceptable subject token; `invalid_grant` is what
        // RFC 6749 says of what was presented and is invalid, expired, revoked, or issued to another client, and what
        // clients look for to begin anew with the user.
        ProblemCode::SubjectTokenRefused
        | ProblemCode::ConsentMissing
        | ProblemCode::LoginNeeded
        | ProblemCode::DelegationInactive
        | ProblemCode::UserErased => OAuthCode::InvalidGrant,
        ProblemCode::Frozen | ProblemCode::TooManyDelegations | ProblemCode::Denied | ProblemCode::ApprovalNeeded => {
            OAuthCode::AccessDenied
        }
        ProblemCode::InvalidBody
        | ProblemCode::InvalidPath
        | ProblemCode::InvalidField
        | ProblemCode::InvalidQuery
        | ProblemCode::BodyTooLarge
        | ProblemCode::UnsupportedMediaType
        | ProblemCode::UserUnauthenticated
        | ProblemCode::MissingDuty
        | ProblemCode::OwnRequest
        | ProblemCode::ApprovalMismatch
        | ProblemCode::NotFound
        | ProblemCode::NoSuchRoute
        | ProblemCode::MethodNotAllowed
        | ProblemCode::AlreadyExists
        | ProblemCode::InvalidState
        | ProblemCode::KeyTaken
        | ProblemCode::IdentityTaken
        | ProblemCode::ResourceTypeTaken
        | ProblemCode::NoTarget
        | ProblemCode::TargetTypeTaken
        | ProblemCode::IdempotencyConflict
        | ProblemCode::GrantSpent
        | ProblemCode::GrantInactive
        | ProblemCode::GrantMismatch
        | ProblemCode::ComponentRejected
        | ProblemCode::SignatureMissing
        | ProblemCode::SignatureRefused
        | ProblemCode::LoadCancelled
        | ProblemCode::SettingsRejected => OAuthCode::InvalidRequest,
    }
}

/// Why a client's assertion is not accepted. Whether the client exists, and has such a key, is told to
/// nobody who is not it.
pub(super) fn of_assertion(app: &App, error: AssertionError) -> Failure {
    match error {
        AssertionError::BadSignature => unknown_client(),
        AssertionError::TooManyAssertions => Failure::of(ProblemCode::TooManyRequests, error.to_string()),
        AssertionError::EarlierRun if !app.assertions.is_open(app.clock.now()) => Failure::of(
            ProblemCode::Busy,
            "the server started just now; try again with a new assertion in some seconds",
        ),
        _ => Failure::oauth(OAuthCode::InvalidClient, error.to_string()),
    }
}

/// What a client says who it is by is no good.
pub(super) fn invalid_client(detail: &str) -> Failure {
    Failure::oauth(OAuthCode::InvalidClient, detail)
}

/// There is no such client, or not with such a key.
pub(super) fn unknown_client() -> Failure {
    let detail = "no key that is registered for such a client, and has not expired, signed the client assertion";
    Failure::oauth(OAuthCode::InvalidClient, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_has_an_error_of_oauth_with_a_status_of_its_class() {
        for code in ProblemCode::ALL {
            let response = response(&Failure::of(*code, "x"), "r");
            let server = response.status().is_server_error() || response.status().as_u16() == 429;
            assert_eq!(server, code.status() >= 500 || code.status() == 429, "{code}");
        }
    }

    #[test]
    fn every_error_of_oauth_has_its_own_status() {
        for code in OAuthCode::ALL {
            let response = response(&Failure::oauth(*code, "x"), "r");
            assert_eq!(response.status().as_u16(), code.status(), "{code}");
            assert_eq!(response.headers().contains_key(header::WWW_AUTHENTICATE), code.status() == 401, "{code}");
        }
    }
}
