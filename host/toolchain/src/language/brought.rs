//! The SDK that a project is made with: the one whose sources this program has, or one that is named.

use std::path::Path;

use super::Language;
use crate::template::TemplateError;

/// The files of an SDK and its licence, by their names within a project where it goes to `home`.
pub(super) fn files(home: &str, files: &[(&str, &str)]) -> Vec<(String, String)> {
    let licence = ("LICENSE", include_str!("../../../../LICENSE"));
    let all = files.iter().chain([&licence]);
    all.map(|(name, text)| (format!("{home}/{name}"), (*text).to_owned())).collect()
}

/// The whole path of a directory that is the SDK, where its name can stand in the manifest.
pub(super) fn at(
    path: &Path,
    language: Language,
    is_ours: impl FnOnce(&Path) -> bool,
    is_plain: impl FnOnce(&str) -> bool,
) -> Result<String, TemplateError> {
    let no_sdk = || TemplateError::NoSdk { path: path.to_owned(), language };
    let whole = path.canonicalize().map_err(|_| no_sdk())?;
    let text = whole.to_str().filter(|text| is_ours(&whole) && is_plain(text));
    text.map(str::to_owned).ok_or_else(no_sdk)
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::{Path, PathBuf};

    use wit_bindgen_core::wit_parser::{Resolve, WorldId};
    use wit_bindgen_core::{Files, WorldGenerator};

    /// The repository.
    pub(in crate::language) fn root() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
    }

    /// All files below a directory of the repository, by their names there.
    pub(in crate::language) fn there(directory: &str) -> BTreeSet<String> {
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
        let mut found = BTreeSet::new();
        within(&root().join(directory), "", &mut found);
        found
    }

    /// What a generator makes of the contract, by the names that it gives.
    pub(in crate::language) fn generated(mut generator: Box<dyn WorldGenerator>) -> Files {
        let mut resolve = Resolve::default();
        let (package, _) = resolve.push_path(root().join("wit")).unwrap();
        let world: WorldId = resolve.select_world(&[package], Some("policy-component")).unwrap();
        let mut files = Files::default();
        generator.generate(&mut resolve, world, &mut files).unwrap();
        files
    }

    /// One file of it.
    pub(in crate::language) fn one(files: &Files, name: &str) -> String {
        let (_, made) = files.iter().find(|(made, _)| *made == name).unwrap();
        String::from_utf8(made.to_vec()).unwrap()
    }

    /// That a file of the SDK is what the generator makes. Whoever changes the contract, or takes another generator, runs
    /// this with `ATTORN_UPDATE` set.
    pub(in crate::language) fn is_kept(path: &str, made: &str) {
        let whole = root().join(path);
        if std::env::var_os("ATTORN_UPDATE").is_some() {
            fs::write(&whole, made).unwrap();
        }
        assert!(fs::read_to_string(&whole).unwrap() == made, "`{path}` is old: `ATTORN_UPDATE=1` writes it anew");
    }
}
