//! Policies in Python: from `new` to a denied request, and the traps that a build tells about. They need Python with pip, and
//! its registry once.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use attorn_tests::process::binary;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::walk::{files, first_policy, root, said};
use super::{attorn, refused};

const STARTS: &str = "what stands at the top of a module runs when it is built";

/// A project of the template, in a directory of its own.
fn project() -> TempDir {
    let home = tempfile::tempdir().unwrap();
    let (code, out, said) = attorn(home.path(), &["new", "listed-actions", "--lang", "python"]);
    assert_eq!((code, out.as_str()), (0, "made listed-actions\n"), "{said}");
    home
}

/// Another policy in it: this at its top, and this in its `decide`.
fn write(project: &Path, top: &str, decide: &str) {
    let decide = decide.replace('\n', "\n    ");
    let text = format!(
        "import dataclasses\nfrom attorn_policy import *\n\n@dataclasses.dataclass\nclass Settings:\n    pass\n\n{top}\n\n\
         @define_policy(name=\"x\", version=\"0.1.0\", settings=Settings, reasons=[])\ndef decide(context, settings):\n    \
         {decide}\n"
    );
    fs::write(project.join("src/policy.py"), text).unwrap();
}

#[test]
fn what_a_policy_cannot_have_is_said_when_it_is_built() {
    let home = project();
    let project = home.path().join("listed-actions");
    fs::write(project.join("policy.wasm"), "before").unwrap();
    for (top, decide, said) in [
        (
            "import datetime; BEGUN = datetime.datetime.now()",
            "return allow()",
            "(at policy.py:8): a policy has no clock",
        ),
        ("TEXT = open('/etc/passwd').read()", "return allow()", "(at policy.py:8): a policy has no files"),
        ("", "import httpx; return allow()", "No module named 'httpx' (at policy.py:12)"),
        ("def", "return allow()", "SyntaxError: invalid syntax (policy.py, line 8)"),
        ("raise SystemExit(0)", "return allow()", "it ends the program while it is imported: SystemExit"),
        // Only what is caught may be missing.
        ("", "try:\n    import httpx\nfinally:\n    pass\nreturn allow()", "No module named 'httpx' (at policy.py:13)"),
        ("while True: pass", "return allow()", "it used more than 10000000 us of CPU time\n"),
        ("x = [0] * 100_000_000", "return allow()", "it asked for more than 134217728 bytes of memory"),
    ] {
        write(&project, top, decide);
        refused(&project, &["build"], 1, said, STARTS);
    }
    for (policy, said) in [
        ("", "`src/policy.py` has to define `decide`, with `@define_policy(…)` above it"),
        ("def decide(context, settings): pass\n", "`src/policy.py` has to define `decide`"),
    ] {
        fs::write(project.join("src/policy.py"), policy).unwrap();
        refused(&project, &["build"], 1, said, STARTS);
    }
    write(&project, "", "return allow()");
    let manifest = fs::read_to_string(project.join("pyproject.toml")).unwrap();
    fs::write(project.join("pyproject.toml"), manifest.replace("version = \"0.1.0\"", "version = \"0.2.0\"")).unwrap();
    refused(&project, &["build"], 1, "`pyproject.toml` says version `0.2.0`, and the policy `0.1.0`", STARTS);
    assert_eq!(fs::read_to_string(project.join("policy.wasm")).unwrap(), "before", "a component is left as it was");
    fs::remove_file(project.join("pyproject.toml")).unwrap();
    refused(&project, &["build"], 1, "holds no policy", "python");
}

