//! The largest that there can be fits its place.

use std::collections::BTreeMap;

use attorn_core::context::{Approval, Counter};
use attorn_core::counter::COUNT_MAX;
use attorn_core::{
    ApprovalId, Approver, ApproverRole, Charge, CounterScope, CounterSubject, CounterWindow, Debit, Digest, FactName,
    Known, Met, Terms,
};
use attorn_engine::CounterDeclaration;
use attorn_store::records::{AgentRecord, FactBody, FactRecord, FactSalt, FactSource, Kept, ResourceServerRecord};
use attorn_store::{BATCH_ITEMS_MAX, Require, Versioned};

use super::*;
use crate::active::ActiveSet;
use crate::decisions::ask::Idempotency;
use crate::decisions::fixtures::{
    NOW, agent, asked, holder, largest_delegation, largest_user, request, server, thumbprint, within,
};
use crate::decisions::known::{
    COUNTER_BYTES, COUNTERS_MAX, FACTS_MAX, FoundFact, Missing, SERVERS_MAX, approval_bytes, delegation_bytes,
    user_bytes,
};

const NONE: Digest = Digest::from_bytes([0; 32]);

fn stored<V>(value: V) -> Versioned<V> {
    Versioned { value, version: u64::MAX, entries: 0..1 }
}

/// All that a decision rests on beside facts, as `gather` finds it.
fn ground() -> Ground {
    let (agent, server) = (agent(), server());
    let require = [
        Key::idempotency(&agent.id, &NONE),
        Key::agent(&agent.id),
        Key::active_set(),
        Key::resource_type(&"article".parse().unwrap()),
        Key::resource_server(&server.id),
        Key::token_key(&thumbprint()),
    ];
    let jwks = BTreeMap::from([(thumbprint(), JsonText::from_canonical("{}"))]);
    let jwk = JsonText::from_canonical("{}");
    Ground {
        agent: stored(AgentRecord::new(agent, jwks, Vec::new(), NOW).unwrap()),
        holder: Some(holder()),
        request: request("{}"),
        credential: None,
        user: None,
        chain: None,
        delegated: false,
        refused: None,
        resource_server: Some(stored(ResourceServerRecord { server, jwk, created_at: NOW, revoked_at: None })),
        active: Arc::new(ActiveSet::new(0, Vec::new()).unwrap()),
        require: require.into_iter().map(|key| (key, Require::Version(1))).collect(),
        signed_by: thumbprint(),
    }
}

/// An allow that debits as many counters as there can be, each by as much as there can be.
fn debiting(within: &WithinBounds<'_>) -> Decision {
    let debit = |n: usize| Debit {
        policy: "p".parse().unwrap(),
        counter: format!("c{n}").parse().unwrap(),
        scope: CounterScope::Agent,
        window: CounterWindow::Day,
        amount: COUNT_MAX,
        at_most: COUNT_MAX,
    };
    let terms = Terms { debits: (0..COUNTERS_MAX).map(debit).collect(), ..Terms::new(30_000, 1) };
    let outcome = Outcome::Verdict(Verdict::Allow { terms, reasons: Vec::new() });
    attorn_core::decide(
        within,
        &Met::nothing(),
        &[Evaluated { policy: "p".parse().unwrap(), required: false, outcome }],
    )
}

#[test]
fn the_largest_batch_of_a_decision_has_no_more_items_than_a_batch_may_have() {
    let (agent, holder, request, server) = (agent(), holder(), request("{}"), server());
    let within = within(&agent, &holder, &request, &server);
    let idempotency = Some(Idempotency { key_digest: NONE, request_digest: NONE });
    let ask = Ask { idempotency, ..asked("{}") };
    let fact = |n: usize| (Key::fact(&format!("f/{n}").parse().unwrap()), Require::Version(1));
    let said_by = |n: usize| (Key::resource_server(&format!("s{n}").parse().unwrap()), Require::Version(1));
    let mut made = Made::by_bounds(NOW, debiting(&within));
    made.looked_up.require = (0..FACTS_MAX).map(fact).chain((0..SERVERS_MAX).map(said_by)).collect();
    let id = DecisionId::from_random([1; 16]);
    let Recording { batch, grant, .. } =
        batch(&ask, (&ground(), Veil::Nobody), Some(&within), &made, id, None).unwrap();
    assert!(grant.is_some());
    assert_eq!(batch.require.len(), 6 + FACTS_MAX + SERVERS_MAX);
    assert_eq!(batch.add.len(), COUNTERS_MAX);
    let items = [batch.require.len(), batch.add.len(), batch.put.len(), batch.delete.len(), batch.entries.len()];
    assert!(items.iter().sum::<usize>() <= BATCH_ITEMS_MAX, "{items:?}");
}

