//! The template of each language, made, built and tried as its README says.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

use std::fs;
use std::path::Path;

use attorn_core::PolicyLimits;
use attorn_engine::{Engine, EngineConfig};
use attorn_toolchain::cases;
use attorn_toolchain::look::look;
use attorn_toolchain::project::{Made, build};
use attorn_toolchain::template::{Language, NewPolicy, create};

/// A policy in this language, made and built in a fresh directory, out of nothing but what is in the program.
fn made_and_built(within: &Path, language: Language) -> Made {
    let new = NewPolicy { name: "listed-actions", within, language, sdk: None };
    let home = create(&new).unwrap();
    let mut said = Vec::new();
    build(&home, &mut |line| said.push(line.to_owned())).unwrap_or_else(|error| panic!("{error}\n{}", said.join("\n")))
}

#[tokio::test]
async fn the_template_in_rust_builds_to_the_same_bytes_anywhere_and_its_cases_hold() {
    builds_to_the_same_bytes_anywhere_and_its_cases_hold(Language::Rust).await;
}

#[tokio::test]
async fn the_template_in_typescript_builds_to_the_same_bytes_anywhere_and_its_cases_hold() {
    builds_to_the_same_bytes_anywhere_and_its_cases_hold(Language::TypeScript).await;
}

#[tokio::test]
async fn the_template_in_c_builds_to_the_same_bytes_anywhere_and_its_cases_hold() {
    builds_to_the_same_bytes_anywhere_and_its_cases_hold(Language::C).await;
}

#[tokio::test]
async fn the_template_in_go_builds_to_the_same_bytes_anywhere_and_its_cases_hold() {
    builds_to_the_same_bytes_anywhere_and_its_cases_hold(Language::Go).await;
}

#[tokio::test]
async fn the_template_in_python_builds_to_the_same_bytes_anywhere_and_its_cases_hold() {
    builds_to_the_same_bytes_anywhere_and_its_cases_hold(Language::Python).await;
}

async fn builds_to_the_same_bytes_anywhere_and_its_cases_hold(language: Language) {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let deeper = other.path().join("somewhere/else");
    fs::create_dir_all(&deeper).unwrap();
    let made = made_and_built(one.path(), language);
    let again = made_and_built(&deeper, language);
    assert_eq!(made.digest, again.digest);
    assert_eq!(made.built, again.built);

    let component = fs::read(&made.path).unwrap();
    assert_eq!(component, fs::read(&again.path).unwrap());
    let seen = look(&component).unwrap();
    assert_eq!(seen.built.as_ref(), Some(&made.built));
    let sdk = made.built.sdk.starts_with("attorn-policy ");
    assert_eq!((made.built.language.as_str(), sdk), (language.as_str(), true));
    assert_eq!(seen.exports, [format!("attorn:policy/policy@{}", seen.world.rsplit('@').next().unwrap())]);
    assert!(seen.imports.iter().all(|import| import.starts_with("attorn:policy/log@")), "{:?}", seen.imports);
    // Nobody learns from a component where it was built.
    let text = String::from_utf8_lossy(&component).into_owned();
    for path in [one.path(), other.path()] {
        assert!(!text.contains(path.to_str().unwrap()));
    }

    let config = EngineConfig { request_wall_us_max: 10_000_000, ..EngineConfig::for_host().unwrap() };
    let engine = Engine::new(config).unwrap();
    let directory = made.path.parent().unwrap().join("cases");
    let report = cases::run_dir(&engine, &component, &directory, PolicyLimits::of_class(seen.class)).await.unwrap();
    assert!(report.all_passed(), "{report}");
    assert!(report.coverage.reasons_missed().is_empty(), "a reason of the template has no case");
}
