use super::*;
use attorn_core::{CounterScope, CounterWindow};

use crate::policy::{CounterDeclaration, ReasonDeclaration};

fn declared() -> Requirements {
    let reason = |code: &str, public| ReasonDeclaration { code: code.parse().unwrap(), text: "t".into(), public };
    let (scope, window) = (CounterScope::Agent, CounterWindow::Day);
    Requirements {
        facts: Vec::new(),
        reasons: vec![reason("hidden", false), reason("shown", true)],
        counters: vec![CounterDeclaration { name: "cents".parse().unwrap(), unit: "cents".into(), scope, window }],
    }
}

fn read(raw: raw::Verdict) -> Result<Verdict, String> {
    verdict(raw, &"spend".parse().unwrap(), &declared())
}

fn reason(code: &str, text: &str) -> raw::Reason {
    raw::Reason { code: code.into(), text: text.into() }
}

fn no_terms() -> raw::Terms {
    raw::Terms { grant_ms_max: None, uses_max: None, debits: Vec::new(), obligations: Vec::new() }
}

fn allow(terms: raw::Terms) -> raw::Verdict {
    raw::Verdict::Allow(raw::Allow { terms, reasons: Vec::new() })
}

fn challenge(approvers: Vec<raw::ApprovalRequirement>) -> raw::Verdict {
    raw::Verdict::Challenge(raw::Challenge { approvers, terms: no_terms(), reason: reason("shown", "") })
}

fn approval(role: &str, count: u32) -> raw::ApprovalRequirement {
    raw::ApprovalRequirement { role: role.into(), count }
}

fn debit(counter: &str, amount: u64) -> raw::Debit {
    raw::Debit { counter: counter.into(), amount, at_most: 9 }
}

fn obligation(kind: &str, parameters: &str) -> raw::Obligation {
    raw::Obligation { kind: kind.into(), parameters: parameters.into() }
}

#[track_caller]
fn refused(raw: raw::Verdict, message: &str) {
    assert_eq!(read(raw).unwrap_err(), message);
}

#[test]
fn reasons_must_be_declared_and_bounded() {
    refused(raw::Verdict::Deny(Vec::new()), "a deny gives no reason");
    refused(raw::Verdict::Deny(vec![reason("other", "")]), "the reason `other` is not declared");
    refused(raw::Verdict::Deny(vec![reason("Shown", "")]), "the reason `Shown` is not declared");
    refused(raw::Verdict::Deny(vec![reason("shown", ""); 17]), "it has 17 reasons, and 16 is the most");
    let raw = raw::Verdict::Deny(vec![reason("shown", &"ä".repeat(513))]);
    refused(raw, "the text of the reason `shown` has 513 characters, and 512 is the most");
    let raw = raw::Verdict::Allow(raw::Allow { terms: no_terms(), reasons: vec![reason("other", "")] });
    refused(raw, "the reason `other` is not declared");
}

#[test]
fn terms_must_permit_something() {
    refused(allow(raw::Terms { grant_ms_max: Some(0), ..no_terms() }), "`grant-ms-max` is 0");
    refused(allow(raw::Terms { uses_max: Some(0), ..no_terms() }), "`uses-max` is 0");
    let debits = |debits: Vec<raw::Debit>| allow(raw::Terms { debits, ..no_terms() });
    refused(debits(vec![debit("euros", 1)]), "the counter `euros` is not declared");
    refused(debits(vec![debit("cents", 0)]), "a debit of the counter `cents` is 0");
    refused(debits(vec![debit("cents", 1); 17]), "it has 17 debits, and 16 is the most");
}

