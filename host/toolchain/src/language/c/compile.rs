//! From sources to one module of WebAssembly.
//!
//! Each source is compiled by itself, and says what it took in: of that, all has to be among the sources or the compiler's
//! own headers. A file of somebody's could otherwise end up in a component by `#include` or `#embed`; by an assembler it
//! could, too, and is not told of, so there is none.

use std::ffi::OsStr;
use std::fs;
use std::path::{Component, Path};

use attorn_build::process::Failed;

use super::sources::Sources;
use super::tools::Tools;
use crate::project::{ProjectError, file};

const TARGET: [&str; 2] = ["-target", "wasm32-wasi"];
/// For every source. What is undefined in C traps, which denies, and so does a buffer that is written past.
const OPTIONS: &[&str] = &[
    "-std=gnu17",
    "-O2",
    "-UNDEBUG",
    "-fsanitize=undefined",
    "-fsanitize-trap=undefined",
    "-fstack-protector-strong",
    "-fno-gnu-inline-asm",
    "-Isdk/include",
];
/// For a project's own. What is an error here is no policy that somebody meant, or another one each time it is built.
const WARNINGS: &[&str] = &[
    "-Wall",
    "-Wextra",
    "-Werror=return-type",
    "-Werror=uninitialized",
    "-Werror=sometimes-uninitialized",
    "-Werror=format",
    "-Werror=date-time",
    "-Isrc",
    "-include",
    "sdk/wasm/sandbox.h",
];
/// A sandbox is made anew for each decision, and its memory with it. Below the stack there is nothing, so that one that is
/// too deep traps.
const LINK: &[&str] = &["-O2", "-mexec-model=reactor", "-s", "-Wl,-z,stack-size=65536"];

const COMPILE_HELP: &str = "the lines above say where it is wrong";
const LINK_HELP: &str =
    "the lines above say what is not there; a policy is linked with the SDK and the library of C alone";
const TAKEN_IN_HELP: &str = "a policy is made of its own sources in `src`, the SDK, and the headers of C";

/// The most of what the compiler says that it took in.
const TAKEN_IN_BYTES_MAX: u64 = 1 << 20;
/// The largest module. A policy of more is refused when it is pushed.
const MODULE_BYTES_MAX: u64 = 32 << 20;

/// Compile and link what was copied to `within`.
pub(super) fn module(
    tools: &Tools,
    within: &Path,
    sources: &Sources,
    progress: &mut dyn FnMut(&str),
) -> Result<Vec<u8>, ProjectError> {
    let own = sources.own.iter().map(|name| (name, WARNINGS));
    let sdk = sources.sdk.iter().chain(&sources.bindings).map(|name| (name, &[][..]));
    let mut objects = Vec::new();
    for (at, (name, warnings)) in own.chain(sdk).enumerate() {
        let (object, taken_in) = (format!("{at}.o"), format!("{at}.d"));
        let output = ["-c", name, "-o", &object, "-MD", "-MF", &taken_in];
        let arguments: Vec<_> = ["cc"].iter().chain(&TARGET).chain(OPTIONS).chain(warnings).chain(&output).collect();
        run(tools, &arguments, within, progress, &format!("`{name}` does not compile"), COMPILE_HELP)?;
        let taken_in = read(&within.join(taken_in), TAKEN_IN_BYTES_MAX)?;
        only_sources(name, &String::from_utf8_lossy(&taken_in), tools.library())?;
        objects.push(object);
    }
    let objects: Vec<_> = objects.iter().map(String::as_str).collect();
    let output = ["-o", "module.wasm"];
    let arguments: Vec<_> = ["cc"].iter().chain(&TARGET).chain(LINK).chain(&objects).chain(&output).collect();
    run(tools, &arguments, within, progress, "the policy cannot be linked", LINK_HELP)?;
    read(&within.join("module.wasm"), MODULE_BYTES_MAX)
}

