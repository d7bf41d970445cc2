//! Python, by `CPython` itself, as a component.
//!
//! The interpreter and its library come within a package of Python's registry (`componentize-py`), of which nothing runs
//! here: the modules of WebAssembly that lie in it are taken out and known by their digests. It is always the package for
//! one and the same system, so that the same sources give the same bytes on each. What is linked around them is made here,
//! and so is what they find in place of a system. So a policy can be started in the engine that decides, without clock and
//! chance, and its bytes are the same whenever and wherever it is built; the package's own tool mixes chance, times and
//! paths into what it makes.
//!
//! A project may come from a stranger. Its modules are copied, and run in the sandbox alone. Packages of others are not taken
//! yet.
//!
//! That the bytes are of these sources is the builder's own word all the same: nothing proves it to others but building them
//! again.

mod archive;
mod component;
mod libraries;
mod sdk;
mod sources;
mod symbols;
mod system;
mod tools;

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Compiled, Language, pip};
use crate::doctor::{Tool, version};
use crate::project::{ProjectError, file};
use crate::template::{Template, TemplateError};

/// The package of the SDK.
const SDK: &str = "attorn-policy";
pub(super) const MANIFEST: &str = "pyproject.toml";
/// The most of a manifest that is read.
const MANIFEST_BYTES_MAX: u64 = 64 << 10;
/// Where packages of others would be named.
const REQUIREMENTS: &str = "requirements.txt";

/// File by file, with `{{name}}` and `{{sdk}}` for what differs.
const FILES: &[(&str, &str)] = &[
    ("pyproject.toml", include_str!("../../templates/python/pyproject.toml.in")),
    (".gitignore", include_str!("../../templates/python/gitignore.in")),
    ("README.md", include_str!("../../templates/python/README.md.in")),
    ("settings.json", include_str!("../../templates/python/settings.json.in")),
    ("src/policy.py", include_str!("../../templates/python/policy.py.in")),
    ("test/test_policy.py", include_str!("../../templates/python/test_policy.py.in")),
    ("cases/decisions.json", include_str!("../../templates/python/decisions.json.in")),
];

/// What a manifest says, as far as it matters here.
#[derive(Deserialize)]
struct Manifest {
    project: Project,
    #[serde(default)]
    tool: Settings,
}

#[derive(Deserialize)]
struct Project {
    name: String,
    /// Of a policy, what its source says, too: a build compares the two.
    version: Option<String>,
    #[serde(default)]
    dependencies: Vec<String>,
}

