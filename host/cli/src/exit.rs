//! Exit codes: what a script may rely on.

use std::process::ExitCode;

use attorn_api::decisions::DecisionKind;

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Allowed, or done.
    Done,
    /// Something went wrong.
    Error,
    /// The arguments mean nothing. The argument parser itself ends with the same code.
    Usage,
    /// The decision is a deny.
    Deny,
    /// The decision is a challenge.
    Challenge,
    /// A log or receipt does not verify.
    VerificationFailed,
    /// What was to be compared cannot be: something is missing, or a machine's speed made the difference; or a policy
    /// that was tried abstains.
    Undecided,
    /// A case of a policy does not hold.
    CaseFailed,
}

impl Exit {
    /// Its number.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Error => 1,
            Self::Usage => 2,
            Self::Deny => 3,
            Self::Challenge => 4,
            Self::VerificationFailed => 5,
            Self::Undecided => 6,
            Self::CaseFailed => 7,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

impl From<DecisionKind> for Exit {
    fn from(decision: DecisionKind) -> Self {
        match decision {
            DecisionKind::Allow => Self::Done,
            DecisionKind::Challenge => Self::Challenge,
            DecisionKind::Deny => Self::Deny,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_what_scripts_rely_on() {
        for (exit, code) in [
            (Exit::from(DecisionKind::Allow), 0),
            (Exit::Done, 0),
            (Exit::Error, 1),
            (Exit::Usage, 2),
            (Exit::from(DecisionKind::Deny), 3),
            (Exit::from(DecisionKind::Challenge), 4),
            (Exit::VerificationFailed, 5),
            (Exit::Undecided, 6),
            (Exit::CaseFailed, 7),
        ] {
            assert_eq!(exit.code(), code);
        }
    }
}
