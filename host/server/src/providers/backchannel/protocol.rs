//! `OpenID` Connect Client-Initiated Backchannel Authentication Core 1.0 in poll mode, as a client speaks it: what is
//! sent, and what an answer comes to.
//!
//! All of it is pure: no network, no clock, no record. Every answer comes to exactly one thing, and whatever is not
//! understood is a [`Problem`], never a yes. Whether an ID token is what it should be is decided in `answer`.

use attorn_identity::issuer_token::{TOKEN_BYTES_MAX, is_text};
use serde::Deserialize;

use super::problem::Problem;

/// The `grant_type` of polls.
pub(super) const GRANT_TYPE: &str = "urn:openid:params:grant-type:ciba";
/// How long to wait between two polls where the provider does not say, and by how much longer after `slow_down`
/// (sections 7.3 and 11), in seconds.
const INTERVAL_S: u64 = 5;
/// The longest interval that a provider may ask for, in seconds: with a longer one nobody would be asked in time.
const INTERVAL_S_MAX: u64 = 120;
/// The longest `auth_req_id`, in bytes. Keycloak puts the whole request into it, encrypted.
pub(super) const REQUEST_ID_BYTES_MAX: usize = 4_096;
/// The longest answer that is read, in bytes.
pub(super) const ANSWER_BYTES_MAX: usize = 64 << 10;

/// What a user is asked.
pub(super) struct Question<'a> {
    /// Who, in words that the provider knows.
    pub(super) login_hint: &'a str,
    /// The short code that the agent shows, too.
    pub(super) code: &'a str,
    /// How long an answer is of use, in seconds.
    pub(super) expires_in_s: u64,
    /// What is to be approved: one element of `authorization_details` (RFC 9396), as JSON; none where the provider does
    /// not know the type.
    pub(super) detail: Option<&'a str>,
}

/// The parameters of an authentication request (section 7.1), without those of the client's authentication.
pub(super) fn question(question: &Question<'_>) -> Vec<(&'static str, String)> {
    let mut parameters = vec![
        ("scope", "openid".to_owned()),
        ("login_hint", question.login_hint.to_owned()),
        ("binding_message", question.code.to_owned()),
        ("requested_expiry", question.expires_in_s.to_string()),
    ];
    parameters.extend(question.detail.map(|detail| ("authorization_details", format!("[{detail}]"))));
    parameters
}

/// The parameters of a poll (section 10.1).
pub(super) fn poll(request_id: &str) -> Vec<(&'static str, String)> {
    vec![("grant_type", GRANT_TYPE.to_owned()), ("auth_req_id", request_id.to_owned())]
}

/// The parameters with which the code of a sign-in becomes an ID token (`OpenID` Connect Core 1.0, section 3.1.3.1;
/// RFC 7636, section 4.5).
pub(super) fn code(code: &str, redirect_uri: &str, verifier: &str) -> Vec<(&'static str, String)> {
    vec![
        ("grant_type", "authorization_code".to_owned()),
        ("code", code.to_owned()),
        ("redirect_uri", redirect_uri.to_owned()),
        ("code_verifier", verifier.to_owned()),
    ]
}

/// The ID token that came for a code.
pub(super) fn signed_in(answer: &Answer<'_>) -> Result<String, Problem> {
    if answer.status == 200 { id_token(answer) } else { Err(refused(answer)) }
}

/// An answer over HTTP: its status and its body.
pub(super) struct Answer<'a> {
    pub(super) status: u16,
    pub(super) body: &'a [u8],
}

/// The provider asks the user.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Started {
    /// What it calls that.
    pub(super) request_id: String,
    /// For how long, in seconds.
    pub(super) expires_in_s: u64,
    /// How long to wait before each poll, in seconds.
    pub(super) interval_s: u64,
}

/// What came of a poll.
#[derive(PartialEq, Eq)]
pub(super) enum Polled {
    /// The user has not answered.
    Pending,
    /// Neither have they, and polls come too often.
    SlowDown,
    /// They said no.
    Denied,
    /// They did not answer in time.
    Expired,
    /// They said yes, if this ID token is what it should be.
    IdToken(String),
    /// Something else.
    Failed(Problem),
}

impl std::fmt::Debug for Polled {
    /// Nothing that could be used as a token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Pending => f.write_str("Pending"),
            Self::SlowDown => f.write_str("SlowDown"),
            Self::Denied => f.write_str("Denied"),
            Self::Expired => f.write_str("Expired"),
            Self::IdToken(_) => f.write_str("IdToken([redacted])"),
            Self::Failed(problem) => write!(f, "Failed({problem:?})"),
        }
    }
}

