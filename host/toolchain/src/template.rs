//! New policies: a small project that builds, with settings, cases and a README.
//!
//! A project appears whole or not at all. What is in it is data of this crate, also the SDK that it depends on; nothing is
//! downloaded.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use attorn_core::PolicyId;

pub use crate::language::Language;

/// The most characters of a name.
const NAME_CHARS_MAX: usize = 48;

/// What a new project is made of.
pub(crate) struct Template {
    /// File by file, with `{{name}}` and `{{sdk}}` for what differs.
    pub(crate) files: &'static [(&'static str, &'static str)],
    /// What stands for `{{sdk}}`.
    pub(crate) sdk: String,
    /// Further files, as they are.
    pub(crate) with: Vec<(String, String)>,
}

/// What to make.
#[derive(Debug, Clone, Copy)]
pub struct NewPolicy<'a> {
    /// The policy's name, and the directory's.
    pub name: &'a str,
    /// The directory that the new one is made in.
    pub within: &'a Path,
    /// What it is written in.
    pub language: Language,
    /// The sources of the SDK, for who has changed them; otherwise those that this program has go into the project.
    pub sdk: Option<&'a Path>,
}

/// Why nothing was made.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The name cannot be a policy's and a directory's at once.
    #[error("`{}` is no name for a policy: {problem}", name.escape_debug())]
    Name {
        /// The name.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Something is there already, and is left as it is.
    #[error("there is something at `{}` already", path.display())]
    Exists {
        /// Where.
        path: PathBuf,
    },
    /// There is no SDK where one was said to be.
    #[error("`{}` is not the SDK of this language", path.display())]
    NoSdk {
        /// Where.
        path: PathBuf,
        /// Which.
        language: Language,
    },
    /// A file could not be written.
    #[error("cannot make `{}`", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// Make a project, and give its directory.
///
/// # Errors
///
/// When the name is none, something is there already, or a file cannot be written. Nothing is left then.
pub fn create(new: &NewPolicy<'_>) -> Result<PathBuf, TemplateError> {
    check_name(new.name)?;
    let home = new.within.join(new.name);
    if home.symlink_metadata().is_ok() {
        return Err(TemplateError::Exists { path: home });
    }
    let Template { files, sdk, with } = new.language.template(new.sdk)?;
    // A directory beside, which goes away with all that is in it whatever happens.
    let beside = tempfile::Builder::new().prefix(".attorn-new-").tempdir_in(new.within).map_err(failed(new.within))?;
    let made = beside.path().join(new.name);
    let own = files.iter().map(|(name, text)| (*name, text.replace("{{name}}", new.name).replace("{{sdk}}", &sdk)));
    let with = with.iter().map(|(name, text)| (name.as_str(), text.clone()));
    for (name, text) in own.chain(with) {
        let path = made.join(name);
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).map_err(failed(directory))?;
        }
        fs::write(&path, text).map_err(failed(&path))?;
    }
    fs::rename(&made, &home).map_err(failed(&home))?;
    Ok(home)
}

/// A policy's id that begins with a letter and is one word of a path, a crate's name and a URL alike.
fn check_name(name: &str) -> Result<(), TemplateError> {
    let refused = |problem: &str| Err(TemplateError::Name { name: name.to_owned(), problem: problem.to_owned() });
    if name.contains(['/', '\\']) || name == "." || name == ".." {
        return refused("it is a path");
    }
    if name.len() > NAME_CHARS_MAX {
        return refused("it is too long");
    }
    let fits = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if !fits || !name.starts_with(|first: char| first.is_ascii_lowercase()) || name.ends_with('-') {
        return refused("it has to begin with a small letter, and go on with small letters, digits and single `-`");
    }
    match name.parse::<PolicyId>() {
        Ok(_) => Ok(()),
        Err(error) => refused(&error.to_string()),
    }
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> TemplateError {
    let path = path.to_owned();
    |source| TemplateError::File { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn make(name: &str, within: &Path) -> Result<PathBuf, String> {
        made(name, within, Language::Rust)
    }

    fn made(name: &str, within: &Path, language: Language) -> Result<PathBuf, String> {
        let new = NewPolicy { name, within, language, sdk: None };
        create(&new).map_err(|error| error.to_string())
    }

    #[test]
    fn names_that_lead_elsewhere_make_nothing() {
        let within = tempfile::tempdir().unwrap();
        for (name, problem) in [
            ("../x", "it is a path"),
            ("/tmp/x", "it is a path"),
            ("a\\b", "it is a path"),
            ("..", "it is a path"),
            (".", "it is a path"),
            ("", "it has to begin"),
            ("-a", "it has to begin"),
            ("a-", "it has to begin"),
            ("A", "it has to begin"),
            ("a\nb", "`a\\nb` is no name for a policy"),
            ("a\"", "it has to begin"),
            (&"a".repeat(49), "it is too long"),
        ] {
            let error = make(name, within.path()).unwrap_err();
            assert!(error.contains(problem), "{error}");
        }
        assert_eq!(fs::read_dir(within.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_is_there_is_left() {
        let within = tempfile::tempdir().unwrap();
        fs::write(within.path().join("mine"), "mine").unwrap();
        fs::create_dir(within.path().join("empty")).unwrap();
        for name in ["mine", "empty"] {
            assert!(make(name, within.path()).unwrap_err().ends_with("already"));
        }
        assert_eq!(fs::read_to_string(within.path().join("mine")).unwrap(), "mine");
        assert_eq!(fs::read_dir(within.path()).unwrap().count(), 2);
        assert!(make("a", &within.path().join("nowhere")).unwrap_err().starts_with("cannot make"));
    }

    #[test]
    fn a_project_is_whole_and_named() {
        for language in Language::ALL {
            let within = tempfile::tempdir().unwrap();
            let home = made("listed-actions", within.path(), *language).unwrap();
            for (name, _) in language.template(None).unwrap().files {
                let text = fs::read_to_string(home.join(name)).unwrap();
                assert!(!text.contains("{{"), "{name}: {text}");
            }
            let manifest = fs::read_to_string(home.join(language.manifest())).unwrap();
            assert!(manifest.contains("listed-actions-policy") && manifest.contains("attorn-policy"), "{manifest}");
            let sdk = match language {
                Language::Rust => "vendor/attorn/sdk/policy/rust",
                Language::Go | Language::Python => "third_party/attorn-policy",
                Language::TypeScript | Language::C => "vendor/attorn-policy",
            };
            assert!(manifest.contains(sdk) && home.join(sdk).join(language.manifest()).is_file(), "{manifest}");
            assert_eq!(fs::read_dir(within.path()).unwrap().count(), 1);
        }
    }

    #[test]
    fn another_directory_is_no_sdk() {
        for language in Language::ALL {
            let within = tempfile::tempdir().unwrap();
            let new = NewPolicy { name: "a", within: within.path(), language: *language, sdk: Some(within.path()) };
            assert!(matches!(create(&new), Err(TemplateError::NoSdk { .. })));
            assert_eq!(fs::read_dir(within.path()).unwrap().count(), 0);
        }
    }
}
