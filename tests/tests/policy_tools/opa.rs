//! `attorn policy test --rego`: the tests that stand beside OPA's policies.

use std::fs;

use attorn_tests::components;
use serde_json::Value;
use tempfile::TempDir;

use crate::{attorn, refused};

const POLICY: &str = "package httpapi.authz

default allow := false

allow if {
\tinput.method == \"GET\"
\tinput.path[0] == \"articles\"
}

allow if data.admins[input.user]

positive if to_number(input.amount) > 0
";

const TESTS: &str = "package httpapi.authz_test

import data.httpapi.authz

test_reading_is_allowed if authz.allow with input as {\"method\": \"GET\", \"path\": [\"articles\"]}

test_writing_is_not if not authz.allow with input as {\"method\": \"POST\", \"path\": [\"articles\"]}

test_admins_may_all if {
\tauthz.allow with input as {\"user\": \"root\"}
\tauthz.allow with input as {\"user\": \"carol\"} with data.admins as {\"carol\": true}
}
";

/// A directory of modules and the plugin's component beside it.
fn directory(files: &[(&str, &str)]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("rego.wasm"), components::bytes("rego")).unwrap();
    fs::create_dir(directory.path().join("policies")).unwrap();
    for (name, text) in files {
        fs::write(directory.path().join("policies").join(name), text).unwrap();
    }
    directory
}

fn run(directory: &TempDir, more: &[&str]) -> (i32, String, String) {
    attorn(directory.path(), &[&["test", "--rego", "policies", "--component", "rego.wasm"], more].concat())
}

#[test]
fn tests_that_cannot_be_run_are_told_apart_from_those_that_fail() {
    let refused = |files: &[(&str, &str)], more: &[&str], code: i32, error: &str, help: &str| {
        let directory = directory(files);
        let arguments = ["test", "--rego", "policies", "--component", "rego.wasm"];
        refused(directory.path(), &[&arguments, more].concat(), code, error, help);
    };
    refused(&[], &[], 1, "there is no `*.rego` in `policies`", "_test.rego");
    refused(&[("authz.rego", POLICY)], &[], 1, "there is no rule that begins with `test_` in `policies`", "_test.rego");
    let files = [("authz.rego", POLICY), ("authz_test.rego", TESTS)];
    refused(&files, &["--with", "[]"], 2, "the settings of `--with` are no JSON object", "");
    refused(&files, &["--with", "{"], 2, "EOF", "");
    let broken = [("authz.rego", POLICY), ("b_test.rego", "package b\n\ntest_it if {\n\tx == 1\n}\n")];
    refused(&broken, &[], 1, "b_test.rego:4:5: use of undefined variable", "README");
    let network = [("a.rego", "package a\n\ntest_it if http.send({}).status == 200\n")];
    refused(&network, &[], 1, "a.rego:3:12: `http.send` is not there to be called", "README");
}

#[test]
fn a_test_that_does_not_hold_is_named_with_its_line_and_what_it_printed() {
    let more = "package httpapi.more_test

import data.httpapi.authz

test_bad if {
\tprint(\"asked for\", \"nothing\")
\tauthz.allow with input as {}
}

test_amount if not authz.positive with input as {\"amount\": \"x\"}

todo_test_later if false
";
    let files = [("authz.rego", POLICY), ("authz_test.rego", TESTS), ("more_test.rego", more)];
    let directory = directory(&[&files[..], &[("data.json", r#"{"admins":{"root":true}}"#)]].concat());
    let (code, out, said) = run(&directory, &[]);
    assert_eq!(code, 7, "{out}{said}");
    for expect in [
        "\nmore_test.rego: data.httpapi.more_test.test_bad\n    line 5: expected true, got false or undefined; \
         printed at more_test.rego:6: asked for nothing\n",
        "\nmore_test.rego: data.httpapi.more_test.test_amount\n    line 10: expected true, got authz.rego:12:28: could not parse \
         string as number\n",
        "\n5 tests, 2 failed\n",
    ] {
        assert!(out.contains(expect), "{out}");
    }
    assert_eq!(out.matches("\nok ").count(), 3, "{out}");
    assert!(said.contains("left out: data.httpapi.more_test.todo_test_later"), "{said}");

    // As OPA has it, what cannot be converted is undefined, and so the amount is not positive.
    let (code, out, said) = run(&directory, &["--with", r#"{"builtin_errors":"undefined"}"#]);
    assert!(code == 7 && out.contains("\n5 tests, 1 failed\n"), "{out}{said}");
}

#[test]
fn all_that_hold_end_with_0_also_as_json_and_for_machines() {
    let files = [("authz.rego", POLICY), ("authz_test.rego", TESTS), ("data.json", r#"{"admins":{"root":true}}"#)];
    let directory = directory(&files);
    let (code, out, said) = run(&directory, &["--json", "--junit", "tests.xml"]);
    assert_eq!(code, 0, "{out}{said}");
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&report["passed"], report["cases"].as_array().unwrap().len()), (&Value::Bool(true), 3));
    assert_eq!(report["cases"][0]["name"], "data.httpapi.authz_test.test_reading_is_allowed");
    assert!(report["cases"][0]["cost"]["fuel"].as_u64().unwrap() > 0, "{report}");
    let xml = fs::read_to_string(directory.path().join("tests.xml")).unwrap();
    assert!(xml.contains(r#"name="authz_test.rego" tests="3" skipped="0" errors="0" failures="0""#), "{xml}");
}

#[test]
fn modules_of_before_opa_1_are_tested_too() {
    let module =
        "package old\n\nallow { input.user == \"root\" }\n\ntest_root { allow with input as {\"user\": \"root\"} }\n";
    let directory = directory(&[("old.rego", module)]);
    let (code, out, said) = run(&directory, &["--with", r#"{"rego_version":0}"#]);
    assert!(code == 0 && out.contains("1 tests, 0 failed"), "{out}{said}");
}
