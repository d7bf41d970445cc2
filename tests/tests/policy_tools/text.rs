//! Policies in Cedar and Rego: from `new` to a denied request. They need the plugins, and no other tool.

use std::fs;
use std::path::Path;
use std::process::Command;

use attorn_tests::process::binary;
use attorn_tests::{World, components};
use serde_json::Value;
use tempfile::TempDir;

use super::dev::{Dev, change};
use super::walk::{first_policy, said, shell};
use super::{attorn, refused};

const LANGUAGES: [&str; 2] = ["cedar", "rego"];

/// A project of the template, in a directory of its own.
fn project(language: &str) -> TempDir {
    let home = tempfile::tempdir().unwrap();
    let (code, out, said) = attorn(home.path(), &["new", "listed-actions", "--lang", language]);
    assert_eq!((code, out.as_str()), (0, "made listed-actions\n"), "{said}");
    home
}

fn build(project: &Path) -> Value {
    let (code, out, said) = attorn(project, &["build", "--json"]);
    assert_eq!(code, 0, "{out}{said}");
    serde_json::from_str(&out).unwrap()
}

/// The project's own README, but for its last line, which needs a server.
#[test]
fn what_the_readme_of_a_new_project_says_works() {
    for language in LANGUAGES {
        let home = project(language);
        let project = home.path().join("listed-actions");
        let readme = fs::read_to_string(project.join("README.md")).unwrap();
        let block = readme.split("```console\n").nth(1).unwrap().split("```").next().unwrap();
        let (local, push) = block.trim_end().rsplit_once("\n$ ").unwrap();
        assert!(push.starts_with("attorn policy push listed-actions --component policy.wasm --settings settings.json"));
        let output = shell(&project, "127.0.0.1:1", local);
        assert!(output.status.success(), "{}", said(&output));
        for words in ["and   ./settings.json\n", " cases, 0 failed\n", "\"verdict\": \"allow\""] {
            assert!(said(&output).contains(words), "{words}: {}", said(&output));
        }
        assert_eq!(said(&output).contains("2 tests, 0 failed\n"), language == "rego", "{}", said(&output));
        // All that it names is there, and what a build makes is kept out of a repository.
        for name in readme.split("\n- `").skip(1).map(|rest| rest.split('`').next().unwrap()) {
            assert!(project.join(name).exists(), "{name}");
        }
        let ignored = fs::read_to_string(project.join(".gitignore")).unwrap();
        assert_eq!(ignored, "/policy.wasm\n/settings.json\n");
    }
}

/// The component is the plugin as everybody has it, and the same project gives the same bytes.
#[test]
fn what_is_built_is_the_plugin_and_the_text() {
    for language in LANGUAGES {
        let (one, other) = (project(language), project(language));
        let [one, other] = [&one, &other].map(|home| home.path().join("listed-actions"));
        let (made, again) = (build(&one), build(&other));
        assert_eq!(made, again);
        assert_eq!(fs::read(one.join("policy.wasm")).unwrap(), components::bytes(language));
        let settings = [&one, &other].map(|project| fs::read_to_string(project.join("settings.json")).unwrap());
        assert_eq!(settings[0], settings[1]);
        assert_eq!((&made["settings"], &made["built"]["language"]), (&"./settings.json".into(), &language.into()));
        let (code, out, said) = attorn(&one, &["test"]);
        assert!(code == 0 && out.contains(" cases, 0 failed\n"), "{out}{said}");
        let (code, out, said) = attorn(&one, &["bench", "--rounds", "20"]);
        assert!(code == 0 && out.contains("a listed action is allowed"), "{out}{said}");
        // However it is named.
        let link = other.parent().unwrap().join("link");
        std::os::unix::fs::symlink(&one, &link).unwrap();
        for named in [&one, &link] {
            let (code, out, said) = attorn(&other, &["build", "--json", named.to_str().unwrap()]);
            let again: Value = serde_json::from_str(&out).unwrap();
            assert_eq!((code, &again["digest"], &again["built"]), (0, &made["digest"], &made["built"]), "{said}");
        }
        // What is wrong in the text is said with its line when the cases run.
        let (text, place) =
            if language == "cedar" { ("policy.cedar", "line 19") } else { ("policy/listed.rego", "listed.rego:9:10") };
        let written = fs::read_to_string(one.join(text)).unwrap();
        fs::write(one.join(text), written + "\nnonsense(\n").unwrap();
        build(&one);
        let (code, out, said) = attorn(&one, &["test"]);
        assert!(code == 7 && out.contains(place), "{out}{said}");
    }
}

