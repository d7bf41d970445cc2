//! Policies in Go: from `new` to a denied request, and the traps that a build tells about. They need Go, and no registry.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use attorn_tests::process::binary;
use tempfile::TempDir;

use super::walk::{files, first_policy, root, said};
use super::{attorn, refused};

const LACKING: &str = "leave it out; the README of the SDK says";
const COMPILES: &str = "the lines above say where it is wrong";

/// A project of the template, in a directory of its own.
fn project() -> TempDir {
    let home = tempfile::tempdir().unwrap();
    let (code, out, said) = attorn(home.path(), &["new", "listed-actions", "--lang", "go"]);
    assert_eq!((code, out.as_str()), (0, "made listed-actions\n"), "{said}");
    home
}

/// Another policy in it: these imports, this at its top, and this in its `Evaluate`.
fn write(project: &Path, imports: &str, top: &str, evaluate: &str) {
    let text = format!(
        "package policy\n\nimport (\n\tattorn \"attorn-policy\"\n{imports}\n)\n\ntype Settings struct{{}}\n{top}\n\
         var Policy = attorn.Policy[Settings]{{Name: \"x\", Version: \"0.1.0\", Evaluate: evaluate}}\n\n\
         func evaluate(ctx *attorn.Context, settings *Settings) (attorn.Verdict, error) {{\n{evaluate}\n}}\n"
    );
    fs::write(project.join("policy.go"), text).unwrap();
}

#[test]
fn what_a_policy_cannot_have_is_said_when_it_is_built() {
    let home = project();
    let project = home.path().join("listed-actions");
    fs::write(project.join("policy.wasm"), "before").unwrap();
    for (imports, evaluate, said, help) in [
        ("\"math/rand/v2\"", "_ = rand.Int(); return attorn.Allow(), nil", "no source of random numbers", LACKING),
        ("\"crypto/rand\"", "rand.Read(nil); return attorn.Allow(), nil", "no source of random numbers", LACKING),
        ("\"os\"", "os.Getenv(\"HOME\"); return attorn.Allow(), nil", "a policy has no files", LACKING),
        ("\"os/exec\"", "exec.Command(\"x\").Run(); return attorn.Allow(), nil", "a policy has no files", LACKING),
        ("\"net/http\"", "http.Get(\"x\"); return attorn.Allow(), nil", "a policy has no network", LACKING),
        ("\"log\"", "log.Print(1); return attorn.Allow(), nil", "nobody reads what a policy prints", LACKING),
        ("", "return attorn.Allow().Debit(1), nil", "\npolicy.go:13:", COMPILES),
        ("", "", "missing return", COMPILES),
        ("\"github.com/a/b\"", "b.B(); return attorn.Allow(), nil", "github.com/a/b", COMPILES),
    ] {
        write(&project, imports, "", evaluate);
        refused(&project, &["build"], 1, said, help);
    }
    fs::write(project.join("policy.go"), "package policy\n").unwrap();
    refused(&project, &["build"], 1, "undefined: policy.Policy", COMPILES);
    // A package of the project's own counts as it does.
    write(&project, "\"listed-actions-policy/deeper\"", "", "return attorn.Allow(), deeper.Err");
    fs::create_dir(project.join("deeper")).unwrap();
    fs::write(project.join("deeper/deeper.go"), "package deeper\n\nimport \"os\"\n\nvar Err error = os.ErrExist\n")
        .unwrap();
    refused(&project, &["build"], 1, "`listed-actions-policy/deeper` imports `os`", LACKING);
    assert_eq!(fs::read_to_string(project.join("policy.wasm")).unwrap(), "before", "a component is left as it was");
    fs::remove_file(project.join("go.mod")).unwrap();
    refused(&project, &["build"], 1, "holds no policy", "go");
}

