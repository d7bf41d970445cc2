//! What tests of decisions begin with: an agent that asks about an article, and where that is kept.

use std::collections::{BTreeMap, BTreeSet};

use attorn_core::context::{AuthenticationMethod, Phase};
use attorn_core::{
    Agent, AgentKey, AgentState, BoundsLimits, Ceiling, Digest, EvaluationContext, Holder, JsonText, KeyThumbprint,
    Permission, PurposeCeiling, Request, ResourceServer, Situation, TimeMs, UseCounting, UserPresence, WithinBounds,
    bounds,
};

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
        certificate: None,
        thumbprint: thumbprint(),
        wanted: Wanted { request: request(arguments), delegation: None, user: None },
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

pub(super) fn context(arguments: &str) -> EvaluationContext {
    let (agent, holder, request, server) = (agent(), holder(), request(arguments), server());
    EvaluationContext::of_request(
        &within(&agent, &holder, &request, &server),
        AuthenticationMethod::Dpop,
        Phase::Decide,
    )
}