#[test]
fn what_is_missing_is_named_with_what_gets_it() {
    let home = tempfile::tempdir().unwrap();
    for language in LANGUAGES {
        let (code, out, _) = attorn(home.path(), &["doctor", "--lang", language]);
        let plugin = format!("wasm/components/{language}.wasm");
        assert!(code == 0 && out.contains("adapter") && out.contains(&plugin) && !out.contains("cargo"), "{out}");
        // A program that lies elsewhere has none beside it, until somebody puts one there.
        let elsewhere = tempfile::tempdir().unwrap();
        let program = elsewhere.path().join("attorn");
        fs::copy(binary(), &program).unwrap();
        let run = |arguments: &[&str]| {
            let output =
                Command::new(&program).arg("policy").args(arguments).current_dir(home.path()).output().unwrap();
            (output.status.code(), said(&output))
        };
        let (code, told) = run(&["doctor", "--lang", language]);
        assert!(code == Some(1) && told.contains("missing: in Attorn's sources: `cargo xtask components`"), "{told}");
        let (code, told) = run(&["new", "x", "--lang", language]);
        assert!(told.contains(&format!("there is no adapter for `{language}` beside this program")), "{told}");
        assert!(code == Some(1) && told.contains("--sdk FILE") && !home.path().join("x").exists(), "{told}");
        fs::create_dir(elsewhere.path().join("components")).unwrap();
        fs::copy(components::path(language), elsewhere.path().join("components").join(format!("{language}.wasm")))
            .unwrap();
        assert_eq!(run(&["doctor", "--lang", language]).0, Some(0));
        assert_eq!(run(&["new", language, "--lang", language]).0, Some(0));
        // An old adapter is used, and said to be one.
        let (code, told) = run(&["build", language]);
        assert!(code == Some(0) && !told.contains("another adapter"), "{told}");
        let vendored = home.path().join(language).join("vendor").join(format!("{language}.wasm"));
        fs::copy(components::path("abstain"), vendored).unwrap();
        let (code, told) = run(&["build", language]);
        let another = format!("`vendor/{language}.wasm` is another adapter than `");
        assert!(code == Some(0) && told.contains(&another), "{told}");
        // What `new` would not take, `doctor` does not find.
        let beside = elsewhere.path().join("components").join(format!("{language}.wasm"));
        fs::write(&beside, "no component").unwrap();
        assert_eq!(run(&["doctor", "--lang", language]).0, Some(1));
        let (code, told) = run(&["new", "x", "--lang", language]);
        assert!(code == Some(1) && told.contains("it does not begin as WebAssembly does"), "{told}");
        fs::remove_file(&beside).unwrap();
        std::os::unix::fs::symlink(components::path(language), &beside).unwrap();
        assert_eq!(run(&["doctor", "--lang", language]).0, Some(0));
        assert_eq!(run(&["new", &format!("{language}-again"), "--lang", language]).0, Some(0));
        let sdk = ["new", "x", "--lang", language, "--sdk", "."];
        refused(home.path(), &sdk, 1, "is not the SDK of this language", &format!("plugins/{language}"));
    }
}

/// What a build makes wakes nobody, and what somebody writes is built, tried and put in force.
#[tokio::test(flavor = "multi_thread")]
async fn each_change_of_a_text_is_built_and_put_in_force() {
    let home = project("cedar");
    let project = home.path().join("listed-actions");
    let world = World::without_policy().await;
    let server = [("ATTORN_URL", world.reach.url.as_str()), ("ATTORN_TOKEN", world.staff.policy_admin.token.as_str())];
    let dev = Dev::start(&project, &["--activate", "listed-actions", "--settings", "settings.json"], &server);
    let first = dev.round();
    assert_eq!((&first["number"], &first["cases"]["failed"]), (&1.into(), &0.into()), "{first}");
    assert_eq!(first["activated"]["changes"][0]["version"], 1, "{first}");
    change(&project.join("policy.cedar"), "Action::\"faq.read\"]", "Action::\"faq.read\", Action::\"faq.delete\"]");
    let second = dev.round();
    assert_eq!((&second["number"], &second["cases"]["failed"]), (&2.into(), &1.into()), "{second}");
    assert_eq!(second["component"], first["component"]);
    fs::write(project.join("more.cedar"), "").unwrap();
    let third = dev.round();
    assert!(third["error"].as_str().unwrap().contains("more.cedar`: it would not be in force"), "{third}");
    assert_eq!((&third["number"], dev.end()), (&3.into(), 0));
}

/// All of what the README says, in both.
#[tokio::test]
async fn what_the_readme_says_of_a_first_policy_in_cedar_works() {
    first_policy("Cedar or Rego", "cedar", &["5 cases, 0 failed\n", "settings.json\n"], "no_permit").await;
}

#[tokio::test]
async fn what_the_readme_says_of_a_first_policy_in_rego_works() {
    first_policy("Cedar or Rego", "rego", &["4 cases, 0 failed\n", "settings.json\n"], "not_allowed").await;
}
