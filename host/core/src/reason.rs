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
    /// A bound: the purpose is pursued only on the agent's own authority, and there is a user.
    PurposeWithoutUser = "purpose_without_user", "this purpose is pursued only without a user";
    /// A bound: an operator has stopped everything, or a restore has.
    Frozen = "frozen", "the server is frozen, by an operator or by a restore: nothing is allowed until it is thawed";
    /// A bound: there is no such delegation, or it is not to this agent.
    DelegationUnknown = "delegation_unknown", "there is no such delegation to this agent";
    /// A bound: the delegations do not lead from the user to the agent.
    ChainBroken = "chain_broken", "the delegations do not lead from the user to this agent";
    /// A bound: the user whom the delegations lead from was erased.
    UserErased = "user_erased", "the user was erased, and nobody acts for them any more";
    /// A bound: an agent stands twice in the chain.
    ChainLoop = "chain_loop", "an agent stands twice in the chain of delegations";
    /// A bound: there are more delegations in a row than may be.
    ChainTooDeep = "chain_too_deep", "the chain of delegations is longer than it may be";
    /// A bound: the provider that vouched for the user is not trusted any more.
    ProviderRevoked = "provider_revoked", "the provider that vouched for the user is not trusted any more";
    /// A bound: the session has ended.
    SessionEnded = "session_ended", "the session has ended";
    /// A bound: a delegation of the chain, or what it hangs on, was revoked.
    DelegationRevoked = "delegation_revoked", "a delegation that this rests on was revoked, or its agent was suspended since";
    /// A bound: the agent that a delegation was offered to has not accepted it.
    DelegationNotAccepted = "delegation_not_accepted", "a delegation that this rests on has not been accepted";
    /// A bound: a delegation of the chain has expired, is not in force yet, or is from before the server's time was
    /// set back.
    DelegationExpired = "delegation_expired",
        "a delegation that this rests on has expired, or is from before the server's time was set back";
    /// A bound: an agent of the chain is not active.
    ChainAgentInactive = "chain_agent_inactive", "an agent that this was delegated through is not active";
    /// A bound: the request names another user than the delegation is from.
    UserMismatch = "user_mismatch", "the delegation is from another user";
    /// A bound: the request states another purpose than the delegation is for.
    PurposeMismatch = "purpose_mismatch", "the delegation is for another purpose";
    /// A bound: the request states another session than the delegation belongs to.
    SessionMismatch = "session_mismatch", "the delegation belongs to another session";
    /// A bound: the ceiling does not cover the action on the resource.
    OutsideCeiling = "outside_ceiling", "the ceiling of an agent does not cover this action on this resource";
    /// A bound: a delegation of the chain does not cover the action on the resource.
    OutsideDelegation = "outside_delegation", "what was delegated does not cover this action on this resource";
    /// A bound: the user may not do this themselves.
    NotEntitled = "not_entitled", "the user is not entitled to this action on this resource";
    /// A bound: nobody accepts credentials for this type of resource.
    ResourceTypeUnknown = "resource_type_unknown", "no resource server is registered for this type of resource";
    /// A bound: whoever accepts credentials for this type of resource does not count their uses.
    UsesNotCounted = "uses_not_counted", "the resource server for this type of resource does not count uses of grants";
    /// The proxy calls nothing by this method and path.
    NoProxyRoute = "no_proxy_route", "the target's table has no row for this method and path";
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
    /// A policy asks for approvers whom there cannot be: of a role that is none here, too many, a user where there is
    /// none, or one whom nobody asks.
    ApprovalImpossible = "approval_impossible", "a policy asks for an approval that nobody here can give";
    /// A policy asks for an approval, and nobody can be shown all that would be approved.
    ApprovalUnreadable = "approval_unreadable", "this needs an approval, and has more in its arguments or claims than anybody can be shown";
    /// Somebody has refused to approve this very request, or one that differs in nothing but what it says of itself.
    ApprovalRefused = "approval_refused", "this was refused a moment ago, or so lately that it is not asked again";
    /// The user was asked for this, or for what differs in nothing but what it says of itself, and did not answer.
    ApprovalUnanswered = "approval_unanswered", "the user was asked for this, has not answered, and is left alone for a while";
    /// The user was asked for this, or for what differs in nothing but what it says of itself, and what they had delegated
    /// was revoked without an answer.
    ApprovalDelegationRevoked = "approval_delegation_revoked",
        "the delegation by which the user was asked for this was revoked without an answer, and they are left alone for a while";
    /// As many requests of the agent's wait for approval as may, or the user was asked as often as they may be.
    TooManyApprovals = "too_many_approvals",
        "as many requests wait for approval, or were refused or put to this user a moment ago, as may";
    /// The agent has as many users asked at one provider as may be at once.
    TooManyPrompts = "too_many_prompts", "as many users are asked at this provider for the agent as may be at once";
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
