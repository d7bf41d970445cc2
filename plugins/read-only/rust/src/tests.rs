//! The cases beside this crate, run as plain Rust, and what no case can say.

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
fn readme_schema_and_cases_say_what_there_is() {
    testing::assert_settings_are_taken::<ReadOnly>(include_str!("../../README.md"));
    testing::assert_schema_names_the_fields::<ReadOnly>();
    testing::assert_reasons_have_cases::<ReadOnly>(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../cases"));
}

#[test]
fn the_settings_in_the_readme_allow_an_article() {
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
fn the_schema_names_the_fields_of_a_rule() {
    let schema: Value = serde_json::from_str(ReadOnly::SETTINGS_SCHEMA).unwrap();
    let rule = schema["properties"]["allow"]["items"]["properties"].as_object().unwrap();
    assert_eq!(rule.keys().collect::<Vec<_>>(), ["actions", "resource_types"]);
    let error = Tested::<ReadOnly>::new(r#"{"allow":[{"x":0}]}"#).unwrap_err().to_string();
    assert!(error.contains("expected `actions` or `resource_types`"), "{error}");
}
