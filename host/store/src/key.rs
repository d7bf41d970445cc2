//! Keys of the state. Each is made by a constructor from parsed ids, so a key of one kind can never be
//! read as one of another, and two different things never share a key.
//!
//! A key is the name of its kind and then its segments, with a zero byte before each. No id may hold a
//! control character, so a zero byte never stands inside a segment; numbers are written as hexadecimal
//! digits of fixed width, so that keys sort as the numbers do.
//!
//! What a key's value means is not known here: see [`crate::records`].
// Long because: keys of all kinds are made here and nowhere else, a few lines for each.

use std::fmt;

use attorn_core::{
    AgentId, ApprovalId, CounterSubject, CounterWindow, DecisionId, DelegationId, Digest, EntitlementHolder, FactName,
    FactPrefix, GrantId, KeyThumbprint, LabelName, LeaseId, OperatorId, PolicyId, ProviderId, ReasonCode,
    ResourceServerId, ResourceType, SessionId, TargetId, TimeMs, TrustDomain, UserId, WebhookId, WorkloadIssuerId,
};
use attorn_log::Epoch;

/// The most bytes that a key has; the longest ids do not reach it.
pub const KEY_BYTES_MAX: usize = 1_024;

const SEPARATOR: u8 = 0;

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $name:literal,)*) => {
        /// What kind of thing a key names.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum KeyKind {
            $($(#[$doc])* $kind,)*
        }

        impl KeyKind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            /// The name with which keys of this kind begin.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }
        }
    };
}

kinds! {
    /// The policies in force.
    ActiveSet = "active_set",
    /// An agent.
    Agent = "agent",
    /// That a delegation is to an agent.
    AgentDelegation = "agent_delegation",
    /// How many leases of a target's an agent holds.
    AgentLeases = "agent_leases",
    /// What somebody is asked to approve.
    Approval = "approval",
    /// That nobody is asked for something for a while.
    ApprovalHold = "approval_hold",
    /// Which approval was asked for last for a request.
    ApprovalRequest = "approval_request",
    /// How users are asked at a provider.
    Backchannel = "backchannel",
    /// That a delegation was given out of another.
    ChildDelegation = "child_delegation",
    /// That time was set back.
    Clock = "clock",
    /// How far the server's time has come.
    ClockMark = "clock_mark",
    /// What a policy has debited.
    Counter = "counter",
    /// The full record of a decision.
    Decision = "decision",
    /// What somebody delegated.
    Delegation = "delegation",
    /// What users may do themselves.
    Entitlement = "entitlement",
    /// That a user was erased.
    Erasure = "erasure",
    /// The delegation that a token was exchanged for.
    Exchange = "exchange",
    /// When something expires, for the reaper.
    Expiry = "expiry",
    /// A fact that was pushed.
    Fact = "fact",
    /// That everything is denied.
    Freeze = "freeze",
    /// A grant.
    Grant = "grant",
    /// What came of one use of a grant.
    GrantEffect = "grant_effect",
    /// That a lease is a grant's.
    GrantLease = "grant_lease",
    /// How many of a grant's uses were given back.
    GrantReleases = "grant_releases",
    /// How often a grant has been used.
    GrantUses = "grant_uses",
    /// The answer that was given for an idempotency key.
    Idempotency = "idempotency",
    /// Whose identity it is.
    IdentityOwner = "identity_owner",
    /// Whose public key it is.
    KeyOwner = "key_owner",
    /// A wrapped secret.
    KeyMaterial = "key_material",
    /// How many delegations of a user's that an agent made are kept.
    KeptDelegations = "kept_delegations",
    /// A credential that exists outside.
    Lease = "lease",
    /// When something is to be done about a lease.
    LeaseDue = "lease_due",
    /// An epoch of the audit log that has ended.
    LogEpoch = "log_epoch",
    /// That somebody logged out who is nobody here yet, or was erased.
    Logout = "logout",
    /// Something that there is one of.
    Meta = "meta",
    /// That an approval counts among those of an agent.
    OpenApproval = "open_approval",
    /// How many of them there are.
    OpenApprovals = "open_approvals",
    /// That a lease of a target's has not ended.
    OpenLease = "open_lease",
    /// How many of them there are.
    OpenLeases = "open_leases",
    /// How many offers of one agent's to another wait for that one.
    OpenOffers = "open_offers",
    /// An operator.
    Operator = "operator",
    /// Whose token it is.
    OperatorToken = "operator_token",
    /// A policy, over all its versions.
    Policy = "policy",
    /// That a version of a policy was revoked.
    PolicyRevocation = "policy_revocation",
    /// One version of a policy.
    PolicyVersion = "policy_version",
    /// That a user is asked at their provider.
    Prompt = "prompt",
    /// When something is to be done about that.
    PromptDue = "prompt_due",
    /// A provider of users.
    Provider = "provider",
    /// A key with which this server is a client of providers, or was.
    ProviderClientKey = "provider_client_key",
    /// Which provider an issuer is.
    ProviderIssuer = "provider_issuer",
    /// A resource server.
    ResourceServer = "resource_server",
    /// Whose type of resource it is.
    ResourceType = "resource_type",
    /// A session of a user.
    Session = "session",
    /// Which session goes by a provider's name for it.
    SessionName = "session_name",
    /// What came of one version of a policy in shadow mode.
    ShadowReport = "shadow_report",
    /// Where credentials are made outside.
    Target = "target",
    /// Which target a type of resource is tied to.
    TargetType = "target_type",
    /// A key that signs tokens, or did.
    TokenKey = "token_key",
    /// A SPIFFE trust domain.
    TrustDomain = "trust_domain",
    /// A user.
    User = "user",
    /// That a delegation is from a user, at whatever depth.
    UserDelegation = "user_delegation",
    /// Which user goes by a provider's name for them.
    UserName = "user_name",
    /// How often a user was asked at their provider lately.
    UserPrompts = "user_prompts",
    /// Who is told of what is to be approved.
    Webhook = "webhook",
    /// An issuer of workloads' tokens.
    WorkloadIssuer = "workload_issuer",
    /// Which of them goes by what tokens say in `iss`.
    WorkloadIssuerName = "workload_issuer_name",
}

