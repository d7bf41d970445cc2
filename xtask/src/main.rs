//! Tasks of the repository: `cargo xtask demo`, `test`, `ci`, `full`, `bench`, `fuzz`, `components`, `languages`,
//! `polyglot`, `interop`, `tidy`.
//!
//! A task is a row of steps. Each says what it does before it does it and how long it took, and a
//! step that fails names the command that repeats it alone.
//!
//! Nothing here decides what a policy may do, and nothing that is shipped depends on it. It has few
//! dependencies, because it is built before anything else.

mod check;
mod components;
mod demo;
mod fuzz;
mod interop;
mod languages;
mod polyglot;
mod readme;
mod run;
mod steps;
mod tidy;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use steps::{Failed, Steps};
use workspace::Workspace;

/// Tasks of this repository.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build what the demo needs, and play it: a real server on loopback, the whole story, and three acts with a real
    /// PostgreSQL
    Demo {
        /// Leave the server of the story running afterwards, and print commands to try by hand; no act is played
        #[arg(long)]
        keep: bool,
        /// Play the story, and no act
        #[arg(long)]
        story: bool,
        /// Play this act alone: 1, 2 or 3; repeat it for several
        #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u8).range(1..=3), conflicts_with_all = ["keep", "story"])]
        act: Vec<u8>,
    },
    /// Check everything: repository, format, lints, documentation, all tests
    Test,
    /// What a change must pass; `.ci/run` calls it: `test` and `interop`, but for the part `wkg`
    Ci,
    /// The checks of `ci` with more rounds and more generated cases; takes long
    Full,
    /// Run the benchmarks, or those of one area
    Bench {
        /// Only the benchmarks of this area: `engine`, `http`, `hostile`, `compile`, `delegation`, `store`,
        /// `audit`, `credentials`, `policies`
        area: Option<String>,
        /// Print one JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Feed random input to what reads it, for a bounded time: to one target or to all of them
    Fuzz {
        /// Only this one, by the name of its file in `fuzz/fuzz_targets`
        target: Option<String>,
        /// How long to feed each, in seconds
        #[arg(long, default_value_t = 60)]
        seconds: u32,
    },
    /// Build the policy components of plugins and tests into target/wasm/components
    Components,
    /// Measure the policy that is written in all languages, and write the table of plugins/README.md
    ///
    /// On a machine that does nothing else: it builds for speed first, and needs what the languages need.
    Languages,
    /// Build and test policies in every language, and the SDKs in all but Rust: a part of `ci`, alone
    ///
    /// Needs Node, Python, Go and make, and says which of them is missing.
    Polyglot {
        /// Instead, measure what it costs to pass a large context to a policy in each language
        #[arg(long)]
        measure: bool,
        /// Measure only these, and Rust: `typescript`, `c`, `python`, `go`
        #[arg(requires = "measure")]
        languages: Vec<String>,
    },
    /// Play the server against software that is not ours: providers, OAuth clients, openssl, schemathesis
    ///
    /// Needs Node, Python, Java, Maven and OpenSSL, and says which of them is missing.
    Interop {
        /// Only these
        #[arg(long, value_enum, value_name = "NAME")]
        only: Vec<interop::Part>,
    },
    /// Check the repository itself: long files, leftovers, paths, lock files, plugins, documents
    Tidy,
}

fn main() -> ExitCode {
    let task = Arguments::parse().task;
    let mut steps = Steps::start();
    match perform(task, &mut steps) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            eprintln!("\n{failed}");
            ExitCode::FAILURE
        }
    }
}

fn perform(task: Task, steps: &mut Steps) -> Result<(), Failed> {
    let workspace = Workspace::find().map_err(|why| Failed::before_any_step(&why))?;
    match task {
        Task::Demo { keep, story, act } => demo::demo(&workspace, steps, &demo::Play::of(keep, story, act)),
        Task::Test => check::check(&workspace, steps),
        Task::Ci => check::ci(&workspace, steps),
        Task::Full => check::full(&workspace, steps),
        Task::Bench { area, json } => check::bench(&workspace, steps, area.as_deref(), json),
        Task::Fuzz { target, seconds } => fuzz::fuzz(&workspace, steps, target.as_deref(), seconds),
        Task::Components => components::build(&workspace, steps, components::Guests::All).map(drop),
        Task::Languages => languages::languages(&workspace, steps),
        Task::Polyglot { measure: false, .. } => polyglot::polyglot(&workspace, steps),
        Task::Polyglot { measure: true, languages } => polyglot::measure(&workspace, steps, &languages),
        Task::Interop { only } => interop::interop(&workspace, steps, &only),
        Task::Tidy => tidy::tidy(&workspace, steps),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn arguments_are_well_formed() {
        super::Arguments::command().debug_assert();
    }
}
