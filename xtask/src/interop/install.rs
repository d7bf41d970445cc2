//! What npm and pip install, from lock files with digests. It is kept for as long as those do not change.

use std::fs;
use std::path::{Path, PathBuf};

use crate::run::Invocation;

/// The packages of Node, in place.
pub(super) fn node(directory: &Path) -> Result<(), String> {
    let stamp = Stamp::of(&directory.join("package-lock.json"), directory.join("node_modules/.installed"))?;
    stamp.unless_installed(|| {
        let npm = Invocation::program(directory, PathBuf::from("npm"));
        npm.with("ci").with("--no-progress").run()
    })
}

/// A virtual environment of Python.
pub(super) fn python(home: &Path, scripts: &Path) -> Result<(), String> {
    let requirements = scripts.join("requirements.txt");
    let stamp = Stamp::of(&requirements, home.join(".installed"))?;
    stamp.unless_installed(|| {
        let text = |path: &Path| path.display().to_string();
        let venv = Invocation::program(scripts, PathBuf::from("python3"));
        venv.with("-m").with("venv").with("--clear").with(text(home)).run()?;
        [
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--require-hashes",
            "--only-binary=:all:",
            "-r",
        ]
        .iter()
        .fold(Invocation::program(scripts, home.join("bin/python")), |pip, argument| pip.with(*argument))
        .with(text(&requirements))
        .run()
    })
}

/// From which lock file something was installed: a copy of it that stands beside.
struct Stamp {
    wanted: Vec<u8>,
    path: PathBuf,
}

impl Stamp {
    fn of(lock: &Path, path: PathBuf) -> Result<Self, String> {
        let wanted = fs::read(lock).map_err(|error| format!("cannot read `{}`: {error}", lock.display()))?;
        Ok(Self { wanted, path })
    }

    fn unless_installed(self, install: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
        if fs::read(&self.path).is_ok_and(|installed| installed == self.wanted) {
            return Ok(());
        }
        install()?;
        // Last, so that what was interrupted is done again.
        fs::write(&self.path, &self.wanted).map_err(|error| format!("cannot write `{}`: {error}", self.path.display()))
    }
}
