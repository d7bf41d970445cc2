//! Why something is not done: a status and a stable code for whoever calls, and nothing of what they showed.

use attorn_api::ProblemCode;
use http::StatusCode;

/// A stable code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// There is not one `Authorization: DPoP` with one `DPoP`.
    NoCredential,
    /// The token is not signed by the issuer, is for others, or has expired.
    BadToken,
    /// The proof is not of this request by the token's holder.
    BadProof,
    /// The proof was used before.
    ProofReplayed,
    /// The token is for another action.
    OtherAction,
    /// The token is for another resource.
    OtherResource,
    /// The token is for other arguments.
    OtherArguments,
    /// All uses of the grant are spent.
    GrantSpent,
    /// The grant was revoked, or something that it hangs on ended.
    GrantInactive,
    /// The server knows the grant, and it is for something else.
    GrantMismatch,
    /// The server knows no such grant.
    NotFound,
    /// Keys or count cannot be had, or too much is remembered. Nothing was done.
    Unavailable,
}

impl Refusal {
    /// Its text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoCredential => "no_credential",
            Self::BadToken => "bad_token",
            Self::BadProof => "bad_proof",
            Self::ProofReplayed => "proof_replayed",
            Self::OtherAction => "other_action",
            Self::OtherResource => "other_resource",
            Self::OtherArguments => "other_arguments",
            Self::GrantSpent => "grant_spent",
            Self::GrantInactive => "grant_inactive",
            Self::GrantMismatch => "grant_mismatch",
            Self::NotFound => "not_found",
            Self::Unavailable => "unavailable",
        }
    }

    /// The status to answer with.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::NoCredential | Self::BadToken | Self::BadProof | Self::ProofReplayed => StatusCode::UNAUTHORIZED,
            Self::OtherAction
            | Self::OtherResource
            | Self::OtherArguments
            | Self::GrantSpent
            | Self::GrantInactive
            | Self::GrantMismatch
            | Self::NotFound => StatusCode::FORBIDDEN,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// What belongs into the answer's `WWW-Authenticate`, where there is something (RFC 9449, section 7.1).
    #[must_use]
    pub const fn www_authenticate(self) -> Option<&'static str> {
        match self {
            Self::NoCredential => Some(r#"DPoP algs="ES256 EdDSA""#),
            Self::BadToken => Some(r#"DPoP error="invalid_token", algs="ES256 EdDSA""#),
            Self::BadProof | Self::ProofReplayed => Some(r#"DPoP error="invalid_dpop_proof", algs="ES256 EdDSA""#),
            _ => None,
        }
    }

    /// What the server says of a grant; none if its problem is about something else.
    pub(crate) const fn of_grant(code: ProblemCode) -> Option<Self> {
        match code {
            ProblemCode::GrantSpent => Some(Self::GrantSpent),
            ProblemCode::GrantInactive => Some(Self::GrantInactive),
            ProblemCode::GrantMismatch => Some(Self::GrantMismatch),
            ProblemCode::NotFound => Some(Self::NotFound),
            _ => None,
        }
    }
}

/// What was asked for must not be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{why} ({})", code.as_str())]
pub struct Refused {
    /// The code.
    pub code: Refusal,
    why: &'static str,
}

impl Refused {
    pub(crate) const fn new(code: Refusal, why: &'static str) -> Self {
        Self { code, why }
    }

    pub(crate) const fn unavailable(why: &'static str) -> Self {
        Self::new(Refusal::Unavailable, why)
    }
}
