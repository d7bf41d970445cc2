//! The adapters: where they lie in a project, and where a new project has its own from.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use attorn_engine::check_component;

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

/// That of a project.
pub(super) fn of(language: Language, home: &Path) -> Result<Vec<u8>, ProjectError> {
    let path = home.join(place(language));
    let bytes = read(&path).map_err(|source| ProjectError::File { path: path.clone(), source })?;
    let problem = || ProjectError::Manifest { path: path.clone(), problem: "it is no plain file".to_owned() };
    bytes.ok_or_else(problem)
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
    let bytes = read(&path).ok().flatten().filter(|bytes| check_component(bytes).is_ok());
    let bytes = bytes.ok_or(TemplateError::NoSdk { path, language })?;
    Ok((place(language), bytes))
}

/// What `doctor` says: a project that is there needs nothing, and a new one its adapter.
pub(in crate::language) fn tools(language: Language) -> Vec<Tool> {
    let found = beside(language).map(|path| path.display().to_string());
    vec![Tool { language, name: "adapter", found, install: INSTALL }]
}

/// The one beside this program: in a directory `components`, or where this repository's builds put it.
fn beside(language: Language) -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    let directory = program.parent()?;
    let name = format!("{}.wasm", language.as_str());
    let places = [directory.join("components"), directory.parent()?.join("wasm/components")];
    places.map(|place| place.join(&name)).into_iter().find(|path| path.is_file())
}

/// The bytes of a plain file that is not too long; none of anything else.
fn read(path: &Path) -> std::io::Result<Option<Vec<u8>>> {
    if !fs::symlink_metadata(path)?.is_file() {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(BYTES_MAX + 1).read_to_end(&mut bytes)?;
    Ok(Some(bytes).filter(|bytes| bytes.len() as u64 <= BYTES_MAX))
}
