//! What components look like from outside, and which are turned away.

#![expect(clippy::panic, reason = "helpers of tests fail by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use attorn_engine::{COMPONENT_BYTES_MAX, LoadStep};
use attorn_toolchain::look::look;
use attorn_toolchain::section::{self, Built};

fn read_only() -> Vec<u8> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let path = target.join("wasm/components/read-only.wasm");
    fs::read(&path).unwrap_or_else(|error| panic!("`{}`: {error}; run `cargo xtask components`", path.display()))
}

fn built() -> Built {
    Built { language: "rust".into(), sdk: "attorn-policy 0.1.0".into(), source: format!("blake3:{}", "a".repeat(64)) }
}

#[test]
fn a_policy_says_what_it_is() {
    let component = read_only();
    let seen = look(&component).unwrap();
    assert_eq!(seen.world, "attorn:policy/policy-component@0.1.0");
    assert_eq!(seen.exports, ["attorn:policy/policy@0.1.0"]);
    assert_eq!((seen.bytes, seen.description.name.as_str()), (component.len(), "read-only"));
    assert_eq!(seen.digest, blake3::hash(&component).to_hex().to_string());
    assert!(seen.description.settings_schema.contains("\"$schema\""));
    assert_eq!(seen.built, None);
}

#[test]
fn how_it_was_built_stands_at_its_end_and_changes_nothing_else() {
    let component = read_only();
    let marked = section::with(&component, &built());
    assert!(marked.starts_with(&component));
    let (before, after) = (look(&component).unwrap(), look(&marked).unwrap());
    assert_eq!(after.built, Some(built()));
    assert_eq!((before.description, before.imports, before.exports), (after.description, after.imports, after.exports));
    assert_eq!(after.sections.last().unwrap().name, section::NAME);
}

#[test]
fn what_another_wrote_under_that_name_is_not_believed() {
    for data in ["", "{", r#"{"language":"rust"}"#, r#"{"language":"a","sdk":"b","source":"c","more":1}"#] {
        let text = format!("(component (@custom \"{}\" {data:?}))", section::NAME);
        let custom = wat::parse_str(text).unwrap();
        // Without the header of eight bytes, the section alone.
        let component = [read_only(), custom[8..].to_vec()].concat();
        assert_eq!(look(&component).unwrap().built, None, "{data}");
    }
}

#[test]
fn what_is_no_policy_of_this_version_is_refused_with_a_way_out() {
    let wat = |text: &str| wat::parse_str(text).unwrap();
    let whole = read_only();
    let mut large = whole.clone();
    large.resize(COMPONENT_BYTES_MAX + 1, 0);
    let instance = "(instance $i)";
    for (bytes, step, problem, has_help) in [
        (Vec::new(), LoadStep::Parse, "it does not begin as WebAssembly does", true),
        (wat("(module)"), LoadStep::Parse, "a core WebAssembly module", true),
        (whole[..whole.len() / 2].to_vec(), LoadStep::Parse, "", true),
        (large, LoadStep::Size, "33554432 is the most", false),
        (wat("(component)"), LoadStep::Exports, "it does not export `attorn:policy/policy@0.1.0`", true),
        (
            wat(&format!("(component {instance} (export \"attorn:policy/policy@9.0.0\" (instance $i)))")),
            LoadStep::Exports,
            "in version `9.0.0`, and only `0.1.0` is supported",
            true,
        ),
        (
            wat(&format!("(component {instance} (export \"other:policy/policy@0.1.0\" (instance $i)))")),
            LoadStep::Exports,
            "it does not export",
            true,
        ),
        (
            wat(r#"(component (import "wasi:clocks/wall-clock@0.2.0" (instance)))"#),
            LoadStep::Imports,
            "it imports `wasi:clocks/wall-clock@0.2.0`",
            true,
        ),
        (
            wat(r#"(component (import "attorn:policy/log@9.0.0" (instance)))"#),
            LoadStep::Imports,
            "it imports `attorn:policy/log@9.0.0`",
            true,
        ),
    ] {
        let error = look(&bytes).unwrap_err();
        assert_eq!(error.step(), step, "{error}");
        assert!(error.to_string().contains(problem), "{error}");
        assert_eq!(error.help().is_some(), has_help, "{error}");
    }
}
