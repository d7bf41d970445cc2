use std::collections::BTreeSet;

use attorn_core::{
    ApprovalId, CounterSubject, CounterWindow, DecisionId, EntitlementHolder, FactName, GrantId, LeaseId,
};
use attorn_log::Epoch;

use super::*;

fn id<T: std::str::FromStr<Err = attorn_core::ParseError>>(text: &str) -> T {
    text.parse().unwrap()
}

/// One key of every kind. A kind without a row fails the test below.
#[expect(clippy::too_many_lines, reason = "a table with a row for each kind")]
fn one_of(kind: KeyKind) -> (Key, &'static str) {
    let zeros = "0".repeat(64);
    match kind {
        KeyKind::ActiveSet => (Key::active_set(), "active_set"),
        KeyKind::Agent => (Key::agent(&id("bot")), "agent/bot"),
        KeyKind::AgentLeases => (Key::agent_leases(&id("shop"), &id("bot")), "agent_leases/shop/bot"),
        KeyKind::AgentPrompts => (Key::agent_prompts(&id("main"), &id("bot")), "agent_prompts/main/bot"),
        KeyKind::AgentDelegation => (Key::agent_delegation(&id("bot"), &id("dlg_1")), "agent_delegation/bot/dlg_1"),
        KeyKind::Approval => {
            (Key::approval(&ApprovalId::from_random([4; 16])), "approval/apr_04040404040404040404040404040404")
        }
        KeyKind::ApprovalHold => (
            Key::approval_hold(&id(&zeros)),
            "approval_hold/0000000000000000000000000000000000000000000000000000000000000000",
        ),
        KeyKind::UserPrompts => (Key::user_prompts(&id("usr_1"), TimeMs(0xabc)), "user_prompts/usr_1/0000000000000abc"),
        KeyKind::ApprovalRequest => (
            Key::approval_request(&id(&zeros)),
            "approval_request/0000000000000000000000000000000000000000000000000000000000000000",
        ),
        KeyKind::OpenApproval => (
            Key::open_approval(&id("bot"), Some(&id("usr_1")), &ApprovalId::from_random([4; 16])),
            "open_approval/bot/usr_1/apr_04040404040404040404040404040404",
        ),
        KeyKind::OpenApprovals => (Key::open_approvals(&id("bot"), None), "open_approvals/bot/"),
        KeyKind::Backchannel => (Key::backchannel(&id("main")), "backchannel/main"),
        KeyKind::Prompt => {
            (Key::prompt(&ApprovalId::from_random([4; 16])), "prompt/apr_04040404040404040404040404040404")
        }
        KeyKind::PromptDue => (
            Key::prompt_due(&id("main"), TimeMs(0xabc), &ApprovalId::from_random([4; 16])),
            "prompt_due/main/0000000000000abc/apr_04040404040404040404040404040404",
        ),
        KeyKind::ChildDelegation => (Key::child_delegation(&id("dlg_1"), &id("dlg_2")), "child_delegation/dlg_1/dlg_2"),
        KeyKind::Counter => (
            Key::counter(
                &id("spend"),
                &id("cents"),
                &CounterSubject::Agent(id("bot")),
                CounterWindow::Day,
                TimeMs(0x1000),
            ),
            "counter/spend/cents/agent/day/bot/0000000000001000",
        ),
        KeyKind::Decision => {
            (Key::decision(&DecisionId::from_random([1; 16])), "decision/dec_01010101010101010101010101010101")
        }
        KeyKind::Clock => (Key::clock(), "clock"),
        KeyKind::ClockMark => (Key::clock_mark(), "clock_mark"),
        KeyKind::Delegation => (Key::delegation(&id("dlg_1")), "delegation/dlg_1"),
        KeyKind::Entitlement => (
            Key::entitlement(&EntitlementHolder::Group { issuer: id("https://idp.example"), name: "staff".into() }),
            "entitlement/group/https://idp.example/322e5e04f45c67ca9b481ef64c4b2c0e1b46bfd6ec1715fb34d5b2474aab3150",
        ),
        KeyKind::Erasure => (Key::erasure(&id("usr_1")), "erasure/usr_1"),
        KeyKind::Exchange => {
            (Key::exchange(&id(&zeros)), "exchange/0000000000000000000000000000000000000000000000000000000000000000")
        }
        KeyKind::Expiry => (
            Key::expiry(TimeMs(0xabc), &Key::grant(&GrantId::from_random([2; 16]))),
            "expiry/0000000000000abc/grant/grt_02020202020202020202020202020202",
        ),
        KeyKind::Fact => (Key::fact(&id("resource/file/a%2Fb/owner")), "fact/resource/file/a%2Fb/owner"),
        KeyKind::Freeze => (Key::freeze(), "freeze"),
        KeyKind::Grant => (Key::grant(&GrantId::from_random([2; 16])), "grant/grt_02020202020202020202020202020202"),
        KeyKind::GrantEffect => (
            Key::grant_effect(&GrantId::from_random([2; 16]), 3),
            "grant_effect/grt_02020202020202020202020202020202/00000003",
        ),
        KeyKind::GrantLease => (
            Key::grant_lease(&GrantId::from_random([2; 16]), &LeaseId::from_random([3; 16])),
            "grant_lease/grt_02020202020202020202020202020202/lse_03030303030303030303030303030303",
        ),
        KeyKind::Lease => (Key::lease(&LeaseId::from_random([3; 16])), "lease/lse_03030303030303030303030303030303"),
        KeyKind::LeaseDue => (
            Key::lease_due(&id("shop"), TimeMs(0xabc), &LeaseId::from_random([3; 16])),
            "lease_due/shop/0000000000000abc/lse_03030303030303030303030303030303",
        ),
        KeyKind::OpenLease => (
            Key::open_lease(&id("shop"), &LeaseId::from_random([3; 16])),
            "open_lease/shop/lse_03030303030303030303030303030303",
        ),
        KeyKind::OpenLeases => (Key::open_leases(&id("shop")), "open_leases/shop"),
        KeyKind::Target => (Key::target(&id("shop")), "target/shop"),
        KeyKind::TargetType => (Key::target_type(&id("invoice")), "target_type/invoice"),
        KeyKind::GrantReleases => {
            (Key::grant_releases(&GrantId::from_random([2; 16])), "grant_releases/grt_02020202020202020202020202020202")
        }
        KeyKind::GrantUses => {
            (Key::grant_uses(&GrantId::from_random([2; 16])), "grant_uses/grt_02020202020202020202020202020202")
        }
        KeyKind::Idempotency => (
            Key::idempotency(&id("bot"), &id(&zeros)),
            "idempotency/bot/0000000000000000000000000000000000000000000000000000000000000000",
        ),
        KeyKind::IdentityOwner => (
            Key::identity_owner(&id(&zeros)),
            "identity_owner/0000000000000000000000000000000000000000000000000000000000000000",
        ),
        KeyKind::KeyOwner => {
            (Key::key_owner(&id(&zeros[..43])), "key_owner/0000000000000000000000000000000000000000000")
        }
        KeyKind::KeyMaterial => {
            (Key::key_material(KeyPurpose::TokenSigning, &id("main"), 10), "key_material/token_signing/main/0000000a")
        }
        KeyKind::KeptDelegations => (Key::kept_delegations(&id("usr_1"), &id("bot")), "kept_delegations/usr_1/bot"),
        KeyKind::LogEpoch => (Key::log_epoch(Epoch(10)), "log_epoch/000000000000000a"),
        KeyKind::Logout => {
            (Key::logout(&id(&zeros)), "logout/0000000000000000000000000000000000000000000000000000000000000000")
        }
        KeyKind::LostRecords => (Key::lost_records(Epoch(10), 17), "lost_records/000000000000000a/0000000000000011"),
        KeyKind::Meta => (Key::meta(&id("setup")), "meta/setup"),
        KeyKind::OpenOffers => {
            (Key::open_offers(&id("usr_1"), &id("bot"), &id("helper")), "open_offers/usr_1/bot/helper")
        }
        KeyKind::Operator => (Key::operator(&id("ada")), "operator/ada"),
        KeyKind::OperatorToken => (
            Key::operator_token(&id(&zeros)),
            "operator_token/0000000000000000000000000000000000000000000000000000000000000000",
        ),
        KeyKind::Policy => (Key::policy(&id("read-only")), "policy/read-only"),
        KeyKind::PolicyRevocation => {
            (Key::policy_revocation(&id("read-only"), 255), "policy_revocation/read-only/000000ff")
        }
        KeyKind::PolicySignatures => (Key::policy_signatures(), "policy_signatures"),
        KeyKind::PolicySigner => (Key::policy_signer(&id("release")), "policy_signer/release"),
        KeyKind::PolicyVersion => (Key::policy_version(&id("read-only"), 255), "policy_version/read-only/000000ff"),
        KeyKind::Provider => (Key::provider(&id("main")), "provider/main"),
        KeyKind::ProviderClientKey => (Key::provider_client_key(2), "provider_client_key/00000002"),
        KeyKind::ProviderIssuer => (
            Key::provider_issuer(&id(&zeros)),
            "provider_issuer/0000000000000000000000000000000000000000000000000000000000000000",
        ),
        KeyKind::ResourceServer => (Key::resource_server(&id("ledger")), "resource_server/ledger"),
        KeyKind::Session => (Key::session(&id("ses_1")), "session/ses_1"),
        KeyKind::SessionName => (
            Key::session_name(&id(&zeros)),
            "session_name/0000000000000000000000000000000000000000000000000000000000000000",
        ),
        KeyKind::TokenKey => {
            (Key::token_key(&id(&"A".repeat(43))), "token_key/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
        }
        KeyKind::User => (Key::user(&id("usr_1")), "user/usr_1"),
        KeyKind::UserDelegation => (Key::user_delegation(&id("usr_1"), &id("dlg_1")), "user_delegation/usr_1/dlg_1"),
        KeyKind::UserName => {
            (Key::user_name(&id(&zeros)), "user_name/0000000000000000000000000000000000000000000000000000000000000000")
        }
        KeyKind::ShadowReport => (Key::shadow_report(&id("read-only"), 255), "shadow_report/read-only/000000ff"),
        KeyKind::TrustDomain => (Key::trust_domain(&id("example.org")), "trust_domain/example.org"),
        KeyKind::Webhook => (Key::webhook(&id("chat")), "webhook/chat"),
        KeyKind::WorkloadIssuer => (Key::workload_issuer(&id("cluster")), "workload_issuer/cluster"),
        KeyKind::WorkloadIssuerName => (
            Key::workload_issuer_name(&id(&zeros)),
            "workload_issuer_name/0000000000000000000000000000000000000000000000000000000000000000",
        ),
        KeyKind::ResourceType => (Key::resource_type(&id("account")), "resource_type/account"),
    }
}

#[test]
fn every_kind_has_a_stable_key() {
    for &kind in KeyKind::ALL {
        let (key, text) = one_of(kind);
        assert_eq!(key.to_string(), text);
        assert_eq!(key.kind(), Some(kind));
        assert_eq!(Key::from_stored(key.as_bytes()), key);
    }
}

/// Kinds of which there is one at most: nobody looks for those by a prefix.
fn one_of_a_kind(kind: KeyKind) -> bool {
    matches!(
        kind,
        KeyKind::ActiveSet | KeyKind::Clock | KeyKind::ClockMark | KeyKind::Freeze | KeyKind::PolicySignatures
    )
}

#[test]
fn a_prefix_holds_its_own_kind_only() {
    for &of_prefix in KeyKind::ALL {
        for &of_key in KeyKind::ALL {
            let inside = one_of(of_key).0.as_bytes().starts_with(KeyPrefix::kind(of_prefix).as_bytes());
            assert_eq!(inside, of_prefix == of_key && !one_of_a_kind(of_key), "{of_prefix:?} {of_key:?}");
        }
    }
    let versions = KeyPrefix::policy_versions(&id("read"));
    assert!(Key::policy_version(&id("read"), 1).as_bytes().starts_with(versions.as_bytes()));
    assert!(!Key::policy_version(&id("read-only"), 1).as_bytes().starts_with(versions.as_bytes()));
}

#[test]
fn different_things_have_different_keys() {
    use CounterWindow::{Day, Total};
    let agent = |text: &str| CounterSubject::Agent(id(text));
    let counter = |name: &str, subject: CounterSubject, window, start| {
        Key::counter(&id("a"), &id(name), &subject, window, TimeMs(start))
    };
    let keys = [
        counter("b", agent("c"), Total, 0),
        counter("b", agent("c"), Day, 0),
        counter("b", agent("c"), Day, 86_400_000),
        counter("b", CounterSubject::User(id("c")), Total, 0),
        counter("b", CounterSubject::UserAgent(id("c"), id("d")), Total, 0),
        counter("b", CounterSubject::RootDelegation(id("c"), id("d")), Total, 0),
        counter("b", CounterSubject::Session(id("c"), id("d")), Total, 0),
        counter("c", agent("b"), Total, 0),
        counter("b", agent("session"), Total, 0),
        Key::idempotency(&id("a"), &id(&"0".repeat(64))),
        Key::idempotency(&id("a"), &id(&"1".repeat(64))),
        Key::idempotency(&id("a0"), &id(&"0".repeat(64))),
    ];
    assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), keys.len());
}

