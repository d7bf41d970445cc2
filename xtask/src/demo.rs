//! `cargo xtask demo`: build what the demo needs, and play it.
//!
//! The story itself is `attorn demo`'s; here is only what has to be built before.

use crate::components::{self, Guests};
use crate::steps::{Failed, Steps};
use crate::workspace::Workspace;

/// The plugin that decides in the story.
const PLUGIN: &str = "read-only";

/// The guest that never answers.
const LOOPS: &str = "loop_in_evaluate";

/// Build, and play.
pub(crate) fn demo(workspace: &Workspace, steps: &mut Steps, keep: bool) -> Result<(), Failed> {
    let directory = components::build(workspace, steps, Guests::One(LOOPS))?;
    // Of the whole workspace, so that its dependencies are built with the same features, and only once,
    // for this and for the tests.
    steps.command("server", &workspace.cargo(&["build", "--locked", "--workspace", "--bin", "attorn"]))?;
    let component = |name: &str| directory.join(format!("{name}.wasm")).display().to_string();
    let attorn = workspace.built("debug", "attorn").map_err(|why| Failed::before_any_step(&why))?;
    let play = attorn
        .with("demo")
        .with("--component")
        .with(component(PLUGIN))
        .with("--looping-component")
        .with(component(LOOPS));
    if keep {
        // The server runs until somebody stops it, and that is no failure of a step.
        return play.with("--keep").become_it();
    }
    steps.command("story", &play)?;
    steps.summary();
    Ok(())
}
