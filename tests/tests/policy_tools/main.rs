//! What whoever writes a policy does without a server: `attorn policy new`, `build`, `test`, `inspect`, `run`, `sign`,
//! `publish` and `pull`.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod c;
mod dev;
mod go;
mod opa;
mod python;
mod registry;
mod text;
mod try_out;
mod typescript;
mod walk;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use attorn_tests::components;
use attorn_tests::process::binary;
use serde_json::Value;
use tempfile::TempDir;

const SETTINGS: &str = r#"{"allow":[{"actions":["faq.read"],"resource_types":["article"]}]}"#;

/// A policy's directory, with the component that is built of `read-only`.
fn directory(cases: &[(&str, &str)]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("policy.wasm"), components::bytes("read-only")).unwrap();
    fs::create_dir(directory.path().join("cases")).unwrap();
    for (name, text) in cases {
        fs::write(directory.path().join("cases").join(name), text).unwrap();
    }
    directory
}

fn cases(verdict: &str, reason: &str) -> String {
    format!(
        r#"{{"version":1,"settings":{SETTINGS},"cases":[{{"name":"reading","context":{{"request":{{"action":"faq.read",
"resource":"article/42"}}}},"expect":{{"verdict":"{verdict}","reasons":["{reason}"]}}}}]}}"#
    )
}

/// Without anything in the environment that leads to a server.
fn attorn(directory: &Path, arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(binary());
    command.args(["policy"]).args(arguments).current_dir(directory).env_remove("ATTORN_TOKEN").env_remove("ATTORN_URL");
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[track_caller]
fn refused(directory: &Path, arguments: &[&str], code: i32, error: &str, help: &str) {
    let (ended, out, said) = attorn(directory, arguments);
    assert_eq!((ended, out.as_str()), (code, ""), "{arguments:?}: {said}");
    assert!(said.contains(error) && said.contains(help), "{arguments:?}: {said}");
    assert_eq!(said.contains("help: "), !help.is_empty(), "{arguments:?}: {said}");
}

#[test]
fn cases_that_cannot_be_run_are_told_apart_from_those_that_fail() {
    let unknown = cases("allow", "listed").replace("\"name\"", "\"title\"");
    for (file, text, error) in [
        ("notes.txt", "", "there is no case in `./cases`"),
        ("a.json", "{", "a.json`: EOF"),
        ("a.json", unknown.as_str(), "unknown field `title`"),
        ("a.yaml", "version: 1\nversion: 1\n", "a.yaml`: "),
    ] {
        let directory = directory(&[(file, text)]);
        refused(directory.path(), &["test"], 1, error, "cases");
    }
    let directory = directory(&[("a.json", &cases("allow", "listed"))]);
    refused(directory.path(), &["test", "nowhere"], 1, "cannot read `nowhere/policy.wasm`", "");
    refused(directory.path(), &["test", "--component", "cases/a.json"], 1, "is no component", "component");
    fs::remove_file(directory.path().join("policy.wasm")).unwrap();
    refused(directory.path(), &["test"], 1, "there is no `./policy.wasm`", "--component FILE");
}

#[test]
fn what_came_is_shown_reported_and_taken_over() {
    let directory =
        directory(&[("a.json", &cases("deny", "action_not_listed")), ("b.json", &cases("allow", "listed"))]);
    let (code, out, _) = attorn(directory.path(), &["test", "--junit", "cases.xml"]);
    assert_eq!(code, 7, "{out}");
    assert!(out.contains("verdict: expected \"deny\", got \"allow\""), "{out}");
    assert!(out.contains("came to: allow 2, challenge 0, deny 0"), "{out}");
    assert!(out.contains("reasons: 1 of 4 given; never: action_not_listed, "), "{out}");
    assert!(out.ends_with("2 cases, 1 failed\n"), "{out}");
    let xml = fs::read_to_string(directory.path().join("cases.xml")).unwrap();
    assert!(xml.contains("tests=\"2\" skipped=\"0\" failures=\"1\""), "{xml}");

    let (code, out, _) = attorn(directory.path(), &["test", "--json"]);
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &report["passed"], &report["cases"][0]["passed"]), (7, &false.into(), &false.into()));
    assert_eq!(report["cases"][0]["said"]["verdict"], "allow");
    assert!(report["cases"][1]["cost"]["fuel"].as_u64().unwrap() > 0);

    let (code, out, _) = attorn(directory.path(), &["test", "--update"]);
    assert_eq!(code, 0, "{out}");
    assert!(out.ends_with("rewrote reading in a.json\n"), "{out}");
    let (code, out, _) = attorn(directory.path(), &["test"]);
    assert_eq!(code, 0, "{out}");
    assert_eq!(fs::read_dir(directory.path().join("cases")).unwrap().count(), 2);
}

