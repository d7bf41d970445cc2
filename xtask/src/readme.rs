//! What the README tells people to type: every `attorn` command in it is one that the binary takes.
//!
//! Each is asked for its help, which needs neither server nor token; then its options are looked up in
//! that. What the commands do is for the end-to-end tests.

use std::fs;

use crate::steps::{Failed, Steps};
use crate::workspace::Workspace;

const README: &str = "README.md";

/// Check all of them. The binary has to be built.
pub(crate) fn check(workspace: &Workspace, steps: &mut Steps) -> Result<(), Failed> {
    steps.step("readme", "cargo xtask test", || {
        let path = workspace.root().join(README);
        let text = fs::read_to_string(&path).map_err(|error| format!("cannot read `{}`: {error}", path.display()))?;
        let commands = commands(&text);
        if commands.is_empty() {
            return Err(format!("`{README}` names no `attorn` command"));
        }
        commands.iter().try_for_each(|command| check_one(workspace, command))
    })
}

fn check_one(workspace: &Workspace, command: &[String]) -> Result<(), String> {
    let shown = command.join(" ");
    let mut ask = workspace.built("debug", "attorn")?;
    let (options, words): (Vec<&String>, Vec<&String>) = command.iter().partition(|word| word.starts_with("--"));
    // Up to the first option: the nouns, verbs and ids, after which `--help` tells about the verb. What a shell would
    // fill in is no id yet.
    let nouns = command.iter().take_while(|word| !word.starts_with("--") && !word.contains('$'));
    for word in nouns {
        ask = ask.with(word);
    }
    let help = ask.with("--help").output().map_err(|why| format!("`attorn {shown}` in `{README}`: {why}"))?;
    let help = String::from_utf8_lossy(&help);
    // Somewhere in the usage is the verb itself; a parent's help would list it as a command instead.
    let usage = help.lines().find(|line| line.starts_with("Usage:")).unwrap_or_default();
    if words.first().is_some_and(|noun| !usage.contains(noun.as_str())) {
        return Err(format!("`attorn {shown}` in `{README}` is no command: {usage}"));
    }
    for option in options {
        let name = option.split('=').next().unwrap_or(option);
        let known = help.split([' ', ',', '\n', '[', ']', '<', '|']).any(|word| word == name);
        if !known {
            return Err(format!("`attorn {shown}` in `{README}`: there is no `{name}`"));
        }
    }
    Ok(())
}

/// The arguments of every `attorn` command in the text's code blocks.
fn commands(text: &str) -> Vec<Vec<String>> {
    let joined = text.replace("\\\n", " ");
    let lines = joined.lines().filter_map(|line| line.strip_prefix("$ "));
    let words = lines.map(words);
    words.filter(|words| words.first().is_some_and(|word| word == "attorn")).map(|words| words[1..].to_vec()).collect()
}

/// The words of a line of shell, up to a comment or a redirection. Values in single quotes are one word.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() && !rest.starts_with(['#', '>', '|', '&']) {
        let (word, after) = match rest.strip_prefix('\'') {
            Some(quoted) => quoted.split_once('\'').unwrap_or((quoted, "")),
            None => rest.split_once(' ').unwrap_or((rest, "")),
        };
        words.push(word.to_owned());
        rest = after.trim_start();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_found_in_console_lines() {
        let text =
            "text `attorn x`\n```console\n$ attorn a --b 'c d' \\\n    --e > f\n$ cargo attorn\n$ attorn g  # h\n```\n";
        assert_eq!(commands(text), [vec!["a", "--b", "c d", "--e"], vec!["g"]]);
    }
}
