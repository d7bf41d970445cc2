//! `QuickJS` as a module of WebAssembly, known by its digest wherever it lies.
//!
//! It comes within the native library that `componentize-qjs` has for each platform. That is read as bytes and never run.

use std::fs;
use std::path::{Path, PathBuf};

use crate::project::{ProjectError, file};

/// Its file, among the tools.
pub(super) const FILE: &str = "quickjs.wasm";

/// The BLAKE3 digest of `runtime-sync.wasm` of componentize-qjs 0.4.5, and its size.
const DIGEST: &str = "7d7d8e8896cfe9075da3f51d01252aa61096435720b808b72c0f037ae234a07f";
const BYTES: usize = 1_497_910;

/// How every module of WebAssembly begins.
const MODULE: &[u8] = b"\0asm\x01\0\0\0";

/// The most of a library that is looked at.
const LIBRARY_BYTES_MAX: u64 = 256 << 20;

/// Whether these bytes are the interpreter.
pub(super) fn is(bytes: &[u8]) -> bool {
    bytes.len() == BYTES && blake3::hash(bytes).to_hex().as_str() == DIGEST
}

/// The interpreter, out of the packages that were installed.
pub(super) fn within(node_modules: &Path) -> Result<Vec<u8>, ProjectError> {
    for library in libraries(&node_modules.join("@andreiltd"))? {
        let size = fs::metadata(&library).map_err(file(&library))?.len();
        if size > LIBRARY_BYTES_MAX {
            continue;
        }
        if let Some(found) = find(&fs::read(&library).map_err(file(&library))?) {
            return Ok(found.to_vec());
        }
    }
    let problem = "the packages of npm for this platform do not bring the interpreter that is known here".to_owned();
    Err(ProjectError::Tool { problem, help: "build on Linux, macOS or Windows, on x86-64 or ARM64" })
}

fn find(library: &[u8]) -> Option<&[u8]> {
    let begins = memchr::memmem::find_iter(library, MODULE);
    begins.filter_map(|at| library.get(at..at.checked_add(BYTES)?)).find(|module| is(module))
}

/// The native libraries of the packages of this scope, in the order of their names.
fn libraries(scope: &Path) -> Result<Vec<PathBuf>, ProjectError> {
    let mut found = Vec::new();
    for package in entries(scope)? {
        let files = entries(&package)?.into_iter();
        found.extend(files.filter(|path| path.extension().is_some_and(|extension| extension == "node")));
    }
    found.sort();
    Ok(found)
}

fn entries(directory: &Path) -> Result<Vec<PathBuf>, ProjectError> {
    if !directory.is_dir() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(directory).map_err(file(directory))?;
    entries.map(|entry| entry.map(|entry| entry.path()).map_err(file(directory))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_only_begin_like_it_are_not_taken() {
        let mut library = [MODULE, MODULE, b"\0asm"].concat();
        assert!(find(&library).is_none());
        library.resize(BYTES + 64, 0);
        assert!(find(&library).is_none());
        assert!(!is(&library[..BYTES]));
    }

    #[test]
    fn packages_without_it_are_an_error() {
        let empty = tempfile::tempdir().unwrap();
        let error = within(empty.path()).unwrap_err().to_string();
        assert!(error.contains("do not bring the interpreter"), "{error}");
    }
}
