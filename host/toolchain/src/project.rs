//! From a policy's directory to its component, with how it was built written into it.
//!
//! The same sources give the same bytes, wherever they lie: paths are kept out, and so is the time. Another
//! compiler gives other bytes. What cargo compiles runs here with all rights of whoever builds, as always.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

pub use attorn_build::BuildError;
use attorn_build::{Artifacts, BuildRequest, WasmTarget};
use attorn_engine::{LoadError, check_component};
use serde::Deserialize;

use crate::section::{self, Built};

/// The component, in the policy's directory.
pub const COMPONENT: &str = "policy.wasm";

/// The crate of the SDK.
const SDK: &str = "attorn-policy";

/// The most files of a policy's sources, and the most bytes of them together.
const SOURCES_MAX: usize = 10_000;
const SOURCE_BYTES_MAX: u64 = 64 << 20;

/// What is no source, at the top of the directory: what a build makes, and what is about the policy.
const NO_SOURCES: &[&str] = &["target", COMPONENT, "cases", "README.md", "settings.json"];

/// Why there is no component.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// It is no policy's directory.
    #[error("`{}` holds no policy that can be built: there is no `Cargo.toml`, and no `rust/Cargo.toml`", path.display())]
    NoProject {
        /// Which.
        path: PathBuf,
    },
    /// The manifest or the lock file does not say what it has to.
    #[error("`{}`: {problem}", path.display())]
    Manifest {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// There is more than a policy's sources come to.
    #[error("`{}` holds more than {SOURCES_MAX} files or {SOURCE_BYTES_MAX} bytes", path.display())]
    TooMuch {
        /// Where.
        path: PathBuf,
    },
    /// A file could not be read or written.
    #[error("file `{}`", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It does not compile, or imports what no policy gets.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// What was built is no policy of the version that runs here.
    #[error("what was built is no policy for this version")]
    NoPolicy(#[source] LoadError),
}

/// A component that was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// Its file.
    pub path: PathBuf,
    /// The BLAKE3 digest of its bytes.
    pub digest: String,
    /// Its size.
    pub bytes: usize,
    /// What it says about how it was built.
    pub built: Built,
}

#[derive(Deserialize)]
struct Manifest {
    package: Package,
}

#[derive(Deserialize)]
struct Package {
    name: String,
}

#[derive(Deserialize)]
struct Lock {
    #[serde(default)]
    package: Vec<LockedPackage>,
}

#[derive(Deserialize)]
struct LockedPackage {
    name: String,
    version: String,
}

/// Build the policy of a directory. `progress` gets cargo's messages, line by line.
///
/// # Errors
///
/// When it is no policy's directory, a tool is missing, or what was built is no policy. An earlier component is
/// left as it is then.
pub fn build(directory: &Path, progress: &mut dyn FnMut(&str)) -> Result<Made, ProjectError> {
    let crates = [directory.to_owned(), directory.join("rust")];
    let Some(home) = crates.into_iter().find(|home| home.join("Cargo.toml").is_file()) else {
        return Err(ProjectError::NoProject { path: directory.to_owned() });
    };
    let manifest = home.join("Cargo.toml");
    let Manifest { package } = read_toml(&manifest)?;
    let target = WasmTarget::find(progress)?;
    let request = BuildRequest {
        manifest: &manifest,
        target_dir: &directory.join("target"),
        artifacts: Artifacts::Packages(&[&package.name]),
    };
    let built = attorn_build::build(&target, &request, progress)?;
    let Some(component) = built.first() else { return Err(ProjectError::NoProject { path: directory.to_owned() }) };
    let bytes = fs::read(&component.path).map_err(file(&component.path))?;
    check_component(&bytes).map_err(ProjectError::NoPolicy)?;
    // Cargo has written the lock file by now, and it is a source like others.
    let lock = lock(&home)?;
    let built = Built { language: "rust".to_owned(), sdk: sdk(&lock)?, source: source(directory, &lock)? };
    let bytes = section::with(&bytes, &built);
    let path = directory.join(COMPONENT);
    write_whole(&path, &bytes).map_err(file(&path))?;
    Ok(Made { path, digest: blake3::hash(&bytes).to_hex().to_string(), bytes: bytes.len(), built })
}

/// The lock file of a crate: its own, or that of the workspace that it is in.
fn lock(home: &Path) -> Result<PathBuf, ProjectError> {
    let whole = home.canonicalize().map_err(file(home))?;
    let found = whole.ancestors().map(|above| above.join("Cargo.lock")).find(|path| path.is_file());
    Ok(found.unwrap_or_else(|| home.join("Cargo.lock")))
}

/// The SDK and the version of it that the lock file names.
fn sdk(path: &Path) -> Result<String, ProjectError> {
    let lock: Lock = read_toml(path)?;
    let found = lock.package.iter().find(|package| package.name == SDK);
    let problem = format!("it names no `{SDK}`: add it to the dependencies");
    let sdk = found.ok_or(ProjectError::Manifest { path: path.to_owned(), problem })?;
    Ok(format!("{SDK} {}", sdk.version))
}

