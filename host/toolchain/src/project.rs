//! From a policy's directory to its component, with how it was built written into it.
//!
//! The same sources give the same bytes, wherever they lie: paths are kept out, and so is the time. Another
//! compiler gives other bytes. How a language is compiled is [`Language`]'s.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

pub use attorn_build::BuildError;
use attorn_build::whole;
use attorn_engine::{LoadError, check_component};

use crate::language::{Compiled, Language};
use crate::section::{self, Built};

/// The component, in the policy's directory.
pub const COMPONENT: &str = "policy.wasm";
/// The settings, beside it: somebody's own, to try; or built, where the policy is a text that stands in them.
pub const SETTINGS: &str = "settings.json";

/// The most files of a policy's sources, and the most bytes of them together.
const SOURCES_MAX: usize = 10_000;
const SOURCE_BYTES_MAX: u64 = 64 << 20;

/// What is no source: what a build makes, and what is about the policy, at the top of the directory and of the projects
/// in it; and packages, and what an interpreter leaves behind, wherever they lie.
const NO_SOURCES: &[&str] = &["target", COMPONENT, SIGNATURE, "cases", "README.md", SETTINGS];
/// The signature of what a build made, beside it.
const SIGNATURE: &str = "policy.wasm.minisig";
const NOWHERE_SOURCES: &[&str] = &["node_modules", "__pycache__"];

/// Why there is no component.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// It is no policy's directory.
    #[error("`{}` holds no policy that can be built: there is no {}", path.display(), manifests())]
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
    /// A tool of the language is missing, or refuses the sources.
    #[error("{problem}")]
    Tool {
        /// What it says.
        problem: String,
        /// What to do about it.
        help: &'static str,
    },
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
    /// The settings that were built with it, where the policy is a text.
    pub settings: Option<PathBuf>,
    /// What it says about how it was built.
    pub built: Built,
}

/// Build the policy of a directory. `progress` gets the tools' messages, line by line.
///
/// # Errors
///
/// When it is no policy's directory, a tool is missing, or what was built is no policy. An earlier component is
/// left as it is then.
pub fn build(directory: &Path, progress: &mut dyn FnMut(&str)) -> Result<Made, ProjectError> {
    let Some((language, home)) = Language::of(directory) else {
        return Err(ProjectError::NoProject { path: directory.to_owned() });
    };
    let Compiled { component, sdk, lock } = language.build(directory, &home, progress)?;
    check_component(&component).map_err(ProjectError::NoPolicy)?;
    let built = Built { language: language.as_str().to_owned(), sdk, source: source(directory, &lock)? };
    let text = language.settings(&home, progress)?;
    // An adapter stays as it is: everybody knows it by its digest, and the sources are in the settings.
    let bytes = if text.is_some() { component } else { section::with(&component, &built) };
    let settings = text.map(|text| put(directory.join(SETTINGS), text.as_bytes())).transpose()?;
    let path = put(directory.join(COMPONENT), &bytes)?;
    Ok(Made { path, digest: blake3::hash(&bytes).to_hex().to_string(), bytes: bytes.len(), settings, built })
}

/// Write what was built. What is the same already is left, so that nobody who watches it is woken.
fn put(path: PathBuf, bytes: &[u8]) -> Result<PathBuf, ProjectError> {
    let is_same = fs::symlink_metadata(&path).is_ok_and(|there| there.is_file() && there.len() == bytes.len() as u64)
        && fs::read(&path).is_ok_and(|there| there == bytes);
    if !is_same {
        whole::write(&path, bytes).map_err(file(&path))?;
    }
    Ok(path)
}

/// Whether a build of this directory makes its settings, so that they are nobody's own.
#[must_use]
pub fn builds_settings(directory: &Path) -> bool {
    Language::of(directory).is_some_and(|(language, _)| language.is_text())
}

/// The names of a project's sources, sorted.
pub(crate) fn files(directory: &Path) -> Result<Vec<String>, ProjectError> {
    let mut files = Vec::new();
    list(directory, directory, &mut files)?;
    files.sort();
    Ok(files)
}

/// A digest of all sources, each with its name, in the order of their names, and of the lock file where that lies
/// elsewhere. Hidden files are none. However the directory is named, it is the same.
fn source(directory: &Path, lock: &Path) -> Result<String, ProjectError> {
    let mut files: Vec<_> = files(directory)?.into_iter().map(|name| (directory.join(&name), name)).collect();
    let name = lock.file_name().unwrap_or_default();
    // Where the file lies, and not where it leads as a link: by that name it is among those above.
    let within = lock.parent().unwrap_or(lock);
    let lies = within.canonicalize().map_err(file(within))?.join(name);
    if !lies.starts_with(directory.canonicalize().map_err(file(directory))?) {
        files.push((lies, name.to_string_lossy().into_owned()));
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
        let is_project = Language::ALL.iter().any(|language| directory == top.join(language.as_str()));
        let is_none = (directory == top || is_project) && NO_SOURCES.iter().any(|other| name == *other);
        if is_none || NOWHERE_SOURCES.iter().any(|other| name == *other) || name.to_string_lossy().starts_with('.') {
            continue;
        }
        // Of a link, what it leads to counts; cargo follows it, too. One that leads in a circle has too many files.
        if files.len() >= SOURCES_MAX {
            return Err(ProjectError::TooMuch { path: top.to_owned() });
        }
        let kind = fs::metadata(&path).map_err(file(&path))?;
        if kind.is_dir() {
            list(top, &path, files)?;
        } else if !kind.is_file() {
            // Whoever opens a pipe waits for somebody to write.
            return Err(ProjectError::Manifest { path, problem: "it is no regular file".to_owned() });
        } else {
            let below = path.strip_prefix(top).unwrap_or(&path);
            let parts: Vec<_> = below.components().map(|part| part.as_os_str().to_string_lossy()).collect();
            files.push(parts.join("/"));
        }
    }
    Ok(())
}

