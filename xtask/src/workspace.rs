//! Where the workspace is, which packages it has, and where it is built.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::run::Invocation;

/// Packages that are a workspace of their own, by their directories; the last is its root. What they depend on turns
/// features on in whatever is built together with it, and the server is to be what its own dependencies make it.
pub(crate) const APART: [&str; 3] = ["plugins/cedar/rust", "plugins/rego/rust", "tests/differential"];

/// The workspace that this program was started in.
pub(crate) struct Workspace {
    root: PathBuf,
}

/// What cargo says of it.
#[derive(Debug)]
pub(crate) struct Description {
    /// All its packages.
    pub(crate) members: Vec<Member>,
    /// Where cargo builds.
    pub(crate) target_directory: PathBuf,
}

/// One package of the workspace.
#[derive(Debug)]
pub(crate) struct Member {
    /// Its name.
    pub(crate) name: String,
    /// Its directory, relative to the workspace's root, with `/` between its parts.
    pub(crate) directory: String,
    /// Its examples.
    pub(crate) examples: Vec<String>,
}

impl Workspace {
    /// The workspace of the working directory. The path where this program was compiled is not asked:
    /// a clone may have been moved, or a target directory shared.
    pub(crate) fn find() -> Result<Self, String> {
        let here = std::env::current_dir().map_err(|error| format!("no working directory: {error}"))?;
        let is_root = |at: &&Path| at.join("xtask/Cargo.toml").is_file() && at.join("Cargo.toml").is_file();
        match here.ancestors().find(is_root) {
            Some(root) => Ok(Self { root: root.to_owned() }),
            None => Err(format!("`{}` is not inside the Attorn repository", here.display())),
        }
    }

    /// Its root directory.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// A cargo command in it.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Invocation {
        Invocation::cargo(&self.root, arguments)
    }

    /// A cargo command for all packages of [`APART`].
    pub(crate) fn cargo_apart(&self, arguments: &[&str]) -> Invocation {
        let manifest = format!("{}/Cargo.toml", APART[APART.len() - 1]);
        let (command, rest) = arguments.split_at(1.min(arguments.len()));
        let apart: &[&str] = match command {
            // It compiles nothing.
            ["fmt"] => &["--manifest-path", &manifest, "--all"],
            _ => &["--locked", "--manifest-path", &manifest, "--workspace", "--target-dir", "target/apart"],
        };
        self.cargo(&[command, apart, rest].concat())
    }

    /// A program of the workspace that was built before, in the directory of this profile.
    pub(crate) fn built(&self, profile: &str, program: &str) -> Result<Invocation, String> {
        Ok(Invocation::program(&self.root, self.describe()?.target_directory.join(profile).join(program)))
    }

    /// What cargo says of it.
    pub(crate) fn describe(&self) -> Result<Description, String> {
        let metadata = self.cargo(&["metadata", "--no-deps", "--offline", "--format-version", "1"]).output()?;
        let metadata: Value =
            serde_json::from_slice(&metadata).map_err(|error| format!("cargo metadata is no JSON: {error}"))?;
        let packages = metadata["packages"].as_array().ok_or("cargo metadata names no packages")?;
        let target = metadata["target_directory"].as_str().ok_or("cargo metadata names no target directory")?;
        let members = packages.iter().map(|package| self.member(package)).collect::<Result<_, String>>()?;
        Ok(Description { members, target_directory: target.into() })
    }

    fn member(&self, package: &Value) -> Result<Member, String> {
        let odd = || format!("cargo metadata describes a package in a way that is not understood: {package}");
        let name = package["name"].as_str().ok_or_else(odd)?.to_owned();
        let manifest = Path::new(package["manifest_path"].as_str().ok_or_else(odd)?);
        let directory = manifest.parent().and_then(|at| at.strip_prefix(&self.root).ok()).ok_or_else(odd)?;
        let parts: Vec<_> = directory.iter().map(|part| part.to_string_lossy()).collect();
        let examples = package["targets"].as_array().ok_or_else(odd)?.iter();
        let examples = examples.filter(|target| target["kind"] == serde_json::json!(["example"]));
        let examples = examples.filter_map(|target| target["name"].as_str().map(str::to_owned)).collect();
        Ok(Member { name, directory: parts.join("/"), examples })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_for_what_is_apart_name_it() {
        let workspace = Workspace { root: ".".into() };
        let shown = |arguments: &[&str]| workspace.cargo_apart(arguments).to_string();
        let manifest = "--manifest-path tests/differential/Cargo.toml";
        assert_eq!(shown(&["fmt", "--check"]), format!("cargo fmt {manifest} --all --check"));
        let test = format!("cargo test --locked {manifest} --workspace --target-dir target/apart --lib");
        assert_eq!(shown(&["test", "--lib"]), test);
    }

    #[test]
    fn what_is_apart_is_excluded() {
        let manifest = include_str!("../../Cargo.toml");
        let line = manifest.lines().find(|line| line.starts_with("exclude = ")).unwrap();
        let excluded: Vec<&str> = line.split('"').skip(1).step_by(2).collect();
        assert_eq!(excluded, APART);
        let apart = include_str!("../../tests/differential/Cargo.toml");
        let line = apart.lines().find(|line| line.starts_with("members = ")).unwrap();
        let members = line.split('"').skip(1).step_by(2).map(|member| member.trim_start_matches("../"));
        assert_eq!(members.collect::<Vec<_>>(), APART[..APART.len() - 1]);
    }
}
