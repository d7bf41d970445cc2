//! The languages, and what each gets.

use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use attorn_toolchain::project as projects;

use crate::policy::Policy;
use crate::tools::Ground;
use crate::{c, go, python, typescript};

/// A language other than Rust.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    TypeScript,
    C,
    Python,
    Go,
}

impl Language {
    pub(crate) const ALL: [Self; 4] = [Self::TypeScript, Self::C, Self::Python, Self::Go];

    /// Its name, which is its directory's.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::TypeScript => "typescript",
            Self::C => "c",
            Self::Python => "python",
            Self::Go => "go",
        }
    }

    /// Build a policy, and give the component's file.
    pub(crate) fn build(self, ground: &Ground, policy: &Policy) -> Result<PathBuf, String> {
        match self {
            Self::TypeScript => typescript::build(ground, policy),
            Self::C => c::build(ground, policy),
            Self::Python => python::build(ground, policy),
            Self::Go => go::build(ground, policy),
        }
    }
}

impl FromStr for Language {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|language| language.as_str() == text).ok_or_else(|| {
            let known: Vec<&str> = Self::ALL.iter().map(|language| language.as_str()).collect();
            format!("`{text}` is no language here; there are {}", known.join(", "))
        })
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Build a project on the SDK of its language. The component stays with its sources, as in any project.
pub(crate) fn project(sources: &Path) -> Result<PathBuf, String> {
    let made = projects::build(sources, &mut |line| eprintln!("{line}")).map_err(|error| {
        let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        format!("{error}{cause}")
    })?;
    Ok(made.path)
}
