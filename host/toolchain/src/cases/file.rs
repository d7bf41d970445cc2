//! Files of cases, as they are written and as they are run.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use attorn_api::json::canonical;
use attorn_core::{EvaluationContext, JsonText};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::CasesError;
use super::context::ContextWire;
use super::known::Given;
use super::said::Said;
use super::yaml;
use crate::project::SETTINGS;

/// The version of the format.
const VERSION: u32 = 1;

/// The most bytes of a file.
pub const BYTES_MAX: usize = 4 << 20;

/// A case, ready to be run.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) file: String,
    pub(crate) name: String,
    pub(super) settings: JsonText,
    pub(super) task: Task,
    pub(super) expect: Said,
}

/// What a case tries.
#[derive(Debug)]
pub(super) enum Task {
    /// Whether the settings are refused.
    Init,
    /// What comes of this context, where the host knows what is given.
    Evaluate(Arc<EvaluationContext>, Given),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with `version` and `cases`")]
struct FileWire {
    version: u32,
    settings: Option<Box<RawValue>>,
    cases: Vec<CaseWire>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a case: an object with `name` and `expect`")]
struct CaseWire {
    name: String,
    settings: Option<Box<RawValue>>,
    context: Option<ContextWire>,
    expect: Said,
}

/// All cases of a directory, in the order of the files' names.
pub(crate) fn read_dir(directory: &Path) -> Result<Vec<Case>, CasesError> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |source| CasesError::Unreadable { path, source }
    };
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory).map_err(unreadable(directory))? {
        let path = entry.map_err(unreadable(directory))?.path();
        if yaml::is_yaml(&path) || path.extension().is_some_and(|extension| extension == "json") {
            paths.push(path);
        }
    }
    paths.sort();
    let beside = Beside::of(directory);
    let mut cases = Vec::new();
    for path in paths {
        let bytes = read_bounded(&path).map_err(unreadable(&path))?;
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let invalid = |problem| CasesError::Invalid { path: path.clone(), problem };
        cases.extend(parse(&name, &bytes, &beside).map_err(invalid)?);
    }
    if cases.is_empty() {
        return Err(CasesError::NoCases { path: directory.to_owned() });
    }
    Ok(cases)
}

/// The settings beside the directory of the cases, `settings.json`, which are those of cases that name none.
struct Beside {
    path: Option<PathBuf>,
    read: OnceCell<Result<JsonText, String>>,
}

impl Beside {
    fn of(cases: &Path) -> Self {
        // Not by `..`: of a link, what lies beside it counts.
        Self { path: cases.parent().map(|directory| directory.join(SETTINGS)), read: OnceCell::new() }
    }

    /// They are read when a case asks for them, once.
    fn get(&self) -> Result<JsonText, String> {
        self.read.get_or_init(|| self.settings()).clone()
    }

    fn settings(&self) -> Result<JsonText, String> {
        let Some(path) = self.path.as_deref().filter(|path| path.is_file()) else {
            return Err(format!("neither it nor its file has `settings`, and there is no `{SETTINGS}` beside `cases`"));
        };
        let refused = |problem: String| format!("`{}`: {problem}", path.display());
        let bytes = read_bounded(path).map_err(|error| refused(error.to_string()))?;
        let text = read_text(SETTINGS, &bytes).map_err(refused)?;
        canonical(&text).map_err(|error| refused(error.to_string()))
    }
}

