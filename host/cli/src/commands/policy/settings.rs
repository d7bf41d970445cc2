//! `attorn policy settings`.

use std::path::PathBuf;

use attorn_toolchain::bundle::{self, BundleError};
use clap::Args;
use serde_json::{Map, Value};

use super::push;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;

/// Print the settings of the plugin `rego` that policies of OPA come to: all modules and `data.json` of a directory or of a
/// bundle, with the settings beside them that `--with` names. What is in it and left out is told on standard error.
/// Archives are read within bounds; links and paths that lead out of them are refused.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  attorn policy settings --rego policies/
  attorn policy settings --rego bundle.tar.gz --with '{\"package\":\"httpapi.authz\"}' > settings.json")]
pub(crate) struct Settings {
    /// A directory, or a bundle as `opa build` makes it
    #[arg(long, value_name = "DIR|FILE")]
    rego: PathBuf,
    /// The other settings: JSON, or a file that holds it
    #[arg(long, value_name = "JSON|FILE", default_value = "{}")]
    with: String,
}

impl Settings {
    pub(super) fn run(self, output: &Output) -> Result<Exit, Failure> {
        let others = push::settings(&self.with)?;
        let bundle = bundle::read(&self.rego).map_err(|error| failed(&error))?;
        bundle.left_out.iter().for_each(|what| output.note(format!("left out: {what}")));
        output.json(&joined(others, bundle.settings)?)?;
        Ok(Exit::Done)
    }
}

/// Both, where none of them takes the place of another.
fn joined(others: Value, bundle: Map<String, Value>) -> Result<Value, Failure> {
    let Value::Object(mut settings) = others else {
        return Err(Failure::usage("the settings of `--with` are no JSON object"));
    };
    for (name, value) in bundle {
        if settings.contains_key(&name) {
            let failure = Failure::usage(format!("`--with` has `{name}`, and the bundle brings it"));
            return Err(failure.with_help("leave it out of one of them"));
        }
        settings.insert(name, value);
    }
    Ok(settings.into())
}

pub(super) fn failed(error: &BundleError) -> Failure {
    let failure = Failure::of(error);
    match error {
        BundleError::Io { .. } => failure.with_help("`--rego` is a directory, or a bundle: `bundle.tar.gz`"),
        BundleError::Empty { .. } => {
            failure.with_help("modules are files that end in `.rego`, and not in `_test.rego`")
        }
        BundleError::Refused { .. } => failure,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_that_the_bundle_brings_is_replaced() {
        let bundle = || json!({ "modules": { "a.rego": "package a" }, "data": {} }).as_object().unwrap().clone();
        for (others, problem) in [
            (json!([]), "the settings of `--with` are no JSON object"),
            (json!({ "data": { "a": 1 } }), "`--with` has `data`, and the bundle brings it"),
        ] {
            let failure = joined(others, bundle()).unwrap_err();
            assert_eq!((failure.exit, failure.message.as_str()), (Exit::Usage, problem));
        }
        let joined = joined(json!({ "package": "a" }), bundle()).unwrap();
        assert_eq!(joined, json!({ "package": "a", "modules": { "a.rego": "package a" }, "data": {} }));
    }

    #[test]
    fn what_cannot_be_read_has_a_way_out() {
        let directory = tempfile::tempdir().unwrap();
        let error = |path: PathBuf| failed(&bundle::read(&path).unwrap_err());
        assert!(error(directory.path().join("nowhere")).help.unwrap().contains("bundle.tar.gz"));
        assert!(error(directory.path().to_owned()).help.unwrap().contains("_test.rego"));
    }
}
