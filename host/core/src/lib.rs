//! The pure heart of Attorn: the words of the domain, the bounds, and `decide`.
//!
//! Nothing here does I/O, reads a clock, draws randomness, is `async` or knows a wire format. Whoever
//! calls brings the time and the facts; what comes back is a value. That makes every rule here a
//! function that a test can try with any input.
//!
//! The way through this crate is the way of a request: a [`Request`] and the [`Agent`] that makes it
//! go through [`bounds::check`]; what passes is [`bounds::WithinBounds`], the only thing that
//! [`decide::decide`] takes; what it allows is [`decide::Allowed`], the only thing a [`Grant`] is made
//! of.

pub mod address;
pub mod again;
pub mod agent;
pub mod approval;
pub mod behalf;
pub mod bounds;
pub mod context;
pub mod counter;
pub mod decide;
pub mod duty;
pub mod entitlement;
pub mod fact;
pub mod grant;
pub mod group;
pub mod holder;
pub mod id;
pub mod identity;
pub mod index;
pub mod permission;
pub mod policy;
pub mod provider;
pub mod proxy;
pub mod reason;
pub mod request;
pub mod resource_server;
pub mod spiffe;
pub mod target;
pub mod terms;
pub mod time;
pub mod verdict;

pub use again::Again;
pub use agent::{Agent, AgentKey, AgentState, Ceiling, PurposeCeiling, UserPresence};
pub use approval::{ApprovalRequest, ApprovalState, Approver, ApproverRole, Asker, Met, Say, Vote};
pub use behalf::{Behalf, Delegator, Hop, Roots};
pub use bounds::{BoundsLimits, Situation, WithinBounds};
pub use context::{EvaluationContext, Known};
pub use counter::{Charge, CounterScope, CounterSubject, CounterWindow, WindowSpan};
pub use decide::{Allowed, Challenged, Decision, DecisionKind, DecisionReason, Denied, Evaluated, Seen, decide};
pub use duty::Duty;
pub use entitlement::{EntitlementHolder, EntitlementPattern};
pub use fact::{FactName, FactPrefix, FactTemplate};
pub use grant::{Grant, GrantBehalf};
pub use group::GroupName;
pub use holder::{Holder, KeyBinding};
pub use id::{
    AgentId, ApprovalId, Audience, ClaimName, ClientId, DecisionId, DelegationId, DetailName, Digest, FieldName,
    GrantId, HostName, InstanceName, Issuer, KeyThumbprint, LabelName, LeaseId, OperatorId, Owner, ParseError,
    PolicyId, PolicySignerId, ProviderId, Purpose, ReasonCode, ResourceServerId, ScopeName, SessionId, TargetId,
    UserId, WebhookId, WorkloadIssuerId, WorkloadSubject,
};
pub use identity::{Identity, IdentityMethod, IdentitySubject};
pub use index::SelectorIndex;
pub use permission::{Action, ActionPattern, Permission, Resource, ResourcePattern, ResourceType};
pub use policy::{ComponentClass, PolicyLimits, PolicyMode, Selector, SelectorSide};
pub use provider::{
    AgentNaming, Consent, ConsentMapping, Consents, DetailMapping, IssuerAlgorithm, ProviderTokenType, ResourcePrefix,
};
pub use proxy::{ProxyMethod, ProxyOrigin, ProxyPath, ProxyRoute, ProxySettings};
pub use request::{JsonText, Request};
pub use resource_server::{ResourceServer, UseCounting};
pub use spiffe::{SpiffeId, TrustDomain};
pub use target::{
    LeaseState, PostgresqlSettings, RoleRule, SqlName, TargetKind, TargetSettings, TargetState, TargetTls, UserTable,
    WantedCredential,
};
pub use terms::{Debit, Obligation, Terms};
pub use time::{TimeMs, TimeSpan};
pub use verdict::{Failure, Outcome, Verdict};
