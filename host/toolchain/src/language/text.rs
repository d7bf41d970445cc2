//! Languages whose policies are texts: Cedar and Rego. Nothing compiles them. What a server gets is an *adapter*, the plugin
//! that reads such texts, with settings that hold the text; so that is what is built here.
//!
//! The adapter lies in the project, in `vendor`, from the day the project is made: whoever has the project builds the same
//! bytes and needs no other tool. It stays as it is, byte by byte. So a server compiles it once for all projects, and who
//! knows its digest, or signed it, need not look at what anybody built. This program has none in itself: it takes the one
//! that lies beside it, or that is named.
//!
//! A text is not understood here: what is wrong with it, the adapter says when its cases run.

mod adapter;
pub(super) mod cedar;
pub(super) mod rego;

use std::fs;
use std::io::Read as _;
use std::path::Path;

use attorn_api::json::canonical;
use serde_json::{Map, Value};

pub(super) use adapter::{brought, tools};

use super::{Compiled, Language};
use crate::project::{ProjectError, file};

/// The most bytes of settings with the text in them: a server takes no more.
const SETTINGS_BYTES_MAX: u64 = 1 << 20;

/// The component of a project: the adapter in it.
pub(super) fn build(language: Language, home: &Path) -> Result<Compiled, ProjectError> {
    let component = adapter::of(language, home)?;
    let sdk = format!("attorn-plugin-{} blake3:{}", language.as_str(), blake3::hash(&component).to_hex());
    Ok(Compiled { component, sdk, lock: home.join(language.manifest()) })
}

/// The settings that go with it, as one text: those of the project's manifest, with the policy's text in them.
pub(super) fn settings(language: Language, home: &Path) -> Result<String, ProjectError> {
    let path = home.join(language.manifest());
    let refused = |problem: String| ProjectError::Manifest { path: path.clone(), problem };
    let text = read(&path)?;
    // For duplicate keys and numbers that two readers would read differently.
    canonical(&text).map_err(|error| refused(error.to_string()))?;
    let mut settings: Map<String, Value> = serde_json::from_str(&text).map_err(|error| refused(error.to_string()))?;
    let texts = match language {
        Language::Cedar => cedar::texts(home)?,
        _ => rego::texts(home)?,
    };
    for (name, value) in texts {
        if settings.insert(name.clone(), value).is_some() {
            return Err(refused(format!("it has `{name}`, which the project's other files bring")));
        }
    }
    let mut settings = Value::Object(settings);
    settings.sort_all_objects();
    let text = format!("{settings:#}\n");
    if text.len() as u64 > SETTINGS_BYTES_MAX {
        return Err(refused(format!("with the policy's text it comes to more than {SETTINGS_BYTES_MAX} bytes")));
    }
    Ok(text)
}

/// The text of a plain file, and not of what a link leads to.
fn read(path: &Path) -> Result<String, ProjectError> {
    let refused = |problem: &str| ProjectError::Manifest { path: path.to_owned(), problem: problem.to_owned() };
    if !fs::symlink_metadata(path).map_err(file(path))?.is_file() {
        return Err(refused("it is no plain file"));
    }
    let mut bytes = Vec::new();
    let opened = fs::File::open(path).map_err(file(path))?;
    opened.take(SETTINGS_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(file(path))?;
    if bytes.len() as u64 > SETTINGS_BYTES_MAX {
        return Err(refused(&format!("it has more than {SETTINGS_BYTES_MAX} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| refused("it is no UTF-8"))
}

/// A text as the adapters take it: its lines, which people can read and compare in settings. Joined they are the text.
fn lines(text: &str) -> Value {
    text.strip_suffix('\n').unwrap_or(text).split('\n').collect()
}

#[cfg(test)]
#[path = "text/tests.rs"]
mod tests;
