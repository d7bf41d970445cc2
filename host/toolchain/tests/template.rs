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

/// A policy in Rust, made and built in a fresh directory, out of nothing but what is in the program.
fn made_and_built(within: &Path) -> Made {
    let new = NewPolicy { name: "listed-actions", within, language: Language::Rust, sdk: None };
    let home = create(&new).unwrap();
    let mut said = Vec::new();
    build(&home, &mut |line| said.push(line.to_owned())).unwrap_or_else(|error| panic!("{error}\n{}", said.join("\n")))
}

#[tokio::test]
async fn the_template_in_rust_builds_to_the_same_bytes_anywhere_and_its_cases_hold() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let deeper = other.path().join("somewhere/else");
    fs::create_dir_all(&deeper).unwrap();
    let made = made_and_built(one.path());
    let again = made_and_built(&deeper);
    assert_eq!(made.digest, again.digest);
    assert_eq!(made.built, again.built);

    let component = fs::read(&made.path).unwrap();
    assert_eq!(component, fs::read(&again.path).unwrap());
    let seen = look(&component).unwrap();
    assert_eq!(seen.built.as_ref(), Some(&made.built));
    assert_eq!((made.built.language.as_str(), made.built.sdk.starts_with("attorn-policy ")), ("rust", true));
    assert!(seen.imports.iter().all(|import| import.starts_with("attorn:policy/log@")), "{:?}", seen.imports);
    // Nobody learns from a component where it was built.
    let text = String::from_utf8_lossy(&component).into_owned();
    for path in [one.path(), other.path()] {
        assert!(!text.contains(path.to_str().unwrap()));
    }

    let config = EngineConfig { request_wall_us_max: 10_000_000, ..EngineConfig::for_host().unwrap() };
    let engine = Engine::new(config).unwrap();
    let directory = made.path.parent().unwrap().join("cases");
    let report = cases::run_dir(&engine, &component, &directory, PolicyLimits::NATIVE).await.unwrap();
    assert!(report.all_passed(), "{report}");
    assert!(report.coverage.reasons_missed().is_empty(), "a reason of the template has no case");
}
