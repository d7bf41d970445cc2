//! The SDK for C, as it stood where this program was built.
//!
//! It is published nowhere yet, and a policy has to be built by whoever has this program and nothing else. So its sources
//! are in the program, and go into a new project; nothing is taken from a registry that somebody else could have taken the
//! name in.

use std::path::Path;

use super::{MANIFEST, SDK};
use crate::language::{Language, brought};
use crate::template::TemplateError;

/// Where it goes, within the project.
pub(super) const HOME: &str = "vendor/attorn-policy";

macro_rules! sdk {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../../../../sdk/policy/c/", $name)))),*]
    };
}

/// File by file. A test sees that none is forgotten.
const FILES: &[(&str, &str)] = sdk![
    "README.md",
    "clib.json",
    "include/attorn_policy.h",
    "include/policy_component.h",
    "src/context.c",
    "src/fields.c",
    "src/help.c",
    "src/internal.h",
    "src/json.c",
    "src/policy.c",
    "src/schema.c",
    "src/text.c",
    "src/verdict.c",
    "testing/include/attorn_testing.h",
    "testing/testing.c",
    "wasm/component.c",
    "wasm/policy_component.c",
    "wasm/sandbox.h",
];

/// Its files, by their names within the project.
pub(super) fn files() -> Vec<(String, String)> {
    brought::files(HOME, FILES)
}

/// How it is named in the manifest whose sources are there.
pub(super) fn at(path: &Path) -> Result<String, TemplateError> {
    let is_ours = |whole: &Path| super::read(&whole.join(MANIFEST)).is_ok_and(|manifest| manifest.name == SDK);
    // It stands within a text of JSON, in a Makefile, and in a list of a compiler's options.
    let is_plain = |text: &str| !text.contains(['"', '\\', '$', '#', ' ', '\n', '\t', ':', '\'', '`', ';', '&', '|']);
    brought::at(path, Language::C, is_ours, is_plain)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::language::brought::tests::{generated, is_kept, one, root, there};

    #[test]
    fn no_file_of_the_sdk_is_forgotten() {
        let is_sdk = |name: &String| name.contains('/') && !name.starts_with("test/");
        let listed = FILES.iter().map(|(name, _)| (*name).to_owned());
        assert_eq!(
            listed.filter(is_sdk).collect::<BTreeSet<_>>(),
            there("sdk/policy/c").into_iter().filter(is_sdk).collect()
        );
    }

    #[test]
    fn the_sdk_is_told_by_its_name() {
        assert!(at(&root().join("sdk/policy/c")).unwrap().starts_with('/'));
        for other in ["sdk/policy/rust", "plugins/spend-limit/c", "nowhere"] {
            assert!(at(&root().join(other)).is_err(), "{other}");
        }
    }

    #[test]
    fn the_bindings_are_what_the_generator_makes_of_the_contract() {
        let files = generated(wit_bindgen_c::Opts::default().build());
        is_kept("sdk/policy/c/include/policy_component.h", &one(&files, "policy_component.h"));
        let made = one(&files, "policy_component.c");
        let long = "// Long because: a generator made it of the contract.\n";
        is_kept("sdk/policy/c/wasm/policy_component.c", &format!("{long}{made}"));
    }
}