#[derive(Deserialize, Default)]
struct Settings {
    #[serde(default)]
    attorn: Attorn,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Attorn {
    /// The directory of the SDK, from that of the project.
    sdk: Option<String>,
}

pub(super) fn tools() -> Vec<Tool> {
    let tool = |name, found, install| Tool { language: Language::Python, name, found, install };
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
    let Settled { sdk, sdk_version, version } = settled(home)?;
    let beside = tempfile::tempdir().map_err(file(Path::new("a temporary directory")))?;
    let modules = sources::read(home, &sdk, beside.path())?;
    let tools = tools::Tools::get(progress)?;
    let mut files = tools.modules()?;
    sources::add(home, &mut files, modules, version.as_deref())?;
    let component = component::component(&tools.libraries()?, &files)?;
    // Everything that is imported is there already: there is nothing to lock.
    Ok(Compiled { component, sdk: format!("{SDK} {sdk_version}"), lock: path })
}

/// Modules by their names in the archive.
type Files = BTreeMap<String, Vec<u8>>;

/// What manifests say, and a build goes by.
struct Settled {
    /// The directory of the SDK.
    sdk: PathBuf,
    sdk_version: String,
    /// That of the policy, where its manifest has one.
    version: Option<String>,
}

/// It, or what a project wants that it does not get.
fn settled(home: &Path) -> Result<Settled, ProjectError> {
    let path = home.join(MANIFEST);
    let manifest = |problem: String| ProjectError::Manifest { path: path.clone(), problem };
    let Manifest { project, tool } = read(&path)?;
    let is_sdk = |one: &&String| one.split(['=', '<', '>', '~', '!', ';', ' ', '[', '@']).next() == Some(SDK);
    if let Some(other) = project.dependencies.iter().find(|one| !is_sdk(one)) {
        let other = other.escape_debug();
        return Err(manifest(format!(
            "`{other}` is not taken: put the modules of other packages into the project's `src`"
        )));
    }
    if project.version.as_ref().is_some_and(|version| !is_version(version)) {
        return Err(manifest("its `version` is none: letters, digits and `.-+` of ASCII make one".to_owned()));
    }
    if home.join(REQUIREMENTS).symlink_metadata().is_ok() {
        let problem = "packages are not taken: put their modules into the project's `src`, and what only its tests need into \
                       a file of another name";
        return Err(ProjectError::Manifest { path: home.join(REQUIREMENTS), problem: problem.to_owned() });
    }
    let sdk =
        tool.attorn.sdk.ok_or_else(|| manifest("it does not say where the SDK is: `sdk` in `[tool.attorn]`".into()))?;
    let sdk = home.join(sdk);
    let Manifest { project: Project { name, version: sdk_version, .. }, .. } = read(&sdk.join(MANIFEST))?;
    if name != SDK {
        return Err(manifest(format!(
            "`sdk` leads to `{}`, which calls itself `{}`",
            sdk.display(),
            name.escape_debug()
        )));
    }
    let no_version = || manifest(format!("`sdk` leads to `{}`, which says no version", sdk.display()));
    let sdk_version = sdk_version.filter(|version| is_version(version)).ok_or_else(no_version)?;
    Ok(Settled { sdk, sdk_version, version: project.version })
}

/// What means nothing else where it is written down anew.
fn is_version(version: &str) -> bool {
    !version.is_empty() && version.bytes().all(|b| b.is_ascii_alphanumeric() || b".-+".contains(&b))
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
    toml::from_str(&text).map_err(|error| manifest(error.message().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_project_is_said_before_anything_is_got() {
        const PROJECT: &str = "[project]\nname='x'\nversion='1'\n";
        for (text, problem) in [
            ("[", "pyproject.toml`: "),
            ("", "missing field `project`"),
            ("[project]\nversion='1'", "missing field `name`"),
            ("[project]\nname='x'", "does not say where the SDK is"),
            ("[project]\nname='x'\nversion='1\"'", "its `version` is none"),
            ("[project]\nname='attorn-policy'\n[tool.attorn]\nsdk='.'", "which says no version"),
            (PROJECT, "does not say where the SDK is: `sdk` in `[tool.attorn]`"),
            (&format!("{PROJECT}dependencies=['attorn-policy','httpx>=1']"), "`httpx>=1` is not taken"),
            (&format!("{PROJECT}dependencies=['attorn-policy-x']"), "`attorn-policy-x` is not taken"),
            (&format!("{PROJECT}[tool.attorn]\nsdk=7"), "invalid type: integer"),
            (&format!("{PROJECT}[tool.attorn]\nsdk='nowhere'"), "nowhere/pyproject.toml"),
            (&format!("{PROJECT}[tool.attorn]\nsdk='.'\nother=1"), "unknown field `other`"),
            (
                &format!("{PROJECT}dependencies=['attorn-policy>=0.1']\n[tool.attorn]\nsdk='.'"),
                "which calls itself `x`",
            ),
        ] {
            let home = tempfile::tempdir().unwrap();
            fs::write(home.path().join(MANIFEST), text).unwrap();
            let error = build(home.path(), home.path(), &mut |line| panic!("{line}")).unwrap_err().to_string();
            assert!(error.contains(problem), "{text}: {error}");
        }
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join(MANIFEST), PROJECT).unwrap();
        fs::write(home.path().join(REQUIREMENTS), "").unwrap();
        let error = build(home.path(), home.path(), &mut |_| {}).unwrap_err().to_string();
        assert!(error.contains("requirements.txt`: packages are not taken"), "{error}");
        fs::write(home.path().join(MANIFEST), "#".repeat(70_000)).unwrap();
        let error = build(home.path(), home.path(), &mut |_| {}).unwrap_err().to_string();
        assert!(error.contains("more than 65536 bytes"), "{error}");
    }
}
