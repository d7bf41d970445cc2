//! New policies: a small project that builds, with settings, cases and a README.
//!
//! A project appears whole or not at all. What is in it is data of this crate, also the SDK that it depends on; a project
//! in Cedar or Rego gets its adapter from beside this program, or from where it is named. Nothing is downloaded.

mod links;

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
    /// The sources of the SDK, for who has changed them; otherwise those that this program has go into the project. Of a
    /// policy that is a text, the adapter, or the directory where it was built; otherwise the one beside this program.
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
    /// What was to be the component that reads such texts is none.
    #[error("`{}` is not the SDK of this language: {problem}", path.display())]
    BadAdapter {
        /// Where.
        path: PathBuf,
        /// Of which language.
        language: Language,
        /// What is wrong with it.
        problem: String,
    },
    /// No component that reads such texts lies beside this program.
    #[error("there is no adapter for `{}` beside this program", language.as_str())]
    NoAdapter {
        /// Of which language.
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
    let adapter = new.language.adapter(new.sdk)?;
    // A directory beside, which goes away with all that is in it whatever happens.
    let beside = tempfile::Builder::new().prefix(".attorn-new-").tempdir_in(new.within).map_err(failed(new.within))?;
    let made = beside.path().join(new.name);
    let own = files.iter().map(|(name, text)| (*name, text.replace("{{name}}", new.name).replace("{{sdk}}", &sdk)));
    let own = own.map(|(name, text)| (name, text.into_bytes()));
    let names: Vec<&str> =
        files.iter().map(|(name, _)| *name).chain(with.iter().map(|(name, _)| name.as_str())).collect();
    let place_in_sources = |name: &str| in_sources(name, &sdk, new.language);
    let is_there = |path: &str| {
        names.iter().any(|name| name.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
    };
    let with = with.iter().map(|(name, text)| {
        let is_document = Path::new(name).extension().is_some_and(|extension| extension == "md");
        let text =
            if is_document { links::within(text, name, &place_in_sources(name), is_there) } else { text.clone() };
        (name.as_str(), text.into_bytes())
    });
    let adapter = adapter.iter().map(|(name, bytes)| (name.as_str(), bytes.clone()));
    for (name, bytes) in own.chain(with).chain(adapter) {
        let path = made.join(name);
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).map_err(failed(directory))?;
        }
        fs::write(&path, bytes).map_err(failed(&path))?;
    }
    fs::rename(&made, &home).map_err(failed(&home))?;
    Ok(home)
}

/// Where a file of an SDK lies in Attorn's sources.
fn in_sources(name: &str, sdk: &str, language: Language) -> String {
    match name.strip_prefix(sdk) {
        Some(rest) => format!("sdk/policy/{}{rest}", language.as_str()),
        // That of Rust lies in a directory that is as the sources are.
        None => name.find("sdk/policy/").map_or(name, |at| &name[at..]).to_owned(),
    }
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
        for language in Language::ALL.iter().filter(|language| !language.is_text()) {
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
                _ => "vendor/attorn-policy",
            };
            assert!(manifest.contains(sdk) && home.join(sdk).join(language.manifest()).is_file(), "{manifest}");
            assert_eq!(fs::read_dir(within.path()).unwrap().count(), 1);
        }
    }

    #[test]
    fn no_document_of_a_project_leads_to_what_is_not_there() {
        fn documents(directory: &Path, found: &mut Vec<PathBuf>) {
            for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
                if entry.file_type().unwrap().is_dir() {
                    documents(&entry.path(), found);
                } else if entry.path().extension().is_some_and(|extension| extension == "md") {
                    found.push(entry.path());
                }
            }
        }
        for language in Language::ALL.iter().filter(|language| !language.is_text()) {
            let within = tempfile::tempdir().unwrap();
            let mut found = Vec::new();
            documents(&made("listed-actions", within.path(), *language).unwrap(), &mut found);
            assert!(found.len() > 1, "{found:?}");
            for path in found {
                let text = fs::read_to_string(&path).unwrap();
                let targets = text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
                for target in targets.filter(|target| !target.is_empty() && !target.contains("://")) {
                    assert!(path.parent().unwrap().join(target).exists(), "{}: {target}", path.display());
                }
                assert!(text.contains("# "), "{}", path.display());
            }
        }
    }

    #[test]
    fn files_of_an_sdk_are_named_as_in_the_sources() {
        let (go, rust) = ("third_party/attorn-policy", "{ path = \"vendor/attorn/sdk/policy/rust\" }");
        assert_eq!(in_sources(&format!("{go}/README.md"), go, Language::Go), "sdk/policy/go/README.md");
        let name = "vendor/attorn/sdk/policy/rust/README.md";
        assert_eq!(in_sources(name, rust, Language::Rust), "sdk/policy/rust/README.md");
        let within = tempfile::tempdir().unwrap();
        let home = made("listed-actions", within.path(), Language::Python).unwrap();
        let readme = fs::read_to_string(home.join("third_party/attorn-policy/README.md")).unwrap();
        for file in ["README.md", "sdk/policy/rust/README.md", "sdk/policy/CASES.md", "plugins/README.md"] {
            assert!(readme.contains(&format!("(`{file}` in Attorn's sources)")), "{file}: {readme}");
        }
    }

    #[test]
    fn another_directory_is_no_sdk() {
        for language in Language::ALL {
            let within = tempfile::tempdir().unwrap();
            let new = NewPolicy { name: "a", within: within.path(), language: *language, sdk: Some(within.path()) };
            let error = create(&new).unwrap_err().to_string();
            assert!(error.contains("` is not the SDK of this language"), "{error}");
            assert_eq!(fs::read_dir(within.path()).unwrap().count(), 0);
        }
    }
}
