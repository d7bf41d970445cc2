//! Where things are, and running the tools of other languages.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The repository, and where things are built.
pub(crate) struct Ground {
    /// The repository's root.
    pub(crate) root: PathBuf,
    /// Below the target directory.
    build: PathBuf,
}

impl Ground {
    pub(crate) fn find() -> Result<Self, String> {
        let here = env::current_dir().map_err(|error| format!("no working directory: {error}"))?;
        let root = here.ancestors().find(|at| at.join("wit/policy.wit").is_file());
        let root = root.ok_or_else(|| format!("`{}` is not inside the Attorn repository", here.display()))?;
        let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        Ok(Self { root: root.to_owned(), build: target.join("wasm/polyglot") })
    }

    /// Where `cargo xtask components` puts what is written in Rust.
    pub(crate) fn components(&self) -> PathBuf {
        self.build.join("../components")
    }

    /// The contract.
    pub(crate) fn wit(&self) -> PathBuf {
        self.root.join("wit")
    }

    /// A directory of its own for this, made if it is not there.
    pub(crate) fn directory(&self, name: &str) -> Result<PathBuf, String> {
        let path = self.build.join(name);
        fs::create_dir_all(&path).map_err(io_at(&path))?;
        Ok(path)
    }

    /// The same, and empty.
    pub(crate) fn fresh_directory(&self, name: &str) -> Result<PathBuf, String> {
        let path = self.build.join(name);
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_at(&path)(error)),
            _ => self.directory(name),
        }
    }
}

/// A virtual environment of Python with exactly these requirements, and the directory of its programs.
///
/// It is made once and kept for as long as the requirements do not change.
pub(crate) fn python_environment(ground: &Ground, name: &str, requirements: &Path) -> Result<PathBuf, String> {
    const HELP: &str = "Python 3.10 or later with `venv` is needed (Debian: `apt-get install python3-venv`)";
    let home = ground.directory("tools")?.join(name);
    let (stamp, wanted) = (home.join("requirements.txt"), read(requirements)?);
    if fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(home.join("bin"));
    }
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&home), HELP)?;
    let install = ["-m", "pip", "install", "--quiet", "--require-hashes", "--only-binary=:all:", "-r"];
    run(
        Command::new(home.join("bin/python")).args(install).arg(requirements),
        "the registry of Python is needed once",
    )?;
    // Last, so that what was interrupted is done again.
    fs::write(&stamp, wanted).map_err(io_at(&stamp))?;
    Ok(home.join("bin"))
}

/// Run a tool to its end. `help` says how to get it, should it not be there.
pub(crate) fn run(command: &mut Command, help: &str) -> Result<(), String> {
    let output = command.output().map_err(|error| {
        let program = command.get_program().display();
        format!("cannot start `{program}`: {error}\nhelp: {help}")
    })?;
    if output.status.success() {
        return Ok(());
    }
    let words = [command.get_program()].into_iter().chain(command.get_args());
    let shown = words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ");
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    Err(format!("`{shown}` ended with {}\n{}\nhelp: {help}", output.status, said.trim_end()))
}

/// Copy the files of a directory, without those below it, that have one of these endings.
pub(crate) fn copy_files(from: &Path, to: &Path, endings: &[&str]) -> Result<(), String> {
    fs::create_dir_all(to).map_err(io_at(to))?;
    for entry in fs::read_dir(from).map_err(io_at(from))? {
        let path = entry.map_err(io_at(from))?.path();
        let ending = path.extension().unwrap_or_default();
        if let Some(name) = path.file_name().filter(|_| path.is_file() && endings.iter().any(|one| ending == *one)) {
            fs::copy(&path, to.join(name)).map_err(io_at(&path))?;
        }
    }
    Ok(())
}

/// The files with this ending in a directory, sorted.
pub(crate) fn files(directory: &Path, ending: &str) -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(directory).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let mut paths: Vec<PathBuf> = entries.map_err(io_at(directory))?.into_iter().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|one| one == ending));
    paths.sort();
    Ok(paths)
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(io_at(path))
}

pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    let parent = path.parent().unwrap_or(path);
    fs::create_dir_all(parent).and_then(|()| fs::write(path, bytes)).map_err(io_at(path))
}

fn io_at(path: &Path) -> impl FnOnce(io::Error) -> String {
    let path = path.display().to_string();
    move |error| format!("`{path}`: {error}")
}
