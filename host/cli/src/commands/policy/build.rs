//! `attorn policy build`.

use std::path::PathBuf;

use attorn_toolchain::project::{self, BuildError, Made, ProjectError};
use attorn_toolchain::template::Language;
use clap::Args;
use serde_json::json;

use super::local;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::interrupt::Interruption;
use crate::output::Output;

const DOCTOR_HELP: &str = "`attorn policy doctor` says whether a tool is missing";

/// Build a policy's component, `policy.wasm`. The same sources give the same bytes wherever they lie, and how it was built
/// stands in it. Of a policy in Cedar or Rego, the component is the one in `vendor` as it is, and the policy's text stands in
/// the settings that are built with it, `settings.json`.
#[derive(Debug, Args)]
#[command(
    after_help = "The directory holds `Cargo.toml` (Rust), `package.json` (TypeScript), `clib.json` (C), `go.mod` (Go), `pyproject.toml` (Python),
`cedar.json` (Cedar) or `rego.json` (Rego), or the directory `rust`, `typescript`, `c`, `go`, `python`, `cedar` or `rego` that does, as a
plugin's does here. Tools for TypeScript come from npm's registry once, the compiler for C and the interpreter for Python from
Python's, and are kept in the user's cache.

Examples:
  attorn policy build
  attorn policy build listed-actions --json

Ends with 0 if it was built and 1 if it cannot be: an earlier component is left as it was then."
)]
pub(crate) struct Build {
    /// The policy's directory
    #[arg(default_value = ".")]
    dir: PathBuf,
}

impl Build {
    pub(super) fn run(self, output: &Output) -> Result<Exit, Failure> {
        let built = Interruption::listen().with_tools(|| project::build(&self.dir, &mut |line| output.note(line)))?;
        let made = built.map_err(|error| failed(output, &error))?;
        let Made { path, digest, bytes, settings, built } = made;
        if output.json {
            let mut made = json!({ "component": path, "digest": digest, "bytes": bytes, "built": built });
            if let Some(settings) = settings {
                made["settings"] = json!(settings);
            }
            return output.json(&made).map(|()| Exit::Done);
        }
        output.line(format!("built {} ({bytes} bytes)", path.display()));
        if let Some(settings) = settings {
            output.line(format!("and   {}", settings.display()));
        }
        output.line(format!("digest {digest}"));
        Ok(Exit::Done)
    }
}

pub(super) fn failed(output: &Output, error: &ProjectError) -> Failure {
    match error {
        ProjectError::NoProject { .. } => {
            let names: Vec<_> = Language::ALL.iter().map(|language| format!("`{}`", language.as_str())).collect();
            let names = names.join(", ");
            Failure::of(error).with_help(format!(
                "name the directory that holds one, or its directory of a language; `attorn policy new NAME --lang LANG` \
                 makes a new policy ({names}); what another tool built is named by `--component FILE` where it is used"
            ))
        }
        ProjectError::NoPolicy(error) => local::not_loaded(error),
        ProjectError::Tool { problem, help } => {
            let (message, more) = problem.split_once('\n').unwrap_or((problem, ""));
            // In JSON all of it stands in the one text.
            more.lines().filter(|_| !output.json).for_each(|line| output.note(line));
            Failure::new(if output.json { problem } else { message }).with_help(*help)
        }
        // Its own text is many lines long and brings the help along.
        ProjectError::Build(error) => {
            let text = Failure::of(error).message;
            let (text, help) = text.rsplit_once("\nhelp: ").unwrap_or((&text, DOCTOR_HELP));
            let (message, more) = text.split_once('\n').unwrap_or((text, ""));
            // What cargo said was shown when it said it.
            if !matches!(error, BuildError::Cargo { .. }) {
                more.lines().for_each(|line| output.note(line));
            }
            Failure::new(if output.json { text } else { message }).with_help(help)
        }
        _ => Failure::of(error),
    }
}
