//! The SDK for Rust, as it stood where this program was built.
//!
//! The SDK is published nowhere yet, and a policy has to be built by whoever has this program and nothing else. So its
//! sources are in the program, and go into a new project; they fit the contract that this program runs. Nothing is taken
//! from a registry that somebody else could have taken the name in. What the SDK itself depends on is, as always.

use std::io;

use toml::{Table, Value};

/// Where it goes, within the project.
pub(super) const HOME: &str = "vendor/attorn";
/// Where the crate is, within that: as in its own repository, so that it finds the contract.
pub(super) const CRATE: &str = "sdk/policy/rust";

const WORKSPACE: &str = include_str!("../../../../../Cargo.toml");
const MANIFEST: &str = include_str!("../../../../../sdk/policy/rust/Cargo.toml");

/// File by file. A test sees that none of the crate is forgotten.
const FILES: &[(&str, &str)] = &[
    ("README.md", include_str!("../../../templates/rust/vendor.README.md.in")),
    ("LICENSE", include_str!("../../../../../LICENSE")),
    ("wit/policy.wit", include_str!("../../../../../wit/policy.wit")),
    ("sdk/policy/rust/README.md", include_str!("../../../../../sdk/policy/rust/README.md")),
    ("sdk/policy/rust/src/amount.rs", include_str!("../../../../../sdk/policy/rust/src/amount.rs")),
    ("sdk/policy/rust/src/bindings.rs", include_str!("../../../../../sdk/policy/rust/src/bindings.rs")),
    ("sdk/policy/rust/src/component.rs", include_str!("../../../../../sdk/policy/rust/src/component.rs")),
    ("sdk/policy/rust/src/context.rs", include_str!("../../../../../sdk/policy/rust/src/context.rs")),
    ("sdk/policy/rust/src/error.rs", include_str!("../../../../../sdk/policy/rust/src/error.rs")),
    ("sdk/policy/rust/src/json.rs", include_str!("../../../../../sdk/policy/rust/src/json.rs")),
    ("sdk/policy/rust/src/lib.rs", include_str!("../../../../../sdk/policy/rust/src/lib.rs")),
    ("sdk/policy/rust/src/log.rs", include_str!("../../../../../sdk/policy/rust/src/log.rs")),
    ("sdk/policy/rust/src/pattern.rs", include_str!("../../../../../sdk/policy/rust/src/pattern.rs")),
    ("sdk/policy/rust/src/policy.rs", include_str!("../../../../../sdk/policy/rust/src/policy.rs")),
    ("sdk/policy/rust/src/testing.rs", include_str!("../../../../../sdk/policy/rust/src/testing.rs")),
    (
        "sdk/policy/rust/src/testing/documents.rs",
        include_str!("../../../../../sdk/policy/rust/src/testing/documents.rs"),
    ),
    ("sdk/policy/rust/src/verdict.rs", include_str!("../../../../../sdk/policy/rust/src/verdict.rs")),
];

/// Its files, by their names within the project.
pub(super) fn files() -> io::Result<Vec<(String, String)>> {
    let within = |name: &str| format!("{HOME}/{name}");
    let mut files: Vec<_> = FILES.iter().map(|(name, text)| (within(name), (*text).to_owned())).collect();
    files.push((within(&format!("{CRATE}/Cargo.toml")), manifest().map_err(io::Error::other)?));
    Ok(files)
}

/// Its manifest, with what it takes from its workspace written out: there is none where it goes.
fn manifest() -> Result<String, String> {
    let parse = |text: &str| text.parse::<Table>().map_err(|error| error.to_string());
    let (mut manifest, root) = (parse(MANIFEST)?, parse(WORKSPACE)?);
    let workspace = root.get("workspace").ok_or("there is no workspace")?;
    for section in ["package", "dependencies"] {
        let members = manifest.get_mut(section).and_then(Value::as_table_mut).into_iter().flatten();
        for (name, value) in members.filter(|(_, value)| inherits(value)) {
            let found = workspace.get(section).and_then(|of| of.get(name));
            *value = found.ok_or_else(|| format!("the workspace has no `{name}`"))?.clone();
        }
    }
    // They are about how its own repository is kept.
    manifest.remove("lints");
    toml::to_string(&manifest).map_err(|error| error.to_string())
}

fn inherits(value: &Value) -> bool {
    value.get("workspace") == Some(&Value::Boolean(true))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn no_file_of_the_crate_is_forgotten() {
        fn within(directory: &Path, prefix: &str, found: &mut BTreeSet<String>) {
            for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
                let name = format!("{prefix}{}", entry.file_name().into_string().unwrap());
                if entry.file_type().unwrap().is_dir() {
                    within(&entry.path(), &format!("{name}/"), found);
                } else {
                    found.insert(name);
                }
            }
        }
        let mut there = BTreeSet::new();
        within(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sdk/policy/rust/src"), "", &mut there);
        let listed = FILES.iter().filter_map(|(name, _)| name.strip_prefix("sdk/policy/rust/src/")).map(str::to_owned);
        assert_eq!(listed.collect::<BTreeSet<_>>(), there);
    }

    #[test]
    fn its_manifest_stands_alone() {
        let text = manifest().unwrap();
        assert!(!text.contains("workspace") && !text.contains("lints"), "{text}");
        let manifest: Table = text.parse().unwrap();
        assert_eq!(manifest["package"]["version"].as_str(), Some(env!("CARGO_PKG_VERSION")));
        assert!(manifest["dependencies"]["wit-bindgen"]["version"].as_str().unwrap().starts_with('='), "{text}");
    }
}
