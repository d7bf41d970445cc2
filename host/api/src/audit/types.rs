//! The types of entries: what the audit log may say, by name.

use std::fmt;
use std::str::FromStr;

macro_rules! entry_types {
    ($($name:ident = $text:literal,)*) => {
        /// What an entry of the audit log is about: its `type`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum EntryType {
            $(#[doc = concat!("`", $text, "`")] $name,)*
        }

        impl EntryType {
            /// All that a server of this version writes, in the order of their names.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Its name, as the log has it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

entry_types! {
    AgentCeilingChanged = "agent_ceiling_changed",
    AgentIdentityAdded = "agent_identity_added",
    AgentIdentityRevoked = "agent_identity_revoked",
    AgentKeyAdded = "agent_key_added",
    AgentKeyRevoked = "agent_key_revoked",
    AgentRegistered = "agent_registered",
    AgentResumed = "agent_resumed",
    AgentRetired = "agent_retired",
    AgentSuspended = "agent_suspended",
    ApprovalVoted = "approval_voted",
    ApprovalWebhookRegistered = "approval_webhook_registered",
    ApprovalWebhookRevoked = "approval_webhook_revoked",
    ApprovalsEnded = "approvals_ended",
    BackchannelRemoved = "backchannel_removed",
    BackchannelSet = "backchannel_set",
    BootstrapTokenMade = "bootstrap_token_made",
    ClockAccepted = "clock_accepted",
    ComponentPut = "component_put",
    Decision = "decision",
    DelegationAccepted = "delegation_accepted",
    DelegationMade = "delegation_made",
    DelegationOffered = "delegation_offered",
    DelegationRevoked = "delegation_revoked",
    EntitlementDeleted = "entitlement_deleted",
    EntitlementSet = "entitlement_set",
    FactsDeleted = "facts_deleted",
    FactsSet = "facts_set",
    Frozen = "frozen",
    GrantEffect = "grant_effect",
    GrantRevoked = "grant_revoked",
    GrantUsed = "grant_used",
    GrantsEnded = "grants_ended",
    HistoryReplay = "history_replay",
    Initialised = "initialised",
    KeyMade = "key_made",
    KnownRefusals = "known_refusals",
    LeaseEnded = "lease_ended",
    LeaseIntended = "lease_intended",
    LeaseIrrevocable = "lease_irrevocable",
    LeaseIssued = "lease_issued",
    LeaseRenewed = "lease_renewed",
    LeaseRevocationFailed = "lease_revocation_failed",
    LeaseRevoking = "lease_revoking",
    LogKeyEnded = "log_key_ended",
    LogKeyKept = "log_key_kept",
    LogKeyRotated = "log_key_rotated",
    OperatorRegistered = "operator_registered",
    OperatorRenewed = "operator_renewed",
    OperatorRevoked = "operator_revoked",
    OperatorTokensEnded = "operator_tokens_ended",
    PolicyActivated = "policy_activated",
    PolicyDeactivated = "policy_deactivated",
    PolicyPaused = "policy_paused",
    PolicyPushed = "policy_pushed",
    PolicyReplaced = "policy_replaced",
    PolicyRolledBack = "policy_rolled_back",
    PolicySignaturesLifted = "policy_signatures_lifted",
    PolicySignaturesRequired = "policy_signatures_required",
    PolicySignerRegistered = "policy_signer_registered",
    PolicySignerRevoked = "policy_signer_revoked",
    PolicyVersionRevoked = "policy_version_revoked",
    PromptEnded = "prompt_ended",
    PromptStarted = "prompt_started",
    ProviderClientKeyRotated = "provider_client_key_rotated",
    ProviderRegistered = "provider_registered",
    ProviderRevoked = "provider_revoked",
    ProviderUpdated = "provider_updated",
    PublishedGone = "published_gone",
    RecordsLost = "records_lost",
    Refusals = "refusals",
    Replay = "replay",
    ResourceServerRegistered = "resource_server_registered",
    ResourceServerRevoked = "resource_server_revoked",
    Restored = "restored",
    ServerStarted = "server_started",
    SessionEnded = "session_ended",
    SessionsEnded = "sessions_ended",
    ShadowDropped = "shadow_dropped",
    ShadowEvaluated = "shadow_evaluated",
    Simulation = "simulation",
    StoreRemade = "store_remade",
    TargetChecked = "target_checked",
    TargetPasswordChanged = "target_password_changed",
    TargetPasswordMade = "target_password_made",
    TargetRegistered = "target_registered",
    TargetResumed = "target_resumed",
    TargetRetired = "target_retired",
    TargetSecretReplaced = "target_secret_replaced",
    TargetSuspended = "target_suspended",
    Thawed = "thawed",
    TokenKeyCompromised = "token_key_compromised",
    TokenKeyRetired = "token_key_retired",
    TokenKeyRotated = "token_key_rotated",
    TokenKeysEnded = "token_keys_ended",
    TrustDomainChanged = "trust_domain_changed",
    TrustDomainRegistered = "trust_domain_registered",
    TrustDomainRevoked = "trust_domain_revoked",
    UnknownLoginsEnded = "unknown_logins_ended",
    UserDelegationsRevoked = "user_delegations_revoked",
    UserErased = "user_erased",
    UserKeyLost = "user_key_lost",
    UserRegistered = "user_registered",
    WorkloadIssuerChanged = "workload_issuer_changed",
    WorkloadIssuerRegistered = "workload_issuer_registered",
    WorkloadIssuerRevoked = "workload_issuer_revoked",
}

/// Somebody looks for entries of a type that a server of this version does not write: it was mistyped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is no type of entries; types are {}", .text.escape_default(), names().join(", "))]
pub struct NoEntryType {
    text: String,
}

impl NoEntryType {
    /// Longer than any type is, in bytes: what is longer is not said again.
    const SAID_BYTES_MAX: usize = 64;

    fn new(text: &str) -> Self {
        let text = if text.len() <= Self::SAID_BYTES_MAX { text } else { "…" };
        Self { text: text.to_owned() }
    }
}

impl FromStr for EntryType {
    type Err = NoEntryType;

    fn from_str(text: &str) -> Result<Self, NoEntryType> {
        let found = Self::ALL.binary_search_by_key(&text, |one| one.as_str());
        found.ok().and_then(|at| Self::ALL.get(at)).copied().ok_or_else(|| NoEntryType::new(text))
    }
}

impl fmt::Display for EntryType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn names() -> Vec<&'static str> {
    EntryType::ALL.iter().map(|one| one.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_found_by_their_names_alone() {
        assert!(names().is_sorted_by(|one, next| one < next), "they are searched by halves");
        for one in EntryType::ALL {
            assert_eq!(one.as_str().parse(), Ok(*one));
        }
        for text in ["", "*", "Decision", "decision ", "nonsense", "decisio"] {
            assert_eq!(text.parse::<EntryType>(), Err(NoEntryType::new(text)));
        }
        assert!("x".repeat(65).parse::<EntryType>().unwrap_err().to_string().starts_with("`\\u{2026}` is no type"));
        let said = NoEntryType::new("a\nb").to_string();
        assert!(said.starts_with("`a\\nb` is no type of entries; types are agent_"), "{said}");
        assert!(EntryType::ALL.iter().all(|one| said.contains(one.as_str())), "{said}");
    }
}
