//! Every way in which a chain fails, one case each; and chains of all kinds against a naive reference.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::agent::{Ceiling, PurposeCeiling};
use crate::bounds::tests::{self as bounds_tests, NOW, request};
use crate::bounds::{self, BoundsLimits, Situation};
use crate::holder::Holder;
use crate::id::SessionId;
use crate::request::JsonText;

const PURPOSE: &str = "serve-customers";

fn permission(action: &str, resource: &str) -> Permission {
    Permission { action: action.parse().unwrap(), resource: resource.parse().unwrap() }
}

fn agent(id: &str, user: UserPresence, permissions: Vec<Permission>) -> Agent {
    Agent {
        id: id.parse().unwrap(),
        owner: "alice".parse().unwrap(),
        labels: BTreeMap::new(),
        state: AgentState::Active,
        ceiling: Ceiling::new(BTreeMap::from([(PURPOSE.parse().unwrap(), PurposeCeiling { user, permissions })])),
        grant_ms_max: 30_000,
        keys: Vec::new(),
        revocations: 3,
        identities: Vec::new(),
    }
}

fn hop(at: usize, to: Agent, permissions: Vec<Permission>) -> Hop {
    let id = |at: usize| format!("dlg_{at}").parse::<DelegationId>().unwrap();
    Hop {
        delegation: Delegation {
            id: id(at),
            to_agent: to.id.clone(),
            permissions,
            purpose: PURPOSE.parse().unwrap(),
            session: "ses_1".parse().unwrap(),
            created_at: NOW,
            expires_at: NOW.plus_ms(60_000),
        },
        from: Delegator::User("usr_alice".parse().unwrap()),
        parent: at.checked_sub(1).map(id),
        accepted: true,
        revoked: false,
        revocations: to.revocations,
        agent: to,
    }
}

fn user() -> User {
    User {
        id: "usr_alice".parse().unwrap(),
        issuer: "https://idp.example".parse().unwrap(),
        authenticated_at: NOW,
        acr: None,
        groups: Vec::new(),
        claims: JsonText::from_canonical("{}"),
    }
}

const STANDS: Roots = Roots { provider_trusted: true, user_revoked: false, session_ended: false };

/// A chain through these agents; every hop may do these things.
fn chain(agents: &[&str]) -> Behalf {
    let wide = || vec![permission("account.*", "account/*")];
    let mut hops: Vec<Hop> = Vec::new();
    for (at, name) in agents.iter().enumerate() {
        let mut hop = hop(at, agent(name, UserPresence::WithUser, wide()), wide());
        if let Some(before) = hops.last() {
            hop.from = Delegator::Agent(before.agent.id.clone());
        }
        hops.push(hop);
    }
    Behalf { user: user(), roots: STANDS, hops, entitlements: vec![permission("account.read", "account/7")] }
}

fn asked() -> Request {
    Request { session: Some("ses_1".parse().unwrap()), ..request("account.read", "account/7", PURPOSE) }
}

fn outcome(behalf: &Behalf, agent: &str, request: &Request) -> Option<HostReason> {
    behalf.check(&agent.parse().unwrap(), None, request, NOW, 4).err()
}

#[track_caller]
fn denied(change: impl FnOnce(&mut Behalf), reason: HostReason) {
    let mut behalf = chain(&["a", "b", "c"]);
    assert_eq!(outcome(&behalf, "c", &asked()), None);
    change(&mut behalf);
    assert_eq!(outcome(&behalf, "c", &asked()), Some(reason));
}

#[test]
fn what_is_no_chain_to_this_agent_is_denied() {
    denied(|behalf| behalf.hops.clear(), HostReason::DelegationUnknown);
    denied(|behalf| drop(behalf.hops.pop()), HostReason::DelegationUnknown);
    // A hole.
    denied(|behalf| drop(behalf.hops.remove(1)), HostReason::ChainBroken);
    denied(|behalf| drop(behalf.hops.remove(0)), HostReason::ChainBroken);
    denied(|behalf| behalf.hops[1].parent = None, HostReason::ChainBroken);
    denied(|behalf| behalf.hops[1].parent = Some("dlg_9".parse().unwrap()), HostReason::ChainBroken);
    denied(|behalf| behalf.hops[1].from = Delegator::Agent("x".parse().unwrap()), HostReason::ChainBroken);
    denied(|behalf| behalf.hops[1].from = behalf.hops[0].from.clone(), HostReason::ChainBroken);
    denied(|behalf| behalf.hops[0].from = Delegator::User("usr_bob".parse().unwrap()), HostReason::ChainBroken);
    denied(|behalf| behalf.hops[2].agent.id = "x".parse().unwrap(), HostReason::ChainBroken);
    assert_eq!(outcome(&chain(&["a", "b", "a"]), "a", &asked()), Some(HostReason::ChainLoop));
    assert_eq!(outcome(&chain(&["a", "b", "c", "d"]), "d", &asked()), None);
    assert_eq!(outcome(&chain(&["a", "b", "c", "d", "e"]), "e", &asked()), Some(HostReason::ChainTooDeep));
}

