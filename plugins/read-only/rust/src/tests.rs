//! The cases beside this crate, run as plain Rust, and what no case can say.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use attorn_policy::testing::{self, Tested};
use attorn_policy::{Context, Policy, Reason, Verdict};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::ReadOnly;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    settings: Option<Value>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    settings: Option<Value>,
    context: Option<CaseContext>,
    expect: Value,
}

/// Only what this policy reads; the engine gets the whole context.
#[derive(Deserialize)]
struct CaseContext {
    user: Option<Value>,
    request: CaseRequest,
}

#[derive(Deserialize)]
struct CaseRequest {
    action: String,
    resource: String,
}

fn files() -> Vec<File> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cases");
    let files: Vec<File> = fs::read_dir(directory)
        .unwrap()
        .map(|file| serde_json::from_slice(&fs::read(file.unwrap().path()).unwrap()).unwrap())
        .collect();
    assert!(files.iter().all(|file| file.version == 1));
    files
}

fn codes(reasons: &[Reason]) -> Vec<&str> {
    reasons.iter().map(|reason| reason.code.as_str()).collect()
}

/// What the policy says, in the words of a case.
fn said(policy: &Tested<ReadOnly>, ctx: &Context) -> Value {
    match policy.evaluate(ctx).unwrap() {
        Verdict::Allow(allow) => {
            let mut said = json!({
                "verdict": "allow",
                "reasons": codes(&allow.reasons),
                "uses_max": allow.terms.uses_max.unwrap_or(1),
            });
            if let Some(ms) = allow.terms.grant_ms_max {
                said["grant_ms_max"] = ms.into();
            }
            said
        }
        Verdict::Deny(reasons) => json!({ "verdict": "deny", "reasons": codes(&reasons) }),
        other => panic!("never said: {other:?}"),
    }
}

#[test]
fn every_case_holds() {
    for file in files() {
        for case in file.cases {
            let settings = case.settings.as_ref().or(file.settings.as_ref()).unwrap();
            match (Tested::<ReadOnly>::new(&settings.to_string()), case.context) {
                (Ok(policy), Some(CaseContext { user, request })) => {
                    let mut ctx = testing::context(&request.action, &request.resource);
                    ctx.user = user.map(|_| testing::user("test-user"));
                    assert_eq!(said(&policy, &ctx), case.expect, "{}", case.name);
                }
                (Err(error), None) => {
                    let expected = case.expect["init_error"].as_str().unwrap();
                    assert!(error.to_string().contains(expected), "{}: {error}", case.name);
                }
                (outcome, _) => panic!("{}: {:?}", case.name, outcome.map(|_| "accepted")),
            }
        }
    }
}

#[test]
fn every_reason_has_a_case() {
    let expected: BTreeSet<String> = files()
        .into_iter()
        .flat_map(|file| file.cases)
        .flat_map(|case| case.expect["reasons"].as_array().cloned().unwrap_or_default())
        .map(|code| code.as_str().unwrap().to_owned())
        .collect();
    let declared: BTreeSet<String> = ReadOnly::REASONS.iter().map(|reason| reason.code().to_owned()).collect();
    assert_eq!(declared, expected);
}

#[test]
fn the_settings_in_the_readme_are_taken() {
    let readme = include_str!("../../README.md");
    let settings = readme.split("```json").nth(1).unwrap().split("```").next().unwrap();
    let policy = Tested::<ReadOnly>::new(settings).unwrap();
    assert_eq!(said(&policy, &testing::context("faq.list", "article/42"))["verdict"], "allow");
}

#[test]
fn lists_are_bounded() {
    let rules = |count: usize| -> Vec<Value> {
        (0..count).map(|n| json!({ "actions": [format!("faq.read{n}")], "resource_types": ["article"] })).collect()
    };
    Tested::<ReadOnly>::new(&json!({ "allow": rules(64) }).to_string()).unwrap();
    let error = Tested::<ReadOnly>::new(&json!({ "allow": rules(65) }).to_string()).unwrap_err();
    assert_eq!(error.to_string(), "settings: at `allow`: it has 65 elements, and 64 is the most");
}

#[test]
fn the_schema_names_the_fields_that_there_are() {
    let schema: Value = serde_json::from_str(ReadOnly::SETTINGS_SCHEMA).unwrap();
    let names = |object: &Value| object["properties"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&schema), ["allow", "grant_seconds_max"]);
    assert_eq!(names(&schema["properties"]["allow"]["items"]), ["actions", "resource_types"]);

    // Serde says which fields it knows when it meets one that it does not.
    let known = |settings: Value| Tested::<ReadOnly>::new(&settings.to_string()).unwrap_err().to_string();
    assert!(known(json!({ "x": 0 })).contains("expected `allow` or `grant_seconds_max`"));
    assert!(known(json!({ "allow": [{ "x": 0 }] })).contains("expected `actions` or `resource_types`"));
}
