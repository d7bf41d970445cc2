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
    steps.command("server", &workspace.cargo(&["build", "--locked", "--package", "attorn-cli"]))?;
    let component = |name: &str| directory.join(format!("{name}.wasm")).display().to_string();
    let run = ["run", "--locked", "--quiet", "--package", "attorn-cli", "--", "demo", "--component"];
    let play = workspace.cargo(&run).with(component(PLUGIN)).with("--looping-component").with(component(LOOPS));
    if keep {
        // The server runs until somebody stops it, and that is no failure of a step.
        return play.with("--keep").become_it();
    }
    steps.command("story", &play)?;
    steps.summary();
    Ok(())
}