impl KeyKind {
    /// Whether values of this kind are numbers that only [`crate::Add`] changes.
    #[must_use]
    pub const fn is_counter(self) -> bool {
        matches!(
            self,
            Self::AgentLeases
                | Self::Counter
                | Self::GrantReleases
                | Self::GrantUses
                | Self::KeptDelegations
                | Self::OpenApprovals
                | Self::OpenLeases
                | Self::OpenOffers
                | Self::UserPrompts
        )
    }

    /// Whether a write of this kind can never end what hangs on something. Of those that are not named here, any may:
    /// whoever watches looks again.
    pub(crate) const fn ends_nothing(self) -> bool {
        matches!(
            self,
            Self::AgentLeases
                | Self::Approval
                | Self::ApprovalHold
                | Self::ApprovalRequest
                | Self::ClockMark
                | Self::Counter
                | Self::Decision
                | Self::Expiry
                | Self::Fact
                | Self::GrantEffect
                | Self::GrantLease
                | Self::GrantReleases
                | Self::GrantUses
                | Self::Idempotency
                | Self::KeptDelegations
                | Self::Lease
                | Self::LeaseDue
                | Self::OpenApproval
                | Self::OpenApprovals
                | Self::OpenLease
                | Self::OpenLeases
                | Self::OpenOffers
                | Self::Prompt
                | Self::PromptDue
                | Self::ShadowReport
                | Self::UserPrompts
                | Self::Webhook
        )
    }
}

