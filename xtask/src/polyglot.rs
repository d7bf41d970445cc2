//! `cargo xtask polyglot`: policies in every language, and the SDKs of agents and resource servers in all but Rust, whose tests
//! are like all others. All that is tested here is tested in `ci`, too; here it is alone.
//!
//! What is tested is the tests' own; here is which of them these are, and what they need.

use crate::check;
use crate::components::{self, Guests};
use crate::interop::{self, Part};
use crate::run::Invocation;
use crate::steps::{Failed, Steps};
use crate::workspace::Workspace;

/// Everything that builds policies: all templates, the plugins in all their languages with their cases, and what the README
/// says of each language.
const TESTS: [&str; 6] = ["--test", "template", "--test", "plugins", "--test", "policy_tools"];

/// What passes a large context to a policy in each language, and measures it.
const MEASURES: &str = "attorn-polyglot";

/// Build and test every template, SDK, example and plugin. What is missing for one of them is a failure that says how to
/// get it.
pub(crate) fn polyglot(workspace: &Workspace, steps: &mut Steps) -> Result<(), Failed> {
    interop::check_tools(steps, &[Part::Sdks])?;
    components::build(workspace, steps, Guests::All)?;
    // Of the whole workspace, so that its dependencies are built with the same features, and only once.
    let programs = ["--bin", "attorn", "--bin", "attorn-interop", "--example", "articles"];
    steps.command("build", &workspace.cargo(&[&["build", "--locked", "--workspace"][..], &programs].concat()))?;
    let attorn = workspace.built("debug", "attorn").map_err(|why| Failed::before_any_step(&why))?;
    steps.command("tools of the languages", &attorn.with("policy").with("doctor"))?;
    steps.command("policies", &check::tests(workspace, &TESTS))?;
    interop::play(workspace, steps, &[Part::Sdks], None)?;
    steps.summary();
    Ok(())
}

/// Build what measures for speed, and have it measure in these languages, or all, and in Rust.
pub(crate) fn measure(workspace: &Workspace, steps: &mut Steps, languages: &[String]) -> Result<(), Failed> {
    components::build(workspace, steps, Guests::All)?;
    let build = ["build", "--locked", "--release", "--workspace", "--bin", MEASURES];
    steps.command("build", &workspace.cargo(&build))?;
    let polyglot = workspace.built("release", MEASURES).map_err(|why| Failed::before_any_step(&why))?;
    let polyglot = languages.iter().fold(polyglot, Invocation::with);
    steps.command("measure", &polyglot)?;
    steps.summary();
    Ok(())
}
