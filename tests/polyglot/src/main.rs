//! The policy contract tried in other languages: `cargo xtask polyglot [typescript|c|python|go]…`.
//!
//! The policy `spend-limit` is written in each of them, on the SDK of each. Here each is built with pinned tools, and
//! its cases are run in the real engine, under the limits that a server gives its class of component. What is
//! missing on this machine is said, with how to get it, and is a failure: nothing is skipped.
//!
//! With `--measure`, another policy is built in each of them, and what it costs to pass it a large context
//! is measured; in Rust, too.
//!
//! The tools are installed below the target directory, by `npm` and `pip`, and used from there.

mod bindings;
mod c;
mod contexts;
mod go;
mod language;
mod measure;
mod policy;
mod python;
mod tools;
mod typescript;

use std::env;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use attorn_artifact::{Cache, CacheKey};
use attorn_core::{ComponentClass, PolicyLimits};
use attorn_engine::{Compiler, Engine, EngineConfig, class_of};
use attorn_toolchain::cases;
use zeroize::Zeroizing;

use language::Language;
use tools::Ground;

fn main() -> ExitCode {
    let mut asked: Vec<String> = env::args().skip(1).collect();
    let measure = asked.first().is_some_and(|first| first == "--measure");
    asked.drain(..usize::from(measure));
    let named: Result<Vec<Language>, String> = asked.iter().map(|name| name.parse()).collect();
    let languages = match named {
        Ok(named) if named.is_empty() => Language::ALL.to_vec(),
        Ok(named) => named,
        Err(problem) => {
            eprintln!("{problem}");
            return ExitCode::from(2);
        }
    };
    let run = |trial: Trial| if measure { trial.measure(&languages) } else { trial.run(&languages) };
    match Trial::start().and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("failed: {problem}");
            ExitCode::FAILURE
        }
    }
}

const CACHE_BYTES_MAX: u64 = 4 << 30;

struct Trial {
    ground: Ground,
    engine: Engine,
    runtime: tokio::runtime::Runtime,
}

/// How one language fared.
struct Passed {
    component_bytes: u64,
    class: ComponentClass,
    cases: usize,
    built_in: Duration,
    ran_in: Duration,
}

impl Trial {
    fn start() -> Result<Self, String> {
        let config = EngineConfig::for_host().map_err(|error| error.to_string())?;
        // Cases are about what a policy says, on however busy a machine.
        let config = EngineConfig { request_wall_us_max: 10_000_000, ..config };
        let ground = Ground::find()?;
        // Most of a large component is compiled once then, and not with each of the many settings again.
        let cache = ground.fresh_directory("cache")?;
        let cache = Cache::open(cache, CacheKey::new(Zeroizing::new([0; 32])), CACHE_BYTES_MAX);
        let cache = Some(cache.map_err(|error| chain(&error))?);
        let engine = Engine::with_compiler(config, Compiler { worker: None, cache, leftovers: None });
        Ok(Self {
            engine: engine.map_err(|error| error.to_string())?,
            ground,
            runtime: tokio::runtime::Runtime::new().map_err(|error| error.to_string())?,
        })
    }

    /// All of them, also after one has failed, so that one run tells everything that is missing.
    fn run(&self, languages: &[Language]) -> Result<(), String> {
        let mut failed = Vec::new();
        for &language in languages {
            println!("{language}");
            match self.one(language) {
                Ok(Passed { component_bytes, class, cases, built_in, ran_in }) => println!(
                    "{language}: {cases} cases passed as `{}`; built in {:.1} s, {} KiB; run in {:.1} s",
                    class.as_str(),
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
        let component = tools::read(&language.build(&self.ground, &policy::TRIED)?)?;
        let built_in = started.elapsed();
        let started = Instant::now();
        let class = class_of(&component);
        let cases = self.cases(&component, PolicyLimits::of_class(class))?;
        Ok(Passed { component_bytes: component.len() as u64, class, cases, built_in, ran_in: started.elapsed() })
    }

    fn cases(&self, component: &[u8], limits: PolicyLimits) -> Result<usize, String> {
        let directory = policy::TRIED.directory(&self.ground).join("cases");
        let run = cases::run_dir(&self.engine, component, &directory, limits);
        let report = self.runtime.block_on(run).map_err(|error| chain(&error))?;
        if report.all_passed() { Ok(report.cases.len()) } else { Err(report.to_string()) }
    }

    fn measure(&self, languages: &[Language]) -> Result<(), String> {
        let rust = tools::read(&self.ground.components().join("reads_context.wasm"))?;
        self.measure_one("rust", &rust)?;
        for &language in languages {
            let component = tools::read(&language.build(&self.ground, &policy::MEASURED)?)?;
            self.measure_one(language.as_str(), &component)?;
        }
        Ok(())
    }

    fn measure_one(&self, language: &str, component: &[u8]) -> Result<(), String> {
        // Nothing here is about deadlines, on however busy a machine.
        let limits = PolicyLimits::of_class(class_of(component));
        let limits = PolicyLimits { cpu_us_max: 1_000_000, wall_us_max: 10_000_000, ..limits };
        let measured = measure::measure(&self.engine, &self.runtime, language, component, limits);
        measured.map_err(|problem| format!("{language}: {problem}"))
    }
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    [error.to_string()].into_iter().chain(causes.map(ToString::to_string)).collect::<Vec<_>>().join(": ")
}
