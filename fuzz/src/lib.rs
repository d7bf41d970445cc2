//! What fuzzers feed, and what must hold for every input. Each function panics if it does not.
//!
//! `cargo xtask fuzz` feeds them through libFuzzer, for a bounded time. The tests feed them with the
//! seeds in `corpus/`, among which is every input that once broke something.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "what must hold for every input is asserted"
)]

mod engine;
mod patterns;

pub use engine::{loader, values};
pub use patterns::patterns;

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
    use std::path::Path;

    use super::*;

    /// The names of all targets, and what they feed.
    type Feed = fn(&[u8]);
    const TARGETS: &[(&str, Feed)] =
        &[("loader", loader), ("patterns", patterns), ("settings", settings), ("values", values)];

    #[test]
    fn every_seed_is_survived() {
        for (name, feed) in TARGETS {
            let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
            let mut seeds = 0;
            for seed in std::fs::read_dir(corpus).unwrap() {
                feed(&std::fs::read(seed.unwrap().path()).unwrap());
                seeds += 1;
            }
            assert!(seeds > 0, "`{name}` has no seeds");
        }
    }
}
