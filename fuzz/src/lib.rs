//! What fuzzers feed, and what must hold for every input. Each function panics if it does not.
//!
//! `cargo xtask fuzz` feeds them through libFuzzer, for a bounded time. The tests feed them with the
//! seeds in `corpus/`: few and small, for libFuzzer to begin with. What it finds that breaks something
//! becomes a seed.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "what must hold for every input is asserted"
)]

mod engine;
mod exports;
mod patterns;
mod published;
mod stored;

pub use engine::{loader, values};
pub use exports::exports;
pub use patterns::patterns;
pub use published::published;
pub use stored::stored;

use attorn_api::json;
use serde_json::Value;

/// Settings: what strict JSON accepts means the same to everybody, and its canonical form stays as it is.
pub fn settings(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(canonical) = json::canonical(text) else { return };
    let again = json::canonical(canonical.as_str()).expect("a canonical form is accepted");
    assert_eq!(canonical, again);
    let lenient: Value = serde_json::from_str(text).expect("what is strict JSON is JSON");
    let strict: Value = serde_json::from_str(canonical.as_str()).unwrap();
    assert_eq!(as_doubles(lenient), as_doubles(strict));
    assert_eq!(json::canonical_object(text).is_ok(), text.trim_start().starts_with('{'));
}

/// `1` and `1.0` are the same number; `serde_json` keeps them apart.
fn as_doubles(value: Value) -> Value {
    match value {
        Value::Number(number) => serde_json::json!(number.as_f64()),
        Value::Array(items) => items.into_iter().map(as_doubles).collect(),
        Value::Object(members) => members.into_iter().map(|(key, value)| (key, as_doubles(value))).collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use attorn_core::{Outcome, Verdict};
    use attorn_hostile::kit::{Guest, component};

    use super::*;

    type Feed = fn(&[u8]);

    /// The names of all targets, and what they feed.
    const TARGETS: &[(&str, Feed)] = &[
        ("exports", exports),
        ("loader", loader),
        ("patterns", patterns),
        ("published", published),
        ("settings", settings),
        ("stored", stored),
        ("values", values),
    ];

    fn here(path: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
    }

    /// The names of what is in a directory, sorted.
    fn names_in(path: &str) -> Vec<String> {
        let entries = std::fs::read_dir(here(path)).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn every_seed_is_survived() {
        for (name, feed) in TARGETS {
            let mut seeds = 0;
            for seed in std::fs::read_dir(here("corpus").join(name)).unwrap() {
                feed(&std::fs::read(seed.unwrap().path()).unwrap());
                seeds += 1;
            }
            assert!(seeds > 0, "`{name}` has no seeds");
        }
    }

    /// A target that is missing somewhere is one that nobody feeds. `cargo xtask fuzz` reads the directory.
    #[test]
    fn the_targets_are_the_same_everywhere() {
        let names: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
        assert_eq!(names_in("fuzz_targets"), names);
        assert_eq!(names_in("corpus"), names);
        let manifest = std::fs::read_to_string(here("Cargo.toml")).unwrap();
        let mut programs: Vec<String> = manifest
            .split("[[bin]]")
            .skip(1)
            .map(|program| program.split('"').nth(1).expect("a program has a name").to_owned())
            .collect();
        programs.sort();
        assert_eq!(programs, names);
        for name in names {
            assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"\nrequired-features")), "{name}");
            let program = std::fs::read_to_string(here("fuzz_targets").join(name).with_extension("rs")).unwrap();
            assert!(program.contains(&format!("| attorn_fuzz::{name}(bytes)")), "`{name}` feeds something else");
        }
    }

    const GOOD: &str = "corpus/loader/allows.wasm";
    const BROKEN: &str = "corpus/loader/exports-nothing.wasm";

    /// From a good component libFuzzer gets to what is nearly one, which by chance it never would.
    #[test]
    fn one_seed_is_loaded_and_one_is_refused_late() {
        let hint = "make the seeds anew: `cargo test --workspace --lib make_the_components -- --ignored`";
        let read = |path| std::fs::read(here(path)).unwrap();
        let good = engine::load(&read(GOOD)).map_err(|error| format!("{error}; {hint}")).unwrap();
        let outcome = engine::ask(good);
        assert!(matches!(outcome, Outcome::Verdict(Verdict::Allow { .. })), "{outcome:?}; {hint}");
        let error = engine::load(&read(BROKEN)).expect_err(hint);
        assert_eq!(error.step().as_str(), "link", "{hint}");
    }

    /// What a policy says that is asked with its answer is what one would say that has it in its own bytes.
    #[test]
    fn an_answer_is_read_as_it_was_written() {
        let seed = std::fs::read(here("corpus/values/abstain")).unwrap();
        let outcome = engine::answered(&seed[1..]);
        assert!(matches!(outcome, Outcome::Verdict(Verdict::Abstain)), "{outcome:?}");
        for byte in [0, 1, 0x7f, 0x80, 0xff] {
            let outcome = engine::answered(&[byte; 2_000]);
            assert!(matches!(outcome, Outcome::Failed(_)) != (byte == 0), "{byte}: {outcome:?}");
        }
    }

    #[test]
    #[ignore = "it writes the seeds that are components, which is needed when the contract has changed"]
    fn make_the_components() {
        let broken = component("(core module $m (memory 1)) (core instance (instantiate $m))");
        for (path, bytes) in [(GOOD, Guest::allow().build()), (BROKEN, broken)] {
            std::fs::write(here(path), bytes).unwrap();
        }
    }
}
