//! Compiling crates to components.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::encode::encode;
use crate::error::BuildError;
use crate::process::run;
use crate::target::{StandardLibrary, TARGET, WasmTarget};
use crate::{tools, whole};

const CARGO_MAX: Duration = Duration::from_hours(1);
const PACKAGE_NAME_MAX: Duration = Duration::from_mins(2);

/// Said to cargo in full, so that a crate anywhere is compiled as those of this repository are.
/// Overflow is checked: a policy that cannot count has to fail, and so to deny.
const PROFILE: [&str; 9] = [
    "profile.wasm.inherits='release'",
    "profile.wasm.opt-level=3",
    "profile.wasm.lto='fat'",
    "profile.wasm.codegen-units=1",
    "profile.wasm.panic='abort'",
    "profile.wasm.strip='symbols'",
    "profile.wasm.debug=false",
    "profile.wasm.incremental=false",
    "profile.wasm.overflow-checks=true",
];

/// A quarter of what the compiler takes by itself; every decision pays for the memory it has.
const STACK_BYTES: u32 = 256 << 10;

/// What to build, and where.
#[derive(Debug, Clone, Copy)]
pub struct BuildRequest<'a> {
    /// The `Cargo.toml` of the crate, or of the workspace that the packages are of.
    pub manifest: &'a Path,
    /// A target directory of its own, such as `target/wasm`: cargo would else compile everything anew
    /// whenever the other target's turn comes.
    pub target_dir: &'a Path,
    /// What to build of it. All in one go, because the standard library is built but once.
    pub artifacts: Artifacts<'a>,
}

/// What to make components of.
#[derive(Debug, Clone, Copy)]
pub enum Artifacts<'a> {
    /// The libraries of these packages, each with the crate type `cdylib` and named like its package.
    Packages(&'a [&'a str]),
    /// These examples of one package, each with the crate type `cdylib`.
    Examples {
        /// The package.
        package: &'a str,
        /// The examples.
        names: &'a [&'a str],
    },
}

/// A component that was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// The package or the example.
    pub name: String,
    /// Its file: `<target_dir>/components/<package>.wasm`, or
    /// `<target_dir>/components/<package>/<example>.wasm`.
    pub path: PathBuf,
}

/// Compile, make components, check what they import, and write them. `progress` gets cargo's messages,
/// line by line.
///
/// # Errors
///
/// The first of the artifacts that cannot be compiled or is no policy.
pub fn build(
    target: &WasmTarget,
    request: &BuildRequest<'_>,
    progress: &mut dyn FnMut(&str),
) -> Result<Vec<Component>, BuildError> {
    let units = request.units();
    if units.is_empty() {
        // Without a name, cargo would build whatever it takes for the default.
        return Ok(Vec::new());
    }
    for unit in &units {
        // What an earlier build left must not be taken for what this one made.
        match fs::remove_file(&unit.module) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(file(&unit.module)(error)),
            _ => {}
        }
    }
    run(&mut request.cargo(target), CARGO_MAX, progress).map_err(|failed| BuildError::Cargo {
        what: units.iter().map(|unit| unit.name.clone()).collect(),
        problem: failed.in_full(),
    })?;
    units.into_iter().map(Unit::into_component).collect()
}

/// The name of the package whose `Cargo.toml` this is.
///
/// # Errors
///
/// [`BuildError::Cargo`] if cargo does not know it, such as when it is a workspace without a package.
pub fn package_name(manifest: &Path) -> Result<String, BuildError> {
    let failed = |problem| BuildError::Cargo { what: vec![manifest.display().to_string()], problem };
    let mut command = Command::new(tools::cargo());
    command.args(["pkgid", "--manifest-path"]).arg(manifest);
    let id = run(&mut command, PACKAGE_NAME_MAX, &mut |_| {}).map_err(|error| failed(error.in_full()))?;
    name_in_package_id(id.trim()).map(ToOwned::to_owned).ok_or_else(|| failed(format!("`{id}` names no package")))
}

/// `path+file:///x/name#1.2.3`, or `path+file:///x/y#name@1.2.3` where the directory is named otherwise.
fn name_in_package_id(id: &str) -> Option<&str> {
    let (url, fragment) = id.rsplit_once('#')?;
    let name = match fragment.split_once('@') {
        Some((name, _)) => name,
        None => url.rsplit_once('/')?.1,
    };
    Some(name).filter(|name| !name.is_empty())
}

/// One thing that is built: where cargo puts the module, and where the component goes.
#[derive(Debug, PartialEq, Eq)]
struct Unit {
    name: String,
    module: PathBuf,
    component: PathBuf,
}

impl Unit {
    fn into_component(self) -> Result<Component, BuildError> {
        let module = match fs::read(&self.module) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(BuildError::NoArtifact { path: self.module });
            }
            read => read.map_err(file(&self.module))?,
        };
        let component = encode(&self.name, &module)?;
        if let Some(directory) = self.component.parent() {
            fs::create_dir_all(directory).map_err(file(directory))?;
        }
        whole::write(&self.component, &component).map_err(file(&self.component))?;
        Ok(Component { name: self.name, path: self.component })
    }
}

