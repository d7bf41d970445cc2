//! From sources to one module of WebAssembly.

use std::fs;
use std::path::Path;

use super::SDK;
use super::module::Project;
use super::tools::Tools;
use crate::project::{ProjectError, file};

/// The module around both, and where they are copied to.
pub(super) const MAIN: &str = "attorn-component";
pub(super) const PROJECT: &str = "project";
pub(super) const SDK_HOME: &str = "sdk";

const BUILD: &[&str] = &[
    "build",
    "-trimpath",
    "-buildvcs=false",
    "-buildmode=c-shared",
    "-ldflags=-s -w -buildid=",
    "-o",
    "module.wasm",
    ".",
];
/// Each package that is compiled and not Go's own, and what it imports.
const IMPORTS: &[&str] =
    &["list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{range .Imports}} {{.}}{{end}}{{end}}", "."];

/// The most that is read of what is imported.
const IMPORTS_BYTES_MAX: usize = 60 << 10;
/// The largest module. A policy of more is refused when it is pushed.
const MODULE_BYTES_MAX: u64 = 32 << 20;

const COMPILE_HELP: &str = "the lines above say where it is wrong";

/// What there is nothing for in a sandbox, and what there is in its place. A name that ends with `/` is of all below.
const LACKING: &[(&str, &str)] = &[
    ("C", "a policy is compiled without C"),
    ("crypto/rand", "a policy has no source of random numbers: its answer would be another each time"),
    ("hash/maphash", "a policy has no source of random numbers: its answer would be another each time"),
    ("log", "nobody reads what a policy prints: `attorn.Infof` writes to the decision record"),
    ("log/", "nobody reads what a policy prints: `attorn.Infof` writes to the decision record"),
    ("io/ioutil", "a policy has no files and no environment: what it has to know is in its settings, or a fact"),
    ("math/rand", "a policy has no source of random numbers: its answer would be another each time"),
    ("math/rand/", "a policy has no source of random numbers: its answer would be another each time"),
    ("net", "a policy has no network: what it has to know is in its settings, or a fact"),
    ("net/http", "a policy has no network: what it has to know is in its settings, or a fact"),
    ("net/http/", "a policy has no network: what it has to know is in its settings, or a fact"),
    ("net/rpc", "a policy has no network: what it has to know is in its settings, or a fact"),
    ("net/rpc/", "a policy has no network: what it has to know is in its settings, or a fact"),
    ("net/smtp", "a policy has no network: what it has to know is in its settings, or a fact"),
    ("os", "a policy has no files and no environment: what it has to know is in its settings, or a fact"),
    ("os/", "a policy has no files and no environment: what it has to know is in its settings, or a fact"),
    ("plugin", "a policy has no files: put the sources into the project"),
    ("syscall", "a policy has no system"),
    ("syscall/", "a policy has no system"),
];
const LACKING_HELP: &str = "leave it out; the README of the SDK says what there is in its place";

/// Compile and link what was copied to `within`.
pub(super) fn module(
    tools: &Tools,
    within: &Path,
    project: &Project,
    progress: &mut dyn FnMut(&str),
) -> Result<Vec<u8>, ProjectError> {
    let Project { name, language, .. } = project;
    let both = format!("{SDK} => ./{SDK_HOME}\n\t{name} => ./{PROJECT}");
    write(
        within,
        "go.mod",
        &format!(
            "module {MAIN}\n\ngo {language}\n\nrequire (\n\t{SDK} v0.0.0\n\t{name} v0.0.0\n)\n\nreplace (\n\t{both}\n)\n"
        ),
    )?;
    write(&within.join(PROJECT), "go.mod", &format!("module {name}\n\ngo {language}\n\nrequire {SDK} v0.0.0\n"))?;
    write(
        within,
        "main.go",
        &format!(
            "package main\n\nimport (\n\tattorn \"{SDK}\"\n\tpolicy \"{name}\"\n)\n\n\
             func init() {{ attorn.Serve(policy.Policy) }}\n\nfunc main() {{}}\n"
        ),
    )?;
    let run = |arguments: &[&str]| {
        tools.run(arguments, within).map_err(|said| {
            // Where it was copied to is nothing to whoever wrote it.
            let copied = format!("{PROJECT}/");
            let lines = said.lines().map(|line| line.strip_prefix(&copied).unwrap_or(line));
            let lines = ["the policy does not compile"].into_iter().chain(lines).collect::<Vec<_>>();
            ProjectError::Tool { problem: lines.join("\n"), help: COMPILE_HELP }
        })
    };
    let imports = run(IMPORTS)?;
    nothing_lacking(&imports, name)?;
    progress("compiling Go; the first time its own packages, too");
    run(BUILD)?;
    let path = within.join("module.wasm");
    let bytes = fs::metadata(&path).map_err(file(&path))?.len();
    if bytes > MODULE_BYTES_MAX {
        let problem = format!("what was linked has {bytes} bytes, and {MODULE_BYTES_MAX} is the most");
        return Err(ProjectError::Tool { problem, help: "leave out packages that the policy does not need" });
    }
    fs::read(&path).map_err(file(&path))
}

fn write(directory: &Path, name: &str, text: &str) -> Result<(), ProjectError> {
    let path = directory.join(name);
    fs::write(&path, text).map_err(file(&path))
}

/// An error if a package of the project imports what there is nothing for.
fn nothing_lacking(imports: &str, project: &str) -> Result<(), ProjectError> {
    if imports.len() > IMPORTS_BYTES_MAX {
        let problem = "the project has more packages, or imports more, than is read here".to_owned();
        return Err(ProjectError::Tool { problem, help: "leave out what the policy does not need" });
    }
    let is_own =
        |package: &str| package.strip_prefix(project).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    for line in imports.lines() {
        let mut words = line.split_whitespace();
        let Some(package) = words.next().filter(|package| is_own(package)) else { continue };
        let lacking = |import: &str| {
            let is = |name: &str| import == name || name.ends_with('/') && import.starts_with(name);
            LACKING.iter().find(|(name, _)| is(name)).map(|(_, why)| format!("`{package}` imports `{import}`: {why}"))
        };
        if let Some(problem) = words.find_map(lacking) {
            return Err(ProjectError::Tool { problem, help: LACKING_HELP });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_sandbox_lacks_is_named_and_what_the_sdk_imports_is_not() {
        let say = |imports: &str| nothing_lacking(imports, "a/b").map_err(|error| error.to_string());
        assert_eq!(
            say("attorn-policy os net\na/bc os\na/b fmt time encoding/json logic\nattorn-component a/b\n"),
            Ok(())
        );
        for (imports, problem) in [
            ("a/b fmt os", "`a/b` imports `os`: a policy has no files"),
            ("a/b/c os/exec", "`a/b/c` imports `os/exec`: a policy has no files"),
            ("x\na/b math/rand/v2", "imports `math/rand/v2`: a policy has no source"),
            ("a/b crypto/rand", "a policy has no source"),
            ("a/b net/http", "a policy has no network"),
            ("a/b log/slog", "nobody reads what a policy prints"),
            ("a/b C", "without C"),
        ] {
            let error = say(imports).unwrap_err();
            assert!(error.contains(problem), "{error}");
        }
        assert!(say(&"x".repeat(IMPORTS_BYTES_MAX + 1)).unwrap_err().contains("more packages"));
    }
}
