//! Source files: short, finished, and the same on every machine.

use super::Finding;
use super::tree::File;

/// Lines of a source file that needs no reason.
const LINES_MAX: usize = 400;

/// Where a file that is longer gives its reason.
const REASON: &str = "Long because: ";

/// How far down that reason may stand.
const REASON_LINES_MAX: usize = 40;

/// What programmers write.
const EXTENSIONS: &[&str] = &["c", "go", "js", "py", "rego", "rs", "sh", "ts", "wat", "wit"];

/// Marks of unfinished work. Put together, so that this file does not hold them.
const UNFINISHED: &[&str] = &[concat!("todo", "!("), concat!("unimplemented", "!("), concat!("FIX", "ME")];

/// Where people and build machines keep their clones.
const MACHINE_PATHS: &[&str] =
    &[concat!("/ho", "me/"), concat!("/Us", "ers/"), concat!("/ro", "ot/"), concat!("/wo", "rk/")];

/// What is wrong with this file.
pub(crate) fn check(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    if EXTENSIONS.contains(&file.extension()) {
        findings.extend(check_length(file));
        findings.extend(check_finished(file));
    }
    findings.extend(check_paths(file));
    findings
}

fn check_length(file: &File) -> Option<Finding> {
    let lines = file.lines().count();
    let is_reason = |line: &str| line.split_once(REASON).is_some_and(|(_, why)| !why.trim().is_empty());
    if lines <= LINES_MAX || file.lines().take(REASON_LINES_MAX).any(|(_, line)| is_reason(line)) {
        return None;
    }
    let what = format!("{lines} lines, more than {LINES_MAX}: split it by noun, or say `// {REASON}…` near its top");
    Some(Finding::file(&file.path, what))
}

fn check_finished(file: &File) -> Vec<Finding> {
    let found = |(line, text): (usize, &str)| {
        let mark = UNFINISHED.iter().find(|mark| text.contains(**mark))?;
        Some(Finding::line(&file.path, line, format!("`{mark}` marks unfinished work")))
    };
    file.lines().filter_map(found).collect()
}

fn check_paths(file: &File) -> Vec<Finding> {
    let found = |(line, text): (usize, &str)| {
        let path = MACHINE_PATHS.iter().find(|path| names_absolute(text, path))?;
        Some(Finding::line(&file.path, line, format!("`{path}` is a path of one machine")))
    };
    file.lines().filter_map(found).collect()
}

/// Whether `text` names `path` from the root of the file system, not as the middle of another path.
fn names_absolute(text: &str, path: &str) -> bool {
    text.match_indices(path).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || "./-_~}>*$".contains(c))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_text(path: &str, text: &str) -> Vec<Finding> {
        check(&File { path: path.to_owned(), text: text.to_owned() })
    }

    #[test]
    fn long_files_need_a_reason() {
        let long = "x\n".repeat(LINES_MAX + 1);
        assert_eq!(check_text("a.rs", &long).len(), 1);
        assert_eq!(check_text("a.rs", &format!("// {REASON}\n{long}")).len(), 1, "an empty reason is none");
        assert_eq!(check_text("a.rs", &format!("{long}// {REASON}one table\n")).len(), 1, "too far down");
        assert_eq!(check_text("a.rs", &format!("// {REASON}one table\n{long}")), []);
        assert_eq!(check_text("a.rs", &"x\n".repeat(LINES_MAX)), []);
        assert_eq!(check_text("a.json", &long), [], "not source");
    }

    #[test]
    fn unfinished_work_is_found_with_its_line() {
        let text = format!("fn f() {{\n    {}\n}}\n", UNFINISHED[0]);
        assert_eq!(check_text("a.rs", &text)[0].line, Some(2));
        assert_eq!(check_text("a.md", &text), [], "documents may speak of it");
    }

    #[test]
    fn paths_of_one_machine_are_found_anywhere() {
        for path in MACHINE_PATHS {
            assert_eq!(check_text("a.toml", &format!("p = \"{path}x\"")).len(), 1, "{path}");
            assert_eq!(check_text("a.toml", &format!("p = \"my{path}x\"")), [], "{path}");
        }
    }
}