/// What a wrapped key is for. Each key has one purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeyPurpose {
    /// Signs tokens.
    TokenSigning,
    /// Signs checkpoints of the audit log.
    Log,
    /// Authenticates the files of the engine's cache.
    CacheMac,
    /// Hides under what names users and sessions are found.
    Names,
    /// Says who this server is where it is a client of providers.
    ProviderClient,
}

impl KeyPurpose {
    /// All of them.
    pub const ALL: &[Self] = &[Self::TokenSigning, Self::Log, Self::CacheMac, Self::Names, Self::ProviderClient];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TokenSigning => "token_signing",
            Self::Log => "log",
            Self::CacheMac => "cache_mac",
            Self::Names => "names",
            Self::ProviderClient => "provider_client",
        }
    }
}

/// The key of one value.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(Box<[u8]>);

impl Key {
    fn of(kind: KeyKind, segments: &[&str]) -> Self {
        let mut bytes = kind.as_str().as_bytes().to_vec();
        for segment in segments {
            bytes.push(SEPARATOR);
            bytes.extend_from_slice(segment.as_bytes());
        }
        Self(bytes.into())
    }

    /// An agent's record.
    #[must_use]
    pub fn agent(id: &AgentId) -> Self {
        Self::of(KeyKind::Agent, &[id.as_str()])
    }

    /// Whose a public key is.
    #[must_use]
    pub fn key_owner(thumbprint: &KeyThumbprint) -> Self {
        Self::of(KeyKind::KeyOwner, &[thumbprint.as_str()])
    }

    /// Whose an identity is, of which this is the digest: [`crate::records::IdentityOwnerRecord::digest_of`].
    #[must_use]
    pub fn identity_owner(subject_digest: &Digest) -> Self {
        Self::of(KeyKind::IdentityOwner, &[&subject_digest.to_string()])
    }

    /// A trust domain's record.
    #[must_use]
    pub fn trust_domain(id: &TrustDomain) -> Self {
        Self::of(KeyKind::TrustDomain, &[id.as_str()])
    }

    /// A workload issuer's record.
    #[must_use]
    pub fn workload_issuer(id: &WorkloadIssuerId) -> Self {
        Self::of(KeyKind::WorkloadIssuer, &[id.as_str()])
    }

    /// Which workload issuer tokens name in `iss`, of which this is the digest:
    /// [`crate::records::WorkloadIssuerNameRecord::digest_of`].
    #[must_use]
    pub fn workload_issuer_name(issuer_digest: &Digest) -> Self {
        Self::of(KeyKind::WorkloadIssuerName, &[&issuer_digest.to_string()])
    }

    /// An operator's record.
    #[must_use]
    pub fn operator(id: &OperatorId) -> Self {
        Self::of(KeyKind::Operator, &[id.as_str()])
    }

    /// Whose the operator token with this digest is.
    #[must_use]
    pub fn operator_token(token: &Digest) -> Self {
        Self::of(KeyKind::OperatorToken, &[&token.to_string()])
    }

    /// A provider's record.
    #[must_use]
    pub fn provider(id: &ProviderId) -> Self {
        Self::of(KeyKind::Provider, &[id.as_str()])
    }

    /// Which provider an issuer is, of which this is the digest:
    /// [`crate::records::ProviderIssuerRecord::digest_of_issuer`].
    #[must_use]
    pub fn provider_issuer(issuer_digest: &Digest) -> Self {
        Self::of(KeyKind::ProviderIssuer, &[&issuer_digest.to_string()])
    }

    /// How users are asked at a provider.
    #[must_use]
    pub fn backchannel(provider: &ProviderId) -> Self {
        Self::of(KeyKind::Backchannel, &[provider.as_str()])
    }

    /// That a user is asked for an approval at their provider.
    #[must_use]
    pub fn prompt(approval: &ApprovalId) -> Self {
        Self::of(KeyKind::Prompt, &[&approval.to_string()])
    }

