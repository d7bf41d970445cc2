//! Rego: the modules and `data.json` of the directory `policy`, for the plugin `rego`. What of it counts, and what is
//! refused, is as in [`crate::bundle`].

use std::path::Path;

use serde_json::{Map, Value};

use super::lines;
use crate::bundle;
use crate::project::ProjectError;
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
pub(super) fn texts(home: &Path) -> Result<Map<String, Value>, ProjectError> {
    let path = home.join(POLICIES);
    let read = bundle::read(&path).map_err(|error| {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        ProjectError::Manifest { path: path.clone(), problem: format!("{error}{cause}") }
    })?;
    let mut texts = read.settings;
    if let Some(Value::Object(modules)) = texts.get_mut("modules") {
        for text in modules.values_mut() {
            let in_lines = text.as_str().map(lines);
            *text = in_lines.unwrap_or_default();
        }
    }
    Ok(texts)
}
