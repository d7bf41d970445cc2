//! `attorn policy doctor`.

use attorn_toolchain::doctor::{self, Tool};
use clap::Args;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;

/// Say which of the tools that `attorn policy build` needs are here, and how to get the others. Ends with 1 if one is
/// missing. Nothing is installed.
#[derive(Debug, Args)]
pub(crate) struct Doctor {}

pub(super) fn run(output: &Output) -> Result<Exit, Failure> {
    let tools = doctor::rust();
    if output.json {
        output.json(&tools)?;
    } else {
        let row = |tool: &Tool| {
            let state = tool.found.clone().unwrap_or_else(|| format!("missing: {}", tool.install));
            vec![tool.name.to_owned(), state]
        };
        output.table(&["TOOL", "FOUND"], &tools.iter().map(row).collect::<Vec<_>>());
    }
    let whole = tools.iter().all(|tool| tool.found.is_some());
    Ok(if whole { Exit::Done } else { Exit::Error })
}