    /// When something is to be done about a prompt at a provider. Its value is empty; see [`Self::prompt_that_is_due`].
    #[must_use]
    pub fn prompt_due(provider: &ProviderId, at: TimeMs, approval: &ApprovalId) -> Self {
        Self::of(KeyKind::PromptDue, &[provider.as_str(), &hex_time(at), &approval.to_string()])
    }

    /// Which prompt is due, and when, if this is a key made by [`Self::prompt_due`].
    #[must_use]
    pub fn prompt_that_is_due(&self) -> Option<(TimeMs, ApprovalId)> {
        let mut segments = self.0.split(|&byte| byte == SEPARATOR);
        if segments.next() != Some(KeyKind::PromptDue.as_str().as_bytes()) {
            return None;
        }
        let at = u64::from_str_radix(std::str::from_utf8(segments.nth(1)?).ok()?, 16).ok()?;
        Some((TimeMs(at), self.last_segment()?.parse().ok()?))
    }

    /// A resource server's record.
    #[must_use]
    pub fn resource_server(id: &ResourceServerId) -> Self {
        Self::of(KeyKind::ResourceServer, &[id.as_str()])
    }

    /// Whose a type of resource is.
    #[must_use]
    pub fn resource_type(resource_type: &ResourceType) -> Self {
        Self::of(KeyKind::ResourceType, &[resource_type.as_str()])
    }

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

    /// A user's record.
    #[must_use]
    pub fn user(id: &UserId) -> Self {
        Self::of(KeyKind::User, &[id.as_str()])
    }

    /// That a user was erased.
    #[must_use]
    pub fn erasure(user: &UserId) -> Self {
        Self::of(KeyKind::Erasure, &[user.as_str()])
    }

    /// Which user goes by a name, of which this is the keyed hash.
    #[must_use]
    pub fn user_name(name: &Digest) -> Self {
        Self::of(KeyKind::UserName, &[&name.to_string()])
    }

    /// A session's record.
    #[must_use]
    pub fn session(id: &SessionId) -> Self {
        Self::of(KeyKind::Session, &[id.as_str()])
    }

    /// Which session goes by a name, of which this is the keyed hash.
    #[must_use]
    pub fn session_name(name: &Digest) -> Self {
        Self::of(KeyKind::SessionName, &[&name.to_string()])
    }

    /// That somebody logged out who is nobody here yet; the digest is the keyed hash of their name.
    #[must_use]
    pub fn logout(name: &Digest) -> Self {
        Self::of(KeyKind::Logout, &[&name.to_string()])
    }

    /// A delegation's record.
    #[must_use]
    pub fn delegation(id: &DelegationId) -> Self {
        Self::of(KeyKind::Delegation, &[id.as_str()])
    }

    /// That a delegation is from a user, at whatever depth. Its value is empty.
    #[must_use]
    pub fn user_delegation(user: &UserId, id: &DelegationId) -> Self {
        Self::of(KeyKind::UserDelegation, &[user.as_str(), id.as_str()])
    }

    /// That a delegation is to an agent. Its value is empty.
    #[must_use]
    pub fn agent_delegation(agent: &AgentId, id: &DelegationId) -> Self {
        Self::of(KeyKind::AgentDelegation, &[agent.as_str(), id.as_str()])
    }

    /// That a delegation was given out of another. Its value is empty.
    #[must_use]
    pub fn child_delegation(parent: &DelegationId, id: &DelegationId) -> Self {
        Self::of(KeyKind::ChildDelegation, &[parent.as_str(), id.as_str()])
    }

    /// How many delegations are kept that this agent made of what this user delegated: a counter.
    #[must_use]
    pub fn kept_delegations(user: &UserId, made_by: &AgentId) -> Self {
        Self::of(KeyKind::KeptDelegations, &[user.as_str(), made_by.as_str()])
    }

