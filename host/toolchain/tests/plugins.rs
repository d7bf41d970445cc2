//! Every plugin's cases, run in the real engine against the component that `cargo xtask components`
//! builds. A plugin without component, README, schema or cases fails here; nothing is skipped.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use attorn_core::PolicyLimits;
use attorn_engine::{Activation, Compiler, Engine, EngineConfig, Leftovers};
use attorn_toolchain::cases::{self, Coverage};
use attorn_toolchain::once;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The names of all plugins, sorted.
fn plugins() -> Vec<String> {
    let directories = fs::read_dir(root().join("plugins")).unwrap().map(Result::unwrap);
    let directories = directories.filter(|entry| entry.file_type().unwrap().is_dir());
    let mut names: Vec<String> = directories.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn component(plugin: &str) -> Vec<u8> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let path = target.join("wasm/components").join(format!("{plugin}.wasm"));
    fs::read(&path).unwrap_or_else(|error| panic!("`{}`: {error}; run `cargo xtask components`", path.display()))
}

fn engine() -> Engine {
    // The machine that runs the tests may be busy with other tests.
    let config = EngineConfig { request_wall_us_max: 10_000_000, ..EngineConfig::for_host().unwrap() };
    // As `attorn policy test` has it.
    let compiler = Compiler { leftovers: Some(Leftovers::default()), ..Compiler::default() };
    Engine::with_compiler(config, compiler).unwrap()
}

#[tokio::test]
async fn every_case_of_every_plugin_holds() {
    let engine = engine();
    for plugin in plugins() {
        let directory = root().join("plugins").join(&plugin).join("cases");
        let report = cases::run_dir(&engine, &component(&plugin), &directory, PolicyLimits::NATIVE).await.unwrap();
        assert!(report.all_passed(), "{plugin}\n{report}");
        assert!(!report.cases.is_empty());
    }
}

#[tokio::test]
async fn a_case_that_does_not_hold_is_named_with_both_sides() {
    let engine = engine();
    let directory = tempfile::tempdir().unwrap();
    let cases = r#"{
        "version": 1,
        "settings": { "allow": [{ "actions": ["faq.read"], "resource_types": ["article"] }] },
        "cases": [
            {
                "name": "writing is denied",
                "context": { "request": { "action": "faq.write", "resource": "article/42" } },
                "expect": { "verdict": "deny", "reasons": ["action_not_listed"] }
            },
            {
                "name": "reading is denied",
                "context": { "request": { "action": "faq.read", "resource": "article/42" } },
                "expect": { "verdict": "deny", "reasons": ["action_not_listed"] }
            },
            { "name": "these settings are refused", "expect": { "init_error": "allow" } }
        ]
    }"#;
    fs::write(directory.path().join("wrong.json"), cases).unwrap();
    let report =
        cases::run_dir(&engine, &component("read-only"), directory.path(), PolicyLimits::NATIVE).await.unwrap();
    let text = "wrong.json: reading is denied\n    \
                reasons: expected [\"action_not_listed\"], got [\"listed\"]\n    \
                verdict: expected \"deny\", got \"allow\"\n\
                wrong.json: these settings are refused\n    \
                init_error: expected \"allow\", got nothing\n\
                3 cases, 2 failed";
    assert_eq!(report.to_string(), text);
}

