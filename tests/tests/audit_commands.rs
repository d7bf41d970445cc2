//! `attorn audit` on a running server, on its data directory, and on what was exported.
// Long because: each command is tried on the same few logs, and on what is left of their files.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use attorn_store::{EntryIndex, Indexed, Store};
use attorn_tests::files::copy_dir;
use attorn_tests::process::binary;
use attorn_tests::server::Fresh;
use attorn_tests::witness::Mood;
use attorn_tests::world::{Cast, ask};
use attorn_tests::{Process, Staff, Witness};
use serde_json::{Value, json};

/// A server in a process of its own, and an auditor beside it.
struct Stage {
    fresh: Fresh,
    cast: Cast,
}

/// How a command ended, and what it said.
struct Said {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Stage {
    async fn set(fresh: Fresh) -> (Self, Process) {
        let process = Process::start(&fresh.config, &fresh.reach).await;
        let staff = Staff::hire(&fresh.reach, &fresh.bootstrap_token).await;
        let cast = Cast::register(&fresh.reach, &staff).await;
        (Self { fresh, cast }, process)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.fresh.dir.path().join(name)
    }

    fn audit(&self, arguments: &[&str]) -> Said {
        let output = self.cast.audit(&self.path("state"), arguments);
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Said { code: output.status.code().unwrap(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    async fn restart(&self, process: Process) -> Process {
        process.kill().await;
        Process::start(&self.fresh.config, &self.fresh.reach).await
    }

    async fn grow(&self, entries: u64) {
        for n in 0..entries {
            let fact = json!({ "facts": [{ "name": "resource/article/1/n", "value": n.to_string() }] });
            self.cast.staff.registrar.post("/v1/facts", &fact).await.expect(200);
        }
    }
}

impl Said {
    #[track_caller]
    fn good(self) -> Self {
        assert_eq!(self.code, 0, "{}{}", self.stdout, self.stderr);
        self
    }

    #[track_caller]
    fn refused(self, code: i32, message: &str) {
        assert_eq!(self.code, code, "{}{}", self.stdout, self.stderr);
        assert!(self.stderr.contains(message), "{}", self.stderr);
    }

    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap()
    }
}

const NO_ANCHOR: &str = "that entries were cut from the end cannot be excluded";

#[tokio::test(flavor = "multi_thread")]
async fn a_server_s_log_is_verified_and_what_was_seen_of_it_remembered() {
    let (stage, process) = Stage::set(Fresh::make().await).await;
    let key = stage.audit(&["key"]).good().stdout;
    fs::write(stage.path("log.key"), &key).unwrap();
    let first = stage.audit(&["verify"]).good();
    assert!(first.stdout.starts_with("verified  attorn/"), "{}", first.stdout);
    assert!(first.stderr.contains(NO_ANCHOR) && first.stderr.contains("the server's own"), "{}", first.stderr);
    stage.grow(300).await;
    let second = stage.audit(&["verify", "--key", key.trim()]).good();
    let due = "\nsince     it continues the checkpoint that is remembered in `";
    assert!(second.stdout.contains(due) && second.stdout.contains("/attorn/checkpoints/log-"), "{}", second.stdout);
    fs::write(stage.path("old.checkpoint"), stage.audit(&["checkpoint"]).good().stdout).unwrap();
    let since = stage.path("old.checkpoint").display().to_string();
    let both = stage.audit(&["verify", "--since", &since]).good();
    let due = "\nsince     it continues the checkpoint that was given (`--since`) and the one that is remembered in `";
    assert!(both.stdout.contains(due), "{}", both.stdout);
    let given = stage.audit(&["verify", "--alone", "--since", &since]).good();
    let due = "\nsince     it continues the checkpoint that was given (`--since`), of ";
    assert!(given.stdout.contains(due), "{}", given.stdout);
    assert!(second.stdout.contains("\nearlier   1 checkpoints"), "{}", second.stdout);
    assert_eq!(second.stderr, "");
    // Kept by hand, or not at all.
    let alone = stage.audit(&["verify", "--alone", "--json"]).good().json();
    assert_eq!((&alone["truncation_excluded"], &alone["since_entries"]), (&json!(false), &Value::Null));
    let known = alone["entries"].as_u64().unwrap();

    // A data directory from before the last growth is put back, and the file outside that would tell is taken away.
    let (data, old) = (stage.fresh.data_dir(), stage.path("old"));
    let process = stage.restart(process).await;
    process.kill().await;
    copy_dir(&data, &old);
    let process = Process::start(&stage.fresh.config, &stage.fresh.reach).await;
    stage.grow(20).await;
    stage.audit(&["verify"]).good();
    process.kill().await;
    fs::remove_dir_all(&data).unwrap();
    copy_dir(&old, &data);
    fs::remove_file(data.with_file_name("high-water")).unwrap();
    let process = Process::start(&stage.fresh.config, &stage.fresh.reach).await;
    let cut = stage.audit(&["verify"]);
    let remembered = fs::read_dir(stage.path("state").join("attorn/checkpoints")).unwrap().next().unwrap().unwrap();
    assert!(cut.stderr.contains(&format!("is remembered in `{}`", remembered.path().display())), "{}", cut.stderr);
    cut.refused(5, "error: the log was cut: it has ");
    // And grown on, it is another one.
    stage.grow(60).await;
    stage.audit(&["verify"]).refused(5, "error: the log was forked: an earlier checkpoint signs other ");
    let json = stage.audit(&["verify", "--json"]);
    assert_eq!((json.code, &json.json()["verified"]), (5, &json!(false)));
    assert!(stage.audit(&["verify", "--alone", "--json"]).good().json()["entries"].as_u64().unwrap() > known);

    // The directory of a server that runs is left to it; one that has stopped is read.
    let config = stage.fresh.config.to_str().unwrap().to_owned();
    stage.audit(&["verify", "--config", &config]).refused(1, "is in use");
    process.kill().await;
    stage.audit(&["verify", "--config", &config]).refused(5, "error: the log was forked");
    let said = stage.audit(&["verify", "--config", &config, "--alone", "--key", key.trim()]).good();
    assert!(said.stderr.contains("the store is whole: "), "{}", said.stderr);
    let said = stage.audit(&["verify", "--config", &config, "--alone"]).good();
    assert!(said.stderr.contains("the key is the one in the store"), "{}", said.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_verified_without_the_server() {
    let (stage, process) = Stage::set(Fresh::make().await).await;
    stage.grow(300).await;
    let decided = stage.cast.bot.decide(&ask()).await;
    let [dir, key, receipt] = ["export", "log.key", "receipt.txt"].map(|name| stage.path(name).display().to_string());
    fs::write(&key, stage.audit(&["key"]).good().stdout).unwrap();
    let early = stage.path("early");
    fs::write(&early, stage.audit(&["checkpoint"]).good().stdout).unwrap();
    stage.grow(5).await;
    // Programs are told what was written.
    let written = stage.audit(&["export", "--dir", &dir, "--json"]).good().json();
    let entries = written["entries"].as_u64().unwrap();
    assert_eq!((&written["directory"], &written["not_kept"]), (&json!(dir), &json!([])), "{written}");
    assert_eq!(
        (&written["checkpoint"]["size"], &written["origin"]),
        (&json!(entries), &written["checkpoint"]["origin"])
    );
    assert_eq!(fs::read_to_string(stage.path("export/entries.jsonl")).unwrap().lines().count() as u64, entries);
    let file = stage.path("whole.export").display().to_string();
    let written = stage.audit(&["export", "--out", &file, "--json"]).good().json();
    assert_eq!((&written["file"], written["entries"].as_u64() >= Some(entries)), (&json!(file), true), "{written}");
    stage.audit(&["export", "--dir", &dir]).refused(1, "what is there is never overwritten");
    let late = stage.path("late");
    stage.grow(5).await;
    fs::write(&late, stage.audit(&["checkpoint", "--wait", "checkpointed"]).good().stdout).unwrap();
    let by_decision = stage.audit(&["receipt", &decided.decision_id, "--wait", "checkpointed"]).good().stdout;
    fs::write(&receipt, &by_decision).unwrap();
    // Programs read the same in JSON.
    let [shown_key, shown, kept] = [
        &["key", "--json"][..],
        &["receipt", &decided.decision_id, "--wait", "checkpointed", "--json"],
        &["checkpoint", "--json"],
    ]
    .map(|arguments| stage.audit(arguments).good().json());
    assert_eq!(shown_key["vkey"], fs::read_to_string(&key).unwrap().trim());
    assert_eq!((&shown_key["epoch"], &shown_key["name"]), (&json!(1), &kept["origin"]));
    assert_eq!(
        (&shown["body"]["decision_id"], &shown["index"]),
        (&json!(decided.decision_id), &json!(decided.entry.index))
    );
    assert!(kept["size"].as_u64() >= shown["checkpoint"]["size"].as_u64() && kept["cosigners"] == json!([]), "{kept}");
    let [json_receipt, json_checkpoint] = ["json.receipt", "json.checkpoint"].map(|name| stage.path(name));
    fs::write(&json_receipt, shown["receipt"].as_str().unwrap()).unwrap();
    fs::write(&json_checkpoint, kept["note"].as_str().unwrap()).unwrap();
    stage.audit(&["verify", "--receipt", json_receipt.to_str().unwrap(), "--key", &key]).good();
    stage.audit(&["verify", "--key", &key, "--since", json_checkpoint.to_str().unwrap()]).good();
    process.kill().await;

    let verify = |more: &[&str]| stage.audit(&[&["verify", "--dir", &dir][..], more].concat());
    let said = verify(&[]).good();
    assert!(
        said.stderr.contains("the key is the one in the file") && said.stderr.contains(NO_ANCHOR),
        "{}",
        said.stderr
    );
    assert!(verify(&["--key", &key]).good().stderr.contains(NO_ANCHOR));
    let said = verify(&["--key", &key, "--since", early.to_str().unwrap()]).good();
    assert_eq!(said.stderr, "");
    verify(&["--since", late.to_str().unwrap()]).refused(5, "error: the log was cut: it has ");

    // Each entry is a line of JSON.
    let lines = fs::read_to_string(stage.path("export/entries.jsonl")).unwrap();
    for (index, line) in lines.lines().enumerate() {
        let entry: Value = serde_json::from_str(line).unwrap();
        assert_eq!(entry["index"], index);
    }
    for (name, message) in [
        ("tile/entries/000", "error: entry 255 "),
        ("tile/0/000", "error: hash 255 of `tile/0/000` is not what the entries make it"),
        ("entries.jsonl", "of `entries.jsonl` is not entry "),
        ("checkpoint", "error: the log's checkpoint cannot be relied on"),
        ("checkpoints/0", "error: number 1 in `checkpoints/0` cannot be relied on"),
        ("key", "error: the log's key cannot be read"),
    ] {
        let path = stage.path("export").join(name);
        let whole = fs::read(&path).unwrap();
        let mut changed = whole.clone();
        let at = changed.len() - 3;
        changed[at] ^= 1;
        fs::write(&path, changed).unwrap();
        verify(&["--key", &key]).refused(5, message);
        fs::write(&path, whole).unwrap();
    }
    fs::write(stage.path("export/notes.txt"), "x").unwrap();
    verify(&[]).refused(5, "error: `notes.txt` is no part of a log of this size");

    let said = stage.audit(&["verify", "--receipt", &receipt, "--key", &key]).good().stdout;
    assert!(said.contains(&decided.decision_id), "{said}");
}

/// What is bundled is in files of its own, and no longer in the store.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_bundled_is_shown_verified_exported_and_restored_as_before() {
    let (stage, process) = Stage::set(Fresh::make().await).await;
    let key = stage.path("log.key").display().to_string();
    fs::write(&key, stage.audit(&["key"]).good().stdout).unwrap();
    let decided = stage.cast.bot.decide(&ask()).await;
    let index = decided.entry.index.to_string();
    let shown = stage.audit(&["show", &index]).good().stdout;
    let listed = || stage.audit(&["list", "--type", "decision", "--json"]).good().json()["entries"].clone();
    let before = listed();
    stage.grow(300).await;
    let bundle = stage.fresh.data_dir().join("log/1/tile/entries/000");
    for _ in 0..1_500 {
        if bundle.exists() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert!(bundle.exists(), "nothing was bundled");
    let records = stage.fresh.data_dir().join("records/1/000000/000");
    attorn_tests::until("the records are filed", async || records.exists()).await;
    // Once with the bundling just done, and once after a start.
    let mut process = process;
    for round in ["first", "second"] {
        stage.audit(&["checkpoint", "--wait", "checkpointed"]).good();
        assert_eq!(stage.audit(&["show", &index]).good().stdout, shown);
        assert_eq!(listed(), before);
        let [dir, receipt] =
            ["export", "receipt"].map(|name| stage.path(&format!("{round}-{name}")).display().to_string());
        fs::write(&receipt, stage.audit(&["receipt", &decided.decision_id]).good().stdout).unwrap();
        stage.audit(&["verify", "--receipt", &receipt, "--key", &key]).good();
        stage.audit(&["verify"]).good();
        stage.audit(&["export", "--dir", &dir]).good();
        stage.audit(&["verify", "--dir", &dir, "--key", &key]).good();
        assert_eq!(fs::read(&bundle).unwrap(), fs::read(Path::new(&dir).join("tile/entries/000")).unwrap());
        process = stage.restart(process).await;
    }
    let backup = stage.path("backup").display().to_string();
    let config = stage.fresh.config.display().to_string();
    let attorn = |arguments: &[&str]| {
        let output = Command::new(binary()).args(arguments).args(["--config", &config]).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let done = attorn(&["backup", &backup]);
    assert_eq!(done.0, Some(0), "{}", done.1);
    // One that is killed may have the entries in its database still, from where a start bundles them once more: what the
    // store makes of that, its own tests try. One that is stopped has them in the file alone.
    process.stop().await;
    stage.audit(&["verify", "--config", &config, "--alone"]).good();
    until_filed(&stage, &config, &records).await;

    // A file that is damaged is named, with the first entry that is not as it was; the server starts, and gives out
    // nothing of it.
    let whole = fs::read(&bundle).unwrap();
    let mut changed = whole.clone();
    let said = decided.decision_id.as_bytes();
    let at = changed.windows(said.len()).position(|some| some == said).unwrap() + said.len() - 1;
    changed[at] = if changed[at] == b'0' { b'1' } else { b'0' };
    fs::write(&bundle, changed).unwrap();
    let named = format!(
        "is not what the log's tree says: in epoch 1, entry {index} was changed; `attorn repair` makes it anew"
    );
    stage.audit(&["verify", "--config", &config, "--alone"]).refused(5, &format!("`{}` {named}", bundle.display()));
    all_that_is_bad_is_named(&stage, &config, [&bundle, &records]);
    let named_by_backup = stage.path("named").display().to_string();
    assert_eq!(
        attorn(&["backup", &named_by_backup]).0,
        Some(5),
        "base copy and journal have the entries, and it is bad"
    );
    let process = Process::start(&stage.fresh.config, &stage.fresh.reach).await;
    let third = stage.path("third").display().to_string();
    let named = format!("error: `log/1/tile/entries/000` {named}");
    for arguments in [&["show", &index][..], &["receipt", "0"], &["export", "--dir", &third]] {
        stage.audit(arguments).refused(5, &named);
    }
    stage.audit(&["verify", "--alone"]).refused(5, &named);
    stage.grow(1).await;
    stage.audit(&["show", "280"]).good();
    stage.audit(&["watch", "--from", "0"]).refused(5, &named);
    lists_show_what_can_be_read(&stage);
    agents_are_shown_without_the_first_entry(&stage).await;
    fs::write(&bundle, &whole).unwrap();
    assert_eq!(stage.audit(&["show", &index]).good().stdout, shown);
    process.stop().await;

    // With all that was published gone, nobody says that entries are lost which base copy and journal have.
    fs::remove_dir_all(stage.fresh.data_dir().join("log")).unwrap();
    let (code, said) = attorn(&["audit", "verify", "--alone"]);
    assert!(code == Some(5) && said.contains("unless base copy or journal still have them, are the entries 0 to 255"));
    assert!(said.contains("\nhelp: `attorn repair` first: "), "{said}");
    let process = Process::start(&stage.fresh.config, &stage.fresh.reach).await;
    let said = stage.audit(&["list", "--type", "published_gone", "--json"]).good().json();
    let body = &said["entries"][0]["body"];
    assert_eq!((&body["entries_lost"], &body["entries_brought_back_count"]), (&json!([]), &json!("256")), "{body}");
    assert_eq!(body["missing"], "directory");
    assert_eq!(fs::read(&bundle).unwrap(), whole);
    assert_eq!(stage.audit(&["show", &index]).good().stdout, shown);
    process.kill().await;

    // A restored log has it, too, and keeps the files of the epoch that ended.
    fs::rename(stage.fresh.data_dir(), stage.path("lost")).unwrap();
    let done = attorn(&["restore", &backup]);
    assert_eq!(done.0, Some(0), "{}", done.1);
    assert!(bundle.exists());
    stage
        .audit(&["verify", "--file", stage.fresh.data_dir().join("epochs/1.export").to_str().unwrap(), "--key", &key])
        .good();
}

/// Records are in the database still, too, of a server that was killed, until one that was started after that has filed them.
async fn until_filed(stage: &Stage, config: &str, records: &Path) {
    for _ in 0..20 {
        if is_missed(stage, config, records) {
            return;
        }
        let process = Process::start(&stage.fresh.config, &stage.fresh.reach).await;
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        process.stop().await;
    }
}

/// Whether anybody needs a file with records: then its records are nowhere else.
fn is_missed(stage: &Stage, config: &str, records: &Path) -> bool {
    let right = fs::read(records).unwrap();
    fs::write(records, "").unwrap();
    let said = stage.audit(&["verify", "--config", config, "--alone"]);
    fs::write(records, right).unwrap();
    said.code == 5
}

/// With a bundle that is damaged: all that is bad is named, and not what is found first alone.
#[track_caller]
fn all_that_is_bad_is_named(stage: &Stage, config: &str, [bundle, records]: [&Path; 2]) {
    let right = fs::read(records).unwrap();
    fs::write(records, "").unwrap();
    let said = stage.audit(&["verify", "--config", config, "--alone"]);
    for path in [bundle, records] {
        let bad = format!("bad       `{}` is not what ", path.display());
        assert!(said.stdout.contains(&bad), "{}", said.stdout);
    }
    said.refused(5, "is not what the log's tree says");
    let said = stage.audit(&["verify", "--config", config, "--alone", "--json"]);
    assert_eq!((said.code, &said.json()["verified"], &said.json()["bad_count"]), (5, &json!(false), &json!(2)));
    // And what came of verifying the log, which is in one of the two, in the same value.
    let problem = said.json()["log"]["problem"].as_str().unwrap().to_owned();
    assert!(
        said.json()["log"]["verified"] == false && problem.contains("is not what the log's tree says"),
        "{problem}"
    );
    fs::write(records, right).unwrap();
}

/// Lists show what can be read, and say how many cannot.
#[track_caller]
fn lists_show_what_can_be_read(stage: &Stage) {
    for (arguments, count, first) in [
        (&["list", "--from", "250", "--limit", "10"][..], 6, 250),
        (&["list", "--from", "200", "--limit", "200", "--type", "facts_set"], 56, 200),
        (&["list", "--newest", "--from", "100", "--limit", "200"], 156, 100),
    ] {
        let listed = stage.audit(arguments);
        assert!(listed.stdout.contains("\n256 ") && !listed.stdout.contains("\n255 "), "{}", listed.stdout);
        let said = format!("the log is damaged: {count} entries of it cannot be read, the first of which is {first}: ");
        listed.refused(5, &format!("error: {said}`log/1/tile/entries/000` "));
    }
    stage.audit(&["list", "--newest", "--limit", "5"]).good();
}

/// Since when uses are known stands in the first entry. Where that cannot be read, agents are shown without it.
async fn agents_are_shown_without_the_first_entry(stage: &Stage) {
    let path = format!("/v1/agents/{}", stage.cast.bot.id);
    attorn_tests::until("its uses are shown", async || {
        let shown: Value = stage.cast.staff.registrar.get(&path).await.expect(200).json();
        let uses = &shown["uses"];
        uses["indexed_through"].as_u64().is_some_and(|through| through > 256) && uses["since_ms"].is_null()
    })
    .await;
}

/// Nobody signs the query index, so whoever writes to the disk could hide entries from lists by it.
#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_hides_entries_is_noticed_and_a_repair_has_it_made_anew() {
    let (stage, process) = Stage::set(Fresh::make().await).await;
    let decided = stage.cast.bot.decide(&ask()).await;
    let config = stage.fresh.config.display().to_string();
    process.stop().await;
    let repair = || {
        let output = Command::new(binary()).args(["repair", "--json", "--config", &config]).output().unwrap();
        let said: Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code(), said["index_removed"].clone())
    };
    stage.audit(&["verify", "--config", &config, "--alone"]).good();
    assert_eq!(repair(), (Some(0), Value::Null));
    // One that says that it covers all, and has nothing.
    let index = stage.fresh.data_dir().join("index");
    fs::remove_dir_all(&index).unwrap();
    let store = Store::open(&stage.fresh.data_dir(), &stage.fresh.ours()).unwrap();
    let head = store.log_head().unwrap();
    let entries = store.entries(0, 1_000).unwrap();
    let nothing = Indexed { time: attorn_core::TimeMs(0), terms: Vec::new() };
    let (made, _) = EntryIndex::open(&index, &head.log_id, head.epoch).unwrap();
    made.add(&vec![nothing; entries.len()], &entries.last().unwrap().bytes).unwrap();
    drop((made, store));
    let hides = format!("the query index hides {} entries from lists that ask for them", head.size);
    let said = stage.audit(&["verify", "--config", &config, "--alone"]);
    assert!(said.stdout.contains("verified  "), "{}", said.stdout);
    said.refused(5, &format!("error: the store: {hides}, the first of which is entry 0; `attorn repair` removes"));
    let process = Process::start(&stage.fresh.config, &stage.fresh.reach).await;
    let listed = || stage.audit(&["list", "--type", "decision", "--json"]).good().json()["entries"].clone();
    assert_eq!(listed(), json!([]), "so it does");
    process.stop().await;
    let (code, removed) = repair();
    assert!(code == Some(0) && removed.as_str().unwrap().starts_with("the query index hides "), "{removed}");
    assert!(!index.exists());
    let process = Process::start(&stage.fresh.config, &stage.fresh.reach).await;
    attorn_tests::until("the decision is listed", async || listed()[0]["body"]["decision_id"] == decided.decision_id)
        .await;
    process.stop().await;
    stage.audit(&["verify", "--config", &config, "--alone"]).good();

    // A pipe, which whoever opens it waits for, is not opened. To verify removes nothing.
    let with_a_pipe = || {
        let path = index.join("conf");
        fs::remove_file(&path).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
    };
    let unreliable = "the query index could not be relied on: `conf` in it is no regular file";
    with_a_pipe();
    for _ in 0..2 {
        let said = stage.audit(&["verify", "--config", &config, "--alone"]);
        said.refused(
            5,
            &format!("error: the store: {unreliable}; `attorn repair` removes the index, and the next start"),
        );
    }
    assert_eq!(repair(), (Some(0), json!(unreliable)));
    assert!(!index.exists());
}

/// Whoever takes away `log/` takes the checkpoints, and the entries that are nowhere else.
#[tokio::test(flavor = "multi_thread")]
async fn a_directory_of_what_was_published_that_is_gone_is_noticed() {
    let fresh = Fresh::make().await;
    let config = fresh.config.display().to_string();
    let attorn = |arguments: &[&str]| {
        let output = Command::new(binary()).args(arguments).args(["--config", &config]).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    // One that was never there is not gone.
    let (code, said) = attorn(&["audit", "verify", "--alone"]);
    assert!(
        code == Some(6) && said.contains("error: there is nothing to verify yet: no server has run since"),
        "{said}"
    );
    assert!(said.contains("help: start the server once (`attorn serve`), which signs a checkpoint"), "{said}");
    let (stage, process) = Stage::set(fresh).await;
    process.kill().await;
    let (log, high_water) = (stage.fresh.data_dir().join("log"), stage.fresh.config.with_file_name("high-water"));
    let seen = fs::read(&high_water).unwrap();
    let (kept, gone_with_it) = (stage.path("kept"), "; no entry is gone with it; ");
    fs::rename(&log, &kept).unwrap();
    let how = |seen: bool| if seen { ", and the high-water file has seen one of " } else { "a server ran" };
    for is_seen in [true, false] {
        if !is_seen {
            fs::remove_file(&high_water).unwrap();
        }
        for arguments in [&["audit", "verify", "--alone"][..], &["key", "rotate-log"]] {
            let (code, said) = attorn(arguments);
            assert_eq!(code, Some(5), "{arguments:?}: {said}");
            assert!(said.contains("error: what was published of `attorn/"), "{said}");
            assert!(said.contains(how(is_seen)) && said.contains(gone_with_it), "{said}");
            // Nothing is there that a repair could bring back.
            assert!(
                said.contains("\nhelp: put `log/` back from a backup") && said.contains("`attorn serve`"),
                "{said}"
            );
        }
        let output = Command::new(binary()).args(["repair", "--config", &config]).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.code() == Some(5) && said.contains("log/1` has no checkpoint: what was "), "{said}");
        assert!(said.contains("(`attorn serve`) signs a new one"), "{said}");
        assert!(!log.exists(), "whoever only looks makes nothing");
    }
    // What was put back is what it was.
    fs::rename(&kept, &log).unwrap();
    attorn(&["audit", "verify", "--alone"]);
    stage.audit(&["verify", "--config", &config, "--alone"]).good();

    // The directory alone is left: the store tells that there was more, and so does the high-water file. A backup, too.
    fs::remove_dir_all(log.join("1")).unwrap();
    fs::create_dir(log.join("1")).unwrap();
    stage.audit(&["verify", "--config", &config, "--alone"]).refused(5, how(false));
    fs::write(&high_water, seen).unwrap();
    stage.audit(&["verify", "--config", &config, "--alone"]).refused(5, how(true));
    let backup = stage.path("backup").display().to_string();
    let output = Command::new(binary()).args(["backup", &backup, "--config", &config]).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.code() == Some(5) && said.contains("log/1/checkpoint` is missing, and what was"), "{said}");
    // A start says so in the log, once, and signs anew.
    let process = Process::start(&stage.fresh.config, &stage.fresh.reach).await;
    let process = stage.restart(process).await;
    let said = stage.audit(&["list", "--type", "published_gone", "--json"]).good().json();
    let said = said["entries"].as_array().unwrap();
    assert_eq!(said.len(), 1, "{said:?}");
    assert_eq!((&said[0]["body"]["directory"], &said[0]["body"]["entries_lost_count"]), (&json!("log/1"), &json!("0")));
    assert_eq!(said[0]["body"]["missing"], "checkpoint");
    stage.audit(&["verify", "--alone"]).good();
    process.kill().await;
    stage.audit(&["verify", "--config", &config, "--alone"]).good();
}

#[tokio::test(flavor = "multi_thread")]
async fn witnesses_are_asked_of_logs_and_receipts_by_a_policy() {
    let witness = Witness::start("example.org/w1", 1, Mood::Good).await;
    let other = Witness::start("example.org/w2", 2, Mood::Good).await;
    let toml = format!("public_log = false\nwitness_quorum = 1\n{}", witness.toml());
    let (stage, process) = Stage::set(Fresh::make().await.configure("public_log = false", &toml)).await;
    let [dir, key, receipt, met, unmet, none] =
        ["export", "log.key", "receipt.txt", "met", "unmet", "none"].map(|name| stage.path(name).display().to_string());
    fs::write(&key, stage.audit(&["key"]).good().stdout).unwrap();
    for (path, witness) in [(&met, &witness), (&unmet, &other)] {
        fs::write(path, format!("witness w {}\nquorum w\n", witness.vkey)).unwrap();
    }
    fs::write(&none, "quorum w\n").unwrap();
    let said = stage.audit(&["verify", "--alone", "--policy", &met]).good();
    assert!(
        said.stdout.contains("\nwitnesses example.org/w1\n") && !said.stderr.contains(NO_ANCHOR),
        "{}",
        said.stdout
    );
    stage.audit(&["export", "--dir", &dir, "--witnessed"]).good();
    fs::write(&receipt, stage.audit(&["receipt", "0", "--wait", "witnessed"]).good().stdout).unwrap();
    process.kill().await;
    for what in [["--dir", &dir], ["--receipt", &receipt]] {
        let verify =
            |policy: &str| stage.audit(&[&["verify"], &what[..], &["--key", &key, "--policy", policy]].concat());
        assert!(verify(&met).good().stdout.contains("witnesses example.org/w1"));
        verify(&unmet).refused(5, "the witness policy is not met: the checkpoint is cosigned by nobody of it");
        verify(&none).refused(2, "line 1 of the witness policy: `w` is not known");
    }
}