#[test]
fn numbers_are_such_that_doubles_hold_them() {
    let beyond = NUMBER_MAX + 1;
    let terms = |grant_ms_max, amount, at_most| raw::Terms {
        grant_ms_max: Some(grant_ms_max),
        debits: vec![raw::Debit { at_most, ..debit("cents", amount) }],
        ..no_terms()
    };
    refused(allow(terms(beyond, 1, 1)), "`grant-ms-max` is 9007199254740992, and 9007199254740991 is the most");
    refused(
        allow(terms(1, beyond, 1)),
        "a debit of the counter `cents` is 9007199254740992, and 9007199254740991 is the most",
    );
    refused(
        allow(terms(1, 1, u64::MAX)),
        "the limit of the counter `cents` is 18446744073709551615, and 9007199254740991 is the most",
    );
    let Verdict::Allow { terms, .. } = read(allow(terms(NUMBER_MAX, NUMBER_MAX, NUMBER_MAX))).unwrap() else {
        panic!("it allows")
    };
    assert_eq!(
        (terms.grant_ms_max, terms.debits[0].amount, terms.debits[0].at_most),
        (NUMBER_MAX, NUMBER_MAX, NUMBER_MAX)
    );
}

#[test]
fn obligations_must_be_objects_of_a_named_kind() {
    let obligations = |obligations: Vec<raw::Obligation>| allow(raw::Terms { obligations, ..no_terms() });
    refused(obligations(vec![obligation("a", "{}"); 17]), "it has 17 obligations, and 16 is the most");
    refused(
        obligations(vec![obligation("A", "{}")]),
        "the kind of an obligation: `A` is no reason code: it may not begin with `A`",
    );
    refused(obligations(vec![obligation("a", "1")]), "the parameters of the obligation `a`: it is no JSON object");
}

#[test]
fn a_challenge_must_ask_for_somebody() {
    refused(challenge(Vec::new()), "a challenge asks for no approval");
    refused(challenge(vec![approval("user", 1); 9]), "it has 9 approvals, and 8 is the most");
    refused(challenge(vec![approval("user", 0)]), "0 approvals of the role `user` are asked for");
    refused(challenge(vec![approval("", 1)]), "the role of an approval: `` is no name of a group: it is empty");
    refused(
        challenge(vec![approval("a\nb", 1)]),
        "the role of an approval: `a\\nb` is no name of a group: `\\n` at byte 1 is not allowed",
    );
}

#[test]
fn what_is_not_said_adds_nothing_to_the_hosts_own_terms() {
    let Verdict::Allow { terms, reasons } = read(allow(no_terms())).unwrap() else { panic!("it allows") };
    assert_eq!(terms, Terms::new(u64::MAX, 1));
    assert!(reasons.is_empty());
}

#[test]
fn what_is_said_is_kept() {
    let raw_terms = raw::Terms {
        grant_ms_max: Some(5_000),
        uses_max: Some(3),
        debits: vec![debit("cents", 7)],
        obligations: vec![obligation("mask", r#"{"b":1,"a":2}"#)],
    };
    let raw =
        raw::Challenge { approvers: vec![approval("user", 2)], terms: raw_terms, reason: reason("hidden", "why") };
    let Verdict::Challenge { approvers, terms, reason } = read(raw::Verdict::Challenge(raw)).unwrap() else {
        panic!("it challenges")
    };
    assert_eq!((approvers[0].role.as_str(), approvers[0].count), ("user", 2));
    assert_eq!((terms.grant_ms_max, terms.uses_max), (5_000, 3));
    assert_eq!((terms.debits[0].policy.as_str(), terms.debits[0].amount, terms.debits[0].at_most), ("spend", 7, 9));
    assert_eq!(terms.obligations[0].parameters.as_str(), r#"{"a":2,"b":1}"#);
    assert_eq!((reason.code.as_str(), reason.text.as_str(), reason.public), ("hidden", "why", false));
}

#[test]
fn whether_a_reason_is_public_was_declared() {
    let raw = raw::Verdict::Deny(vec![reason("shown", "a"), reason("hidden", "b")]);
    let Verdict::Deny { reasons } = read(raw).unwrap() else { panic!("it denies") };
    assert_eq!(reasons.iter().map(|reason| reason.public).collect::<Vec<_>>(), [true, false]);
    assert_eq!(read(raw::Verdict::Abstain).unwrap(), Verdict::Abstain);
}
