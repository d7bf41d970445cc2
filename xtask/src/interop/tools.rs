//! The tools that are needed, and how to get those that are missing.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::Part;

/// What runs scripts of Node.
pub(super) const NODE: &[Part] = &[Part::OidcProvider, Part::Keycloak, Part::Clients, Part::Acts, Part::Sdks];
/// What needs npm: that, and each PostgreSQL that it brings.
const NPM: &[Part] = &[
    Part::OidcProvider,
    Part::Keycloak,
    Part::Clients,
    Part::Acts,
    Part::Sdks,
    Part::Postgresql16,
    Part::Postgresql17,
    Part::Postgresql18,
];
/// What certificates are made for.
const OPENSSL: &[Part] = &[
    Part::Certificates,
    Part::Postgresql,
    Part::Postgresql16,
    Part::Postgresql17,
    Part::Postgresql18,
    Part::Registries,
];
/// What runs scripts of Python.
pub(super) const PYTHON: &[Part] = &[Part::Keycloak, Part::Clients, Part::Api, Part::Sdks];
/// What runs programs that are built with Go.
pub(super) const GO: &[Part] = &[Part::Log];

/// PostgreSQL, where Debian puts version 15; in another directory if this variable says so.
const POSTGRES: &str = "/usr/lib/postgresql/15/bin/postgres";
pub(super) const POSTGRES_VARIABLE: &str = "ATTORN_POSTGRESQL";

const TOOLS: &[Tool] = &[
    Tool {
        command: &["node", "--version"],
        at_least: Some((20, 9)),
        needed_by: NPM,
        help: "Node 20.9 or later, see https://nodejs.org",
        debian: None,
    },
    Tool {
        command: &["npm", "--version"],
        at_least: None,
        needed_by: NPM,
        help: "npm, which comes with Node",
        debian: None,
    },
    Tool {
        command: &["python3", "--version"],
        at_least: Some((3, 11)),
        needed_by: PYTHON,
        help: "Python 3.11 or later",
        debian: Some("python3-venv"),
    },
    Tool {
        command: &["python3", "-c", "import ensurepip, venv"],
        at_least: None,
        needed_by: PYTHON,
        help: "`venv` of Python",
        debian: Some("python3-venv"),
    },
    Tool {
        command: &["java", "-version"],
        at_least: Some((17, 0)),
        needed_by: &[Part::Keycloak],
        help: "Java 17 or later",
        debian: Some("openjdk-17-jre-headless"),
    },
    Tool {
        command: &["mvn", "--version"],
        at_least: None,
        needed_by: &[Part::Keycloak],
        help: "Maven",
        debian: Some("maven"),
    },
    Tool {
        command: &["openssl", "version"],
        at_least: Some((3, 0)),
        needed_by: OPENSSL,
        help: "OpenSSL 3.0 or later",
        debian: Some("openssl"),
    },
    Tool {
        command: &["minisign", "-v"],
        at_least: Some((0, 10)),
        needed_by: &[Part::Signatures],
        help: "minisign 0.10 or later",
        debian: Some("minisign"),
    },
    Tool {
        command: &["docker-registry", "--version"],
        at_least: Some((2, 7)),
        needed_by: &[Part::Registries, Part::Wkg],
        help: "docker-registry 2.7 or later, which need not run",
        debian: Some("docker-registry"),
    },
    Tool {
        command: &["go", "version"],
        at_least: Some((1, 25)),
        needed_by: &[Part::Log, Part::Sdks],
        help: "Go 1.25 or later, which gets the version that is needed by itself, see https://go.dev/dl",
        debian: None,
    },
    Tool {
        command: &["make", "--version"],
        at_least: None,
        needed_by: &[Part::Sdks],
        help: "make, for policies in C",
        debian: Some("make"),
    },
    Tool {
        command: &["ssh-agent", "true"],
        at_least: None,
        needed_by: GO,
        help: "OpenSSH's agent",
        debian: Some("openssh-client"),
    },
    Tool {
        command: &["python3", "-c", "import sqlite3"],
        at_least: None,
        needed_by: GO,
        help: "Python with `sqlite3`",
        debian: Some("python3"),
    },
    Tool {
        command: &[POSTGRES, "--version"],
        at_least: Some((15, 0)),
        needed_by: &[Part::Postgresql, Part::Acts],
        help: "PostgreSQL 15, or say where another is in ATTORN_POSTGRESQL",
        debian: Some("postgresql-15"),
    },
];

/// A tool, and what says its version.
struct Tool {
    command: &'static [&'static str],
    /// Major and minor version.
    at_least: Option<(u32, u32)>,
    needed_by: &'static [Part],
    help: &'static str,
    /// The package of Debian that brings it.
    debian: Option<&'static str>,
}

