//! What can go wrong between an agent and a decision.

use attorn_api::decisions::ApprovalReference;
use attorn_api::json::JsonError;
use attorn_api::oauth::{OAuthCode, OAuthError};
use attorn_api::{Problem, ProblemCode};

use crate::key::KeyError;

/// No decision was made, or it is not known here which. A deny is no error, but for [`crate::Client::token`] and
/// [`crate::Client::call`].
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The URL cannot be used.
    #[error("`{url}` cannot be the server's URL: {problem}")]
    Url {
        /// What was given.
        url: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Something would be put into a URL or a header that does not belong there.
    #[error("the {what} `{value}` cannot be sent")]
    Unsendable {
        /// What it is.
        what: &'static str,
        /// What was given, shortened.
        value: String,
    },
    /// Arguments or claims that no two readers would have to read alike.
    #[error("the request's {what} cannot be sent")]
    Json {
        /// Which part.
        what: &'static str,
        /// Why.
        #[source]
        source: JsonError,
    },
    /// The key failed.
    #[error("no proof could be made")]
    Key(#[from] KeyError),
    /// The client has a certificate, and nothing to sign a proof with.
    #[error("a client with a certificate makes no proofs: its connection is the proof")]
    NoKey,
    /// The server could not be reached, or the connection broke. Whether a decision was made is not
    /// known; with an idempotency key it is safe to ask again.
    #[error("the server `{server}` could not be reached, or the connection broke")]
    Connection {
        /// Which server.
        server: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// The server refused. [`Problem::code`] is stable.
    #[error(transparent)]
    Problem(Box<Problem>),
    /// What was to be sent on to a service needs an approval, and nothing was sent.
    #[error("{}: approval `{}`, code {}", .0.problem, .0.approval.id, .0.approval.code)]
    ApprovalNeeded(Box<ApprovalNeeded>),
    /// The token endpoint refused, or decided, and the decision is no allow. [`OAuthError::error`] is stable.
    #[error("{} ({})", .0.error_description, .0.error)]
    OAuth(Box<OAuthError>),
    /// A service's answer ended before it was whole. What came of it is no answer.
    #[error("the answer was cut off after {bytes} bytes")]
    CutOff {
        /// How many bytes of its body came.
        bytes: u64,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// The answer is none that this version understands.
    #[error("the server's answer ({status}) cannot be understood: {problem}")]
    Answer {
        /// Its HTTP status.
        status: u16,
        /// What is wrong with it.
        problem: String,
    },
}

/// What waits for an approval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalNeeded {
    /// The approval that it waits for.
    pub approval: ApprovalReference,
    /// What the server says: the decision, and why.
    pub problem: Problem,
}

impl Error {
    /// The problem, if the server stated one.
    #[must_use]
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Problem(problem) => Some(problem),
            Self::ApprovalNeeded(needed) => Some(&needed.problem),
            _ => None,
        }
    }

    /// The approval that is waited for, if there is one: show its code, and send the same again when somebody has said
    /// yes.
    #[must_use]
    pub fn approval(&self) -> Option<&ApprovalReference> {
        match self {
            Self::ApprovalNeeded(needed) => Some(&needed.approval),
            _ => None,
        }
    }

    /// Whether the server wants its nonce in the proof.
    pub(crate) fn wants_nonce(&self) -> bool {
        match self {
            Self::Problem(problem) => problem.code == ProblemCode::UseDpopNonce,
            Self::OAuth(error) => error.error == OAuthCode::UseDpopNonce,
            _ => false,
        }
    }
}
