//! The SDK for C, as it stood where this program was built.
//!
//! It is published nowhere yet, and a policy has to be built by whoever has this program and nothing else. So its sources
//! are in the program, and go into a new project; nothing is taken from a registry that somebody else could have taken the
//! name in.

use std::path::Path;

use super::{MANIFEST, SDK};
use crate::language::Language;
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
    let licence = ("LICENSE", include_str!("../../../../../LICENSE"));
    let all = FILES.iter().chain([&licence]);
    all.map(|(name, text)| (format!("{HOME}/{name}"), (*text).to_owned())).collect()
}

/// How it is named in the manifest whose sources are there.
pub(super) fn at(path: &Path) -> Result<String, TemplateError> {
    let no_sdk = || TemplateError::NoSdk { path: path.to_owned(), language: Language::C };
    let whole = path.canonicalize().map_err(|_| no_sdk())?;
    let is_ours = super::read(&whole.join(MANIFEST)).is_ok_and(|manifest| manifest.name == SDK);
    // It stands within a text of JSON, in a Makefile, and in a list of a compiler's options.
    let is_plain = |text: &&str| !text.contains(['"', '\\', '$', '#', ' ', '\n', '\t', ':', '\'', '`', ';', '&', '|']);
    let text = whole.to_str().filter(|_| is_ours).filter(is_plain);
    text.map(str::to_owned).ok_or_else(no_sdk)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use super::*;

    #[test]
    fn no_file_of_the_sdk_is_forgotten() {
        let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sdk/policy/c");
        let mut there = BTreeSet::new();
        for directory in ["include", "src", "testing", "testing/include", "wasm"] {
            for entry in fs::read_dir(sdk.join(directory)).unwrap().map(Result::unwrap) {
                if entry.file_type().unwrap().is_file() {
                    there.insert(format!("{directory}/{}", entry.file_name().into_string().unwrap()));
                }
            }
        }
        let listed = FILES.iter().map(|(name, _)| (*name).to_owned()).filter(|name| name.contains('/'));
        assert_eq!(listed.collect::<BTreeSet<_>>(), there);
    }

    #[test]
    fn the_sdk_is_told_by_its_name() {
        let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sdk/policy/c");
        assert!(at(&sdk).unwrap().starts_with('/'));
        for other in ["../../sdk/policy/rust", "../../plugins/spend-limit/c", "nowhere"] {
            assert!(at(&Path::new(env!("CARGO_MANIFEST_DIR")).join(other)).is_err(), "{other}");
        }
    }

    #[test]
    fn the_bindings_are_what_the_generator_makes_of_the_contract() {
        use wit_bindgen_core::wit_parser::Resolve;

        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut resolve = Resolve::default();
        let (package, _) = resolve.push_path(root.join("wit")).unwrap();
        let world = resolve.select_world(&[package], Some("policy-component")).unwrap();
        let mut files = wit_bindgen_core::Files::default();
        wit_bindgen_c::Opts::default().build().generate(&mut resolve, world, &mut files).unwrap();
        for (name, file, before) in [
            ("policy_component.h", "include/policy_component.h", ""),
            (
                "policy_component.c",
                "wasm/policy_component.c",
                "// Long because: a generator made it of the contract.\n",
            ),
        ] {
            let path = root.join("sdk/policy/c").join(file);
            let (_, made) = files.iter().find(|(made, _)| *made == name).unwrap();
            let made = [before.as_bytes(), made].concat();
            // Whoever changes the contract, or takes another generator, runs this with it set.
            if std::env::var_os("ATTORN_UPDATE").is_some() {
                fs::write(&path, &made).unwrap();
            }
            assert!(fs::read(&path).unwrap() == made, "`{file}` is old: `ATTORN_UPDATE=1` writes it anew");
        }
    }
}
