//! Making verdicts.

use std::time::Duration;

use crate::{Allow, ApprovalRequirement, Challenge, Debit, NUMBER_MAX, Obligation, Reason, Terms, Verdict};

impl Verdict {
    /// Yes, on no terms but the host's own. Add terms and reasons, then `.into()`:
    ///
    /// ```
    /// # use std::time::Duration;
    /// use attorn_policy::Verdict;
    ///
    /// let verdict: Verdict = Verdict::allow().for_at_most(Duration::from_secs(30)).uses(1).into();
    /// ```
    #[must_use]
    pub const fn allow() -> Allow {
        Allow { terms: Terms::none(), reasons: Vec::new() }
    }

    /// Only with an approval. Say whose by [`Challenge::approved_by`], at least once, then `.into()`:
    ///
    /// ```
    /// use attorn_policy::{ReasonDeclaration, Verdict};
    ///
    /// const LARGE: ReasonDeclaration = ReasonDeclaration::public("large_transfer", "the transfer is large");
    /// let verdict: Verdict = Verdict::challenge(LARGE).approved_by("operator", 1).into();
    /// ```
    #[must_use]
    pub fn challenge(reason: impl Into<Reason>) -> Challenge {
        Challenge { approvers: Vec::new(), terms: Terms::none(), reason: reason.into() }
    }

    /// No, for this reason. One deny is enough, whatever other policies say.
    #[must_use]
    pub fn deny(reason: impl Into<Reason>) -> Self {
        Self::Deny(vec![reason.into()])
    }
}

impl From<Allow> for Verdict {
    fn from(allow: Allow) -> Self {
        Self::Allow(allow)
    }
}

impl From<Challenge> for Verdict {
    fn from(challenge: Challenge) -> Self {
        Self::Challenge(challenge)
    }
}

impl Allow {
    /// And this is why; at most 16 reasons.
    #[must_use]
    pub fn because(mut self, reason: impl Into<Reason>) -> Self {
        self.reasons.push(reason.into());
        self
    }
}

impl Challenge {
    /// And `count` distinct people in this role have to approve: `user`, `operator`, or a group's
    /// name. At most 8 roles.
    #[must_use]
    pub fn approved_by(mut self, role: impl Into<String>, count: u32) -> Self {
        self.approvers.push(ApprovalRequirement { role: role.into(), count });
        self
    }

    /// And `count` distinct members of this group have to approve: users of the same provider as the
    /// one on whose behalf the agent asks, who is none of them. Where there is no user, the request is
    /// denied.
    ///
    /// # Panics
    ///
    /// If the name is `user` or `operator`, which are roles: the request is denied then, too.
    #[must_use]
    pub fn approved_by_group(self, name: impl Into<String>, count: u32) -> Self {
        let name = name.into();
        assert!(!matches!(name.as_str(), "user" | "operator"), "`{name}` is a role, and no group goes by its name");
        self.approved_by(name, count)
    }
}

impl Terms {
    /// Terms that add nothing to the host's own.
    #[must_use]
    pub const fn none() -> Self {
        Self { grant_ms_max: None, uses_max: None, debits: Vec::new(), obligations: Vec::new() }
    }
}

/// Both a yes and a challenge have terms, and a no has none: so these are methods of the two.
macro_rules! with_terms {
    ($($on:ty)*) => {$(
        impl $on {
            /// The grant may live no longer than this, in whole milliseconds, at least one.
            /// [`NUMBER_MAX`](crate::NUMBER_MAX) are written for more.
            #[must_use]
            pub fn for_at_most(mut self, time: Duration) -> Self {
                let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
                self.terms.grant_ms_max = Some(ms.min(NUMBER_MAX));
                self
            }

            /// The grant may be used no more often than this, 1 or more. Once, if this is not called.
            #[must_use]
            pub const fn uses(mut self, uses_max: u32) -> Self {
                self.terms.uses_max = Some(uses_max);
                self
            }

            /// And charge a declared counter: `amount` is 1 or more of its unit, and the counter must not
            /// pass `at_most` in its window; neither is more than [`NUMBER_MAX`](crate::NUMBER_MAX). At most 16.
            #[must_use]
            pub fn debit(mut self, counter: impl Into<String>, amount: u64, at_most: u64) -> Self {
                self.terms.debits.push(Debit { counter: counter.into(), amount, at_most });
                self
            }

            /// And the enforcement point must do this; if none can, the decision is a deny. `parameters`
            /// is a JSON object. At most 16.
            #[must_use]
            pub fn oblige(mut self, kind: impl Into<String>, parameters: &serde_json::Value) -> Self {
                self.terms.obligations.push(Obligation { kind: kind.into(), parameters: parameters.to_string() });
                self
            }
        }
    )*};
}

with_terms! { Allow Challenge }

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::ReasonDeclaration;

    const REASON: ReasonDeclaration = ReasonDeclaration::private("reason", "a reason");

    #[test]
    fn what_is_not_said_is_left_to_the_host() {
        let Verdict::Allow(allow) = Verdict::allow().into() else { panic!("no allow") };
        assert_eq!((allow.terms, allow.reasons), (Terms::none(), vec![]));
    }

    #[test]
    fn groups_are_asked_beside_roles_and_never_as_one() {
        let challenge = Verdict::challenge(REASON).approved_by_group("/Finance", 2).approved_by("user", 1);
        let needs = |role: &str, count| ApprovalRequirement { role: role.into(), count };
        assert_eq!(challenge.approvers, [needs("/Finance", 2), needs("user", 1)]);
        for role in ["user", "operator"] {
            let asks = std::panic::catch_unwind(|| Verdict::challenge(REASON).approved_by_group(role, 1));
            assert!(asks.is_err(), "{role}");
        }
    }

    #[test]
    fn terms_say_what_was_asked_for() {
        let challenge = Verdict::challenge(REASON.with_text("here"))
            .approved_by("operator", 2)
            .for_at_most(Duration::from_micros(30_000_999))
            .uses(3)
            .debit("spent", 5, 100)
            .oblige("redact", &json!({ "fields": ["iban"] }));
        assert_eq!(challenge.approvers, [ApprovalRequirement { role: "operator".into(), count: 2 }]);
        assert_eq!(challenge.reason, Reason { code: "reason".into(), text: "here".into() });
        assert_eq!((challenge.terms.grant_ms_max, challenge.terms.uses_max), (Some(30_000), Some(3)));
        assert_eq!(challenge.terms.debits, [Debit { counter: "spent".into(), amount: 5, at_most: 100 }]);
        assert_eq!(challenge.terms.obligations[0].parameters, r#"{"fields":["iban"]}"#);
    }

    #[test]
    fn a_time_beyond_all_bounds_is_the_longest() {
        assert_eq!(Verdict::allow().for_at_most(Duration::MAX).terms.grant_ms_max, Some(NUMBER_MAX));
    }
}