#[derive(Deserialize)]
struct StartedWire {
    auth_req_id: String,
    expires_in: u64,
    interval: Option<u64>,
}

#[derive(Deserialize)]
struct TokenWire {
    id_token: Option<String>,
}

#[derive(Deserialize)]
struct ErrorWire {
    error: String,
}

/// What the answer to an authentication request comes to (sections 7.3 and 13).
pub(super) fn started(answer: &Answer<'_>) -> Result<Started, Problem> {
    if answer.status != 200 {
        return Err(refused(answer));
    }
    let wire: StartedWire =
        read(answer).ok_or(Problem::Nonsense("the answer has no `auth_req_id` and `expires_in`"))?;
    if !is_text(&wire.auth_req_id, REQUEST_ID_BYTES_MAX) {
        return Err(Problem::Nonsense("`auth_req_id` is empty, too long, or has control characters"));
    }
    if wire.expires_in == 0 {
        return Err(Problem::Nonsense("`expires_in` is no time"));
    }
    let interval_s = wire.interval.unwrap_or(INTERVAL_S);
    if interval_s > INTERVAL_S_MAX {
        return Err(Problem::Nonsense("`interval` is longer than two minutes"));
    }
    Ok(Started { request_id: wire.auth_req_id, expires_in_s: wire.expires_in, interval_s: interval_s.max(1) })
}

/// What the answer to a poll comes to (section 11).
pub(super) fn polled(answer: &Answer<'_>) -> Polled {
    if answer.status == 200 {
        return id_token(answer).map_or_else(Polled::Failed, Polled::IdToken);
    }
    match error(answer).as_deref() {
        Some("authorization_pending") => Polled::Pending,
        Some("slow_down") => Polled::SlowDown,
        Some("access_denied") => Polled::Denied,
        Some("expired_token") => Polled::Expired,
        _ => Polled::Failed(refused(answer)),
    }
}

fn id_token(answer: &Answer<'_>) -> Result<String, Problem> {
    match read::<TokenWire>(answer).and_then(|wire| wire.id_token) {
        Some(token) if token.len() <= TOKEN_BYTES_MAX => Ok(token),
        Some(_) => Err(Problem::Nonsense("the ID token has more than 8192 bytes")),
        None => Err(Problem::NoIdToken),
    }
}

/// How long to wait before the next poll, after `slow_down`, in seconds.
pub(super) const fn slower(interval_s: u64) -> u64 {
    interval_s.saturating_add(INTERVAL_S)
}

/// An answer that is no success: a refusal in the words of the standards, or whatever else it is.
fn refused(answer: &Answer<'_>) -> Problem {
    if answer.status == 429 || answer.status >= 500 {
        return Problem::Unavailable(answer.status);
    }
    if (300..400).contains(&answer.status) {
        return Problem::Redirected;
    }
    match error(answer).as_deref() {
        Some("invalid_client" | "unauthorized_client") => Problem::ClientRefused,
        Some("unknown_user_id") => Problem::UnknownUser,
        Some("invalid_binding_message") => Problem::CodeRefused,
        Some("missing_user_code" | "invalid_user_code") => Problem::UserCode,
        Some("access_denied") => Problem::DeniedAtOnce,
        Some("invalid_grant") => Problem::RequestUnknown,
        Some("temporarily_unavailable") => Problem::Unavailable(answer.status),
        Some(
            "invalid_request"
            | "invalid_scope"
            | "invalid_authorization_details"
            | "unsupported_grant_type"
            | "expired_login_hint_token",
        ) => Problem::RequestRefused,
        Some(_) => Problem::Nonsense("the answer has an error that no standard knows here"),
        None => Problem::Nonsense("the answer is neither a success nor an error of OAuth"),
    }
}

fn error(answer: &Answer<'_>) -> Option<String> {
    (400..500).contains(&answer.status).then(|| read::<ErrorWire>(answer)).flatten().map(|wire| wire.error)
}

/// A member that stands twice makes it nothing: two readers could read two things.
fn read<T: for<'de> Deserialize<'de>>(answer: &Answer<'_>) -> Option<T> {
    let object = answer.body.trim_ascii_start().first() == Some(&b'{');
    object.then(|| serde_json::from_slice(answer.body).ok()).flatten()
}

#[cfg(test)]
#[path = "protocol_tests.rs"]
mod tests;
