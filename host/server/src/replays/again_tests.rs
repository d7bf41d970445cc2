//! How what comes out again compares, as far as no policy has to run for that.

use attorn_core::verdict::Reason;
use attorn_core::{CounterScope, CounterWindow, Debit, Terms, Verdict};

use super::*;
use crate::decisions::fixtures::context;

fn reason(text: &str) -> Reason {
    Reason { code: "why".parse().unwrap(), text: text.into(), public: true }
}

fn deny(text: &str) -> Outcome {
    Outcome::Verdict(Verdict::Deny { reasons: vec![reason(text)] })
}

fn recorded(outcome: &Outcome) -> PolicyThen {
    PolicyThen::without_facts("p".parse().unwrap(), record::outcome(outcome), Some(digests::outcome(outcome)))
}

#[test]
fn the_same_is_identical_and_a_limit_explains_a_difference() {
    let failed = Outcome::Failed;
    for (then, now, expect) in [
        (deny("a"), deny("a"), Comparison::Identical),
        (deny("a"), deny("b"), Comparison::Differs),
        (deny("a"), Outcome::Verdict(Verdict::Abstain), Comparison::Differs),
        (failed(PolicyFailure::Trap), failed(PolicyFailure::Trap), Comparison::Identical),
        (failed(PolicyFailure::Trap), deny("a"), Comparison::Differs),
        (failed(PolicyFailure::Deadline), failed(PolicyFailure::Deadline), Comparison::Identical),
        (failed(PolicyFailure::Deadline), deny("a"), Comparison::DiffersByLimit),
        (deny("a"), failed(PolicyFailure::Deadline), Comparison::DiffersByLimit),
        (failed(PolicyFailure::Memory), deny("a"), Comparison::DiffersByLimit),
        (failed(PolicyFailure::OutputTooLarge), deny("a"), Comparison::Differs),
    ] {
        assert_eq!(recorded(&then).compare(&now), expect, "{then:?} {now:?}");
    }
    // Where no digest was recorded, what can be compared is.
    let old = PolicyThen::without_facts("p".parse().unwrap(), "deny".into(), None);
    assert_eq!(old.compare(&deny("a")), Comparison::Identical);
    assert_eq!(old.compare(&Outcome::Verdict(Verdict::Abstain)), Comparison::Differs);
}

#[test]
fn what_the_server_did_not_run_is_not_run_again() {
    for failure in PolicyFailure::ALL {
        let not_run = matches!(failure, PolicyFailure::NotRunnable | PolicyFailure::Paused);
        assert_eq!(recorded(&Outcome::Failed(*failure)).not_run(), Some(*failure).filter(|_| not_run));
    }
    assert_eq!(recorded(&deny("a")).not_run(), None);
}

#[test]
fn the_worst_of_all_counts() {
    let order = [
        Comparison::NotRun,
        Comparison::Identical,
        Comparison::DiffersByLimit,
        Comparison::Missing,
        Comparison::Differs,
        Comparison::Altered,
    ];
    for (at, one) in order.iter().enumerate() {
        for (other_at, other) in order.iter().enumerate() {
            assert_eq!(worse(*one, *other), order[at.max(other_at)]);
        }
    }
}

#[test]
fn a_full_counter_denies_what_charges_it_and_nothing_else() {
    let debit = Debit {
        policy: "p".parse().unwrap(),
        counter: "spent".parse().unwrap(),
        scope: CounterScope::Agent,
        window: CounterWindow::Day,
        amount: 1,
        at_most: 10,
    };
    let terms = Terms { debits: vec![debit], ..Terms::new(30_000, 1) };
    let outcome = Outcome::Verdict(Verdict::Allow { terms, reasons: Vec::new() });
    let evaluated = Evaluated { policy: "p".parse().unwrap(), required: false, outcome };
    let again = Again::decide(&context("{}"), Terms::new(30_000, 1), &[evaluated]);
    let limit = |counter: &str, amount, at_most, found| Limit {
        policy: "p".parse().unwrap(),
        counter: counter.parse().unwrap(),
        amount,
        at_most,
        found,
    };
    for (limit, denies) in [
        (limit("spent", 1, 10, 10), true),
        (limit("spent", 1, 10, u64::MAX), true),
        (limit("spent", 1, 10, 9), false),
        (limit("other", 1, 10, 10), false),
        (limit("spent", 2, 10, 10), false),
        (limit("spent", 1, 9, 10), false),
    ] {
        assert_eq!(limit.denies(&again), denies, "{} {} {}", limit.amount, limit.at_most, limit.found);
    }
}
