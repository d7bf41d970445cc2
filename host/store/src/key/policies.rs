//! Keys of policies and of what they are told: versions, facts, counters.

use attorn_core::{CounterSubject, CounterWindow, FactName, PolicyId, PolicySignerId, ReasonCode, TimeMs};

use super::{Key, KeyKind, hex_time};

impl Key {
    /// A policy's record.
    #[must_use]
    pub fn policy(id: &PolicyId) -> Self {
        Self::of(KeyKind::Policy, &[id.as_str()])
    }

    /// One version of a policy.
    #[must_use]
    pub fn policy_version(policy: &PolicyId, version: u32) -> Self {
        Self::of(KeyKind::PolicyVersion, &[policy.as_str(), &format!("{version:08x}")])
    }

    /// That a version of a policy was revoked.
    #[must_use]
    pub fn policy_revocation(policy: &PolicyId, version: u32) -> Self {
        Self::of(KeyKind::PolicyRevocation, &[policy.as_str(), &format!("{version:08x}")])
    }

    /// Whether components have to be signed. There is one, or none.
    #[must_use]
    pub fn policy_signatures() -> Self {
        Self::of(KeyKind::PolicySignatures, &[])
    }

    /// A policy signer's record.
    #[must_use]
    pub fn policy_signer(id: &PolicySignerId) -> Self {
        Self::of(KeyKind::PolicySigner, &[id.as_str()])
    }

    /// What came of one version of a policy in shadow mode.
    #[must_use]
    pub fn shadow_report(policy: &PolicyId, version: u32) -> Self {
        Self::of(KeyKind::ShadowReport, &[policy.as_str(), &format!("{version:08x}")])
    }

    /// The policies in force.
    #[must_use]
    pub fn active_set() -> Self {
        Self::of(KeyKind::ActiveSet, &[])
    }

    /// What a policy's counter has come to in the window of this kind that begins at `start`: a counter. All
    /// versions of the policy share it, as long as they count for the same scope over the same kind of window.
    #[must_use]
    pub fn counter(
        policy: &PolicyId,
        counter: &ReasonCode,
        subject: &CounterSubject,
        window: CounterWindow,
        start: TimeMs,
    ) -> Self {
        // The scope says how many segments name the subject, so no subject can be read as one of another scope.
        let (scope, who): (_, &[&str]) = match subject {
            CounterSubject::Agent(agent) => ("agent", &[agent.as_str()]),
            CounterSubject::User(user) => ("user", &[user.as_str()]),
            CounterSubject::UserAgent(user, agent) => ("user_agent", &[user.as_str(), agent.as_str()]),
            CounterSubject::RootDelegation(user, agent) => ("root_delegation", &[user.as_str(), agent.as_str()]),
            CounterSubject::Session(issuer, session) => ("session", &[issuer.as_str(), session.as_str()]),
        };
        let start = hex_time(start);
        let head = [policy.as_str(), counter.as_str(), scope, window.as_str()];
        Self::of(KeyKind::Counter, &[&head, who, &[start.as_str()]].concat())
    }

    /// A fact's record.
    #[must_use]
    pub fn fact(name: &FactName) -> Self {
        Self::of(KeyKind::Fact, &[name.as_str()])
    }
}
