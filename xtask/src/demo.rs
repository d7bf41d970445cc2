//! `cargo xtask demo`: build what the demo needs, and play it.
//!
//! The story and the acts themselves are `attorn demo`'s; here is only what has to be there before. Without Node, or
//! where its packages cannot be had, and without PostgreSQL, the demo says what it leaves out.

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

/// The plugin that counts what is spent.
const SPEND_LIMIT: &str = "spend-limit";

/// The guest that never answers.
const LOOPS: &str = "loop_in_evaluate";

/// What is played.
pub(crate) enum Play {
    /// The story, and then the acts.
    All,
    /// The story alone.
    Story,
    /// The story, and its server is left running.
    Kept,
    /// These acts, by number.
    Acts(Vec<u8>),
}

impl Play {
    /// What these options ask for.
    pub(crate) fn of(keep: bool, story: bool, acts: Vec<u8>) -> Self {
        match (keep, story, acts) {
            (true, ..) => Self::Kept,
            (false, true, _) => Self::Story,
            (false, false, acts) if acts.is_empty() => Self::All,
            (false, false, acts) => Self::Acts(acts),
        }
    }
}

/// Build, and play.
pub(crate) fn demo(workspace: &Workspace, steps: &mut Steps, play: &Play) -> Result<(), Failed> {
    let directory = components::build(workspace, steps, Guests::One(LOOPS))?;
    // Of the whole workspace, so that its dependencies are built with the same features, and only once,
    // for this and for the tests.
    steps.command("server", &workspace.cargo(&["build", "--locked", "--workspace", "--bin", "attorn"]))?;
    packages(workspace, steps);
    let component = |name: &str| directory.join(format!("{name}.wasm")).display().to_string();
    let attorn = workspace.built("debug", "attorn").map_err(|why| Failed::before_any_step(&why))?;
    let command = attorn
        .with("demo")
        .with("--component")
        .with(component(PLUGIN))
        .with("--looping-component")
        .with(component(LOOPS))
        .with("--own-data-component")
        .with(component(OWN_DATA))
        .with("--spend-limit-component")
        .with(component(SPEND_LIMIT))
        .with("--interop")
        .with(workspace.root().join(INTEROP).display().to_string());
    let (name, command) = match play {
        // The server runs until somebody stops it, and that is no failure of a step.
        Play::Kept => return command.with("--keep").become_it(),
        Play::Story => ("story", command.with("--story")),
        Play::All => ("story and acts", command),
        Play::Acts(acts) => {
            ("acts", acts.iter().fold(command, |command, act| command.with("--act").with(act.to_string())))
        }
    };
    steps.command(name, &command)?;
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