/// One byte more than may be is enough to know that there are too many.
fn read_bounded(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The JSON of such a file, which may be written in YAML.
pub(crate) fn read_text(file: &str, bytes: &[u8]) -> Result<String, String> {
    if bytes.len() > BYTES_MAX {
        return Err(format!("it has more than {BYTES_MAX} bytes"));
    }
    let text = str::from_utf8(bytes).map_err(|error| error.to_string())?;
    if yaml::is_yaml(Path::new(file)) { yaml::to_json(text) } else { Ok(text.to_owned()) }
}

fn parse(file: &str, bytes: &[u8], beside: &Beside) -> Result<Vec<Case>, String> {
    let text = &read_text(file, bytes)?;
    // For duplicate keys and numbers that two readers would read differently.
    canonical(text).map_err(|error| error.to_string())?;
    let wire: FileWire = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if wire.version != VERSION {
        return Err(format!("version {} is not known, only {VERSION}", wire.version));
    }
    if wire.cases.is_empty() {
        return Err("it has no case".to_owned());
    }
    let mut names = BTreeSet::new();
    let mut cases = Vec::with_capacity(wire.cases.len());
    for case in wire.cases {
        let name = case.name.clone();
        if !names.insert(name.clone()) {
            return Err(format!("two cases have the name `{name}`"));
        }
        let settings = (wire.settings.as_deref(), beside);
        let case = one(file, settings, case).map_err(|problem| format!("case `{name}`: {problem}"))?;
        cases.push(case);
    }
    Ok(cases)
}

fn one(file: &str, (settings, beside): (Option<&RawValue>, &Beside), case: CaseWire) -> Result<Case, String> {
    let settings = match case.settings.as_deref().or(settings) {
        Some(settings) => canonical(settings.get()).map_err(|error| format!("settings: {error}"))?,
        None => beside.get()?,
    };
    case.expect.check()?;
    let task = match case.context {
        None if case.expect.is_init_error() => Task::Init,
        Some(_) if case.expect.is_init_error() => {
            return Err("settings that are refused are refused for every request: leave `context` out".to_owned());
        }
        None => return Err("it has no `context`".to_owned()),
        Some(context) => {
            let (context, given) = context.parse()?;
            Task::Evaluate(Arc::new(context), given)
        }
    };
    Ok(Case { file: file.to_owned(), name: case.name, settings, task, expect: case.expect })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(file: &str, bytes: &[u8]) -> Result<Vec<Case>, String> {
        parse(file, bytes, &Beside::of(Path::new("nowhere/cases")))
    }

    #[track_caller]
    fn refused(text: &str, problem: &str) {
        let error = parsed("a.json", text.as_bytes()).unwrap_err();
        assert!(error.contains(problem), "{error}");
    }

    fn with_case(case: &str) -> String {
        format!(r#"{{"version":1,"settings":{{}},"cases":[{case}]}}"#)
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        refused("", "EOF");
        refused("\u{0}", "expected value");
        refused(r#"{"version":2,"cases":[]}"#, "version 2 is not known");
        refused(r#"{"version":1,"cases":[]}"#, "it has no case");
        refused(r#"{"version":1,"version":1,"cases":[]}"#, "stands twice");
        refused(r#"{"version":1,"case":[]}"#, "unknown field `case`");
        refused(&with_case(r#"{"name":"a","expects":{}}"#), "unknown field `expects`");
        refused(&with_case(r#"{"name":"a","expect":{"verdict":"maybe"}}"#), "unknown variant `maybe`");
        refused(&with_case(r#"{"name":"a","expect":{"failure":"fatigue"}}"#), "`fatigue` is no failure");
        refused(&with_case(r#"{"name":"a","expect":{}}"#), "it has to expect one of");
        refused(&with_case(r#"{"name":"a","expect":{"verdict":"deny","failure":"trap"}}"#), "it has to expect one of");
        refused(&with_case(r#"{"name":"a","expect":{"verdict":"abstain","uses_max":1}}"#), "`abstain` has no");
        refused(&with_case(r#"{"name":"a","expect":{"verdict":"abstain"}}"#), "case `a`: it has no `context`");
    }

    /// What has another shape is told which one is right, in the words of the format and not of the program.
    #[test]
    fn no_refusal_names_a_type_of_the_program() {
        let all = |context: &str| {
            with_case(&format!(r#"{{"name":"a","context":{context},"expect":{{"verdict":"abstain"}}}}"#))
        };
        let with = |more: &str| all(&format!(r#"{{"request":{{"action":"a","resource":"b/1"}},{more}}}"#));
        let asked = r#"{"request":{"action":"a","resource":"b/1"}}"#;
        let expecting = |expect: &str| with_case(&format!(r#"{{"name":"a","context":{asked},"expect":{expect}}}"#));
        let saying = |more: &str| expecting(&format!(r#"{{"verdict":"allow",{more}}}"#));
        for (text, right) in [
            ("5".to_owned(), "an object with `version` and `cases`"),
            (with_case("5"), "a case: an object with `name` and `expect`"),
            (all("5"), "a context: an object with a `request`"),
            (all(r#"{"request":5}"#), "a request: an object with `action` and `resource`"),
            (with(r#""agent":5"#), "an object that describes an agent"),
            (with(r#""user":5"#), "an object that describes a user"),
            (with(r#""user":{"groups":[5]}"#), "a group, such as"),
            (with(r#""delegations":[5]"#), "an object that describes a delegation"),
            (with(r#""delegations":[{"permissions":[5]}]"#), "a permission: an object"),
            (expecting("5"), "what is expected: an object"),
            (saying(r#""approvers":[5]"#), "an approver: an object"),
            (saying(r#""debits":[5]"#), "a debit: an object"),
            (saying(r#""obligations":[5]"#), "an obligation: an object"),
        ] {
            let error = parsed("a.json", text.as_bytes()).unwrap_err();
            assert!(error.contains(&format!("expected {right}")), "{text}: {error}");
        }
    }

    #[test]
    fn contexts_are_parsed_as_the_host_parses_requests() {
        let about = |context: &str| {
            with_case(&format!(r#"{{"name":"a","context":{context},"expect":{{"verdict":"abstain"}}}}"#))
        };
        refused(&about("{}"), "missing field `request`");
        refused(&about(r#"{"request":{"action":"a.*","resource":"b/1"}}"#), "`a.*` is no action");
        refused(&about(r#"{"request":{"action":"a","resource":"b"}}"#), "`b` is no resource");
        refused(&about(r#"{"request":{"action":"a","resource":"b/1","arguments":1}}"#), "it is no JSON object");
        refused(&about(r#"{"request":{"action":"a","resource":"b/1"},"users":{}}"#), "unknown field `users`");
        let cases = parsed("a.json", about(r#"{"request":{"action":"a","resource":"b/1"}}"#).as_bytes()).unwrap();
        assert!(matches!(&cases[0].task, Task::Evaluate(context, _) if context.request.arguments.as_str() == "{}"));
    }

    #[track_caller]
    fn refused_with(more: &str, problem: &str) {
        let context = format!(r#"{{"request":{{"action":"a","resource":"b/1"}},{more}}}"#);
        refused(
            &with_case(&format!(r#"{{"name":"a","context":{context},"expect":{{"verdict":"abstain"}}}}"#)),
            problem,
        );
    }

    #[test]
    fn users_and_chains_that_no_decision_has_are_refused() {
        refused_with(r#""user":{"id":"Alice"}"#, "`Alice` is no user id");
        refused_with(r#""user":{"name":"alice"}"#, "unknown field `name`");
        refused_with(r#""user":{"issuer":""}"#, "`` is no issuer");
        refused_with(r#""user":{"acr":""}"#, "the acr has 0 characters");
        refused_with(r#""user":{"claims":[]}"#, "`claims`: it is no JSON object");
        refused_with(r#""user":{"groups":[{}]}"#, "missing field `name`");
        refused_with(r#""user":{"groups":[{"name":""}]}"#, "the name of a group has 0 characters");
        let groups = vec![r#"{"name":"g"}"#; 129].join(",");
        refused_with(&format!(r#""user":{{"groups":[{groups}]}}"#), "129 groups, and 128 is the most");

        refused_with(r#""delegations":[{}]"#, "`delegations` without a `user`");
        refused_with(r#""user":{},"delegations":[]"#, "`delegations` is empty");
        refused_with(r#""user":{},"delegations":[{"to_agent":"other"}]"#, "leads to `other`, and `test-agent` acts");
        refused_with(r#""user":{},"delegations":[{"permissions":[]}]"#, "a delegation of 0 permissions");
        let without = r#""user":{},"delegations":[{"permissions":[{"action":"a"}]}]"#;
        refused_with(without, "missing field `resource`");
        let hops = vec!["{}"; 17].join(",");
        refused_with(&format!(r#""user":{{}},"delegations":[{hops}]"#), "17 hops, and 16 is the most");
    }

    #[test]
    fn facts_and_counters_are_read_strictly() {
        refused_with(r#""facts":{"f":[1e999]}"#, "number out of range");
        refused_with(r#""facts":{"f":{"a":1,"a":2}}"#, "stands twice");
        refused_with(r#""facts":[]"#, "expected a map");
        refused_with(r#""counters":{"spent":5}"#, "expected a counter, such as `{ \"used\": 5 }`");
        refused_with(r#""counters":{"spent":{}}"#, "missing field `used`");
        refused_with(r#""counters":{"spent":{"used":-1}}"#, "expected u64");
        refused_with(r#""counters":{"spent":{"used":"1"}}"#, "expected u64");
        refused_with(r#""counters":{"spent":{"used":9007199254740992}}"#, "9007199254740992 is no count");
        refused_with(r#""counters":{"spent":{"used":1,"window":"day"}}"#, "unknown field `window`");
    }

    #[test]
    fn a_user_comes_with_a_session_and_what_was_delegated() {
        let context = r#"{"user":{"groups":[{"name":"staff"}]},"request":{"action":"a","resource":"b/1"}}"#;
        let case = with_case(&format!(r#"{{"name":"a","context":{context},"expect":{{"verdict":"abstain"}}}}"#));
        let cases = parsed("a.json", case.as_bytes()).unwrap();
        let Task::Evaluate(context, _) = &cases[0].task else { panic!("nothing is evaluated") };
        let (user, hop) = (context.user.as_ref().unwrap(), &context.delegations[0]);
        assert_eq!(user.groups[0].issuer, user.issuer);
        assert_eq!(context.time.ms_since(user.authenticated_at), 3_600_000);
        assert_eq!((&hop.to_agent, Some(&hop.session)), (&context.agent.id, context.request.session.as_ref()));
        assert!(hop.permissions[0].covers(&context.request.action, &context.request.resource));
        assert!(!hop.permissions[0].covers(&context.request.action, &"b/2".parse().unwrap()));
    }

    #[test]
    fn settings_are_needed_and_a_case_has_its_own_first() {
        refused(r#"{"version":1,"cases":[{"name":"a","expect":{"init_error":"x"}}]}"#, "has `settings`, and there is");
        let both = with_case(r#"{"name":"a","settings":{"b":1},"expect":{"init_error":"x"}}"#);
        assert_eq!(parsed("a.json", both.as_bytes()).unwrap()[0].settings.as_str(), r#"{"b":1}"#);
        let context = r#"{"request":{"action":"a","resource":"b/1"}}"#;
        refused(&with_case(&format!(r#"{{"name":"a","context":{context},"expect":{{"init_error":"x"}}}}"#)), "leave");
        refused(&with_case(r#"{"name":"a","expect":{"init_error":""}}"#), "is in every text");
    }

    #[test]
    fn cases_that_name_no_settings_are_about_those_beside_them() {
        let home = tempfile::tempdir().unwrap();
        let (directory, settings) = (home.path().join("cases"), home.path().join(SETTINGS));
        fs::create_dir(&directory).unwrap();
        let none = r#"{"name":"a","expect":{"init_error":"x"}}"#;
        let own = r#"{"name":"b","settings":{"b":1},"expect":{"init_error":"x"}}"#;
        fs::write(directory.join("a.json"), format!(r#"{{"version":1,"cases":[{none},{own}]}}"#)).unwrap();
        let error = read_dir(&directory).unwrap_err().to_string();
        assert!(error.contains("case `a`: neither it nor its file has `settings`"), "{error}");
        fs::write(&settings, "{ \"d\": 1, \"c\": 1 }\n").unwrap();
        let read: Vec<_> = read_dir(&directory).unwrap().into_iter().map(|case| case.settings).collect();
        assert_eq!(read.iter().map(JsonText::as_str).collect::<Vec<_>>(), [r#"{"c":1,"d":1}"#, r#"{"b":1}"#]);
        for (text, problem) in [("{", "settings.json`: EOF"), (r#"{"c":1,"c":2}"#, "stands twice")] {
            fs::write(&settings, text).unwrap();
            let error = read_dir(&directory).unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
        fs::remove_file(&settings).unwrap();
        fs::create_dir(&settings).unwrap();
        assert!(read_dir(&directory).is_err(), "a directory is no settings");
    }

    #[test]
    fn names_are_not_used_twice() {
        let case = r#"{"name":"a","expect":{"init_error":"x"}}"#;
        refused(&with_case(&format!("{case},{case}")), "two cases have the name `a`");
    }

    #[test]
    fn a_directory_without_cases_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        assert!(matches!(read_dir(directory.path()), Err(CasesError::NoCases { .. })));
        fs::write(directory.path().join("notes.txt"), "no case").unwrap();
        assert!(matches!(read_dir(directory.path()), Err(CasesError::NoCases { .. })));
        assert!(matches!(read_dir(&directory.path().join("none")), Err(CasesError::Unreadable { .. })));
        fs::write(directory.path().join("a.json"), "{").unwrap();
        let error = read_dir(directory.path()).unwrap_err().to_string();
        assert!(error.contains("a.json`: EOF"), "{error}");
    }
}
