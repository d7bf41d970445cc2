//! What every kind of credential can do, and how it says that it could not.

use std::future::Future;
use std::time::Duration;

use attorn_core::{Grant, LeaseId, SqlName};
use attorn_store::Recorded;

/// A kind of credential. What makes one holds all that it needs to reach where its credentials exist.
///
/// Everything that it does ends within a stated time, also when the other side never answers.
pub trait CredentialKind {
    /// What is to be made of a grant, beside what the grant says: chosen by the host, never by an agent.
    type Order: Sync;
    /// What the holder is given.
    type Credential;

    /// Make the credential of a recorded grant. When this fails, nobody knows whether anything exists outside: whoever
    /// calls has it ended.
    fn issue(
        &self,
        grant: &Recorded<Grant>,
        order: &Self::Order,
    ) -> impl Future<Output = Result<Self::Credential, KindError>> + Send;

    /// Let it live so much longer from now on, within what its grant says.
    fn renew(
        &self,
        grant: &Recorded<Grant>,
        outside: &Outside,
        life: Duration,
    ) -> impl Future<Output = Result<(), KindError>> + Send;

    /// End it. When this succeeds nothing of it is left outside.
    fn revoke(&self, outside: &Outside) -> impl Future<Output = Result<Ended, KindError>> + Send;

    /// All that exists outside and was made by this server, whatever its record says.
    fn check(&self) -> impl Future<Output = Result<Vec<Outside>, KindError>> + Send;
}

/// A credential as it is called outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outside {
    /// The lease that it was made for.
    pub lease: LeaseId,
    /// Its name there.
    pub name: SqlName,
    /// The roles that it was made with, where that is known.
    pub roles: Vec<SqlName>,
}

/// What came of ending a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It existed, and does not any more.
    Now,
    /// There was none.
    Before,
}

/// With what begins what a database says; its code stands behind it, and then its own words.
pub(crate) const SAYS: &str = "the database says ";
/// With what begins why TLS was not spoken.
pub(crate) const NO_TLS: &str = "TLS cannot be spoken: ";

/// With what begins why nobody can be believed to be the target: it was not even asked.
pub(crate) const NO_ROOTS: &str = "the certificates to be trusted cannot be read: ";

/// Why something could not be done. Its text is for operators, and holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KindError {
    /// It may go better another time.
    #[error("{text}")]
    Temporary {
        /// Whose fault it is.
        whose: Whose,
        /// What went wrong.
        text: String,
    },
    /// It will not, before somebody changes something.
    #[error("{text}")]
    Permanent {
        /// Whose fault it is.
        whose: Whose,
        /// What is wrong.
        text: String,
    },
}

/// Whose fault an error is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// The whole target's: whatever else is asked of it now fails as well.
    Target,
    /// This one credential's.
    Credential,
}

impl KindError {
    /// The target cannot be had now.
    pub(crate) fn unreachable(text: impl Into<String>) -> Self {
        Self::Temporary { whose: Whose::Target, text: text.into() }
    }

    /// The target cannot be used as it is registered.
    pub(crate) fn misconfigured(text: impl Into<String>) -> Self {
        Self::Permanent { whose: Whose::Target, text: text.into() }
    }

    /// This credential cannot be had so.
    pub(crate) fn refused(text: impl Into<String>) -> Self {
        Self::Permanent { whose: Whose::Credential, text: text.into() }
    }

    /// This credential cannot be had now.
    pub fn not_now(text: impl Into<String>) -> Self {
        Self::Temporary { whose: Whose::Credential, text: text.into() }
    }

    /// What was begun was stopped before it said what came of it.
    #[must_use]
    pub fn interrupted(error: &dyn std::error::Error) -> Self {
        Self::not_now(error.to_string())
    }

    /// The same as the fault of this one credential, which may go better another time.
    pub(crate) fn of_credential(self) -> Self {
        match self {
            Self::Temporary { text, .. } | Self::Permanent { whose: Whose::Target, text } => Self::not_now(text),
            refused @ Self::Permanent { whose: Whose::Credential, .. } => refused,
        }
    }

    /// The code of what a database says, if this is that.
    pub(crate) fn code(&self) -> Option<&str> {
        let (Self::Temporary { text, .. } | Self::Permanent { text, .. }) = self;
        let code = text.strip_prefix(SAYS)?.split(':').next()?;
        let good = code.len() == 5 && code.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
        good.then_some(code)
    }

    /// What is kept for ever: of what a database says the code alone, since its words may be anybody's.
    #[must_use]
    pub fn lasting(&self) -> String {
        let (Self::Temporary { text, .. } | Self::Permanent { text, .. }) = self;
        if !text.starts_with(SAYS) {
            return text.clone();
        }
        format!("{SAYS}{}", self.code().unwrap_or("no code"))
    }

    /// Whether it may go better another time.
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        matches!(self, Self::Temporary { .. })
    }

    /// Whether all else that is asked of the target fails as well.
    #[must_use]
    pub const fn is_of_target(&self) -> bool {
        matches!(self, Self::Temporary { whose: Whose::Target, .. } | Self::Permanent { whose: Whose::Target, .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_a_database_says_only_the_code_is_lasting() {
        for (text, lasting) in [
            ("the database says 42501: Alice owes 7", "the database says 42501"),
            ("the database says Alice: owes 7", "the database says no code"),
            ("the database says ", "the database says no code"),
            ("connecting took longer than 5 s", "connecting took longer than 5 s"),
        ] {
            assert_eq!(KindError::refused(text).lasting(), lasting);
        }
        assert_eq!(KindError::refused("the database says 42501: Alice owes 7").code(), Some("42501"));
        assert_eq!(KindError::refused("42501: x").code(), None);
    }

    #[test]
    fn what_is_made_a_credentials_fault_stays_what_cannot_be() {
        for target in [KindError::unreachable("x"), KindError::misconfigured("x"), KindError::not_now("x")] {
            assert_eq!(target.of_credential(), KindError::not_now("x"));
        }
        assert_eq!(KindError::refused("x").of_credential(), KindError::refused("x"));
    }
}
