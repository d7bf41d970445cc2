//! What kinds of things keys name, and what wrapped keys are for.
// Long because: it is the list of all kinds.

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
    /// How many of an agent's prompts there are at a provider.
    AgentPrompts = "agent_prompts",
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
    /// Which decision records of a file are lost, which somebody accepted.
    LostRecords = "lost_records",
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
    /// Whether components have to be signed.
    PolicySignatures = "policy_signatures",
    /// Who vouches for components.
    PolicySigner = "policy_signer",
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
                | Self::AgentPrompts
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
                | Self::AgentPrompts
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
                | Self::PolicySignatures
                | Self::PolicySigner
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
