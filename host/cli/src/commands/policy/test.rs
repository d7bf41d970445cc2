//! `attorn policy test`.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use attorn_toolchain::cases::{self, CaseReport, CasesError, Far, Report, Side, Updated};
use attorn_toolchain::once::OnceError;
use attorn_toolchain::opa_test::{OpaTestError, OpaTests};
use attorn_toolchain::project::COMPONENT;
use attorn_toolchain::whole;
use clap::Args;
use serde_json::{Value, json};

use super::{local, push, settings};
use crate::bar::Bar;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Output, harmless};

/// Run a policy's cases in the real engine, each in a sandbox of its own.
#[derive(Debug, Args)]
#[command(
    after_help = "The directory holds `cases/*.json` or `*.yaml` and, unless `--component` names another file, `policy.wasm`.
What a case is, `sdk/policy/CASES.md` says.

With `--rego` it is the tests of OPA's policies that run, rules that begin with `test_`, as `opa test` runs them; those that
begin with `todo_test_` are named and left out.

Examples:
  attorn policy test
  attorn policy test my-policy --junit cases.xml
  attorn policy test plugins/read-only --component target/wasm/components/read-only.wasm
  attorn policy test --update                what is said now is what is expected from now on
  attorn policy test --rego policies/ --component target/wasm/components/rego.wasm

Ends with 0 if all cases hold, 7 if one does not, 1 if they could not be run, and 2 if the arguments mean nothing."
)]
pub(crate) struct Test {
    /// The policy's directory
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// The WebAssembly component; `policy.wasm` in the directory if it is not said
    #[arg(long, value_name = "FILE")]
    component: Option<PathBuf>,
    /// Write what came to this file, as the XML that continuous integration reads
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Replace what failing cases expect by what came, in their files
    #[arg(long)]
    update: bool,
    /// Run OPA's tests of a directory, or of a bundle as `opa build` makes it, in the plugin `rego`
    #[arg(long, value_name = "DIR|FILE", conflicts_with_all = ["dir", "update"], requires = "component")]
    rego: Option<PathBuf>,
    /// Of the plugin's settings, `rego_version` and `builtin_errors`: JSON, or a file that holds it
    #[arg(long, value_name = "JSON|FILE", requires = "rego")]
    with: Option<String>,
}

impl Test {
    pub(super) async fn run(self, output: &Output) -> Result<Exit, Failure> {
        if let Some(rego) = &self.rego {
            return self.run_rego(rego, output).await;
        }
        let directory = self.dir.join("cases");
        let component = component(&self.dir, self.component.as_deref())?;
        let engine = local::engine()?;
        let limits = local::limits(&component);
        let shown = Shown::new(output);
        let side = Side { component: &component, limits };
        let ran = cases::run_dir_watched(&engine, side, &directory, |far| shown.far(far)).await;
        drop(shown);
        let report = ran.map_err(|error| not_run(&error))?;
        self.write_junit(&report)?;
        let updated = if self.update {
            cases::update(&directory, &report).map_err(|error| not_run(&error))?
        } else {
            Updated::default()
        };
        if output.json {
            output.json(&wire(&report, &updated))?;
        } else {
            print(output, &report, &updated);
        }
        // What was rewritten holds now; what could not be does not.
        let holds = if self.update { updated.left.is_empty() } else { report.all_passed() };
        Ok(if holds { Exit::Done } else { Exit::CaseFailed })
    }

    /// The same for tests that stand beside policies of OPA.
    async fn run_rego(&self, rego: &Path, output: &Output) -> Result<Exit, Failure> {
        let component = component(&self.dir, self.component.as_deref())?;
        let with = self.with.as_deref().map_or_else(|| Ok(json!({})), push::settings)?;
        let Value::Object(with) = with else {
            return Err(Failure::usage("the settings of `--with` are no JSON object"));
        };
        let tests = OpaTests::read(rego, &with).map_err(|error| no_test_run(&error))?;
        let (engine, limits) = (local::engine()?, local::limits(&component));
        let shown = Shown::new(output);
        let ran = tests.run(&engine, &component, limits, |far| shown.far(far)).await;
        drop(shown);
        let report = ran.map_err(|error| no_test_run(&error))?;
        self.write_junit(&report)?;
        if output.json {
            let mut wire = wire(&report, &Updated::default());
            wire["left_out"] = json!(tests.left_out);
            output.json(&wire)?;
        } else {
            print_failed(output, &report);
            tests.left_out.iter().for_each(|name| output.note(format!("left out: {name}")));
            output.line(format!("{} tests, {} failed", report.cases.len(), report.failed().count()));
        }
        Ok(if report.all_passed() { Exit::Done } else { Exit::CaseFailed })
    }

    fn write_junit(&self, report: &Report) -> Result<(), Failure> {
        let Some(path) = &self.junit else { return Ok(()) };
        let xml = cases::junit("attorn policy test", report).map_err(Failure::new)?;
        whole::write(path, xml.as_bytes()).map_err(|error| Failure::file("write", path, &error))
    }
}

