//! Node's tools: got once, by a lock file that this program brings, and kept in the user's cache; and the packages of a
//! project, by its own lock file. Scripts of packages are never run.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use attorn_build::process::{self, Failed};

use super::interpreter;
use crate::doctor::version;
use crate::project::{ProjectError, file};

const PACKAGE: &str = include_str!("package.json");
const LOCK: &str = include_str!("package-lock.json");

const NODE_HELP: &str = "Node 20 or later and npm are needed: https://nodejs.org";
const REGISTRY_HELP: &str = "npm's registry is needed once; then the packages are kept";
const NODE_MAJOR_MIN: u32 = 20;

/// There may be much to download, over a slow line.
const INSTALL_MAX: Duration = Duration::from_mins(10);
/// What a tool may take for a project.
const RUN_MAX: Duration = Duration::from_mins(2);

/// In a project's `node_modules`, the digest of the lock file that they are of.
const STAMP: &str = ".attorn-lock";

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
        let cache = cache()?;
        let digest = blake3::hash([PACKAGE, LOCK].concat().as_bytes()).to_hex();
        let home = cache.join(format!("typescript-{}", &digest[..16]));
        let tools = Self { home };
        if tools.home.is_dir() {
            return Ok(tools);
        }
        progress("getting TypeScript, esbuild and QuickJS from npm's registry, once");
        fs::create_dir_all(&cache).map_err(file(&cache))?;
        let beside = tempfile::Builder::new().prefix(".typescript-").tempdir_in(&cache).map_err(file(&cache))?;
        for (name, text) in [("package.json", PACKAGE), ("package-lock.json", LOCK)] {
            fs::write(beside.path().join(name), text).map_err(file(beside.path()))?;
        }
        ci(beside.path(), progress)?;
        let interpreter = interpreter::within(&beside.path().join("node_modules"))?;
        let path = beside.path().join(interpreter::FILE);
        fs::write(&path, interpreter).map_err(file(&path))?;
        match fs::rename(beside.path(), &tools.home) {
            // Another build was faster.
            Err(_) if tools.home.is_dir() => Ok(tools),
            renamed => renamed.map(|()| tools).map_err(file(&cache)),
        }
    }

    /// A tool, run in a directory; what it says on its standard error is shown.
    pub(super) fn run(
        &self,
        tool: &str,
        arguments: &[&str],
        within: &Path,
        progress: &mut dyn FnMut(&str),
    ) -> Result<(), Failed> {
        let mut command = Command::new(self.home.join("node_modules/.bin").join(tool));
        command.args(arguments).current_dir(within).env_remove("NODE_OPTIONS").env_remove("NODE_PATH");
        process::run(&mut command, RUN_MAX, progress).map(drop)
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

/// Have the packages of a project in place, as its lock file names them. Where there is none it is made, and is a source
/// from then on.
pub(super) fn install(home: &Path, progress: &mut dyn FnMut(&str)) -> Result<(), ProjectError> {
    let lock = home.join("package-lock.json");
    let stamp = home.join("node_modules").join(STAMP);
    let digest = || -> io::Result<String> {
        let bytes = [fs::read(home.join("package.json"))?, fs::read(&lock)?].concat();
        Ok(blake3::hash(&bytes).to_hex().to_string())
    };
    if !lock.is_file() {
        progress("making `package-lock.json`: keep it with the sources");
        npm(home, &["install", "--package-lock-only", "--omit-lockfile-registry-resolved"], progress)?;
    }
    let wanted = digest().map_err(file(&lock))?;
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    ci(home, progress)?;
    // Last, so that what was interrupted is done again.
    fs::write(&stamp, wanted).map_err(file(&stamp))
}

fn ci(within: &Path, progress: &mut dyn FnMut(&str)) -> Result<(), ProjectError> {
    npm(within, &["ci"], progress)
}

fn npm(within: &Path, arguments: &[&str], progress: &mut dyn FnMut(&str)) -> Result<(), ProjectError> {
    let mut npm = Command::new("npm");
    npm.args(arguments).args([
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--no-update-notifier",
        "--loglevel=error",
    ]);
    let ran = process::run(npm.current_dir(within), INSTALL_MAX, progress);
    ran.map(drop).map_err(|failed| ProjectError::Tool { problem: failed.to_string(), help: REGISTRY_HELP })
}

/// The user's cache, by the rules of XDG.
fn cache() -> Result<PathBuf, ProjectError> {
    let absolute = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")));
    let problem = || ProjectError::Tool {
        problem: "there is no place for tools: neither `XDG_CACHE_HOME` nor `HOME` names a directory".to_owned(),
        help: "set `XDG_CACHE_HOME` to a directory of yours",
    };
    Ok(cache.ok_or_else(problem)?.join("attorn"))
}
