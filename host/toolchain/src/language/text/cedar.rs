//! Cedar: `policy.cedar`, and `schema.cedarschema` where there is one, for the plugin `cedar`.
//!
//! All policies stand in one file, so that a mistake has the line there that the adapter tells. Another file of policies
//! would not be in force, and whoever wrote a `forbid` in it would not know: it is refused.

use std::path::Path;

use serde_json::{Map, Value};

use super::{lines, read};
use crate::project::{self, ProjectError};
use crate::template::Template;

/// The settings of the project, but for the text.
pub(in crate::language) const MANIFEST: &str = "cedar.json";
const POLICIES: &str = "policy.cedar";
const SCHEMA: &str = "schema.cedarschema";

const FILES: &[(&str, &str)] = &[
    (MANIFEST, include_str!("../../../templates/cedar/cedar.json.in")),
    (".gitignore", include_str!("../../../templates/cedar/gitignore.in")),
    ("README.md", include_str!("../../../templates/cedar/README.md.in")),
    (POLICIES, include_str!("../../../templates/cedar/policy.cedar.in")),
    (SCHEMA, include_str!("../../../templates/cedar/schema.cedarschema.in")),
    ("cases/decisions.json", include_str!("../../../templates/cedar/decisions.json.in")),
];

pub(in crate::language) fn template() -> Template {
    Template { files: FILES, sdk: String::new(), with: Vec::new() }
}

/// The settings that the text is.
pub(super) fn texts(home: &Path) -> Result<Map<String, Value>, ProjectError> {
    let names = project::files(home)?;
    for name in &names {
        let refused = |problem: String| Err(ProjectError::Manifest { path: home.join(name), problem });
        match Path::new(name).extension().and_then(|extension| extension.to_str()) {
            Some("cedar") if name != POLICIES => {
                return refused(format!("it would not be in force: all policies stand in `{POLICIES}`"));
            }
            Some("cedarschema") if name != SCHEMA => {
                return refused(format!("it would not count: the schema stands in `{SCHEMA}`"));
            }
            _ => {}
        }
    }
    let mut texts = Map::new();
    texts.insert("policies".to_owned(), lines(&read(&home.join(POLICIES))?));
    if names.iter().any(|name| name == SCHEMA) {
        texts.insert("schema".to_owned(), lines(&read(&home.join(SCHEMA))?));
    }
    Ok(texts)
}
