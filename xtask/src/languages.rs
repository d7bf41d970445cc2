//! `cargo xtask languages`: what a policy costs in each language, measured, and written into the table of plugins/README.md.
//!
//! The policy is `spend-limit`, which is written in each of them. Only what stands between the two marks is written anew;
//! `cargo xtask tidy` says when the table has other languages than there are.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::components::{self, Guests};
use crate::steps::{Failed, Steps};
use crate::workspace::Workspace;

/// The document with the table.
pub(crate) const DOCUMENT: &str = "plugins/README.md";
/// Where the policy is, with a directory for each language.
pub(crate) const POLICY: &str = "plugins/spend-limit";

const COMMAND: &str = "cargo xtask languages";
pub(crate) const BEGIN: &str = "<!-- made by `cargo xtask languages` -->\n";
pub(crate) const END: &str = "<!-- end of what is made -->\n";
pub(crate) const HEAD: &str = "| language | component | ready in | one evaluation | one of a policy that does nothing, beside it | so many times that |\n\
                               |---|---|---|---|---|---|\n";

/// Measure each, and write the table.
pub(crate) fn languages(workspace: &Workspace, steps: &mut Steps) -> Result<(), Failed> {
    components::build(workspace, steps, Guests::None)?;
    let build = ["build", "--locked", "--release", "--workspace", "--bin", "attorn", "--bin", "attorn-bench"];
    steps.command("build", &workspace.cargo(&build))?;
    let bench = workspace.built("release", "attorn-bench").map_err(|why| Failed::before_any_step(&why))?;
    let bench = bench.with("languages").with("--json");
    steps.step("measure", &bench.to_string(), || {
        let path = workspace.root().join(DOCUMENT);
        let document = read(&path)?;
        let figures = String::from_utf8(bench.output()?).map_err(|error| error.to_string())?;
        let made = with(&document, &table(&figures)?)?;
        fs::write(&path, made).map_err(|error| format!("cannot write `{DOCUMENT}`: {error}"))
    })
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("cannot read `{DOCUMENT}`: {error}"))
}

/// The rows of what was measured, one JSON object a line.
fn table(figures: &str) -> Result<String, String> {
    let mut rows = String::new();
    for line in figures.lines() {
        let figure: Value = serde_json::from_str(line).map_err(|error| format!("`{line}` is no figure: {error}"))?;
        let name = figure["bench"].as_str().unwrap_or_default();
        let Some(language) = name.strip_prefix("policies.").and_then(|name| name.strip_suffix("_over_floor")) else {
            continue;
        };
        let number = |member: &str| {
            let found = figure[member].as_f64().filter(|number| number.is_finite() && *number >= 0.0);
            found.ok_or_else(|| format!("`{line}` has no `{member}`"))
        };
        let row = format!(
            "| {language} | {:.0} KiB | {:.0} ms | {:.0} µs | {:.0} µs | {:.1} |\n",
            (number("component_bytes")? / 1_024.0).max(1.0),
            number("ready_ms")?.max(1.0),
            number("policy_us")?.max(1.0),
            number("beside_us")?.max(1.0),
            number("value")?,
        );
        rows.push_str(&row);
    }
    if rows.is_empty() { Err("nothing was measured".to_owned()) } else { Ok(format!("{HEAD}{rows}")) }
}

/// The document with this in the place of what is between the marks.
fn with(document: &str, table: &str) -> Result<String, String> {
    let (before, made, after) = parts(document).ok_or_else(|| format!("`{DOCUMENT}` has no place for the table"))?;
    // So that whoever writes between the marks by hand is told.
    if !made.is_empty() && !made.starts_with(HEAD) {
        return Err(format!("`{DOCUMENT}` has something else where the table is to be"));
    }
    Ok(format!("{before}{BEGIN}{table}{END}{after}"))
}

fn parts(document: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = document.split_once(BEGIN)?;
    let (made, after) = rest.split_once(END)?;
    Some((before, made, after))
}