/// See that all is there that these parts need. What is missing and Debian has is installed where that may be done; all
/// that is missing then is told at once.
pub(super) fn check(parts: &[Part]) -> Result<(), String> {
    let needed: Vec<&Tool> =
        TOOLS.iter().filter(|tool| tool.needed_by.iter().any(|part| parts.contains(part))).collect();
    let packages: BTreeSet<&str> =
        needed.iter().filter(|tool| tool.check().is_err()).filter_map(|tool| tool.debian).collect();
    let mut tried = String::new();
    if !packages.is_empty() {
        let packages: Vec<&str> = packages.into_iter().collect();
        if let Err(why) = attorn_build::install_by_apt(&packages, &mut |line| println!("{line}")) {
            tried = format!("\ntried `apt-get install {}`: {why}", packages.join(" "));
        }
    }
    let missing: Vec<String> = needed.iter().filter_map(|tool| tool.check().err()).collect();
    if missing.is_empty() { Ok(()) } else { Err(format!("tools are missing\n{}{tried}", missing.join("\n"))) }
}

impl Tool {
    fn check(&self) -> Result<(), String> {
        let (program, arguments) = self.command.split_first().ok_or("a tool without a command")?;
        let named = std::env::var_os(POSTGRES_VARIABLE).filter(|_| *program == POSTGRES);
        let program = named.map_or_else(|| PathBuf::from(program), |named| PathBuf::from(named).join("postgres"));
        let shown = format!("{} {}", program.display(), arguments.join(" "));
        let shown = shown.trim_end();
        let debian = self.debian.map_or_else(String::new, |package| format!(" (Debian: `apt-get install {package}`)"));
        let missing = |why: String| Err(format!("`{shown}`: {why}\nhelp: install {}{debian}", self.help));
        let output = match Command::new(&program).args(arguments).stdin(Stdio::null()).output() {
            Ok(output) if output.status.success() => output,
            Ok(output) => return missing(output.status.to_string()),
            Err(error) => return missing(error.to_string()),
        };
        let Some(at_least) = self.at_least else { return Ok(()) };
        // Some say it where others say what went wrong.
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        match version(&said) {
            Some(found) if found >= at_least => Ok(()),
            Some((major, minor)) => missing(format!("this is {major}.{minor}")),
            None => missing(format!("no version is in `{}`", said.trim())),
        }
    }
}

/// The first number in a text, and the one that a dot joins to it.
fn version(said: &str) -> Option<(u32, u32)> {
    let at = said.find(|c: char| c.is_ascii_digit())?;
    let mut numbers = said.get(at..)?.split(|c: char| !c.is_ascii_digit() && c != '.').next()?.split('.');
    let major = numbers.next()?.parse().ok()?;
    Some((major, numbers.next().and_then(|minor| minor.parse().ok()).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_tools_write_them() {
        for (said, found) in [
            ("v20.20.2\n", Some((20, 20))),
            ("Python 3.11.7", Some((3, 11))),
            ("openjdk version \"17.0.15\" 2025-04-15", Some((17, 0))),
            ("openjdk version \"21\" 2023-09-19", Some((21, 0))),
            ("OpenSSL 3.0.19 27 Jan 2026", Some((3, 0))),
            ("no number", None),
            ("", None),
        ] {
            assert_eq!(version(said), found, "{said}");
        }
    }

    #[test]
    fn a_tool_that_is_missing_or_old_says_how_to_get_it() {
        let tool = |command, at_least| Tool {
            command,
            at_least,
            needed_by: &[Part::Api],
            help: "it from there",
            debian: None,
        };
        for (tool, why) in [
            (tool(&["attorn-has-no-such-tool"], None), "`attorn-has-no-such-tool`: "),
            (tool(&["false"], None), "`false`: exit status: 1"),
            (tool(&["echo", "v1.2.3"], Some((1, 3))), "`echo v1.2.3`: this is 1.2"),
            (tool(&["echo", "none"], Some((1, 3))), "`echo none`: no version is in `none`"),
        ] {
            let text = tool.check().unwrap_err();
            assert!(text.starts_with(why), "{text}");
            assert!(text.ends_with("\nhelp: install it from there"), "{text}");
        }
        assert_eq!(tool(&["echo", "v1.3.0"], Some((1, 3))).check(), Ok(()));
    }

    #[test]
    fn what_needs_scripts_of_node_needs_npm() {
        assert!(NODE.iter().all(|part| NPM.contains(part)));
    }

    #[test]
    fn every_part_needs_a_tool() {
        for part in Part::wanted(&[]) {
            assert!(TOOLS.iter().any(|tool| tool.needed_by.contains(&part)), "{part:?}");
        }
    }
}
