//! From a module to a component of the contract, which imports nothing but the log.

use wasmparser::{Parser, Payload};

use super::super::stubbed::{self, SYSTEM};
use crate::project::ProjectError;

const NOTHING: &str = include_str!("nothing.wat");

/// What the library asks a system for although a policy asked for nothing, and what `assert` needs to end one.
const HARMLESS: &[&str] = &["random_get", "fd_write", "fd_seek", "fd_close", "fd_fdstat_get", "proc_exit"];

const SYSTEM_HELP: &str = "leave out what needs it; the README of the SDK says what there is in its place";
const COMPONENT_HELP: &str = "a policy exports what the SDK does, and imports the log alone";

/// Make the component of a module.
pub(super) fn component(module: &[u8]) -> Result<Vec<u8>, ProjectError> {
    asks_no_system(module)?;
    stubbed::component(module, NOTHING).map_err(|problem| ProjectError::Tool {
        problem: format!("what was linked is no policy: {problem}"),
        help: COMPONENT_HELP,
    })
}

/// An error if the module would ask a clock or a file: the answer would be a lie.
fn asks_no_system(module: &[u8]) -> Result<(), ProjectError> {
    let broken = |error: wasmparser::BinaryReaderError| ProjectError::Tool {
        problem: format!("what was linked cannot be read: {error}"),
        help: COMPONENT_HELP,
    };
    for payload in Parser::new(0).parse_all(module) {
        let Payload::ImportSection(reader) = payload.map_err(broken)? else { continue };
        for import in reader.into_imports() {
            let import = import.map_err(broken)?;
            if import.module == SYSTEM && !HARMLESS.contains(&import.name) {
                let problem = format!("the policy {}: it calls for `{}`", what(import.name), import.name);
                return Err(ProjectError::Tool { problem, help: SYSTEM_HELP });
            }
        }
    }
    Ok(())
}

/// What somebody who calls for this wants.
fn what(name: &str) -> &'static str {
    match name {
        _ if name.starts_with("clock_") || name == "poll_oneoff" => "asks a clock, and there is none",
        _ if name.starts_with("environ_") || name.starts_with("args_") => "asks its environment, and there is none",
        _ if name.starts_with("fd_") || name.starts_with("path_") => "asks for files, and there are none",
        _ => "asks a system, and there is none",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_that_is_asked_is_named() {
        let asking = |module: &str, name: &str| {
            let module = wat::parse_str(format!("(module (import \"{module}\" \"{name}\" (func)))")).unwrap();
            component(&module).unwrap_err().to_string()
        };
        for (name, problem) in [
            ("clock_time_get", "the policy asks a clock, and there is none: it calls for `clock_time_get`"),
            ("poll_oneoff", "asks a clock"),
            ("environ_get", "asks its environment"),
            ("path_open", "asks for files"),
            ("fd_prestat_get", "asks for files"),
            ("sock_accept", "asks a system"),
        ] {
            let error = asking(SYSTEM, name);
            assert!(error.contains(problem), "{error}");
        }
        assert!(asking(SYSTEM, "random_get").contains("what was linked is no policy"));
        assert!(asking("wasi:clocks/wall-clock@0.2.0", "now").contains("what was linked is no policy"));
        assert!(component(b"\0asm\x01\0\0\0\xff").is_err());
    }

    #[test]
    fn what_stands_in_for_a_system_has_all_that_is_let_through() {
        let nothing = wat::parse_str(NOTHING).unwrap();
        let mut exports = Vec::new();
        for payload in Parser::new(0).parse_all(&nothing) {
            if let Payload::ExportSection(reader) = payload.unwrap() {
                exports.extend(reader.into_iter().map(|export| export.unwrap().name.to_owned()));
            }
        }
        exports.sort();
        let mut harmless = HARMLESS.to_vec();
        harmless.sort_unstable();
        assert_eq!(exports, harmless);
    }
}
