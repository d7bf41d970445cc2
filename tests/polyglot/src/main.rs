//! What it costs to pass a large context to a policy, in each language: `cargo xtask polyglot --measure
//! [typescript|c|python|go]…`.
//!
//! The policy `reads-context` is written in each of them, in C, Go and Python against nothing but the contract. Here each is
//! built with pinned tools and measured in the real engine, as is the one in Rust. What is missing on this machine is
//! said, with how to get it, and is a failure: nothing is skipped.
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

use attorn_core::PolicyLimits;
use attorn_engine::{Engine, EngineConfig, class_of};

use language::Language;
use tools::Ground;

fn main() -> ExitCode {
    let named: Result<Vec<Language>, String> = env::args().skip(1).map(|name| name.parse()).collect();
    let languages = match named {
        Ok(named) if named.is_empty() => Language::ALL.to_vec(),
        Ok(named) => named,
        Err(problem) => {
            eprintln!("{problem}");
            return ExitCode::from(2);
        }
    };
    match Trial::start().and_then(|trial| trial.measure(&languages)) {
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

impl Trial {
    fn start() -> Result<Self, String> {
        let config = EngineConfig::for_host().map_err(|error| error.to_string())?;
        let config = EngineConfig { request_wall_us_max: 10_000_000, ..config };
        Ok(Self {
            engine: Engine::new(config).map_err(|error| error.to_string())?,
            ground: Ground::find()?,
            runtime: tokio::runtime::Runtime::new().map_err(|error| error.to_string())?,
        })
    }

    fn measure(&self, languages: &[Language]) -> Result<(), String> {
        let rust = tools::read(&self.ground.components().join("reads_context.wasm"))?;
        self.measure_one("rust", &rust)?;
        for &language in languages {
            let component = tools::read(&language.build(&self.ground)?)?;
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
