//! `cargo xtask polyglot`: the policy contract tried in other languages than Rust.
//!
//! The work is `attorn-polyglot`'s, which needs the engine; here it is only built and run.

use crate::steps::{Failed, Steps};
use crate::workspace::Workspace;

/// Build it, and have it try these languages, or all.
pub(crate) fn polyglot(workspace: &Workspace, steps: &mut Steps, languages: &[String]) -> Result<(), Failed> {
    // Of the whole workspace, so that its dependencies are built with the same features, and only once.
    let build = ["build", "--locked", "--workspace", "--bin", "attorn-polyglot"];
    steps.command("build", &workspace.cargo(&build))?;
    let polyglot = workspace.built("debug", "attorn-polyglot").map_err(|why| Failed::before_any_step(&why))?;
    let polyglot = languages.iter().fold(polyglot, super::run::Invocation::with);
    steps.command("polyglot", &polyglot)?;
    steps.summary();
    Ok(())
}