/// What is wrong with the table: how its rows differ from these languages.
pub(crate) fn differs(document: &str, languages: &BTreeSet<&str>) -> Option<String> {
    let Some((_, made, _)) = parts(document) else {
        return Some(format!("there is no place for the table of `{COMMAND}`"));
    };
    let Some(rows) = made.strip_prefix(HEAD) else {
        return Some(format!("the table of `{COMMAND}` is not there: run it"));
    };
    let rows: Vec<&str> = rows.lines().filter_map(|row| row.strip_prefix("| ")?.split(" |").next()).collect();
    let named: BTreeSet<&str> = rows.iter().copied().collect();
    if named == *languages && rows.len() == named.len() {
        return None;
    }
    let twice = named.iter().filter(|name| rows.iter().filter(|row| row == name).count() > 1);
    let problems = [
        ("lacks", all(languages.difference(&named))),
        ("has too much in it:", all(named.difference(languages))),
        ("has twice", all(twice)),
    ];
    let problems = problems.iter().filter(|(_, names)| !names.is_empty());
    let problems: Vec<_> = problems.map(|(problem, names)| format!("{problem} {names}")).collect();
    Some(format!("the table of `{COMMAND}` {}; run it", problems.join(", and ")))
}

fn all<'a>(names: impl Iterator<Item = &'a &'a str>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIGURES: &str = r#"{"bench":"policies.rust_over_floor","value":1.1,"unit":"ratio","policy_us":9.5,"beside_us":8.4,"component_bytes":227336,"ready_ms":41.2}
{"bench":"policies.typescript_over_floor","value":9.0,"unit":"ratio","policy_us":80.1,"beside_us":8.9,"component_bytes":1132462,"ready_ms":700.4}
{"bench":"policies.typescript_over_empty","value":1.2,"unit":"ratio","policy_us":80.1,"beside_us":66.0}
"#;
    const ROWS: &str =
        "| rust | 222 KiB | 41 ms | 10 µs | 8 µs | 1.1 |\n| typescript | 1106 KiB | 700 ms | 80 µs | 9 µs | 9.0 |\n";

    fn document(made: &str) -> String {
        format!("# Plugins\n\n{BEGIN}{made}{END}\nMore.\n")
    }

    #[test]
    fn the_table_is_of_what_was_measured_and_nothing_else_is_written() {
        let made = with(&document(""), &table(FIGURES).unwrap()).unwrap();
        assert_eq!(made, document(&format!("{HEAD}{ROWS}")));
        // Again, over what is there.
        assert_eq!(with(&made, &table(FIGURES).unwrap()).unwrap(), made);
        for figures in ["", "{", r#"{"bench":"policies.rust_over_floor","policy_us":1}"#] {
            assert!(table(figures).is_err(), "{figures}");
        }
        for other in ["# Plugins\n".to_owned(), document("Mine.\n"), format!("{END}{BEGIN}")] {
            assert!(with(&other, HEAD).is_err(), "{other}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_not_said_to_be_written() {
        let error = read(Path::new("nowhere/README.md")).unwrap_err();
        assert!(error.starts_with("cannot read `plugins/README.md`: "), "{error}");
    }

    #[test]
    fn a_table_of_other_languages_is_found() {
        let there = document(&format!("{HEAD}{ROWS}"));
        assert_eq!(differs(&there, &BTreeSet::from(["rust", "typescript"])), None);
        for (document, languages, what) in [
            (&there, &["rust", "typescript", "c"][..], "` lacks `c`; run it"),
            (&there, &["rust"], "` has too much in it: `typescript`; run it"),
            (&there, &["c", "rust"], "` lacks `c`, and has too much in it: `typescript`; run it"),
            (
                &document(&format!("{HEAD}{ROWS}{ROWS}")),
                &["rust", "typescript"],
                "` has twice `rust`, `typescript`; run it",
            ),
            (&document(""), &["rust"], "is not there: run it"),
            (&"# Plugins\n".to_owned(), &["rust"], "no place for the table"),
        ] {
            let said = differs(document, &languages.iter().copied().collect()).unwrap();
            assert!(said.contains(what), "{said}");
        }
    }
}
