//! The SDKs for agents and services in other languages than Rust: their own tests, and all that they do against a
//! server with a user, an approval and a second agent.
//!
//! Their examples run against a server with the agents of the demo, and so does the one for services in Rust.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use attorn_tests::server::{Fresh, free_address};
use attorn_tests::world::{Cast, read_only_settings};
use attorn_tests::{Process, Staff, components};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::approvals;
use crate::attorn::{ALICES, AUDIENCE, Attorn, PURPOSE, PURPOSE_WITH_USER, token};
use crate::provider::{OIDC_PROVIDER, Provider};
use crate::steps::Steps;
use crate::tools::{self, Tools, write_private};

const TESTS: Duration = Duration::from_mins(5);
const SCRIPT: Duration = Duration::from_mins(3);

/// The directories of what is written in Python, below that of the SDKs.
const PYTHON: [&str; 2] = ["agent/python", "resource-server/python"];

/// The SDK for policies in Python: nobody installs it, and no script uses it here.
const POLICIES: &str = "policy/python";

/// A policy in TypeScript with tests of its own, from the directory of the SDKs.
const PLUGIN: &str = "../plugins/spend-limit/typescript";

/// How many steps each of the scripts takes.
const STEPS: usize = 10;

/// How often it is looked whether an example serves, and how long.
const LOOK: Duration = Duration::from_millis(100);
const LOOKS_MAX: usize = 300;

/// Another invoice of hers. What she said no to is not asked again for a while, whichever language asks.
const ALICES_OTHER: &str = "invoice/19";

/// Whoever holds the second key.
const READER: &str = "reader";

/// Play all of it.
pub(crate) async fn play(tools: &Tools, steps: &mut Steps) {
    for package in PYTHON.into_iter().chain([POLICIES]) {
        steps.take(&format!("{package}: style, types and tests"), python_tests(tools, package)).await;
    }
    steps.take("typescript: types and tests", typescript_tests(&tools.sdks)).await;
    steps.take("a plugin in typescript: types and tests", typescript_tests(&tools.sdks.join(PLUGIN))).await;
    let site = tempfile::tempdir().unwrap();
    steps.take("the packages of Python install", python_install(tools, site.path())).await;

    let fresh = Fresh::make().await;
    let starting = Provider::start(tools, &OIDC_PROVIDER, &fresh.reach.url);
    let mut provider = steps.take("oidc-provider starts", starting).await;
    let attorn = steps.take("attorn starts and trusts it", Attorn::start(fresh)).await;
    attorn.trust(&OIDC_PROVIDER, &provider.issuer).await;
    let files = steps.take("alice signs in and consents", Files::write(tools, &attorn, &provider)).await;
    approvals::begin(&attorn, &OIDC_PROVIDER).await;
    let python = python_script(tools, site.path());
    steps.take("the SDKs in Python", talk(python, (&attorn, &files), &mut provider, (ALICES, "5100,5101"))).await;
    let node = typescript_script(tools);
    steps
        .take("the SDKs in TypeScript", talk(node, (&attorn, &files), &mut provider, (ALICES_OTHER, "5200,5201")))
        .await;
    steps.take("oidc-provider ends", provider.end()).await;

    let demo = steps.take("attorn starts as in the demo", Demo::start()).await;
    steps.take("the examples in Python", python_examples(tools, site.path(), &demo)).await;
    steps.take("the examples in TypeScript", typescript_examples(tools, &demo)).await;
    steps.take("the example in Rust", demo.serves(Command::new(rust_example("articles")))).await;
}

/// An example that cargo built beside this program.
fn rust_example(name: &str) -> PathBuf {
    std::env::current_exe().unwrap().with_file_name("examples").join(name)
}

/// A program of the SDKs' own environment, in the directory of a package; it leaves nothing in the tree.
fn python(tools: &Tools, directory: &str, module: &str) -> Command {
    let mut command = Command::new(&tools.sdk_python);
    command.args(["-B", "-m", module]).current_dir(tools.sdks.join(directory));
    command
}

async fn python_tests(tools: &Tools, directory: &str) {
    let cache = tools.sdk_python.with_file_name("mypy-cache");
    let mut types = python(tools, directory, "mypy");
    types.arg("--cache-dir").arg(cache).args(["src", "tests"]);
    let mut style = python(tools, directory, "ruff");
    style.args(["check", "--no-cache", "."]);
    let mut form = python(tools, directory, "ruff");
    form.args(["format", "--check", "--no-cache", "."]);
    for command in [types, style, form, python(tools, directory, "pytest")] {
        let said = tools::run(command, "", TESTS).await.good();
        println!("           {}", said.lines().last().unwrap_or_default());
    }
}