#[test]
fn two_components_are_compared_on_cases() {
    let directory = directory(&[("a.json", &cases("allow", "listed"))]);
    let refused = |arguments: &[&str], code, error: &str, help: &str| {
        refused(directory.path(), &[&["diff"], arguments].concat(), code, error, help);
    };
    refused(&["policy.wasm", "--on", "cases"], 2, "takes two components", "released.wasm");
    refused(&["policy.wasm", "policy.wasm", "x", "--on", "cases"], 2, "takes two components", "released.wasm");
    refused(&["policy.wasm", "policy.wasm", "--on", "cases", "--since", "1h"], 2, "filters are for", "");
    refused(&["policy.wasm", "none.wasm", "--on", "cases"], 1, "cannot read `none.wasm`", "");
    refused(&["policy.wasm", "policy.wasm", "--on", "cases", "--cases", "none"], 1, "cannot read `none`", "cases");

    let diff = |[a, b]: [&str; 2], more: &[&str]| {
        let [a, b] = [components::path(a), components::path(b)];
        let arguments = ["diff", a.to_str().unwrap(), b.to_str().unwrap(), "--on", "cases"];
        let (code, out, said) = attorn(directory.path(), &[&arguments[..], more].concat());
        assert_eq!(code, 0, "{a:?} {b:?}: {out}{said}");
        out
    };
    assert_eq!(diff(["read-only"; 2], &[]), "1 cases, 0 differ\n");
    let out = diff(["read-only", "trap"], &[]);
    assert!(out.contains("trap.wasm: { \"init_error\": \"settings: "), "{out}");
    fs::write(directory.path().join("cases/a.json"), cases("deny", "none").replace(SETTINGS, "{}")).unwrap();
    let out = diff(["abstain", "trap"], &[]);
    assert!(
        out.starts_with("a.json: reading\n") && out.contains("abstain.wasm: { \"verdict\": \"abstain\" }\n"),
        "{out}"
    );
    assert!(out.contains("trap.wasm: { \"failure\": \"trap\" }\n1 cases, 1 differ\n"), "{out}");
    let said: Value = serde_json::from_str(&diff(["abstain", "trap"], &["--json"])).unwrap();
    assert_eq!((&said["differ"], &said["cases"][0]["b"]["said"]["failure"]), (&1.into(), &"trap".into()));
    assert_eq!(said["cases"][0]["differences"][0], serde_json::json!({ "member": "failure", "a": null, "b": "trap" }));

    // A case that gives what one of the two does not ask for is answered by the other alone.
    let with_fact = cases("allow", "listed").replace("\"request\"", "\"facts\":{\"x\":1},\"request\"");
    fs::write(directory.path().join("cases/a.json"), with_fact).unwrap();
    let out = diff(["read-only"; 2], &[]);
    assert!(out.ends_with("1 cases, 0 differ, 1 cannot be asked\n"), "{out}");
}

#[test]
fn evaluations_are_timed_beside_a_policy_that_does_nothing() {
    let only_settings =
        r#"{"version":1,"cases":[{"name":"none","settings":{"allow":[]},"expect":{"init_error":"empty"}}]}"#;
    let directory = directory(&[("a.json", only_settings)]);
    refused(directory.path(), &["bench"], 1, "no case in `./cases` has a context", "CASES.md");
    refused(directory.path(), &["bench", "--rounds", "0"], 2, "0 is not in 1..=1000000", "");
    refused(directory.path(), &["bench", "nowhere"], 1, "cannot read `nowhere/policy.wasm`", "");

    fs::write(directory.path().join("cases/b.json"), cases("allow", "listed")).unwrap();
    let (code, out, said) = attorn(directory.path(), &["bench", "--rounds", "5"]);
    assert_eq!(code, 0, "{out}{said}");
    assert!(out.ends_with("b.json  reading\nmicroseconds; 5 rounds of each case, 1 cases\n"), "{out}");
    let (code, out, _) = attorn(directory.path(), &["bench", "--rounds", "5", "--json"]);
    let measured: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &measured["rounds"], &measured["cases"][0]["snapshot"]), (0, &5.into(), &true.into()));
    for side in ["policy", "reference"] {
        let of = |name: &str| measured["cases"][0][side][name].as_f64().unwrap();
        assert!(of("p50_us") > 0.0 && of("p50_us") <= of("p99_us"), "{out}");
    }
}

