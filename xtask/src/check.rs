//! `cargo xtask test`, `ci`, `full` and `bench`.
//!
//! Software that is not ours is played with in `ci` and `full` alone: it takes tools that not everybody has.

use std::num::NonZero;

use crate::components::{self, Guests};
use crate::run::Invocation;
use crate::steps::{Failed, Steps};
use crate::workspace::Workspace;
use crate::{interop, readme, tidy};

/// How long the tests go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Length {
    /// As `cargo test` would run them.
    Usual,
    /// With more rounds of killing and restarting and of power cuts, more generated cases, and tests that take minutes.
    Long,
}

/// Rounds of each test that kills or races something, in `full`.
const LONG_ROUNDS: &str = "50";

/// The tests that are too long for each run begin with this, and are ignored there.
const LONG_TEST: &str = "every_flipped_byte_of_every_file";

/// Generated cases of each property test, in `full`; proptest's own number is 256.
const LONG_PROPTEST_CASES: &str = "4096";

/// What says to a program of tests how many run at a time.
const TESTS_AT_A_TIME: &str = "RUST_TEST_THREADS";

/// The program that has Cedar and the interpreter of Rego, which policies are measured against.
const NATIVE: &str = "attorn-differential";

/// All checks but those with software that is not ours, the quick ones first. The tests come last, so that their lines
/// stand at the end.
pub(crate) fn check(workspace: &Workspace, steps: &mut Steps) -> Result<(), Failed> {
    prepare(workspace, steps)?;
    test(workspace, steps, Length::Usual)?;
    steps.summary();
    Ok(())
}

/// What a change must pass: all checks, and software that is not ours, with one version of PostgreSQL.
pub(crate) fn ci(workspace: &Workspace, steps: &mut Steps) -> Result<(), Failed> {
    let parts = interop::Part::of_ci();
    interop::check_tools(steps, &parts)?;
    prepare(workspace, steps)?;
    interop::play(workspace, steps, &parts, None)?;
    test(workspace, steps, Length::Usual)?;
    steps.summary();
    Ok(())
}

/// The same with every version of PostgreSQL, more rounds of all that kills or races something, and more generated cases.
pub(crate) fn full(workspace: &Workspace, steps: &mut Steps) -> Result<(), Failed> {
    interop::check_tools(steps, &[])?;
    prepare(workspace, steps)?;
    interop::play(workspace, steps, &[], Some(LONG_ROUNDS))?;
    test(workspace, steps, Length::Long)?;
    steps.summary();
    Ok(())
}

/// What needs no server, and building all that is ours.
fn prepare(workspace: &Workspace, steps: &mut Steps) -> Result<(), Failed> {
    tidy::tidy(workspace, steps)?;
    steps.command("format", &workspace.cargo(&["fmt", "--all", "--check"]))?;
    steps.command("format of what is apart", &workspace.cargo_apart(&["fmt", "--check"]))?;
    // Before anything that compiles tests: they load these components, and fail without them.
    components::build(workspace, steps, Guests::All)?;
    let clippy = ["clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"];
    steps.command("lints", &workspace.cargo(&clippy))?;
    let clippy = ["clippy", "--all-targets", "--", "-D", "warnings"];
    steps.command("lints of what is apart", &workspace.cargo_apart(&clippy))?;
    let doc = workspace.cargo(&["doc", "--locked", "--workspace", "--no-deps"]);
    steps.command("documentation", &doc.with_env("RUSTDOCFLAGS", "-D warnings"))?;
    // The tests run the `attorn` binary, which `cargo test` alone would not build.
    steps.command("build", &workspace.cargo(&["build", "--locked", "--workspace", "--all-targets"]))?;
    readme::check(workspace, steps)
}

/// The tests, or those that these arguments of `cargo test` name. All go on when some have failed.
pub(crate) fn tests(workspace: &Workspace, which: &[&str]) -> Invocation {
    let all = ["test", "--locked", "--workspace", "--no-fail-fast"];
    workspace.cargo(&[&all[..], which].concat()).with_env(TESTS_AT_A_TIME, tests_at_a_time())
}

fn test(workspace: &Workspace, steps: &mut Steps, length: Length) -> Result<(), Failed> {
    steps.command("tests of what is apart", &workspace.cargo_apart(&["test"]))?;
    let tests = tests(workspace, &[]);
    let tests = match length {
        Length::Usual => tests,
        Length::Long => tests.with_env(interop::ROUNDS, LONG_ROUNDS).with_env("PROPTEST_CASES", LONG_PROPTEST_CASES),
    };
    steps.command("tests", &tests)?;
    if length == Length::Long {
        let long = ["test", "--locked", "--workspace", "--lib", LONG_TEST, "--", "--ignored"];
        steps.command("long tests", &workspace.cargo(&long))?;
    }
    Ok(())
}

/// How many tests run at a time, where nobody has said so: many wait for something most of the time, so it is more than
/// there are cores.
fn tests_at_a_time() -> String {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    std::env::var(TESTS_AT_A_TIME).unwrap_or_else(|_| (2 * cores).to_string())
}

/// The benchmarks, built for speed. They print their figures themselves.
pub(crate) fn bench(workspace: &Workspace, steps: &mut Steps, area: Option<&str>, json: bool) -> Result<(), Failed> {
    components::build(workspace, steps, Guests::All)?;
    // The benchmarks start the server as a process of its own.
    let programs = ["build", "--locked", "--release", "--workspace", "--bin", "attorn", "--bin", "attorn-bench"];
    steps.command("build", &workspace.cargo(&programs))?;
    let mut bench = workspace.built("release", "attorn-bench").map_err(|why| Failed::before_any_step(&why))?;
    if area.is_none_or(|area| area == "policies") {
        let natives = ["build", "--release", "--bin", NATIVE];
        steps.command("build of what is apart", &workspace.cargo_apart(&natives))?;
        let native = workspace.root().join("target/apart/release").join(NATIVE);
        bench = bench.with_env("ATTORN_BENCH_NATIVE", native.to_string_lossy());
    }
    if let Some(area) = area {
        bench = bench.with(area);
    }
    if json {
        bench = bench.with("--json");
    }
    steps.command("bench", &bench)
}