/// Install both as whoever uses them does, with what they need from the environment.
async fn python_install(tools: &Tools, site: &Path) {
    let mut pip = python(tools, ".", "pip");
    pip.args(["install", "--quiet", "--disable-pip-version-check", "--no-index", "--no-build-isolation", "--no-deps"]);
    pip.arg("--target").arg(site).args(PYTHON.map(|package| format!("./{package}")));
    tools::run(pip, "", TESTS).await.good();
    for (package, module) in [("agent", "attorn_agent"), ("resource-server", "attorn_resource_server")] {
        assert!(site.join(module).join("py.typed").is_file(), "{package} has lost its types");
    }
}

/// A script that finds the installed packages, and not the tree's.
fn python_file(tools: &Tools, site: &Path, file: &Path) -> Command {
    let mut command = Command::new(&tools.sdk_python);
    command.arg("-B").arg(file).env("PYTHONPATH", site);
    command
}

fn python_script(tools: &Tools, site: &Path) -> Command {
    python_file(tools, site, &tools.scripts.join("python/sdk.py"))
}

/// Types and tests of what is in a directory, built where it is.
async fn typescript_tests(directory: &Path) {
    let mut npm = Command::new("npm");
    npm.args(["run", "--silent", "test"]).current_dir(directory);
    let said = tools::run(npm, "", TESTS).await.good();
    // Which sign stands before a count depends on the version of Node.
    let counts: Vec<_> =
        said.lines().filter_map(|line| ["# ", "ℹ "].iter().find_map(|sign| line.strip_prefix(sign))).collect();
    let count = |what: &str| counts.iter().find(|line| line.starts_with(what)).copied().unwrap_or_default();
    println!("           {}, {}", count("pass "), count("skipped "));
    assert!(count("fail ") == "fail 0" && count("skipped ") == "skipped 0", "{said}");
}

fn typescript_script(tools: &Tools) -> Command {
    let mut command = tools.node("sdk.mjs");
    command.arg("--sdks").arg(&tools.sdks);
    command
}

/// What the scripts are given as files.
struct Files {
    agent_key: PathBuf,
    reader_key: PathBuf,
    billing_key: PathBuf,
    login: PathBuf,
}

impl Files {
    async fn write(tools: &Tools, attorn: &Attorn, provider: &Provider) -> Self {
        let login = provider.sign_in(tools, "alice", &[]).await;
        let alice = attorn.own(token(&login, "access_token"), ALICES).await;
        attorn.owns(&alice.id, ALICES_OTHER).await;
        let reader = attorn.client(READER);
        attorn.register(&reader).await;
        let file = |name: &str, value: &Value| {
            let path = attorn.directory().join(name);
            write_private(&path, &value.to_string());
            path
        };
        Self {
            agent_key: file("agent.key", &attorn.agent.key.private_jwk()),
            reader_key: file("reader.key", &reader.key.private_jwk()),
            billing_key: file("billing.key", &attorn.billing.key.private_jwk()),
            login: file("alice.json", &login),
        }
    }
}

/// A script does all that it does, and Alice says yes to the first amount and no to the other.
async fn talk(
    mut command: Command,
    (attorn, files): (&Attorn, &Files),
    provider: &mut Provider,
    (resource, amounts): (&str, &str),
) {
    for (name, value) in [
        ("server", attorn.cast.reach.url.as_str()),
        ("audience", AUDIENCE),
        ("purpose", PURPOSE),
        ("purpose-with-user", PURPOSE_WITH_USER),
        ("resource", resource),
        ("amounts", amounts),
    ] {
        command.args([&format!("--{name}"), value]);
    }
    for (name, path) in [
        ("key", &files.agent_key),
        ("reader-key", &files.reader_key),
        ("service-key", &files.billing_key),
        ("login", &files.login),
    ] {
        command.arg(format!("--{name}")).arg(path);
    }
    command.env("ATTORN_TOKEN", &attorn.cast.staff.auditor.token);
    let answering = async {
        approvals::answer_next(provider, "alice", "yes").await;
        approvals::answer_next(provider, "alice", "no").await;
    };
    let talking = async {
        let said = tools::run(command, "", SCRIPT).await;
        let lines: Vec<Value> = said.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(lines.iter().all(|line| line["ok"] == true), "{}{}", said.stdout, said.stderr);
        assert_eq!((said.code, lines.len()), (Some(0), STEPS), "{}{}", said.stdout, said.stderr);
    };
    // The script says best what went wrong, also before she was asked anything.
    tokio::select! {
        () = talking => {}
        never = async { answering.await; std::future::pending::<std::convert::Infallible>().await } => match never {},
    }
}

