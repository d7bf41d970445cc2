//! What the README's walks leave in a clone is ignored by Git: keys, tokens and a log do not belong into a commit.

use super::Finding;
use super::tree::Tree;

const README: &str = "README.md";
const IGNORED: &str = ".gitignore";
/// The sections whose commands are typed at the root of the clone; others begin in a directory of their own.
const WALKS: [&str; 2] = ["## By hand", "## On a user's behalf"];
/// What is before the name of something that is made.
const MAKES: [&str; 3] = ["> ", "--dir ", "--new-key "];

/// Everything that the walks make is ignored.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let (Some(readme), Some(ignored)) = (tree.file(README), tree.file(IGNORED)) else { return Vec::new() };
    let ignored: Vec<&str> = ignored.lines().map(|(_, line)| line).collect();
    let (mut findings, mut walks) = (Vec::new(), false);
    for (at, line) in readme.lines() {
        if line.starts_with("## ") {
            walks = WALKS.contains(&line);
        }
        let is_command = line.starts_with("$ ") || line.starts_with("    -");
        for name in made(line).filter(|name| walks && is_command && !is_ignored(&ignored, name)) {
            findings.push(Finding::line(
                README,
                at,
                format!("this leaves `{name}`, which `{IGNORED}` does not ignore"),
            ));
        }
    }
    findings
}

/// The names of what a command makes.
fn made(line: &str) -> impl Iterator<Item = &str> {
    let command = line.split(" #").next().unwrap_or_default();
    MAKES.iter().flat_map(move |before| command.split(before).skip(1)).filter_map(|rest| rest.split_whitespace().next())
}

fn is_ignored(ignored: &[&str], name: &str) -> bool {
    let all_of_a_kind = name.rsplit_once('.').map(|(_, kind)| format!("/*.{kind}"));
    let ways = [Some(format!("/{name}")), Some(format!("/{name}/")), all_of_a_kind];
    ways.iter().flatten().any(|way| ignored.contains(&way.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_walk_leaves_has_to_be_ignored() {
        let readme = "## By hand\n$ attorn init --dir attorn   # > no.txt\n$ a key > log.key\n$ x \\\n    --new-key b.pem > c.txt\n\
                      prose > d.txt\n## Elsewhere\n$ y > e.txt\n";
        let found = |ignored: &str| -> Vec<_> {
            let tree = Tree::of(&[(README, readme), (IGNORED, ignored)]);
            check(&tree).into_iter().map(|one| (one.line.unwrap(), one.what)).collect()
        };
        let left = |line, name: &str| (line, format!("this leaves `{name}`, which `.gitignore` does not ignore"));
        assert_eq!(found("/attorn/\n/*.key\n/b.pem\n/c.txt\n"), []);
        assert_eq!(found("/attorn/\n/c.txt\n"), [left(3, "log.key"), left(5, "b.pem")]);
        assert_eq!(found("attorn\n/*.key\n/b.pem\n"), [left(2, "attorn"), left(5, "c.txt")]);
    }
}