    /// How many offers of what this user delegated, from one agent to another, that one has not answered: a counter.
    #[must_use]
    pub fn open_offers(user: &UserId, from: &AgentId, to: &AgentId) -> Self {
        Self::of(KeyKind::OpenOffers, &[user.as_str(), from.as_str(), to.as_str()])
    }

    /// The delegation that a token was exchanged for; the digest is over the token and all that was asked for.
    #[must_use]
    pub fn exchange(digest: &Digest) -> Self {
        Self::of(KeyKind::Exchange, &[&digest.to_string()])
    }

    /// What a user, a group or everyone of a provider may do. A group's name may hold any character, so it
    /// stands here as a digest, with its issuer before it.
    #[must_use]
    pub fn entitlement(holder: &EntitlementHolder) -> Self {
        match holder {
            EntitlementHolder::User(user) => Self::of(KeyKind::Entitlement, &["user", user.as_str()]),
            EntitlementHolder::Everyone(issuer) => Self::of(KeyKind::Entitlement, &["everyone", issuer.as_str()]),
            EntitlementHolder::Group { issuer, name } => {
                let name = blake3::derive_key("attorn group name v1", name.as_bytes());
                let name = Digest::from_bytes(name).to_string();
                Self::of(KeyKind::Entitlement, &["group", issuer.as_str(), &name])
            }
        }
    }

    /// That everything is denied. There is one, or none.
    #[must_use]
    pub fn freeze() -> Self {
        Self::of(KeyKind::Freeze, &[])
    }

    /// That time was set back. There is one, or none.
    #[must_use]
    pub fn clock() -> Self {
        Self::of(KeyKind::Clock, &[])
    }

    /// How far the server's time has come. There is one, or none.
    #[must_use]
    pub fn clock_mark() -> Self {
        Self::of(KeyKind::ClockMark, &[])
    }

