//! `attorn policy inspect`.

use std::path::PathBuf;

use attorn_toolchain::look::{Look, look};
use clap::Args;
use serde_json::{Value, json};

use super::local;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;

/// Say what a component is: the contract and its version, imports and exports, size, digest, how it was built, and the
/// schema of its settings.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  attorn policy inspect policy.wasm
  attorn policy inspect policy.wasm --json

Ends with 0 if it is a policy, and with 1 if it is none.")]
pub(crate) struct Inspect {
    /// The WebAssembly component
    file: PathBuf,
}

impl Inspect {
    pub(super) fn run(self, output: &Output) -> Result<Exit, Failure> {
        let component = super::read_component(&self.file)?;
        let look = look(&component).map_err(|error| local::not_loaded(&error))?;
        if output.json {
            output.json(&wire(&look))?;
        } else {
            print(output, &look);
        }
        Ok(Exit::Done)
    }
}

/// The schema as JSON, if it is JSON.
fn schema(look: &Look) -> Option<Value> {
    serde_json::from_str(&look.description.settings_schema).ok()
}

fn print(output: &Output, look: &Look) {
    output.line(format!("policy    {} {}", look.description.name, look.description.version));
    output.line(format!("world     {}", look.world));
    output.line(format!("digest    {}", look.digest));
    output.line(format!("size      {} bytes, class {}", look.bytes, look.class.as_str()));
    for (what, names) in [("import", &look.imports), ("export", &look.exports)] {
        for name in names {
            output.line(format!("{what}    {name}"));
        }
    }
    match &look.built {
        Some(built) => {
            output.line(format!("language  {}", built.language));
            output.line(format!("sdk       {}", built.sdk));
            output.line(format!("source    {}", built.source));
        }
        None => output.line("language  (it does not say how it was built)"),
    }
    for section in &look.sections {
        output.line(format!("section   {} ({} bytes)", section.name, section.bytes));
    }
    let schema = schema(look).map_or_else(|| "(none)".to_owned(), |schema| schema.to_string());
    output.line(format!("settings  {schema}"));
}

fn wire(look: &Look) -> Value {
    json!({
        "name": look.description.name, "version": look.description.version, "world": look.world,
        "digest": look.digest, "bytes": look.bytes, "class": look.class.as_str(), "imports": look.imports,
        "exports": look.exports, "built": look.built, "sections": look.sections, "settings_schema": schema(look),
    })
}
