//! What a project's `go.mod` may say: what it is called, and where the SDK is. Nothing else is asked for, so that Go asks
//! nobody for modules of others, and is told by nobody but us what it is to do.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use super::SDK;
use crate::project::ProjectError;
use crate::project::file;

/// The most of one that is read.
const BYTES_MAX: u64 = 64 << 10;
/// The language where none is named.
const LANGUAGE: &str = "1.25";

/// A project, as its `go.mod` has it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Project {
    /// What its packages are imported by.
    pub(super) name: String,
    /// The version of the language.
    pub(super) language: String,
    /// The directory of the SDK, from that of the project.
    pub(super) sdk: String,
}

pub(super) fn read(path: &Path) -> Result<Project, ProjectError> {
    let manifest = |problem: String| ProjectError::Manifest { path: path.to_owned(), problem };
    if !fs::metadata(path).map_err(file(path))?.is_file() {
        return Err(manifest("it is no file".to_owned()));
    }
    let mut text = String::new();
    fs::File::open(path).and_then(|f| f.take(BYTES_MAX + 1).read_to_string(&mut text)).map_err(file(path))?;
    if text.len() as u64 > BYTES_MAX {
        return Err(manifest(format!("it has more than {BYTES_MAX} bytes")));
    }
    parse(&text).map_err(manifest)
}

fn parse(text: &str) -> Result<Project, String> {
    let (mut name, mut language, mut sdk) = (None, None, None);
    let mut block: Option<String> = None;
    for line in text.lines() {
        let line = line.split("//").next().unwrap_or_default();
        let mut words: Vec<&str> = line.split_whitespace().collect();
        let verb = match (&block, words.as_slice()) {
            (_, []) => continue,
            (Some(_), [")"]) => {
                block = None;
                continue;
            }
            (Some(verb), _) => verb.clone(),
            (None, [verb, "("]) => {
                block = Some((*verb).to_owned());
                continue;
            }
            (None, _) => words.remove(0).to_owned(),
        };
        match (verb.as_str(), words.as_slice()) {
            ("module", [one]) if name.is_none() => name = Some(module_name(one)?),
            ("go", [one]) if language.is_none() => language = Some(version(one)?),
            // It is that which is installed, or an error.
            ("toolchain", [_]) => {}
            ("require", [one, _]) if *one == SDK => {}
            ("require", [one, ..]) => {
                return Err(format!("`{one}` is not taken: put the sources of other modules into the project"));
            }
            ("replace", [one, "=>", to]) if *one == SDK && sdk.is_none() => sdk = Some((*to).to_owned()),
            _ => return Err(format!("`{}` is not understood here: a policy needs no more than the SDK", line.trim())),
        }
    }
    Ok(Project {
        name: name.ok_or("it names no module")?,
        language: language.unwrap_or_else(|| LANGUAGE.to_owned()),
        sdk: sdk.ok_or_else(|| format!("it does not say where the SDK is: `replace {SDK} => …`"))?,
    })
}

/// A name that means nothing else where it is written down anew.
fn module_name(name: &str) -> Result<String, String> {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"._-/~".contains(&b);
    let segments_fit =
        name.split('/').all(|one| !one.is_empty() && !one.starts_with(['.', '-']) && !one.ends_with('.'));
    if !name.bytes().all(is_plain)
        || !segments_fit
        || name == SDK
        || name.starts_with("attorn-policy/")
        || name == super::compile::MAIN
    {
        return Err(format!("`{}` is no name for a policy's module", name.escape_debug()));
    }
    Ok(name.to_owned())
}

fn version(text: &str) -> Result<String, String> {
    let is_one = text.split('.').count() <= 3
        && text.split('.').all(|part| (1..=4).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit()));
    if is_one { Ok(text.to_owned()) } else { Err(format!("`{}` is no version of Go", text.escape_debug())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_usual_one_is_understood() {
        let usual = "// A policy.\nmodule listed-actions-policy // so\n\ngo 1.25\ntoolchain go1.26.8\n\nrequire attorn-policy v0.0.0\n\n\
             replace attorn-policy => ./third_party/attorn-policy\n";
        let expected = Project {
            name: "listed-actions-policy".to_owned(),
            language: "1.25".to_owned(),
            sdk: "./third_party/attorn-policy".to_owned(),
        };
        assert_eq!(parse(usual).as_ref(), Ok(&expected));
        let blocks = "module (\n  listed-actions-policy\n)\nrequire (\n\tattorn-policy v0.0.0 // x\n)\nreplace (\n\
             attorn-policy => ./third_party/attorn-policy\n)";
        assert_eq!(parse(blocks).as_ref(), Ok(&expected));
    }

    #[test]
    fn what_leads_elsewhere_is_refused() {
        const SDK_LINE: &str = "replace attorn-policy => ./sdk";
        for (text, problem) in [
            ("", "it names no module"),
            ("module x", "does not say where the SDK is"),
            ("module x\nmodule y", "is not understood here"),
            ("module \"x\"", "is no name for a policy's module"),
            ("module ../x", "is no name for a policy's module"),
            ("module -x", "is no name for a policy's module"),
            ("module x//y", "it does not say where"),
            ("module attorn-policy", "is no name for a policy's module"),
            ("module attorn-policy/internal", "is no name for a policy's module"),
            ("module attorn-component", "is no name for a policy's module"),
            ("module x\ngo 1.25;", "is no version of Go"),
            ("module x\nrequire github.com/a/b v1.0.0", "`github.com/a/b` is not taken"),
            ("module x\nrequire (\n github.com/a/b v1.0.0 // indirect\n)", "`github.com/a/b` is not taken"),
            ("module x\nreplace fmt => ../victim", "`replace fmt => ../victim` is not understood"),
            ("module x\nreplace attorn-policy => github.com/a/b v1", "is not understood"),
            ("module x\ntool example.com/x", "is not understood"),
            ("module x\ngodebug default=go1.21", "is not understood"),
            ("module x\nexclude a v1", "is not understood"),
            ("module x\nreplace attorn-policy => ./a\nreplace attorn-policy => ./b", "is not understood"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(problem), "{text}: {error}");
        }
        assert!(parse(&format!("module x/y.z\n{SDK_LINE}")).is_ok());
    }
}
