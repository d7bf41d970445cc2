//! Documents: what they point at is there, and what they tell people to run exists.

use clap::CommandFactory;

use super::Finding;
use super::tree::{File, Tree};
use crate::Arguments;
use crate::workspace::{APART, Member};

/// Where the code map is.
const CODE_MAP: &str = "README.md";

/// The document whose samples are compiled by a test.
const COMPILED: &str = "sdk/policy/rust/README.md";

/// Every relative link of a Markdown file leads to a file or directory of the repository.
pub(crate) fn check_links(tree: &Tree, file: &File) -> Vec<Finding> {
    if file.extension() != "md" {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (line, text) in prose(file) {
        for target in link_targets(text).filter(|target| is_relative(target)) {
            let path = target.split(['#', '?']).next().unwrap_or_default();
            if !path.is_empty() && !resolve(file.directory(), path).is_some_and(|path| tree.has(&path)) {
                findings.push(Finding::line(&file.path, line, format!("the link to `{target}` leads nowhere")));
            }
        }
    }
    findings
}

/// Every `cargo xtask X` that a document or the CI script names is a task.
pub(crate) fn check_tasks(file: &File) -> Vec<Finding> {
    if file.extension() != "md" && !file.path.starts_with(".ci/") {
        return Vec::new();
    }
    let command = Arguments::command();
    let mut findings = Vec::new();
    for (line, text) in file.lines() {
        for task in text.split("cargo xtask ").skip(1).map(first_word).filter(|task| !task.is_empty()) {
            if command.find_subcommand(task).is_none() {
                findings.push(Finding::line(&file.path, line, format!("there is no `cargo xtask {task}`")));
            }
        }
    }
    findings
}

/// Every Rust sample of the README stands in the SDK's README, too, where the compiler sees it.
pub(crate) fn check_samples(tree: &Tree, file: &File) -> Vec<Finding> {
    if file.path != CODE_MAP {
        return Vec::new();
    }
    let compiled = tree.file(COMPILED).map_or("", |file| file.text.as_str());
    let samples = file.text.split("```rust\n").skip(1).filter_map(|rest| rest.split_once("```"));
    let others = samples.filter(|(sample, _)| !compiled.contains(sample));
    others
        .map(|(sample, _)| {
            let first = sample.lines().next().unwrap_or_default();
            Finding::file(&file.path, format!("the sample that begins with `{first}` is not in `{COMPILED}`"))
        })
        .collect()
}

/// Every package, also one that is a workspace of its own, stands in the code map, as a link to its directory.
pub(crate) fn check_code_map(tree: &Tree, members: &[Member]) -> Vec<Finding> {
    let Some(map) = tree.file(CODE_MAP) else {
        return vec![Finding::file(CODE_MAP, "there is no code map")];
    };
    let targets: Vec<&str> = map.lines().flat_map(|(_, text)| link_targets(text)).collect();
    let directories = members.iter().map(|member| member.directory.as_str()).chain(APART);
    directories
        .filter(|directory| !targets.contains(directory))
        .map(|directory| Finding::file(CODE_MAP, format!("a package is not in the code map: link to `{directory}`")))
        .collect()
}

/// The lines outside fenced code blocks.
fn prose(file: &File) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    file.lines().filter(move |(_, text)| {
        let fence = text.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

/// What `[…](target)` leads to.
fn link_targets(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).filter_map(|rest| rest.split_once(')').map(|(target, _)| target))
}

fn is_relative(target: &str) -> bool {
    !target.contains("://") && !target.starts_with("mailto:")
}

/// The path from the root that `target` means in a file of `directory`; none if it leaves the root.
fn resolve(directory: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = directory.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The word that `text` begins with; empty if it begins with something else, as in `cargo xtask …`.
fn first_word(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_lowercase() && c != '-').unwrap_or(text.len());
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(text: &str) -> File {
        File { path: "host/MAP.md".to_owned(), text: text.to_owned() }
    }

    #[test]
    fn links_lead_somewhere() {
        let tree = Tree::of(&[("README.md", ""), ("host/core/src/lib.rs", "")]);
        for (text, findings) in [
            ("[a](../README.md) and [b](core)", 0),
            ("[a](core/src/lib.rs#L1)", 0),
            ("[a](https://example.com/x) [b](#here) [c](mailto:a@example.com)", 0),
            ("[a](cores)", 1),
            ("[a](core) [b](../x) [c](y)", 2),
            ("[a](../../README.md)", 1),
            ("```\n[a](nowhere)\n```", 0),
        ] {
            assert_eq!(check_links(&tree, &document(text)).len(), findings, "{text}");
        }
    }

    #[test]
    fn tasks_exist() {
        for (text, findings) in [
            ("`cargo xtask demo --keep` and `cargo xtask test`", 0),
            ("`cargo xtask` alone, `cargo xtask …`", 0),
            ("run `cargo xtask dance`", 1),
        ] {
            assert_eq!(check_tasks(&document(text)).len(), findings, "{text}");
        }
    }

    #[test]
    fn samples_are_those_that_are_compiled() {
        let sample = "```rust\nfn f() {}\n```\n";
        let findings = |readme: &str| {
            let tree = Tree::of(&[("README.md", readme), (COMPILED, sample)]);
            tree.file("README.md").map(|file| check_samples(&tree, file).len())
        };
        assert_eq!(findings(sample), Some(0));
        assert_eq!(findings("```text\nfn g() {}\n```\n"), Some(0));
        assert_eq!(findings(&format!("{sample}```rust\nfn g() {{}}\n```\n")), Some(1));
    }

    #[test]
    fn packages_stand_in_the_code_map() {
        let members =
            [Member { name: "attorn-core".to_owned(), directory: "host/core".to_owned(), examples: Vec::new() }];
        let apart = APART.map(|directory| format!("[it]({directory})")).join(" ");
        let findings = |text: &str| check_code_map(&Tree::of(&[("README.md", text)]), &members).len();
        assert_eq!(findings(&format!("| [host/core](host/core) | pure | {apart}")), 0);
        assert_eq!(findings(&format!("| host/core | pure | {apart}")), 1);
        assert_eq!(findings("| [host/core](host/core) | pure |"), APART.len());
        assert_eq!(check_code_map(&Tree::of(&[]), &members).len(), 1);
    }
}
