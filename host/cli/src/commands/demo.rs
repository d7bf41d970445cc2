//! `attorn demo`.

use std::path::PathBuf;

use clap::Args;

use crate::context::Context;
#[cfg(target_os = "linux")]
use crate::demo::acts::Act;
use crate::exit::Exit;
use crate::failure::Failure;

/// Play a story against a real server: a support bot asks, a policy decides, and everything that it
/// must not do is refused; a user lets it act for them, and takes it back. Then three acts, with logins in a real
/// PostgreSQL and a user who approves. Ends with exit code 0 if all of it came as told.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  cargo xtask demo           builds what is needed, and runs this\n  attorn demo --act 3        plays the third act alone\n  attorn demo --keep         leaves the server of the story running, to try things by hand"
)]
pub(crate) struct Demo {
    /// Leave the server of the story running at its end, and print commands to try by hand; no act is played
    #[arg(long)]
    pub(crate) keep: bool,
    /// Play the story, and no act
    #[arg(long)]
    pub(crate) story: bool,
    /// Play this act alone; repeat it for several
    #[cfg(target_os = "linux")]
    #[arg(long, value_enum, value_name = "NUMBER", conflicts_with_all = ["keep", "story"])]
    pub(crate) act: Vec<Act>,
    /// The component of the plugin `read-only`
    #[arg(long, value_name = "FILE")]
    pub(crate) component: Option<PathBuf>,
    /// The component of a policy that loops for ever
    #[arg(long, value_name = "FILE")]
    pub(crate) looping_component: Option<PathBuf>,
    /// The component of the plugin `own-data`
    #[arg(long, value_name = "FILE")]
    pub(crate) own_data_component: Option<PathBuf>,
    /// The component of the plugin `spend-limit`
    #[arg(long, value_name = "FILE")]
    pub(crate) spend_limit_component: Option<PathBuf>,
    /// The directory `tests/interop/node`, after `npm ci` in it; without it or without Node, what is done on behalf
    /// of a user is skipped
    #[arg(long, value_name = "DIR")]
    pub(crate) interop: Option<PathBuf>,
    /// The directory with the programs of a PostgreSQL 15 or later; without one, logins in a database are left out
    #[arg(long, value_name = "DIR")]
    pub(crate) postgresql: Option<PathBuf>,
}

impl Demo {
    #[cfg(not(target_os = "linux"))]
    pub(crate) async fn run(self, _: &Context) -> Result<Exit, Failure> {
        let Self { keep: _, story: _, component: _, looping_component: _, own_data_component: _, .. } = self;
        let Self { spend_limit_component: _, interop: _, postgresql: _, .. } = self;
        Err(super::only_on_linux("demo"))
    }

    #[cfg(target_os = "linux")]
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        crate::demo::run(&self, &context.output).await
    }
}
