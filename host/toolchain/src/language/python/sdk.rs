//! The SDK for Python, as it stood where this program was built.
//!
//! It is published nowhere yet, and a policy has to be built by whoever has this program and nothing else. So its sources
//! are in the program, and go into a new project; nothing is asked for by a name that somebody else could have taken.

use std::path::Path;

use super::{MANIFEST, SDK};
use crate::language::{Language, brought};
use crate::template::TemplateError;

/// Where it goes, within the project.
pub(super) const HOME: &str = "third_party/attorn-policy";

macro_rules! sdk {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../../../../sdk/policy/python/", $name)))),*]
    };
}

/// File by file. A test sees that none is forgotten.
const FILES: &[(&str, &str)] = sdk![
    "README.md",
    "pyproject.toml",
    "src/attorn_policy/__init__.py",
    "src/attorn_policy/component.py",
    "src/attorn_policy/context.py",
    "src/attorn_policy/contract.py",
    "src/attorn_policy/errors.py",
    "src/attorn_policy/help.py",
    "src/attorn_policy/log.py",
    "src/attorn_policy/policy.py",
    "src/attorn_policy/py.typed",
    "src/attorn_policy/sandbox.py",
    "src/attorn_policy/shapes.py",
    "src/attorn_policy/testing.py",
    "src/attorn_policy/verdict.py",
];

/// Its files, by their names within the project.
pub(super) fn files() -> Vec<(String, String)> {
    brought::files(HOME, FILES)
}

/// How it is named in the manifest whose sources are there.
pub(super) fn at(path: &Path) -> Result<String, TemplateError> {
    let is_ours = |whole: &Path| super::read(&whole.join(MANIFEST)).is_ok_and(|manifest| manifest.project.name == SDK);
    // It stands within a text of TOML, and in a command.
    let is_plain = |text: &str| !text.contains(['"', '\\', '$', ' ', '\n', '\t', ':', '\'', '`', ';', '&', '|']);
    brought::at(path, Language::Python, is_ours, is_plain)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::language::brought::tests::{root, there};

    #[test]
    fn no_file_of_the_sdk_is_forgotten() {
        let is_sdk = |name: &String| name.starts_with("src/") && !name.contains("__pycache__");
        let listed = FILES.iter().map(|(name, _)| (*name).to_owned());
        assert_eq!(
            listed.filter(is_sdk).collect::<BTreeSet<_>>(),
            there("sdk/policy/python").into_iter().filter(is_sdk).collect()
        );
    }

    #[test]
    fn the_sdk_is_told_by_its_name_and_has_our_version() {
        let sdk = root().join("sdk/policy/python");
        assert!(at(&sdk).unwrap().starts_with('/'));
        let version = super::super::read(&sdk.join(MANIFEST)).unwrap().project.version;
        assert_eq!(version.as_deref(), Some(env!("CARGO_PKG_VERSION")));
        for other in ["sdk/agent/python", "plugins/spend-limit/python", "nowhere"] {
            assert!(at(&root().join(other)).is_err(), "{other}");
        }
    }
}