#[test]
fn a_strangers_project_runs_writes_and_reads_nothing_but_its_own() {
    let home = project();
    let project = home.path().join("listed-actions");
    let victim = home.path().join("victim");
    fs::create_dir(&victim).unwrap();
    fs::write(victim.join("secret.py"), "SECRET = 'mine'\n").unwrap();
    fs::write(victim.join("pyproject.toml"), "[project]\nname = 'victim'\nversion = '1'\n").unwrap();
    // What would run, or count, if an interpreter was started in the project.
    let ran = victim.join("ran");
    let runs = format!("open({ran:?}, 'w')\n");
    for name in ["sitecustomize.py", "pip.py", "setup.py", "src/unused.py"] {
        fs::write(project.join(name), &runs).unwrap();
    }
    fs::create_dir(project.join("src/__pycache__")).unwrap();
    fs::write(project.join("src/__pycache__/policy.cpython-314.pyc"), "odd").unwrap();
    let before = files(home.path());
    let build = Command::new(binary())
        .args(["policy", "build"])
        .current_dir(&project)
        .envs([("PYTHONPATH", &project), ("PYTHONSTARTUP", &project.join("setup.py")), ("PYTHONHOME", &victim)])
        .output()
        .unwrap();
    assert!(build.status.success(), "{}", said(&build));
    let mut after = files(home.path());
    after.retain(|name| name != "listed-actions/policy.wasm");
    assert_eq!(after, before, "a build wrote elsewhere, or ran something");

    let manifest = fs::read_to_string(project.join("pyproject.toml")).unwrap();
    for (from, to, said) in [
        ("[\"attorn-policy\"]", "[\"attorn-policy\", \"httpx\"]", "`httpx` is not taken"),
        ("third_party/attorn-policy\"", "../victim\"", "which calls itself `victim`"),
        ("[tool.attorn]", "[tool.attorn]\nother = 1", "unknown field `other`"),
    ] {
        fs::write(project.join("pyproject.toml"), manifest.replacen(from, to, 1)).unwrap();
        refused(&project, &["build"], 1, said, "");
    }
    fs::write(project.join("pyproject.toml"), &manifest).unwrap();
    fs::write(project.join("requirements.txt"), "httpx==0.28.1\n").unwrap();
    refused(&project, &["build"], 1, "requirements.txt`: packages are not taken", "");
    fs::remove_file(project.join("requirements.txt")).unwrap();

    symlink(victim.join("secret.py"), project.join("src/link.py")).unwrap();
    refused(&project, &["build"], 1, "link.py`: it is no plain file", "");
    fs::remove_file(project.join("src/link.py")).unwrap();
    for (name, said) in [
        ("fast.cpython-314-wasm32-wasi.so", "machine code is not taken"),
        ("data.json", "it is no module, and there are no files in a sandbox"),
        ("json.py", "`json` is the name of a module that is there already"),
        ("sitecustomize.py", "`sitecustomize` is the name of a module that is there already"),
    ] {
        fs::write(project.join("src").join(name), "").unwrap();
        refused(&project, &["build"], 1, said, "");
        fs::remove_file(project.join("src").join(name)).unwrap();
    }
    fs::write(project.join("src/time.py"), "").unwrap();
    refused(&project, &["build"], 1, "`time` is the name of a module that is there already", STARTS);
    fs::remove_file(project.join("src/time.py")).unwrap();
    let secret = victim.join("secret.py");
    write(&project, &format!("TEXT = open({secret:?}).read()"), "return allow()");
    refused(&project, &["build"], 1, "a policy has no files", STARTS);
}

