//! What tests of decisions begin with: an agent that asks about an article, and where that is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::str::FromStr;

use attorn_api::decisions::CredentialKind;
use attorn_core::context::{AuthenticationMethod, Delegation, Group, Phase, User};
use attorn_core::{
    Agent, AgentKey, AgentState, Behalf, BoundsLimits, Ceiling, Delegator, Digest, EvaluationContext, Holder, Hop,
    Issuer, JsonText, KeyThumbprint, Permission, PurposeCeiling, Request, ResourceServer, Roots, Situation, TimeMs,
    UseCounting, UserPresence, WithinBounds, bounds,
};
use attorn_store::records::{DelegationBody, ProviderRecord, UserBody};

use super::ask::{Ask, Wanted};

pub(super) const NOW: TimeMs = TimeMs(1_767_323_045_678);

pub(super) fn thumbprint() -> KeyThumbprint {
    "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k".parse().unwrap()
}

pub(super) fn agent() -> Agent {
    let everything = Permission { action: "*".parse().unwrap(), resource: "*".parse().unwrap() };
    let ceiling = PurposeCeiling { user: UserPresence::WithoutUser, permissions: vec![everything] };
    Agent {
        id: "bot".parse().unwrap(),
        owner: "alice".parse().unwrap(),
        labels: BTreeMap::new(),
        state: AgentState::Active,
        ceiling: Ceiling::new(BTreeMap::from([("tests".parse().unwrap(), ceiling)])),
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

pub(super) fn server() -> ResourceServer {
    ResourceServer {
        id: "faq".parse().unwrap(),
        audience: "https://faq.example".parse().unwrap(),
        resource_types: BTreeSet::from(["article".parse().unwrap()]),
        key_thumbprint: thumbprint(),
        counts_uses: UseCounting::Reports,
    }
}

pub(super) fn request(arguments: &str) -> Request {
    Request {
        action: "faq.read".parse().unwrap(),
        resource: "article/42".parse().unwrap(),
        purpose: "tests".parse().unwrap(),
        session: None,
        arguments: JsonText::from_canonical(arguments),
        arguments_digest: Digest::from_bytes([0; 32]),
        claims: JsonText::from_canonical("{}"),
    }
}

pub(super) fn asked(arguments: &str) -> Ask {
    Ask {
        agent: agent().id,
        method: AuthenticationMethod::Dpop,
        identity: None,
        thumbprint: thumbprint(),
        wanted: Wanted {
            request: request(arguments),
            delegation: None,
            user: None,
            credential: CredentialKind::Token,
            through: None,
        },
        idempotency: None,
    }
}

pub(super) fn holder() -> Holder {
    Holder::of_key(&agent(), &thumbprint()).unwrap()
}

pub(super) fn within<'a>(
    agent: &'a Agent,
    holder: &'a Holder,
    request: &'a Request,
    server: &'a ResourceServer,
) -> WithinBounds<'a> {
    let (holder, resource_server) = (Some(holder), Some(server));
    let situation = Situation { agent, holder, request, user: None, behalf: None, resource_server, now: NOW };
    bounds::check(situation, BoundsLimits::default()).unwrap()
}

pub(crate) fn context(arguments: &str) -> EvaluationContext {
    let (agent, holder, request, server) = (agent(), holder(), request(arguments), server());
    EvaluationContext::of_request(
        &within(&agent, &holder, &request, &server),
        AuthenticationMethod::Dpop,
        Phase::Decide,
        None,
    )
}

/// A user, and three agents in a row; the last is [`agent`].
pub(super) fn behalf() -> Behalf {
    let everything = Permission { action: "*".parse().unwrap(), resource: "*".parse().unwrap() };
    let purpose: attorn_core::Purpose = "tests".parse().unwrap();
    let ceiling = PurposeCeiling { user: UserPresence::WithUser, permissions: vec![everything.clone()] };
    let user = User { id: "usr_1".parse().unwrap(), ..largest_user() };
    let names = ["first", "second", "bot"];
    let hop = |at: usize| Hop {
        delegation: Delegation {
            id: format!("dlg_{at}").parse().unwrap(),
            to_agent: names[at].parse().unwrap(),
            permissions: vec![everything.clone()],
            purpose: purpose.clone(),
            session: "ses_1".parse().unwrap(),
            created_at: TimeMs(0),
            expires_at: NOW.plus_ms(3_600_000),
        },
        from: match at.checked_sub(1) {
            None => Delegator::User(user.id.clone()),
            Some(before) => Delegator::Agent(names[before].parse().unwrap()),
        },
        parent: at.checked_sub(1).map(|before| format!("dlg_{before}").parse().unwrap()),
        accepted: true,
        revoked: false,
        revocations: 0,
        agent: Agent {
            id: names[at].parse().unwrap(),
            ceiling: Ceiling::new(BTreeMap::from([(purpose.clone(), ceiling.clone())])),
            ..agent()
        },
    };
    let hops = (0..names.len()).map(hop).collect();
    let roots = Roots { provider_trusted: true, user_revoked: false, session_ended: false };
    Behalf { user: user.clone(), roots, hops, entitlements: vec![everything.clone()] }
}

pub(super) fn within_behalf<'a>(
    (agent, holder): (&'a Agent, &'a Holder),
    request: &'a Request,
    behalf: &'a Behalf,
    server: &'a ResourceServer,
) -> WithinBounds<'a> {
    let (holder, behalf, resource_server) = (Some(holder), Some(behalf), Some(server));
    let situation = Situation { agent, holder, request, user: None, behalf, resource_server, now: NOW };
    bounds::check(situation, BoundsLimits::default()).unwrap()
}

fn long<T: FromStr<Err: Debug>>(start: &str, bytes: usize) -> T {
    format!("{start}{}", "x".repeat(bytes - start.len())).parse().unwrap()
}

/// Nobody has more groups, with names that take more in JSON than they have bytes, nor more claims.
pub(super) fn largest_user() -> User {
    let issuer: Issuer = long("https://", 256);
    let name = |n: usize| format!("{n:03}{}", "\"".repeat(UserBody::GROUPS_BYTES_MAX / 128 - 3));
    let group = |n| Group { issuer: issuer.clone(), name: name(n), asserted_at: TimeMs(u64::MAX) };
    User {
        id: long("usr_", 64),
        issuer: issuer.clone(),
        authenticated_at: TimeMs(u64::MAX),
        acr: Some("\"".repeat(256)),
        groups: (0..128).map(group).collect(),
        claims: JsonText::from_canonical(format!("{{\"c\":\"{}\"}}", "x".repeat(ProviderRecord::CLAIMS_BYTES_MAX - 8))),
    }
}

/// None has more permissions, nor more bytes of them.
pub(super) fn largest_delegation() -> Delegation {
    let bytes = DelegationBody::PERMISSIONS_BYTES_MAX / DelegationBody::PERMISSIONS_MAX;
    let one = Permission { action: "*".parse().unwrap(), resource: long("t/", bytes - 1) };
    Delegation {
        id: long("dlg_", 64),
        to_agent: long("a", 64),
        permissions: vec![one; DelegationBody::PERMISSIONS_MAX],
        purpose: long("p", 64),
        session: long("ses_", 128),
        created_at: TimeMs(u64::MAX),
        expires_at: TimeMs(u64::MAX),
    }
}
