//! Whatever is another is told apart, and what is stored today is read tomorrow.

use std::collections::BTreeSet;

use attorn_core::context::Fact;
use attorn_core::{Again, ApprovalId, Approver, ApproverRole, Evaluated, Failure, JsonText, TimeMs};

use super::*;
use crate::decisions::fixtures::{
    NOW, agent, behalf, context as fixture, holder, largest_delegation, largest_user, request, server, within,
    within_behalf,
};

fn text(text: &str) -> JsonText {
    JsonText::from_canonical(text)
}

fn reason(text: &str) -> Reason {
    Reason { code: "why".parse().unwrap(), text: text.into(), public: true }
}

fn counter() -> Counter {
    Counter { name: "spent".parse().unwrap(), used: 3, window_start: TimeMs(1), window_end: Some(TimeMs(2)) }
}

fn fact(value: Option<&str>) -> Fact {
    let name = Some("resource/article/42/owner".parse().unwrap());
    Fact { template: "resource/article/42/owner".parse().unwrap(), name, value: value.map(text) }
}

fn wanted(target: Option<&str>) -> WantedCredential {
    let target = target.map(|id| id.parse().unwrap());
    WantedCredential { kind: attorn_core::TargetKind::Postgresql, target }
}

fn onward(target: &str) -> WantedCredential {
    WantedCredential { kind: attorn_core::TargetKind::Proxy, ..wanted(Some(target)) }
}

fn operator(id: &str) -> Approver {
    Approver::Operator(id.parse().unwrap())
}

fn approved(id: u8, approver: Approver, at: u64) -> Approval {
    let role = if matches!(approver, Approver::Operator(_)) { ApproverRole::Operator } else { ApproverRole::User };
    Approval { id: ApprovalId::from_random([id; 16]), approver, role, approved_at: TimeMs(at) }
}

fn of_group(group: &str) -> Approval {
    Approval { role: group.parse().unwrap(), ..approved(1, Approver::User("ada".parse().unwrap()), 1) }
}

/// That it is bound to agent, action, resource, arguments, claims, session and policies is seen in `approvals.rs` of the
/// tests, with whole requests.
#[test]
fn an_approval_is_bound_to_what_is_given() {
    let (agent, holder, server) = (agent(), holder(), server());
    let digest = |purpose: &str, credential| {
        let mut agent = agent.clone();
        let ceiling = agent.ceiling.purpose(&"tests".parse().unwrap()).unwrap().clone();
        agent.ceiling = attorn_core::Ceiling::new([(purpose.parse().unwrap(), ceiling)].into());
        let request = attorn_core::Request { purpose: purpose.parse().unwrap(), ..request("{}") };
        let within = within(&agent, &holder, &request, &server);
        (approval(&within, credential, &[]), asked_of(&within, credential.0))
    };
    let (anywhere, shop, onward) = (wanted(None), wanted(Some("shop")), onward("shop"));
    let wanted = [None, Some(&anywhere), Some(&shop), Some(&onward)];
    let (mut bound_to, mut asked_of): (Vec<_>, Vec<_>) =
        wanted.map(|one| digest("tests", (one, None))).into_iter().unzip();
    let (others, of_others) = digest("others", (None, None));
    bound_to.push(others);
    asked_of.push(of_others);
    all_differ(&asked_of);
    // The target as it is registered.
    for target in [&b""[..], b"reader", b"writer"] {
        let (one, of_one) = digest("tests", (Some(&shop), Some(target)));
        bound_to.push(one);
        assert_eq!(of_one, asked_of[2], "what is asked is the same");
    }
    all_differ(&bound_to);
}

