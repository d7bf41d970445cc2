//! Which of the tools that a build needs are here, and how to get those that are not. It installs nothing.

use std::process::{Command, Stdio};

use attorn_build::WasmTarget;
use serde::Serialize;

/// A tool, and whether it is here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tool {
    /// What it is called.
    pub name: &'static str,
    /// What it says of itself; nothing if it is not here.
    pub found: Option<String>,
    /// The command that installs it.
    pub install: &'static str,
}

/// The tools for policies in Rust, in the order in which they are needed.
#[must_use]
pub fn rust() -> Vec<Tool> {
    const RUSTUP: &str = "curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh";
    let target = WasmTarget::find_here().ok().map(|target| target.to_string());
    vec![
        Tool { name: "cargo", found: version("cargo"), install: RUSTUP },
        Tool { name: "rustc", found: version("rustc"), install: RUSTUP },
        Tool { name: "wasm32-unknown-unknown", found: target, install: "rustup target add wasm32-unknown-unknown" },
    ]
}

/// The first line of what a program says to `--version`.
fn version(program: &str) -> Option<String> {
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

    #[test]
    fn each_tool_says_how_to_get_it() {
        let tools = rust();
        assert_eq!(
            tools.iter().map(|tool| tool.name).collect::<Vec<_>>(),
            ["cargo", "rustc", "wasm32-unknown-unknown"]
        );
        assert!(tools.iter().all(|tool| !tool.install.is_empty()));
    }
}
