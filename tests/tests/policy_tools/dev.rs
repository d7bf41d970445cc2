//! `attorn policy dev`: a policy is built again when its files change, and what its cases say otherwise is shown. It needs
//! Node and npm's registry.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use attorn_tests::World;
use attorn_tests::process::binary;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{attorn, refused};

/// Longer than a round takes on a busy machine.
const LONG: Duration = Duration::from_mins(5);

/// `attorn policy dev --json`, and the line of each round.
pub(super) struct Dev {
    process: Child,
    rounds: Receiver<String>,
}

impl Dev {
    pub(super) fn start(project: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut command = Command::new(binary());
        command.args(["policy", "dev", "--json"]).args(arguments).current_dir(project);
        command.env_remove("ATTORN_TOKEN").env_remove("ATTORN_URL").envs(environment.iter().copied());
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let (said, rounds) = mpsc::channel();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| said.send(line)));
        Self { process, rounds }
    }

    /// The next round, whenever it is done.
    pub(super) fn round(&self) -> Value {
        serde_json::from_str(&self.rounds.recv_timeout(LONG).unwrap()).unwrap()
    }

    fn interrupt(&self) {
        kill_process(Pid::from_raw(self.process.id().try_into().unwrap()).unwrap(), Signal::INT).unwrap();
    }

    /// Its exit code after Ctrl-C.
    pub(super) fn end(mut self) -> i32 {
        self.interrupt();
        let began = Instant::now();
        loop {
            if let Some(ended) = self.process.try_wait().unwrap() {
                return ended.code().unwrap();
            }
            assert!(began.elapsed() < LONG, "it does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(super) fn change(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(path, text.replace(from, to)).unwrap();
}

/// How many processes work in a directory, but for this one.
fn running_in(directory: &Path, but: u32) -> usize {
    let is_there = |entry: &fs::DirEntry| {
        let name = entry.file_name();
        name != *but.to_string() && fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd.starts_with(directory))
    };
    fs::read_dir("/proc").unwrap().filter_map(Result::ok).filter(is_there).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_change_is_built_and_what_is_said_otherwise_is_shown() {
    let home = tempfile::tempdir().unwrap();
    let (code, _, said) = attorn(home.path(), &["new", "listed-actions", "--lang", "typescript"]);
    assert_eq!(code, 0, "{said}");
    let project = home.path().join("listed-actions");
    let world = World::without_policy().await;
    let server = [("ATTORN_URL", world.reach.url.as_str()), ("ATTORN_TOKEN", world.staff.policy_admin.token.as_str())];
    let arguments = ["--activate", "listed-actions", "--settings", "settings.json"];
    let dev = Dev::start(&project, &arguments, &server);
    let first = dev.round();
    assert_eq!((&first["cases"]["run"], &first["cases"]["failed"]), (&3.into(), &0.into()), "{first}");
    assert_eq!(first["cases"]["changed"], serde_json::json!([]), "{first}");
    assert_eq!(first["activated"]["changes"][0]["version"], 1, "{first}");

    let policy = project.join("src/policy.ts");
    let before = fs::read_to_string(&policy).unwrap();
    change(&policy, ": deny(NOT_LISTED)", ": allow().because(LISTED)");
    let second = dev.round();
    let changed = second["cases"]["changed"].as_array().unwrap();
    assert!(changed.len() == 1 && second["cases"]["failed"] == 1, "{second}");
    assert_eq!((&changed[0]["before"]["verdict"], &changed[0]["now"]["verdict"]), (&"deny".into(), &"allow".into()));
    assert!(changed[0]["holds"] == false && second.get("activated").is_none(), "{second}");

    fs::write(&policy, "export const policy = ;\n").unwrap();
    let third = dev.round();
    assert!(third["error"].as_str().unwrap().contains("src/policy.ts(1,"), "{third}");
    assert!(third.get("component").is_none() && third.get("cases").is_none(), "{third}");

    // As it was first: nothing new comes into force. Other settings do, where the operator may.
    fs::write(&policy, before).unwrap();
    let fourth = dev.round();
    assert_eq!((&fourth["cases"]["failed"], &fourth["component"]), (&0.into(), &first["component"]), "{fourth}");
    assert!(fourth.get("activated").is_none() && fourth.get("error").is_none(), "{fourth}");
    change(&project.join("settings.json"), "faq.read", "faq.list");
    let fifth = dev.round();
    assert!(fifth["error"].as_str().unwrap().contains("missing_duty"), "{fifth}");
    // What is there already, and could not be put in force, is not pushed once more.
    let versions = async || {
        let policy: Value = world.staff.policy_admin.get("/v1/policies/listed-actions").await.expect(200).json();
        policy["versions"].as_array().unwrap().len()
    };
    assert_eq!(versions().await, 2);
    for _ in 0..2 {
        let cases = project.join("cases/decisions.json");
        fs::write(&cases, fs::read_to_string(&cases).unwrap() + "\n").unwrap();
        let again = dev.round();
        assert!(again["error"].as_str().unwrap().contains("missing_duty"), "{again}");
    }
    assert_eq!(versions().await, 2);
    // Others are.
    change(&project.join("settings.json"), "faq.list", "faq.find");
    assert!(dev.round()["error"].as_str().unwrap().contains("missing_duty"));
    assert_eq!(versions().await, 3);
    assert_eq!(dev.end(), 0);
}

#[test]
fn a_build_that_is_interrupted_leaves_nothing_behind() {
    let home = tempfile::tempdir().unwrap();
    let (code, _, said) = attorn(home.path(), &["new", "x", "--lang", "typescript"]);
    assert_eq!(code, 0, "{said}");
    let project = home.path().join("x");
    // It never ends by itself, and runs in what the build started.
    let policy = project.join("src/policy.ts");
    let text = fs::read_to_string(&policy).unwrap();
    fs::write(&policy, text.replace("export const policy", "while (Math.abs(1) > 0) {}\nexport const policy")).unwrap();
    let dev = Dev::start(&project, &[], &[]);
    let tools = || running_in(&project, dev.process.id());
    let began = Instant::now();
    while tools() == 0 {
        assert!(began.elapsed() < Duration::from_mins(1), "no tool was started");
        std::thread::sleep(Duration::from_millis(20));
    }
    let (began, own) = (Instant::now(), dev.process.id());
    assert_eq!(dev.end(), 0);
    assert!(began.elapsed() < Duration::from_secs(20), "it was waited for");
    assert_eq!(running_in(&project, own), 0, "a tool goes on");
    assert!(!project.join("policy.wasm").exists());
}

#[test]
fn what_cannot_be_watched_or_put_in_force_is_said_at_once() {
    let home = tempfile::tempdir().unwrap();
    refused(home.path(), &["dev", "nowhere"], 1, "cannot read `nowhere`", "");
    refused(home.path(), &["dev", "--settings", "{}"], 2, "--activate", "");
    let elsewhere = ["dev", "--activate", "p", "--settings", "{}", "--server", "https://attorn.example"];
    refused(home.path(), &elsewhere, 2, "is no server of this machine", "attorn policy push");
    refused(
        home.path(),
        &["dev", "--activate", "p", "--settings", "{}"],
        1,
        "this needs an operator's token",
        "ATTORN_TOKEN",
    );
}