/// What hangs on the user is told apart, and so is who accepts it. Whoever was told no for a user was told no, by
/// whatever delegation they ask again.
#[test]
fn an_approval_is_bound_to_the_user_and_every_hop_and_who_accepts_it() {
    type Change = fn(&mut attorn_core::Behalf, &mut attorn_core::ResourceServer);
    let changes: &[(Change, bool)] = &[
        (|_, _| {}, true),
        (
            |behalf, _| {
                behalf.user.id = "usr_2".parse().unwrap();
                behalf.hops[0].from = attorn_core::Delegator::User("usr_2".parse().unwrap());
            },
            false,
        ),
        (
            |behalf, _| {
                behalf.hops[0].delegation.id = "dlg_9".parse().unwrap();
                behalf.hops[1].parent = Some("dlg_9".parse().unwrap());
            },
            true,
        ),
        (
            |behalf, _| {
                behalf.hops[1].delegation.id = "dlg_9".parse().unwrap();
                behalf.hops[2].parent = Some("dlg_9".parse().unwrap());
            },
            true,
        ),
        (|behalf, _| behalf.hops[2].delegation.id = "dlg_9".parse().unwrap(), true),
        (
            |behalf, _| {
                behalf.hops[1].agent.id = "other".parse().unwrap();
                behalf.hops[1].delegation.to_agent = "other".parse().unwrap();
                behalf.hops[2].from = attorn_core::Delegator::Agent("other".parse().unwrap());
            },
            true,
        ),
        (
            |behalf, _| {
                behalf.hops.remove(1);
                behalf.hops[1].from = attorn_core::Delegator::Agent(behalf.hops[0].delegation.to_agent.clone());
                behalf.hops[1].parent = Some(behalf.hops[0].delegation.id.clone());
            },
            true,
        ),
        (|_, server| server.audience = "https://other.example".parse().unwrap(), true),
        (|_, server| server.id = "other".parse().unwrap(), true),
    ];
    let digests = |change: &Change| {
        let (mut behalf, mut server) = (behalf(), server());
        change(&mut behalf, &mut server);
        let agent = behalf.hops.last().unwrap().agent.clone();
        let session = behalf.hops[0].delegation.session.clone();
        let request = attorn_core::Request { session: Some(session), ..request("{}") };
        let holder = holder();
        let within = within_behalf((&agent, &holder), &request, &behalf, &server);
        (approval(&within, (None, None), &[]), asked_of(&within, None))
    };
    let all: Vec<_> = changes.iter().map(|(change, _)| digests(change)).collect();
    all_differ(&all.iter().map(|(bound_to, _)| *bound_to).collect::<Vec<_>>());
    for ((_, same), (_, asked_of)) in changes.iter().zip(&all) {
        assert_eq!(*asked_of == all[0].1, *same);
    }
}