#[test]
fn the_longest_ids_make_keys_within_the_limit() {
    let name = "n".repeat(64);
    let counter = Key::counter(
        &id(&name),
        &id(&name),
        &CounterSubject::Session(id(&"i".repeat(256)), id(&"s".repeat(128))),
        CounterWindow::Minute,
        TimeMs(u64::MAX),
    );
    for key in [counter, Key::fact(&id(&"f".repeat(FactName::BYTES_MAX)))] {
        let longest = Key::expiry(TimeMs(u64::MAX), &key);
        assert!(longest.as_bytes().len() <= KEY_BYTES_MAX, "{}", longest.as_bytes().len());
    }
}

#[test]
fn an_expiry_sorts_by_time_and_says_what_expires() {
    let grant = Key::grant(&GrantId::from_random([0xff; 16]));
    let (early, late) = (Key::expiry(TimeMs(9), &grant), Key::expiry(TimeMs(10), &Key::active_set()));
    assert!(early < late);
    assert_eq!(early.expiring(), Some((TimeMs(9), grant.clone())));
    assert_eq!(grant.expiring(), None);
    for hostile in ["expiry", "expiry\0", "expiry\0zz\0grant", "expiry\x00123", "expired\x000\0grant"] {
        assert_eq!(Key::from_stored(hostile.as_bytes()).expiring(), None, "{hostile:?}");
    }
}

