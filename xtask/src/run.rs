//! Running other programs, and saying how to do it by hand.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::steps::Failed;

/// A program with its arguments, run in the workspace's root.
#[derive(Debug, Clone)]
pub(crate) struct Invocation {
    /// None is cargo.
    program: Option<PathBuf>,
    directory: PathBuf,
    environment: Vec<(&'static str, String)>,
    arguments: Vec<String>,
}

impl Invocation {
    /// `cargo` with these arguments.
    pub(crate) fn cargo(directory: impl Into<PathBuf>, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        Self { program: None, directory: directory.into(), environment: Vec::new(), arguments }
    }

    /// A program that was built before.
    pub(crate) fn program(directory: impl Into<PathBuf>, program: PathBuf) -> Self {
        Self { program: Some(program), ..Self::cargo(directory, &[]) }
    }

    /// One more argument.
    #[must_use]
    pub(crate) fn with(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// One more environment variable.
    #[must_use]
    pub(crate) fn with_env(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.environment.push((name, value.into()));
        self
    }

    /// Run it to its end; its output goes to the terminal.
    pub(crate) fn run(&self) -> Result<(), String> {
        let status = self.command().status().map_err(|error| format!("cannot start `{self}`: {error}"))?;
        if status.success() { Ok(()) } else { Err(status.to_string()) }
    }

    /// Become it: it gets the terminal and all signals, and its end is the end of this program. It
    /// returns only if it could not be started.
    pub(crate) fn become_it(&self) -> Result<(), Failed> {
        eprintln!("\n==> {self}");
        let error = self.command().exec();
        Err(Failed::before_any_step(&format!("cannot start `{self}`: {error}")))
    }

    /// Run it and take what it prints.
    pub(crate) fn output(&self) -> Result<Vec<u8>, String> {
        let output = self
            .command()
            .stderr(Stdio::inherit())
            .output()
            .map_err(|error| format!("cannot start `{self}`: {error}"))?;
        if output.status.success() { Ok(output.stdout) } else { Err(output.status.to_string()) }
    }

    fn command(&self) -> Command {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
        let program = self.program.as_ref().map_or(cargo, OsString::from);
        let mut command = Command::new(program);
        command.current_dir(&self.directory).args(&self.arguments);
        // `cargo run` describes this package in the environment. Build scripts of others watch such
        // variables, and would run again each time somebody changes between `cargo` and `cargo xtask`.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
                command.env_remove(&name);
            }
        }
        for (name, value) in &self.environment {
            command.env(name, value);
        }
        command
    }
}

impl fmt::Display for Invocation {
    /// As one would type it in a shell.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.environment {
            write!(f, "{name}={} ", quoted(value))?;
        }
        match &self.program {
            Some(program) => f.write_str(&quoted(&program.display().to_string()))?,
            None => f.write_str("cargo")?,
        }
        for argument in &self.arguments {
            write!(f, " {}", quoted(argument))?;
        }
        Ok(())
    }
}

/// A word for a POSIX shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_as_it_would_be_typed() {
        let invocation =
            Invocation::cargo(".", &["doc", "--no-deps"]).with("it's").with_env("RUSTDOCFLAGS", "-D warnings");
        assert_eq!(invocation.to_string(), r"RUSTDOCFLAGS='-D warnings' cargo doc --no-deps 'it'\''s'");
    }
}
