//! pip, which gets tools from Python's registry by their digests. It runs in a directory of its own, with the user's settings
//! of it and no other part of the environment, and runs nothing of what it gets.

use std::fs;
use std::path::Path;
use std::time::Duration;

use attorn_build::process;

use super::kept;
use crate::project::{ProjectError, file};

const PYTHON_HELP: &str =
    "Python 3.8 or later with pip is needed once, to get the tools: Debian: `apt-get install python3-pip`";
const REGISTRY_HELP: &str = "Python's registry is needed once; then what it gave is kept";

/// There may be much to download, over a slow line.
const INSTALL_MAX: Duration = Duration::from_mins(10);
/// pip's own settings, by the user: `PIP_INDEX_URL` and the like.
const SETTING: &str = "PIP_";
/// Lines of pip's that are kept of an error.
const SAID_LINES_MAX: usize = 8;

/// What pip says of itself. Where it is asked from matters: modules of Python that lie there would run.
pub(super) fn version() -> Option<String> {
    let nowhere = tempfile::tempdir().ok()?;
    let said = process::run(
        kept::command("python3", SETTING).args(["-m", "pip", "--version"]).current_dir(nowhere.path()),
        Duration::from_mins(1),
        &mut |_| {},
    );
    said.ok()?.lines().next().map(|line| line.trim().to_owned())
}

/// Install exactly these, each with its digest, into a directory. `options` say for which system, if not for this one.
pub(super) fn install(requirements: &str, options: &[&str], into: &Path) -> Result<(), ProjectError> {
    let path = into.join("requirements.txt");
    fs::write(&path, requirements).map_err(file(&path))?;
    let mut python = kept::command("python3", SETTING);
    python.args(["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "--no-deps"]);
    python.args(["--require-hashes", "--only-binary=:all:", "--no-compile", "--target", ".", "-r", "requirements.txt"]);
    let mut said = Vec::new();
    let ran = process::run(python.args(options).current_dir(into), INSTALL_MAX, &mut |line| {
        if said.len() < SAID_LINES_MAX {
            said.push(line.to_owned());
        }
    });
    ran.map(drop).map_err(|failed| {
        let said = said.join("\n");
        let is_missing = said.contains("No module named pip") || failed.what().contains("could not be started");
        let help = if is_missing { PYTHON_HELP } else { REGISTRY_HELP };
        ProjectError::Tool { problem: format!("{}\n{said}", failed.what()), help }
    })
}
