//! The contract as it was frozen, and components that were built on that day: they go on to do what they did.
//!
//! Nothing in `frozen` is ever changed: what is new gets a directory of its own.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use attorn_core::PolicyLimits;
use attorn_engine::{CONTRACT, Compiler, Engine, EngineConfig, Leftovers, class_of};
use attorn_toolchain::cases;

/// The BLAKE3 digest of the contract without its comments.
const WIT: &str = "86148116c1f8b320f9adb550dd6de22e835a92c53f49a12b0dafc6c7d366aa3b";

/// Each component, with the BLAKE3 digests of what was built, and of the names and texts of its cases.
const COMPONENTS: &[(&str, &str, &str)] = &[
    (
        "own-data-rust",
        "7df1f6ce69435f864ae8ddc9562791c3ecab59dc11c74d5b0d5b42fc0f7541e0",
        "23d5ba970efe1fb1f9684aa542f2d6c8487bfc881ef4d43ef85c019e29a60067",
    ),
    (
        "spend-limit-c",
        "2ce9b7db234321ee438961ac0ce52f1fa8dc1ba893510fe4871520609737fe61",
        "99aaaf16210f68a6b457a2a10f958d2a1b8b8e33c2bbfc2fc387c3031ced0182",
    ),
    (
        "spend-limit-rust",
        "f83fb3aadbd7c2401ef829c56737d28ebcb080314e7cb73acf73c67afcaf85f6",
        "99aaaf16210f68a6b457a2a10f958d2a1b8b8e33c2bbfc2fc387c3031ced0182",
    ),
    (
        "spend-limit-typescript",
        "95eeb5a36277d0882161529e45b5736e7a82633e432f1dcfa658bbd0aaafd0c9",
        "99aaaf16210f68a6b457a2a10f958d2a1b8b8e33c2bbfc2fc387c3031ced0182",
    ),
];

fn frozen() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/frozen/0.1.0")
}

/// What of a WIT text counts: no comments, no blanks but one between words.
fn without_comments(wit: &str) -> String {
    let lines = wit.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ")
}

/// Over the names and texts of all files of a directory.
fn digest_of(directory: &Path) -> String {
    let mut files: Vec<PathBuf> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut hasher = blake3::Hasher::new();
    for file in files {
        hasher.update(file.file_name().unwrap().as_encoded_bytes());
        hasher.update(&fs::read(&file).unwrap());
    }
    hasher.finalize().to_string()
}

#[test]
fn the_contract_says_what_it_said() {
    let read = |path: &Path| without_comments(&fs::read_to_string(path).unwrap());
    let now = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit/policy.wit"));
    let then = read(&frozen().join("policy.wit"));
    assert_eq!(now, then, "{CONTRACT} is frozen: what is new gets another version");
    assert_eq!(blake3::hash(then.as_bytes()).to_string(), WIT);
    assert_eq!(CONTRACT, "attorn:policy@0.1.0");
}

#[test]
fn a_comment_is_no_change_and_a_member_is_one() {
    let text = "/// One.\nrecord a {\n  b: u32, // two\n}";
    assert_eq!(without_comments(text), "record a { b: u32, // two }");
    assert_eq!(without_comments(&text.replace("One", "Two")), without_comments(text));
    assert_ne!(without_comments(&text.replace("u32", "u64")), without_comments(text));
}

#[tokio::test]
async fn components_of_that_day_do_what_they_did() {
    let mut names: Vec<String> = fs::read_dir(frozen())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "policy.wit")
        .collect();
    names.sort();
    assert_eq!(names, COMPONENTS.iter().map(|(name, ..)| *name).collect::<Vec<_>>());
    // The machine that runs the tests may be busy with other tests.
    let config = EngineConfig { request_wall_us_max: 10_000_000, ..EngineConfig::for_host().unwrap() };
    let compiler = Compiler { leftovers: Some(Leftovers::default()), ..Compiler::default() };
    let engine = Engine::with_compiler(config, compiler).unwrap();
    for (name, digest, of_cases) in COMPONENTS {
        let directory = frozen().join(name);
        let component = fs::read(directory.join("policy.wasm")).unwrap();
        assert_eq!(blake3::hash(&component).to_string(), *digest, "`{name}` is not what was built on that day");
        assert_eq!(digest_of(&directory.join("cases")), *of_cases, "`{name}` has other cases than on that day");
        let limits = PolicyLimits::of_class(class_of(&component));
        let report = cases::run_dir(&engine, &component, &directory.join("cases"), limits).await.unwrap();
        assert!(report.all_passed() && !report.cases.is_empty(), "{name}\n{report}");
    }
}
