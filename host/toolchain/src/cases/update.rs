//! Writing what came into the files of cases, in the place of what was expected.
//!
//! Only the values of `expect` are replaced, byte for byte, so that a file keeps its order and its layout.
//! YAML is not rewritten: whoever writes it does so for its comments and its style.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use attorn_build::whole;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::yaml::is_yaml;
use super::{CasesError, Report};

/// What was rewritten, and what could not be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Updated {
    /// Cases whose expectation was replaced, by file.
    pub cases: BTreeMap<String, BTreeSet<String>>,
    /// Cases that fail and that no other expectation can help, each with why.
    pub left: Vec<(String, String, &'static str)>,
}

#[derive(Deserialize)]
struct Spans<'a> {
    #[serde(borrow)]
    cases: Vec<CaseSpan<'a>>,
}

#[derive(Deserialize)]
struct CaseSpan<'a> {
    name: String,
    #[serde(borrow)]
    expect: &'a RawValue,
}

/// Replace the expectation of every case that failed by what came. Each file is written whole beside the old
/// one, which it then replaces: whoever reads it, and whenever this is cut off, finds one or the other.
///
/// # Errors
///
/// When a file cannot be read or written, or is no longer the one that was run.
pub fn update(directory: &Path, report: &Report) -> Result<Updated, CasesError> {
    let mut updated = Updated::default();
    let mut wanted: BTreeMap<&str, BTreeMap<&str, &str>> = BTreeMap::new();
    for case in report.failed() {
        let why_not = if case.differences.iter().all(|one| one.member.ends_with(" without snapshot")) {
            Some("it says something else where `init` runs before each evaluation, which is a mistake of the policy's")
        } else if is_yaml(Path::new(&case.file)) {
            Some("YAML is not rewritten; change it by hand")
        } else if case.is_about_settings_otherwise() {
            Some("settings are refused or taken otherwise than expected, so the case needs another shape")
        } else {
            None
        };
        match (why_not, &case.said) {
            (None, Some(said)) => {
                wanted.entry(&case.file).or_default().insert(&case.name, said);
            }
            (why, _) => {
                let why = why.unwrap_or("nothing came that a case can expect");
                updated.left.push((case.file.clone(), case.name.clone(), why));
            }
        }
    }
    for (file, cases) in wanted {
        let path = directory.join(file);
        let text = fs::read_to_string(&path).map_err(|source| CasesError::Unreadable { path: path.clone(), source })?;
        let new = replaced(&text, &cases)
            .map_err(|problem| CasesError::Invalid { path: path.clone(), problem: problem.to_owned() })?;
        whole::write(&path, new.as_bytes()).map_err(|source| CasesError::Unwritable { path: path.clone(), source })?;
        updated.cases.insert(file.to_owned(), cases.keys().map(|name| (*name).to_owned()).collect());
    }
    Ok(updated)
}

/// The text with these expectations in the place of those that stand there.
fn replaced(text: &str, cases: &BTreeMap<&str, &str>) -> Result<String, &'static str> {
    const CHANGED: &str = "it was changed while its cases ran";
    let spans: Spans<'_> = serde_json::from_str(text).map_err(|_| CHANGED)?;
    let mut new = String::with_capacity(text.len());
    let mut at = 0;
    let mut found = 0;
    for CaseSpan { name, expect } in &spans.cases {
        let Some(said) = cases.get(name.as_str()) else { continue };
        // The raw value is a part of the text, so where it stands is how far it is from the text's begin.
        let start = (expect.get().as_ptr() as usize).checked_sub(text.as_ptr() as usize).ok_or(CHANGED)?;
        new.push_str(text.get(at..start).ok_or(CHANGED)?);
        new.push_str(said);
        at = start + expect.get().len();
        found += 1;
    }
    new.push_str(text.get(at..).ok_or(CHANGED)?);
    if found == cases.len() { Ok(new) } else { Err(CHANGED) }
}

#[cfg(test)]
mod tests {
    use super::super::{CaseReport, Coverage, Difference};
    use super::*;

    const FILE: &str = "{\n  \"version\": 1, \"cases\": [\n    { \"name\": \"a\\\"b\", \"expect\": { \"verdict\":\n \"deny\" } },\n    {\"expect\":{\"verdict\":\"deny\"},\"name\":\"c\"}]\n}\n";

    fn failed(file: &str, name: &str, member: &str, said: Option<&str>) -> CaseReport {
        let difference = Difference { member: member.into(), expected: None, got: None };
        CaseReport {
            file: file.into(),
            name: name.into(),
            said: said.map(Into::into),
            differences: vec![difference],
            cost: None,
        }
    }

    fn report(cases: Vec<CaseReport>) -> Report {
        Report { cases, coverage: Coverage::default() }
    }

    #[test]
    fn only_expectations_change() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.json");
        fs::write(&path, FILE).unwrap();
        let said = r#"{ "verdict": "allow" }"#;
        let one = report(vec![failed("x.json", "a\"b", "verdict", Some(said))]);
        let updated = update(directory.path(), &one).unwrap();
        assert_eq!(updated.cases.len(), 1);
        let expect = FILE.replace("{ \"verdict\":\n \"deny\" }", said);
        assert_eq!(fs::read_to_string(&path).unwrap(), expect);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_cannot_be_rewritten_is_said_and_left() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("x.json"), FILE).unwrap();
        let said = Some(r#"{ "verdict": "allow" }"#);
        let cases = vec![
            failed("x.json", "c", "verdict without snapshot", said),
            failed("y.yaml", "c", "verdict", said),
            failed("x.json", "c", "init_error", said),
            failed("x.json", "c", "verdict", None),
        ];
        let updated = update(directory.path(), &report(cases)).unwrap();
        assert!(updated.cases.is_empty());
        assert_eq!(updated.left.len(), 4);
        assert!(updated.left[1].2.contains("YAML is not rewritten"));
        assert_eq!(fs::read_to_string(directory.path().join("x.json")).unwrap(), FILE);
    }

    #[test]
    fn a_file_that_changed_meanwhile_is_left() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.json");
        for text in [&FILE.replace("\"c\"", "\"d\""), "{", ""] {
            fs::write(&path, text).unwrap();
            let one = report(vec![failed("x.json", "c", "verdict", Some("{}"))]);
            let error = update(directory.path(), &one).unwrap_err().to_string();
            assert!(error.ends_with("it was changed while its cases ran"), "{error}");
            assert_eq!(&fs::read_to_string(&path).unwrap(), text);
        }
    }
}