#[test]
fn no_fact_takes_more_of_the_record_than_was_reckoned() {
    let long = |text: &str| format!("{text}{}", "x".repeat(64 - text.len()));
    let body = FactBody { value: JsonText::from_canonical("\"v\""), salt: FactSalt::from_random([255; 16]) };
    for (set_by, missing) in [
        (Some(FactSource::Operator(long("o").parse().unwrap())), None),
        (Some(FactSource::ResourceServer(long("s").parse().unwrap())), None),
        (Some(FactSource::ResourceServer(long("s").parse().unwrap())), Some(Missing::SourceRevoked)),
        (Some(FactSource::ResourceServer(long("s").parse().unwrap())), Some(Missing::Expired)),
        (Some(FactSource::Operator(long("o").parse().unwrap())), Some(Missing::UserErased)),
        (None, Some(Missing::NotSet)),
    ] {
        let name: FactName = "resource/a/b".parse().unwrap();
        let set = set_by.map(|set_by| {
            let (at, said) = (TimeMs(u64::MAX), Kept::Plain(body.clone()));
            stored(FactRecord { name: name.clone(), said, set_by, set_at: at, expires_at: Some(at) })
        });
        let body = set.is_some().then(|| body.clone());
        let found = FoundFact { set, body, missing };
        // And a comma behind it.
        let bytes = fact_in_record((&name, &found)).to_string().len() + 1;
        assert!(bytes <= found.bytes(&name), "{bytes}: {found:?}");
    }
}

#[test]
fn no_counter_with_its_charge_takes_more_of_the_record_than_was_reckoned() {
    let (name, max) = ("c".repeat(64), u64::MAX);
    let charge = Charge {
        policy: "p".repeat(64).parse().unwrap(),
        counter: name.parse().unwrap(),
        subject: CounterSubject::Agent("a".parse().unwrap()),
        window: CounterWindow::Total,
        amount: max,
        at_most: max,
    };
    let counter =
        Counter { name: name.parse().unwrap(), used: max, window_start: TimeMs(max), window_end: Some(TimeMs(max)) };
    let known = Known { facts: Vec::new(), counters: vec![counter] };
    let declared = CounterDeclaration {
        name: name.parse().unwrap(),
        unit: String::new(),
        scope: CounterScope::RootDelegation,
        window: CounterWindow::Minute,
    };
    let (_, counters) = known_in_record(&known, &[declared], &LookedUp::default());
    let bytes = counters.to_string().len() + charge_in_record(&charge).to_string().len() + 2;
    assert!(bytes <= COUNTER_BYTES, "{bytes}");
}

#[test]
fn no_approval_takes_more_of_the_record_than_was_reckoned() {
    let id = "o".repeat(64);
    let (operator, user) = (Approver::Operator(id.parse().unwrap()), Approver::User(id.parse().unwrap()));
    let group = "\"".repeat(256);
    for (approver, role) in [(operator, "operator"), (user.clone(), "user"), (user, group.as_str())] {
        let role: ApproverRole = role.parse().unwrap();
        let group = role.group().map(ToString::to_string);
        let approval = Approval { id: ApprovalId::from_random([0; 16]), approver, role, approved_at: TimeMs(u64::MAX) };
        // And who it was once more, in what the decision does about it.
        let again = json!({ "operator": id, "group": group });
        let bytes = approval_in_record(&approval).to_string().len() + again.to_string().len() + 2;
        assert!(bytes <= approval_bytes(&approval), "{bytes}");
    }
}

#[test]
fn no_user_and_no_hop_takes_more_of_the_record_than_was_reckoned() {
    let (user, hop) = (largest_user(), largest_delegation());
    let bytes = user_in_record(&user).to_string().len() + 1;
    assert!(bytes <= user_bytes(&user), "{bytes}");
    let bytes = delegation_in_record(&hop).to_string().len() + 1;
    assert!(bytes <= delegation_bytes(&hop), "{bytes}");
}
