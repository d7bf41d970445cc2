//! What came of cases, as continuous integration reads it.

use std::collections::BTreeMap;

use quick_junit::{NonSuccessKind, Report as JunitReport, TestCase, TestCaseStatus, TestSuite};

use super::report::{CaseReport, Report};

/// A report in `JUnit`'s XML: a suite for each file. It holds no times, so two runs give one text.
///
/// # Errors
///
/// When it cannot be written as XML, in words.
pub fn junit(name: &str, report: &Report) -> Result<String, String> {
    let mut suites: BTreeMap<&str, TestSuite> = BTreeMap::new();
    for case in &report.cases {
        let suite = suites.entry(&case.file).or_insert_with(|| TestSuite::new(case.file.as_str()));
        suite.add_test_case(test_case(case));
    }
    let mut whole = JunitReport::new(name);
    whole.add_test_suites(suites.into_values());
    whole.to_string().map_err(|error| error.to_string())
}

fn test_case(case: &CaseReport) -> TestCase {
    let mut status = TestCaseStatus::success();
    if let Some(first) = case.differences.first() {
        status = TestCaseStatus::non_success(NonSuccessKind::Failure);
        let lines: Vec<String> = case.differences.iter().map(ToString::to_string).collect();
        status.set_message(first.to_string()).set_description(lines.join("\n"));
    }
    let mut test_case = TestCase::new(case.name.as_str(), status);
    test_case.set_classname(case.file.as_str());
    test_case
}

#[cfg(test)]
mod tests {
    use super::super::{Coverage, Difference};
    use super::*;

    #[test]
    fn what_stands_in_names_does_not_leave_its_place() {
        let case = |name: &str, differences| CaseReport {
            file: "a.json".into(),
            name: name.into(),
            said: None,
            differences,
            cost: None,
        };
        let difference = Difference { member: "verdict".into(), expected: Some("\"<\"".into()), got: None };
        let cases = vec![case("fine", Vec::new()), case("\"/><testcase name=\"&\u{1b}", vec![difference])];
        let xml = junit("p", &Report { cases, coverage: Coverage::default() }).unwrap();
        assert!(xml.contains(r#"<testsuite name="a.json" tests="2" skipped="0" errors="0" failures="1">"#), "{xml}");
        assert_eq!(xml.matches("<testcase ").count(), 2, "{xml}");
        assert!(xml.contains("&quot;/&gt;&lt;testcase name=&quot;&amp;"), "{xml}");
        assert!(xml.contains("verdict: expected "), "{xml}");
        assert!(!xml.contains('\u{1b}'));
    }
}