#[test]
fn what_is_due_sorts_by_time_within_its_target() {
    let lease = LeaseId::from_random([0xff; 16]);
    let due = |target: &str, at| Key::lease_due(&id(target), TimeMs(at), &lease);
    assert!(due("a", 9) < due("a", 10) && due("a", u64::MAX) < due("b", 0));
    assert_eq!(due("a", 9).lease_that_is_due(), Some((TimeMs(9), lease)));
    assert!(due("a", 9).as_bytes().starts_with(KeyPrefix::leases_due(&id("a")).as_bytes()));
    assert!(!due("ab", 9).as_bytes().starts_with(KeyPrefix::leases_due(&id("a")).as_bytes()));
    assert_eq!(Key::lease(&lease).lease_that_is_due(), None);
    assert_eq!(due("a", 9).named_lease(), Some(lease));
    assert_eq!(Key::target(&id("a")).named_lease(), None);

    let decision = attorn_core::DecisionId::from_random([7; 16]);
    assert_eq!(Key::decision(&decision).named_decision(), Some(decision));
    assert_eq!(due("a", 9).named_decision(), None);
    for hostile in ["lease_due", "lease_due\0a", "lease_due\0a\0zz\0lse_1", "lease_due\0a\x000\0b"] {
        assert_eq!(Key::from_stored(hostile.as_bytes()).lease_that_is_due(), None, "{hostile:?}");
    }
}

#[test]
fn hostile_stored_bytes_have_no_kind_and_print_escaped() {
    let key = Key::from_stored(b"\xff\n\0x");
    assert_eq!(key.kind(), None);
    assert_eq!(key.to_string(), "\\xff\\n/x");
}
