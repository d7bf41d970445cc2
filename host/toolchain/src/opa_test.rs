//! The tests that stand beside OPA's policies: rules whose names begin with `test_`, as `opa test` runs them.
//!
//! No Rego is evaluated here. The plugin `rego` gets a module more, whose one rule asks for the test that the request's
//! arguments name, and the real engine asks it for each. So a test goes by what decides in force: what the plugin refuses
//! is refused, and an error of a builtin is none that passes silently. Facts, counters and `input` of the settings have no
//! part in it, since tests bring theirs by `with`.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use attorn_core::{Known, Outcome, PolicyLimits, Verdict};
use attorn_engine::{Busy, Engine, Evaluation, Question};
use serde_json::{Map, Value, json};

use crate::bundle::{self, Bundle, BundleError};
use crate::cases::{CaseReport, ContextWire, Cost, Coverage, Difference, Far, Report};
use crate::once::{self, OnceError};

/// The package that asks, which nobody else has.
const PACKAGE: &str = "attorn_asks_opa_tests";

/// What the plugin says where the rule that it asks does not hold.
const UNDEFINED: &str = "not_allowed";

/// CPU time of a test, in microseconds: one may well evaluate a policy a hundred times.
const CPU_US_MAX: u64 = 1_000_000;

/// The settings beside modules and data that a test goes by.
const OTHERS: [&str; 2] = ["rego_version", "builtin_errors"];

/// Why no test was run.
#[derive(Debug, thiserror::Error)]
pub enum OpaTestError {
    /// What is tested cannot be read.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// There is no test in it.
    #[error("there is no rule that begins with `test_` in `{path}`")]
    NoTests {
        /// What was read.
        path: String,
    },
    /// The component does not load, or refuses the modules.
    #[error(transparent)]
    Once(#[from] OnceError),
}

/// Tests, and what they are about.
#[derive(Debug)]
pub struct OpaTests {
    settings: Value,
    tests: Vec<Test>,
    /// Rules that begin with `todo_test_`, which are not asked.
    pub left_out: Vec<String>,
}

/// A rule that tests others.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Test {
    file: String,
    line: usize,
    package: Vec<String>,
    rule: String,
}

impl Test {
    /// As people write it.
    fn name(&self) -> String {
        format!("data.{}.{}", self.package.join("."), self.rule)
    }

    /// As Rego reads it, whatever the package's name is made of.
    fn reference(&self) -> String {
        let parts = self.package.iter().chain([&self.rule]).map(|part| format!("[{}]", Value::from(part.as_str())));
        format!("data{}", parts.collect::<String>())
    }
}

impl OpaTests {
    /// The tests of a directory or a bundle. Of `with`, what the plugin's settings call `rego_version` and
    /// `builtin_errors` counts.
    ///
    /// # Errors
    ///
    /// It cannot be read, or has no test.
    pub fn read(path: &Path, with: &Map<String, Value>) -> Result<Self, OpaTestError> {
        let Bundle { mut settings, tests: modules_of_tests, .. } = bundle::read(path)?;
        for name in OTHERS {
            if let Some(value) = with.get(name) {
                settings.insert(name.to_owned(), value.clone());
            }
        }
        let Some(Value::Object(modules)) = settings.get_mut("modules") else {
            return Err(OpaTestError::NoTests { path: path.display().to_string() });
        };
        modules.extend(modules_of_tests);
        let all = modules.iter().flat_map(|(file, text)| tests_in(file, text.as_str().unwrap_or_default()));
        let mut seen = BTreeSet::new();
        let (tests, todo): (Vec<Test>, Vec<Test>) =
            all.filter(|test| seen.insert(test.name())).partition(|test| !test.rule.starts_with("todo_"));
        if tests.is_empty() {
            return Err(OpaTestError::NoTests { path: path.display().to_string() });
        }
        let is_v0 = settings.get("rego_version") == Some(&json!(0));
        let Some(Value::Object(modules)) = settings.get_mut("modules") else {
            return Err(OpaTestError::NoTests { path: path.display().to_string() });
        };
        modules.insert(format!("{PACKAGE}.rego"), asking(&tests, is_v0).into());
        settings.insert("rules".to_owned(), json!({ "allow": format!("data.{PACKAGE}.holds") }));
        Ok(Self { settings: settings.into(), tests, left_out: todo.iter().map(Test::name).collect() })
    }

