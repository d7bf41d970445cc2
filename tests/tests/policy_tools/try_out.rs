//! Trying a policy: what cases and one context come to, and what is said of it.

use std::fs;
use std::path::Path;
use std::process::Command;

use attorn_tests::components;
use attorn_tests::process::binary;
use serde_json::Value;
use tempfile::TempDir;

use super::{attorn, refused};

const CONTEXT: &str = r#"{"request":{"action":"a","resource":"b/1"}}"#;

/// A directory with this component of the tests, and one file of cases.
fn trying(component: &str, cases: &str) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("policy.wasm"), components::bytes(component)).unwrap();
    fs::create_dir(directory.path().join("cases")).unwrap();
    fs::write(directory.path().join("cases/a.json"), format!(r#"{{"version":1,"cases":[{cases}]}}"#)).unwrap();
    directory
}

fn case(name: &str, settings: &str, expect: &str) -> String {
    let context = if expect.contains("init_error") { String::new() } else { format!(r#""context":{CONTEXT},"#) };
    format!(r#"{{"name":"{name}","settings":{settings},{context}"expect":{expect}}}"#)
}

#[test]
fn what_init_asks_for_in_vain_fails_its_case_and_no_other() {
    const NONE: &str = r#"{"facts":["user/{nobody}/x"],"say":"if_known"}"#;
    let cases = [
        case("none", NONE, r#"{"verdict":"allow"}"#),
        case("awaited", NONE, r#"{"init_error":"is no template of a fact"}"#),
        case("good", r#"{"say":"if_known"}"#, r#"{"verdict":"allow"}"#),
    ];
    let directory = trying("knows", &cases.join(","));
    let (code, out, said) = attorn(directory.path(), &["test"]);
    assert_eq!(code, 7, "{out}{said}");
    assert!(
        out.contains("\na.json: none\n    init_error: expected nothing, got \"`user/{nobody}/x` is no template"),
        "{out}"
    );
    assert!(out.ends_with("3 cases, 1 failed\n"), "{out}");
    let (_, out, _) = attorn(directory.path(), &["test", "--json"]);
    let report: Value = serde_json::from_str(&out).unwrap();
    let passed: Vec<_> = report["cases"].as_array().unwrap().iter().map(|case| case["passed"].as_bool()).collect();
    assert_eq!(passed, [Some(false), Some(true), Some(true)]);
}

#[test]
fn an_init_that_never_ends_fails_its_case() {
    const PROBLEM: &str = "it used more than 2000000 us of CPU time";
    let awaited = format!(r#"{{"init_error":"{PROBLEM}"}}"#);
    let cases = [case("first", "{}", r#"{"verdict":"allow"}"#), case("awaited", "{}", &awaited)];
    let directory = trying("loop_in_init", &cases.join(","));
    let (code, out, said) = attorn(directory.path(), &["test"]);
    assert_eq!(code, 7, "{out}{said}");
    assert!(out.contains(&format!("init_error: expected nothing, got \"{PROBLEM}\"\n")), "{out}");
    assert!(out.ends_with("2 cases, 1 failed\n"), "{out}");
}

#[test]
fn cases_are_told_as_they_are_done() {
    let cases = [case("first", "{}", r#"{"verdict":"abstain"}"#), case("second", "{}", r#"{"verdict":"abstain"}"#)];
    let directory = trying("abstain", &cases.join(","));
    let (code, out, said) = attorn(directory.path(), &["test"]);
    assert_eq!((code, said.as_str()), (0, ""), "no terminal, no line that changes: {out}");
    let lines: Vec<Vec<&str>> = out.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["FUEL", "KIB", "CASE"]);
    assert_eq!([lines[1][0], lines[1][3], lines[1][4]], ["ok", "a.json:", "first"]);

    let (_, out, said) = attorn(directory.path(), &["test", "--json"]);
    assert!(
        serde_json::from_str::<Value>(&out).is_ok() && said.is_empty(),
        "nothing stands beside the JSON: {out}{said}"
    );
}

#[test]
fn why_it_says_so_is_told_with_what_it_logged() {
    let directory = trying("deny_private_reason", "");
    let run = |file: &str, more: &[&str]| {
        let path = components::path(file);
        let arguments = ["run", path.to_str().unwrap(), "--context", CONTEXT];
        attorn(directory.path(), &[&arguments[..], more].concat())
    };
    let (code, out, said) = run("deny_private_reason", &["--explain"]);
    assert_eq!(code, 3, "{out}{said}");
    let reason = out.lines().find(|line| line.starts_with("reason    ")).unwrap_or_else(|| panic!("{out}"));
    let (_, text) = reason.split_once(": ").unwrap();
    let (_, out, _) = run("deny_private_reason", &["--explain", "--json"]);
    let answer: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&answer["reasons"][0]["text"], &answer["reasons"][0]["public"]), (&text.into(), &false.into()));

    let (code, out, _) = run("logs", &["--explain"]);
    assert!(code != 1 && out.contains("\nlog       "), "{out}");
    let (code, out, _) = run("allow_all", &["--explain"]);
    assert_eq!(code, 0);
    assert!(!out.contains("18446744073709551615"), "{out}");
    assert!(out.contains("\nterms     no limit of time of its own, 1 use\n"), "{out}");
    // Without being asked, one line is all.
    assert_eq!(run("allow_all", &[]).1.lines().count(), 1);

    let broken = ["run", "policy.wasm", "--context", r#"{"request":{"action":"a"}"#];
    refused(directory.path(), &broken, 1, "context: ", "CASES.md");
}

#[test]
fn the_exit_codes_stand_in_the_help() {
    let directory = tempfile::tempdir().unwrap();
    for command in ["test", "run", "verify", "diff", "build", "inspect", "publish", "pull"] {
        let (code, out, _) = attorn(directory.path(), &[command, "--help"]);
        assert!(code == 0 && out.contains("\nEnds with 0 "), "{command}: {out}");
    }
}

/// All of what the README says of writing a policy, word by word, in an empty directory. What comes before is the way
/// to that directory.
#[test]
fn what_the_readme_says_of_writing_a_policy_works() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap();
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let (_, section) = readme.split_once("\n### Write a policy\n").unwrap();
    let block = section.split("```").nth(1).unwrap();
    let (way, rest) = block.split_once("$ attorn policy doctor").unwrap();
    assert!(way.contains("PATH=\"$PWD/target/debug:$PATH\""), "{way}");
    let script: String = format!("$ attorn policy doctor{rest}").replace("\n$ ", "\n").split_off(2);
    let home = tempfile::tempdir().unwrap();
    let out = run_by_shell(&script, home.path());
    assert!(out.contains("3 cases, 0 failed\n"), "{out}");
    assert!(out.contains("\nreason    listed: the action is listed\n"), "{out}");
    assert!(out.contains("\n3 cases, 0 differ\n") && out.contains("\nverified "), "{out}");
}

/// What the READMEs of plugins for other languages say of trying them, word by word. That they are built, and their cases,
/// are tests of their own.
#[test]
fn what_plugins_say_of_trying_them_works() {
    for (plugin, reason) in [("cedar", "permitted"), ("rego", "allowed")] {
        let home = tempfile::tempdir().unwrap();
        let of = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins").join(plugin);
        let to = home.path().join("plugins").join(plugin);
        fs::create_dir_all(&to).unwrap();
        fs::write(to.join("policy.wasm"), components::bytes(plugin)).unwrap();
        let readme = fs::read_to_string(of.join("README.md")).unwrap();
        let (_, section) = readme.split_once("\n## Try it\n").unwrap();
        let (before, run) = section.split("```").nth(1).unwrap().split_once("\n$ attorn policy run ").unwrap();
        for command in
            [format!("\n$ attorn policy build plugins/{plugin} "), format!("\n$ attorn policy test plugins/{plugin} ")]
        {
            assert!(before.contains(&command), "{before}");
        }
        let out = run_by_shell(&format!("attorn policy run {run}"), home.path());
        let allowed = out.starts_with(r#"{ "verdict": "allow""#);
        assert!(allowed && out.contains(&format!("\nreason    {reason}: ")), "{out}");
        // And what it says of another action; to load Cedar takes long here.
        if plugin == "rego" {
            let other = run.replace(r#""action": "faq.read""#, r#""action": "faq.write""#);
            let out = run_by_shell(&format!("attorn policy run {} || test $? -eq 3", other.trim_end()), home.path());
            assert!(out.contains("\nreason    not_allowed: "), "{out}");
        }
    }
}

/// What a script prints that runs to its end.
fn run_by_shell(script: &str, within: &Path) -> String {
    let path = std::env::var_os("PATH").unwrap();
    let paths = std::iter::once(binary().parent().unwrap().to_owned()).chain(std::env::split_paths(&path));
    let mut shell = Command::new("sh");
    shell.args(["-exc", script]).current_dir(within);
    shell.env("PATH", std::env::join_paths(paths).unwrap()).env_remove("ATTORN_TOKEN");
    let output = shell.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, said) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{out}{said}");
    out
}
