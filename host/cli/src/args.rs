//! The command line: global options and nouns. The verbs stand with their nouns.

use std::path::PathBuf;

use attorn_agent::ServerUrl;
use clap::{Args, Parser};

use crate::commands::Command;
use crate::context::Context;
use crate::output::Output;
use crate::parse;

const EXAMPLES: &str = "\
Examples:
  attorn init --dir ./attorn && attorn serve --config ./attorn/attorn.toml
  ATTORN_TOKEN=attorn_boot_… attorn operator register alice --duty admin
  attorn agent show support-bot --json
  attorn decide --key bot.key --action faq.read --resource article/42 --purpose answer-questions

Environment:
  ATTORN_URL         the server's URL, as --server
  ATTORN_TOKEN       an operator's token; there is no argument for it
  ATTORN_USER_TOKEN  a user's access token, for `attorn my`; there is no argument for it

Exit codes:
  0 allow, or done   1 error   2 usage   3 deny   4 challenge   5 verification failed
  6 it cannot be told, as something was erased, is lost, or was never recorded
  7 a case of a policy does not hold";

/// Decide what AI agents may do, and prove it.
#[derive(Debug, Parser)]
#[command(name = "attorn", version, after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// The server's URL
    #[arg(
        long,
        global = true,
        env = "ATTORN_URL",
        value_name = "URL",
        default_value = "http://127.0.0.1:7400",
        value_parser = parse::server_url,
        help_heading = "Global options"
    )]
    server: ServerUrl,
    /// A file with an operator's token, instead of the environment's
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    token_file: Option<PathBuf>,
    /// Print JSON, as the API gives it
    #[arg(long, global = true, help_heading = "Global options")]
    json: bool,
}

impl Global {
    pub(crate) fn into_context(self) -> Context {
        Context { server: self.server, token_file: self.token_file, output: Output::new(self.json) }
    }
}

#[cfg(test)]
#[path = "args_tests.rs"]
mod tests;
