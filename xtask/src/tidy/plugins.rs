//! Plugins: each can be understood, configured and tested.

use std::collections::BTreeSet;

use super::Finding;
use super::tree::Tree;
use crate::languages;

/// Where the plugins are.
const PLUGINS: &str = "plugins";

/// The JSON Schema of a plugin's settings. It stands where the plugin's language can embed it.
const SCHEMA: &str = "settings.schema.json";

/// Where the templates of all languages are.
const TEMPLATES: &str = "host/toolchain/templates";

/// Whether the table of languages has those that there are: that `attorn` makes policies in, and `spend-limit` is written in.
pub(crate) fn check_languages(tree: &Tree) -> Vec<Finding> {
    let below = |directory: &'static str| {
        let names = tree.below(directory).filter_map(move |file| file.path.strip_prefix(directory)?.split('/').nth(1));
        names.collect::<BTreeSet<&str>>()
    };
    let (templates, written) = (below(TEMPLATES), below(languages::POLICY));
    let there = templates.intersection(&written).copied().collect();
    let document = tree.file(languages::DOCUMENT).map_or("", |file| file.text.as_str());
    languages::differs(document, &there).map(|what| Finding::file(languages::DOCUMENT, what)).into_iter().collect()
}

/// What is missing in any plugin.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let name = |path: &str| path.split('/').nth(1).map(str::to_owned);
    // A file in `plugins/` itself belongs to no plugin.
    let inside = tree.below(PLUGINS).filter(|file| file.directory() != PLUGINS);
    let plugins: BTreeSet<String> = inside.filter_map(|file| name(&file.path)).collect();
    let mut findings = Vec::new();
    for plugin in &plugins {
        let home = format!("{PLUGINS}/{plugin}");
        let mut lacks = |path: String, what: &str| {
            findings.push(Finding::file(&path, format!("plugin `{plugin}` lacks {what}")));
        };
        if !tree.has(&format!("{home}/README.md")) {
            lacks(format!("{home}/README.md"), "a text that says what it decides, and for whom");
        }
        if !tree.below(&home).any(|file| file.name() == SCHEMA) {
            lacks(format!("{home}/rust/{SCHEMA}"), "the JSON Schema of its settings");
        }
        if !tree.below(&format!("{home}/cases")).any(|file| file.extension() == "json") {
            lacks(format!("{home}/cases"), "cases: there is no `*.json`");
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_languages_is_compared_with_what_there_is() {
        let rows = "| rust | 9 KiB | 9 ms | 9 µs | 9 µs |\n| c | 9 KiB | 9 ms | 9 µs | 9 µs |\n";
        let table = format!("{}{}{rows}{}", languages::BEGIN, languages::HEAD, languages::END);
        let findings = |languages: &[&str]| {
            let path = |at: &str, language: &&str| format!("{at}/{language}/a.in");
            let both = [TEMPLATES, languages::POLICY];
            let paths: Vec<String> =
                both.iter().flat_map(|at| languages.iter().map(move |language| path(at, language))).collect();
            let mut files: Vec<(&str, &str)> = paths.iter().map(|path| (path.as_str(), "")).collect();
            // What is a language of one of the two alone is none of the table.
            files.extend([("host/toolchain/templates/cedar/a.in", ""), ("plugins/spend-limit/cases/a.json", "")]);
            files.push(("plugins/README.md", &table));
            check_languages(&Tree::of(&files)).len()
        };
        let counts = [&["rust", "c"][..], &["rust"], &["rust", "c", "x"]].map(findings);
        assert_eq!(counts, [0, 1, 1]);
    }

    #[test]
    fn plugins_are_whole() {
        let whole = ["README.md", "rust/settings.schema.json", "cases/a.json", "rust/src/lib.rs"];
        for (missing, findings) in [("", 0), ("README.md", 1), ("rust/settings.schema.json", 1), ("cases/a.json", 1)] {
            let files: Vec<String> =
                whole.iter().filter(|file| **file != missing).map(|file| format!("plugins/p/{file}")).collect();
            let mut files: Vec<(&str, &str)> = files.iter().map(|path| (path.as_str(), "")).collect();
            files.push(("plugins/README.md", ""));
            assert_eq!(check(&Tree::of(&files)).len(), findings, "without `{missing}`");
        }
        assert_eq!(check(&Tree::of(&[("plugins/p/cases/note.txt", "")])).len(), 3);
    }
}
