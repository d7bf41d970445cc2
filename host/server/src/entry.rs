//! Bodies of entries: what the audit log says, in its words.
//!
//! Every body has `type` and `time_ms`; what an operator did also has `operator`.

use attorn_api::audit::EntryType;
use attorn_core::TimeMs;
use attorn_log::EntryBody;
use attorn_store::{Batch, Key, Require};
use serde::Serialize;
use serde_json::{Value, json};

use crate::http::call::OperatorCaller;
use crate::http::failure::Failure;

/// Add the entry about something that an operator does, and the requirement that the operator is still
/// who they were when they were authenticated.
pub(crate) fn act(
    batch: &mut Batch,
    operator: &OperatorCaller,
    kind: EntryType,
    about: impl Serialize,
) -> Result<(), Failure> {
    if let Some(id) = &operator.id {
        batch.require.push((Key::operator(id), Require::Version(operator.version)));
    }
    batch.entries.push(body(batch.now, kind, json!({ "operator": operator.name(), "about": about }))?);
    Ok(())
}

/// An entry.
pub(crate) fn body(now: TimeMs, kind: EntryType, mut members: Value) -> Result<EntryBody, Failure> {
    members["type"] = kind.as_str().into();
    members["time_ms"] = now.0.into();
    EntryBody::of_value(&members).map_err(|error| Failure::caused(&error))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    /// The text without the modules of tests that stand in it, which rustfmt ends with the first brace of a line.
    fn without_tests(text: &str) -> String {
        let mut parts = text.split("#[cfg(test)]\n");
        let mut kept = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let is_module = part.lines().next().is_some_and(|line| line.contains("mod ") && line.ends_with('{'));
            let rest = if is_module { part.split_once("\n}\n").map_or("", |(_, rest)| rest) } else { part };
            kept.push_str(rest);
        }
        kept
    }

    #[test]
    fn what_a_module_of_tests_names_is_not_written() {
        let test = "#[cfg(test)]\nmod tests {\n    EntryType::A\n}\n";
        for (text, kept) in [
            ("EntryType::B\n".to_owned(), "EntryType::B\n"),
            (format!("EntryType::B\n{test}"), "EntryType::B\n"),
            (format!("{test}EntryType::B\n"), "EntryType::B\n"),
            ("#[cfg(test)]\npub(crate) mod tests {\n    EntryType::A".to_owned(), ""),
            ("#[cfg(test)]\nmod fixtures;\nEntryType::B\n".to_owned(), "mod fixtures;\nEntryType::B\n"),
        ] {
            assert_eq!(without_tests(&text), kept, "{text}");
        }
    }

    /// All of this crate that is no test.
    fn sources(dir: &Path, into: &mut String) {
        for found in fs::read_dir(dir).unwrap() {
            let path = found.unwrap().path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if path.is_dir() {
                sources(&path, into);
            } else if !name.ends_with("_tests.rs") && name != "fixtures.rs" {
                into.push_str(&without_tests(&fs::read_to_string(&path).unwrap()));
            }
        }
    }

    /// Whoever looks for entries of a type that nobody writes is told that there are none, instead of that there never are.
    #[test]
    fn every_type_of_entries_is_written() {
        let mut text = String::new();
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut text);
        let is_named = |name: &str| {
            let after = text.match_indices(name).map(|(at, _)| &text[at + name.len()..]);
            after.into_iter().any(|after| !after.starts_with(|c: char| c.is_alphanumeric()))
        };
        let unwritten: Vec<_> = EntryType::ALL.iter().filter(|one| !is_named(&format!("EntryType::{one:?}"))).collect();
        assert!(unwritten.is_empty(), "{unwritten:?}");
    }

    #[test]
    fn a_body_says_its_type_as_the_log_has_it() {
        let body = body(TimeMs(7), EntryType::GrantUsed, json!({ "grant": "grt_1" })).unwrap();
        assert_eq!(body.as_str(), r#"{"grant":"grt_1","time_ms":7,"type":"grant_used"}"#);
    }
}
