//! The adapters: where they lie in a project, and where a new project has its own from.

use std::path::{Path, PathBuf};

use attorn_engine::check_component;

use super::{Unread, bytes};
use crate::doctor::Tool;
use crate::language::Language;
use crate::project::{COMPONENT, ProjectError};
use crate::template::TemplateError;

/// The longest that is read, in bytes: a server takes no longer component.
const BYTES_MAX: u64 = 32 << 20;
const INSTALL: &str = "in Attorn's sources: `cargo xtask components`; or name one by `attorn policy new … --sdk FILE`";

/// Where it lies in a project.
fn place(language: Language) -> String {
    format!("vendor/{}.wasm", language.as_str())
}

/// That of a project. Where this program has another one beside it, that is said: an old adapter stays for ever otherwise.
pub(super) fn of(language: Language, home: &Path, progress: &mut dyn FnMut(&str)) -> Result<Vec<u8>, ProjectError> {
    let place = place(language);
    let path = home.join(&place);
    let own = bytes(&path, BYTES_MAX).map_err(|unread| unread.of(&path))?;
    let other = beside(language).filter(|path| chosen(path).is_ok_and(|bytes| bytes != own));
    if let Some(other) = other {
        let other = other.display();
        progress(&format!("`{place}` is another adapter than `{other}`: copy that one there to have it"));
    }
    Ok(own)
}

/// What a new project gets: the one of this file, or of this plugin's directory where it was built; else the one that lies
/// beside this program.
pub(in crate::language) fn brought(
    language: Language,
    named: Option<&Path>,
) -> Result<(String, Vec<u8>), TemplateError> {
    let path = match named {
        Some(path) if path.is_dir() => path.join(COMPONENT),
        Some(path) => path.to_owned(),
        None => beside(language).ok_or(TemplateError::NoAdapter { language })?,
    };
    let bytes = taken(&path).map_err(|problem| TemplateError::BadAdapter { path, language, problem })?;
    Ok((place(language), bytes))
}

/// What `doctor` says: a project that is there needs nothing, and a new one its adapter, if `new` would take it.
pub(in crate::language) fn tools(language: Language) -> Vec<Tool> {
    let found = beside(language).filter(|path| taken(path).is_ok()).map(|path| path.display().to_string());
    vec![Tool { language, name: "adapter", found, install: INSTALL }]
}

/// The one beside this program: in a directory `components`, or where this repository's builds put it.
fn beside(language: Language) -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    let directory = program.parent()?;
    let name = format!("{}.wasm", language.as_str());
    let places = [directory.join("components"), directory.parent()?.join("wasm/components")];
    places.map(|place| place.join(&name)).into_iter().find(|path| path.exists())
}

/// An adapter that `new` takes.
fn taken(path: &Path) -> Result<Vec<u8>, String> {
    let bytes = chosen(path).map_err(|unread| unread.to_string())?;
    check_component(&bytes).map_err(|error| error.to_string())?;
    Ok(bytes)
}

/// What whoever has this program chose. They may have put a link there; in a project, which may be a stranger's, nothing
/// follows one.
fn chosen(path: &Path) -> Result<Vec<u8>, Unread> {
    bytes(&path.canonicalize().map_err(Unread::Io)?, BYTES_MAX)
}
