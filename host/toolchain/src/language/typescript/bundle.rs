//! From a project's sources to one module of ECMAScript: types checked, packages bundled.
//!
//! Nothing is written in the project, and nothing is taken in that is not its own, its packages' or the SDK's.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Component, Path, PathBuf};
use std::process::Stdio;

use attorn_build::process::Failed;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::SDK;
use super::tools::Tools;
use crate::project::{ProjectError, file};

/// The module that a policy's project exports `policy` from.
const POLICY: &str = "src/policy.ts";
const TYPES: &str = "tsconfig.json";
/// What the first module is called, which is no file: the tool reads it as it is given.
const ENTRY: &str = "attorn-entry.mjs";

const TYPES_HELP: &str = "the lines above say where the types do not fit";
const BUNDLE_HELP: &str =
    "the lines above say which module is not found or not understood; a policy has no modules of Node";

/// The largest program. It is read by the interpreter within the limits of a policy.
const PROGRAM_BYTES_MAX: u64 = 4 << 20;

/// What has `tsc` write a file of the project's choice although it is told to make none.
const WRITES: &[&str] = &["tsBuildInfoFile", "generateTrace", "generateCpuProfile"];

/// What a module may be: no file is taken in as a text.
const MODULES: &[&str] = &["ts", "mts", "cts", "tsx", "js", "mjs", "cjs", "jsx", "json"];

/// What is bundled: the sandbox before all else, then the component around what the project exports.
pub(super) fn entry(home: &Path) -> Result<String, ProjectError> {
    let manifest = |problem: String| ProjectError::Manifest { path: home.join("package.json"), problem };
    if !home.join(POLICY).is_file() {
        return Err(manifest(format!("it exports no policy: there is no `{POLICY}`")));
    }
    if !home.join(TYPES).is_file() {
        return Err(manifest(format!(
            "there is no `{TYPES}` beside it, so nobody would check the types: `attorn policy new` makes one"
        )));
    }
    if home.join(ENTRY).symlink_metadata().is_ok() {
        return Err(manifest(format!("`{ENTRY}` is the name of a module that is made here: rename that file")));
    }
    Ok(format!(
        r#"import "attorn-policy/sandbox";
import log from "attorn:policy/log@{version}";
import {{ component }} from "attorn-policy/component";
import * as written from "./{POLICY}";
export const policy = component(written.policy, log);
"#,
        version = attorn_engine::CONTRACT.rsplit('@').next().unwrap_or_default()
    ))
}

/// Check the types, and give the program. `directory` is the policy's, and `home` the project in it.
pub(super) fn bundle(
    tools: &Tools,
    directory: &Path,
    home: &Path,
    entry: &str,
    progress: &mut dyn FnMut(&str),
) -> Result<String, ProjectError> {
    types(tools, home, progress)?;
    let beside = tempfile::tempdir().map_err(file(Path::new("a temporary directory")))?;
    let [given, program, inputs] = ["entry.mjs", "policy.js", "inputs.json"].map(|name| beside.path().join(name));
    fs::write(&given, entry).map_err(file(&given))?;
    let stdin = File::open(&given).map_err(file(&given))?;
    // The tool runs in the project. What it is told are names in it, which are the same wherever that lies.
    let [source, outfile, metafile] =
        [("--sourcefile=", Path::new(ENTRY)), ("--outfile=", &program), ("--metafile=", &inputs)]
            .map(|(option, path)| [OsStr::new(option), path.as_os_str()].join(OsStr::new("")));
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
    ];
    let arguments: Vec<_> = options.iter().map(OsStr::new).chain([&*source, &*outfile, &*metafile]).collect();
    tool(tools.run("esbuild", &arguments, stdin.into(), home, progress), BUNDLE_HELP)?;
    let inputs = fs::read(&inputs).map_err(file(&inputs))?;
    all_ours(&inputs, directory, home)?;
    let size = fs::metadata(&program).map_err(file(&program))?.len();
    if size > PROGRAM_BYTES_MAX {
        let problem = format!("the program has {size} bytes, and {PROGRAM_BYTES_MAX} is the most");
        return Err(ProjectError::Tool { problem, help: "leave packages out that it does not need" });
    }
    fs::read_to_string(&program).map_err(file(&program))
}

/// Check the types, once it is known that this writes nothing.
fn types(tools: &Tools, home: &Path, progress: &mut dyn FnMut(&str)) -> Result<(), ProjectError> {
    let mut tsc = |arguments: &str| {
        let arguments: Vec<_> = arguments.split(' ').map(OsStr::new).collect();
        tool(tools.run("tsc", &arguments, Stdio::null(), home, progress), TYPES_HELP)
    };
    // With all that it extends.
    let options = tsc("--showConfig -p .")?;
    writes_nothing(&options).map_err(|problem| ProjectError::Manifest { path: home.join(TYPES), problem })?;
    tsc("--noEmit --incremental false --composite false --pretty false -p .").map(drop)
}

