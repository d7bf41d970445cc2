//! `attorn freeze`, `attorn thaw` and `attorn frozen`.
//!
//! They are verbs without a noun: whoever needs the first has no time to look for it.

use attorn_api::users::{self, ChangeFreeze};
use attorn_core::TimeMs;
use clap::Args;

use super::Why;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;

/// Deny everything: no decision allows, no grant is used, nothing is delegated, until somebody thaws the server
/// (duty: registrar).
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  attorn freeze --reason 'an agent was taken over'
  attorn frozen
  attorn thaw --reason 'it is retired'

It is one durable write: what is answered after it is denied. Thawing is a duty of its own, `thawer`.")]
pub(crate) struct Freeze {
    #[command(flatten)]
    why: Why,
}

/// Deny no longer everything: decisions are made again as before (duty: thawer).
#[derive(Debug, Args)]
pub(crate) struct Thaw {
    #[command(flatten)]
    why: Why,
}

/// Show whether everything is denied, and by whom (duty: registrar or thawer).
#[derive(Debug, Args)]
pub(crate) struct Frozen {}

impl Freeze {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let body = ChangeFreeze { reason: self.why.reason };
        print(&context.output, &context.operator()?.post("/v1/freeze", &body).await?)
    }
}

impl Thaw {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        let body = ChangeFreeze { reason: self.why.reason };
        print(&context.output, &context.operator()?.post("/v1/thaw", &body).await?)
    }
}

impl Frozen {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
        print(&context.output, &context.operator()?.get("/v1/freeze").await?)
    }
}

fn print(output: &Output, freeze: &users::Freeze) -> Result<Exit, Failure> {
    if output.json {
        return output.json(freeze).map(|()| Exit::Done);
    }
    output.line(if freeze.frozen { "frozen: everything is denied" } else { "not frozen" });
    for (name, value) in [
        ("by", freeze.by.clone()),
        ("since", freeze.since_ms.map(|at| TimeMs(at).to_string())),
        ("reason", freeze.reason.clone()),
    ] {
        if let Some(value) = value {
            output.line(format!("{name:6}  {value}"));
        }
    }
    Ok(Exit::Done)
}
