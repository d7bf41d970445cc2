//! `cargo xtask components`: the policy components that the demo and the tests load.
//!
//! They end up side by side in `wasm/components` of the target directory, under the names that people
//! know them by: a plugin's is that of its directory, a guest's that of its file.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use attorn_build::{Artifacts, BuildRequest, Component, WasmTarget};

use crate::steps::{Failed, Steps};
use crate::workspace::{APART, Member, Workspace};

/// The package whose examples are the tests' hostile policies.
const GUESTS: &str = "attorn-guests";

/// How to repeat any of these steps.
const REPEAT: &str = "cargo xtask components";

/// Which guests to build beside the plugins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guests {
    /// All there are.
    All,
    /// This one.
    One(&'static str),
    /// None of them.
    None,
}

/// Build them, and give the directory that they are in.
pub(crate) fn build(workspace: &Workspace, steps: &mut Steps, guests: Guests) -> Result<PathBuf, Failed> {
    let mut plan = None;
    let mut target = None;
    steps.step("wasm target", REPEAT, || {
        plan = Some(Plan::read(workspace, guests)?);
        target = Some(WasmTarget::find(&mut say).map_err(|error| error.to_string())?);
        Ok(())
    })?;
    let (Some(plan), Some(target)) = (plan, target) else {
        return Err(Failed::before_any_step("the step `wasm target` passed and found nothing"));
    };
    steps.step("plugins", REPEAT, || plan.build_plugins(&target))?;
    if guests != Guests::None {
        steps.step("guests", REPEAT, || plan.build_guests(&target))?;
    }
    if guests == Guests::All {
        steps.step("leftovers", REPEAT, || plan.remove_others())?;
    }
    Ok(plan.directory())
}

/// What to build, and where.
struct Plan {
    manifest: PathBuf,
    wasm: PathBuf,
    plugins: Vec<Plugin>,
    /// Those that are no members, each with its manifest.
    apart: Vec<(PathBuf, Plugin)>,
    guests: Vec<String>,
}

/// A plugin: the package that it is, and the name that it goes by.
struct Plugin {
    package: String,
    name: String,
}

impl Plan {
    fn read(workspace: &Workspace, guests: Guests) -> Result<Self, String> {
        let description = workspace.describe()?;
        let plugins = description.members.iter().filter_map(plugin).collect();
        let all = description.members.iter().find(|member| member.name == GUESTS);
        let mut names = all.map(|member| member.examples.clone()).unwrap_or_default();
        match guests {
            Guests::All => {}
            Guests::One(wanted) => names.retain(|name| name == wanted),
            Guests::None => names.clear(),
        }
        if names.is_empty() && guests != Guests::None {
            return Err(format!("`{GUESTS}` has none of the guests that are wanted"));
        }
        let mut apart = Vec::new();
        for directory in APART {
            let manifest = workspace.root().join(directory).join("Cargo.toml");
            if let Some(name) = plugin_name(directory) {
                let package = attorn_build::package_name(&manifest).map_err(|error| error.to_string())?;
                apart.push((manifest, Plugin { package, name }));
            }
        }
        let wasm = description.target_directory.join("wasm");
        Ok(Self { manifest: workspace.root().join("Cargo.toml"), wasm, plugins, apart, guests: names })
    }

    fn directory(&self) -> PathBuf {
        self.wasm.join("components")
    }

    fn build_plugins(&self, target: &WasmTarget) -> Result<(), String> {
        let packages: Vec<&str> = self.plugins.iter().map(|plugin| plugin.package.as_str()).collect();
        let built = self.build(target, &self.manifest, Artifacts::Packages(&packages))?;
        // They come in the order that they were asked for.
        for (plugin, component) in self.plugins.iter().zip(built) {
            self.put(&plugin.name, &component)?;
        }
        for (manifest, plugin) in &self.apart {
            let built = self.build(target, manifest, Artifacts::Packages(&[&plugin.package]))?;
            built.iter().try_for_each(|component| self.put(&plugin.name, component))?;
        }
        Ok(())
    }

    fn build_guests(&self, target: &WasmTarget) -> Result<(), String> {
        let names: Vec<&str> = self.guests.iter().map(String::as_str).collect();
        let built = self.build(target, &self.manifest, Artifacts::Examples { package: GUESTS, names: &names })?;
        built.iter().try_for_each(|component| self.put(&component.name, component))
    }

    fn build(&self, target: &WasmTarget, manifest: &Path, artifacts: Artifacts<'_>) -> Result<Vec<Component>, String> {
        // Beside the directory of components, so that nothing but components is in that.
        let target_dir = self.wasm.join("build");
        let request = BuildRequest { manifest, target_dir: &target_dir, artifacts };
        attorn_build::build(target, &request, &mut say).map_err(|error| error.to_string())
    }

    fn put(&self, name: &str, component: &Component) -> Result<(), String> {
        let (directory, path) = (self.directory(), self.path(name));
        let failed = |error: std::io::Error| format!("cannot write `{}`: {error}", path.display());
        fs::create_dir_all(&directory).map_err(failed)?;
        // Whoever reads it meanwhile finds a whole component.
        let partial = path.with_extension("partial");
        fs::copy(&component.path, &partial).map_err(failed)?;
        fs::rename(&partial, &path).map_err(failed)
    }

    /// Remove the components of plugins and guests that are no more.
    fn remove_others(&self) -> Result<(), String> {
        let plugins = self.plugins.iter().chain(self.apart.iter().map(|(_, plugin)| plugin));
        let names = plugins.map(|plugin| &plugin.name).chain(&self.guests);
        let ours: BTreeSet<PathBuf> = names.map(|name| self.path(name)).collect();
        let directory = self.directory();
        let failed = |error: std::io::Error| format!("cannot tidy `{}`: {error}", directory.display());
        for entry in fs::read_dir(&directory).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if !ours.contains(&path) && path.is_file() {
                fs::remove_file(&path).map_err(failed)?;
            }
        }
        Ok(())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory().join(format!("{name}.wasm"))
    }
}

/// The plugin that a package is, if it is one.
fn plugin(member: &Member) -> Option<Plugin> {
    Some(Plugin { package: member.name.clone(), name: plugin_name(&member.directory)? })
}

/// The name of the plugin in this directory, if it is one: `plugins/<name>/rust`.
fn plugin_name(directory: &str) -> Option<String> {
    let mut parts = Path::new(directory).iter().map(|part| part.to_string_lossy().into_owned());
    match (parts.next()?.as_str(), parts.next(), parts.next()?.as_str()) {
        ("plugins", Some(name), "rust") => Some(name),
        _ => None,
    }
}

fn say(line: &str) {
    eprintln!("    {line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plugins_are_known_by_their_directory() {
        let name = |directory: &str| {
            let member =
                Member { name: "attorn-plugin-x".to_owned(), directory: directory.to_owned(), examples: Vec::new() };
            plugin(&member).map(|plugin| plugin.name)
        };
        assert_eq!(name("plugins/read-only/rust"), Some("read-only".to_owned()));
        for other in ["plugins", "plugins/read-only", "plugins/read-only/go", "sdk/policy/rust", ""] {
            assert_eq!(name(other), None, "{other}");
        }
    }
}
