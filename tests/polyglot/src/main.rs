//! The policy contract tried in other languages: `cargo xtask polyglot [typescript|c|python|go]…`.
//!
//! The policy `spend-limit` is written by hand in each of them. Here each is built with pinned tools, and
//! its cases are run in the real engine, under the limits that its kind of component gets. What is
//! missing on this machine is said, with how to get it, and is a failure: nothing is skipped.
//!
//! The tools are installed below the target directory, by `npm` and `pip`, and used from there.

mod bindings;
mod c;
mod go;
mod language;
mod python;
mod tools;
mod typescript;

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use std::{env, fs};

use attorn_engine::{Engine, EngineConfig};
use attorn_toolchain::cases;

use language::Language;
use tools::Ground;

/// The policy that is tried.
const PLUGIN: &str = "plugins/spend-limit";

fn main() -> ExitCode {
    let asked: Vec<String> = env::args().skip(1).collect();
    let named: Result<Vec<Language>, String> = asked.iter().map(|name| name.parse()).collect();
    let languages = match named {
        Ok(named) if named.is_empty() => Language::ALL.to_vec(),
        Ok(named) => named,
        Err(problem) => {
            eprintln!("{problem}");
            return ExitCode::from(2);
        }
    };
    match Trial::start().and_then(|trial| trial.run(&languages)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("failed: {problem}");
            ExitCode::FAILURE
        }
    }
}

struct Trial {
    ground: Ground,
    engine: Engine,
    runtime: tokio::runtime::Runtime,
}

/// How one language fared.
struct Passed {
    component_bytes: u64,
    cases: usize,
    built_in: Duration,
    ran_in: Duration,
}

impl Trial {
    fn start() -> Result<Self, String> {
        let config = EngineConfig::for_host().map_err(|error| error.to_string())?;
        // Cases are about what a policy says, on however busy a machine.
        let engine = Engine::new(EngineConfig { request_wall_us_max: 10_000_000, ..config });
        Ok(Self {
            ground: Ground::find()?,
            engine: engine.map_err(|error| error.to_string())?,
            runtime: tokio::runtime::Runtime::new().map_err(|error| error.to_string())?,
        })
    }

    /// All of them, also after one has failed, so that one run tells everything that is missing.
    fn run(&self, languages: &[Language]) -> Result<(), String> {
        let mut failed = Vec::new();
        for &language in languages {
            println!("{language}");
            match self.one(language) {
                Ok(Passed { component_bytes, cases, built_in, ran_in }) => println!(
                    "{language}: {cases} cases passed; built in {:.1} s, {} KiB; run in {:.1} s",
                    built_in.as_secs_f64(),
                    component_bytes / 1_024,
                    ran_in.as_secs_f64()
                ),
                Err(problem) => {
                    eprintln!("{language}: {problem}");
                    failed.push(language.as_str());
                }
            }
        }
        if failed.is_empty() { Ok(()) } else { Err(failed.join(", ")) }
    }

    fn one(&self, language: Language) -> Result<Passed, String> {
        let started = Instant::now();
        let path = language.build(&self.ground)?;
        let built_in = started.elapsed();
        let component = fs::read(&path).map_err(|error| format!("cannot read `{}`: {error}", path.display()))?;
        let started = Instant::now();
        let cases = self.cases(&component, language)?;
        Ok(Passed { component_bytes: component.len() as u64, cases, built_in, ran_in: started.elapsed() })
    }

    fn cases(&self, component: &[u8], language: Language) -> Result<usize, String> {
        let directory = self.ground.root.join(PLUGIN).join("cases");
        let run = cases::run_dir(&self.engine, component, &directory, language.limits());
        let report = self.runtime.block_on(run).map_err(|error| chain(&error))?;
        if report.all_passed() { Ok(report.cases.len()) } else { Err(report.to_string()) }
    }
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    [error.to_string()].into_iter().chain(causes.map(ToString::to_string)).collect::<Vec<_>>().join(": ")
}

/// The sources of a language.
fn sources(ground: &Ground, language: Language) -> Result<std::path::PathBuf, String> {
    let path = ground.root.join(PLUGIN).join(language.as_str());
    if Path::new(&path).is_dir() { Ok(path) } else { Err(format!("there is no `{}`", path.display())) }
}
