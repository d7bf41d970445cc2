//! Rust, by cargo and a standard library for WebAssembly.

mod sdk;

use std::fs;
use std::path::{Path, PathBuf};

use attorn_build::{Artifacts, BuildRequest, WasmTarget};
use serde::Deserialize;

use super::{Compiled, Language};
use crate::doctor::{Tool, version};
use crate::project::{ProjectError, file};
use crate::template::{Template, TemplateError};

/// The crate of the SDK.
const SDK: &str = "attorn-policy";

/// File by file, with `{{name}}` and `{{sdk}}` for what differs.
const FILES: &[(&str, &str)] = &[
    ("Cargo.toml", include_str!("../../templates/rust/Cargo.toml.in")),
    (".gitignore", include_str!("../../templates/rust/gitignore.in")),
    ("README.md", include_str!("../../templates/rust/README.md.in")),
    ("settings.json", include_str!("../../templates/rust/settings.json.in")),
    ("settings.schema.json", include_str!("../../templates/rust/settings.schema.json.in")),
    ("src/lib.rs", include_str!("../../templates/rust/lib.rs.in")),
    ("cases/decisions.json", include_str!("../../templates/rust/decisions.json.in")),
];

#[derive(Deserialize)]
struct Manifest {
    package: Package,
}

#[derive(Deserialize)]
struct Package {
    name: String,
}

#[derive(Deserialize)]
struct Lock {
    #[serde(default)]
    package: Vec<LockedPackage>,
}

#[derive(Deserialize)]
struct LockedPackage {
    name: String,
    version: String,
}

pub(super) fn tools() -> Vec<Tool> {
    const RUSTUP: &str = "curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh";
    let target = WasmTarget::find_here().ok().map(|target| target.to_string());
    let tool = |name, found, install| Tool { language: Language::Rust, name, found, install };
    vec![
        tool("cargo", version("cargo"), RUSTUP),
        tool("rustc", version("rustc"), RUSTUP),
        tool("wasm32-unknown-unknown", target, "rustup target add wasm32-unknown-unknown"),
    ]
}

pub(super) fn template(sdk: Option<&Path>) -> Result<Template, TemplateError> {
    let (sdk, with) = if let Some(path) = sdk {
        (sdk_at(path)?, Vec::new())
    } else {
        let failed = |source| TemplateError::File { path: PathBuf::from(sdk::HOME), source };
        (format!("{{ path = \"{}/{}\" }}", sdk::HOME, sdk::CRATE), sdk::files().map_err(failed)?)
    };
    Ok(Template { files: FILES, sdk, with })
}

/// How the crate is named in the manifest whose sources are there.
fn sdk_at(path: &Path) -> Result<String, TemplateError> {
    let no_sdk = || TemplateError::NoSdk { path: path.to_owned(), language: Language::Rust };
    let path = path.canonicalize().map_err(|_| no_sdk())?;
    let manifest = fs::read_to_string(path.join("Cargo.toml")).map_err(|_| no_sdk())?;
    let text = path.to_str().filter(|_| manifest.contains("name = \"attorn-policy\"")).ok_or_else(no_sdk)?;
    // A text in TOML takes the escapes of one in JSON.
    Ok(format!("{{ path = {} }}", serde_json::Value::from(text)))
}

/// What cargo compiles runs here with all rights of whoever builds, as always.
pub(super) fn build(directory: &Path, home: &Path, progress: &mut dyn FnMut(&str)) -> Result<Compiled, ProjectError> {
    let manifest = home.join("Cargo.toml");
    let Manifest { package } = read_toml(&manifest)?;
    let target = WasmTarget::find(progress)?;
    let request = BuildRequest {
        manifest: &manifest,
        target_dir: &directory.join("target"),
        artifacts: Artifacts::Packages(&[&package.name]),
    };
    let built = attorn_build::build(&target, &request, progress)?;
    let Some(component) = built.first() else { return Err(ProjectError::NoProject { path: directory.to_owned() }) };
    let component = fs::read(&component.path).map_err(file(&component.path))?;
    // Cargo has written the lock file by now, and it is a source like others.
    let lock = lock(home)?;
    Ok(Compiled { component, sdk: sdk(&lock)?, lock })
}

/// The lock file of a crate: its own, or that of the workspace that it is in.
fn lock(home: &Path) -> Result<PathBuf, ProjectError> {
    let whole = home.canonicalize().map_err(file(home))?;
    let found = whole.ancestors().map(|above| above.join("Cargo.lock")).find(|path| path.is_file());
    Ok(found.unwrap_or_else(|| home.join("Cargo.lock")))
}

/// The SDK and the version of it that the lock file names.
fn sdk(path: &Path) -> Result<String, ProjectError> {
    let lock: Lock = read_toml(path)?;
    let found = lock.package.iter().find(|package| package.name == SDK);
    let problem = format!("it names no `{SDK}`: add it to the dependencies");
    let sdk = found.ok_or(ProjectError::Manifest { path: path.to_owned(), problem })?;
    Ok(format!("{SDK} {}", sdk.version))
}

fn read_toml<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, ProjectError> {
    let text = fs::read_to_string(path).map_err(file(path))?;
    toml::from_str(&text).map_err(|error| {
        let problem = error.message().to_owned();
        ProjectError::Manifest { path: path.to_owned(), problem }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sdk_is_the_one_that_is_locked() {
        let lock = "version = 4\n[[package]]\nname = \"attorn-policy\"\nversion = \"7.8.9\"\n";
        let of = |text: &str, home: &str| {
            let directory = tempfile::tempdir().unwrap();
            fs::write(directory.path().join("Cargo.lock"), text).unwrap();
            fs::create_dir_all(directory.path().join(home)).unwrap();
            super::lock(&directory.path().join(home)).and_then(|lock| sdk(&lock))
        };
        assert_eq!(of(lock, ".").unwrap(), "attorn-policy 7.8.9");
        // A member of a workspace has none of its own.
        assert_eq!(of(lock, "plugins/a/rust").unwrap(), "attorn-policy 7.8.9");
        let error = of("version = 4\n", ".").unwrap_err().to_string();
        assert!(error.ends_with("it names no `attorn-policy`: add it to the dependencies"), "{error}");
    }
}
