//! C, compiled by the clang and linked by the linker that come with Zig.
//!
//! Zig is one package of Python's registry for each platform, known by its digest; it brings compiler, linker, headers and a
//! library for WebAssembly, and so makes the same bytes wherever it runs. A clang that happens to be installed makes others,
//! lacks a library for WebAssembly on most systems, and is not asked. Of the package only the compiler itself runs; Python
//! gets it, and does nothing else.
//!
//! A project may come from a stranger, and building it runs nothing of it. Its sources are copied to where the compiler
//! works, so that nothing is written in the project and no place stands in what is built. How it is compiled is said here
//! alone: a project has no options. What a source takes in from elsewhere is refused (see `compile.rs`).
//!
//! That the bytes are of these sources is the builder's own word all the same: nothing proves it to others but building them
//! again.

mod compile;
mod component;
mod sdk;
mod sources;
mod tools;

use std::fs;
use std::io::Read as _;
use std::path::Path;

use serde::Deserialize;

use super::{Compiled, Language, pip};
use crate::doctor::{Tool, version};
use crate::project::{ProjectError, file};
use crate::template::{Template, TemplateError};

/// The library of the SDK.
const SDK: &str = "attorn-policy";
/// The manifest, in the form of clib.
pub(super) const MANIFEST: &str = "clib.json";
/// The most of a manifest that is read.
const MANIFEST_BYTES_MAX: u64 = 64 << 10;

/// File by file, with `{{name}}` and `{{sdk}}` for what differs.
const FILES: &[(&str, &str)] = &[
    ("clib.json", include_str!("../../templates/c/clib.json.in")),
    (".gitignore", include_str!("../../templates/c/gitignore.in")),
    ("README.md", include_str!("../../templates/c/README.md.in")),
    ("Makefile", include_str!("../../templates/c/Makefile.in")),
    ("compile_flags.txt", include_str!("../../templates/c/compile_flags.txt.in")),
    ("settings.json", include_str!("../../templates/c/settings.json.in")),
    ("src/policy.c", include_str!("../../templates/c/policy.c.in")),
    ("test/policy_test.c", include_str!("../../templates/c/policy_test.c.in")),
    ("cases/decisions.json", include_str!("../../templates/c/decisions.json.in")),
];

/// What a manifest says, as far as it matters here.
#[derive(Deserialize)]
struct Manifest {
    name: String,
    version: Option<String>,
    #[serde(default)]
    dependencies: Dependencies,
}

#[derive(Deserialize, Default)]
struct Dependencies {
    /// The directory of the SDK, from that of the project.
    #[serde(rename = "attorn-policy")]
    sdk: Option<String>,
}

pub(super) fn tools() -> Vec<Tool> {
    let tool = |name, found, install| Tool { language: Language::C, name, found, install };
    vec![
        tool("python3", version("python3"), "Debian: `apt-get install python3`; others: https://python.org"),
        tool("pip", pip::version(), "Debian: `apt-get install python3-pip`; others: `python3 -m ensurepip`"),
    ]
}

pub(super) fn template(sdk: Option<&Path>) -> Result<Template, TemplateError> {
    let (sdk, with) = match sdk {
        Some(path) => (sdk::at(path)?, Vec::new()),
        None => (sdk::HOME.to_owned(), sdk::files()),
    };
    Ok(Template { files: FILES, sdk, with })
}

pub(super) fn build(_: &Path, home: &Path, progress: &mut dyn FnMut(&str)) -> Result<Compiled, ProjectError> {
    // What is wrong with the project is said before anything is got for it.
    let path = home.join(MANIFEST);
    let manifest = |problem: String| ProjectError::Manifest { path: path.clone(), problem };
    let Manifest { dependencies, version, .. } = read(&path)?;
    if version.is_some() {
        // It would be one that nobody reads, beside the one that counts.
        let problem = "its `version` says nothing: the policy's is `.version` in `src/policy.c`; leave it out";
        return Err(manifest(problem.to_owned()));
    }
    let sdk = dependencies.sdk.ok_or_else(|| manifest(format!("there is no `{SDK}`: add it to the dependencies")))?;
    let sdk = home.join(sdk);
    let Manifest { name, version, .. } = read(&sdk.join(MANIFEST))?;
    if name != SDK {
        return Err(manifest(format!("`{SDK}` leads to `{}`, which calls itself `{name}`", sdk.display())));
    }
    let version =
        version.ok_or_else(|| manifest(format!("`{SDK}` leads to `{}`, which has no version", sdk.display())))?;
    let beside = tempfile::tempdir().map_err(file(Path::new("a temporary directory")))?;
    let sources = sources::copy(home, &sdk, beside.path())?;
    let tools = tools::Tools::get(progress)?;
    let module = compile::module(&tools, beside.path(), &sources, progress)?;
    let component = component::component(&module)?;
    // Everything that is compiled is there already: there is nothing to lock.
    Ok(Compiled { component, sdk: format!("{name} {version}"), lock: path })
}

fn read(path: &Path) -> Result<Manifest, ProjectError> {
    let manifest = |problem: String| ProjectError::Manifest { path: path.to_owned(), problem };
    if !fs::metadata(path).map_err(file(path))?.is_file() {
        return Err(manifest("it is no file".to_owned()));
    }
    let mut text = String::new();
    let opened = fs::File::open(path).map_err(file(path))?;
    opened.take(MANIFEST_BYTES_MAX + 1).read_to_string(&mut text).map_err(file(path))?;
    if text.len() as u64 > MANIFEST_BYTES_MAX {
        return Err(manifest(format!("it has more than {MANIFEST_BYTES_MAX} bytes")));
    }
    serde_json::from_str(&text).map_err(|error| manifest(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_project_is_said_before_anything_is_got() {
        for (text, problem) in [
            ("{", "EOF while parsing"),
            ("[]", "clib.json`: invalid"),
            (r#"{"version":"1"}"#, "missing field `name`"),
            (r#"{"name":"x"}"#, "there is no `attorn-policy`: add it to the dependencies"),
            (
                r#"{"name":"x","version":"1"}"#,
                "its `version` says nothing: the policy's is `.version` in `src/policy.c`",
            ),
            (r#"{"name":"x","dependencies":{"attorn-policy":7}}"#, "invalid type: integer"),
            (r#"{"name":"x","dependencies":{"attorn-policy":"nowhere"}}"#, "nowhere/clib.json"),
            (r#"{"name":"x","dependencies":{"attorn-policy":"."}}"#, "which calls itself `x`"),
            (r#"{"name":"attorn-policy","dependencies":{"attorn-policy":"."}}"#, "which has no version"),
        ] {
            let home = tempfile::tempdir().unwrap();
            fs::write(home.path().join(MANIFEST), text).unwrap();
            let error = build(home.path(), home.path(), &mut |line| panic!("{line}")).unwrap_err().to_string();
            assert!(error.contains(problem), "{text}: {error}");
        }
        let home = tempfile::tempdir().unwrap();
        let long = format!("{{\"name\":\"{}\"}}", "x".repeat(70_000));
        fs::write(home.path().join(MANIFEST), long).unwrap();
        let error = build(home.path(), home.path(), &mut |_| {}).unwrap_err().to_string();
        assert!(error.contains("more than 65536 bytes"), "{error}");
    }
}
