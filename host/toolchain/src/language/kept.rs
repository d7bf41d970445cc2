//! Tools of others, got once and kept in the user's cache; and how they are started: with nothing of the environment that
//! makes them run something else, and nobody's secrets.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::owned;
use crate::project::{ProjectError, file};

/// What a tool is given of the environment: where things are, and the way out.
const ENVIRONMENT: &[&str] = &[
    "PATH",
    "HOME",
    "TMPDIR",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_STATE_HOME",
    "XDG_RUNTIME_DIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "NODE_EXTRA_CA_CERTS",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// A program with nothing of the environment but what is listed above and what begins like `setting`: the user's own
/// settings of it.
pub(super) fn command(program: impl AsRef<OsStr>, setting: &str) -> Command {
    let mut command = Command::new(program);
    let passed = env::vars_os().filter(|(name, _)| name.to_str().is_some_and(|name| is_passed_on(name, setting)));
    command.env_clear().envs(passed);
    command
}

/// Names of proxies and of settings are written in small letters, too.
fn is_passed_on(name: &str, setting: &str) -> bool {
    let same = |other: &str| name == other || other.ends_with("_PROXY") && name.eq_ignore_ascii_case(other);
    let is_setting =
        !setting.is_empty() && name.get(..setting.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(setting));
    is_setting || ENVIRONMENT.iter().any(|other| same(other))
}

/// Where the user's cache is, by the rules of XDG; none where nothing says so.
#[must_use]
pub fn user_cache() -> Option<PathBuf> {
    let absolute = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")));
    cache.map(|cache| cache.join("attorn"))
}

/// The same for tools, which have to be somewhere.
pub(super) fn cache() -> Result<PathBuf, ProjectError> {
    let problem = || ProjectError::Tool {
        problem: "there is no place for tools: neither `XDG_CACHE_HOME` nor `HOME` names a directory".to_owned(),
        help: "set `XDG_CACHE_HOME` to a directory of yours",
    };
    user_cache().ok_or_else(problem)
}

/// Have tools at `home` in the cache, made by `make` in a directory beside it if they are not there. What is interrupted
/// leaves nothing that counts as got.
pub(super) fn get(
    cache: &Path,
    home: &Path,
    make: &mut dyn FnMut(&Path) -> Result<(), ProjectError>,
) -> Result<(), ProjectError> {
    if !home.is_dir() {
        fs::create_dir_all(cache).map_err(file(cache))?;
        let beside = tempfile::Builder::new().prefix(".tools-").tempdir_in(cache).map_err(file(cache))?;
        make(beside.path())?;
        owned::make(cache, beside.path())?;
        match fs::rename(beside.path(), home) {
            // Another build was faster.
            Err(_) if home.is_dir() => {}
            renamed => renamed.map_err(file(cache))?,
        }
    }
    owned::check(cache, home)
}

/// A directory for what is made here again and again, which nobody but the user may enter.
pub(super) fn private(path: &Path) -> Result<PathBuf, ProjectError> {
    platform::make_private(path)?;
    Ok(path.to_owned())
}

#[cfg(unix)]
mod platform {
    use std::fs;
    use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
    use std::path::Path;

    use crate::project::{ProjectError, file};

    /// A directory that nobody but the user may enter.
    pub(super) fn make_private(path: &Path) -> Result<(), ProjectError> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(file(path))?;
        let metadata = fs::symlink_metadata(path).map_err(file(path))?;
        let is_ours = metadata.uid() == rustix::process::geteuid().as_raw();
        if !metadata.is_dir() || !is_ours || metadata.mode() & 0o077 != 0 {
            let problem = format!("`{}` is not a directory of yours that nobody else may enter", path.display());
            return Err(ProjectError::Tool { problem, help: "remove it: it is made anew" });
        }
        Ok(())
    }
}

#[cfg(not(unix))]
mod platform {
    use std::fs;
    use std::path::Path;

    use crate::project::{ProjectError, file};

    /// A user's own directory is their own there, unless they say otherwise.
    pub(super) fn make_private(path: &Path) -> Result<(), ProjectError> {
        fs::create_dir_all(path).map_err(file(path))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use attorn_build::process;

    use super::*;

    const NPM: &str = "npm_config_";

    #[test]
    fn nobodys_secrets_reach_a_tool_and_nothing_that_makes_it_another_one() {
        for name in ["PATH", "HOME", "https_proxy", "HTTPS_PROXY", "npm_config_registry", "NPM_CONFIG_CACHE"] {
            assert!(is_passed_on(name, NPM), "{name}");
        }
        for name in ["PIP_INDEX_URL", "PIP_CERT", "PATH"] {
            assert!(is_passed_on(name, "PIP_"), "{name}");
        }
        for name in [
            "ATTORN_TOKEN",
            "NPM_TOKEN",
            "NODE_OPTIONS",
            "NODE_PATH",
            "ESBUILD_BINARY_PATH",
            "LD_PRELOAD",
            "GIT_SSH_COMMAND",
            "PYTHONPATH",
            "PYTHONSTARTUP",
            "ZIG_LIB_DIR",
            "CPATH",
            "C_INCLUDE_PATH",
            "path",
            "npm_confi",
            "npm_config",
            "",
        ] {
            assert!(!is_passed_on(name, NPM), "{name}");
        }
        let given = command("npm", NPM);
        let given = given.get_envs().filter_map(|(name, _)| name.to_str()).any(|name| !is_passed_on(name, NPM));
        assert!(!given);
        // Cargo sets this one for every test.
        assert!(env::var_os("CARGO_MANIFEST_DIR").is_some());
        let said = process::run(&mut command("env", NPM), Duration::from_mins(2), &mut |_| {}).unwrap();
        assert!(said.contains("PATH=") && !said.contains("CARGO_MANIFEST_DIR"), "{said}");
    }

    #[test]
    fn what_fails_leaves_nothing_and_what_is_there_is_not_got_again() {
        let cache = tempfile::tempdir().unwrap();
        let home = cache.path().join("tools");
        let failed = get(cache.path(), &home, &mut |beside| {
            fs::write(beside.join("half"), "").unwrap();
            Err(ProjectError::Tool { problem: "the line is cut".to_owned(), help: "" })
        });
        assert_eq!(failed.unwrap_err().to_string(), "the line is cut");
        assert_eq!(fs::read_dir(cache.path()).unwrap().count(), 0);
        let mut times = 0;
        for _ in 0..2 {
            get(cache.path(), &home, &mut |beside| {
                times += 1;
                fs::write(beside.join("whole"), "").map_err(file(beside))
            })
            .unwrap();
        }
        assert!(times == 1 && home.join("whole").is_file());
    }

    #[cfg(unix)]
    #[test]
    fn what_others_may_enter_is_no_place_for_what_is_linked() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};

        let cache = tempfile::tempdir().unwrap();
        let library = cache.path().join("library");
        platform::make_private(&library).unwrap();
        platform::make_private(&library).unwrap();
        for mode in [0o750, 0o705, 0o777] {
            fs::set_permissions(&library, fs::Permissions::from_mode(mode)).unwrap();
            let error = platform::make_private(&library).unwrap_err().to_string();
            assert!(error.contains("nobody else may enter"), "{error}");
        }
        let elsewhere = cache.path().join("elsewhere");
        platform::make_private(&elsewhere).unwrap();
        fs::remove_dir(&library).unwrap();
        symlink(&elsewhere, &library).unwrap();
        assert!(platform::make_private(&library).is_err());
    }
}