    /// That a version of a policy was revoked.
    #[must_use]
    pub fn policy_revocation(policy: &PolicyId, version: u32) -> Self {
        Self::of(KeyKind::PolicyRevocation, &[policy.as_str(), &format!("{version:08x}")])
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

    /// A grant's record.
    #[must_use]
    pub fn grant(id: &GrantId) -> Self {
        Self::of(KeyKind::Grant, &[&id.to_string()])
    }

    /// That a lease is a grant's. Its value is empty.
    #[must_use]
    pub fn grant_lease(grant: &GrantId, id: &LeaseId) -> Self {
        Self::of(KeyKind::GrantLease, &[&grant.to_string(), &id.to_string()])
    }

    /// An approval's record.
    #[must_use]
    pub fn approval(id: &ApprovalId) -> Self {
        Self::of(KeyKind::Approval, &[&id.to_string()])
    }

    /// Which approval was asked for last for a request, of which this is the keyed hash.
    #[must_use]
    pub fn approval_request(bound_to: &Digest) -> Self {
        Self::of(KeyKind::ApprovalRequest, &[&bound_to.to_string()])
    }

    /// That nobody is asked for this for a while; it is a keyed hash of what was asked.
    #[must_use]
    pub fn approval_hold(asked_of: &Digest) -> Self {
        Self::of(KeyKind::ApprovalHold, &[&asked_of.to_string()])
    }

    /// How often this user was asked at their provider in the time that began then: a counter.
    #[must_use]
    pub fn user_prompts(user: &UserId, start: TimeMs) -> Self {
        Self::of(KeyKind::UserPrompts, &[user.as_str(), &hex_time(start)])
    }

    /// That an approval counts among those that this agent may have waiting at once for this user, or for none. Its
    /// value is empty.
    #[must_use]
    pub fn open_approval(agent: &AgentId, user: Option<&UserId>, id: &ApprovalId) -> Self {
        // No user's id is empty.
        let user = user.map_or("", UserId::as_str);
        Self::of(KeyKind::OpenApproval, &[agent.as_str(), user, &id.to_string()])
    }

    /// How many of them there are: a counter.
    #[must_use]
    pub fn open_approvals(agent: &AgentId, user: Option<&UserId>) -> Self {
        Self::of(KeyKind::OpenApprovals, &[agent.as_str(), user.map_or("", UserId::as_str)])
    }

    /// The approval that this key names: its own, or a row's in the index of those that count.
    #[must_use]
    pub fn named_approval(&self) -> Option<ApprovalId> {
        let names = matches!(self.kind()?, KeyKind::Approval | KeyKind::OpenApproval);
        names.then(|| self.last_segment()?.parse().ok()).flatten()
    }

    /// A webhook's record.
    #[must_use]
    pub fn webhook(id: &WebhookId) -> Self {
        Self::of(KeyKind::Webhook, &[id.as_str()])
    }

    /// A lease's record.
    #[must_use]
    pub fn lease(id: &LeaseId) -> Self {
        Self::of(KeyKind::Lease, &[&id.to_string()])
    }

    /// When something is to be done about a lease of a target's. Its value is empty; see [`Self::lease_that_is_due`].
    #[must_use]
    pub fn lease_due(target: &TargetId, at: TimeMs, id: &LeaseId) -> Self {
        Self::of(KeyKind::LeaseDue, &[target.as_str(), &hex_time(at), &id.to_string()])
    }

    /// Which lease is due, and when, if this is a key made by [`Self::lease_due`].
    #[must_use]
    pub fn lease_that_is_due(&self) -> Option<(TimeMs, LeaseId)> {
        let mut segments = self.0.split(|&byte| byte == SEPARATOR);
        if segments.next() != Some(KeyKind::LeaseDue.as_str().as_bytes()) {
            return None;
        }
        let at = u64::from_str_radix(std::str::from_utf8(segments.nth(1)?).ok()?, 16).ok()?;
        Some((TimeMs(at), self.last_segment()?.parse().ok()?))
    }

    /// That a lease of a target's has not ended. Its value is empty.
    #[must_use]
    pub fn open_lease(target: &TargetId, id: &LeaseId) -> Self {
        Self::of(KeyKind::OpenLease, &[target.as_str(), &id.to_string()])
    }

    /// The lease that this key names: its own, or a row's in one of the indexes.
    #[must_use]
    pub fn named_lease(&self) -> Option<LeaseId> {
        let names =
            matches!(self.kind()?, KeyKind::Lease | KeyKind::LeaseDue | KeyKind::GrantLease | KeyKind::OpenLease);
        names.then(|| self.last_segment()?.parse().ok()).flatten()
    }

    /// How many leases of a target's have not ended: a counter.
    #[must_use]
    pub fn open_leases(target: &TargetId) -> Self {
        Self::of(KeyKind::OpenLeases, &[target.as_str()])
    }

    /// How many of them an agent holds: a counter.
    #[must_use]
    pub fn agent_leases(target: &TargetId, agent: &AgentId) -> Self {
        Self::of(KeyKind::AgentLeases, &[target.as_str(), agent.as_str()])
    }

    /// A target's record.
    #[must_use]
    pub fn target(id: &TargetId) -> Self {
        Self::of(KeyKind::Target, &[id.as_str()])
    }

    /// Which target a type of resource is tied to.
    #[must_use]
    pub fn target_type(resource_type: &ResourceType) -> Self {
        Self::of(KeyKind::TargetType, &[resource_type.as_str()])
    }

    /// How often a grant has been used: a counter.
    #[must_use]
    pub fn grant_uses(id: &GrantId) -> Self {
        Self::of(KeyKind::GrantUses, &[&id.to_string()])
    }

    /// How many of a grant's uses were given back: a counter.
    #[must_use]
    pub fn grant_releases(id: &GrantId) -> Self {
        Self::of(KeyKind::GrantReleases, &[&id.to_string()])
    }

    /// What came of one use of a grant.
    #[must_use]
    pub fn grant_effect(id: &GrantId, use_number: u32) -> Self {
        Self::of(KeyKind::GrantEffect, &[&id.to_string(), &format!("{use_number:08x}")])
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

    /// A decision's full record.
    #[must_use]
    pub fn decision(id: &DecisionId) -> Self {
        Self::of(KeyKind::Decision, &[&id.to_string()])
    }

    /// The answer that an agent got for an idempotency key, of which this is the keyed hash.
    #[must_use]
    pub fn idempotency(agent: &AgentId, key_digest: &Digest) -> Self {
        Self::of(KeyKind::Idempotency, &[agent.as_str(), &key_digest.to_string()])
    }

    /// One version of a wrapped key.
    #[must_use]
    pub fn key_material(purpose: KeyPurpose, id: &LabelName, version: u32) -> Self {
        Self::of(KeyKind::KeyMaterial, &[purpose.as_str(), id.as_str(), &format!("{version:08x}")])
    }

    /// An epoch of the audit log that has ended.
    #[must_use]
    pub fn log_epoch(epoch: Epoch) -> Self {
        Self::of(KeyKind::LogEpoch, &[&format!("{:016x}", epoch.0)])
    }

    /// A key that signs tokens, or did.
    #[must_use]
    pub fn token_key(thumbprint: &KeyThumbprint) -> Self {
        Self::of(KeyKind::TokenKey, &[thumbprint.as_str()])
    }

    /// A key with which this server is a client of providers, or was.
    #[must_use]
    pub fn provider_client_key(version: u32) -> Self {
        Self::of(KeyKind::ProviderClientKey, &[&format!("{version:08x}")])
    }

    /// Something that there is one of.
    #[must_use]
    pub fn meta(name: &LabelName) -> Self {
        Self::of(KeyKind::Meta, &[name.as_str()])
    }

    /// The index entry that says when something expires. Its value is empty; see [`Self::expiring`].
    #[must_use]
    pub fn expiry(at: TimeMs, what: &Self) -> Self {
        let mut bytes = Self::of(KeyKind::Expiry, &[&hex_time(at)]).0.into_vec();
        bytes.push(SEPARATOR);
        bytes.extend_from_slice(&what.0);
        Self(bytes.into())
    }

    /// What expires, and when, if this is a key made by [`Self::expiry`].
    #[must_use]
    pub fn expiring(&self) -> Option<(TimeMs, Self)> {
        let mut segments = self.0.splitn(3, |&byte| byte == SEPARATOR);
        if segments.next() != Some(KeyKind::Expiry.as_str().as_bytes()) {
            return None;
        }
        let at = u64::from_str_radix(std::str::from_utf8(segments.next()?).ok()?, 16).ok()?;
        Some((TimeMs(at), Self(segments.next()?.into())))
    }

    /// The delegation that this key names: its own, or a row's in one of the indexes.
    #[must_use]
    pub fn named_delegation(&self) -> Option<DelegationId> {
        let names = matches!(
            self.kind()?,
            KeyKind::Delegation | KeyKind::UserDelegation | KeyKind::AgentDelegation | KeyKind::ChildDelegation
        );
        names.then(|| self.last_segment()?.parse().ok()).flatten()
    }

    /// What kind of thing it names; none if the bytes came from a store that knows more kinds.
    #[must_use]
    pub fn kind(&self) -> Option<KeyKind> {
        let name = self.0.split(|&byte| byte == SEPARATOR).next()?;
        KeyKind::ALL.iter().copied().find(|kind| kind.as_str().as_bytes() == name)
    }

    pub(crate) fn last_segment(&self) -> Option<&str> {
        self.0.rsplit(|&byte| byte == SEPARATOR).next().and_then(|segment| std::str::from_utf8(segment).ok())
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn from_stored(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }
}

fn hex_time(time: TimeMs) -> String {
    format!("{:016x}", time.0)
}

impl fmt::Display for Key {
    /// The kind and the segments, joined by `/`. A wrapped key's name shows; its value is elsewhere.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|&byte| match byte {
            SEPARATOR => f.write_str("/"),
            _ => write!(f, "{}", byte.escape_ascii()),
        })
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}

/// All keys of one kind, or of one kind and owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPrefix(Vec<u8>);

impl KeyPrefix {
    /// All keys of one kind.
    #[must_use]
    pub fn kind(kind: KeyKind) -> Self {
        // A key without segments is the kind's name alone, and no kind's name begins with another's
        // and a zero byte; the singletons need no scan.
        Self::under(&Key::of(kind, &[]))
    }

