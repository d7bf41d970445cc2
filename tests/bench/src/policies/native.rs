//! Cedar and the interpreter of Rego themselves, in a process of their own: what they are built with turns features of other
//! crates on that the server is not to have.

use std::ffi::OsString;
use std::process::Command;

use serde_json::Value;

use crate::child::Child;

/// Where the program is that has them.
const PROGRAM: &str = "ATTORN_BENCH_NATIVE";

/// Whether it is there.
pub(crate) fn ready() -> Result<(), String> {
    let help = "`cargo xtask bench policies` builds it first, and says where it is";
    match program() {
        None => Err(format!("{PROGRAM} does not name the program that has Cedar and Rego: {help}")),
        Some(program) if !std::path::Path::new(&program).is_file() => {
            Err(format!("`{}` is no file: {help}", program.display()))
        }
        Some(_) => Ok(()),
    }
}

fn program() -> Option<OsString> {
    std::env::var_os(PROGRAM)
}

/// One of them, ready to be asked.
pub(super) struct Native(Child);

impl Native {
    /// With what it is to be asked.
    pub(super) fn start(order: &Value) -> Self {
        let mut command = Command::new(program().unwrap());
        Self(Child::of(command.arg("time"), order))
    }

    /// Microseconds of one evaluation out of so many: with the request read from JSON, and with all prepared.
    pub(super) fn timed(&mut self, calls: usize) -> [f64; 2] {
        self.0.ask(&calls.max(1).to_string())
    }
}