#[test]
fn a_component_is_looked_at_and_a_foreign_one_refused() {
    let directory = directory(&[]);
    let (code, out, _) = attorn(directory.path(), &["inspect", "policy.wasm", "--json"]);
    let look: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &look["world"]), (0, &"attorn:policy/policy-component@0.1.0".into()));
    assert_eq!(look["settings_schema"]["$schema"], "https://json-schema.org/draft/2020-12/schema");
    let (code, out, _) = attorn(directory.path(), &["inspect", "policy.wasm"]);
    assert!(code == 0 && out.contains("\nworld     attorn:policy/policy-component@0.1.0\n"), "{out}");

    let wasi = wat::parse_str(r#"(component (import "wasi:clocks/wall-clock@0.2.0" (instance)))"#).unwrap();
    fs::write(directory.path().join("wasi.wasm"), wasi).unwrap();
    refused(directory.path(), &["inspect", "wasi.wasm"], 1, "it imports `wasi:clocks/wall-clock@0.2.0`", "no clock");
    let whole = components::bytes("read-only");
    fs::write(directory.path().join("cut.wasm"), &whole[..whole.len() / 2]).unwrap();
    refused(
        directory.path(),
        &["inspect", "cut.wasm"],
        1,
        "failed the step `parse`",
        "build a component: `attorn policy build`",
    );
    refused(directory.path(), &["inspect", "none.wasm"], 1, "cannot read `none.wasm`", "");
}

