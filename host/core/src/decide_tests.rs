//! Combining: a table of cases, and design invariant 3 as properties.

use proptest::prelude::*;

use super::*;
use crate::again::Again;
use crate::approval::tests::{approved_by, needs};
use crate::bounds::tests::{NOW, agent, alone, request, server, thumbprint};
use crate::bounds::{BoundsLimits, check};
use crate::context::{AuthenticationMethod, EvaluationContext, Phase};
use crate::counter::CounterWindow;
use crate::grant::Grant;
use crate::holder::Holder;
use crate::id::{DecisionId, GrantId};
use crate::request::JsonText;
use crate::terms::{Debit, Obligation};

fn with_bounds<T>(run: impl FnOnce(&WithinBounds<'_>) -> T) -> T {
    let (agent, server, request) = (agent(), server(), request("faq.read", "article/42", "answer-questions"));
    let holder = Holder::of_key(&agent, &thumbprint());
    let situation = alone(&agent, holder.as_ref(), &request, Some(&server));
    run(&check(situation, BoundsLimits::default()).unwrap())
}

fn decided(evaluated: &[Evaluated]) -> Decision {
    decided_with(&Met::nothing(), evaluated)
}

fn decided_with(met: &Met, evaluated: &[Evaluated]) -> Decision {
    with_bounds(|bounds| decide(bounds, met, evaluated))
}

fn reason(code: &str) -> Reason {
    Reason { code: code.parse().unwrap(), text: String::new(), public: true }
}

fn one(policy: &str, required: bool, outcome: Outcome) -> Evaluated {
    Evaluated { policy: policy.parse().unwrap(), required, outcome }
}

fn debit(policy: &str, scope: CounterScope, amount: u64, at_most: u64) -> Debit {
    let (policy, counter) = (policy.parse().unwrap(), "cents".parse().unwrap());
    Debit { policy, counter, scope, window: CounterWindow::Day, amount, at_most }
}

fn allow(terms: Terms) -> Outcome {
    Outcome::Verdict(Verdict::Allow { terms, reasons: vec![reason("fine")] })
}

fn deny() -> Outcome {
    Outcome::Verdict(Verdict::Deny { reasons: vec![reason("no")] })
}

fn challenge(approvers: Vec<ApprovalRequirement>) -> Outcome {
    Outcome::Verdict(Verdict::Challenge { approvers, terms: Terms::new(u64::MAX, 1), reason: reason("ask") })
}

fn operator() -> ApprovalRequirement {
    ApprovalRequirement { role: "operator".parse().unwrap(), count: 1 }
}

/// `allow`, `challenge`, or `deny` and its first reason.
fn kind(decision: &Decision) -> String {
    match decision {
        Decision::Allow(_) => "allow".into(),
        Decision::Challenge(_) => "challenge".into(),
        Decision::Deny(denied) => match &denied.reasons[0] {
            DecisionReason::Host(reason) => format!("deny {}", reason.code()),
            DecisionReason::Policy { reason, .. } => format!("deny {}", reason.code),
            DecisionReason::Failed { failure, .. } => format!("deny {}", failure.as_str()),
        },
    }
}

#[test]
fn combining() {
    let plain = || allow(Terms::new(u64::MAX, 1));
    let abstain = || Outcome::Verdict(Verdict::Abstain);
    let failed = || Outcome::Failed(Failure::Deadline);
    for (outcomes, expect) in [
        (vec![], "deny no_applicable_policy"),
        (vec![(abstain(), false)], "deny not_allowed"),
        (vec![(abstain(), false), (plain(), false)], "allow"),
        (vec![(abstain(), true), (plain(), false)], "deny required_policy_abstained"),
        (vec![(plain(), true)], "allow"),
        (vec![(plain(), false), (deny(), false)], "deny no"),
        (vec![(plain(), false), (failed(), false)], "deny deadline"),
        (vec![(challenge(vec![operator()]), false), (plain(), false)], "challenge"),
        (vec![(challenge(vec![operator()]), false), (abstain(), true)], "deny required_policy_abstained"),
        (vec![(challenge(vec![operator()]), false), (deny(), false)], "deny no"),
        (vec![(challenge(vec![]), false)], "deny invalid_verdict"),
        (vec![(Outcome::Verdict(Verdict::Deny { reasons: vec![] }), false)], "deny denied_by_policy"),
    ] {
        let evaluated: Vec<_> = outcomes.into_iter().map(|(outcome, required)| one("p", required, outcome)).collect();
        assert_eq!(kind(&decided(&evaluated)), expect, "{evaluated:?}");
    }
}

#[test]
fn who_cannot_be_asked_is_not_waited_for() {
    let plain = || one("q", false, allow(Terms::new(u64::MAX, 1)));
    // There is no user, so it is nobody's group.
    for requirement in [needs("manager", 1), needs("user", 1), needs("operator", 17)] {
        let asks = one("p", false, challenge(vec![needs("operator", 1), requirement.clone()]));
        for met in [Met::nothing(), approved_by(16, false)] {
            let said = kind(&decided_with(&met, &[asks.clone(), plain()]));
            assert_eq!(said, "deny approval_impossible", "{requirement:?}");
        }
    }
}

#[test]
fn a_challenge_that_is_met_allows_on_its_terms_and_lifts_nothing() {
    let (plain, abstain) = (|| allow(Terms::new(u64::MAX, 5)), || Outcome::Verdict(Verdict::Abstain));
    let (asks, asks_two) = (|| challenge(vec![needs("operator", 1)]), || challenge(vec![needs("operator", 2)]));
    for (outcomes, expect) in [
        (vec![(asks(), false)], "allow"),
        (vec![(asks(), true), (plain(), false)], "allow"),
        (vec![(asks(), false), (asks_two(), false)], "challenge"),
        (vec![(asks(), false), (deny(), false)], "deny no"),
        (vec![(asks(), false), (Outcome::Failed(Failure::Trap), false)], "deny trap"),
        (vec![(asks(), false), (abstain(), true)], "deny required_policy_abstained"),
        (vec![(asks(), false), (allow(Terms::new(1, 1)), false)], "deny grant_too_short"),
        (vec![(abstain(), false)], "deny not_allowed"),
        (vec![], "deny no_applicable_policy"),
    ] {
        let evaluated: Vec<_> = outcomes.into_iter().map(|(outcome, required)| one("p", required, outcome)).collect();
        assert_eq!(kind(&decided_with(&approved_by(1, false), &evaluated)), expect, "{evaluated:?}");
    }
    // What is met is asked for as long as something else is not.
    let asked = [one("p", false, asks()), one("q", false, asks_two())];
    for met in [Met::nothing(), approved_by(1, false)] {
        let Decision::Challenge(challenged) = decided_with(&met, &asked) else { panic!("one is not met") };
        assert_eq!(
            (challenged.approvers, challenged.reasons.len()),
            (vec![needs("operator", 1), needs("operator", 2)], 2)
        );
    }
    let both = [one("p", false, plain()), one("q", false, asks())];
    let Decision::Allow(allowed) = decided_with(&approved_by(1, false), &both) else { panic!("it is met") };
    assert_eq!(allowed.terms().uses_max, 1, "the terms are the challenge's");
    assert_eq!(allowed.reasons().len(), 2);
}

#[test]
fn what_nobody_enforces_or_counts_denies() {
    let mut terms = Terms::new(u64::MAX, 1);
    terms.obligations =
        vec![Obligation { kind: "redact".parse().unwrap(), parameters: JsonText::from_canonical("{}") }];
    assert_eq!(kind(&decided(&[one("p", false, allow(terms))])), "deny obligation_unenforceable");
    let mut terms = Terms::new(u64::MAX, 1);
    for (scope, at_most, expect) in [
        (CounterScope::Session, 2, "deny counter_without_subject"),
        (CounterScope::Agent, 0, "deny limit_exceeded"),
        (CounterScope::Agent, 1, "allow"),
    ] {
        terms.debits = vec![debit("p", scope, 1, at_most)];
        assert_eq!(kind(&decided(&[one("p", false, allow(terms.clone()))])), expect);
        // Nobody is asked to approve what could never be charged.
        let asking = Verdict::Challenge { approvers: vec![operator()], terms: terms.clone(), reason: reason("ask") };
        let expect = if expect == "allow" { "challenge" } else { expect };
        assert_eq!(kind(&decided(&[one("p", false, Outcome::Verdict(asking))])), expect);
    }
}

#[test]
fn a_grant_lives_by_the_strictest_terms_in_whole_seconds() {
    let decision = |grant_ms_max| decided(&[one("p", false, allow(Terms::new(grant_ms_max, 3)))]);
    let grant = |grant_ms_max| {
        with_bounds(|bounds| match decision(grant_ms_max) {
            Decision::Allow(allowed) => {
                let ids = (GrantId::from_random([1; 16]), DecisionId::from_random([2; 16]));
                Grant::of(&allowed, bounds, ids, Vec::new(), bounds.holder().thumbprint.clone())
            }
            other => panic!("{other:?}"),
        })
    };
    let ten = grant(10_000);
    assert_eq!((ten.expires_at.0, ten.uses_max), ((NOW.0 + 10_000) / 1000 * 1000, 3));
    assert_eq!(grant(u64::MAX).expires_at.0, (NOW.0 + 30_000) / 1000 * 1000);
    assert_eq!(kind(&decision(1)), "deny grant_too_short");
    let challenged = [one("p", false, allow(Terms::new(1, 1))), one("q", false, challenge(vec![operator()]))];
    assert_eq!(kind(&decided(&challenged)), "deny grant_too_short", "a challenge lifts it");
}

fn outcome() -> impl Strategy<Value = Outcome> {
    // One in five leaves a grant no whole second.
    let grant_ms_max = prop_oneof![4 => 1_000..100_000_u64, 1 => 1..322_u64];
    let terms = (grant_ms_max, 1..5_u32).prop_map(|(grant_ms_max, uses_max)| Terms::new(grant_ms_max, uses_max));
    let obliged = proptest::bool::weighted(0.2);
    let debited = prop::option::weighted(0.4, (any::<bool>(), 1..4_u64, 1..6_u64));
    prop_oneof![
        4 => (terms, obliged, debited).prop_map(|(mut terms, obliged, debited)| {
            if let Some((mine, amount, at_most)) = debited {
                let scope = if mine { CounterScope::Agent } else { CounterScope::Session };
                terms.debits = vec![debit("p", scope, amount, at_most)];
            }
            if obliged {
                let parameters = JsonText::from_canonical("{}");
                terms.obligations = vec![Obligation { kind: "redact".parse().unwrap(), parameters }];
            }
            allow(terms)
        }),
        2 => (1..3_u32).prop_map(|count| challenge(vec![ApprovalRequirement { count, ..operator() }])),
        1 => Just(deny()),
        3 => Just(Outcome::Verdict(Verdict::Abstain)),
        1 => (0..Failure::ALL.len()).prop_map(|at| Outcome::Failed(Failure::ALL[at])),
    ]
}

fn evaluated() -> impl Strategy<Value = Vec<Evaluated>> {
    let one = (0..4_u8, any::<bool>(), outcome())
        .prop_map(|(name, required, outcome)| one(&format!("p{name}"), required, outcome));
    proptest::collection::vec(one, 0..7)
}

fn is_default_deny(decision: &Decision) -> bool {
    let defaults = [HostReason::NoApplicablePolicy, HostReason::NotAllowed];
    matches!(decision, Decision::Deny(denied)
        if denied.reasons.iter().all(|reason| matches!(reason, DecisionReason::Host(host) if defaults.contains(host))))
}

proptest! {
    /// Design invariant 3: adding a policy never lifts a deny that a bound, a deny, a failure or a
    /// missing required allow caused, and never turns a challenge into an allow; only the default
    /// deny can become an allow or a challenge, by an explicit one.
    #[test]
    fn adding_a_policy_lifts_nothing(before in evaluated(), added in (any::<bool>(), outcome())) {
        let (required, outcome) = added;
        let mut after = before.clone();
        after.push(one("added", required, outcome.clone()));
        match (decided(&before), decided(&after)) {
            (Decision::Deny(denied), lifted @ (Decision::Allow(_) | Decision::Challenge(_))) => {
                prop_assert!(is_default_deny(&Decision::Deny(denied)));
                let explicit = match lifted {
                    Decision::Allow(_) => matches!(outcome, Outcome::Verdict(Verdict::Allow { .. })),
                    _ => matches!(outcome, Outcome::Verdict(Verdict::Challenge { .. })),
                };
                prop_assert!(explicit);
            }
            (Decision::Challenge(_), Decision::Allow(_)) => prop_assert!(false, "a challenge became an allow"),
            (Decision::Challenge(first), Decision::Challenge(second)) => {
                prop_assert!(first.approvers.iter().all(|requirement| second.approvers.contains(requirement)));
            }
            (Decision::Allow(first), Decision::Allow(second)) => {
                prop_assert!(second.terms().grant_ms_max <= first.terms().grant_ms_max);
                prop_assert!(second.terms().uses_max <= first.terms().uses_max);
            }
            _ => {}
        }
    }

    /// From what is recorded, the context and the widest terms, it comes out the same.
    #[test]
    fn what_is_decided_again_says_the_same(all in evaluated(), operators in 0..3_u32) {
        let met = approved_by(operators, false);
        let (decision, again) = with_bounds(|bounds| {
            let context = EvaluationContext::of_request(bounds, AuthenticationMethod::Dpop, Phase::Decide, None);
            let context = context.approved(&met);
            (decide(bounds, &met, &all), Again::decide(&context, bounds.widest_terms(), &all))
        });
        prop_assert_eq!(decision.seen(), again.seen());
    }

    /// What is met makes an allow of each challenge that it covers. It makes nothing else of anything.
    #[test]
    fn what_is_met_counts_as_if_it_were_allowed(all in evaluated(), operators in 0..3_u32) {
        let met = approved_by(operators, false);
        let as_allowed = |one: &Evaluated| match &one.outcome {
            Outcome::Verdict(Verdict::Challenge { approvers, terms, reason }) if approvers.iter().all(|one| one.count <= operators) => {
                let verdict = Verdict::Allow { terms: terms.clone(), reasons: vec![reason.clone()] };
                Evaluated { outcome: Outcome::Verdict(verdict), ..one.clone() }
            }
            _ => one.clone(),
        };
        let rewritten: Vec<_> = all.iter().map(as_allowed).collect();
        let (with, without, rewritten) = (decided_with(&met, &all), decided(&all), decided(&rewritten));
        if let (Decision::Challenge(whole), Decision::Challenge(missing)) = (&with, &rewritten) {
            // It asks for all that was asked for, not only for what is missing.
            prop_assert!(missing.approvers.iter().all(|one| whole.approvers.contains(one)));
            prop_assert_eq!(&whole.terms, &missing.terms);
        } else {
            prop_assert_eq!(&with, &rewritten);
        }
        match (&without, &with) {
            (Decision::Deny(_), other) => prop_assert_eq!(other, &without, "a deny was lifted"),
            (Decision::Allow(_), other) => prop_assert_eq!(other, &without),
            (Decision::Challenge(_), Decision::Deny(_)) => prop_assert!(false, "an approval denied"),
            (Decision::Challenge(before), Decision::Challenge(after)) => prop_assert_eq!(before, after),
            (Decision::Challenge(before), Decision::Allow(after)) => prop_assert_eq!(&before.terms, after.terms()),
        }
    }

    #[test]
    fn order_never_matters(all in evaluated(), seed in any::<prop::sample::Index>()) {
        let mut turned = all.clone();
        if !turned.is_empty() {
            let at = seed.index(turned.len());
            turned.rotate_left(at);
            turned.reverse();
        }
        prop_assert_eq!(decided(&all), decided(&turned));
    }

    #[test]
    fn an_allow_needs_an_allow_and_nothing_against_it(all in evaluated()) {
        let allows = matches!(decided(&all), Decision::Allow(_));
        let any_allow = all.iter().any(|one| matches!(one.outcome, Outcome::Verdict(Verdict::Allow { .. })));
        // `NOW` is 678 ms into a second, so less than 322 ms more do not reach the next.
        let any_against = all.iter().any(|one| match &one.outcome {
            Outcome::Failed(_) | Outcome::Verdict(Verdict::Deny { .. } | Verdict::Challenge { .. }) => true,
            Outcome::Verdict(Verdict::Abstain) => one.required,
            Outcome::Verdict(Verdict::Allow { terms, .. }) => !terms.obligations.is_empty() || terms.grant_ms_max < 322,
        });
        let debits: Vec<_> = all.iter().flat_map(|one| match &one.outcome {
            Outcome::Verdict(Verdict::Allow { terms, .. }) => terms.debits.clone(),
            _ => Vec::new(),
        }).collect();
        let amount: u64 = debits.iter().map(|debit| debit.amount).sum();
        let chargeable = debits.iter().all(|debit| debit.scope == CounterScope::Agent && amount <= debit.at_most);
        prop_assert_eq!(allows, any_allow && !any_against && chargeable);
    }
}
