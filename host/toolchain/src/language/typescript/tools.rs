//! Node's tools: got once, by a lock file that this program brings, and kept in the user's cache; and the packages of a
//! project, by its own lock file.
//!
//! What runs with the rights of whoever builds: `node` and `npm` of the `PATH`, and `tsc` and esbuild as the lock file of
//! this program names them by their digests. npm checks those when it gets them; from then on nobody but the user may
//! write there. Of a project nothing runs: no script of a package, no package from git, and no setting of npm but those
//! that [`settled`](super::settled) lists. A project does choose its registry and its packages, so whoever builds it asks
//! servers of its choice for files. None of these processes gets the environment beyond what is listed here.

use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use attorn_build::process::{self, Failed};

use super::super::kept;
use super::{interpreter, settled};
use crate::doctor::version;
use crate::project::{ProjectError, file};

const PACKAGE: &str = include_str!("package.json");
const LOCK: &str = include_str!("package-lock.json");

const NODE_HELP: &str = "Node 20 or later and npm are needed: https://nodejs.org";
const REGISTRY_HELP: &str = "npm's registry is needed once; then the packages are kept";
const LOCK_HELP: &str =
    "`package-lock.json` does not fit `package.json`: run `npm install --package-lock-only`, and keep what it writes";
const GIT_HELP: &str =
    "packages from git are not taken: name a version in a registry, or put its sources in the project";
const NODE_MAJOR_MIN: u32 = 20;

/// There may be much to download, over a slow line.
const INSTALL_MAX: Duration = Duration::from_mins(10);
/// How often it is looked whether another build has ended.
const POLL: Duration = Duration::from_millis(100);
/// Lines of npm's that are kept of an error.
const SAID_LINES_MAX: usize = 8;
/// What a tool may take for a project.
const RUN_MAX: Duration = Duration::from_mins(2);

/// npm's own settings, by the user: `npm_config_registry` and the like.
const NPM_SETTING: &str = "npm_config_";

/// No program has this name. npm would run it for a package from git, and looks for it in the `PATH` alone.
const NO_GIT: &str = "attorn-takes-no-package-from-git";
/// What holds in each npm that npm starts, too, where a project's `.npmrc` says otherwise.
const NPM: &[(&str, &str)] =
    &[("npm_config_ignore_scripts", "true"), ("npm_config_allow_git", "none"), ("npm_config_git", NO_GIT)];

/// The tools, as they are installed.
pub(super) struct Tools {
    home: PathBuf,
}

/// What Node says of itself, if it is new enough.
pub(super) fn node() -> Option<String> {
    let found = version("node")?;
    let major = found.trim_start_matches('v').split('.').next()?.parse::<u32>().ok()?;
    (major >= NODE_MAJOR_MIN).then_some(found)
}

impl Tools {
    /// Find them, or get them. What is interrupted leaves nothing that counts as installed.
    pub(super) fn get(progress: &mut dyn FnMut(&str)) -> Result<Self, ProjectError> {
        if node().is_none() {
            let problem = "there is no Node of version 20 or later here".to_owned();
            return Err(ProjectError::Tool { problem, help: NODE_HELP });
        }
        let cache = kept::cache()?;
        let digest = blake3::hash([PACKAGE, LOCK].concat().as_bytes()).to_hex();
        let home = cache.join(format!("typescript-{}", &digest[..16]));
        kept::get(&cache, &home, &mut |beside| {
            progress("getting TypeScript, esbuild and QuickJS from npm's registry, once");
            for (name, text) in [("package.json", PACKAGE), ("package-lock.json", LOCK)] {
                fs::write(beside.join(name), text).map_err(file(beside))?;
            }
            ci(beside)?;
            let interpreter = interpreter::within(&beside.join("node_modules"))?;
            let path = beside.join(interpreter::FILE);
            fs::write(&path, interpreter).map_err(file(&path))
        })?;
        Ok(Self { home })
    }

    /// A tool, run in a directory; it gives what it says on its standard output. What it says on its standard error is
    /// shown if it does its work, and else in the error alone.
    pub(super) fn run(
        &self,
        tool: &str,
        arguments: &[&OsStr],
        stdin: Stdio,
        within: &Path,
        progress: &mut dyn FnMut(&str),
    ) -> Result<String, Failed> {
        let mut said = Vec::new();
        let mut command = command(self.home.join("node_modules/.bin").join(tool));
        command.args(arguments).current_dir(within);
        let output = process::run_reading(&mut command, stdin, RUN_MAX, &mut |line| said.push(line.to_owned()))?;
        for line in &said {
            progress(line);
        }
        Ok(output)
    }

