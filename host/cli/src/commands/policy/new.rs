//! `attorn policy new`.

use std::path::{Path, PathBuf};

use attorn_toolchain::template::{self, Language, NewPolicy, TemplateError};
use clap::Args;
use serde_json::json;

use super::lang::Lang;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;

/// Make a small policy that builds, with settings, cases and a README, in a directory of its name.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  attorn policy new listed-actions --lang rust\n  attorn policy new listed-actions --lang typescript\n  attorn policy new listed-actions --lang c\n  attorn policy new listed-actions --lang go\n  attorn policy new listed-actions --lang python\n  attorn policy new listed-actions --lang cedar\n  attorn policy new listed-actions --lang rego\n  attorn policy new listed-actions --lang rust --sdk ../attorn/sdk/policy/rust\n  attorn policy new listed-actions --lang cedar --sdk ../attorn/plugins/cedar"
)]
pub(crate) struct New {
    /// Its name: small letters, digits and `-`
    name: String,
    /// What it is written in
    #[arg(long, value_enum)]
    lang: Lang,
    /// Use the SDK of this directory. Otherwise a copy of the one that this program has goes into the project, in
    /// `vendor`: the SDK is published nowhere yet. For Cedar and Rego, copy the component that reads them from this file,
    /// or from the plugin's directory where it was built; otherwise from beside this program
    #[arg(long, value_name = "DIR|FILE")]
    sdk: Option<PathBuf>,
}

impl New {
    pub(super) fn run(self, output: &Output) -> Result<Exit, Failure> {
        let language = Language::from(self.lang);
        let new = NewPolicy { name: &self.name, within: Path::new("."), language, sdk: self.sdk.as_deref() };
        template::create(&new).map_err(|error| failed(&error))?;
        if output.json {
            return output.json(&json!({ "directory": self.name })).map(|()| Exit::Done);
        }
        let name = self.name;
        output.line(format!("made {name}"));
        output.note(format!("next: `cd {name}`, `attorn policy build`, `attorn policy test`"));
        Ok(Exit::Done)
    }
}

fn failed(error: &TemplateError) -> Failure {
    let failure = Failure::of(error);
    match error {
        TemplateError::Name { .. } => {
            Failure { exit: Exit::Usage, ..failure }.with_help("such as `listed-actions`; it is made in this directory")
        }
        TemplateError::Exists { .. } => failure.with_help("nothing is overwritten: choose another name"),
        TemplateError::BadAdapter { language, .. } => {
            let name = language.as_str();
            failure.with_help(format!("`attorn policy build plugins/{name}` in Attorn's sources makes the one for `{name}`: `plugins/{name}/policy.wasm`"))
        }
        TemplateError::NoAdapter { language } => {
            let name = language.as_str();
            failure.with_help(format!(
                "`cargo xtask components` in Attorn's sources puts it where it is found; or name one by `--sdk FILE`: \
                 `attorn policy build plugins/{name}` makes `plugins/{name}/policy.wasm`"
            ))
        }
        TemplateError::NoSdk { language, .. } => {
            let name = language.as_str();
            failure.with_help(format!("`sdk/policy/{name}` of Attorn's sources is the one for `{name}`"))
        }
        TemplateError::File { .. } => failure,
    }
}