impl BuildRequest<'_> {
    fn units(&self) -> Vec<Unit> {
        let modules = self.target_dir.join(TARGET).join("wasm");
        let components = self.target_dir.join("components");
        let unit = |name: &str, modules: &Path, file: &str, components: &Path| Unit {
            name: name.to_owned(),
            module: modules.join(format!("{file}.wasm")),
            component: components.join(format!("{name}.wasm")),
        };
        match self.artifacts {
            Artifacts::Packages(names) => {
                names.iter().map(|name| unit(name, &modules, &name.replace('-', "_"), &components)).collect()
            }
            Artifacts::Examples { package, names } => {
                let (modules, components) = (modules.join("examples"), components.join(package));
                names.iter().map(|name| unit(name, &modules, name, &components)).collect()
            }
        }
    }

    fn cargo(&self, target: &WasmTarget) -> Command {
        let mut cargo = Command::new(tools::cargo());
        cargo.args(["build", "--profile", "wasm", "--target", TARGET]);
        cargo.arg("--manifest-path").arg(self.manifest).arg("--target-dir").arg(self.target_dir);
        for setting in PROFILE {
            cargo.args(["--config", setting]);
        }
        match self.artifacts {
            Artifacts::Packages(names) => {
                cargo.arg("--lib");
                for name in names {
                    cargo.args(["--package", name]);
                }
            }
            Artifacts::Examples { package, names } => {
                cargo.args(["--package", package]);
                for name in names {
                    cargo.args(["--example", name]);
                }
            }
        }
        // The flags of whoever runs this are for their own machine, and would change the digest.
        cargo.env_remove("RUSTFLAGS").env_remove("RUSTC_WORKSPACE_WRAPPER");
        cargo.env("CARGO_ENCODED_RUSTFLAGS", rustflags());
        // None of this reaches the process that asked for the build.
        if let StandardLibrary::FromSource { rustc, linker } = &target.0 {
            cargo.arg("-Zbuild-std=std,panic_abort").env("RUSTC_BOOTSTRAP", "1").env("RUSTC", rustc);
            cargo.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
        }
        cargo
    }
}

/// In cargo's encoding: separated by the character U+001F.
fn rustflags() -> String {
    let stack = format!("-Clink-arg=-zstack-size={STACK_BYTES}");
    // Messages of panics hold paths, and a component is for others than whoever built it.
    let remap = tools::cargo_home().map(|home| format!("--remap-path-prefix={}=/cargo", home.display()));
    [Some(stack), remap].into_iter().flatten().collect::<Vec<_>>().join("\u{1f}")
}

fn file(path: &Path) -> impl FnOnce(io::Error) -> BuildError {
    let path = path.to_owned();
    |source| BuildError::File { path, source }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    fn request(artifacts: Artifacts<'_>) -> BuildRequest<'_> {
        BuildRequest { manifest: Path::new("Cargo.toml"), target_dir: Path::new("t"), artifacts }
    }

    #[test]
    fn names_are_found_in_package_ids() {
        for (id, name) in [
            ("path+file:///x/my-policy#0.1.0", Some("my-policy")),
            ("path+file:///x/rust#my-policy@0.1.0", Some("my-policy")),
            ("path+file:///x#y/my-policy#0.1.0", Some("my-policy")),
            ("registry+https://github.com/rust-lang/crates.io-index#serde@1.0.0", Some("serde")),
            ("my-policy", None),
            ("path+file:///x/#0.1.0", None),
            ("", None),
        ] {
            assert_eq!(name_in_package_id(id), name, "{id}");
        }
    }

    #[test]
    fn packages_and_examples_have_their_places() {
        let places = |artifacts| {
            let unit = request(artifacts).units().remove(0);
            (unit.module.display().to_string(), unit.component.display().to_string())
        };
        assert_eq!(
            places(Artifacts::Packages(&["my-policy"])),
            ("t/wasm32-unknown-unknown/wasm/my_policy.wasm".into(), "t/components/my-policy.wasm".into())
        );
        assert_eq!(
            places(Artifacts::Examples { package: "guests", names: &["trap"] }),
            ("t/wasm32-unknown-unknown/wasm/examples/trap.wasm".into(), "t/components/guests/trap.wasm".into())
        );
    }

    #[test]
    fn the_compiler_is_changed_for_the_child_alone() {
        let installed = request(Artifacts::Packages(&["a"])).cargo(&WasmTarget(StandardLibrary::Installed));
        assert!(installed.get_envs().all(|(name, _)| name != "RUSTC" && name != "RUSTC_BOOTSTRAP"));

        let target = WasmTarget(StandardLibrary::FromSource { rustc: "/r".into(), linker: "/l".into() });
        let cargo = request(Artifacts::Packages(&["a"])).cargo(&target);
        let set = |name: &str| cargo.get_envs().find(|(set, _)| *set == name).and_then(|(_, value)| value);
        assert_eq!(set("RUSTC"), Some(OsStr::new("/r")));
        assert_eq!(set("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER"), Some(OsStr::new("/l")));
        assert_eq!(set("RUSTFLAGS"), None);
        assert!(cargo.get_args().any(|argument| argument == "-Zbuild-std=std,panic_abort"));
    }

    #[test]
    fn what_an_earlier_build_left_is_not_taken() {
        let root = tempfile::TempDir::new().unwrap();
        let manifest = root.path().join("Cargo.toml");
        let request =
            BuildRequest { manifest: &manifest, target_dir: root.path(), artifacts: Artifacts::Packages(&["a"]) };
        let stale = root.path().join("wasm32-unknown-unknown/wasm/a.wasm");
        fs::create_dir_all(stale.parent().unwrap()).unwrap();
        fs::write(&stale, b"stale").unwrap();
        // There is no such manifest, so cargo fails at once.
        let error = build(&WasmTarget(StandardLibrary::Installed), &request, &mut |_| {}).unwrap_err().to_string();
        assert!(error.starts_with("cargo could not build `a`: `"), "{error}");
        assert!(error.contains("error: manifest path"), "{error}");
        assert!(!stale.exists());
    }
}
