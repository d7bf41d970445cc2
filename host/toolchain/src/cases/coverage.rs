//! What cases make a policy say, of what it could say.
//!
//! It counts what was said and not which lines ran: a verdict that no case comes to is a verdict that
//! nobody looked at.

use std::collections::{BTreeMap, BTreeSet};

use attorn_engine::Requirements;
use serde::Serialize;

use super::said::{Said, VerdictKind};

/// What was said in all cases together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// How many cases came to an allow.
    pub allow: usize,
    /// To a challenge.
    pub challenge: usize,
    /// To a deny.
    pub deny: usize,
    /// To an abstain.
    pub abstain: usize,
    /// To a failure.
    pub failure: usize,
    /// How many settings were refused.
    pub init_error: usize,
    /// How often each reason was given; those that are declared and were never given with 0.
    pub reasons: BTreeMap<String, usize>,
}

impl Coverage {
    /// Kinds and how often they came, in the order of the format.
    #[must_use]
    pub const fn kinds(&self) -> [(&'static str, usize); 6] {
        let Self { allow, challenge, deny, abstain, failure, init_error, .. } = self;
        [
            ("allow", *allow),
            ("challenge", *challenge),
            ("deny", *deny),
            ("abstain", *abstain),
            ("failure", *failure),
            ("init_error", *init_error),
        ]
    }

    /// The reasons that the policy declares under the settings of some case, and gave in none.
    #[must_use]
    pub fn reasons_missed(&self) -> BTreeSet<&str> {
        self.reasons.iter().filter(|(_, count)| **count == 0).map(|(code, _)| code.as_str()).collect()
    }

    pub(super) fn count(&mut self, said: &Said) {
        let kind = match said.verdict_kind() {
            Some(VerdictKind::Allow) => &mut self.allow,
            Some(VerdictKind::Challenge) => &mut self.challenge,
            Some(VerdictKind::Deny) => &mut self.deny,
            Some(VerdictKind::Abstain) => &mut self.abstain,
            None if said.failure().is_some() => &mut self.failure,
            None if said.is_init_error() => &mut self.init_error,
            // Settings were taken, and nothing was asked.
            None => return,
        };
        *kind += 1;
        for code in said.reasons() {
            *self.reasons.entry(code.clone()).or_default() += 1;
        }
    }

    pub(super) fn declare(&mut self, requirements: &Requirements) {
        for reason in &requirements.reasons {
            self.reasons.entry(reason.code.to_string()).or_default();
        }
    }
}
