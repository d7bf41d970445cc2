//! Plugins: each can be understood, configured and tested.

use std::collections::BTreeSet;

use super::Finding;
use super::tree::Tree;

/// Where the plugins are.
const PLUGINS: &str = "plugins";

/// The JSON Schema of a plugin's settings. It stands where the plugin's language can embed it.
const SCHEMA: &str = "settings.schema.json";

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
