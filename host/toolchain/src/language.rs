//! The languages that policies are written in here.
//!
//! What differs from one to another stands behind [`Language`]: how its projects are told, which tools they need, what
//! a new one looks like, and how a component is made of one. The rest of this crate knows components, and no language.

mod brought;
mod c;
mod copied;
mod go;
mod kept;
mod linked;
mod owned;
mod pip;
mod python;
mod rust;
mod stubbed;
mod text;
mod typescript;

use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};

pub use kept::user_cache;

use crate::doctor::Tool;
use crate::project::ProjectError;
use crate::template::{Template, TemplateError};

/// A language that policies are made, built and checked in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// Rust, with the crate `attorn-policy`.
    Rust,
    /// TypeScript, with the package `attorn-policy`, in `QuickJS`.
    TypeScript,
    /// C, with the library `attorn-policy`.
    C,
    /// Go, with the module `attorn-policy`.
    Go,
    /// Python, with the package `attorn-policy`, in `CPython`.
    Python,
    /// Cedar, whose policies are texts that the plugin `cedar` reads.
    Cedar,
    /// Rego, whose policies are texts that the plugin `rego` reads.
    Rego,
}

/// A component that was made, before it is said in it how.
#[derive(Debug)]
pub(crate) struct Compiled {
    /// Its bytes.
    pub(crate) component: Vec<u8>,
    /// The SDK and its version, as they are locked.
    pub(crate) sdk: String,
    /// The lock file, which is a source wherever it lies.
    pub(crate) lock: PathBuf,
}

impl Language {
    /// All of them. Where a directory holds projects in several, the first counts.
    pub const ALL: &[Self] = &[Self::Rust, Self::TypeScript, Self::C, Self::Go, Self::Python, Self::Cedar, Self::Rego];

    /// Its name: on the command line, in components, and of its directory beside others.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::TypeScript => "typescript",
            Self::C => "c",
            Self::Go => "go",
            Self::Python => "python",
            Self::Cedar => "cedar",
            Self::Rego => "rego",
        }
    }

    /// Whether its policies are texts: there is nothing to compile, and what a policy is stands in its settings.
    #[must_use]
    pub const fn is_text(self) -> bool {
        matches!(self, Self::Cedar | Self::Rego)
    }

    /// The file that says that a directory is a project in it.
    #[must_use]
    pub const fn manifest(self) -> &'static str {
        match self {
            Self::Rust => "Cargo.toml",
            Self::TypeScript => "package.json",
            Self::C => c::MANIFEST,
            Self::Go => go::MANIFEST,
            Self::Python => python::MANIFEST,
            Self::Cedar => text::cedar::MANIFEST,
            Self::Rego => text::rego::MANIFEST,
        }
    }

    /// The tools that it needs, in the order in which they are needed.
    #[must_use]
    pub fn tools(self) -> Vec<Tool> {
        match self {
            Self::Rust => rust::tools(),
            Self::TypeScript => typescript::tools(),
            Self::C => c::tools(),
            Self::Go => go::tools(),
            Self::Python => python::tools(),
            Self::Cedar | Self::Rego => text::tools(self),
        }
    }

    /// The language of a policy's directory, and where its project lies: there, or one deeper, in a directory of the
    /// language's name.
    pub(crate) fn of(directory: &Path) -> Option<(Self, PathBuf)> {
        let has = |home: &Path, language: Self| home.join(language.manifest()).is_file();
        let here = Self::ALL.iter().find(|&&language| has(directory, language));
        if let Some(&language) = here {
            return Some((language, directory.to_owned()));
        }
        let mut deeper = Self::ALL.iter().map(|&language| (language, directory.join(language.as_str())));
        deeper.find(|(language, home)| has(home, *language))
    }

    /// What a new project is made of. The SDK is the one whose sources are there, or the one that this program has.
    pub(crate) fn template(self, sdk: Option<&Path>) -> Result<Template, TemplateError> {
        match self {
            Self::Rust => rust::template(sdk),
            Self::TypeScript => typescript::template(sdk),
            Self::C => c::template(sdk),
            Self::Go => go::template(sdk),
            Self::Python => python::template(sdk),
            Self::Cedar => Ok(text::cedar::template()),
            Self::Rego => Ok(text::rego::template()),
        }
    }

    /// What of a new project is no text, by its name there: the component that reads texts. It is the one that is named, or
    /// that this program finds.
    pub(crate) fn adapter(self, named: Option<&Path>) -> Result<Option<(String, Vec<u8>)>, TemplateError> {
        self.is_text().then(|| text::brought(self, named)).transpose()
    }

    /// The settings that are built with the component, where a policy is a text: it stands in them.
    pub(crate) fn settings(self, home: &Path, progress: &mut dyn FnMut(&str)) -> Result<Option<String>, ProjectError> {
        self.is_text().then(|| text::settings(self, home, progress)).transpose()
    }

    /// Make the component of the policy in `directory`, whose project lies in `home`.
    pub(crate) fn build(
        self,
        directory: &Path,
        home: &Path,
        progress: &mut dyn FnMut(&str),
    ) -> Result<Compiled, ProjectError> {
        match self {
            Self::Rust => rust::build(directory, home, progress),
            Self::TypeScript => typescript::build(directory, home, progress),
            Self::C => c::build(directory, home, progress),
            Self::Go => go::build(directory, home, progress),
            Self::Python => python::build(directory, home, progress),
            Self::Cedar | Self::Rego => text::build(self, home, progress),
        }
    }
}

impl Serialize for Language {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_project_is_told_by_its_manifest_here_or_one_deeper() {
        for (files, expected) in [
            (&[][..], None),
            (&["package.json"], Some((Language::TypeScript, ""))),
            (&["Cargo.toml", "package.json"], Some((Language::Rust, ""))),
            (&["typescript/package.json"], Some((Language::TypeScript, "typescript"))),
            (&["typescript/package.json", "rust/Cargo.toml"], Some((Language::Rust, "rust"))),
            (&["package.json", "rust/Cargo.toml"], Some((Language::TypeScript, ""))),
            (&["rust/package.json"], None),
            (&["clib.json", "rust/Cargo.toml"], Some((Language::C, ""))),
            (&["c/clib.json", "typescript/package.json"], Some((Language::TypeScript, "typescript"))),
            (&["c/clib.json"], Some((Language::C, "c"))),
            (&["go/go.mod"], Some((Language::Go, "go"))),
            (&["python/pyproject.toml", "src/policy.py"], Some((Language::Python, "python"))),
            (&["pyproject.toml", "go.mod"], Some((Language::Go, ""))),
            (&["cedar.json"], Some((Language::Cedar, ""))),
            (&["rego/rego.json"], Some((Language::Rego, "rego"))),
        ] {
            let directory = tempfile::tempdir().unwrap();
            for file in files {
                let path = directory.path().join(file);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, "").unwrap();
            }
            let expected = expected.map(|(language, home)| (language, directory.path().join(home)));
            let found = Language::of(directory.path());
            assert_eq!(found.map(|(language, home)| (language, home.join(""))), expected.map(|(l, h)| (l, h.join(""))));
        }
    }

    #[test]
    fn each_tool_says_how_to_get_it() {
        for language in Language::ALL {
            let tools = language.tools();
            assert!(
                !tools.is_empty() && tools.iter().all(|tool| !tool.install.is_empty() && tool.language == *language)
            );
        }
    }
}
