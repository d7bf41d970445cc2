//! Policies in C: from `new` to a denied request, and the traps that a build tells about. They need Python's registry once,
//! and for native tests a compiler of C and make.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use attorn_tests::process::binary;
use tempfile::TempDir;

use super::walk::{files, first_policy, root, said};
use super::{attorn, refused};

const COMPILES: &str = "the lines above say where it is wrong";

/// A project of the template, in a directory of its own.
fn project() -> TempDir {
    let home = tempfile::tempdir().unwrap();
    let (code, out, said) = attorn(home.path(), &["new", "listed-actions", "--lang", "c"]);
    assert_eq!((code, out.as_str()), (0, "made listed-actions\n"), "{said}");
    home
}

/// Another policy in it: this at its top, and this in its `evaluate`.
fn write(project: &Path, top: &str, evaluate: &str) {
    let text = format!(
        "#include \"attorn_policy.h\"\nstruct settings {{ bool there; }};\n{top}\n\
         static attorn_verdict evaluate(const attorn_context *ctx, const void *settings) {{ (void)ctx; (void)settings;\n\
         {evaluate}\n}}\n\
         static const attorn_field SETTINGS[] = {{ATTORN_END}};\n\
         const attorn_policy policy = {{.name = \"x\", .version = \"0.1.0\", .settings = SETTINGS,\n\
         .settings_size = sizeof(struct settings), .evaluate = evaluate}};\n"
    );
    fs::write(project.join("src/policy.c"), text).unwrap();
}

#[test]
fn what_a_policy_cannot_have_is_said_when_it_is_built() {
    let home = project();
    let project = home.path().join("listed-actions");
    fs::write(project.join("policy.wasm"), "before").unwrap();
    for (top, evaluate, said, help) in [
        // What would say the same for ever, or be lost, does not compile.
        ("", "return time(NULL) > 0 ? attorn_allow() : attorn_abstain();", "a policy has no clock", COMPILES),
        ("#include <sys/time.h>", "gettimeofday(0, 0); return attorn_allow();", "a policy has no clock", COMPILES),
        ("", "return __TIME__[0] == '0' ? attorn_allow() : attorn_abstain();", "-Wdate-time", COMPILES),
        ("", "return rand() > 0 ? attorn_allow() : attorn_abstain();", "no source of random numbers", COMPILES),
        ("#include <unistd.h>", "char b; getentropy(&b, 1); return attorn_allow();", "no source of random", COMPILES),
        ("", "return fopen(\"x\", \"r\") ? attorn_allow() : attorn_abstain();", "a policy has no files", COMPILES),
        ("", "return getenv(\"HOME\") ? attorn_allow() : attorn_abstain();", "a policy has no environment", COMPILES),
        ("", "printf(\"asked\"); return attorn_allow();", "nobody reads what a policy prints", COMPILES),
        // What is known by no name there is found when all is linked.
        (
            "#include <sys/stat.h>",
            "struct stat s; return stat(\"x\", &s) ? attorn_deny(0) : attorn_allow();",
            "the policy asks for files, and there are none",
            "leave out what needs it",
        ),
        (
            "int elsewhere(void);",
            "return elsewhere() ? attorn_allow() : attorn_abstain();",
            "elsewhere",
            "is not there",
        ),
        (
            "__attribute__((import_module(\"wasi:clocks/wall-clock@0.2.0\"), import_name(\"now\"))) int now(void);",
            "return now() ? attorn_allow() : attorn_abstain();",
            "what was linked is no policy",
            "imports the log alone",
        ),
        // What does not fit is said with its place.
        ("", "return ctx->request.acton.len ? attorn_allow() : attorn_abstain();", "src/policy.c:5:", COMPILES),
        ("", "", "src/policy.c:6:", COMPILES),
        (
            "struct other { int n; }; static const attorn_field F[] = {ATTORN_TEXT_FIELD(struct other, n), ATTORN_END};",
            "return attorn_read_me(F);",
            "src/policy.c:3:",
            COMPILES,
        ),
    ] {
        write(&project, top, evaluate);
        refused(&project, &["build"], 1, said, help);
    }
    fs::remove_file(project.join("src/policy.c")).unwrap();
    refused(&project, &["build"], 1, "there is no `src/policy.c`", "");
    assert_eq!(fs::read_to_string(project.join("policy.wasm")).unwrap(), "before", "a component is left as it was");
}

