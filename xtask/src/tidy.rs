//! `cargo xtask tidy`: what must hold for the repository itself, checked as code.
//!
//! Each check reads the tree once, and names every place that it finds. It needs neither a compiler
//! nor a clone with history.

mod documents;
mod left;
mod lock;
mod plugins;
mod source;
mod tree;

use crate::steps::{Failed, Steps};
use crate::workspace::Workspace;

use tree::Tree;

/// One place that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Finding {
    /// The file, relative to the workspace's root.
    path: String,
    /// The line, counted from 1, if it is about one.
    line: Option<usize>,
    /// What is wrong.
    what: String,
}

impl Finding {
    fn file(path: &str, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line: None, what: what.into() }
    }

    fn line(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line: Some(line), what: what.into() }
    }
}

/// All checks as one step.
pub(crate) fn tidy(workspace: &Workspace, steps: &mut Steps) -> Result<(), Failed> {
    steps.step("tidy", "cargo xtask tidy", || {
        let findings = findings(workspace)?;
        for finding in &findings {
            match finding.line {
                Some(line) => eprintln!("{}:{line}: {}", finding.path, finding.what),
                None => eprintln!("{}: {}", finding.path, finding.what),
            }
        }
        match findings.len() {
            0 => Ok(()),
            1 => Err("1 place is not tidy".to_owned()),
            many => Err(format!("{many} places are not tidy")),
        }
    })
}

fn findings(workspace: &Workspace) -> Result<Vec<Finding>, String> {
    let tree = Tree::read(workspace.root())?;
    let mut findings = Vec::new();
    for file in tree.files() {
        findings.extend(source::check(file));
        findings.extend(lock::check(file));
        findings.extend(documents::check_links(&tree, file));
        findings.extend(documents::check_tasks(file));
        findings.extend(documents::check_samples(&tree, file));
    }
    findings.extend(left::check(&tree));
    findings.extend(plugins::check(&tree));
    findings.extend(plugins::check_languages(&tree));
    findings.extend(documents::check_code_map(&tree, &workspace.describe()?.members));
    Ok(findings)
}
