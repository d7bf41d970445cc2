//! The types of entries: what the audit log may say, by name.

/// All types that a server of this version writes, in their order. Whoever looks for another one mistyped it.
pub const ENTRY_TYPES: &[&str] = &[
    "agent_ceiling_changed",
    "agent_identity_added",
    "agent_identity_revoked",
    "agent_key_added",
    "agent_key_revoked",
    "agent_registered",
    "agent_resumed",
    "agent_retired",
    "agent_suspended",
    "approval_voted",
    "approval_webhook_registered",
    "approval_webhook_revoked",
    "approvals_ended",
    "backchannel_removed",
    "backchannel_set",
    "bootstrap_token_made",
    "clock_accepted",
    "component_put",
    "decision",
    "delegation_accepted",
    "delegation_made",
    "delegation_offered",
    "delegation_revoked",
    "entitlement_deleted",
    "entitlement_set",
    "facts_deleted",
    "facts_set",
    "frozen",
    "grant_effect",
    "grant_revoked",
    "grant_used",
    "grants_ended",
    "history_replay",
    "initialised",
    "key_made",
    "known_refusals",
    "lease_ended",
    "lease_intended",
    "lease_irrevocable",
    "lease_issued",
    "lease_renewed",
    "lease_revocation_failed",
    "lease_revoking",
    "log_key_ended",
    "log_key_kept",
    "log_key_rotated",
    "operator_registered",
    "operator_renewed",
    "operator_revoked",
    "operator_tokens_ended",
    "policy_activated",
    "policy_deactivated",
    "policy_paused",
    "policy_pushed",
    "policy_replaced",
    "policy_rolled_back",
    "policy_version_revoked",
    "prompt_ended",
    "prompt_started",
    "provider_client_key_rotated",
    "provider_registered",
    "provider_revoked",
    "provider_updated",
    "published_gone",
    "records_lost",
    "refusals",
    "replay",
    "resource_server_registered",
    "resource_server_revoked",
    "restored",
    "server_started",
    "session_ended",
    "sessions_ended",
    "shadow_dropped",
    "shadow_evaluated",
    "simulation",
    "store_remade",
    "target_checked",
    "target_password_changed",
    "target_password_made",
    "target_registered",
    "target_resumed",
    "target_retired",
    "target_secret_replaced",
    "target_suspended",
    "thawed",
    "token_key_compromised",
    "token_key_retired",
    "token_key_rotated",
    "token_keys_ended",
    "trust_domain_changed",
    "trust_domain_registered",
    "trust_domain_revoked",
    "unknown_logins_ended",
    "user_delegations_revoked",
    "user_erased",
    "user_key_lost",
    "user_registered",
    "workload_issuer_changed",
    "workload_issuer_registered",
    "workload_issuer_revoked",
];

/// Whether a server of this version writes entries of this type.
#[must_use]
pub fn is_entry_type(text: &str) -> bool {
    ENTRY_TYPES.binary_search(&text).is_ok()
}

/// What is said to whoever names another one, with those that there are.
#[must_use]
pub fn no_entry_type(text: &str) -> String {
    format!("`{}` is no type of entries; types are {}", text.escape_default(), ENTRY_TYPES.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_found_by_their_names_alone() {
        assert!(ENTRY_TYPES.is_sorted_by(|one, next| one < next), "they are searched by halves");
        assert!(ENTRY_TYPES.iter().all(|one| is_entry_type(one)));
        for text in ["", "*", "Decision", "decision ", "nonsense", "decisio"] {
            assert!(!is_entry_type(text), "{text}");
        }
        assert!(no_entry_type("a\nb").starts_with("`a\\nb` is no type of entries; types are agent_"));
    }
}