    /// The interpreter, which is looked at anew: somebody else may have written there.
    pub(super) fn interpreter(&self) -> Result<Vec<u8>, ProjectError> {
        let path = self.home.join(interpreter::FILE);
        let bytes = fs::read(&path).map_err(file(&path))?;
        if interpreter::is(&bytes) {
            return Ok(bytes);
        }
        let problem = format!("`{}` is not the interpreter that was put there", path.display());
        Err(ProjectError::Tool { problem, help: "remove its directory: it is got anew" })
    }
}

/// Have the packages of a project in place, as its lock file names them: each time anew, since what lies in
/// `node_modules` may have come with the project. Where there is no lock file it is made, and is a source from then on.
pub(super) fn install(home: &Path, progress: &mut dyn FnMut(&str)) -> Result<(), ProjectError> {
    settled::check(home)?;
    if !home.join(settled::LOCK).is_file() {
        progress("making `package-lock.json`: keep it with the sources");
        npm(home, &["install", "--package-lock-only", "--omit-lockfile-registry-resolved"])?;
        settled::check(home)?;
    }
    ci(home)
}

/// Build a project alone for as long as this lives: another build would take its packages away meanwhile.
pub(super) fn alone(home: &Path, progress: &mut dyn FnMut(&str)) -> Result<File, ProjectError> {
    let path = home.join("package.json");
    let manifest = File::open(&path).map_err(file(&path))?;
    let end = Instant::now() + INSTALL_MAX;
    let mut is_told = false;
    loop {
        match manifest.try_lock() {
            Ok(()) => return Ok(manifest),
            Err(TryLockError::Error(error)) => return Err(file(&path)(error)),
            Err(TryLockError::WouldBlock) if Instant::now() >= end => {
                let problem = format!("another build of it does not end, or something else holds `{}`", path.display());
                return Err(ProjectError::Tool { problem, help: "end it, and build again" });
            }
            Err(TryLockError::WouldBlock) => {
                if !std::mem::replace(&mut is_told, true) {
                    progress("waiting for another build of this project");
                }
                thread::sleep(POLL);
            }
        }
    }
}

fn ci(within: &Path) -> Result<(), ProjectError> {
    npm(within, &["ci", "--prefer-offline"])
}

fn npm(within: &Path, arguments: &[&str]) -> Result<(), ProjectError> {
    let mut npm = command("npm");
    npm.args(arguments).envs(NPM.iter().copied()).args([
        "--ignore-scripts",
        "--allow-git=none",
        &format!("--git={NO_GIT}"),
        // Or a `package.json` further up would make its own `.npmrc` count.
        "--workspaces=false",
        "--no-audit",
        "--no-fund",
        "--no-update-notifier",
        "--loglevel=error",
    ]);
    // Of an error npm says the usage of the command at length, after what is wrong.
    let mut said = Vec::new();
    let ran = process::run(npm.current_dir(within), INSTALL_MAX, &mut |line| {
        if !matches!(line, "" | "npm error") && said.len() < SAID_LINES_MAX {
            said.push(line.to_owned());
        }
    });
    ran.map(drop).map_err(|failed| {
        let said = said.join("\n");
        ProjectError::Tool { problem: format!("{}\n{said}", failed.what()), help: help(&said) }
    })
}

/// What to do about what npm says.
fn help(said: &str) -> &'static str {
    match () {
        () if said.contains("`npm ci` can only install packages when") => LOCK_HELP,
        () if said.contains("EALLOWGIT") || said.contains(NO_GIT) => GIT_HELP,
        () => REGISTRY_HELP,
    }
}

/// A program with nothing of the environment but what is listed, and npm's settings.
fn command(program: impl AsRef<OsStr>) -> Command {
    kept::command(program, NPM_SETTING)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_is_built_by_one_at_a_time() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("package.json"), "{}").unwrap();
        let first = alone(home.path(), &mut |_| {}).unwrap();
        let began = Instant::now();
        let path = home.path().to_owned();
        let second = thread::spawn(move || {
            let mut said = Vec::new();
            alone(&path, &mut |line| said.push(line.to_owned())).unwrap();
            (said, began.elapsed())
        });
        thread::sleep(Duration::from_millis(500));
        drop(first);
        let (said, waited) = second.join().unwrap();
        assert_eq!(said, ["waiting for another build of this project"]);
        assert!(waited >= Duration::from_millis(500));
    }

    #[test]
    fn what_npm_says_has_the_help_that_fits() {
        for (said, expected) in [
            (
                "npm error code EUSAGE\nnpm error `npm ci` can only install packages when your package.json and",
                LOCK_HELP,
            ),
            ("npm error code EALLOWGIT\nnpm error Fetching packages of type \"git\" have been disabled", GIT_HELP),
            ("npm error syscall spawn attorn-takes-no-package-from-git", GIT_HELP),
            ("npm error code ECONNREFUSED", REGISTRY_HELP),
        ] {
            assert_eq!(help(said), expected, "{said}");
        }
    }
}