#[test]
fn a_strangers_project_runs_writes_and_reads_nothing_but_its_own() {
    let home = project();
    let project = home.path().join("listed-actions");
    let secret = home.path().join("secret.h");
    fs::write(&secret, "/* mine */").unwrap();
    let secret = secret.to_str().unwrap();
    // Settings of tools that would be theirs.
    for name in
        ["build.zig", "Makefile", "zig.cfg", "clang.cfg", ".clang", "sitecustomize.py", "pip.conf", "ziglang.py"]
    {
        fs::write(project.join(name), "import os; os.abort()\n@include /etc/passwd\n").unwrap();
    }
    let before = files(home.path());
    let (code, out, said) = attorn(&project, &["build"]);
    assert_eq!(code, 0, "{out}{said}");
    let mut after = files(home.path());
    after.retain(|name| name != "listed-actions/policy.wasm");
    assert_eq!(after, before, "a build wrote elsewhere");

    let lies_outside = "which lies outside";
    let embedded = format!("static const char x[] = {{\n#embed \"{secret}\"\n}};");
    let raw = format!("__attribute__((used)) static void f(void) {{ __asm__(\".incbin \\\"{secret}\\\"\"); }}");
    let top = format!("__asm__(\".section .custom_section.x,\\\"\\\",@\\n.incbin \\\"{secret}\\\"\");");
    for (top, said) in [
        (format!("#include \"{secret}\""), lies_outside),
        // Where it is compiled nothing lies there; what is asked for has the same name from everywhere.
        ("#include \"../../../../../../../../../../../../etc/passwd\"".to_owned(), "src/policy.c"),
        (embedded, lies_outside),
        (raw, "inline assembly is disabled"),
        (top, "inline assembly is disabled"),
    ] {
        write(&project, &top, "return attorn_allow();");
        refused(&project, &["build"], 1, said, " ");
    }
    write(&project, "", "return attorn_allow();");
    symlink(secret, project.join("src/link.h")).unwrap();
    refused(&project, &["build"], 1, "link.h`: it is no plain file", "");
    fs::remove_file(project.join("src/link.h")).unwrap();
    fs::write(project.join("src/@options.c"), "").unwrap();
    refused(&project, &["build"], 1, "a source is called by letters", "");
    fs::remove_file(project.join("src/@options.c")).unwrap();

    let manifest = fs::read_to_string(project.join("clib.json")).unwrap();
    fs::write(project.join("clib.json"), manifest.replace("vendor/attorn-policy", ".")).unwrap();
    refused(&project, &["build"], 1, "which calls itself `listed-actions-policy`", "");
}

