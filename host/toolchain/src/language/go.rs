//! Go, by its own compiler.
//!
//! A project may come from a stranger, and building it runs nothing of it. Its sources are copied to where they are compiled,
//! beside a copy of the SDK and a program of a few lines that is made here; there is no module but these, and no option but
//! those in `compile.rs`. What `wit-bindgen` makes of the contract stands in the SDK.
//!
//! That the bytes are of these sources is the builder's own word all the same: nothing proves it to others but building them
//! again, with the same Go.

mod compile;
mod module;
mod sdk;
mod tools;

use std::path::Path;

use super::copied::Copying;
use super::{Compiled, Language, stubbed};
use crate::doctor::Tool;
use crate::project::{COMPONENT, ProjectError, file};
use crate::template::{Template, TemplateError};

/// The module of the SDK.
const SDK: &str = "attorn-policy";
pub(super) const MANIFEST: &str = "go.mod";
const NOTHING: &str = include_str!("go/nothing.wat");

/// File by file, with `{{name}}` and `{{sdk}}` for what differs.
const FILES: &[(&str, &str)] = &[
    ("go.mod", include_str!("../../templates/go/go.mod.in")),
    (".gitignore", include_str!("../../templates/go/gitignore.in")),
    ("README.md", include_str!("../../templates/go/README.md.in")),
    ("settings.json", include_str!("../../templates/go/settings.json.in")),
    ("policy.go", include_str!("../../templates/go/policy.go.in")),
    ("policy_test.go", include_str!("../../templates/go/policy_test.go.in")),
    ("cases/decisions.json", include_str!("../../templates/go/decisions.json.in")),
];

/// What is no source, at the top of a project.
const NO_SOURCES: &[&str] = &["cases", "target", COMPONENT, MANIFEST, "go.sum", "go.work", "go.work.sum"];
/// What Go would have other tools compile, or would link as it is.
const FOREIGN: &[&str] = &[
    "s", "S", "sx", "c", "cc", "cpp", "cxx", "h", "hh", "hpp", "hxx", "m", "f", "F", "for", "f90", "swig", "swigcxx",
    "syso", "a", "o",
];

pub(super) fn tools() -> Vec<Tool> {
    let found = tools::go().map(|found| found.said);
    vec![Tool { language: Language::Go, name: "go", found, install: "Go 1.25 or later: https://go.dev/dl" }]
}

pub(super) fn template(sdk: Option<&Path>) -> Result<Template, TemplateError> {
    let (sdk, with) = match sdk {
        Some(path) => (sdk::at(path)?, Vec::new()),
        None => (format!("./{}", sdk::HOME), sdk::files()),
    };
    Ok(Template { files: FILES, sdk, with })
}

pub(super) fn build(_: &Path, home: &Path, progress: &mut dyn FnMut(&str)) -> Result<Compiled, ProjectError> {
    // What is wrong with the project is said before anything is compiled for it.
    let path = home.join(MANIFEST);
    let project = module::read(&path)?;
    let sdk = home.join(&project.sdk);
    let version = sdk::version(&sdk)?;
    let tools = tools::Tools::get()?;

    let beside = tempfile::tempdir().map_err(file(Path::new("a temporary directory")))?;
    let whole = sdk.canonicalize().map_err(file(&sdk))?;
    let is_none = |path: &Path| {
        let is_top = path.parent() == Some(home);
        let is_none = is_top && NO_SOURCES.iter().any(|name| path.file_name().is_some_and(|one| one == *name));
        is_none || is_test(path) || path.canonicalize().is_ok_and(|path| path == whole)
    };
    let sources = Copying::of(home, is_none).copy(home, &beside.path().join(compile::PROJECT), "")?;
    let foreign = |name: &&String| FOREIGN.iter().any(|one| name.rsplit_once('.').is_some_and(|(_, end)| end == *one));
    if let Some(name) = sources.iter().find(foreign) {
        let problem = "only Go is compiled: leave it out".to_owned();
        return Err(ProjectError::Manifest { path: home.join(name), problem });
    }
    Copying::of(&sdk, is_test).copy(&sdk, &beside.path().join(compile::SDK_HOME), "")?;

    let module = compile::module(&tools, beside.path(), &project, progress)?;
    let component = stubbed::component(&module, NOTHING).map_err(|problem| ProjectError::Tool {
        problem: format!("what was linked is no policy: {problem}"),
        help: "a policy asks no system: leave out packages that do; the README of the SDK says what there is",
    })?;
    // Everything that is compiled is there already: there is nothing to lock.
    Ok(Compiled { component, sdk: format!("{SDK} {version}"), lock: path })
}

/// What is about a policy, and no part of it.
fn is_test(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().ends_with("_test.go"))
}
