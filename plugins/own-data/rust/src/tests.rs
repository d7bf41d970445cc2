//! What the cases beside this crate cannot say; those are run in the real engine.

use std::path::Path;

use attorn_policy::testing::{self, Tested};
use attorn_policy::{Context, Policy, Verdict};
use serde_json::{Value, json};

use crate::{OWNER, OwnData};

const SETTINGS: &str = r#"{"allow":[{"actions":["account.read"],"resource_types":["account"]}]}"#;

fn context() -> Context {
    let mut ctx = testing::context("account.read", "account/42");
    ctx.user = Some(testing::user("usr-alice"));
    ctx
}

#[test]
fn a_host_that_looks_nothing_up_gets_an_error_and_no_verdict() {
    let policy = Tested::<OwnData>::new(SETTINGS).unwrap();
    let error = policy.evaluate(&context()).unwrap_err().to_string();
    assert_eq!(error, format!("fact `{OWNER}` is not among the requirements"));

    let mut ctx = context();
    ctx.facts = vec![testing::fact(OWNER, Some("usr-alice"))];
    let error = policy.evaluate(&ctx).unwrap_err().to_string();
    assert!(error.starts_with(&format!("fact `{OWNER}`: expected value")), "{error}");
}

#[test]
fn the_fact_is_the_only_thing_asked_for() {
    let policy = Tested::<OwnData>::new(SETTINGS).unwrap();
    assert_eq!(policy.requirements().facts, [OWNER]);
    assert!(policy.requirements().counters.is_empty());
}

#[test]
fn readme_schema_and_cases_say_what_there_is() {
    testing::assert_settings_are_taken::<OwnData>(include_str!("../../README.md"));
    testing::assert_schema_names_the_fields::<OwnData>();
    testing::assert_reasons_have_cases::<OwnData>(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../cases"));
}

#[test]
fn the_settings_in_the_readme_allow_what_is_ones_own() {
    let readme = include_str!("../../README.md");
    let settings = readme.split("```json").nth(1).unwrap().split("```").next().unwrap();
    let policy = Tested::<OwnData>::new(settings).unwrap();
    let mut ctx = context();
    ctx.facts = vec![testing::fact(OWNER, Some("\"usr-alice\""))];
    assert!(matches!(policy.evaluate(&ctx).unwrap(), Verdict::Allow(_)));
}

#[test]
fn lists_are_bounded() {
    let rules = |count: usize| -> Vec<Value> {
        (0..count).map(|n| json!({ "actions": [format!("account.read{n}")], "resource_types": ["account"] })).collect()
    };
    Tested::<OwnData>::new(&json!({ "allow": rules(64) }).to_string()).unwrap();
    let error = Tested::<OwnData>::new(&json!({ "allow": rules(65) }).to_string()).unwrap_err();
    assert_eq!(error.to_string(), "settings: at `allow`: it has 65 elements, and 64 is the most");
}

#[test]
fn the_schema_names_the_fields_of_a_rule() {
    let schema: Value = serde_json::from_str(OwnData::SETTINGS_SCHEMA).unwrap();
    let rule = schema["properties"]["allow"]["items"]["properties"].as_object().unwrap();
    assert_eq!(rule.keys().collect::<Vec<_>>(), ["actions", "resource_types"]);
    let error = Tested::<OwnData>::new(r#"{"allow":[{"x":0}]}"#).unwrap_err().to_string();
    assert!(error.contains("expected `actions` or `resource_types`"), "{error}");
}