#[test]
fn a_strangers_project_runs_writes_and_reads_nothing_but_its_own() {
    let home = project();
    let project = home.path().join("listed-actions");
    let victim = home.path().join("victim");
    fs::create_dir(&victim).unwrap();
    fs::write(victim.join("victim.go"), "package victim\n\nconst Secret = \"mine\"\n").unwrap();
    fs::write(victim.join("go.mod"), "module victim\n").unwrap();
    // What would run, or count, if Go was asked as usual.
    let tool = project.join("tool");
    fs::write(&tool, format!("#!/bin/sh\ntouch {}\nexec \"$@\"\n", victim.join("ran").display())).unwrap();
    fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(home.path().join("go.work"), "go 1.25\n\nuse ./victim\n").unwrap();
    fs::write(project.join("go.work"), "go 1.25\n\nuse ../victim\n").unwrap();
    fs::create_dir(project.join("vendor")).unwrap();
    fs::write(project.join("vendor/modules.txt"), "# odd\n").unwrap();
    let policy = fs::read_to_string(project.join("policy.go")).unwrap();
    let generate = "//go:generate ./tool\n//go:debug panicnil=1\n".to_owned() + &policy;
    fs::write(project.join("policy.go"), generate).unwrap();
    let before = files(home.path());
    let flags = [
        ("GOFLAGS", format!("-toolexec={}", tool.display())),
        ("GOENV", project.join("env").display().to_string()),
        ("GOROOT", victim.display().to_string()),
        ("CC", tool.display().to_string()),
    ];
    fs::write(project.join("env"), format!("GOFLAGS=-toolexec={}\n", tool.display())).unwrap();
    let build = Command::new(binary()).args(["policy", "build"]).current_dir(&project).envs(flags).output().unwrap();
    assert!(build.status.success(), "{}", said(&build));
    let mut after = files(home.path());
    after.retain(|name| !["listed-actions/policy.wasm", "listed-actions/env"].contains(&name.as_str()));
    assert_eq!(after, before, "a build wrote elsewhere, or ran something");
    fs::write(project.join("policy.go"), &policy).unwrap();

    let manifest = fs::read_to_string(project.join("go.mod")).unwrap();
    for (more, said) in [
        ("\nrequire victim v0.0.0\n\nreplace victim => ../victim\n", "`victim` is not taken"),
        ("\nreplace fmt => ../victim\n", "is not understood here"),
        ("\ntool example.com/x\n", "is not understood here"),
        ("\ngodebug default=go1.21\n", "is not understood here"),
    ] {
        fs::write(project.join("go.mod"), format!("{manifest}{more}")).unwrap();
        refused(&project, &["build"], 1, said, "");
    }
    let other = manifest.replace("./third_party/attorn-policy", "../victim");
    fs::write(project.join("go.mod"), other).unwrap();
    refused(&project, &["build"], 1, "victim/go.mod`: it is not the SDK's", "");
    fs::write(project.join("go.mod"), &manifest).unwrap();

    let secret = victim.join("victim.go");
    symlink(&secret, project.join("link.go")).unwrap();
    refused(&project, &["build"], 1, "link.go`: it is no plain file", "");
    fs::remove_file(project.join("link.go")).unwrap();
    for name in ["policy.s", "policy.c", "policy.syso"] {
        fs::write(project.join(name), format!("#include \"{}\"\n", secret.display())).unwrap();
        refused(&project, &["build"], 1, "only Go is compiled", "");
        fs::remove_file(project.join(name)).unwrap();
    }
    for embed in ["../victim/victim.go".to_owned(), secret.display().to_string()] {
        write(&project, "_ \"embed\"", &format!("//go:embed {embed}\nvar secret string"), "return attorn.Allow(), nil");
        refused(&project, &["build"], 1, "invalid pattern syntax", "the lines above");
    }
    write(&project, "\"victim\"", "", "return attorn.Allow(), nil");
    refused(&project, &["build"], 1, "victim", "the lines above");
}

