//! `cargo xtask demo`: build what the demo needs, and play it.
//!
//! The story itself is `attorn demo`'s; here is only what has to be there before. Without Node, or where its packages
//! cannot be had, the demo says what it leaves out.

use std::path::PathBuf;

use crate::components::{self, Guests};
use crate::interop;
use crate::run::Invocation;
use crate::steps::{Failed, Steps};
use crate::workspace::Workspace;

/// The plugin that decides in the story.
const PLUGIN: &str = "read-only";

/// The plugin that decides what is done on behalf of a user.
const OWN_DATA: &str = "own-data";

/// The scripts that run a provider.
const INTEROP: &str = "tests/interop/node";

/// The guest that never answers.
const LOOPS: &str = "loop_in_evaluate";

/// Build, and play.
pub(crate) fn demo(workspace: &Workspace, steps: &mut Steps, keep: bool) -> Result<(), Failed> {
    let directory = components::build(workspace, steps, Guests::One(LOOPS))?;
    // Of the whole workspace, so that its dependencies are built with the same features, and only once,
    // for this and for the tests.
    steps.command("server", &workspace.cargo(&["build", "--locked", "--workspace", "--bin", "attorn"]))?;
    packages(workspace, steps);
    let component = |name: &str| directory.join(format!("{name}.wasm")).display().to_string();
    let attorn = workspace.built("debug", "attorn").map_err(|why| Failed::before_any_step(&why))?;
    let play = attorn
        .with("demo")
        .with("--component")
        .with(component(PLUGIN))
        .with("--looping-component")
        .with(component(LOOPS))
        .with("--own-data-component")
        .with(component(OWN_DATA))
        .with("--interop")
        .with(workspace.root().join(INTEROP).display().to_string());
    if keep {
        // The server runs until somebody stops it, and that is no failure of a step.
        return play.with("--keep").become_it();
    }
    steps.command("story", &play)?;
    steps.summary();
    Ok(())
}

/// Have Node's packages in place, if there is Node. That they cannot be had is no failure of the demo.
fn packages(workspace: &Workspace, steps: &mut Steps) {
    if Invocation::program(workspace.root(), PathBuf::from("node")).with("--version").output().is_err() {
        return;
    }
    if let Err(failed) = interop::packages_of_node(workspace, steps) {
        eprintln!("{failed}\nthe demo goes on without");
    }
}
