//! What one policy says, or how its evaluation failed.

use crate::approval::ApproverRole;
use crate::id::ReasonCode;
use crate::terms::Terms;

/// What came of one evaluation. A failure is an outcome, never an error, and counts as a deny.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The policy answered.
    Verdict(Verdict),
    /// It did not.
    Failed(Failure),
}

/// What a policy says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Yes.
    Allow {
        /// Under what conditions.
        terms: Terms,
        /// Why.
        reasons: Vec<Reason>,
    },
    /// Only with an approval.
    Challenge {
        /// Who has to approve: all of these.
        approvers: Vec<ApprovalRequirement>,
        /// Under what conditions, once they are met.
        terms: Terms,
        /// Why.
        reason: Reason,
    },
    /// No.
    Deny {
        /// Why.
        reasons: Vec<Reason>,
    },
    /// Not this policy's business.
    Abstain,
}

/// A reason that a policy gives.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reason {
    /// A code that the policy declared.
    pub code: ReasonCode,
    /// What it means here, for people.
    pub text: String,
    /// Whether the agent may be shown it.
    pub public: bool,
}

/// Who has to approve.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ApprovalRequirement {
    /// In which role.
    pub role: ApproverRole,
    /// How many distinct people, 1 or more.
    pub count: u32,
}

/// How an evaluation failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Failure {
    /// It used up its CPU or wall time, or the request's.
    Deadline,
    /// It asked for more memory or table space than it may have.
    Memory,
    /// It trapped: a panic, an unreachable instruction, an access out of bounds.
    Trap,
    /// It answered more than the host takes.
    OutputTooLarge,
    /// It answered something that its contract forbids.
    InvalidVerdict,
    /// It returned an error.
    PolicyError,
    /// Its `init`, run before this evaluation, refused the settings.
    InitFailed,
    /// The host could not run it: no sandbox was free, or the component could not be loaded.
    NotRunnable,
    /// It was not asked: it ran out of CPU time again and again for this agent.
    Paused,
}

impl Failure {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::Deadline,
        Self::Memory,
        Self::Trap,
        Self::OutputTooLarge,
        Self::InvalidVerdict,
        Self::PolicyError,
        Self::InitFailed,
        Self::NotRunnable,
        Self::Paused,
    ];

    /// Its name on the wire and in the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deadline => "deadline",
            Self::Memory => "memory",
            Self::Trap => "trap",
            Self::OutputTooLarge => "output_too_large",
            Self::InvalidVerdict => "invalid_verdict",
            Self::PolicyError => "policy_error",
            Self::InitFailed => "init_failed",
            Self::NotRunnable => "not_runnable",
            Self::Paused => "paused",
        }
    }
}
