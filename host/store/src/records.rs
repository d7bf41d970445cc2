//! What is stored, kind by kind: a value is one format byte and then JSON with exactly the fields of
//! that format.
//!
//! Each record knows its own key, and bytes that stand under another key than their own are refused.
//! The encodings here are for the store alone; they are no wire format, and golden tests hold their
//! bytes still. Nothing here reads or writes.

mod active_set;
mod agent;
mod approval;
mod approval_hold;
mod backchannel;
mod clock;
mod clock_mark;
mod codec;
mod decision;
mod delegation;
mod entitlement;
mod erasure;
mod fact;
mod freeze;
mod grant;
mod idempotency;
mod identity_owner;
mod key_material;
mod key_owner;
mod lease;
mod log_epoch;
mod lost_records;
mod operator;
mod policy;
mod policy_signer;
mod prompt;
mod provider;
mod provider_client_key;
mod proxy;
mod resource_server;
mod shadow_report;
mod target;
mod token_key;
mod trust_domain;
mod user;
mod webhook;
mod workload_issuer;

pub use active_set::{ActiveMember, ActiveSetRecord, DuplicateMember};
pub use agent::{AgentRecord, AgentRecordError, StateChange};
pub use approval::{ApprovalRecord, ApprovalRequestRecord};
pub use approval_hold::{ApprovalHoldRecord, HoldReason};
pub use backchannel::{BackchannelAuthentication, BackchannelRecord, LoginHint};
pub use clock::SetBackRecord;
pub use clock_mark::ClockMarkRecord;
pub(crate) use codec::json;
pub use codec::{Kept, Record, RecordError, RecordProblem, Sealed};
pub use decision::DecisionRecord;
pub use delegation::{DelegationBody, DelegationRecord, Evidence, ExchangeRecord};
pub use entitlement::{EntitlementPatterns, EntitlementRecord};
pub use erasure::ErasureRecord;
pub use fact::{FactBody, FactRecord, FactSalt, FactSource};
pub use freeze::FreezeRecord;
pub use grant::GrantRecord;
pub use idempotency::IdempotencyRecord;
pub use identity_owner::IdentityOwnerRecord;
pub use key_material::KeyMaterialRecord;
pub use key_owner::{KeyOwner, KeyOwnerRecord};
pub use lease::LeaseRecord;
pub use log_epoch::{EpochEnd, LogEpochRecord};
pub use lost_records::LostRecordsRecord;
pub use operator::{OperatorRecord, OperatorTokenRecord};
pub use policy::{PolicyRecord, PolicyRevocationRecord, PolicySettings, PolicyVersionRecord, VersionSignature};
pub use policy_signer::{PolicySignerRecord, SignatureRequirementRecord, SignerRevocation};
pub use prompt::{PromptBody, PromptRecord};
pub use provider::{ProviderIssuerRecord, ProviderRecord};
pub use provider_client_key::ProviderClientKeyRecord;
pub use resource_server::{ResourceServerRecord, ResourceTypeRecord};
pub use shadow_report::ShadowReportRecord;
pub use target::{TargetRecord, TargetSecret, TargetTypeRecord};
pub use token_key::{TokenKeyRecord, TokenKeyState};
pub use trust_domain::{TrustDomainRecord, TrustDomainRecordError, TrustedJwtKey};
pub use user::{LogoutRecord, SessionNameRecord, SessionRecord, UserBody, UserNameRecord, UserRecord};
pub use webhook::WebhookRecord;
pub use workload_issuer::{WorkloadIssuerNameRecord, WorkloadIssuerRecord, WorkloadIssuerTooLarge};

use crate::key::{Key, KeyKind};

