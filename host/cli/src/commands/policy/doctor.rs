//! `attorn policy doctor`.

use attorn_toolchain::doctor::{self, Tool};
use attorn_toolchain::template::Language;
use clap::Args;

use super::lang::Lang;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;

/// Say which of the tools that `attorn policy build` needs are here, and how to get the others. Ends with 1 if one is
/// missing. Nothing is installed.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  attorn policy doctor\n  attorn policy doctor --lang typescript")]
pub(crate) struct Doctor {
    /// Only for this language; otherwise for all that there are templates of
    #[arg(long, value_enum)]
    lang: Option<Lang>,
}

pub(super) fn run(doctor: &Doctor, output: &Output) -> Result<Exit, Failure> {
    let tools = match doctor.lang {
        Some(lang) => doctor::tools(&[lang.into()]),
        None => doctor::tools(Language::ALL),
    };
    if output.json {
        output.json(&tools)?;
    } else {
        let row = |tool: &Tool| {
            let state = tool.found.clone().unwrap_or_else(|| format!("missing: {}", tool.install));
            vec![tool.language.as_str().to_owned(), tool.name.to_owned(), state]
        };
        output.table(&["FOR", "TOOL", "FOUND"], &tools.iter().map(row).collect::<Vec<_>>());
    }
    let whole = tools.iter().all(|tool| tool.found.is_some());
    Ok(if whole { Exit::Done } else { Exit::Error })
}
