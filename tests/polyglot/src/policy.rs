//! The policies that are built here, and where they stand in the repository.

use std::path::PathBuf;

use crate::language::Language;
use crate::tools::Ground;

/// A policy that is written in several languages, each in a directory of its name.
pub(crate) struct Policy {
    /// Its name.
    pub(crate) name: &'static str,
    directory: &'static str,
}

/// Whose cases are run.
pub(crate) const TRIED: Policy = Policy { name: "spend-limit", directory: "plugins/spend-limit" };

/// What is measured with.
pub(crate) const MEASURED: Policy = Policy { name: "reads-context", directory: "tests/polyglot/reads-context" };

impl Policy {
    /// Its directory.
    pub(crate) fn directory(&self, ground: &Ground) -> PathBuf {
        ground.root.join(self.directory)
    }

    /// The sources of a language.
    pub(crate) fn sources(&self, ground: &Ground, language: Language) -> Result<PathBuf, String> {
        let path = self.directory(ground).join(language.as_str());
        if path.is_dir() { Ok(path) } else { Err(format!("there is no `{}`", path.display())) }
    }

    /// The schema of its settings.
    pub(crate) fn schema(&self, ground: &Ground) -> PathBuf {
        self.directory(ground).join("settings.schema.json")
    }

    /// Where it is built in this language, below what is built here.
    pub(crate) fn home(&self, language: Language) -> String {
        format!("{}/{language}", self.name)
    }

    /// The file that its component is written to, in its home.
    pub(crate) fn file(&self) -> String {
        format!("{}.wasm", self.name)
    }
}
