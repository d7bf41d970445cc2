//! What an operator may administer. No duty implies another.

use std::fmt;
use std::str::FromStr;

use crate::id::ParseError;

macro_rules! duties {
    ($($(#[$doc:meta])* $duty:ident = $name:literal,)*) => {
        /// One kind of administration.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Duty {
            $($(#[$doc])* $duty,)*
        }

        impl Duty {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$duty),*];

            /// Its name on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$duty => $name,)*
                }
            }
        }
    };
}

duties! {
    /// Registers, suspends and retires agents and resource servers; revokes grants.
    Registrar = "registrar",
    /// Pushes and activates policies; requires that they are signed, and revokes who signs them.
    PolicyAdmin = "policy_admin",
    /// Deactivates or replaces policies in force, registers who signs them, and requires signatures no more: all of it can
    /// widen what agents may do.
    PolicyWeakener = "policy_weakener",
    /// Says yes or no to challenges.
    Approver = "approver",
    /// Reads the audit log.
    Auditor = "auditor",
    /// Lets a server go on that stopped itself, such as after a step of the clock.
    Thawer = "thawer",
    /// Erases users for ever.
    Eraser = "eraser",
    /// Registers and revokes operators.
    Admin = "admin",
}

impl FromStr for Duty {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        const HELP: &str = "one of registrar, policy_admin, policy_weakener, approver, auditor, thawer, eraser, admin";
        Self::ALL
            .iter()
            .copied()
            .find(|duty| duty.as_str() == text)
            .ok_or_else(|| ParseError::new("duty", text, "there is none of that name", HELP))
    }
}

impl fmt::Display for Duty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_duty_parses_from_its_name_and_stands_in_the_help() {
        let help = "x".parse::<Duty>().unwrap_err().help();
        for duty in Duty::ALL {
            assert_eq!(duty.as_str().parse::<Duty>().unwrap(), *duty);
            assert!(help.contains(duty.as_str()), "{duty}");
        }
    }
}