/// The component of a policy's directory, unless another is named.
pub(super) fn component(dir: &Path, named: Option<&Path>) -> Result<Vec<u8>, Failure> {
    if let Some(path) = named {
        return super::read_component(path);
    }
    let path = dir.join(COMPONENT);
    if dir.is_dir() && !path.exists() {
        let dir = dir.display();
        let help =
            format!("`attorn policy build {dir}` makes it of its sources; or name another by `--component FILE`");
        return Err(Failure::new(format!("there is no `{}`", path.display())).with_help(help));
    }
    super::read_component(&path)
}

fn no_test_run(error: &OpaTestError) -> Failure {
    match error {
        OpaTestError::Bundle(error) => settings::failed(error),
        OpaTestError::Once(OnceError::NotLoaded(error)) => local::not_loaded(error),
        OpaTestError::NoTests { .. } => Failure::of(error)
            .with_help("tests are rules like `test_reader_is_allowed if { … }`, in modules that end in `_test.rego`"),
        OpaTestError::Once(_) => Failure::of(error),
    }
}

pub(super) fn not_run(error: &CasesError) -> Failure {
    let failure = Failure::of(error);
    match error {
        CasesError::NotLoaded(error) => local::not_loaded(error),
        CasesError::NoCases { .. } | CasesError::Unreadable { .. } => {
            failure.with_help("cases stand in `cases/*.json` or `cases/*.yaml` of the policy's directory")
        }
        CasesError::Invalid { .. } | CasesError::Unasked { .. } => {
            failure.with_help("`sdk/policy/CASES.md` says what a file of cases holds")
        }
        _ => failure,
    }
}

/// What is seen while cases run: each as it is done, and on a terminal how far it is.
struct Shown<'a> {
    output: &'a Output,
    bar: Bar,
    /// Whether the line above the first case is printed.
    headed: AtomicBool,
}

impl<'a> Shown<'a> {
    fn new(output: &'a Output) -> Self {
        Self { output, bar: Bar::new(output), headed: AtomicBool::new(false) }
    }

    fn far(&self, far: Far<'_>) {
        match far {
            Far::Begins { done, of, name } => {
                self.bar.begin(done as u64, of as u64, format_args!("cases: {}", harmless(name)));
            }
            Far::Done(_) if self.output.json => {}
            Far::Done(case) => {
                self.bar.clear();
                if !self.headed.swap(true, Ordering::Relaxed) {
                    self.output.line(row(["", "FUEL", "KIB", "CASE"]));
                }
                let number = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
                let fuel = number(case.cost.and_then(|cost| cost.fuel));
                let memory = number(case.cost.map(|cost| cost.memory_bytes / 1024));
                let state = if case.passed() { "ok" } else { "FAILED" };
                self.output.line(row([state, &fuel, &memory, &format!("{}: {}", case.file, case.name)]));
            }
        }
    }
}

/// Columns of a width that is known before all cases are done.
fn row([state, fuel, memory, case]: [&str; 4]) -> String {
    format!("{state:6}  {fuel:>10}  {memory:>6}  {case}")
}

/// Each that failed, with what went otherwise, and an empty line.
pub(super) fn print_failed(output: &Output, report: &Report) {
    for case in report.failed() {
        output.line("");
        output.line(format!("{}: {}", case.file, case.name));
        for difference in &case.differences {
            output.line(format!("    {difference}"));
        }
    }
    output.line("");
}

fn print(output: &Output, report: &Report, updated: &Updated) {
    print_failed(output, report);
    let kinds = report.coverage.kinds().map(|(kind, count)| format!("{kind} {count}"));
    output.line(format!("came to: {}", kinds.join(", ")));
    let missed: Vec<&str> = report.coverage.reasons_missed().into_iter().collect();
    let (all, given) = (report.coverage.reasons.len(), report.coverage.reasons.len() - missed.len());
    let never = if missed.is_empty() { String::new() } else { format!("; never: {}", missed.join(", ")) };
    output.line(format!("reasons: {given} of {all} given{never}"));
    output.line(format!("{} cases, {} failed", report.cases.len(), report.failed().count()));
    for (file, cases) in &updated.cases {
        output.line(format!("rewrote {} in {file}", cases.iter().cloned().collect::<Vec<_>>().join(", ")));
    }
    for (file, case, why) in &updated.left {
        output.note(format!("left {file}: {case}: {why}"));
    }
}

fn wire(report: &Report, updated: &Updated) -> Value {
    let said = |case: &CaseReport| case.said.as_deref().and_then(|said| serde_json::from_str::<Value>(said).ok());
    let case = |case: &CaseReport| {
        json!({
            "file": case.file, "name": case.name, "passed": case.passed(), "said": said(case),
            "differences": case.differences, "cost": case.cost,
        })
    };
    let left = |(file, case, why): &(String, String, &'static str)| json!({ "file": file, "name": case, "why": why });
    json!({
        "passed": report.all_passed(),
        "cases": report.cases.iter().map(case).collect::<Vec<_>>(),
        "coverage": report.coverage,
        "reasons_missed": report.coverage.reasons_missed(),
        "updated": updated.cases,
        "not_updated": updated.left.iter().map(left).collect::<Vec<_>>(),
    })
}