    /// All versions of a policy.
    #[must_use]
    pub fn policy_versions(policy: &PolicyId) -> Self {
        Self::under(&Key::of(KeyKind::PolicyVersion, &[policy.as_str()]))
    }

    /// All delegations from a user.
    #[must_use]
    pub fn user_delegations(user: &UserId) -> Self {
        Self::under(&Key::of(KeyKind::UserDelegation, &[user.as_str()]))
    }

    /// All delegations to an agent.
    #[must_use]
    pub fn agent_delegations(agent: &AgentId) -> Self {
        Self::under(&Key::of(KeyKind::AgentDelegation, &[agent.as_str()]))
    }

    /// All delegations that were given out of another.
    #[must_use]
    pub fn child_delegations(parent: &DelegationId) -> Self {
        Self::under(&Key::of(KeyKind::ChildDelegation, &[parent.as_str()]))
    }

    /// All facts whose names begin so.
    #[must_use]
    pub fn facts(prefix: &FactPrefix) -> Self {
        let mut all = Self::kind(KeyKind::Fact);
        all.0.extend_from_slice(prefix.as_str().as_bytes());
        all
    }

    /// All approvals that count among those that an agent may have waiting at once for a user, or for none.
    #[must_use]
    pub fn open_approvals(agent: &AgentId, user: Option<&UserId>) -> Self {
        Self::under(&Key::of(KeyKind::OpenApproval, &[agent.as_str(), user.map_or("", UserId::as_str)]))
    }

