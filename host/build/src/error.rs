//! Why a component could not be built, and what to do about it.

use std::io;
use std::path::PathBuf;

/// Why there is no component.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// There is no standard library to compile against.
    #[error(
        "nothing here compiles to wasm32-unknown-unknown:{}\n\
         help: run `rustup target add wasm32-unknown-unknown`; or on Debian and Ubuntu, as root, \
         `apt-get install rustc-web rust-web-src`",
        list(tried)
    )]
    NoTarget {
        /// What was tried, and what came of it.
        tried: Vec<String>,
    },
    /// Cargo ended with an error, was too slow, or could not be started.
    #[error("cargo could not build {}: {problem}", names(what))]
    Cargo {
        /// The packages or examples.
        what: Vec<String>,
        /// What happened, with the end of cargo's output.
        problem: String,
    },
    /// Cargo built something, but not this.
    #[error(
        "cargo built no `{}`\n\
         help: the crate type has to be `cdylib`, and the library named like its package",
        path.display()
    )]
    NoArtifact {
        /// The file that is not there.
        path: PathBuf,
    },
    /// The module is no component.
    #[error("`{name}` cannot be made a component: {problem}")]
    Encode {
        /// The package or example.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The component does not export the policy interface.
    #[error("`{name}` exports no policy\nhelp: name the policy by `attorn_policy::export!(…)`")]
    NoPolicy {
        /// The package or example.
        name: String,
    },
    /// The component wants something that no policy gets.
    #[error(
        "`{name}` imports {}, and a policy may import `attorn:policy/log` alone\n\
         help: a dependency uses a clock, files, randomness or the network; leave it out, or its features",
        names(imports)
    )]
    Imports {
        /// The package or example.
        name: String,
        /// What it imports beside the log.
        imports: Vec<String>,
    },
    /// A file could not be read or written.
    #[error("file `{}`", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

fn list(lines: &[String]) -> String {
    lines.iter().flat_map(|line| ["\n- ", line]).collect()
}

fn names(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