#[test]
fn what_does_not_stand_any_more_is_denied() {
    denied(|behalf| behalf.roots.provider_trusted = false, HostReason::ProviderRevoked);
    denied(|behalf| behalf.roots.user_revoked = true, HostReason::DelegationRevoked);
    denied(|behalf| behalf.roots.session_ended = true, HostReason::SessionEnded);
    for at in 0..3 {
        denied(|behalf| behalf.hops[at].revoked = true, HostReason::DelegationRevoked);
        denied(|behalf| behalf.hops[at].accepted = false, HostReason::DelegationNotAccepted);
        denied(|behalf| behalf.hops[at].delegation.expires_at = NOW, HostReason::DelegationExpired);
        denied(|behalf| behalf.hops[at].delegation.created_at = NOW.plus_ms(1), HostReason::DelegationExpired);
        denied(|behalf| behalf.hops[at].agent.state = AgentState::Suspended, HostReason::ChainAgentInactive);
        denied(|behalf| behalf.hops[at].agent.state = AgentState::Retired, HostReason::ChainAgentInactive);
        denied(|behalf| behalf.hops[at].agent.revocations += 1, HostReason::DelegationRevoked);
    }
}

#[test]
fn a_hop_that_is_narrower_in_any_one_way_denies() {
    for at in 0..3 {
        denied(|behalf| behalf.hops[at].delegation.purpose = "gossip".parse().unwrap(), HostReason::PurposeMismatch);
        denied(|behalf| behalf.hops[at].delegation.session = "ses_2".parse().unwrap(), HostReason::SessionMismatch);
        denied(|behalf| behalf.hops[at].agent.ceiling = Ceiling::default(), HostReason::PurposeNotRegistered);
        denied(
            |behalf| behalf.hops[at].agent = agent(["a", "b", "c"][at], UserPresence::WithoutUser, Vec::new()),
            HostReason::PurposeWithoutUser,
        );
        for narrow in [permission("account.write", "account/*"), permission("account.*", "account/8")] {
            let ceiling = agent(["a", "b", "c"][at], UserPresence::WithUser, vec![narrow.clone()]);
            denied(|behalf| behalf.hops[at].agent = ceiling, HostReason::OutsideCeiling);
            denied(|behalf| behalf.hops[at].delegation.permissions = vec![narrow], HostReason::OutsideDelegation);
        }
        denied(|behalf| behalf.hops[at].delegation.permissions.clear(), HostReason::OutsideDelegation);
    }
    denied(|behalf| behalf.entitlements.clear(), HostReason::NotEntitled);
    denied(|behalf| behalf.entitlements = vec![permission("*", "account/8")], HostReason::NotEntitled);
}

#[test]
fn a_request_states_what_the_delegation_says() {
    let behalf = chain(&["a"]);
    let session = |session: Option<SessionId>| outcome(&behalf, "a", &Request { session, ..asked() });
    assert_eq!(session(None), Some(HostReason::SessionMismatch));
    assert_eq!(session(Some("ses_2".parse().unwrap())), Some(HostReason::SessionMismatch));
    let named = |user: &str| behalf.check(&"a".parse().unwrap(), Some(&user.parse().unwrap()), &asked(), NOW, 4);
    assert_eq!(named("usr_bob"), Err(HostReason::UserMismatch));
    assert_eq!(named("usr_alice"), Ok(()));
}

