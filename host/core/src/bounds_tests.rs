//! Every bound, one case each; and fixtures that `decide`'s tests share.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::agent::{AgentKey, Ceiling, PurposeCeiling};
use crate::id::{Digest, KeyThumbprint};
use crate::permission::Permission;
use crate::request::JsonText;

pub(crate) const NOW: TimeMs = TimeMs(1_767_323_045_678);

pub(crate) fn thumbprint() -> KeyThumbprint {
    "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k".parse().unwrap()
}

pub(crate) fn agent() -> Agent {
    let ceiling = |user, action: &str, resource: &str| PurposeCeiling {
        user,
        permissions: vec![Permission { action: action.parse().unwrap(), resource: resource.parse().unwrap() }],
    };
    Agent {
        id: "support-bot".parse().unwrap(),
        owner: "alice".parse().unwrap(),
        labels: BTreeMap::from([("team".parse().unwrap(), "support".to_owned())]),
        state: AgentState::Active,
        ceiling: Ceiling::new(BTreeMap::from([
            ("answer-questions".parse().unwrap(), ceiling(UserPresence::WithoutUser, "faq.*", "article/*")),
            ("manage-account".parse().unwrap(), ceiling(UserPresence::WithUser, "account.*", "account/*")),
        ])),
        grant_ms_max: 30_000,
        keys: vec![AgentKey {
            thumbprint: thumbprint(),
            instance: "pod-1".parse().unwrap(),
            expires_at: NOW.plus_ms(3_600_000),
        }],
        revocations: 0,
        identities: Vec::new(),
    }
}

pub(crate) fn server() -> ResourceServer {
    ResourceServer {
        id: "faq".parse().unwrap(),
        audience: "https://faq.example".parse().unwrap(),
        resource_types: BTreeSet::from(["article".parse().unwrap(), "account".parse().unwrap()]),
        key_thumbprint: thumbprint(),
        counts_uses: UseCounting::Reports,
    }
}

pub(crate) fn request(action: &str, resource: &str, purpose: &str) -> Request {
    Request {
        action: action.parse().unwrap(),
        resource: resource.parse().unwrap(),
        purpose: purpose.parse().unwrap(),
        session: None,
        arguments: JsonText::from_canonical("{}"),
        arguments_digest: Digest::from_bytes([0; 32]),
        claims: JsonText::from_canonical("{}"),
    }
}

/// What `agent` asks on its own authority with its key.
pub(crate) fn alone<'a>(
    agent: &'a Agent,
    holder: Option<&'a Holder>,
    request: &'a Request,
    resource_server: Option<&'a ResourceServer>,
) -> Situation<'a> {
    Situation { agent, holder, request, user: None, behalf: None, resource_server, now: NOW }
}

#[track_caller]
fn outcome(change: impl FnOnce(&mut Agent), request: &Request, server: Option<&ResourceServer>) -> Option<HostReason> {
    let mut agent = agent();
    change(&mut agent);
    let holder = Holder::of_key(&agent, &thumbprint());
    check(alone(&agent, holder.as_ref(), request, server), BoundsLimits::default()).err()
}

type Case = (fn(&mut Agent), Request, Option<HostReason>);

#[test]
fn each_bound_denies_with_its_reason() {
    let (server, read) = (server(), request("faq.read", "article/42", "answer-questions"));
    let cases: [Case; 9] = [
        (|_| {}, read.clone(), None),
        (|agent| agent.state = AgentState::Suspended, read.clone(), Some(HostReason::AgentSuspended)),
        (|agent| agent.state = AgentState::Retired, read.clone(), Some(HostReason::AgentRetired)),
        (|agent| agent.keys[0].expires_at = NOW, read.clone(), Some(HostReason::KeyExpired)),
        (|agent| agent.keys.clear(), read.clone(), Some(HostReason::KeyExpired)),
        (|_| {}, request("faq.read", "article/42", "gossip"), Some(HostReason::PurposeNotRegistered)),
        (|_| {}, request("account.read", "account/42", "manage-account"), Some(HostReason::PurposeNeedsUser)),
        (|_| {}, request("account.read", "account/42", "answer-questions"), Some(HostReason::OutsideCeiling)),
        (|agent| agent.ceiling = Ceiling::default(), read, Some(HostReason::PurposeNotRegistered)),
    ];
    for (change, request, expect) in cases {
        assert_eq!(outcome(change, &request, Some(&server)), expect, "{request:?}");
    }
}

#[test]
fn a_type_without_its_resource_server_is_denied() {
    let read = request("faq.read", "article/42", "answer-questions");
    assert_eq!(outcome(|_| {}, &read, None), Some(HostReason::ResourceTypeUnknown));
    let mut other = server();
    other.resource_types = BTreeSet::from(["invoice".parse().unwrap()]);
    assert_eq!(outcome(|_| {}, &read, Some(&other)), Some(HostReason::ResourceTypeUnknown));
    let lax = ResourceServer { counts_uses: UseCounting::No, ..server() };
    assert_eq!(outcome(|_| {}, &read, Some(&lax)), Some(HostReason::UsesNotCounted));
}

#[test]
fn the_widest_terms_are_the_narrowest_of_host_agent_and_key() {
    let (server, read) = (server(), request("faq.read", "article/42", "answer-questions"));
    let grant_ms_max = |agent: &Agent| {
        let holder = Holder::of_key(agent, &thumbprint());
        let situation = alone(agent, holder.as_ref(), &read, Some(&server));
        check(situation, BoundsLimits::default()).unwrap().widest_terms().grant_ms_max
    };
    let mut bot = agent();
    assert_eq!(grant_ms_max(&bot), 30_000);
    bot.grant_ms_max = 3_600_000;
    assert_eq!(grant_ms_max(&bot), 60_000);
    bot.keys[0].expires_at = NOW.plus_ms(5_000);
    assert_eq!(grant_ms_max(&bot), 5_000);
}

#[test]
fn a_user_without_a_delegation_is_nobody() {
    let (bot, server, read) = (agent(), server(), request("faq.read", "article/42", "answer-questions"));
    let (holder, user) = (Holder::of_key(&bot, &thumbprint()), "usr_1".parse().unwrap());
    let situation = Situation { user: Some(&user), ..alone(&bot, holder.as_ref(), &read, Some(&server)) };
    assert_eq!(check(situation, BoundsLimits::default()).err(), Some(HostReason::DelegationUnknown));
}