/// A digest of all sources, each with its name, in the order of their names, and of the lock file where that lies
/// elsewhere. Hidden files are none.
fn source(directory: &Path, lock: &Path) -> Result<String, ProjectError> {
    let mut files = Vec::new();
    list(directory, directory, &mut files)?;
    files.sort();
    let mut files: Vec<_> = files.into_iter().map(|name| (directory.join(&name), name)).collect();
    if !lock.starts_with(directory.canonicalize().map_err(file(directory))?) {
        files.push((lock.to_owned(), "Cargo.lock".to_owned()));
    }
    let mut hasher = blake3::Hasher::new();
    let mut left = SOURCE_BYTES_MAX;
    for (path, name) in files {
        let mut bytes = Vec::new();
        fs::File::open(&path).and_then(|f| f.take(left + 1).read_to_end(&mut bytes)).map_err(file(&path))?;
        let too_much = || ProjectError::TooMuch { path: directory.to_owned() };
        left = left.checked_sub(bytes.len() as u64).ok_or_else(too_much)?;
        // Lengths stand before what they are of, so that no two sets of files give the same bytes.
        for part in [name.as_bytes(), &bytes] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
    }
    Ok(format!("blake3:{}", hasher.finalize().to_hex()))
}

/// The files below a directory, by their names from the top with `/` between the parts.
fn list(top: &Path, directory: &Path, files: &mut Vec<String>) -> Result<(), ProjectError> {
    for entry in fs::read_dir(directory).map_err(file(directory))? {
        let entry = entry.map_err(file(directory))?;
        let (path, name) = (entry.path(), entry.file_name());
        let is_top = directory == top && NO_SOURCES.iter().any(|other| name == *other);
        if is_top || name.to_string_lossy().starts_with('.') {
            continue;
        }
        // Of a link, what it leads to counts; cargo follows it, too. One that leads in a circle has too many files.
        if files.len() >= SOURCES_MAX {
            return Err(ProjectError::TooMuch { path: top.to_owned() });
        }
        let kind = fs::metadata(&path).map_err(file(&path))?;
        if kind.is_dir() {
            list(top, &path, files)?;
        } else {
            let below = path.strip_prefix(top).unwrap_or(&path);
            let parts: Vec<_> = below.components().map(|part| part.as_os_str().to_string_lossy()).collect();
            files.push(parts.join("/"));
        }
    }
    Ok(())
}

fn read_toml<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, ProjectError> {
    let text = fs::read_to_string(path).map_err(file(path))?;
    toml::from_str(&text).map_err(|error| {
        let problem = error.message().to_owned();
        ProjectError::Manifest { path: path.to_owned(), problem }
    })
}

/// The old component or the new one, never a part.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".policy-").tempfile_in(beside)?;
    file.write_all(bytes)?;
    file.persist(path).map(drop).map_err(|error| error.error)
}

fn file(path: &Path) -> impl FnOnce(io::Error) -> ProjectError {
    let path = path.to_owned();
    |source| ProjectError::File { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = directory.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        directory
    }

    #[test]
    fn sources_are_told_apart_and_nothing_else_counts() {
        let of = |files: &[(&str, &str)]| {
            let (home, lock) = (directory(files), directory(&[("Cargo.lock", "lock")]));
            source(home.path(), &lock.path().join("Cargo.lock")).unwrap()
        };
        let one = of(&[("Cargo.toml", "a"), ("src/lib.rs", "b")]);
        let with = [("Cargo.toml", "a"), ("src/lib.rs", "b"), ("target/x", "y"), ("policy.wasm", "z"), (".git/x", "y")];
        assert_eq!(of(&with), one);
        for other in [
            &[("Cargo.toml", "a"), ("src/lib.rs", "c")][..],
            &[("Cargo.toml", "ab"), ("src/lib.rs", "")],
            &[("Cargo.toml", "a"), ("src/lib2.rs", "b")],
            &[("Cargo.toml", "a"), ("src/lib.rs", "b"), ("src/target", "")],
        ] {
            assert_ne!(of(other), one, "{other:?}");
        }
    }

    #[test]
    fn a_directory_that_is_no_policys_is_refused_before_anything_is_compiled() {
        let failed = |files: &[(&str, &str)]| build(directory(files).path(), &mut |_| {}).unwrap_err().to_string();
        assert!(failed(&[]).ends_with("there is no `Cargo.toml`, and no `rust/Cargo.toml`"));
        // The crate of a plugin lies one deeper.
        assert!(failed(&[("rust/Cargo.toml", "=")]).contains("rust/Cargo.toml`: "));
        assert!(failed(&[("Cargo.toml", "[workspace]")]).ends_with("missing field `package`"));
        assert!(failed(&[("Cargo.toml", "=")]).contains("Cargo.toml`: "));
    }

    #[test]
    fn the_sdk_is_the_one_that_is_locked() {
        let lock = "version = 4\n[[package]]\nname = \"attorn-policy\"\nversion = \"7.8.9\"\n";
        let of = |files: &[(&str, &str)], home: &str| {
            let directory = directory(files);
            fs::create_dir_all(directory.path().join(home)).unwrap();
            super::lock(&directory.path().join(home)).and_then(|lock| sdk(&lock))
        };
        assert_eq!(of(&[("Cargo.lock", lock)], ".").unwrap(), "attorn-policy 7.8.9");
        // A member of a workspace has none of its own.
        assert_eq!(of(&[("Cargo.lock", lock)], "plugins/a/rust").unwrap(), "attorn-policy 7.8.9");
        let error = of(&[("Cargo.lock", "version = 4\n")], ".").unwrap_err().to_string();
        assert!(error.ends_with("it names no `attorn-policy`: add it to the dependencies"), "{error}");
    }
}