/// A server as the demo leaves one: a bot that may read articles, and the service that keeps them.
struct Demo {
    cast: Cast,
    bot_key: PathBuf,
    faq_key: PathBuf,
    _process: Process,
    // Removed last.
    _fresh: Fresh,
}

impl Demo {
    async fn start() -> Self {
        let fresh = Fresh::make().await;
        let process = Process::start(&fresh.config, &fresh.reach).await;
        let staff = Staff::hire(&fresh.reach, &fresh.bootstrap_token).await;
        let cast = Cast::register(&fresh.reach, &staff).await;
        cast.activate("read-only", components::bytes("read-only"), read_only_settings()).await;
        let path = |name: &str| fresh.dir.path().join(name);
        let (bot_key, faq_key) = (path("bot.key"), path("faq.key"));
        cast.bot.key.save(&bot_key).unwrap();
        cast.faq.key.save(&faq_key).unwrap();
        Self { cast, bot_key, faq_key, _process: process, _fresh: fresh }
    }

    fn tell<'a>(&self, command: &'a mut Command, key: &Path) -> &'a mut Command {
        command.env("ATTORN_URL", &self.cast.reach.url).env("ATTORN_KEY", key)
    }

    /// An example of the agent's prints these lines.
    async fn says(&self, mut example: Command, expect: &str) {
        self.tell(&mut example, &self.bot_key);
        assert_eq!(tools::run(example, "", SCRIPT).await.good(), expect);
    }

    /// The service of an example answers the bot once, and nobody without an allow.
    async fn serves(&self, mut example: Command) {
        let port = free_address().port();
        self.tell(&mut example, &self.faq_key);
        example.env("ATTORN_AUDIENCE", "https://faq.example").env("PORT", port.to_string());
        let example = example.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let service: Child = example.spawn().unwrap();
        let url = format!("http://127.0.0.1:{port}/article/42");
        let body = json!({ "action": "faq.read", "resource": "article/42", "purpose": "answer-questions" });
        let answer = self.cast.bot.decide(&body).await;
        let token = answer.credential.unwrap().access_token;
        let mut answers = Vec::new();
        while answers.len() < LOOKS_MAX && !answers.iter().any(|answer: &String| answer.contains(" 401 ")) {
            tokio::time::sleep(LOOK).await;
            answers.push(get(port, "").await.unwrap_or_default());
        }
        assert!(answers.last().unwrap().contains(" 401 "), "{answers:?}");
        for expect in [" 200 ", " 403 "] {
            let proof = self.cast.bot.key.prove_with_token("GET", &url, b"", None, &token, SystemTime::now()).unwrap();
            let shown = format!("Authorization: DPoP {token}\r\nDPoP: {proof}\r\n");
            let answer = get(port, &shown).await.unwrap();
            assert!(answer.contains(expect), "{answer}");
            assert_eq!(answer.ends_with("/article/42, for support-bot\n"), expect == " 200 ", "{answer}");
        }
        drop(service);
    }
}

/// What `ask` and `guard` print, in either language.
const ASK: &str = "faq.read: yes, at https://faq.example\nfaq.write: no, because action_not_listed\n";
const GUARD: &str = "article 42, billing, by faq.read\naction_not_listed\n";

async fn python_examples(tools: &Tools, site: &Path, demo: &Demo) {
    let example = |name: &str| python_file(tools, site, &tools.sdks.join(name));
    demo.says(example("agent/python/examples/ask.py"), ASK).await;
    demo.says(example("agent/python/examples/guard.py"), GUARD).await;
    demo.serves(example("resource-server/python/examples/articles.py")).await;
}

async fn typescript_examples(tools: &Tools, demo: &Demo) {
    let example = |name: &str| {
        let mut command = Command::new("node");
        command.arg(tools.sdks.join(name));
        command
    };
    demo.says(example("agent/typescript/dist/examples/ask.js"), ASK).await;
    demo.says(example("agent/typescript/dist/examples/guard.js"), GUARD).await;
    demo.serves(example("resource-server/typescript/dist/examples/articles.js")).await;
}

/// What a service on loopback answers, whole.
async fn get(port: u16, headers: &str) -> std::io::Result<String> {
    let mut connection = TcpStream::connect(("127.0.0.1", port)).await?;
    let request = format!("GET /article/42 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n");
    connection.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await?;
    Ok(answer)
}