#[test]
fn one_context_is_asked_about_and_the_exit_code_says_what_came() {
    let directory = directory(&[]);
    let context = |action: &str| format!(r#"{{"request":{{"action":"{action}","resource":"article/42"}}}}"#);
    fs::write(directory.path().join("read.json"), context("faq.read")).unwrap();
    fs::write(directory.path().join("write.json"), context("faq.write")).unwrap();
    fs::write(directory.path().join("c.yaml"), "request: { action: faq.read, resource: article/42 }\n").unwrap();
    let run = |file: &str, more: &[&str]| {
        let arguments = ["run", "policy.wasm", "--settings", SETTINGS, "--context", file];
        attorn(directory.path(), &[&arguments[..], more].concat())
    };
    let (code, out, _) = run("read.json", &[]);
    assert!(code == 0 && out.starts_with(r#"{ "verdict": "allow", "reasons": ["listed"]"#), "{out}");
    assert_eq!(run("c.yaml", &[]).0, 0);
    let (code, out, _) = run("write.json", &["--explain"]);
    assert_eq!(code, 3);
    assert!(out.contains("\ndeclares  listed (public): ") && out.contains("\nused      fuel "), "{out}");
    let (code, out, _) = run("write.json", &["--explain", "--json"]);
    let answer: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &answer["said"]["verdict"]), (3, &"deny".into()));
    assert!(answer["fuel"].as_u64().unwrap() > 0);
    // What traps denies; what has nothing to say is no yes.
    for (guest, code) in [("trap", 3), ("abstain", 6), ("challenge", 4)] {
        let component = components::path(guest);
        let arguments = ["run", component.to_str().unwrap(), "--context", "read.json"];
        let (ended, out, said) = attorn(directory.path(), &arguments);
        assert_eq!(ended, code, "{guest}: {out}{said}");
    }

    fs::write(directory.path().join("odd.json"), r#"{"request":{"action":"a"}}"#).unwrap();
    let run = |more: &[&'static str]| [&["run", "policy.wasm"], more].concat();
    let refused = |more: &[&'static str], code, error, help| refused(directory.path(), &run(more), code, error, help);
    refused(&["--context", "read.json"], 1, "the policy rejects its settings", "README");
    refused(&["--context", "odd.json", "--settings", SETTINGS], 1, "context: missing field", "CASES.md");
    refused(&["--context", "none.json", "--settings", SETTINGS], 1, "cannot read `none.json`", "");
    refused(&["--context", "read.json", "--settings", "{"], 2, "the settings are no JSON", "");
}

#[test]
fn a_name_that_leads_elsewhere_makes_nothing_and_nothing_is_overwritten() {
    let home = tempfile::tempdir().unwrap();
    for name in ["../x", "/tmp/x", "A", "a b"] {
        refused(home.path(), &["new", name, "--lang", "rust"], 2, "is no name for a policy", "such as");
    }
    refused(home.path(), &["new", "x", "--lang", "cobol"], 2, "invalid value 'cobol'", "");
    refused(home.path(), &["new", "x", "--lang", "rust", "--sdk", "."], 1, "`.` is not the SDK", "sdk/policy/rust");
    refused(home.path(), &["build"], 1, "holds no policy that can be built", "attorn policy new NAME");
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);

    let (code, out, _) = attorn(home.path(), &["new", "listed-actions", "--lang", "rust"]);
    assert_eq!((code, out.as_str()), (0, "made listed-actions\n"));
    assert!(home.path().join("listed-actions/cases/decisions.json").is_file());
    refused(
        home.path(),
        &["new", "listed-actions", "--lang", "rust"],
        1,
        "something at `./listed-actions`",
        "another name",
    );
    let fresh = home.path().join("listed-actions");
    refused(&fresh, &["test"], 1, "there is no `./policy.wasm`", "attorn policy build");
    let (code, out, _) = attorn(home.path(), &["doctor", "--lang", "rust"]);
    assert!(code == 0 && out.contains("wasm32-unknown-unknown"), "{out}");
}

/// A directory with a component, a key and a signature.
fn signed() -> TempDir {
    let directory = directory(&[]);
    for arguments in [&["new-key", "release.key"][..], &["sign", "policy.wasm", "--key", "release.key"]] {
        let (code, out, said) = attorn(directory.path(), arguments);
        assert_eq!(code, 0, "{arguments:?}: {out}{said}");
    }
    directory
}

#[test]
fn keys_are_never_overwritten_and_open_for_whoever_has_the_password() {
    let directory = directory(&[]);
    let (at, write) =
        (directory.path(), |name: &str, text: &str| fs::write(directory.path().join(name), text).unwrap());
    write("empty.txt", "\nsecond");
    write("password.txt", "open sesame\nsecond");
    write("wrong.txt", "open wheat\n");
    write("taken.pub", "mine");
    write("half", "mine");
    refused(at, &["new-key", "taken"], 1, "cannot write `taken.pub`", "never overwritten");
    refused(at, &["new-key", "half"], 1, "cannot write `half`", "never overwritten");
    refused(at, &["new-key", "nowhere/key"], 1, "cannot write `nowhere/key.pub`", "directory");
    refused(
        at,
        &["new-key", "x", "--password-file", "empty.txt"],
        2,
        "first line of `empty.txt` is empty",
        "that line",
    );
    for (name, there) in [("taken", false), ("half.pub", false), ("x", false), ("x.pub", false)] {
        assert_eq!(at.join(name).exists(), there, "{name}");
    }
    assert_eq!(fs::read_to_string(at.join("taken.pub")).unwrap(), "mine");

    let (code, out, _) = attorn(at, &["new-key", "locked.key", "--password-file", "password.txt"]);
    assert!(code == 0 && out.starts_with("made locked.key and locked.key.pub\npublic key  RW"), "{out}");
    assert_eq!(fs::metadata(at.join("locked.key")).unwrap().permissions().mode() & 0o777, 0o600);
    let sign = |more: &[&'static str]| [&["sign", "policy.wasm", "--key"], more].concat();
    let refused = |more: &[&'static str], error, help| refused(at, &sign(more), 1, error, help);
    refused(&["locked.key"], "it is encrypted", "--password-file FILE");
    refused(&["locked.key", "--password-file", "wrong.txt"], "the password is not that of this key", "");
    refused(&["locked.key.pub"], "it is no secret key of minisign", "new-key");
    refused(&["none.key"], "cannot read `none.key`", "");
    for (mode, error) in [
        (0o640, "read or written by others: its mode is 640"),
        (0o604, "read or written by others: its mode is 604"),
        (0o660, "read or written by others: its mode is 660"),
        (0o644, "read or written by others: its mode is 644"),
    ] {
        fs::set_permissions(at.join("locked.key"), fs::Permissions::from_mode(mode)).unwrap();
        refused(&["locked.key", "--password-file", "password.txt"], error, "`chmod 600 locked.key`");
    }
    fs::set_permissions(at.join("locked.key"), fs::Permissions::from_mode(0o400)).unwrap();
    assert!(!at.join("policy.wasm.minisig").exists());
    let (code, out, said) = attorn(at, &sign(&["locked.key", "--password-file", "password.txt"]));
    assert_eq!(code, 0, "{out}{said}");
}

#[test]
fn what_is_no_policy_is_not_signed() {
    let directory = signed();
    let wasi = wat::parse_str(r#"(component (import "wasi:clocks/wall-clock@0.2.0" (instance)))"#).unwrap();
    fs::write(directory.path().join("wasi.wasm"), wasi).unwrap();
    fs::write(directory.path().join("script"), "#!/bin/sh").unwrap();
    let refused =
        |file, error, help| refused(directory.path(), &["sign", file, "--key", "release.key"], 1, error, help);
    refused("wasi.wasm", "it imports `wasi:clocks/wall-clock@0.2.0`", "no clock");
    refused("script", "is no component", "component");
    assert!(!directory.path().join("wasi.wasm.minisig").exists());
}

#[test]
fn a_signature_is_of_one_key_and_these_bytes() {
    let directory = signed();
    let (at, path) = (directory.path(), |name: &str| directory.path().join(name));
    let verify = |more: &[&'static str]| [&["verify", "policy.wasm"], more].concat();
    let no = |more: &[&'static str], code, error, help| refused(at, &verify(more), code, error, help);
    assert_eq!(attorn(at, &["new-key", "other.key"]).0, 0);
    no(&["--public-key", "other.key.pub"], 5, "it is of the key `", "");
    fs::copy(path("policy.wasm"), path("unsigned.wasm")).unwrap();
    let unsigned = ["verify", "unsigned.wasm", "--public-key", "release.key.pub"];
    let help = "attorn policy sign unsigned.wasm --key FILE";
    refused(at, &unsigned, 5, "`unsigned.wasm` is not signed: there is no `unsigned.wasm.minisig`", help);
    no(&["--public-key", "policy.wasm.minisig"], 2, "it is no public key of minisign", ".pub");
    no(&["--public-key", "release.key"], 2, "it is a secret key", ".pub");
    no(&["--public-key", "RWabc"], 2, "what was given is no public key", ".pub");
    no(&["--public-key", "none.pub"], 1, "cannot read `none.pub`", "");
    let signature = fs::read_to_string(path("policy.wasm.minisig")).unwrap();
    fs::write(path("cut.minisig"), &signature[..signature.len() - 10]).unwrap();
    fs::write(path("odd.minisig"), [0xff; 64]).unwrap();
    fs::write(path("long.minisig"), "x".repeat(9 << 10)).unwrap();
    fs::write(path("other.minisig"), signature.replace("file:policy.wasm", "file:another.wasm")).unwrap();
    for (file, code, error) in [
        ("cut.minisig", 5, "or is cut off"),
        ("odd.minisig", 5, "it is no signature of minisign"),
        ("long.minisig", 1, "has more than 8192 bytes"),
        ("other.minisig", 5, "or its trusted comment was changed"),
        ("none.minisig", 1, "cannot read `none.minisig`"),
    ] {
        no(&["--public-key", "release.key.pub", "--signature", file], code, error, "");
    }

    let (code, out, said) = attorn(at, &verify(&["--public-key", "release.key.pub"]));
    assert!(code == 0 && out.starts_with("verified ") && out.contains("  file:policy.wasm  blake3:"), "{out}{said}");
    assert!(!out.contains("\\t"), "{out}");
    let key = fs::read_to_string(path("release.key.pub")).unwrap();
    let (code, out, _) = attorn(at, &["verify", "policy.wasm", "--json", "--public-key", key.lines().nth(1).unwrap()]);
    let said: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &said["verified"]), (0, &true.into()));
    let digest = said["digest"].as_str().unwrap();
    assert!(said["trusted_comment"].as_str().unwrap().ends_with(&format!("\tfile:policy.wasm\tblake3:{digest}")));

    let mut bytes = components::bytes("read-only");
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(path("policy.wasm"), bytes).unwrap();
    no(&["--public-key", "release.key.pub"], 5, "it is not of these bytes", "");
}
