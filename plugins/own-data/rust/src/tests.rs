//! What the cases beside this crate cannot say; those are run in the real engine.

use std::collections::BTreeSet;
use std::fs;
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

fn cases() -> Vec<Value> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cases");
    let files = fs::read_dir(directory).unwrap().map(|file| fs::read(file.unwrap().path()).unwrap());
    let files = files.map(|bytes| serde_json::from_slice::<Value>(&bytes).unwrap());
    files.flat_map(|file| file["cases"].as_array().unwrap().clone()).collect()
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
fn every_reason_has_a_case() {
    let reasons =
        cases().into_iter().flat_map(|case| case["expect"]["reasons"].as_array().cloned().unwrap_or_default());
    let expected: BTreeSet<String> = reasons.map(|code| code.as_str().unwrap().to_owned()).collect();
    let declared: BTreeSet<String> = OwnData::REASONS.iter().map(|reason| reason.code().to_owned()).collect();
    assert_eq!(declared, expected);
}

#[test]
fn the_settings_in_the_readme_are_taken() {
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
fn the_schema_names_the_fields_that_there_are() {
    let schema: Value = serde_json::from_str(OwnData::SETTINGS_SCHEMA).unwrap();
    let names = |object: &Value| object["properties"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&schema), ["allow", "grant_seconds_max"]);
    assert_eq!(names(&schema["properties"]["allow"]["items"]), ["actions", "resource_types"]);

    // Serde says which fields it knows when it meets one that it does not.
    let known = |settings: Value| Tested::<OwnData>::new(&settings.to_string()).unwrap_err().to_string();
    assert!(known(json!({ "x": 0 })).contains("expected `allow` or `grant_seconds_max`"));
    assert!(known(json!({ "allow": [{ "x": 0 }] })).contains("expected `actions` or `resource_types`"));
}