fn writes_nothing(options: &str) -> Result<(), String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Shown {
        #[serde(default)]
        compiler_options: Map<String, Value>,
    }
    let shown: Shown = serde_json::from_str(options).map_err(|error| format!("`tsc --showConfig`: {error}"))?;
    match WRITES.iter().find(|name| shown.compiler_options.contains_key(**name)) {
        Some(name) => Err(format!("`{name}` has a file written: a build writes `policy.wasm` alone; leave it out")),
        None => Ok(()),
    }
}

/// Whether each module that was taken in lies in the policy's directory or is the SDK's, wherever links lead.
fn all_ours(inputs: &[u8], directory: &Path, home: &Path) -> Result<(), ProjectError> {
    #[derive(Deserialize)]
    struct Inputs {
        inputs: Map<String, Value>,
    }
    let refused = |name: &str, problem: &str| {
        let problem = format!("`{name}` {problem}");
        Err(ProjectError::Tool {
            problem,
            help: "a policy is made of its own modules, those of its packages, and the SDK",
        })
    };
    let Ok(Inputs { inputs }) = serde_json::from_slice(inputs) else {
        return refused("esbuild", "did not say what it took in");
    };
    let whole = |path: PathBuf| path.canonicalize().map_err(file(&path));
    let (directory, sdk) = (whole(directory.to_owned())?, whole(home.join("node_modules").join(SDK))?);
    for name in inputs.keys().filter(|name| *name != ENTRY) {
        let Ok(path) = home.join(name).canonicalize() else {
            return refused(name, "is no file");
        };
        let Some(below) = [&directory, &sdk].iter().find_map(|top| path.strip_prefix(top).ok()) else {
            return refused(name, "lies outside the policy's directory: put it there");
        };
        let is_hidden = |part: &Component<'_>| part.as_os_str().to_string_lossy().starts_with('.');
        let extension = path.extension().and_then(OsStr::to_str).unwrap_or_default();
        if below.components().any(|part| is_hidden(&part)) || !MODULES.contains(&extension) {
            return refused(name, "is no module, or a hidden one");
        }
    }
    Ok(())
}

fn tool<T>(ran: Result<T, Failed>, help: &'static str) -> Result<T, ProjectError> {
    ran.map_err(|failed| ProjectError::Tool { problem: failed.in_full(), help })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_checked_and_checking_them_writes_nothing() {
        for name in WRITES {
            let error = writes_nothing(&format!(r#"{{"compilerOptions":{{"{name}":"../x"}}}}"#)).unwrap_err();
            assert!(error.contains(name), "{error}");
        }
        assert_eq!(writes_nothing(r#"{"compilerOptions":{"strict":true},"files":[]}"#), Ok(()));
        for other in ["", "{", "error TS5083"] {
            assert!(writes_nothing(other).is_err(), "{other}");
        }
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("src")).unwrap();
        fs::write(home.path().join(POLICY), "").unwrap();
        assert!(entry(home.path()).unwrap_err().to_string().contains("there is no `tsconfig.json`"));
        fs::write(home.path().join(TYPES), "{}").unwrap();
        assert!(entry(home.path()).is_ok());
        fs::write(home.path().join(ENTRY), "").unwrap();
        assert!(entry(home.path()).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn a_module_from_elsewhere_is_refused() {
        use std::os::unix::fs::symlink;

        let (top, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let home = top.path().join("typescript");
        let sdk = outside.path().join("sdk");
        for directory in [home.join("node_modules/a"), home.join(".secret"), home.join("src"), sdk.clone()] {
            fs::create_dir_all(directory).unwrap();
        }
        let outside = outside.path().join("key.json");
        for path in [
            &outside,
            &sdk.join("index.ts"),
            &home.join("src/policy.ts"),
            &home.join("src/text.txt"),
            &home.join("node_modules/a/a.js"),
            &home.join(".secret/a.json"),
            &top.path().join("shared.json"),
        ] {
            fs::write(path, "").unwrap();
        }
        symlink(&sdk, home.join("node_modules").join(SDK)).unwrap();
        symlink(&outside, home.join("src/link.json")).unwrap();
        let say = |name: &str| {
            let inputs = serde_json::json!({ "inputs": { name: {}, ENTRY: {} } }).to_string();
            all_ours(inputs.as_bytes(), top.path(), &home).map_err(|error| error.to_string())
        };
        for name in ["src/policy.ts", "node_modules/a/a.js", "node_modules/attorn-policy/index.ts", "../shared.json"] {
            assert_eq!(say(name), Ok(()), "{name}");
        }
        let absolute = outside.to_str().unwrap();
        for name in ["src/link.json", absolute] {
            assert!(say(name).unwrap_err().contains("lies outside"), "{name}");
        }
        for name in ["src/text.txt", ".secret/a.json"] {
            assert!(say(name).unwrap_err().contains("is no module, or a hidden one"), "{name}");
        }
        for name in ["src/nowhere.ts", "<data:text/javascript,1>", "(disabled):src/policy.ts"] {
            assert!(say(name).unwrap_err().contains("is no file"), "{name}");
        }
        assert!(all_ours(b"{}", top.path(), &home).is_err());
    }
}
