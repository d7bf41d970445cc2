//! `attorn completions`.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::args::Cli;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;

/// Print a script that completes this command in a shell.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  attorn completions bash > ~/.local/share/bash-completion/completions/attorn")]
pub(crate) struct Completions {
    /// Which shell
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(&self, context: &Context) -> Result<Exit, Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "attorn", &mut script);
        context.output.raw(&String::from_utf8(script).map_err(|error| Failure::of(&error))?);
        Ok(Exit::Done)
    }
}
