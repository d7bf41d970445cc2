//! Domain errors as problems: the one place where an error becomes an HTTP status.
//!
//! What the client reads and what the log says are kept apart: an internal error is written to the
//! log under the request id, and the client reads only that id.

use attorn_api::json::JsonError;
use attorn_api::oauth::OAuthCode;
use attorn_api::{Problem, ProblemCode};
use attorn_core::{DecisionId, ParseError};
use attorn_engine::Busy;
use attorn_identity::ProofError;
use attorn_store::{CommitError, FileError, KeyKind, ReadError};

use crate::oauth::error::counted_as;
use crate::refusals::Party;

/// Why a call failed: the problem for the client and, where it differs, the text for the log.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) problem: Box<Problem>,
    pub(crate) internal: Option<String>,
    /// What it is in the words of OAuth, where those have more than the problem's code says.
    pub(crate) oauth: Option<OAuthCode>,
    /// Whose doing it was, where something of theirs was verified before it was refused.
    pub(crate) party: Option<Party>,
}

impl Failure {
    /// A failure that the client reads as it is.
    pub(crate) fn of(code: ProblemCode, detail: impl Into<String>) -> Self {
        Self { problem: Problem::new(code, detail).into(), internal: None, oauth: None, party: None }
    }

    /// A failure of an OAuth endpoint.
    pub(crate) fn oauth(code: OAuthCode, detail: impl Into<String>) -> Self {
        Self { oauth: Some(code), ..Self::of(counted_as(code), detail) }
    }

    /// The same, with a way out.
    pub(crate) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.problem.help = Some(help.into());
        self
    }

    /// The same, of a decision that was made and recorded before.
    pub(crate) fn of_decision(mut self, decision: &DecisionId) -> Self {
        self.problem.decision_id = Some(decision.to_string());
        self
    }

    /// The same, as this party's doing, unless it is known to be another's.
    pub(crate) fn of_party(mut self, party: Party) -> Self {
        self.party.get_or_insert(party);
        self
    }

    /// A failure of the server: the log reads why, the client does not.
    pub(crate) fn internal(why: impl std::fmt::Display) -> Self {
        let detail = "the server failed; its log says why, under the request id";
        let problem = Problem::new(ProblemCode::Internal, detail).into();
        Self { problem, internal: Some(why.to_string()), oauth: None, party: None }
    }

    /// The same, with the causes of an error.
    pub(crate) fn caused(error: &dyn std::error::Error) -> Self {
        Self::internal(causes(error))
    }

    /// "Not there" and "not yours" look alike.
    pub(crate) fn not_found(what: &str, id: impl std::fmt::Display) -> Self {
        let failure = Self::of(ProblemCode::NotFound, format!("there is no {what} `{id}`"));
        match what {
            "entry" => failure.with_help(
                "`attorn audit list --newest` shows the last ones, `attorn audit epochs` how many there are",
            ),
            "epoch" => failure.with_help("`attorn audit epochs` lists them"),
            _ => failure,
        }
    }
}

impl From<ParseError> for Failure {
    fn from(error: ParseError) -> Self {
        Self::of(ProblemCode::InvalidField, error.to_string()).with_help(error.help())
    }
}

impl From<JsonError> for Failure {
    fn from(error: JsonError) -> Self {
        Self::of(ProblemCode::InvalidBody, error.to_string())
    }
}

impl From<ProofError> for Failure {
    fn from(error: ProofError) -> Self {
        let code = match error {
            ProofError::NonceMissing | ProofError::NonceUnknown => ProblemCode::UseDpopNonce,
            ProofError::Replayed => ProblemCode::ProofReplayed,
            ProofError::TooManyProofs => ProblemCode::TooManyRequests,
            _ => ProblemCode::ProofInvalid,
        };
        let failure = Self::of(code, error.to_string());
        match error {
            ProofError::UrlMismatch => failure.with_help("use the server's `public_url` exactly as attorn.toml has it"),
            _ => failure,
        }
    }
}

impl From<Busy> for Failure {
    fn from(_: Busy) -> Self {
        Self::of(ProblemCode::Busy, "the queue for evaluations is full; nothing was decided")
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        match error.damage() {
            Some(damage) => {
                Self { internal: Some(causes(&error)), ..Self::of(ProblemCode::LogDamaged, damage.to_owned()) }
            }
            None => Self::caused(&error),
        }
    }
}

/// A component that cannot be read; settings in a file are read by what knows that they are settings.
impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        match error {
            FileError::NotThere(digest) => {
                Self::not_found("component", digest).with_help("put it first: `attorn policy push` does")
            }
            FileError::Altered(_) => {
                Self::of(ProblemCode::ComponentRejected, format!("the component failed the step `read`: {error}"))
                    .with_help("put it again: `attorn policy push` does")
            }
            error => Self::caused(&error),
        }
    }
}

impl From<CommitError> for Failure {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Busy => Self::of(ProblemCode::Busy, "the queue for commits is full; nothing was recorded"),
            CommitError::Conflict(_) => Self::of(ProblemCode::Contention, "it changed meanwhile; nothing was recorded"),
            CommitError::LimitExceeded { key, found } if key.kind() == Some(KeyKind::KeptDelegations) => {
                let detail = format!("the agent has made {found} delegations of this user's that are kept: the most");
                Self::of(ProblemCode::TooManyDelegations, detail).with_help(
                    "those that have ended make room; of the others revoke those that nobody needs (`attorn delegation \
                     give-back`), or make them for less time",
                )
            }
            CommitError::LimitExceeded { key, found } if key.kind() == Some(KeyKind::OpenOffers) => {
                let detail =
                    format!("{found} offers of this user's wait for that agent already: the most of one agent");
                Self::of(ProblemCode::TooManyDelegations, detail)
                    .with_help("it accepts them or gives them back, or whoever offered them revokes them")
            }
            CommitError::Malformed(_) => Self::caused(&error),
            other => Self {
                problem: Problem::new(ProblemCode::NotReady, "the store cannot record; nothing was decided or changed")
                    .into(),
                internal: Some(causes(&other)),
                oauth: None,
                party: None,
            },
        }
    }
}

/// An error and all that caused it, in one line.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    std::iter::once(error.to_string()).chain(causes.map(ToString::to_string)).collect::<Vec<_>>().join(": ")
}
