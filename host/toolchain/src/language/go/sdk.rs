//! The SDK for Go, as it stood where this program was built.
//!
//! It is published nowhere yet, and a policy has to be built by whoever has this program and nothing else. So its sources
//! are in the program, and go into a new project; nothing is asked for by a name that somebody else could have taken.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use super::{MANIFEST, SDK};
use crate::language::{Language, brought};
use crate::project::{ProjectError, file};
use crate::template::TemplateError;

/// Where it goes, within the project. Not in `vendor`, which means something to Go.
pub(super) const HOME: &str = "third_party/attorn-policy";
/// The file that says its version.
const VERSION: &str = "VERSION";

macro_rules! sdk {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../../../../sdk/policy/go/", $name)))),*]
    };
}

/// File by file. A test sees that none is forgotten.
const FILES: &[(&str, &str)] = sdk![
    "README.md",
    "VERSION",
    "attorntest/attorntest.go",
    "context.go",
    "exports_wasip1.go",
    "fields.go",
    "go.mod",
    "help.go",
    "internal/contract/contract.go",
    "internal/exports/doc.go",
    "internal/exports/exports.go",
    "internal/host/host.go",
    "internal/log/log_other.go",
    "internal/log/log_wasip1.go",
    "internal/wit/memory.go",
    "internal/wit/realloc_wasip1.go",
    "internal/wit/types.go",
    "log.go",
    "policy.go",
    "settings.go",
    "verdict.go",
];

/// Its files, by their names within the project.
pub(super) fn files() -> Vec<(String, String)> {
    brought::files(HOME, FILES)
}

/// How it is named in the manifest whose sources are there.
pub(super) fn at(path: &Path) -> Result<String, TemplateError> {
    // It stands as one word in `go.mod`.
    let is_plain = |text: &str| {
        !text.contains(['"', '\'', '`', '(', ')', ',', '\\'])
            && !text.contains(char::is_whitespace)
            && !text.contains("//")
    };
    brought::at(path, Language::Go, |whole| version(whole).is_ok(), is_plain)
}

/// The version of the SDK in this directory.
pub(super) fn version(sdk: &Path) -> Result<String, ProjectError> {
    let path = sdk.join(MANIFEST);
    let problem = |problem: &str| ProjectError::Manifest { path: path.clone(), problem: problem.to_owned() };
    if first_line(&path)? != format!("module {SDK}") {
        return Err(problem("it is not the SDK's"));
    }
    let version = first_line(&sdk.join(VERSION))?;
    let is_version = !version.is_empty() && version.bytes().all(|b| b.is_ascii_alphanumeric() || b".-+".contains(&b));
    if is_version { Ok(version) } else { Err(problem("the file `VERSION` beside it says none")) }
}

fn first_line(path: &Path) -> Result<String, ProjectError> {
    if !fs::metadata(path).map_err(file(path))?.is_file() {
        return Err(ProjectError::Manifest { path: path.to_owned(), problem: "it is no file".to_owned() });
    }
    let mut text = String::new();
    fs::File::open(path).and_then(|f| f.take(256).read_to_string(&mut text)).map_err(file(path))?;
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::language::brought::tests::{generated, is_kept, one, root, there};

    #[test]
    fn no_file_of_the_sdk_is_forgotten() {
        let there = there("sdk/policy/go").into_iter().filter(|name| !name.ends_with("_test.go"));
        assert_eq!(FILES.iter().map(|(name, _)| (*name).to_owned()).collect::<BTreeSet<_>>(), there.collect());
    }

    #[test]
    fn the_sdk_is_told_by_its_name_and_has_our_version() {
        let sdk = root().join("sdk/policy/go");
        assert!(at(&sdk).unwrap().starts_with('/'));
        assert_eq!(version(&sdk).unwrap(), env!("CARGO_PKG_VERSION"));
        for other in ["sdk/policy/rust", "plugins/spend-limit/go", "nowhere"] {
            assert!(at(&root().join(other)).is_err(), "{other}");
        }
    }

    #[test]
    fn the_bindings_are_what_the_generator_makes_of_the_contract() {
        let options = wit_bindgen_go::Opts { format: wit_bindgen_go::Format::False, ..Default::default() };
        let files = generated(options.build());
        for (name, file, package, before) in [
            (
                "attorn_policy_policy/wit_bindings.go",
                "internal/contract/contract.go",
                "contract",
                "// Long because: a generator made it of the contract.\n\n",
            ),
            (
                "wit_exports.go",
                "internal/exports/exports.go",
                "exports",
                "//go:build wasip1\n\n// Long because: a generator made it of the contract.\n\n",
            ),
            ("attorn_policy_log/wit_bindings.go", "internal/log/log_wasip1.go", "log", ""),
        ] {
            let mut made = one(&files, name);
            // It stands in packages of the SDK, on types of our own.
            for (from, to) in [
                ("\"go.bytecodealliance.org/pkg/wit/types\"", "\"attorn-policy/internal/wit\""),
                ("\"go.bytecodealliance.org/pkg/wit/runtime\"", "\"attorn-policy/internal/wit\""),
                ("\"wit_component/attorn_policy_policy\"", "attorn_policy_policy \"attorn-policy/internal/contract\""),
                (
                    "\"wit_component/export_attorn_policy_policy\"",
                    "export_attorn_policy_policy \"attorn-policy/internal/host\"",
                ),
                ("// Unused, but present to make the compiler happy\nfunc main() {}\n", ""),
            ] {
                made = made.replace(from, to);
            }
            let at = made.find("\npackage ").unwrap() + 1;
            let end = at + made[at..].find('\n').unwrap();
            made.replace_range(at..end, &format!("package {package}"));
            let made = format!("{before}{}\n", made.trim());
            is_kept(&format!("sdk/policy/go/{file}"), &made);
        }
    }
}