fn run(
    tools: &Tools,
    arguments: &[&&str],
    within: &Path,
    progress: &mut dyn FnMut(&str),
    problem: &str,
    help: &'static str,
) -> Result<(), ProjectError> {
    let arguments: Vec<_> = arguments.iter().map(OsStr::new).collect();
    tools
        .run(&arguments, within, progress)
        .map_err(|failed| ProjectError::Tool { problem: said(problem, &failed), help })
}

/// What is wrong, and what the compiler says of it; where it says nothing, what became of it.
fn said(problem: &str, failed: &Failed) -> String {
    let full = failed.in_full();
    match full.split_once('\n') {
        Some((_, lines)) => format!("{problem}\n{lines}"),
        None => format!("{problem}: {full}"),
    }
}

fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>, ProjectError> {
    let bytes = fs::metadata(path).map_err(file(path))?.len();
    if bytes > bytes_max {
        let problem = format!("what the compiler wrote has {bytes} bytes, and {bytes_max} is the most");
        return Err(ProjectError::Tool { problem, help: "leave out what the policy does not need" });
    }
    fs::read(path).map_err(file(path))
}

/// Whether all that a source took in is among the copied sources or in the compiler's library.
fn only_sources(source: &str, taken_in: &str, library: &Path) -> Result<(), ProjectError> {
    let refused = |problem: String| Err(ProjectError::Tool { problem, help: TAKEN_IN_HELP });
    let Some((_, names)) = taken_in.split_once(": ") else {
        return refused(format!("the compiler does not say what `{source}` took in"));
    };
    for name in names_of(names) {
        let path = Path::new(&name);
        let is_straight = path.components().all(|part| !matches!(part, Component::ParentDir));
        let is_source = path.strip_prefix("src").is_ok() || path.strip_prefix("sdk").is_ok();
        if !is_straight || !is_source && !path.starts_with(library) {
            return refused(format!("`{source}` takes in `{name}`, which lies outside"));
        }
    }
    Ok(())
}

/// The names in a rule of a Makefile: blanks and `#` in them stand behind a backslash, and a `$` is written twice.
fn names_of(text: &str) -> Vec<String> {
    let mut names = vec![String::new()];
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let last = names.len() - 1;
        match (character, characters.peek()) {
            ('\\', Some('\n' | '\r')) | (' ' | '\t' | '\n' | '\r', _) => names.push(String::new()),
            ('\\', Some(' ' | '#' | '\t')) | ('$', Some('$')) => names[last].extend(characters.next()),
            _ => names[last].push(character),
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_the_compiler_writes_them() {
        let text = "src/policy.c sdk/include/a.h \\\n  /srv/a\\ b/lib/c.h \\\n /x/\\#y$$z/\\q.h\n";
        assert_eq!(names_of(text), ["src/policy.c", "sdk/include/a.h", "/srv/a b/lib/c.h", "/x/#y$z/\\q.h"]);
        assert!(names_of(" \n").is_empty());
    }

    #[test]
    fn what_lies_outside_is_not_taken_in() {
        let library = Path::new("/srv/alice/.cache/attorn/c-1/ziglang/lib");
        let say = |names: &str| {
            only_sources("src/policy.c", &format!("0.o: src/policy.c {names}"), library)
                .map_err(|error| error.to_string())
        };
        for good in ["", "sdk/wasm/sandbox.h src/b/b.h", "/srv/alice/.cache/attorn/c-1/ziglang/lib/include/stddef.h"] {
            assert_eq!(say(good), Ok(()), "{good}");
        }
        for bad in [
            "/etc/passwd",
            "secret.h",
            "../secret.h",
            "src/../../secret.h",
            "sdk/include/../../../x",
            "srcs/x.h",
            "/srv/alice/.cache/attorn/c-1/ziglang/lib/../../../../.ssh/id",
            "/srv/alice/.cache/attorn/c-1/ziglang/library/x",
            "/srv/alice\\ b/x",
            "src/a.h \\\n /etc/passwd",
        ] {
            let error = say(bad).unwrap_err();
            assert!(error.contains("which lies outside"), "{bad}: {error}");
        }
        assert!(only_sources("src/policy.c", "", library).is_err());
    }
}
