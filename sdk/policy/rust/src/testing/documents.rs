//! Whether what stands beside a policy says what there is: its README, its schema and its cases. Each panics, as an
//! assertion does.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::Tested;
use crate::Policy;

/// Assert that every settings in a Markdown text, which is every block of `json`, are taken, and that there are some.
///
/// # Panics
///
/// Some are refused, or there are none.
pub fn assert_settings_are_taken<P: Policy>(markdown: &str) {
    let blocks = markdown.split("```json\n").skip(1);
    let settings: Vec<&str> = blocks.filter_map(|rest| rest.split("```").next()).collect();
    assert!(!settings.is_empty(), "there is no block of `json`");
    for settings in settings {
        let taken = Tested::<P>::new(settings);
        assert!(taken.is_ok(), "{}\nof {settings}", taken.err().map(|error| error.to_string()).unwrap_or_default());
    }
}

/// Assert that the schema names the fields of the settings that serde knows, and no others. They have
/// `#[serde(deny_unknown_fields)]`.
///
/// # Panics
///
/// The schema names others, or is no JSON, or unknown fields are taken.
pub fn assert_schema_names_the_fields<P: Policy>() {
    let schema: Value = serde_json::from_str(P::SETTINGS_SCHEMA).expect("the schema is no JSON");
    let named: BTreeSet<&str> =
        schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    // Serde says which fields it knows when it meets one that it does not.
    let refused = Tested::<P>::new(r#"{"no field has this name":0}"#);
    let said = refused.err().expect("unknown fields are taken").to_string();
    let known: BTreeSet<&str> =
        said.split_once(", expected ").map_or("", |(_, known)| known).split('`').skip(1).step_by(2).collect();
    assert_eq!(named, known, "the schema on the left, what serde knows on the right: {said}");
}

/// Assert that some case expects each reason that the policy declares, in the files of a directory, which are JSON. That none
/// expects another is seen when the cases are run.
///
/// # Panics
///
/// A reason is expected by none, none is declared, or a file cannot be read: it is in YAML, say.
pub fn assert_reasons_have_cases<P: Policy>(directory: &Path) {
    let mut missing: BTreeSet<&str> = P::REASONS.iter().map(crate::ReasonDeclaration::code).collect();
    assert!(!missing.is_empty(), "no reason is declared");
    for file in fs::read_dir(directory).expect("the directory cannot be read") {
        let path = file.expect("the directory cannot be read").path();
        let text = fs::read(&path).expect("a file cannot be read");
        let file = serde_json::from_slice::<Value>(&text);
        assert!(file.is_ok(), "`{}` is no JSON", path.display());
        let file = file.unwrap_or_default();
        for case in file["cases"].as_array().into_iter().flatten() {
            for code in case["expect"]["reasons"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                missing.remove(code);
            }
        }
    }
    assert!(missing.is_empty(), "no case expects {missing:?}");
}

#[cfg(test)]
mod tests {
    use std::panic;

    use serde::Deserialize;

    use super::*;
    use crate::{Context, Error, ReasonDeclaration, Verdict};

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "it is about their names")]
    struct Two {
        first: u8,
        second: u8,
    }

    impl Policy for Two {
        const NAME: &'static str = "two";
        const VERSION: &'static str = "0.0.0";
        const SETTINGS_SCHEMA: &'static str = r#"{"properties":{"first":{},"second":{}}}"#;
        const REASONS: &'static [ReasonDeclaration] = &[ReasonDeclaration::private("never", "it is never said")];

        fn evaluate(&self, _: &Context) -> Result<Verdict, Error> {
            Ok(Verdict::Abstain)
        }
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "it is about its name")]
    struct Renamed {
        other: u8,
    }

    impl Policy for Renamed {
        const NAME: &'static str = "renamed";
        const VERSION: &'static str = "0.0.0";
        const SETTINGS_SCHEMA: &'static str = Two::SETTINGS_SCHEMA;
        const REASONS: &'static [ReasonDeclaration] = &[ReasonDeclaration::public("listed", "a case has it")];

        fn evaluate(&self, _: &Context) -> Result<Verdict, Error> {
            Ok(Verdict::Abstain)
        }
    }

    fn fails(assertion: impl FnOnce() + panic::UnwindSafe) -> bool {
        panic::catch_unwind(assertion).is_err()
    }

    #[test]
    fn settings_that_are_refused_or_missing_are_found() {
        assert_settings_are_taken::<Two>("```json\n{\"first\":1,\"second\":2}\n```\n");
        assert!(fails(|| assert_settings_are_taken::<Two>("```json\n{\"first\":1}\n```\n")));
        assert!(fails(|| assert_settings_are_taken::<Two>("nothing")));
    }

    #[test]
    fn a_schema_of_other_fields_is_found() {
        assert_schema_names_the_fields::<Two>();
        assert!(fails(assert_schema_names_the_fields::<Renamed>));
    }

    #[test]
    fn a_reason_without_a_case_is_found() {
        let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../plugins/read-only/cases");
        assert_reasons_have_cases::<Renamed>(&cases);
        assert!(fails(|| assert_reasons_have_cases::<Two>(&cases)));
    }
}
