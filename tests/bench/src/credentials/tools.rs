//! What is not ours and has to be there: a database, and a plain reverse proxy. Looked for before anything is measured, so
//! that nobody finds out after an hour, and nothing is left out in silence.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use attorn_tests::postgresql;

/// Says where nginx is, if it is not in `PATH`.
const NGINX_VARIABLE: &str = "ATTORN_NGINX";

/// The program of nginx.
pub(super) fn nginx() -> OsString {
    std::env::var_os(NGINX_VARIABLE).unwrap_or_else(|| "nginx".into())
}

/// What is missing, with a way out; nothing if all is there.
pub(super) fn missing() -> Result<(), String> {
    let postgres = postgresql::programs().join("postgres");
    runs(&postgres, "--version").map_err(|why| {
        let (path, variable) = (postgres.display(), postgresql::VARIABLE);
        format!("error: `{path}`: {why}\nhelp: `apt-get install postgresql-15`, or say where it is in {variable}")
    })?;
    let nginx = PathBuf::from(nginx());
    runs(&nginx, "-v").map_err(|why| {
        let path = nginx.display();
        format!("error: `{path}`: {why}\nhelp: `apt-get install nginx`, or say where it is in {NGINX_VARIABLE}")
    })
}

fn runs(program: &Path, argument: &str) -> Result<(), String> {
    let mut command = Command::new(program);
    command.arg(argument).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(status.to_string()),
        Err(error) => Err(error.to_string()),
    }
}
