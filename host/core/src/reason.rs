//! The reason codes that the host itself gives. They are stable: clients match on them.

macro_rules! host_reasons {
    ($($(#[$doc:meta])* $reason:ident = $code:literal, $text:literal;)*) => {
        /// Why the host decided as it did.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum HostReason {
            $($(#[$doc])* $reason,)*
        }

        impl HostReason {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$reason),*];

            /// Its code.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self {
                    $(Self::$reason => $code,)*
                }
            }

            /// What it means, for people.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self {
                    $(Self::$reason => $text,)*
                }
            }
        }
    };
}

host_reasons! {
    /// A bound: the agent is suspended.
    AgentSuspended = "agent_suspended", "the agent is suspended";
    /// A bound: the agent is retired.
    AgentRetired = "agent_retired", "the agent is retired";
    /// A bound: the key that signed has expired.
    KeyExpired = "key_expired", "the key has expired";
    /// A bound: the agent is not registered for the purpose.
    PurposeNotRegistered = "purpose_not_registered", "the agent is not registered for this purpose";
    /// A bound: the purpose is pursued only on behalf of a user, and there is none.
    PurposeNeedsUser = "purpose_needs_user", "this purpose is pursued only on behalf of a user";
    /// A bound: the ceiling does not cover the action on the resource.
    OutsideCeiling = "outside_ceiling", "the agent's ceiling does not cover this action on this resource";
    /// A bound: nobody accepts credentials for this type of resource.
    ResourceTypeUnknown = "resource_type_unknown", "no resource server is registered for this type of resource";
    /// No policy in force is about this request.
    NoApplicablePolicy = "no_applicable_policy", "no policy in force is about this request";
    /// More policies are about this request than one decision asks.
    TooManyPolicies = "too_many_policies", "more policies are about this request than one decision asks";
    /// Every policy that was asked abstained.
    NotAllowed = "not_allowed", "no policy allows this";
    /// A policy denied, for a reason that is not public.
    DeniedByPolicy = "denied_by_policy", "a policy denies this";
    /// A policy failed.
    PolicyFailed = "policy_failed", "a policy failed, which denies";
    /// A policy marked as required abstained.
    RequiredPolicyAbstained = "required_policy_abstained", "a policy whose word is required said nothing";
    /// A policy asks for an approval, for a reason that is not public.
    ApprovalRequired = "approval_required", "this needs an approval";
    /// An allow came with an obligation that nobody enforces.
    ObligationUnenforceable = "obligation_unenforceable", "a policy's terms ask for something that nobody here enforces";
    /// The terms leave a grant no whole second.
    GrantTooShort = "grant_too_short", "the terms leave a grant no whole second to live";
    /// The terms charge a counter of a user, a delegation or a session, and there is none.
    CounterWithoutSubject = "counter_without_subject", "a policy's terms charge a counter, and nobody is there whom it counts for";
    /// A counter would pass its limit.
    LimitExceeded = "limit_exceeded", "this would exceed a limit that a policy has set";
    /// The facts and counters that the policies ask for have no room in one decision.
    TooManyFacts = "too_many_facts", "the policies in force ask for more facts and counters than one decision holds";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ReasonCode;

    #[test]
    fn every_code_is_a_reason_code_and_unique() {
        let mut codes: Vec<_> = HostReason::ALL.iter().map(|reason| reason.code()).collect();
        assert!(codes.iter().all(|code| code.parse::<ReasonCode>().is_ok()));
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), HostReason::ALL.len());
    }
}