    /// All leases of a grant.
    #[must_use]
    pub fn grant_leases(id: &GrantId) -> Self {
        Self::under(&Key::of(KeyKind::GrantLease, &[&id.to_string()]))
    }

    /// All leases of a target that have not ended.
    #[must_use]
    pub fn open_leases(target: &TargetId) -> Self {
        Self::under(&Key::of(KeyKind::OpenLease, &[target.as_str()]))
    }

    /// When something is to be done about leases of a target, the earliest first.
    #[must_use]
    pub fn leases_due(target: &TargetId) -> Self {
        Self::under(&Key::of(KeyKind::LeaseDue, &[target.as_str()]))
    }

    /// When something is to be done about prompts at a provider, the earliest first.
    #[must_use]
    pub fn prompts_due(provider: &ProviderId) -> Self {
        Self::under(&Key::of(KeyKind::PromptDue, &[provider.as_str()]))
    }

    /// What came of all uses of a grant.
    #[must_use]
    pub fn grant_effects(id: &GrantId) -> Self {
        Self::under(&Key::of(KeyKind::GrantEffect, &[&id.to_string()]))
    }

    /// All wrapped keys of one purpose.
    #[must_use]
    pub fn key_material(purpose: KeyPurpose) -> Self {
        Self::under(&Key::of(KeyKind::KeyMaterial, &[purpose.as_str()]))
    }

    /// All keys.
    pub(crate) const fn everything() -> Self {
        Self(Vec::new())
    }

    fn under(key: &Key) -> Self {
        let mut bytes = key.0.to_vec();
        bytes.push(SEPARATOR);
        Self(bytes)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
#[path = "key_tests.rs"]
mod tests;