#[test]
fn what_goes_wrong_in_a_decision_denies_and_nothing_is_left_for_the_next() {
    const FAILS: &str = r#""failure":"policy_error""#;
    const TRAPS: &str = r#""failure":"trap""#;
    const ALLOWS: &str = r#""verdict":"allow""#;
    const WAYS: [(&str, &str, &str); 17] = [
        ("fail", "attorn_fail(\"it is odd\"); return attorn_allow();", FAILS),
        ("nothing", "return (attorn_verdict){0};", FAILS),
        ("counter", "return attorn_used(ctx, \"spent\") == 0 ? attorn_abstain() : attorn_allow();", FAILS),
        ("amount", "attorn_verdict v = attorn_allow(); attorn_debit(&v, \"spent\", 0, 1); return v;", FAILS),
        (
            "undeclared",
            "attorn_verdict v = attorn_allow(); attorn_debit(&v, \"spent\", 1, 1); return v;",
            r#""failure":"invalid_verdict""#,
        ),
        ("assert", "assert(ctx->request.action.len == 0); return attorn_allow();", TRAPS),
        (
            "overflow",
            "int n = INT_MAX; return add(n, (int)ctx->request.action.len) < 0 ? attorn_allow() : attorn_abstain();",
            TRAPS,
        ),
        (
            "index",
            "static int four[4]; return four[ctx->request.action.len] ? attorn_abstain() : attorn_allow();",
            TRAPS,
        ),
        ("smash", "smash(ctx->request.resource); return attorn_allow();", TRAPS),
        ("deep", "return deep((int)ctx->request.action.len * 1000) ? attorn_abstain() : attorn_allow();", TRAPS),
        ("memory", "for (;;) { *(volatile char *)attorn_new(1, 1 << 20) = 1; }", r#""failure":"memory""#),
        ("loop", "for (volatile int n = 0;; n = n ^ 1) {}", r#""failure":"deadline""#),
        ("log", "attorn_log_info(\"asked by %.*s\", ATTORN_ARG(ctx->agent.id)); return attorn_allow();", ALLOWS),
        // What is no text is none in the sandbox either.
        ("logodd", "attorn_log_info(\"%s\", \"\\xff\"); return attorn_allow();", ALLOWS),
        ("failodd", "return attorn_fail(\"%s\", \"\\xff\");", FAILS),
        ("again", "seen++; return seen > 1 ? attorn_abstain() : attorn_allow();", ALLOWS),
        (
            "large",
            "return attorn_format(\"%*d\", 300000, 1).len == 300000 ? attorn_allow() : attorn_abstain();",
            ALLOWS,
        ),
    ];
    const TOP: &str = "#include <assert.h>\n#include <limits.h>\n#include <string.h>\nstatic int seen;\n\
        static int add(int a, int b) { return a + b; }\n\
        __attribute__((noinline)) static int deep(int n) { volatile char b[256]; b[n & 255] = 1; return n == 0 ? b[0] : deep(n - 1) + b[n & 255]; }\n\
        __attribute__((noinline)) static void put(char *to, attorn_text from) { for (size_t n = 0; n < from.len * 9; n++) ((volatile char *)to)[n] = 1; }\n\
        __attribute__((noinline)) static void smash(attorn_text from) { char small[4]; put(small, from); }";
    let home = project();
    let project = home.path().join("listed-actions");
    let ways =
        WAYS.map(|(name, code, _)| format!("if (attorn_text_is(ctx->request.action, \"a.{name}\")) {{ {code} }}"));
    write(&project, TOP, &format!("{}\nreturn attorn_allow();", ways.join("\n")));
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
    assert!(code == 0 && out.ends_with("18 cases, 0 failed\n"), "{out}{said}");
}

#[test]
fn what_is_missing_is_named_with_what_gets_it() {
    let home = project();
    let project = home.path().join("listed-actions");
    let build = |path: &str| {
        let cache = tempfile::tempdir().unwrap();
        let mut command = Command::new(binary());
        command.args(["policy", "build"]).current_dir(&project).env("XDG_CACHE_HOME", cache.path()).env("PATH", path);
        let output = command.output().unwrap();
        let kept = fs::read_dir(cache.path().join("attorn")).unwrap().count();
        assert_eq!((output.status.code(), kept), (Some(1), 0), "{}", said(&output));
        said(&output)
    };
    let nowhere = tempfile::tempdir().unwrap();
    let told = build(nowhere.path().to_str().unwrap());
    assert!(told.contains("python3") && told.contains("help: Python 3.8 or later with pip is needed once"), "{told}");
    // One that has no pip.
    let python = nowhere.path().join("python3");
    fs::write(&python, "#!/bin/sh\necho 'python3: No module named pip' >&2\nexit 1\n").unwrap();
    fs::set_permissions(&python, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let told = build(nowhere.path().to_str().unwrap());
    assert!(told.contains("No module named pip") && told.contains("apt-get install python3-pip"), "{told}");
    fs::write(&python, "#!/bin/sh\necho 'ERROR: no matching distribution' >&2\nexit 1\n").unwrap();
    let told = build(nowhere.path().to_str().unwrap());
    assert!(told.contains("no matching distribution") && told.contains("registry is needed once"), "{told}");

    let (code, out, _) = attorn(home.path(), &["doctor", "--lang", "c"]);
    assert!(code == 0 && out.contains("python3") && out.contains("pip") && !out.contains("cargo"), "{out}");
    let sdk = ["new", "x", "--lang", "c", "--sdk", "."];
    refused(home.path(), &sdk, 1, "`.` is not the SDK", "sdk/policy/c");
}

/// The SDK's own tests and those of a plugin, with the compiler of this machine.
#[test]
fn the_sdk_and_a_plugin_pass_their_own_tests() {
    for directory in ["sdk/policy/c", "plugins/spend-limit/c"] {
        let target = tempfile::tempdir().unwrap();
        let target = format!("TARGET={}", target.path().display());
        let output = Command::new("make").args(["test", &target]).current_dir(root().join(directory)).output().unwrap();
        assert!(output.status.success() && said(&output).contains("tests passed"), "{directory}: {}", said(&output));
    }
}

/// The policy that the SDK's README opens with.
#[test]
fn the_policy_of_the_sdks_readme_is_open_in_its_hours() {
    let home = project();
    let project = home.path().join("listed-actions");
    let readme = fs::read_to_string(root().join("sdk/policy/c/README.md")).unwrap();
    let sample = readme.split("```c\n").nth(1).unwrap().split("```").next().unwrap();
    fs::write(project.join("src/policy.c"), sample).unwrap();
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
    let part = readme.split("```c\n").nth(2).unwrap().split("```").next().unwrap();
    write(
        &project,
        "static const attorn_reason RISKY = ATTORN_PUBLIC_REASON(\"risky\", \"too risky\");\nstruct risk { int64_t risk_max; };",
        &format!("const struct risk *s = settings;\n{part}"),
    );
    let (code, out, said) = attorn(&project, &["build"]);
    assert_eq!(code, 0, "{out}{said}");
}

/// All cases of `spend-limit`, which every language has in common.
#[test]
fn spend_limit_in_c_passes_the_cases_of_all_languages() {
    let plugin = root().join("plugins/spend-limit");
    let copy = tempfile::tempdir().unwrap();
    // Others may build it where it lies.
    for name in files(&plugin.join("c")) {
        let to = copy.path().join(&name);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(plugin.join("c").join(&name), to).unwrap();
    }
    let manifest = copy.path().join("clib.json");
    let sdk = root().join("sdk/policy/c");
    let text = fs::read_to_string(&manifest).unwrap().replace("../../../sdk/policy/c", sdk.to_str().unwrap());
    fs::write(&manifest, text).unwrap();
    let (code, out, said) = attorn(copy.path(), &["build"]);
    assert_eq!(code, 0, "{out}{said}");
    let component = copy.path().join("policy.wasm");
    let arguments = ["test", plugin.to_str().unwrap(), "--component", component.to_str().unwrap()];
    let (code, out, said) = attorn(copy.path(), &arguments);
    assert!(code == 0 && out.contains(" cases, 0 failed\n"), "{out}{said}");
}

#[tokio::test]
async fn what_the_readme_says_of_a_first_policy_in_c_works() {
    first_policy("C", "c", &["3 cases, 0 failed\n", "all tests passed\n"], "not_listed").await;
}
