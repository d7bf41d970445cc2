//! The policy that is measured with, and where it stands in the repository: a directory for each language.

use std::path::PathBuf;

use crate::language::Language;
use crate::tools::Ground;

const DIRECTORY: &str = "tests/polyglot/reads-context";

/// The file that its component is written to, in its home.
pub(crate) const FILE: &str = "reads-context.wasm";

/// The sources of a language.
pub(crate) fn sources(ground: &Ground, language: Language) -> Result<PathBuf, String> {
    let path = ground.root.join(DIRECTORY).join(language.as_str());
    if path.is_dir() { Ok(path) } else { Err(format!("there is no `{}`", path.display())) }
}

/// The schema of its settings.
pub(crate) fn schema(ground: &Ground) -> PathBuf {
    ground.root.join(DIRECTORY).join("settings.schema.json")
}

/// Where it is built in this language, below what is built here.
pub(crate) fn home(language: Language) -> String {
    format!("reads-context/{language}")
}