/// What a request says of itself asks for nothing else.
#[test]
fn what_is_asked_is_not_what_the_request_says_of_itself() {
    let (agent, holder, server) = (agent(), holder(), server());
    let of = |change: fn(&mut attorn_core::Request)| {
        let mut request = request("{}");
        change(&mut request);
        asked_of(&within(&agent, &holder, &request, &server), None)
    };
    let plain = of(|_| {});
    assert_eq!(plain, of(|request| request.claims = text(r#"{"n":1}"#)));
    assert_eq!(plain, of(|request| request.arguments = text(r#"{"n":1}"#)));
    assert_eq!(plain, of(|request| request.arguments_digest = Digest::from_bytes([1; 32])));
    assert_eq!(plain, of(|request| request.session = Some("s".parse().unwrap())));
    assert_ne!(plain, of(|request| request.action = "faq.write".parse().unwrap()));
    assert_ne!(plain, of(|request| request.resource = "article/43".parse().unwrap()));
}

#[track_caller]
fn all_differ(digests: &[Digest]) {
    assert_eq!(digests.iter().collect::<BTreeSet<_>>().len(), digests.len(), "{digests:?}");
}

#[test]
fn every_part_of_a_context_is_in_its_digest() {
    type Change = fn(&mut EvaluationContext);
    let changes: &[Change] = &[
        |_| {},
        |context| context.phase = Phase::Simulate,
        |context| context.time = NOW.plus_ms(1),
        |context| context.caller.method = attorn_core::context::AuthenticationMethod::Mtls,
        |context| context.caller.key_thumbprint = "a".repeat(43).parse().unwrap(),
        |context| context.instance = "pod-2".parse().unwrap(),
        |context| context.agent.id = "other".parse().unwrap(),
        |context| context.agent.owner = "bob".parse().unwrap(),
        |context| drop(context.agent.labels.insert("a".parse().unwrap(), "b".into())),
        |context| context.user = Some(largest_user()),
        |context| context.user = Some(attorn_core::context::User { acr: None, ..largest_user() }),
        |context| context.user = Some(attorn_core::context::User { groups: Vec::new(), ..largest_user() }),
        |context| context.user = Some(attorn_core::context::User { claims: text("{}"), ..largest_user() }),
        |context| context.delegations = vec![largest_delegation()],
        |context| context.delegations = vec![largest_delegation(), largest_delegation()],
        |context| context.request.action = "faq.write".parse().unwrap(),
        |context| context.request.resource = "article/43".parse().unwrap(),
        |context| context.request.purpose = "other".parse().unwrap(),
        |context| context.request.session = Some("s".parse().unwrap()),
        |context| context.request.arguments = text(r#"{"a":1}"#),
        |context| context.request.claims = text(r#"{"a":1}"#),
        |context| context.credential = Some(wanted(None)),
        |context| context.credential = Some(wanted(Some("shop"))),
        |context| context.credential = Some(onward("shop")),
        |context| context.approvals = vec![approved(1, operator("ada"), 1)],
        |context| context.approvals = vec![approved(2, operator("ada"), 1)],
        |context| context.approvals = vec![approved(1, operator("bob"), 1)],
        |context| context.approvals = vec![approved(1, operator("ada"), 2)],
        |context| context.approvals = vec![approved(1, Approver::User("ada".parse().unwrap()), 1)],
        |context| context.approvals = vec![approved(1, operator("ada"), 1), approved(1, operator("bob"), 1)],
        |context| context.approvals = vec![of_group("finance")],
        |context| context.approvals = vec![of_group("risk")],
    ];
    let digest_after = |change: &Change| {
        let mut other = fixture("{}");
        change(&mut other);
        context(&other, &[])
    };
    let mut digests: Vec<Digest> = changes.iter().map(digest_after).collect();
    let known = |facts: Vec<Fact>, counters: Vec<Counter>| Known { facts, counters };
    for known in [
        vec![known(vec![], vec![])],
        vec![known(vec![], vec![]), known(vec![], vec![])],
        vec![known(vec![fact(None)], vec![])],
        vec![known(vec![fact(Some("null"))], vec![])],
        vec![known(vec![Fact { name: None, ..fact(None) }], vec![])],
        vec![known(vec![], vec![counter()])],
        vec![known(vec![], vec![Counter { used: 4, ..counter() }])],
        vec![known(vec![], vec![Counter { window_end: None, ..counter() }])],
        vec![known(vec![], vec![]), known(vec![], vec![counter()])],
        vec![known(vec![], vec![counter()]), known(vec![], vec![])],
    ] {
        digests.push(context(&fixture("{}"), &known));
    }
    all_differ(&digests);
    // What policies do not see is not in it.
    let mut other = fixture("{}");
    other.agent.keys.clear();
    assert_eq!(context(&other, &[]), digests[0]);
}

fn outcomes() -> Vec<Outcome> {
    let terms = Terms::new(5_000, 2);
    let debit = Debit {
        policy: "p".parse().unwrap(),
        counter: "spent".parse().unwrap(),
        scope: CounterScope::Agent,
        window: CounterWindow::Day,
        amount: 1,
        at_most: 10,
    };
    let allow = |terms: Terms, reasons| Outcome::Verdict(Verdict::Allow { terms, reasons });
    let obliged = Obligation { kind: "redact".parse().unwrap(), parameters: text("{}") };
    let approver = |count| ApprovalRequirement { role: "operator".parse().unwrap(), count };
    let challenge = |count, terms| {
        Outcome::Verdict(Verdict::Challenge { approvers: vec![approver(count)], terms, reason: reason("ask") })
    };
    let mut outcomes = vec![
        allow(terms.clone(), vec![]),
        allow(Terms { grant_ms_max: 1, ..terms.clone() }, vec![]),
        allow(Terms { uses_max: 1, ..terms.clone() }, vec![]),
        allow(Terms { debits: vec![debit.clone()], ..terms.clone() }, vec![]),
        allow(Terms { debits: vec![Debit { scope: CounterScope::User, ..debit.clone() }], ..terms.clone() }, vec![]),
        allow(Terms { debits: vec![Debit { at_most: 11, ..debit }], ..terms.clone() }, vec![]),
        allow(Terms { obligations: vec![obliged], ..terms.clone() }, vec![]),
        allow(terms.clone(), vec![reason("a")]),
        allow(terms.clone(), vec![reason("b")]),
        allow(terms.clone(), vec![Reason { public: false, ..reason("b") }]),
        challenge(1, terms.clone()),
        challenge(2, terms.clone()),
        challenge(1, Terms { uses_max: 1, ..terms }),
        Outcome::Verdict(Verdict::Deny { reasons: vec![] }),
        Outcome::Verdict(Verdict::Deny { reasons: vec![reason("a")] }),
        Outcome::Verdict(Verdict::Abstain),
    ];
    outcomes.extend(Failure::ALL.iter().map(|failure| Outcome::Failed(*failure)));
    outcomes
}

#[test]
fn every_part_of_an_outcome_is_in_its_digest() {
    all_differ(&outcomes().iter().map(outcome).collect::<Vec<_>>());
}

#[test]
fn every_part_of_a_decision_is_in_its_digest() {
    let decide = |policy: &str, outcome: &Outcome| {
        let evaluated = Evaluated { policy: policy.parse().unwrap(), required: false, outcome: outcome.clone() };
        decision(Again::decide(&fixture("{}"), Terms::new(30_000, 1_000), &[evaluated]).seen())
    };
    let mut digests: BTreeSet<Digest> = outcomes().iter().map(|outcome| decide("p", outcome)).collect();
    assert_eq!(digests.len(), outcomes().len());
    assert!(digests.insert(decide("q", &outcomes()[7])), "another policy gives the reason");
    assert!(!digests.insert(decide("q", &outcomes()[0])), "who gives no reason leaves no trace");
}

#[test]
fn the_digests_that_are_stored_stay_what_they_are() {
    let known = [Known { facts: vec![fact(Some("\"alice\""))], counters: vec![counter()] }];
    let mut login = fixture("{}");
    login.credential = Some(wanted(Some("shop")));
    let proxied = EvaluationContext { credential: Some(onward("shop")), ..fixture("{}") };
    let [first, last] = [0, 10].map(|at| outcome(&outcomes()[at]).to_string());
    let evaluated = Evaluated { policy: "p".parse().unwrap(), required: false, outcome: outcomes().swap_remove(3) };
    let again = Again::decide(&fixture("{}"), Terms::new(30_000, 1_000), &[evaluated]);
    let digests = [
        context(&fixture(r#"{"n":1}"#), &known).to_string(),
        first,
        last,
        decision(again.seen()).to_string(),
        context(&login, &[]).to_string(),
        context(&proxied, &[]).to_string(),
    ];
    let expect = [
        "ea2438d2da8e736860da7a8795b5e489e0078cc016c245010ec12c4248a8715a",
        "09eee7b61fe620fa849837709318fe29a0aba85d983f7a0ebf1d997351ff141b",
        "8bcca4457f7e835faba736799a5c7cfe631c1c43e5ab80abd321a3279760d44d",
        "83109c5b0a0114970a2955e1cafa9faea8a89c2ed52cd78f7c972378be95eaa1",
        "0d03dd68406abbfb15c305ca53153e262790a8096e47f787eef04f159715b9f4",
        "562c83ea7bbc7b468e2639a8092a2f21de132854489a9c877dcecb2da91f53d8",
    ];
    assert_eq!(digests, expect);
}
