//! Go, as it is installed. It gets no environment but where to write, and takes no settings of anybody's.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use attorn_build::process;

use super::super::kept;
use crate::project::ProjectError;

const GO_HELP: &str = "Go 1.25 or later is needed: https://go.dev/dl";
const MINOR_MIN: u32 = 25;

/// What one call may take; the first of all compiles Go's own packages.
const RUN_MAX: Duration = Duration::from_mins(10);
/// Lines that are kept of an error.
const SAID_LINES_MAX: usize = 60;

/// What Go says of itself.
pub(super) struct Found {
    pub(super) said: String,
    version: String,
}

/// Where compiled packages are kept.
pub(super) struct Tools {
    cache: PathBuf,
}

/// Go, if it is new enough.
pub(super) fn go() -> Option<Found> {
    let nowhere = tempfile::tempdir().ok()?;
    let mut command = command(nowhere.path(), nowhere.path());
    let said = process::run(command.arg("version"), Duration::from_mins(1), &mut |_| {}).ok()?;
    let said = said.lines().next()?.trim().to_owned();
    let version = said.strip_prefix("go version go")?.split_whitespace().next()?.to_owned();
    let mut numbers = version.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    let is_enough = matches!((numbers.next(), numbers.next()), (Some(Ok(1)), Some(Ok(minor))) if minor >= MINOR_MIN);
    is_enough.then_some(Found { said, version })
}

impl Tools {
    pub(super) fn get() -> Result<Self, ProjectError> {
        let Some(Found { version, .. }) = go() else {
            let problem = "there is no Go of version 1.25 or later here".to_owned();
            return Err(ProjectError::Tool { problem, help: GO_HELP });
        };
        let digest = blake3::hash(version.as_bytes()).to_hex();
        let cache = kept::private(&kept::cache()?.join(format!("go-{}", &digest[..16])))?;
        Ok(Self { cache })
    }

    /// A call of Go in a directory; it gives what it says on its standard output, or else what it says is wrong.
    pub(super) fn run(&self, arguments: &[&str], within: &Path) -> Result<String, String> {
        let mut said = Vec::new();
        let ran = process::run(command(within, &self.cache).args(arguments), RUN_MAX, &mut |line| {
            if said.len() < SAID_LINES_MAX {
                said.push(line.to_owned());
            }
        });
        ran.map_err(|failed| if said.is_empty() { failed.what().to_owned() } else { said.join("\n") })
    }
}

/// Go for a sandbox. Nobody's settings (`go env -w`, `GOFLAGS`, a workspace further up) count, no other Go is got, and no
/// module is asked for.
fn command(within: &Path, cache: &Path) -> Command {
    let mut go = Command::new("go");
    go.current_dir(within).env_clear();
    if let Some(path) = env::var_os("PATH") {
        go.env("PATH", path);
    }
    go.envs([
        ("GOENV", "off"),
        ("GOFLAGS", ""),
        ("GOWORK", "off"),
        ("GOTOOLCHAIN", "local"),
        ("GOPROXY", "off"),
        ("GOSUMDB", "off"),
        ("GOVCS", "*:off"),
        ("GOTELEMETRY", "off"),
        ("GO111MODULE", "on"),
        ("CGO_ENABLED", "0"),
        ("GOOS", "wasip1"),
        ("GOARCH", "wasm"),
    ]);
    go.env("GOCACHE", cache).env("GOPATH", within.join("path")).env("GOTMPDIR", within).env("HOME", within);
    go
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_the_environment_but_the_path_reaches_it() {
        let given = command(Path::new("/a"), Path::new("/b"));
        let names: Vec<_> = given.get_envs().filter_map(|(name, value)| value.and(name.to_str())).collect();
        for name in &names {
            assert!(["PATH", "HOME", "CGO_ENABLED"].contains(name) || name.starts_with("GO"), "{name}");
        }
        for name in ["GOENV", "GOFLAGS", "GOWORK", "GOTOOLCHAIN", "GOPROXY", "GOCACHE"] {
            assert!(names.contains(&name), "{name}");
        }
    }
}
