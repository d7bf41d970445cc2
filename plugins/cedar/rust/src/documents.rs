//! README, schema and cases say what there is.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use attorn_policy::testing::{self, Tested};
use attorn_policy::{Policy, ReasonDeclaration, Verdict};
use serde_json::Value;

use crate::{Cedar, reasons};

fn cases() -> Vec<Value> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cases");
    let read = |path| serde_json::from_slice::<Value>(&fs::read(path).unwrap()).unwrap();
    let files = fs::read_dir(directory).unwrap().map(|file| read(file.unwrap().path()));
    files.flat_map(|file| file["cases"].as_array().unwrap().clone()).collect()
}

#[test]
fn every_reason_has_a_case() {
    let cases = cases();
    let expected: BTreeSet<&str> = cases
        .iter()
        .filter_map(|case| case["expect"]["reasons"].as_array())
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let missing: Vec<&str> =
        reasons::OURS.iter().map(ReasonDeclaration::code).filter(|code| !expected.contains(code)).collect();
    assert_eq!(missing, Vec::<&str>::new());
}

#[test]
fn the_settings_in_the_readme_are_taken() {
    let readme = include_str!("../../README.md");
    let settings = readme.split("```json").skip(1).map(|rest| rest.split("```").next().unwrap());
    let mut count = 0;
    for settings in settings {
        Tested::<Cedar>::new(settings).unwrap();
        count += 1;
    }
    assert!(count >= 1);
}

#[test]
fn the_schema_names_the_fields_that_there_are() {
    let schema: Value = serde_json::from_str(Cedar::SETTINGS_SCHEMA).unwrap();
    let named: BTreeSet<String> = schema["properties"].as_object().unwrap().keys().cloned().collect();
    // Serde says which fields it knows when it meets one that it does not.
    let error = Tested::<Cedar>::new(r#"{"x":0}"#).unwrap_err().to_string();
    let known: BTreeSet<String> =
        error.split_once("expected one of ").unwrap().1.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    assert_eq!(named, known);
}

/// The schema beside the README declares the whole context of a request that has everything, and the README shows it.
#[test]
fn the_schema_of_the_whole_context_is_one() {
    let schema = include_str!("../../context.cedarschema");
    assert!(include_str!("../../README.md").contains(&format!("```cedarschema\n{schema}```")));
    for (principal, policies) in [
        ("agent", "true"),
        ("user", "context.user.claims has email && context.user.claims.email like \"*@example.org\""),
    ] {
        let policies = format!("permit(principal, action, resource) when {{ context has user && {policies} }};");
        let settings = serde_json::json!({ "principal": principal, "policies": policies, "schema": schema,
            "facts": { "risk": "user/{user.id}/risk" } });
        let policy = Tested::<Cedar>::new(&settings.to_string()).unwrap();
        let mut ctx = crate::context::tests::full();
        ctx.facts = vec![testing::fact("user/{user.id}/risk", Some("3"))];
        let said = policy.evaluate(&ctx).unwrap();
        assert!(matches!(said, Verdict::Allow(_)), "{said:?}");
        // With nothing that may be missing, it is as well.
        let mut ctx = testing::context("order.refund", "order/42");
        ctx.user = Some(testing::user("usr-alice"));
        ctx.request.arguments = r#"{"amount":5}"#.into();
        ctx.facts = vec![testing::fact("user/{user.id}/risk", None)];
        let said = policy.evaluate(&ctx).unwrap();
        let outside = |said: &Verdict| format!("{said:?}").contains("outside_schema");
        assert!(!outside(&said), "{said:?}");
        // And all of it is declared, not just cut away.
        let all = ["agent", "user", "delegations", "approvals", "caller", "credential", "enforcement_point"];
        for part in all.map(|part| crate::context::fields(part).unwrap()).concat() {
            assert!(schema.contains(&format!(" {part}")), "{part}");
        }
        for part in crate::context::PARTS {
            assert!(schema.contains(&format!("    {part}")), "{part}");
        }
    }
}
