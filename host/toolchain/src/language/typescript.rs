//! TypeScript, checked by `tsc`, bundled by esbuild, and run by `QuickJS`.
//!
//! Of the package that brings `QuickJS` for components (`componentize-qjs`) only the interpreter is taken, a module of
//! WebAssembly that is known by its digest; no native code of it runs. What is linked around it is made here, which is what
//! lets such a component be snapshotted like any other, and its bytes be the same whenever and wherever it is built: its
//! own tool makes nested components, which cannot be snapshotted, and mixes chance into what they remember.
//!
//! A project's own packages come by npm from its lock file, without their scripts. A project may come from a stranger, and
//! building it runs nothing of it; what does run, and what a project may have npm do, stands in `tools.rs` and
//! `settled.rs`. That the bytes are of these sources is the builder's own word all the same: nothing proves it to others
//! but building them again.

mod bundle;
mod component;
mod interpreter;
mod sdk;
mod settled;
mod tools;

use std::fs;
use std::path::Path;

use serde::Deserialize;

use super::{Compiled, Language};
use crate::doctor::{Tool, version};
use crate::project::{ProjectError, file};
use crate::template::{Template, TemplateError};

/// The package of the SDK.
const SDK: &str = "attorn-policy";

/// File by file, with `{{name}}` and `{{sdk}}` for what differs.
const FILES: &[(&str, &str)] = &[
    ("package.json", include_str!("../../templates/typescript/package.json.in")),
    (".npmrc", include_str!("../../templates/typescript/npmrc.in")),
    (".gitignore", include_str!("../../templates/typescript/gitignore.in")),
    ("README.md", include_str!("../../templates/typescript/README.md.in")),
    ("tsconfig.json", include_str!("../../templates/typescript/tsconfig.json.in")),
    ("settings.json", include_str!("../../templates/typescript/settings.json.in")),
    ("src/policy.ts", include_str!("../../templates/typescript/policy.ts.in")),
    ("test/policy.test.ts", include_str!("../../templates/typescript/policy.test.ts.in")),
    ("test/tsconfig.json", include_str!("../../templates/typescript/test.tsconfig.json.in")),
    ("cases/decisions.json", include_str!("../../templates/typescript/decisions.json.in")),
];

/// What is said of an installed package.
#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
}

pub(super) fn tools() -> Vec<Tool> {
    let tool = |name, found, install| Tool { language: Language::TypeScript, name, found, install };
    vec![
        tool("node", tools::node(), "Node 20 or later: https://nodejs.org"),
        tool("npm", version("npm"), "it comes with Node: https://nodejs.org"),
    ]
}

pub(super) fn template(sdk: Option<&Path>) -> Result<Template, TemplateError> {
    let (sdk, with) = match sdk {
        Some(path) => (sdk::at(path)?, Vec::new()),
        None => (format!("file:{}", sdk::HOME), sdk::files()),
    };
    Ok(Template { files: FILES, sdk, with })
}

pub(super) fn build(directory: &Path, home: &Path, progress: &mut dyn FnMut(&str)) -> Result<Compiled, ProjectError> {
    // What is wrong with the project is said before anything is got for it.
    let entry = bundle::entry(home)?;
    settled::check(home)?;
    let tools = tools::Tools::get(progress)?;
    let _alone = tools::alone(home, progress)?;
    tools::install(home, progress)?;
    let package = home.join("node_modules").join(SDK).join("package.json");
    let installed = read_package(&package)?;
    let program = bundle::bundle(&tools, directory, home, &entry, progress)?;
    let component = component::component(&tools.interpreter()?, &program)?;
    let sdk = format!("{} {}", installed.name, installed.version);
    Ok(Compiled { component, sdk, lock: home.join("package-lock.json") })
}

impl Package {
    fn of(manifest: &str) -> Option<Self> {
        serde_json::from_str(manifest).ok()
    }
}

fn read_package(path: &Path) -> Result<Package, ProjectError> {
    let manifest = |problem: String| ProjectError::Manifest { path: path.to_owned(), problem };
    if !path.is_file() {
        return Err(manifest(format!("there is no `{SDK}`: add it to the dependencies")));
    }
    let text = fs::read_to_string(path).map_err(file(path))?;
    serde_json::from_str(&text).map_err(|error| manifest(error.to_string()))
}
