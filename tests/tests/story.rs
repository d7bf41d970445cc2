//! The story, as the built binary plays it: `attorn demo`; and what it says of the acts where nothing is there to play
//! them with. With PostgreSQL and Node they are played by `cargo xtask interop --only acts`.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::path::Path;
use std::process::Command;

use attorn_tests::components;
use attorn_tests::process::binary;

fn demo() -> Command {
    let mut command = Command::new(binary());
    command.arg("demo").env_remove("ATTORN_TOKEN").env_remove("ATTORN_URL");
    command
}

#[test]
fn a_demo_without_components_fails_and_says_what_to_do() {
    let output =
        demo().args(["--component", "/nowhere.wasm", "--looping-component", "/nowhere.wasm"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("/nowhere.wasm"), "{said}");
}

/// Play with these arguments, and give what it said.
fn played(more: &[&str]) -> String {
    let mut demo = demo();
    for (option, name) in [
        ("--component", "read-only"),
        ("--looping-component", "loop_in_evaluate"),
        ("--own-data-component", "own-data"),
        ("--spend-limit-component", "spend-limit"),
    ] {
        demo.arg(option).arg(components::path(name));
    }
    let output = demo.args(more).output().unwrap();
    let (said, failed) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{said}\n{failed}");
    // No secret is ever printed.
    assert!(!said.contains("attorn_op_") && !said.contains("\"d\":") && !said.contains("eyJ"), "{said}");
    said.into_owned()
}

#[track_caller]
fn says(said: &str, parts: &[&str]) {
    for part in parts {
        assert!(said.contains(part), "the story does not say `{part}`:\n{said}");
    }
}

/// Whether Node and the packages are there with which Alice signs in.
fn node() -> Option<String> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/node");
    let runs = Command::new("node").arg("--version").output().is_ok_and(|output| output.status.success());
    let installed = directory.join("node_modules/oidc-provider/package.json").is_file();
    (runs && installed).then(|| directory.display().to_string())
}

#[test]
fn the_story_comes_as_told() {
    let Some(directory) = node() else {
        eprintln!("no Node, or no `npm ci` in tests/interop/node: what is done on behalf of a user is not tried");
        return;
    };
    let said = played(&["--story", "--interop", &directory]);
    says(&said, &["allow", "deny", "verif", "Alice takes it back", "delegation_revoked", "found 0 times"]);
    assert!(!said.contains("skipped"), "{said}");
}

#[test]
fn without_node_it_says_what_it_leaves_out_and_tells_the_rest() {
    let said = played(&["--story", "--interop", "/nowhere"]);
    says(&said, &["allow", "deny", "verif", "On Alice's behalf: skipped", "npm ci", "https://nodejs.org"]);
}

#[test]
fn the_acts_say_what_they_leave_out_and_how_to_get_it() {
    let said = played(&["--act", "1", "--act", "2", "--act", "3", "--interop", "/nowhere", "--postgresql", "/nowhere"]);
    says(
        &said,
        &["no_applicable_policy", "outside_ceiling", "apt-get install postgresql", "npm ci", "All came as told"],
    );
    for line in ["act 1", "act 2", "act 3"] {
        let summary = said.lines().rfind(|said| said.trim_start().starts_with(line)).unwrap();
        assert!(summary.contains("left out: "), "{summary}");
    }
}

#[test]
fn an_act_that_is_none_is_refused() {
    for arguments in [&["--act", "4"][..], &["--act", "1", "--keep"], &["--act", "1", "--story"]] {
        assert_eq!(demo().args(arguments).output().unwrap().status.code(), Some(2), "{arguments:?}");
    }
}
