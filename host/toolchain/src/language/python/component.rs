//! A component of the interpreter and a program.
//!
//! The libraries of `CPython`, what lies between them and the contract (`wit-dylib`), and what they find in place of a system
//! (`system.wat`) are linked into one component. Then the program is read in, once, with all that it imports, and the
//! component is taken as that left it, without the archive that it was read from. It has no import but the log, and no
//! export but the policy.

use attorn_core::PolicyLimits;
use attorn_engine::{Start, started};
use wasm_encoder::ComponentSectionId;
use wasmparser::{Parser, Payload};
use wit_component::{Linker, StringEncoding, embed_component_metadata};

use super::super::linked::{closed, in_full, rewritten, without_export, world};
use super::Files;
use super::archive::archive;
use super::symbols::{SYMBOLS, symbols};
use super::system;
use crate::project::ProjectError;

const CONTRACT: &str = include_str!("../../../../../wit/policy.wit");
const WORLD: &str = "policy-component";

/// What the interpreter is told: a module, what stands for what in the contract, and that it is not to ask a system for its
/// environment. It goes when that has been told.
const START_EXPORT: &str = "init";

/// The module of the SDK that imports the policy and has what is exported.
const MODULE: &str = "attorn_policy.component";

/// What starting the interpreter and importing a program may take, in microseconds of CPU time. The first alone takes one
/// second or two.
const START_CPU_US_MAX: u64 = 10_000_000;

const TOOLCHAIN_HELP: &str = "this is a fault of the toolchain, and not of the policy";

/// What a library is called by those that need it: the one that loads others is not there, and its functions are.
const SYSTEM_LIBRARY: &str = "libdl.so";

/// Make the component of a program: modules by their names in the archive, beside the libraries.
pub(super) fn component(libraries: &[(&str, Vec<u8>)], files: &Files) -> Result<Vec<u8>, ProjectError> {
    let fault = |problem: String| ProjectError::Tool { problem, help: TOOLCHAIN_HELP };
    let archive = archive(files).map_err(fault)?;
    let (linked, told) =
        link(libraries, &archive).map_err(|problem| fault(format!("the interpreter cannot be linked: {problem}")))?;
    let limits = PolicyLimits { cpu_us_max: START_CPU_US_MAX, ..PolicyLimits::LARGE_RUNTIME };
    let start = Start { export: START_EXPORT, told, limits };
    let started = started(&linked, start).map_err(|error| ProjectError::Tool {
        problem: format!("the program cannot be started: {}", said(error.problem())),
        help: "what stands at the top of a module runs when it is built: it has to end, and to know nothing of time",
    })?;
    let empty = system::module(None).map_err(fault)?;
    let emptied = replaced(&started, system::MARK, &empty).map_err(fault)?;
    without_export(&emptied, START_EXPORT).map_err(fault)
}

/// What the SDK says of it, without what the interpreter calls that.
fn said(error: &str) -> &str {
    error.strip_prefix("Refused: ").unwrap_or(error).trim_end()
}

type Told = (&'static str, super::symbols::Symbols, bool);

fn link(libraries: &[(&str, Vec<u8>)], archive: &[u8]) -> Result<(Vec<u8>, Told), String> {
    let (contract, contract_world) = world(CONTRACT, WORLD)?;
    let (older, older_world) = older(CONTRACT, WORLD)?;
    let (mut between, metadata) = wit_dylib_python::create_with_metadata(&older, older_world, None);
    embed_component_metadata(&mut between, &contract, contract_world, StringEncoding::UTF8).map_err(in_full)?;
    let start = format!(
        "package local:init; world init {{ export init: func(module: string, symbols: {SYMBOLS}, stub: bool) -> result<_, \
         string>; }}"
    );
    let (start, start_world) = world(&start, "init")?;
    let mut system = system::module(Some(archive))?;
    embed_component_metadata(&mut system, &start, start_world, StringEncoding::UTF8).map_err(in_full)?;

    let mut linker = Linker::default();
    linker.encoder().validate(true);
    linker.stub_missing_functions(true);
    for (name, library) in libraries {
        linker.library(name, &closed(library)?, false).map_err(in_full)?;
    }
    linker.library("contract", &between, false).map_err(in_full)?;
    linker.library(SYSTEM_LIBRARY, &system, false).map_err(in_full)?;
    let component = linker.encode().map_err(in_full)?;
    Ok((component, (MODULE, symbols(&older, &metadata), true)))
}

/// The same world, read by the version that the interpreter was built with.
fn older(text: &str, name: &str) -> Result<(wit_parser_python::Resolve, wit_parser_python::WorldId), String> {
    let mut resolve = wit_parser_python::Resolve::default();
    let package = resolve.push_str("world.wit", text).map_err(in_full)?;
    let world = resolve.select_world(&[package], Some(name)).map_err(in_full)?;
    Ok((resolve, world))
}

/// The component with another module in the place of the one that exports `mark`.
fn replaced(component: &[u8], mark: &str, module: &[u8]) -> Result<Vec<u8>, String> {
    let mut count = 0_usize;
    let made = rewritten(component, |payload| {
        let Payload::ModuleSection { unchecked_range, .. } = payload else { return Ok(None) };
        let is_marked = exports(&component[unchecked_range.clone()], mark)?;
        count += usize::from(is_marked);
        Ok(is_marked.then(|| (ComponentSectionId::CoreModule, module.to_vec())))
    })?;
    if count == 1 { Ok(made) } else { Err(format!("{count} of its modules export `{mark}`")) }
}

fn exports(module: &[u8], name: &str) -> Result<bool, String> {
    for payload in Parser::new(0).parse_all(module) {
        if let Payload::ExportSection(reader) = payload.map_err(in_full)? {
            for export in reader {
                if export.map_err(in_full)?.name == name {
                    return Ok(true);
                }
            }
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_module_that_is_meant_is_replaced() {
        let text = |one: &str| {
            format!(
                "(component (core module $a (func (export \"f\"))) (core module $b {one} (func (export \"g\")))
                 (component (core module (func (export \"mark\"))))
                 (core instance (instantiate $a)) (core instance $i (instantiate $b))
                 (func $g (canon lift (core func $i \"g\"))) (export \"g\" (func $g)))"
            )
        };
        let old = wat::parse_str(text("(func (export \"mark\") unreachable)")).unwrap();
        let new = wat::parse_str("(module (func (export \"g\")))").unwrap();
        let made = replaced(&old, "mark", &new).unwrap();
        wasmparser::validate(&made).unwrap();
        let is_there = |module: &[u8]| memchr::memmem::find(&made, module).is_some();
        assert!(is_there(&new) && made.len() < old.len());
        assert_eq!(replaced(&made, "mark", &new), Err("0 of its modules export `mark`".to_owned()));
        assert_eq!(replaced(&old, "f", &new).map(|_| ()), Ok(()));
        assert!(replaced(&new, "mark", &new).is_err());
    }

    #[test]
    fn what_the_sdk_says_is_said_without_its_class() {
        assert_eq!(said("Refused: it is odd (at policy.py:3)\n"), "it is odd (at policy.py:3)");
        assert_eq!(said("it took more than 10 s"), "it took more than 10 s");
    }
}
