//! `attorn demo`.

use std::path::PathBuf;

use clap::Args;

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;

/// Play a story against a real server: a support bot asks, a policy decides, and everything that it
/// must not do is refused; a user lets it act for them, and takes it back. Ends with exit code 0 if all of it came as told.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  cargo xtask demo           builds what is needed, and runs this\n  attorn demo --keep         leaves the server running, to try things by hand"
)]
pub(crate) struct Demo {
    /// Leave the server running at the end, and print commands to try by hand
    #[arg(long)]
    pub(crate) keep: bool,
    /// The component of the plugin `read-only`
    #[arg(long, value_name = "FILE")]
    pub(crate) component: Option<PathBuf>,
    /// The component of a policy that loops for ever
    #[arg(long, value_name = "FILE")]
    pub(crate) looping_component: Option<PathBuf>,
    /// The component of the plugin `own-data`
    #[arg(long, value_name = "FILE")]
    pub(crate) own_data_component: Option<PathBuf>,
    /// The directory `tests/interop/node`, after `npm ci` in it; without it or without Node, what is done on behalf
    /// of a user is skipped
    #[arg(long, value_name = "DIR")]
    pub(crate) interop: Option<PathBuf>,
}

impl Demo {
    #[cfg(not(target_os = "linux"))]
    pub(crate) async fn run(self, _: &Context) -> Result<Exit, Failure> {
        let Self { keep: _, component: _, looping_component: _, own_data_component: _, interop: _ } = self;
        Err(super::only_on_linux("demo"))
    }

    #[cfg(target_os = "linux")]
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        crate::demo::run(&self, &context.output).await
    }
}