/// Read a stored value as what its key says it is, and demand that these are the very bytes that
/// would be written for it today.
pub(crate) fn check(key: &Key, stored: &[u8]) -> Result<(), RecordError> {
    let Some(kind) = key.kind() else {
        return Err(RecordError::new(key, RecordProblem::UnknownKind));
    };
    match kind {
        KeyKind::ActiveSet => check_as::<ActiveSetRecord>(key, stored),
        KeyKind::Agent => check_as::<AgentRecord>(key, stored),
        KeyKind::Approval => check_as::<ApprovalRecord>(key, stored),
        KeyKind::ApprovalHold => check_as::<ApprovalHoldRecord>(key, stored),
        KeyKind::ApprovalRequest => check_as::<ApprovalRequestRecord>(key, stored),
        KeyKind::Backchannel => check_as::<BackchannelRecord>(key, stored),
        KeyKind::Clock => check_as::<SetBackRecord>(key, stored),
        KeyKind::ClockMark => check_as::<ClockMarkRecord>(key, stored),
        KeyKind::Decision => check_as::<DecisionRecord>(key, stored),
        KeyKind::Delegation => check_as::<DelegationRecord>(key, stored),
        KeyKind::Entitlement => check_as::<EntitlementRecord>(key, stored),
        KeyKind::Erasure => check_as::<ErasureRecord>(key, stored),
        KeyKind::Exchange => check_as::<ExchangeRecord>(key, stored),
        KeyKind::Fact => check_as::<FactRecord>(key, stored),
        KeyKind::Freeze => check_as::<FreezeRecord>(key, stored),
        KeyKind::Grant => check_as::<GrantRecord>(key, stored),
        KeyKind::Idempotency => check_as::<IdempotencyRecord>(key, stored),
        KeyKind::IdentityOwner => check_as::<IdentityOwnerRecord>(key, stored),
        KeyKind::KeyOwner => check_as::<KeyOwnerRecord>(key, stored),
        KeyKind::KeyMaterial => check_as::<KeyMaterialRecord>(key, stored),
        KeyKind::Lease => check_as::<LeaseRecord>(key, stored),
        KeyKind::LogEpoch => check_as::<LogEpochRecord>(key, stored),
        KeyKind::LostRecords => check_as::<LostRecordsRecord>(key, stored),
        KeyKind::Operator => check_as::<OperatorRecord>(key, stored),
        KeyKind::OperatorToken => check_as::<OperatorTokenRecord>(key, stored),
        KeyKind::Policy => check_as::<PolicyRecord>(key, stored),
        KeyKind::PolicyRevocation => check_as::<PolicyRevocationRecord>(key, stored),
        KeyKind::PolicySignatures => check_as::<SignatureRequirementRecord>(key, stored),
        KeyKind::PolicySigner => check_as::<PolicySignerRecord>(key, stored),
        KeyKind::PolicyVersion => check_as::<PolicyVersionRecord>(key, stored),
        KeyKind::Prompt => check_as::<PromptRecord>(key, stored),
        KeyKind::Provider => check_as::<ProviderRecord>(key, stored),
        KeyKind::ProviderClientKey => check_as::<ProviderClientKeyRecord>(key, stored),
        KeyKind::ProviderIssuer => check_as::<ProviderIssuerRecord>(key, stored),
        KeyKind::ResourceServer => check_as::<ResourceServerRecord>(key, stored),
        KeyKind::ResourceType => check_as::<ResourceTypeRecord>(key, stored),
        KeyKind::ShadowReport => check_as::<ShadowReportRecord>(key, stored),
        KeyKind::Target => check_as::<TargetRecord>(key, stored),
        KeyKind::TargetType => check_as::<TargetTypeRecord>(key, stored),
        KeyKind::TokenKey => check_as::<TokenKeyRecord>(key, stored),
        KeyKind::Logout => check_as::<LogoutRecord>(key, stored),
        KeyKind::Session => check_as::<SessionRecord>(key, stored),
        KeyKind::SessionName => check_as::<SessionNameRecord>(key, stored),
        KeyKind::TrustDomain => check_as::<TrustDomainRecord>(key, stored),
        KeyKind::User => check_as::<UserRecord>(key, stored),
        KeyKind::UserName => check_as::<UserNameRecord>(key, stored),
        KeyKind::Webhook => check_as::<WebhookRecord>(key, stored),
        KeyKind::WorkloadIssuer => check_as::<WorkloadIssuerRecord>(key, stored),
        KeyKind::WorkloadIssuerName => check_as::<WorkloadIssuerNameRecord>(key, stored),
        // Counters are checked where they are read; the others have no record.
        KeyKind::AgentDelegation
        | KeyKind::AgentLeases
        | KeyKind::AgentPrompts
        | KeyKind::ChildDelegation
        | KeyKind::Counter
        | KeyKind::GrantEffect
        | KeyKind::GrantLease
        | KeyKind::GrantReleases
        | KeyKind::GrantUses
        | KeyKind::KeptDelegations
        | KeyKind::LeaseDue
        | KeyKind::OpenApproval
        | KeyKind::OpenApprovals
        | KeyKind::OpenLease
        | KeyKind::OpenLeases
        | KeyKind::OpenOffers
        | KeyKind::PromptDue
        | KeyKind::Expiry
        | KeyKind::Meta
        | KeyKind::UserDelegation
        | KeyKind::UserPrompts => Ok(()),
    }
}

fn check_as<R: Record>(key: &Key, stored: &[u8]) -> Result<(), RecordError> {
    if R::decode(key, stored)?.encode() == stored {
        return Ok(());
    }
    Err(RecordError::new(key, RecordProblem::NotAsWritten))
}

#[cfg(test)]
#[path = "records_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "records_policy_tests.rs"]
mod policy_tests;

#[cfg(test)]
#[path = "records_people_tests.rs"]
mod people_tests;

#[cfg(test)]
#[path = "records_provider_tests.rs"]
mod provider_tests;

#[cfg(test)]
#[path = "records_approval_tests.rs"]
mod approval_tests;

#[cfg(test)]
#[path = "records_lease_tests.rs"]
mod lease_tests;

#[cfg(test)]
#[path = "records_refusal_tests.rs"]
mod refusal_tests;
