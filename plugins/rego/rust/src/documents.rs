//! README, schema and cases say what there is.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use attorn_policy::testing::Tested;
use attorn_policy::{Policy, ReasonDeclaration};
use serde_json::Value;

use crate::{Rego, reasons};

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
        Tested::<Rego>::new(settings).unwrap();
        count += 1;
    }
    assert!(count >= 1);
}

#[test]
fn the_schema_names_the_fields_that_there_are() {
    let schema: Value = serde_json::from_str(Rego::SETTINGS_SCHEMA).unwrap();
    let named: BTreeSet<String> = schema["properties"].as_object().unwrap().keys().cloned().collect();
    // Serde says which fields it knows when it meets one that it does not.
    let error = Tested::<Rego>::new(r#"{"x":0}"#).unwrap_err().to_string();
    let known: BTreeSet<String> =
        error.split_once("expected one of ").unwrap().1.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    assert_eq!(named, known);
}
