//! Which of the tools that a build needs are here, and how to get those that are not. It installs nothing.

use std::process::{Command, Stdio};

use serde::Serialize;

use crate::language::Language;

/// A tool, and whether it is here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tool {
    /// What it is needed for.
    pub language: Language,
    /// What it is called.
    pub name: &'static str,
    /// What it says of itself; nothing if it is not here.
    pub found: Option<String>,
    /// The command that installs it.
    pub install: &'static str,
}

/// The tools for policies in these languages.
#[must_use]
pub fn tools(languages: &[Language]) -> Vec<Tool> {
    languages.iter().flat_map(|language| language.tools()).collect()
}

/// The first line of what a program says to `--version`.
pub(crate) fn version(program: &str) -> Option<String> {
    let output = Command::new(program).arg("--version").stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().next().filter(|_| output.status.success()).map(|line| line.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_that_is_not_here_says_nothing_of_itself() {
        assert_eq!(version("no-such-tool-of-anybody"), None);
        assert!(version("rustc").unwrap().starts_with("rustc "));
    }
}
