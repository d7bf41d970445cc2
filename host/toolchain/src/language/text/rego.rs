//! Rego: the modules and `data.json` of the directory `policy`, for the plugin `rego`. What of it counts, and what is
//! refused, is as in [`crate::bundle`].
//!
//! A module that lies beside that directory would not be in force, and whoever wrote a `deny` in it would not know: it is
//! refused. So is what would count without being a source of the project, since its digest would not tell.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value};

use super::lines;
use crate::bundle;
use crate::project::{self, ProjectError, file};
use crate::template::Template;

/// The settings of the project, but for the text.
pub(in crate::language) const MANIFEST: &str = "rego.json";
const POLICIES: &str = "policy";

const FILES: &[(&str, &str)] = &[
    (MANIFEST, include_str!("../../../templates/rego/rego.json.in")),
    (".gitignore", include_str!("../../../templates/rego/gitignore.in")),
    ("README.md", include_str!("../../../templates/rego/README.md.in")),
    ("policy/listed.rego", include_str!("../../../templates/rego/listed.rego.in")),
    ("policy/listed_test.rego", include_str!("../../../templates/rego/listed_test.rego.in")),
    ("policy/data.json", include_str!("../../../templates/rego/data.json.in")),
    ("cases/decisions.json", include_str!("../../../templates/rego/decisions.json.in")),
];

pub(in crate::language) fn template() -> Template {
    Template { files: FILES, sdk: String::new(), with: Vec::new() }
}

/// The settings that the text is.
pub(super) fn texts(home: &Path, progress: &mut dyn FnMut(&str)) -> Result<Map<String, Value>, ProjectError> {
    let path = home.join(POLICIES);
    let refused = |path: &Path, problem: String| ProjectError::Manifest { path: path.to_owned(), problem };
    if !fs::symlink_metadata(&path).map_err(file(&path))?.is_dir() {
        return Err(refused(&path, "it is no plain directory".to_owned()));
    }
    let sources = project::files(home)?;
    let within = |name: &str| format!("{POLICIES}/{name}");
    let is_module = |name: &str| Path::new(name).extension().is_some_and(|extension| extension == "rego");
    if let Some(stray) = sources.iter().find(|name| is_module(name) && !name.starts_with(&within(""))) {
        let problem = format!("it would not be in force: all modules lie in `{POLICIES}`");
        return Err(refused(&home.join(stray), problem));
    }
    let read = bundle::read(&path).map_err(|error| {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        refused(&path, format!("{error}{cause}"))
    })?;
    if let Some(hidden) = read.taken.iter().find(|name| !sources.contains(&within(name))) {
        let problem = format!(
            "it would count, and hidden files and packages are no sources: say it in `{MANIFEST}`, or \
                               leave it out"
        );
        return Err(refused(&path.join(hidden), problem));
    }
    for what in &read.left_out {
        progress(&format!("left out: {what}"));
    }
    let mut texts = read.settings;
    if let Some(Value::Object(modules)) = texts.get_mut("modules") {
        for text in modules.values_mut() {
            let in_lines = text.as_str().map(lines);
            *text = in_lines.unwrap_or_default();
        }
    }
    Ok(texts)
}