#[test]
fn what_goes_wrong_in_a_decision_denies_and_nothing_is_left_for_the_next() {
    const FAILS: &str = r#""failure":"policy_error""#;
    const ALLOWS: &str = r#""verdict":"allow""#;
    const WAYS: [(&str, &str, &str); 27] = [
        ("clock", "return allow() if time.time() else abstain()", FAILS),
        ("now", "return allow() if datetime.datetime.now() else abstain()", FAILS),
        ("chance", "return allow() if random.random() else abstain()", FAILS),
        ("system", "return allow() if os.urandom(1) else abstain()", FAILS),
        ("seeded", "return allow() if random.Random(7).random() < 1 else abstain()", ALLOWS),
        ("error", "raise ValueError('odd')", FAILS),
        ("exit", "raise SystemExit(0)", FAILS),
        ("nothing", "return None", FAILS),
        ("true", "return True", FAILS),
        ("wait", "return wait()", FAILS),
        ("file", "return allow() if open('/python') else abstain()", FAILS),
        ("import", "__import__('sq' + 'lite3'); return allow()", FAILS),
        ("thread", "threading.Thread(target=print).start(); return allow()", FAILS),
        ("deep", "return deep(0)", FAILS),
        ("undeclared", "return allow().debit('spent', 1, 1)", r#""failure":"invalid_verdict""#),
        ("loop", "[None for _ in itertools.count()]", r#""failure":"deadline""#),
        ("log", "log.info('asked by', context.agent.id); print(context); return allow()", ALLOWS),
        ("later", "import statistics; return allow() if statistics.mean([1, 3]) == 2 else abstain()", ALLOWS),
        (
            "caught",
            "try:\n    import tomllib\nexcept ImportError:\n    import tomli as tomllib\nreturn allow()",
            ALLOWS,
        ),
        ("group", "try:\n    import httpx\nexcept* ImportError:\n    import httpy\nreturn allow()", FAILS),
        // What Python's own modules import at their first call.
        ("uuid5", "return allow() if uuid.uuid5(uuid.NAMESPACE_DNS, 'a').version == 5 else abstain()", ALLOWS),
        ("most", "return allow() if collections.Counter('aab').most_common(1) else abstain()", ALLOWS),
        ("host", "return allow() if 'é.example'.encode('idna').startswith(b'xn--') else abstain()", ALLOWS),
        ("bytes", "return allow() if 'é'.encode('utf-16-le') + 'é'.encode('cp1252') else abstain()", ALLOWS),
        (
            "trace",
            "try:\n    1 / 0\nexcept ZeroDivisionError:\n    log.info(traceback.format_exc())\nreturn allow()",
            ALLOWS,
        ),
        ("print", "print('a', end=''); print('b\\nc', end='', file=sys.stderr); return allow()", ALLOWS),
        ("again", "SEEN.append(1); return allow() if len(SEEN) == 1 else abstain()", ALLOWS),
    ];
    let home = project();
    let project = home.path().join("listed-actions");
    let ways = WAYS.map(|(name, code, _)| {
        let code = code.replace('\n', "\n    ");
        format!("if context.request.action == 'a.{name}':\n    {code}")
    });
    let top = "import collections, datetime, itertools, os, random, sys, threading, time, traceback, uuid\nSEEN = []\n\
               print('begun when it was built', end='')\nasync def wait():\n    return allow()\n\
               def deep(n):\n    return deep(n + 1)\n";
    write(&project, top, &ways.join("\n"));
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
    assert!(code == 0 && out.ends_with("28 cases, 0 failed\n"), "{out}{said}");
    what_is_printed_is_logged_once(&project);
}

/// Also what nobody ended, and nothing of what was begun when it was built.
fn what_is_printed_is_logged_once(project: &Path) {
    let context = r#"{"request":{"action":"a.print","resource":"c/d"}}"#;
    for _ in 0..2 {
        let (code, out, said) = attorn(project, &["run", "policy.wasm", "--context", context, "--explain", "--json"]);
        assert_eq!(code, 0, "{out}{said}");
        let said: Value = serde_json::from_str(&out).unwrap();
        let line = |level: &str, message: &str| json!({ "level": level, "message": message });
        assert_eq!(said["log"], json!([line("warn", "b"), line("info", "a"), line("warn", "c")]));
    }
}

#[test]
fn what_is_missing_is_named_with_what_gets_it() {
    let home = project();
    let project = home.path().join("listed-actions");
    let nowhere = tempfile::tempdir().unwrap();
    let build = || {
        let mut command = Command::new(binary());
        command.args(["policy", "build"]).current_dir(&project);
        command.env("PATH", nowhere.path()).env("XDG_CACHE_HOME", nowhere.path().join("cache"));
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        said(&output)
    };
    assert!(build().contains("help: Python 3.8 or later with pip is needed once"));
    let python = nowhere.path().join("python3");
    fs::write(&python, "#!/bin/sh\necho 'No module named pip' >&2\nexit 1\n").unwrap();
    fs::set_permissions(&python, fs::Permissions::from_mode(0o755)).unwrap();
    assert!(build().contains("help: Python 3.8 or later with pip is needed once"));
    fs::write(&python, "#!/bin/sh\necho 'no matching distribution' >&2\nexit 1\n").unwrap();
    assert!(build().contains("help: Python's registry is needed once"));
    // A package that holds something else.
    fs::write(&python, "#!/bin/sh\n/bin/mkdir componentize_py\necho x > componentize_py/componentize_py.abi3.so\n")
        .unwrap();
    assert!(build().contains("does not bring `libcomponentize_py_runtime.so` as it is known here"));
    let kept: Vec<_> = fs::read_dir(nowhere.path().join("cache/attorn")).unwrap().collect();
    assert!(kept.is_empty(), "{kept:?}");

    let (code, out, _) = attorn(home.path(), &["doctor", "--lang", "python"]);
    assert!(code == 0 && out.contains("Python 3.") && out.contains("pip ") && !out.contains("cargo"), "{out}");
    let sdk = ["new", "x", "--lang", "python", "--sdk", "."];
    refused(home.path(), &sdk, 1, "`.` is not the SDK", "sdk/policy/python");
}

/// Somebody loses patience while a program is started.
#[test]
fn a_build_that_is_interrupted_leaves_what_was_there() {
    let home = project();
    let project = home.path().join("listed-actions");
    fs::write(project.join("policy.wasm"), "before").unwrap();
    let before = files(home.path());
    write(&project, "while True: pass", "return allow()");
    let mut build = Command::new(binary()).args(["policy", "build"]).current_dir(&project).spawn().unwrap();
    std::thread::sleep(Duration::from_secs(2));
    let killed = Command::new("kill").args(["-INT", &build.id().to_string()]).status().unwrap();
    let ended = build.wait().unwrap();
    assert!(killed.success() && !ended.success(), "{ended}");
    assert_eq!(fs::read_to_string(project.join("policy.wasm")).unwrap(), "before");
    assert_eq!(files(home.path()), before);
}

/// The SDK's own tests and those of a plugin, with nothing but Python itself.
#[test]
fn the_sdk_and_a_plugin_pass_their_own_tests() {
    let sdk = root().join("sdk/policy/python");
    let plugin = root().join("plugins/spend-limit/python");
    for (directory, path, tests) in
        [(&sdk, "src".to_owned(), "tests"), (&plugin, format!("src:{}", sdk.join("src").display()), "test")]
    {
        let mut python = Command::new("python3");
        python.args(["-B", "-m", "unittest", "discover", tests]).current_dir(directory).env("PYTHONPATH", path);
        let output = python.output().unwrap();
        assert!(output.status.success(), "{}: {}", directory.display(), said(&output));
        assert!(said(&output).contains("\nRan "), "{}", said(&output));
    }
}

/// The policy that the SDK's README opens with.
#[test]
fn the_policy_of_the_sdks_readme_is_open_in_its_hours() {
    let home = project();
    let project = home.path().join("listed-actions");
    let readme = fs::read_to_string(root().join("sdk/policy/python/README.md")).unwrap();
    let sample = readme.split("```python\n").nth(1).unwrap().split("```").next().unwrap();
    fs::write(project.join("src/policy.py"), sample).unwrap();
    let case = |name: &str, time: u64, expect: &str| {
        let context = format!(r#"{{"time_ms":{time},"request":{{"action":"faq.read","resource":"article/42"}}}}"#);
        format!(r#"{{"name":"{name}","context":{context},"expect":{{{expect}}}}}"#)
    };
    let cases = [
        case("open", 1_767_603_600_000, r#""verdict":"allow""#),
        case("closed", 1_767_639_600_000, r#""verdict":"deny","reasons":["closed"]"#),
    ];
    let cases = format!(r#"{{"version":1,"settings":{{"opens":8,"closes":18}},"cases":[{}]}}"#, cases.join(","));
    fs::write(project.join("cases/decisions.json"), cases).unwrap();
    let (code, out, said) = attorn(&project, &["build"]);
    assert_eq!(code, 0, "{out}{said}");
    let (code, out, said) = attorn(&project, &["test"]);
    assert!(code == 0 && out.ends_with("2 cases, 0 failed\n"), "{out}{said}");
}

/// Cases of `spend-limit`, which every language has in common: those of few settings, since each takes seconds to compile. With
/// `ATTORN_TEST_ROUNDS`, as `cargo xtask full` sets it, all of them. The plugin's own tests read all settings.
#[test]
fn spend_limit_in_python_passes_the_cases_of_all_languages() {
    let plugin = root().join("plugins/spend-limit");
    let copy = tempfile::tempdir().unwrap();
    // Others may build it where it lies.
    fs::create_dir(copy.path().join("src")).unwrap();
    for name in ["pyproject.toml", "src/policy.py", "src/settings.py"] {
        fs::copy(plugin.join("python").join(name), copy.path().join(name)).unwrap();
    }
    let manifest = copy.path().join("pyproject.toml");
    let sdk = root().join("sdk/policy/python");
    let text = fs::read_to_string(&manifest).unwrap().replace("../../../sdk/policy/python", sdk.to_str().unwrap());
    fs::write(&manifest, text).unwrap();
    let (code, out, said) = attorn(copy.path(), &["build"]);
    assert_eq!(code, 0, "{out}{said}");
    let component = copy.path().join("policy.wasm");
    if std::env::var_os("ATTORN_TEST_ROUNDS").is_some() {
        let arguments = ["test", plugin.to_str().unwrap(), "--component", component.to_str().unwrap()];
        let (code, out, said) = attorn(copy.path(), &arguments);
        assert!(code == 0 && out.contains(" cases, 0 failed\n"), "{out}{said}");
        return;
    }
    fs::create_dir(copy.path().join("cases")).unwrap();
    for name in ["amounts.json", "currencies.json"] {
        fs::copy(plugin.join("cases").join(name), copy.path().join("cases").join(name)).unwrap();
    }
    let (code, out, said) = attorn(copy.path(), &["test"]);
    assert!(code == 0 && out.contains("57 cases, 0 failed\n"), "{out}{said}");
}

#[tokio::test]
async fn what_the_readme_says_of_a_first_policy_in_python_works() {
    first_policy("Python", "python", &["3 cases, 0 failed\n", "\nRan 2 tests "], "not_listed").await;
}
