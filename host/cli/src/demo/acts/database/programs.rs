//! The programs of PostgreSQL, where distributions put them, and the user that they run as.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

/// The first version in which a login cannot make others members of itself.
const MAJOR_MIN: u32 = 15;

/// Where they are if they are not in the `PATH`: a directory of this one for each version, and in it `bin`.
const BY_VERSION: &str = "/usr/lib/postgresql";

/// As whom they run if somebody is root, who may not run them.
const UNPRIVILEGED: [&str; 2] = ["postgres", "nobody"];

/// How to get them.
pub(in crate::demo::acts) const HELP: &str = "With PostgreSQL 15 or later (Debian and Ubuntu: `apt-get install \
    postgresql`) it is played, too; where its programs are elsewhere: `--postgresql DIR`.";

/// `initdb` and `postgres`.
pub(in crate::demo::acts) struct Programs {
    directory: PathBuf,
    /// What they say of their version.
    pub(super) version: String,
    pub(super) major: u32,
    pub(super) run_as: Option<RunAs>,
}

/// A user and a group of this machine's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RunAs {
    pub(super) user: u32,
    pub(super) group: u32,
}

impl Programs {
    /// Find them here, or where distributions put them; or say what is missing.
    pub(in crate::demo::acts) async fn find(named: Option<&Path>) -> Result<Self, String> {
        let places = named.map_or_else(usual_places, |named| vec![named.to_owned()]);
        let has = |place: &PathBuf| ["initdb", "postgres"].iter().all(|name| place.join(name).is_file());
        let directory = places.into_iter().find(has);
        let directory = directory.ok_or_else(|| match named {
            Some(named) => format!("PostgreSQL's `initdb` and `postgres` are not in `{}`", named.display()),
            None => "PostgreSQL's `initdb` and `postgres` are not on this machine".to_owned(),
        })?;
        let mut ask = Command::new(directory.join("postgres"));
        let said = ask.arg("--version").stdin(Stdio::null()).output().await;
        let said = said.map_err(|error| format!("`postgres --version` cannot be run: {error}"))?;
        let said = String::from_utf8_lossy(&said.stdout).trim().to_owned();
        let (version, major) = version(&said).ok_or_else(|| format!("`postgres --version` says `{said}`"))?;
        if major < MAJOR_MIN {
            return Err(format!("this PostgreSQL is too old: {version}"));
        }
        let run_as = if rustix::process::geteuid().is_root() {
            let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
            let found = UNPRIVILEGED.iter().find_map(|name| run_as(&users, name));
            Some(found.ok_or("PostgreSQL does not run as root, and there is no user `postgres` or `nobody`")?)
        } else {
            None
        };
        Ok(Self { directory, version: version.to_owned(), major, run_as })
    }

    /// One of them, run in this directory.
    pub(super) fn program(&self, name: &str, within: &Path) -> Command {
        let mut command = Command::new(self.directory.join(name));
        if let Some(RunAs { user, group }) = self.run_as {
            command.uid(user).gid(group);
        }
        // What somebody set for a database of their own is not to change this one.
        let own = std::env::vars_os().map(|(name, _)| name).filter(|name| name.to_string_lossy().starts_with("PG"));
        for name in own {
            command.env_remove(name);
        }
        // Ctrl-C is for the story, which ends it in its own way.
        command.current_dir(within).stdin(Stdio::null()).process_group(0).kill_on_drop(true);
        command
    }
}

/// What is in the `PATH`, and then the newest version first.
fn usual_places() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let versions = std::fs::read_dir(BY_VERSION).into_iter().flatten().flatten();
    let number = |name: &std::ffi::OsStr| name.to_str().and_then(|name| name.parse::<u32>().ok());
    let mut versions: Vec<(u32, PathBuf)> =
        versions.filter_map(|entry| Some((number(&entry.file_name())?, entry.path().join("bin")))).collect();
    versions.sort();
    places.extend(versions.into_iter().rev().map(|(_, place)| place));
    places
}

/// The `15.18` of `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`, and its 15.
fn version(said: &str) -> Option<(&str, u32)> {
    let version = said.split(' ').find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    let end = version.find(|c: char| !c.is_ascii_digit()).unwrap_or(version.len());
    Some((version, version[..end].parse().ok()?))
}

/// The ids of a user in the text of `/etc/passwd`.
fn run_as(users: &str, name: &str) -> Option<RunAs> {
    let line = users.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let mut fields = line.split(':').skip(1);
    Some(RunAs { user: fields.next()?.parse().ok()?, group: fields.next()?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        for (said, expect) in [
            ("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", Some(("15.18", 15))),
            ("postgres (PostgreSQL) 18beta1", Some(("18beta1", 18))),
            ("postgres", None),
            ("", None),
        ] {
            assert_eq!(version(said), expect, "{said}");
        }
    }

    #[test]
    fn users_are_found_by_their_whole_name() {
        let users = "root:x:0:0:root:/root:/bin/sh\npostgres2:x:7:8::/:\npostgres:x:101:104:,,,:/var/lib:/bin/bash\n";
        assert_eq!(run_as(users, "postgres"), Some(RunAs { user: 101, group: 104 }));
        assert_eq!(run_as(users, "nobody"), None);
        assert_eq!(run_as("postgres:x:many:104::/:", "postgres"), None);
    }

    #[tokio::test]
    async fn what_is_missing_is_said() {
        let directory = tempfile::tempdir().unwrap();
        let missing = Programs::find(Some(directory.path())).await.err().unwrap();
        assert!(missing.starts_with("PostgreSQL's `initdb` and `postgres` are not in `"), "{missing}");
    }

    #[tokio::test]
    async fn what_is_too_old_or_is_none_is_said() {
        for (says, why) in [
            ("postgres (PostgreSQL) 14.9", "this PostgreSQL is too old: 14.9"),
            ("hello", "`postgres --version` says `hello`"),
        ] {
            let directory = tempfile::tempdir().unwrap();
            for name in ["initdb", "postgres"] {
                let path = directory.path().join(name);
                std::fs::write(&path, format!("#!/bin/sh\necho '{says}'\n")).unwrap();
                std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
            }
            assert_eq!(Programs::find(Some(directory.path())).await.err().unwrap(), why);
        }
    }
}
