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
use std::io::{self, Read as _};
use std::path::Path;

use attorn_api::json::canonical;
use serde_json::{Map, Value};

pub(super) use adapter::{brought, tools};

use super::{Compiled, Language};
use crate::project::ProjectError;

/// The most bytes of settings with the text in them: a server takes no more.
const SETTINGS_BYTES_MAX: u64 = 1 << 20;

/// The component of a project: the adapter in it.
pub(super) fn build(language: Language, home: &Path, progress: &mut dyn FnMut(&str)) -> Result<Compiled, ProjectError> {
    let component = adapter::of(language, home, progress)?;
    let sdk = format!("attorn-plugin-{} blake3:{}", language.as_str(), blake3::hash(&component).to_hex());
    Ok(Compiled { component, sdk, lock: home.join(language.manifest()) })
}

/// The settings that go with it, as one text: those of the project's manifest, with the policy's text in them.
pub(super) fn settings(
    language: Language,
    home: &Path,
    progress: &mut dyn FnMut(&str),
) -> Result<String, ProjectError> {
    let path = home.join(language.manifest());
    let refused = |problem: String| ProjectError::Manifest { path: path.clone(), problem };
    let text = read(&path)?;
    // For duplicate keys and numbers that two readers would read differently.
    canonical(&text).map_err(|error| refused(error.to_string()))?;
    let mut settings: Map<String, Value> = serde_json::from_str(&text).map_err(|error| refused(error.to_string()))?;
    let texts = match language {
        Language::Cedar => cedar::texts(home)?,
        _ => rego::texts(home, progress)?,
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
    let bytes = bytes(path, SETTINGS_BYTES_MAX).map_err(|unread| unread.of(path))?;
    let problem = || ProjectError::Manifest { path: path.to_owned(), problem: "it is no UTF-8".to_owned() };
    String::from_utf8(bytes).map_err(|_| problem())
}

/// Why there are no bytes of a file.
#[derive(Debug, thiserror::Error)]
enum Unread {
    #[error("it cannot be read: {0}")]
    Io(io::Error),
    #[error("{0}")]
    Refused(String),
}

impl Unread {
    fn of(self, path: &Path) -> ProjectError {
        let path = path.to_owned();
        match self {
            Self::Io(source) => ProjectError::File { path, source },
            Self::Refused(problem) => ProjectError::Manifest { path, problem },
        }
    }
}

/// The bytes of a plain file that has no more than these, and not of what a link leads to.
fn bytes(path: &Path, bytes_max: u64) -> Result<Vec<u8>, Unread> {
    if !fs::symlink_metadata(path).map_err(Unread::Io)?.is_file() {
        return Err(Unread::Refused("it is no plain file".to_owned()));
    }
    let mut bytes = Vec::new();
    let opened = fs::File::open(path).map_err(Unread::Io)?;
    opened.take(bytes_max + 1).read_to_end(&mut bytes).map_err(Unread::Io)?;
    if bytes.len() as u64 > bytes_max {
        return Err(Unread::Refused(format!("it has more than {bytes_max} bytes")));
    }
    Ok(bytes)
}

/// A text as the adapters take it: its lines, which people can read and compare in settings. Joined they are the text.
fn lines(text: &str) -> Value {
    text.strip_suffix('\n').unwrap_or(text).split('\n').collect()
}

#[cfg(test)]
#[path = "text/tests.rs"]
mod tests;
