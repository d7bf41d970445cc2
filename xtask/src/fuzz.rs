//! `cargo xtask fuzz`: feed random input to what reads it, for a bounded time.
//!
//! What is fed stands in the package `attorn-fuzz`, whose tests feed the kept seeds at every
//! `cargo xtask test`. Inputs that libFuzzer finds worth keeping stay in the target directory, and one
//! that breaks something in `fuzz/artifacts`.

use std::fs;

use crate::run::Invocation;
use crate::steps::{Failed, Steps};
use crate::workspace::Workspace;

/// The program of each target is a file here.
const TARGETS: &str = "fuzz/fuzz_targets";

/// The largest input, in bytes. The seeds are far smaller.
const INPUT_BYTES_MAX: u32 = 8_192;

/// Feed one target or all of them, each for so many seconds.
pub(crate) fn fuzz(workspace: &Workspace, steps: &mut Steps, target: Option<&str>, seconds: u32) -> Result<(), Failed> {
    let known = targets(workspace).map_err(|why| Failed::before_any_step(&why))?;
    let targets: Vec<&String> = known.iter().filter(|name| target.is_none_or(|target| target == *name)).collect();
    if targets.is_empty() {
        let known = known.join("`, `");
        return Err(Failed::before_any_step(&format!("there is no such target; there are `{known}`")));
    }
    if workspace.cargo(&["fuzz", "--version"]).output().is_err() {
        return Err(Failed::before_any_step("cargo-fuzz is missing; get it with: cargo install cargo-fuzz --locked"));
    }
    let directory = workspace.describe().map_err(|why| Failed::before_any_step(&why))?.target_directory.join("fuzz");
    for name in targets {
        let found = directory.join("corpus").join(name);
        fs::create_dir_all(&found)
            .map_err(|error| Failed::before_any_step(&format!("cannot make `{}`: {error}", found.display())))?;
        steps.command(name, &invocation(workspace, name, &found.display().to_string(), seconds))?;
    }
    steps.summary();
    Ok(())
}

/// The names of all targets, sorted.
fn targets(workspace: &Workspace) -> Result<Vec<String>, String> {
    let unreadable = |error| format!("cannot read `{TARGETS}`: {error}");
    let mut names = Vec::new();
    for entry in fs::read_dir(workspace.root().join(TARGETS)).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        names.extend(path.file_stem().map(|name| name.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}

/// One run. New inputs go to the first directory; the seeds are read from the second. Without a
/// sanitizer no nightly compiler is needed: this is safe Rust, and what is looked for are panics, hangs
/// and memory. The variable lets the stable compiler count coverage.
///
/// Loading a component is slow and passes many places. So inputs are long from the start rather than grow
/// with the number of runs, and all of them are mutated as often: to find which are rare takes libFuzzer
/// longer here than it saves.
fn invocation(workspace: &Workspace, name: &str, found: &str, seconds: u32) -> Invocation {
    let seeds = format!("fuzz/corpus/{name}");
    let (time, length) = (format!("-max_total_time={seconds}"), format!("-max_len={INPUT_BYTES_MAX}"));
    let run = ["fuzz", "run", "--fuzz-dir", "fuzz", "--features", "libfuzzer", "--sanitizer", "none", name];
    workspace
        .cargo(&run)
        .with(found)
        .with(seeds)
        .with("--")
        .with(time)
        .with(length)
        .with("-len_control=0")
        .with("-entropic=0")
        .with("-timeout=30")
        .with("-rss_limit_mb=4096")
        .with("-print_final_stats=1")
        .with_env("RUSTC_BOOTSTRAP", "1")
}
