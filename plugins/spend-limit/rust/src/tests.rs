//! What the cases beside this crate cannot say; those are run in the real engine.

use std::path::Path;

use attorn_policy::testing::{self, Tested};
use attorn_policy::{Context, Counter, Policy, Verdict};
use serde_json::{Value, json};

use crate::SpendLimit;

fn settings() -> Value {
    let readme = include_str!("../../README.md");
    let settings = readme.split("```json").nth(1).unwrap().split("```").next().unwrap();
    serde_json::from_str(settings).unwrap()
}

fn policy() -> Tested<SpendLimit> {
    Tested::new(&settings().to_string()).unwrap()
}

fn context(used: u64, amount: &Value) -> Context {
    let mut ctx = testing::context("payment.create", "account/42");
    ctx.user = Some(testing::user("usr-alice"));
    ctx.request.arguments = json!({ "amount": amount, "currency": "EUR" }).to_string();
    ctx.counters = vec![Counter {
        name: "spent_eur".into(),
        used,
        window_start_ms: 1_767_571_200_000,
        window_end_ms: Some(1_767_657_600_000),
    }];
    ctx
}

/// The debit of a verdict, and whether it is an allow.
fn debit(verdict: &Verdict) -> Option<(bool, u64, u64)> {
    let (allowed, terms) = match verdict {
        Verdict::Allow(allow) => (true, &allow.terms),
        Verdict::Challenge(challenge) => (false, &challenge.terms),
        Verdict::Deny(_) | Verdict::Abstain => return None,
    };
    assert_eq!(terms.debits.len(), 1);
    Some((allowed, terms.debits[0].amount, terms.debits[0].at_most))
}

#[test]
fn no_way_of_spending_passes_a_limit() {
    let policy = policy();
    for used in [0, 1, 4_999, 5_000, 5_001, 19_999, 20_000, 20_001, u64::MAX - 1, u64::MAX] {
        for amount in [1, 2, 4_999, 5_000, 5_001, 19_999, 20_000, 20_001, u64::from(u32::MAX), i64::MAX as u64] {
            let verdict = policy.evaluate(&context(used, &json!(amount.to_string()))).unwrap();
            let total = u128::from(used) + u128::from(amount);
            let expected = match total {
                ..=5_000 => Some((true, amount, 5_000)),
                5_001..=20_000 => Some((false, amount, 20_000)),
                _ => None,
            };
            assert_eq!(debit(&verdict), expected, "{amount} after {used}");
        }
    }
}

#[test]
fn a_host_that_counts_nothing_gets_an_error_and_no_verdict() {
    let mut ctx = context(0, &json!(1));
    ctx.counters.clear();
    let error = policy().evaluate(&ctx).unwrap_err().to_string();
    assert_eq!(error, "counter `spent_eur` is not among the requirements");
}

#[test]
fn what_was_spent_in_another_currency_does_not_count() {
    let mut settings = settings();
    settings["currency"] = "JPY".into();
    let policy = Tested::<SpendLimit>::new(&settings.to_string()).unwrap();
    assert_eq!(policy.requirements().counters[0].name, "spent_jpy");
    let mut ctx = context(0, &json!(1));
    ctx.request.arguments = json!({ "amount": 1, "currency": "JPY" }).to_string();
    let error = policy.evaluate(&ctx).unwrap_err().to_string();
    assert_eq!(error, "counter `spent_jpy` is not among the requirements");
}

#[test]
fn arguments_that_are_no_object_are_an_error() {
    let mut ctx = context(0, &json!(1));
    ctx.request.arguments = "[]".into();
    assert!(policy().evaluate(&ctx).unwrap_err().to_string().starts_with("arguments: invalid type: sequence"));
}

#[test]
fn readme_schema_and_cases_say_what_there_is() {
    testing::assert_settings_are_taken::<SpendLimit>(include_str!("../../README.md"));
    testing::assert_schema_names_the_fields::<SpendLimit>();
    testing::assert_reasons_have_cases::<SpendLimit>(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../cases"));
}

#[test]
fn the_schema_names_the_fields_of_a_challenge() {
    let schema: Value = serde_json::from_str(SpendLimit::SETTINGS_SCHEMA).unwrap();
    let names = |object: &Value| object.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&schema["properties"]["challenge"]["properties"]), names(&settings()["challenge"]));
}