    /// Ask each of them, in the plugin's component.
    ///
    /// # Errors
    ///
    /// The component does not load, or refuses the modules.
    pub async fn run(
        &self,
        engine: &Engine,
        component: &[u8],
        limits: PolicyLimits,
        watch: impl Fn(Far<'_>) + Sync,
    ) -> Result<Report, OpaTestError> {
        let limits = PolicyLimits { cpu_us_max: CPU_US_MAX, ..limits };
        let of = self.tests.len();
        let begins = |done: usize| watch(Far::Begins { done, of, name: &self.tests[done].name() });
        // Loading compiles, which takes longest.
        begins(0);
        let policy = once::load(engine, component, &self.settings.to_string(), limits)?;
        let mut cases = Vec::with_capacity(of);
        for (at, test) in self.tests.iter().enumerate() {
            begins(at);
            let question = Question { policy: policy.clone(), known: Known::default() };
            let asked = engine.evaluate(vec![question], Arc::new(context(at)?)).await.map_err(OnceError::Busy)?;
            let evaluation = asked.into_iter().next().ok_or(OnceError::Busy(Busy))?;
            let report = CaseReport {
                file: test.file.clone(),
                name: test.name(),
                said: None,
                differences: difference(test, &evaluation).into_iter().collect(),
                cost: Some(Cost { fuel: evaluation.usage.fuel, memory_bytes: evaluation.usage.memory_bytes }),
            };
            watch(Far::Done(&report));
            cases.push(report);
        }
        Ok(Report { cases, coverage: Coverage::default() })
    }
}

/// The module that asks for one test at a time.
fn asking(tests: &[Test], is_v0: bool) -> String {
    let then = if is_v0 { "" } else { "if " };
    let rule = |(at, test): (usize, &Test)| {
        format!("\nholds {then}{{\n\tinput.arguments.test == {at}\n\t{}\n}}\n", test.reference())
    };
    tests.iter().enumerate().map(rule).fold(format!("package {PACKAGE}\n"), |module, rule| module + &rule)
}

/// A request that asks for this test.
fn context(test: usize) -> Result<attorn_core::EvaluationContext, OnceError> {
    let wire = json!({ "request": { "action": "opa.test", "resource": "test/it", "arguments": { "test": test } } });
    let invalid = |problem: String| OnceError::Invalid { what: "context", problem };
    let wire: ContextWire = serde_json::from_str(&wire.to_string()).map_err(|error| invalid(error.to_string()))?;
    wire.parse().map(|(context, _)| context).map_err(invalid)
}

/// How a test went otherwise than it should.
fn difference(test: &Test, evaluation: &Evaluation) -> Option<Difference> {
    let why = match &evaluation.outcome {
        Outcome::Verdict(Verdict::Allow { .. }) => return None,
        Outcome::Verdict(Verdict::Deny { reasons }) => reasons,
        Outcome::Verdict(_) => &Vec::new(),
        Outcome::Failed(failure) => return Some(at(test, failure.as_str().to_owned())),
    };
    // The one rule that is asked is undefined.
    let is_undefined = why.iter().all(|reason| reason.code.as_str() == UNDEFINED);
    let texts = why.iter().map(|reason| reason.text.as_str());
    let mut got =
        if is_undefined { "false or undefined".to_owned() } else { texts.clone().collect::<Vec<_>>().join("; ") };
    // The plugin tells the log its reasons, too.
    let is_reason = |message: &str| message.starts_with(UNDEFINED) || texts.clone().any(|text| text == message);
    for line in evaluation.log.iter().filter(|line| !is_reason(&line.message)) {
        got = format!("{got}; printed at {}", line.message);
    }
    Some(at(test, got))
}

fn at(test: &Test, got: String) -> Difference {
    Difference { member: format!("line {}", test.line), expected: Some("true".to_owned()), got: Some(got) }
}

/// The rules of a module that begin with `test_` or `todo_test_`: what stands first on a line, outside of all brackets,
/// texts and comments. Functions are none.
fn tests_in(file: &str, module: &str) -> Vec<Test> {
    let Some(package) = bundle::package(module) else { return Vec::new() };
    let mut tests = Vec::new();
    let (mut depth, mut line, mut first_on_line) = (0_usize, 1, true);
    let mut rest = module;
    while let Some(next) = rest.chars().next() {
        let mut length = next.len_utf8();
        match next {
            '\n' => {
                line += 1;
                first_on_line = true;
                rest = &rest[length..];
                continue;
            }
            '#' => length = rest.find('\n').unwrap_or(rest.len()),
            '"' => length = text_length(rest),
            '`' => length = rest[1..].find('`').map_or(rest.len(), |end| end + 2),
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ if next.is_alphabetic() || next == '_' => {
                length = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
                let (word, after) = rest.split_at(length);
                let is_test = word.starts_with("test_") || word.starts_with("todo_test_");
                if is_test && first_on_line && depth == 0 && !after.starts_with(['(', '.']) {
                    tests.push(Test { file: file.to_owned(), line, package: package.clone(), rule: word.to_owned() });
                }
            }
            _ => {}
        }
        first_on_line &= next.is_whitespace();
        // A text between backticks goes over lines.
        line += rest[..length].matches('\n').count();
        rest = &rest[length..];
    }
    tests
}

/// How long a text in quotes is, with both of them.
fn text_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            // It is closed nowhere, which the plugin says best.
            '\n' => return at,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(module: &str) -> Vec<(usize, String)> {
        tests_in("a_test.rego", module).into_iter().map(|test| (test.line, test.name())).collect()
    }

