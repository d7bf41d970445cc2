//! `cargo xtask polyglot`: the policy contract tried in other languages than Rust.
//!
//! The work is `attorn-polyglot`'s, which needs the engine; here it is only built and run.

use crate::components::{self, Guests};
use crate::run::Invocation;
use crate::steps::{Failed, Steps};
use crate::workspace::Workspace;

// Of the whole workspace, so that its dependencies are built with the same features, and only once.
const BUILD: [&str; 5] = ["build", "--locked", "--workspace", "--bin", "attorn-polyglot"];

/// Build it, and have it try these languages, or all.
pub(crate) fn polyglot(workspace: &Workspace, steps: &mut Steps, languages: &[String]) -> Result<(), Failed> {
    steps.command("build", &workspace.cargo(&BUILD))?;
    let polyglot = workspace.built("debug", "attorn-polyglot").map_err(|why| Failed::before_any_step(&why))?;
    run(steps, polyglot, languages)
}

/// Build it for speed, and have it measure in these languages, or all, and in Rust.
pub(crate) fn measure(workspace: &Workspace, steps: &mut Steps, languages: &[String]) -> Result<(), Failed> {
    components::build(workspace, steps, Guests::All)?;
    steps.command("build", &workspace.cargo(&[&BUILD[..], &["--release"]].concat()))?;
    let polyglot = workspace.built("release", "attorn-polyglot").map_err(|why| Failed::before_any_step(&why))?;
    run(steps, polyglot.with("--measure"), languages)
}

fn run(steps: &mut Steps, polyglot: Invocation, languages: &[String]) -> Result<(), Failed> {
    let polyglot = languages.iter().fold(polyglot, Invocation::with);
    steps.command("polyglot", &polyglot)?;
    steps.summary();
    Ok(())
}