pub(crate) fn file(path: &Path) -> impl FnOnce(io::Error) -> ProjectError {
    let path = path.to_owned();
    |source| ProjectError::File { path, source }
}

/// What would say that a directory is a policy's.
fn manifests() -> String {
    let names = |language: &Language| {
        let (manifest, deeper) = (language.manifest(), language.as_str());
        format!("`{manifest}` or `{deeper}/{manifest}`")
    };
    Language::ALL.iter().map(names).collect::<Vec<_>>().join(", ")
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
        let with = [
            ("Cargo.toml", "a"),
            ("src/lib.rs", "b"),
            ("target/x", "y"),
            ("policy.wasm", "z"),
            ("policy.wasm.minisig", "z"),
            (".git/x", "y"),
        ];
        assert_eq!(of(&with), one);
        let deeper = [
            ("Cargo.toml", "a"),
            ("src/lib.rs", "b"),
            ("typescript/node_modules/a/a.js", "y"),
            ("typescript/target/test/a.mjs", "y"),
            ("rust/policy.wasm", "z"),
            ("src/vendor/node_modules/a/a.js", "y"),
            ("src/a/__pycache__/b.pyc", "y"),
        ];
        assert_eq!(of(&deeper), one);
        for other in [
            &[("Cargo.toml", "a"), ("src/lib.rs", "b"), ("other/policy.wasm", "z")][..],
            &[("Cargo.toml", "a"), ("src/lib.rs", "c")],
            &[("Cargo.toml", "ab"), ("src/lib.rs", "")],
            &[("Cargo.toml", "a"), ("src/lib2.rs", "b")],
            &[("Cargo.toml", "a"), ("src/lib.rs", "b"), ("src/target", "")],
        ] {
            assert_ne!(of(other), one, "{other:?}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn sources_are_the_same_however_their_directory_is_named() {
        let files = [("clib.json", "a"), ("src/policy.c", "b"), ("c/clib.json", "c")];
        let (home, elsewhere) = (directory(&files), tempfile::tempdir().unwrap());
        let link = elsewhere.path().join("link");
        std::os::unix::fs::symlink(home.path(), &link).unwrap();
        let here = std::env::current_dir().unwrap().canonicalize().unwrap();
        let whole = home.path().canonicalize().unwrap();
        let up: PathBuf = here.components().skip(1).map(|_| "..").collect();
        let relative = up.join(whole.strip_prefix("/").unwrap());
        assert!(relative.is_relative() && relative.is_dir());
        // The manifest lies within, at the top or one deeper, and counts once.
        for manifest in ["clib.json", "c/clib.json"] {
            let of = |directory: &Path| source(directory, &directory.join(manifest)).unwrap();
            let expected = of(&whole);
            for named in [&relative, &link, &whole.join("src/..")] {
                assert_eq!(of(named), expected, "{}", named.display());
            }
        }
        // A lock file of elsewhere is one more wherever it is named from.
        let lock = directory(&[("Cargo.lock", "lock")]);
        let of = |lock: &Path| source(&whole, &lock.join("Cargo.lock")).unwrap();
        let up = up.join(lock.path().canonicalize().unwrap().strip_prefix("/").unwrap());
        assert_eq!(of(&up), of(lock.path()));
        assert_ne!(of(&up), source(&whole, &whole.join("clib.json")).unwrap());
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_regular_file_is_not_opened() {
        let home = directory(&[("Cargo.toml", "a"), ("src/lib.rs", "b")]);
        let pipe = home.path().join("src/pipe");
        let path = std::ffi::CString::new(pipe.to_str().unwrap()).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        std::os::unix::fs::symlink("pipe", home.path().join("src/link")).unwrap();
        let (say, said) = std::sync::mpsc::channel();
        let top = home.path().to_owned();
        // Opened, it would wait for somebody for ever.
        std::thread::spawn(move || say.send(source(&top, &top.join("Cargo.toml")).map_err(|error| error.to_string())));
        let error = said.recv_timeout(std::time::Duration::from_secs(10)).unwrap().unwrap_err();
        assert!(error.ends_with("`: it is no regular file"), "{error}");
    }

    #[test]
    fn a_directory_that_is_no_policys_is_refused_before_anything_is_compiled() {
        let failed = |files: &[(&str, &str)]| build(directory(files).path(), &mut |_| {}).unwrap_err().to_string();
        assert!(
            failed(&[]).ends_with(
                "`Cargo.toml` or `rust/Cargo.toml`, `package.json` or `typescript/package.json`, `clib.json` or `c/clib.json`, `go.mod` or `go/go.mod`, `pyproject.toml` or `python/pyproject.toml`, `cedar.json` or `cedar/cedar.json`, `rego.json` or `rego/rego.json`"
            )
        );
        // The crate of a plugin lies one deeper.
        assert!(failed(&[("rust/Cargo.toml", "=")]).contains("rust/Cargo.toml`: "));
        assert!(failed(&[("Cargo.toml", "[workspace]")]).ends_with("missing field `package`"));
        assert!(failed(&[("Cargo.toml", "=")]).contains("Cargo.toml`: "));
    }
}