    #[test]
    fn what_is_no_rule_is_no_test() {
        for module in [
            "",
            "test_a if true",
            "package a\n# test_b if true",
            "package a\nx := {\"\\\"}\",\ntest_b,\n}",
            "package a\nx := `\ntest_b\n`",
            "package a\nx := [\ntest_b,\n]",
            "package a\nallow if {\n\ttest_b\n}",
            "package a\nx := test_b",
            "package a\ntest_b(x) := x",
            "package a\nmy_test_b if true",
            "package a\ntestb if true",
        ] {
            assert_eq!(found(module), [], "{module}");
        }
    }

    #[test]
    fn tests_are_known_with_their_lines() {
        let module = "package httpapi.authz_test\n\nimport data.httpapi.authz\n\ntest_get if authz.allow with input as {\n\
                      \t\"user\": \"}\",\n}\n\n\ttest_no := `a\nb` # {\n todo_test_later if { true } test_same\ntest_get { true }\n";
        let name = |rule: &str| format!("data.httpapi.authz_test.{rule}");
        let expect = [(5, "test_get"), (9, "test_no"), (11, "todo_test_later"), (12, "test_get")];
        assert_eq!(found(module), expect.map(|(line, rule)| (line, name(rule))));
    }

    #[test]
    fn a_package_of_any_name_is_asked() {
        let tests = tests_in("a.rego", "package a[\"b-c\"]\ntest_x if true");
        assert_eq!(tests[0].reference(), r#"data["a"]["b-c"]["test_x"]"#);
        let expect = "package attorn_asks_opa_tests\n\nholds {\n\tinput.arguments.test == 0\n\tdata[\"a\"][\"b-c\"][\"test_x\"]\n}\n";
        assert_eq!(asking(&tests, true), expect);
    }

    #[test]
    fn a_directory_without_tests_says_so() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("a.rego"), "package a\nallow if true").unwrap();
        let error = OpaTests::read(directory.path(), &Map::new()).unwrap_err().to_string();
        assert!(error.starts_with("there is no rule that begins with `test_` in "), "{error}");
        std::fs::write(directory.path().join("a_test.rego"), "package a\ntodo_test_a if true").unwrap();
        let error = OpaTests::read(directory.path(), &Map::new()).unwrap_err().to_string();
        assert!(error.starts_with("there is no rule that begins with `test_` in "), "{error}");
    }
}
