//! A component of an interpreter and a program.
//!
//! Three modules are linked into one component, by the rules of dynamic libraries: the interpreter, what lies between it
//! and the contract (`wit-dylib`), and what it finds in place of a system (`nothing.wat`). Then the program is read in,
//! once, and the component is taken as that left it. It has no import but the log, and no export but the policy.

use attorn_core::PolicyLimits;
use attorn_engine::{Start, started};
use wit_component::{Linker, StringEncoding, embed_component_metadata};

use super::super::linked::{closed, in_full, without_export, world};
use crate::project::ProjectError;

const CONTRACT: &str = include_str!("../../../../../wit/policy.wit");
const WORLD: &str = "policy-component";
const NOTHING: &str = include_str!("nothing.wat");

/// What the interpreter exports by itself, to be told the program. It goes when that has been told.
const START: &str = "
package local:init;
world init {
    export init: func(shim: string, script: string, entry-path: option<string>, disable-gc: bool) -> result<_, string>;
}";
const START_EXPORT: &str = "init";

/// What reading a program may take, in microseconds of CPU time.
const START_CPU_US_MAX: u64 = 2_000_000;

/// The contract has no streams and no futures, so this is all that has to be there for it.
const SHIM: &str = "const wit = globalThis.wit = {};\n";

const TOOLCHAIN_HELP: &str = "this is a fault of the toolchain, and not of the policy";

/// Make the component of a program, one module of ECMAScript.
pub(super) fn component(interpreter: &[u8], program: &str) -> Result<Vec<u8>, ProjectError> {
    let fault = |problem: String| ProjectError::Tool { problem, help: TOOLCHAIN_HELP };
    let linked = link(interpreter).map_err(|problem| fault(format!("the interpreter cannot be linked: {problem}")))?;
    let limits = PolicyLimits { cpu_us_max: START_CPU_US_MAX, ..PolicyLimits::SCRIPT };
    let start = Start { export: START_EXPORT, told: (SHIM, program, None::<&str>, false), limits };
    let started = started(&linked, start).map_err(|error| ProjectError::Tool {
        problem: format!("the program cannot be started: {}", said(error.problem())),
        help: "what stands at the top of a module runs when it is built: it has to end, and to know nothing of time",
    })?;
    without_export(&started, START_EXPORT).map_err(fault)
}

/// What the program threw, without the interpreter's words around it.
fn said(error: &str) -> &str {
    const BEFORE: [&str; 2] =
        ["Failed to evaluate user JavaScript module: ", "Failed to finish JavaScript module evaluation: "];
    BEFORE.iter().fold(error, |rest, before| rest.strip_prefix(before).unwrap_or(rest)).trim_end()
}

fn link(interpreter: &[u8]) -> Result<Vec<u8>, String> {
    let (start, start_world) = world(START, "init")?;
    let mut interpreter = closed(interpreter)?;
    embed_component_metadata(&mut interpreter, &start, start_world, StringEncoding::UTF8).map_err(in_full)?;
    let (contract, contract_world) = world(CONTRACT, WORLD)?;
    let mut between = wit_dylib::create(&contract, contract_world, None);
    embed_component_metadata(&mut between, &contract, contract_world, StringEncoding::UTF8).map_err(in_full)?;
    let nothing = wat::parse_str(NOTHING).map_err(in_full)?;

    let mut linker = Linker::default();
    linker.encoder().validate(true);
    for (name, library) in [("quickjs", &interpreter), ("contract", &between), ("nothing", &nothing)] {
        linker.library(name, library, false).map_err(in_full)?;
    }
    linker.encode().map_err(in_full)
}