#[test]
fn what_goes_wrong_in_a_decision_denies_and_nothing_is_left_for_the_next() {
    const FAILS: &str = r#""failure":"policy_error""#;
    const TRAPS: &str = r#""failure":"trap""#;
    const ALLOWS: &str = r#""verdict":"allow""#;
    const WAYS: [(&str, &str, &str); 12] = [
        ("clock", "if time.Now().IsZero() { return attorn.Abstain(), nil }; return attorn.Allow(), nil", TRAPS),
        ("sleep", "time.Sleep(time.Millisecond); return attorn.Allow(), nil", TRAPS),
        ("error", "return attorn.Allow(), errors.New(\"odd\")", FAILS),
        ("panic", "panic(\"odd\")", FAILS),
        ("nil", "var none *Settings; _ = *none; return attorn.Allow(), nil", FAILS),
        ("index", "return attorn.Allow().Because(reasons[len(ctx.Request.Action)]), nil", FAILS),
        ("nothing", "return attorn.Verdict{}, nil", FAILS),
        ("undeclared", "return attorn.Allow().Debit(\"spent\", 1, 1), nil", r#""failure":"invalid_verdict""#),
        ("loop", "for { seen++ }", r#""failure":"deadline""#),
        ("log", "attorn.Infof(\"asked by %s\", ctx.Agent.ID); return attorn.Allow(), nil", ALLOWS),
        ("print", "fmt.Println(ctx); return attorn.Allow(), nil", ALLOWS),
        ("again", "if seen++; seen > 1 { return attorn.Abstain(), nil }; return attorn.Allow(), nil", ALLOWS),
    ];
    let home = project();
    let project = home.path().join("listed-actions");
    let ways = WAYS.map(|(name, code, _)| format!("case \"a.{name}\":\n{code}"));
    let evaluate = format!("switch ctx.Request.Action {{\n{}\n}}\nreturn attorn.Allow(), nil", ways.join("\n"));
    let imports = "\"errors\"\n\"fmt\"\n\"time\"";
    write(&project, imports, "var seen int\nvar reasons []attorn.Reason\n", &evaluate);
    let case = |name: &str, action: &str, expect: &str| {
        let context = format!(r#"{{"request":{{"action":"a.{action}","resource":"c/d"}}}}"#);
        format!(r#"{{"name":"{name}","settings":{{}},"context":{context},"expect":{{{expect}}}}}"#)
    };
    let mut cases: Vec<String> = WAYS.iter().map(|(name, _, expect)| case(name, name, expect)).collect();
    cases.push(case("once more", "again", ALLOWS));
    let cases = format!(r#"{{"version":1,"cases":[{}]}}"#, cases.join(","));
    fs::write(project.join("cases/decisions.json"), cases).unwrap();
    let (code, out, said) = attorn(&project, &["build"]);
    assert_eq!(code, 0, "{out}{said}");
    let (code, out, said) = attorn(&project, &["test"]);
    assert!(code == 0 && out.ends_with("13 cases, 0 failed\n"), "{out}{said}");

    // What is asked while packages are initialised would be the same for ever, and is no policy.
    write(&project, "\"time\"", "var begun = time.Now()\n", "_ = begun; return attorn.Allow(), nil");
    let (code, out, said) = attorn(&project, &["build"]);
    assert_eq!(code, 0, "{out}{said}");
    let (code, out, said) = attorn(&project, &["test"]);
    assert!(code != 0, "{out}{said}");
}

#[test]
fn what_is_missing_is_named_with_what_gets_it() {
    let home = project();
    let project = home.path().join("listed-actions");
    let nowhere = tempfile::tempdir().unwrap();
    let build = || {
        let mut command = Command::new(binary());
        let output =
            command.args(["policy", "build"]).current_dir(&project).env("PATH", nowhere.path()).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        said(&output)
    };
    assert!(build().contains("help: Go 1.25 or later is needed: https://go.dev/dl"));
    let go = nowhere.path().join("go");
    fs::write(&go, "#!/bin/sh\necho go version go1.24.9 linux/amd64\n").unwrap();
    fs::set_permissions(&go, fs::Permissions::from_mode(0o755)).unwrap();
    assert!(build().contains("there is no Go of version 1.25 or later here"));

    let (code, out, _) = attorn(home.path(), &["doctor", "--lang", "go"]);
    assert!(code == 0 && out.contains("go version go1.") && !out.contains("cargo"), "{out}");
    let sdk = ["new", "x", "--lang", "go", "--sdk", "."];
    refused(home.path(), &sdk, 1, "`.` is not the SDK", "sdk/policy/go");
}

/// The SDK's own tests and those of a plugin.
#[test]
fn the_sdk_and_a_plugin_pass_their_own_tests() {
    for directory in ["sdk/policy/go", "plugins/spend-limit/go"] {
        for arguments in [["vet", "./..."], ["test", "./..."]] {
            let mut go = Command::new("go");
            let output = go.args(arguments).current_dir(root().join(directory)).output().unwrap();
            assert!(output.status.success(), "{directory}: {}", said(&output));
        }
    }
}

/// The policy that the SDK's README opens with.
#[test]
fn the_policy_of_the_sdks_readme_is_open_in_its_hours() {
    let home = project();
    let project = home.path().join("listed-actions");
    let readme = fs::read_to_string(root().join("sdk/policy/go/README.md")).unwrap();
    let sample = readme.split("```go\n").nth(1).unwrap().split("```").next().unwrap();
    fs::write(project.join("policy.go"), sample).unwrap();
    let case = |name: &str, time: u64, expect: &str| {
        let context = format!(r#"{{"time_ms":{time},"request":{{"action":"faq.read","resource":"article/42"}}}}"#);
        format!(r#"{{"name":"{name}","context":{context},"expect":{{{expect}}}}}"#)
    };
    let cases = [
        case("open", 1_767_603_600_000, r#""verdict":"allow""#),
        case("closed", 1_767_639_600_000, r#""verdict":"deny","reasons":["closed"]"#),
    ];
    let cases = format!(r#"{{"version":1,"settings":{{"from":8,"until":18}},"cases":[{}]}}"#, cases.join(","));
    fs::write(project.join("cases/decisions.json"), cases).unwrap();
    let (code, out, said) = attorn(&project, &["build"]);
    assert_eq!(code, 0, "{out}{said}");
    let (code, out, said) = attorn(&project, &["test"]);
    assert!(code == 0 && out.ends_with("2 cases, 0 failed\n"), "{out}{said}");
    // The other sample is a part of a policy.
    let part = readme.split("```go\n").nth(2).unwrap().split("```").next().unwrap();
    let text = format!(
        "package policy\n\nimport attorn \"attorn-policy\"\n\ntype Settings struct {{ RiskMax int `json:\"risk_max\"` }}\n\n\
         var risky = attorn.PublicReason(\"risky\", \"too risky\")\n\n\
         var Policy = attorn.Policy[Settings]{{Name: \"x\", Version: \"1.0.0\", Reasons: []attorn.Reason{{risky}},\n{part}}}\n"
    );
    fs::write(project.join("policy.go"), text).unwrap();
    let (code, out, said) = attorn(&project, &["build"]);
    assert_eq!(code, 0, "{out}{said}");
}

/// All cases of `spend-limit`, which every language has in common.
#[test]
fn spend_limit_in_go_passes_the_cases_of_all_languages() {
    let plugin = root().join("plugins/spend-limit");
    let copy = tempfile::tempdir().unwrap();
    // Others may build it where it lies.
    for name in files(&plugin.join("go")) {
        fs::copy(plugin.join("go").join(&name), copy.path().join(&name)).unwrap();
    }
    let manifest = copy.path().join("go.mod");
    let sdk = root().join("sdk/policy/go");
    let text = fs::read_to_string(&manifest).unwrap().replace("../../../sdk/policy/go", sdk.to_str().unwrap());
    fs::write(&manifest, text).unwrap();
    let (code, out, said) = attorn(copy.path(), &["build"]);
    assert_eq!(code, 0, "{out}{said}");
    let component = copy.path().join("policy.wasm");
    let arguments = ["test", plugin.to_str().unwrap(), "--component", component.to_str().unwrap()];
    let (code, out, said) = attorn(copy.path(), &arguments);
    assert!(code == 0 && out.contains(" cases, 0 failed\n"), "{out}{said}");
}

#[tokio::test]
async fn what_the_readme_says_of_a_first_policy_in_go_works() {
    first_policy("Go", "go", &["3 cases, 0 failed\n", "ok  \tlisted-actions-policy"], "not_listed").await;
}
