//! The SDK for TypeScript, as it stood where this program was built.
//!
//! It is published nowhere yet, and a policy has to be built by whoever has this program and nothing else. So its sources
//! are in the program, and go into a new project; nothing is taken from a registry that somebody else could have taken the
//! name in.

use std::fs;
use std::path::Path;

use super::SDK;
use crate::language::{Language, brought};
use crate::template::TemplateError;

/// Where it goes, within the project.
pub(super) const HOME: &str = "vendor/attorn-policy";

macro_rules! sdk {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../../../../sdk/policy/typescript/", $name)))),*]
    };
}

/// File by file. A test sees that none is forgotten.
const FILES: &[(&str, &str)] = sdk![
    "README.md",
    "package.json",
    "src/component.ts",
    "src/context.ts",
    "src/contract.ts",
    "src/error.ts",
    "src/help.ts",
    "src/index.ts",
    "src/log.ts",
    "src/policy.ts",
    "src/sandbox.ts",
    "src/shape.ts",
    "src/testing.ts",
    "src/verdict.ts",
];

/// Its files, by their names within the project.
pub(super) fn files() -> Vec<(String, String)> {
    brought::files(HOME, FILES)
}

/// How it is named in the manifest whose sources are there.
pub(super) fn at(path: &Path) -> Result<String, TemplateError> {
    let is_ours = |whole: &Path| {
        let manifest = fs::read_to_string(whole.join("package.json")).ok();
        manifest.and_then(|manifest| super::Package::of(&manifest)).is_some_and(|package| package.name == SDK)
    };
    // It stands within a text of JSON, and in the address of a file.
    let text = brought::at(path, Language::TypeScript, is_ours, |text| !text.contains(['"', '\\', '%', '#', '?']))?;
    Ok(format!("file:{text}"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_file_of_the_sdk_is_forgotten() {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sdk/policy/typescript/src");
        let there = fs::read_dir(sources).unwrap().map(|entry| {
            let entry = entry.unwrap();
            assert!(entry.file_type().unwrap().is_file(), "a directory of its own: list its files, too");
            format!("src/{}", entry.file_name().into_string().unwrap())
        });
        let listed = FILES.iter().map(|(name, _)| (*name).to_owned()).filter(|name| name.starts_with("src/"));
        assert_eq!(listed.collect::<BTreeSet<_>>(), there.collect());
    }

    #[test]
    fn the_sdk_is_told_by_its_name() {
        let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sdk/policy/typescript");
        assert!(at(&sdk).unwrap().starts_with("file:/"));
        for other in ["../../sdk/policy/rust", "../../sdk/agent/typescript", "nowhere"] {
            assert!(at(&Path::new(env!("CARGO_MANIFEST_DIR")).join(other)).is_err(), "{other}");
        }
    }
}
