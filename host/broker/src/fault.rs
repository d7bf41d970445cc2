//! What kind of fault an error is: whoever has to mend a target looks in another place for each, and whoever asks for a
//! credential is told whether asking again may help. Neither learns here what the target itself said.

use crate::kind::{KindError, NO_ROOTS, NO_TLS};

/// What is wrong with a target that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nobody answers there, or not in time, or with what is no answer.
    Unreachable,
    /// Somebody answers who does not prove to be it.
    Tls,
    /// The certificates that are to be trusted cannot be read here: it was not asked.
    Roots,
    /// It does not let its administrator in: another password, or no such role.
    SignIn,
    /// The administrator may not do what is needed.
    Rights,
    /// It has no database of that name.
    Database,
    /// It may not be used as it is registered.
    Settings,
    /// It answered, with something else that is wrong.
    Other,
}

impl Fault {
    /// Whether somebody answered who is the target.
    #[must_use]
    pub const fn is_answer(self) -> bool {
        matches!(self, Self::SignIn | Self::Rights | Self::Database | Self::Other)
    }
}

impl KindError {
    /// What kind of fault this is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match (self, self.code()) {
            (_, Some(INSUFFICIENT_PRIVILEGE)) => Fault::Rights,
            (_, Some(INVALID_CATALOG_NAME)) => Fault::Database,
            (_, Some(code)) if code.starts_with(INVALID_AUTHORIZATION) => Fault::SignIn,
            (_, Some(_)) => Fault::Other,
            (Self::Temporary { text, .. } | Self::Permanent { text, .. }, None) if text.starts_with(NO_TLS) => {
                Fault::Tls
            }
            (Self::Temporary { text, .. } | Self::Permanent { text, .. }, None) if text.starts_with(NO_ROOTS) => {
                Fault::Roots
            }
            (Self::Temporary { .. }, None) => Fault::Unreachable,
            (Self::Permanent { .. }, None) => Fault::Settings,
        }
    }

    /// Whether it stays until an operator mends something. Asking again is no use before.
    #[must_use]
    pub fn stays(&self) -> bool {
        match self.code() {
            // A login may bring it about that something is not permitted, so it may go better when that is ended; what is
            // to be made or looked at is not a login's.
            Some(INSUFFICIENT_PRIVILEGE | INVALID_CATALOG_NAME) => true,
            Some(code) => [INVALID_AUTHORIZATION, SYNTAX_OR_ACCESS].iter().any(|class| code.starts_with(class)),
            None => !self.is_temporary(),
        }
    }
}

const INSUFFICIENT_PRIVILEGE: &str = "42501";
const INVALID_CATALOG_NAME: &str = "3D000";
/// The class of codes of a password or a role that is not let in.
const INVALID_AUTHORIZATION: &str = "28";
/// The class of codes of what is not there, is named wrongly, or is not permitted.
const SYNTAX_OR_ACCESS: &str = "42";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_told_apart_and_those_that_stay_from_those_that_pass() {
        let says = |code: &str| KindError::not_now(format!("the database says {code}: x"));
        for (error, fault, stays) in [
            (KindError::unreachable("connecting took longer than 5 s"), Fault::Unreachable, false),
            (says("28P01"), Fault::SignIn, true),
            (says("28000"), Fault::SignIn, true),
            (says("42501"), Fault::Rights, true),
            (says("42704"), Fault::Other, true),
            (says("3D000"), Fault::Database, true),
            (says("53300"), Fault::Other, false),
            (says("57P03"), Fault::Other, false),
            // What came too late, by which nothing was made.
            (KindError::refused("the database says 22012: division by zero"), Fault::Other, false),
            (KindError::refused("a role of the target's rules is not there"), Fault::Settings, true),
            (KindError::misconfigured("`x` is `169.254.169.254`"), Fault::Settings, true),
            (KindError::unreachable(format!("{NO_TLS}it hung up")), Fault::Tls, false),
            (KindError::misconfigured(format!("{NO_TLS}UnknownIssuer")), Fault::Tls, true),
            (KindError::misconfigured(format!("{NO_ROOTS}it is no PEM")), Fault::Roots, true),
            // Only what a database says has a code.
            (KindError::unreachable("28P01: x"), Fault::Unreachable, false),
        ] {
            assert_eq!((error.fault(), error.stays()), (fault, stays), "{error}");
        }
    }

    #[test]
    fn only_what_the_target_itself_said_is_an_answer() {
        for fault in [Fault::Unreachable, Fault::Tls, Fault::Roots, Fault::Settings] {
            assert!(!fault.is_answer(), "{fault:?}");
        }
        for fault in [Fault::SignIn, Fault::Rights, Fault::Database, Fault::Other] {
            assert!(fault.is_answer(), "{fault:?}");
        }
    }
}
