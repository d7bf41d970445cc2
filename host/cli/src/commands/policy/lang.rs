//! A language, as it is named on the command line.

use attorn_toolchain::template::Language;
use clap::ValueEnum;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Lang {
    /// Rust, with the crate `attorn-policy`
    Rust,
    /// TypeScript, with the package `attorn-policy`
    #[value(name = "typescript")]
    TypeScript,
    /// C, with the library `attorn-policy`
    C,
    /// Go, with the module `attorn-policy`
    Go,
    /// Python, with the package `attorn-policy`
    Python,
    /// Cedar, in the plugin `cedar`
    Cedar,
    /// Rego, in the plugin `rego`
    Rego,
}

impl From<Lang> for Language {
    fn from(lang: Lang) -> Self {
        match lang {
            Lang::Rust => Self::Rust,
            Lang::TypeScript => Self::TypeScript,
            Lang::C => Self::C,
            Lang::Go => Self::Go,
            Lang::Python => Self::Python,
            Lang::Cedar => Self::Cedar,
            Lang::Rego => Self::Rego,
        }
    }
}