/// What a hop of the small universe may do: any of four actions on any of four resources.
const ACTIONS: [&str; 4] = ["m.a", "m.b", "n.a", "n"];
const RESOURCES: [&str; 4] = ["t/1", "t/2", "t/1/x", "u/1"];
const ACTION_PATTERNS: [&str; 6] = ["*", "m.*", "n.*", "m.a", "n", "m.b"];
const RESOURCE_PATTERNS: [&str; 6] = ["*", "t/*", "t/1/*", "t/1", "u/*", "t/2"];

fn permissions() -> impl Strategy<Value = Vec<(usize, usize)>> {
    proptest::collection::vec((0..ACTION_PATTERNS.len(), 0..RESOURCE_PATTERNS.len()), 0..4)
}

fn parsed(pairs: &[(usize, usize)]) -> Vec<Permission> {
    pairs.iter().map(|&(action, resource)| permission(ACTION_PATTERNS[action], RESOURCE_PATTERNS[resource])).collect()
}

/// Matching as anybody would do it by hand, apart from the code under test.
fn by_hand(pairs: &[(usize, usize)], action: &str, resource: &str) -> bool {
    let fits = |pattern: &str, text: &str| match pattern.strip_suffix('*') {
        None => pattern == text,
        Some(prefix) => text.len() > prefix.len() && text[..prefix.len()] == *prefix,
    };
    pairs.iter().any(|&(a, r)| fits(ACTION_PATTERNS[a], action) && fits(RESOURCE_PATTERNS[r], resource))
}

proptest! {
    #[test]
    fn the_effective_right_is_what_is_within_every_hop(
        hops in proptest::collection::vec((permissions(), permissions(), 0..12_u8), 1..6),
        entitled in permissions(),
    ) {
        let names = ["a", "b", "c", "d", "e"];
        let mut behalf = chain(&names[..hops.len()]);
        behalf.entitlements = parsed(&entitled);
        for (hop, (ceiling, delegated, spoilt)) in behalf.hops.iter_mut().zip(&hops) {
            hop.agent = agent(hop.agent.id.as_str(), UserPresence::WithUser, parsed(ceiling));
            hop.delegation.permissions = parsed(delegated);
            // One in twelve hops each does not stand.
            hop.revoked = *spoilt == 0;
        }
        let whole = hops.len() <= 4 && hops.iter().all(|(_, _, spoilt)| *spoilt != 0);
        for action in ACTIONS {
            for resource in RESOURCES {
                let within = hops.iter().all(|(ceiling, delegated, _)| {
                    by_hand(ceiling, action, resource) && by_hand(delegated, action, resource)
                });
                let expect = whole && within && by_hand(&entitled, action, resource);
                let asked = Request { session: Some("ses_1".parse().unwrap()), ..request(action, resource, PURPOSE) };
                prop_assert_eq!(outcome(&behalf, names[hops.len() - 1], &asked).is_none(), expect, "{} {}", action, resource);
            }
        }
    }
}

/// The longest that a grant may live that the last of this chain is given.
fn grant_ms_max(change: impl FnOnce(&mut Behalf)) -> u64 {
    let mut behalf = chain(&["a", "b", "c"]);
    change(&mut behalf);
    let (agent, request, server) = (behalf.hops[2].agent.clone(), asked(), bounds_tests::server());
    let holder = Holder::of_key(&bounds_tests::agent(), &bounds_tests::thumbprint());
    let situation = Situation {
        agent: &agent,
        holder: holder.as_ref(),
        request: &request,
        user: None,
        behalf: Some(&behalf),
        resource_server: Some(&server),
        now: NOW,
    };
    bounds::check(situation, BoundsLimits::default()).unwrap().widest_terms().grant_ms_max
}

#[test]
fn no_grant_outlives_a_delegation_nor_what_any_agent_of_the_chain_is_registered_for() {
    assert_eq!(grant_ms_max(|_| {}), 30_000);
    let host = grant_ms_max(|behalf| {
        for hop in &mut behalf.hops {
            (hop.agent.grant_ms_max, hop.delegation.expires_at) = (3_600_000, NOW.plus_ms(3_600_000));
        }
    });
    assert_eq!(host, BoundsLimits::default().grant_ms_max);
    for at in 0..3 {
        assert_eq!(grant_ms_max(|behalf| behalf.hops[at].agent.grant_ms_max = 7_000), 7_000, "{at}");
        let soon = NOW.plus_ms(5_000);
        assert_eq!(grant_ms_max(|behalf| behalf.hops[at].delegation.expires_at = soon), 5_000, "{at}");
    }
}
