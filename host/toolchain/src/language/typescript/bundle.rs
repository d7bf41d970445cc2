//! From a project's sources to one module of ECMAScript: types checked, packages bundled.

use std::fs;
use std::path::Path;

use attorn_build::process::Failed;

use super::tools::Tools;
use crate::project::{ProjectError, file};

/// The module that a policy's project exports `policy` from.
const POLICY: &str = "src/policy.ts";
/// Where the program is made: within the project, since where a module lies decides which packages it finds.
const WITHIN: &str = "node_modules/.attorn";

const TYPES_HELP: &str = "the lines above say where the types do not fit";
const BUNDLE_HELP: &str =
    "the lines above say which module is not found or not understood; a policy has no modules of Node";

/// The largest program. It is read by the interpreter within the limits of a policy.
const PROGRAM_BYTES_MAX: u64 = 4 << 20;

/// What is bundled: the sandbox before all else, then the component around what the project exports.
pub(super) fn entry(home: &Path) -> Result<String, ProjectError> {
    let policy = home.join(POLICY);
    if !policy.is_file() {
        let problem = format!("it exports no policy: there is no `{POLICY}`");
        return Err(ProjectError::Manifest { path: home.join("package.json"), problem });
    }
    Ok(format!(
        r#"import "attorn-policy/sandbox";
import log from "attorn:policy/log@{version}";
import {{ component }} from "attorn-policy/component";
import * as written from "../../{POLICY}";
export const policy = component(written.policy, log);
"#,
        version = attorn_engine::CONTRACT.rsplit('@').next().unwrap_or_default()
    ))
}

/// Check the types, and give the program.
pub(super) fn bundle(
    tools: &Tools,
    home: &Path,
    entry: &str,
    progress: &mut dyn FnMut(&str),
) -> Result<String, ProjectError> {
    if home.join("tsconfig.json").is_file() {
        tool(tools.run("tsc", &["--noEmit", "--pretty", "false", "-p", "."], home, progress), TYPES_HELP)?;
    }
    let within = home.join(WITHIN);
    fs::create_dir_all(&within).map_err(file(&within))?;
    let (entry_path, program) = (within.join("entry.mjs"), within.join("policy.js"));
    fs::write(&entry_path, entry).map_err(file(&entry_path))?;
    // The tool runs in the project. What it is told are names in it, which are the same wherever that lies.
    let [entry, program_name] = ["entry.mjs", "policy.js"].map(|name| format!("{WITHIN}/{name}"));
    let outfile = format!("--outfile={program_name}");
    let options = [
        "--bundle",
        "--format=esm",
        "--platform=neutral",
        "--main-fields=module,main",
        "--conditions=attorn-source",
        "--target=es2023",
        "--charset=utf8",
        "--external:attorn:*",
        "--legal-comments=none",
        // Or the way to the SDK would stand in what is built.
        "--preserve-symlinks",
        "--log-level=warning",
        outfile.as_str(),
    ];
    tool(tools.run("esbuild", &[&[entry.as_str()], &options[..]].concat(), home, progress), BUNDLE_HELP)?;
    let size = fs::metadata(&program).map_err(file(&program))?.len();
    if size > PROGRAM_BYTES_MAX {
        let problem = format!("the program has {size} bytes, and {PROGRAM_BYTES_MAX} is the most");
        return Err(ProjectError::Tool { problem, help: "leave packages out that it does not need" });
    }
    fs::read_to_string(&program).map_err(file(&program))
}

fn tool(ran: Result<(), Failed>, help: &'static str) -> Result<(), ProjectError> {
    ran.map_err(|failed| ProjectError::Tool { problem: failed.in_full(), help })
}