#[tokio::test]
async fn cases_in_yaml_say_what_they_say_in_json_and_what_they_cover_is_counted() {
    let engine = engine();
    let directory = tempfile::tempdir().unwrap();
    let cases = "\
version: 1
settings: { allow: [{ actions: [faq.read], resource_types: [article] }] }
cases:
  - name: reading is allowed # as it should be
    context: { request: { action: faq.read, resource: article/42 } }
    expect: { verdict: allow, reasons: [listed] }
  - name: no rule at all
    settings: { allow: [] }
    expect: { init_error: it is empty }
";
    fs::write(directory.path().join("a.yaml"), cases).unwrap();
    let run = async || {
        cases::run_dir(&engine, &component("read-only"), directory.path(), PolicyLimits::NATIVE).await.unwrap()
    };
    let report = run().await;
    assert!(report.all_passed(), "{report}");
    let Coverage { allow, deny, init_error, .. } = report.coverage;
    assert_eq!((allow, deny, init_error), (1, 0, 1));
    let missed = ["action_not_listed", "acts_for_a_user", "resource_type_not_listed"];
    assert_eq!(report.coverage.reasons_missed().into_iter().collect::<Vec<_>>(), missed);
    assert_eq!(report.coverage.reasons["listed"], 1);
    let cost = report.cases[0].cost.unwrap();
    assert!(cost.fuel.unwrap() > 0 && cost.memory_bytes > 0);
    assert_eq!(report.cases[1].cost, None);
    // Fuel is no measure of time: it is the same each time.
    assert_eq!(run().await.cases[0].cost, Some(cost));
    // And the same where a snapshot is asked, as in a decision, but for what it takes to make an instance of it.
    let settings = r#"{ "allow": [{ "actions": ["faq.read"], "resource_types": ["article"] }] }"#;
    let context = (".json", &br#"{ "request": { "action": "faq.read", "resource": "article/42" } }"#[..]);
    let answer = once::ask(&engine, &component("read-only"), settings, context, PolicyLimits::NATIVE).await.unwrap();
    assert_eq!(answer.policy.report().activation, Activation::Snapshot);
    let from_snapshot = answer.evaluation.usage.fuel.unwrap();
    assert!(from_snapshot.abs_diff(cost.fuel.unwrap()) <= 4, "{from_snapshot} {cost:?}");
}

#[tokio::test]
async fn what_was_rewritten_holds() {
    let engine = engine();
    let directory = tempfile::tempdir().unwrap();
    let settings = r#"{ "allow": [{ "actions": ["faq.read"], "resource_types": ["article"] }] }"#;
    let case = |name: &str, action: &str| {
        let context = format!(r#"{{ "request": {{ "action": "{action}", "resource": "article/42" }} }}"#);
        format!(r#"{{ "name": "{name}", "context": {context}, "expect": {{ "verdict": "abstain" }} }}"#)
    };
    let file = format!(
        r#"{{ "version": 1, "settings": {settings}, "cases": [{}, {}] }}"#,
        case("reads", "faq.read"),
        case("writes", "faq.write")
    );
    fs::write(directory.path().join("a.json"), file).unwrap();
    let run = async || {
        cases::run_dir(&engine, &component("read-only"), directory.path(), PolicyLimits::NATIVE).await.unwrap()
    };
    let report = run().await;
    assert_eq!(report.failed().count(), 2);
    assert!(cases::update(directory.path(), &report).unwrap().left.is_empty());
    let report = run().await;
    assert!(report.all_passed(), "{report}");
    assert_eq!((report.coverage.allow, report.coverage.deny), (1, 1));
}

#[tokio::test]
async fn a_case_that_gives_what_nobody_asks_for_is_an_error() {
    let engine = engine();
    let directory = tempfile::tempdir().unwrap();
    let settings = r#"{ "allow": [{ "actions": ["a.b"], "resource_types": ["account"] }] }"#;
    let template = "resource/{request.resource_type}/{request.resource_id}/owner";
    for (given, problem) in [
        (r#""facts": { "owner": 1 }"#.to_owned(), "it gives the fact `owner`, which the policy does not ask for"),
        (
            format!(r#""facts": {{ "{template}": null, "resource/42/owner": null }}"#),
            "it gives the fact `resource/42/owner`, which the policy does not ask for",
        ),
        (
            r#""counters": { "spent": { "used": 0 } }"#.to_owned(),
            "it gives the counter `spent`, which the policy does not declare",
        ),
    ] {
        let context = format!(r#"{{ "request": {{ "action": "a.b", "resource": "account/42" }}, {given} }}"#);
        let case = format!(r#"{{ "name": "odd", "context": {context}, "expect": {{ "verdict": "abstain" }} }}"#);
        let file = format!(r#"{{ "version": 1, "settings": {settings}, "cases": [{case}] }}"#);
        fs::write(directory.path().join("odd.json"), file).unwrap();
        let run = cases::run_dir(&engine, &component("own-data"), directory.path(), PolicyLimits::NATIVE).await;
        assert_eq!(run.unwrap_err().to_string(), format!("`odd.json`: case `odd`: {problem}"));
    }
}

#[tokio::test]
async fn what_is_no_component_is_an_error_and_not_a_failed_case() {
    let engine = engine();
    let directory = root().join("plugins/read-only/cases");
    for bytes in [&b""[..], b"\0asm", b"no component"] {
        let error = cases::run_dir(&engine, bytes, &directory, PolicyLimits::NATIVE).await.unwrap_err();
        assert!(matches!(error, cases::CasesError::NotLoaded(_)), "{error}");
    }
}

#[test]
fn every_plugin_is_whole() {
    let plugins = plugins();
    assert!(plugins.contains(&"read-only".to_owned()));
    for plugin in plugins {
        let home = root().join("plugins").join(&plugin);
        for part in ["README.md", "settings.schema.json", "cases"] {
            assert!(home.join(part).exists(), "plugin `{plugin}` lacks `{part}`");
        }
        let schema = fs::read_to_string(home.join("settings.schema.json")).unwrap();
        let schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema", "plugin `{plugin}`");
    }
}
