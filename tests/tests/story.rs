//! The whole story, as the built binary plays it: `attorn demo`.

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

#[test]
fn the_story_comes_as_told() {
    let (component, looping) = (components::path("read-only"), components::path("loop_in_evaluate"));
    let output = demo().arg("--component").arg(component).arg("--looping-component").arg(looping).output().unwrap();
    let (said, failed) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{said}\n{failed}");
    // No secret is ever printed.
    assert!(!said.contains("attorn_op_") && !said.contains("\"d\":"), "{said}");
    for step in ["allow", "deny", "verif"] {
        assert!(said.contains(step), "the summary does not say `{step}`:\n{said}");
    }
}
