//! The policy and the request that everything here is measured with: the shipped plugin `read-only`,
//! and a support bot that reads an article.

use std::collections::{BTreeMap, BTreeSet};

use attorn_core::context::{AuthenticationMethod, Phase};
use attorn_core::{
    Agent, AgentKey, AgentState, BoundsLimits, Ceiling, Digest, EvaluationContext, Holder, JsonText, Permission,
    PurposeCeiling, Request, ResourceServer, Situation, TimeMs, UserPresence, bounds,
};
use attorn_tests::world;
use serde_json::json;

/// How many elements one of its lists may have.
const LIST_MAX: usize = 64;

/// Its settings, as the host gives them to `init`.
pub(crate) fn settings() -> String {
    world::read_only_settings().to_string()
}

/// Settings of so many rules, one for each action, at the end of which stands the one that allows what
/// is asked here. It takes lists of 64 at most.
pub(crate) fn settings_of(rules: usize) -> String {
    let mut actions: Vec<_> = (1..rules).map(|n| format!("accounts.a{n}.read")).collect();
    actions.push("faq.read".to_owned());
    let rule = |actions: &[String]| json!({ "actions": actions, "resource_types": ["article"] });
    let rules: Vec<_> = actions.chunks(LIST_MAX).map(rule).collect();
    json!({ "allow": rules }).to_string()
}

/// Its component.
pub(crate) fn component() -> Vec<u8> {
    attorn_tests::components::bytes("read-only")
}

/// The context that it is asked in.
pub(crate) fn context() -> EvaluationContext {
    let (now, key) = (TimeMs(1_767_323_045_678), "0123456789012345678901234567890123456789012");
    let permission = Permission { action: "faq.*".parse().unwrap(), resource: "article/*".parse().unwrap() };
    let ceiling = PurposeCeiling { user: UserPresence::WithoutUser, permissions: vec![permission] };
    let agent = Agent {
        id: "support-bot".parse().unwrap(),
        owner: "support@example.org".parse().unwrap(),
        labels: BTreeMap::from([("team".parse().unwrap(), "support".to_owned())]),
        state: AgentState::Active,
        ceiling: Ceiling::new(BTreeMap::from([(world::PURPOSE.parse().unwrap(), ceiling)])),
        grant_ms_max: 60_000,
        keys: vec![AgentKey {
            thumbprint: key.parse().unwrap(),
            instance: "pod-1".parse().unwrap(),
            expires_at: now.plus_ms(3_600_000),
        }],
        revocations: 0,
        identities: Vec::new(),
    };
    let server = ResourceServer {
        id: "faq".parse().unwrap(),
        audience: "https://faq.example".parse().unwrap(),
        resource_types: BTreeSet::from(["article".parse().unwrap()]),
        key_thumbprint: key.parse().unwrap(),
        counts_uses: attorn_core::UseCounting::Reports,
    };
    let request = Request {
        action: "faq.read".parse().unwrap(),
        resource: "article/42".parse().unwrap(),
        purpose: world::PURPOSE.parse().unwrap(),
        session: None,
        arguments: JsonText::from_canonical(r#"{"section":"billing"}"#),
        arguments_digest: Digest::from_bytes([7; 32]),
        claims: JsonText::from_canonical("{}"),
    };
    let holder = Holder::of_key(&agent, &key.parse().unwrap());
    let (agent, holder, request) = (&agent, holder.as_ref(), &request);
    let situation = Situation { agent, holder, request, user: None, behalf: None, resource_server: Some(&server), now };
    let within = bounds::check(situation, BoundsLimits::default());
    EvaluationContext::of_request(&within.unwrap(), AuthenticationMethod::Dpop, Phase::Decide, None)
}
