//! The languages, and what each gets.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

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

    /// Build the policy, and give the component's file.
    pub(crate) fn build(self, ground: &Ground) -> Result<PathBuf, String> {
        match self {
            Self::TypeScript => typescript::build(ground),
            Self::C => c::build(ground),
            Self::Python => python::build(ground),
            Self::Go => go::build(ground),
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
