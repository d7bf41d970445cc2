//! A file of the data directory or of a backup is damaged or missing, which the store's own parts do not tell:
//! components and settings, which policies need, and entries and exports, which the audit log alone needs. What each
//! command makes of it, and what the server does.
// Long because: each way of damage is one of the same few commands, in the same directory.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use attorn_api::decisions::{DecisionAnswer, DecisionKind};
use attorn_core::Duty;
use attorn_store::Store;
use attorn_tests::components;
use attorn_tests::process::binary;
use attorn_tests::server::Fresh;
use attorn_tests::world::{Cast, ask, blake3_hex, read_only_settings};
use attorn_tests::{Behalf, Metrics, Process, Staff};
use serde_json::{Value, json};

/// A server in a process of its own, with a policy in force.
struct Stage {
    fresh: Fresh,
    cast: Cast,
}

impl Stage {
    async fn set() -> (Self, Process) {
        let fresh = Fresh::make().await;
        let process = Process::start(&fresh.config, &fresh.reach).await;
        let staff = Staff::hire(&fresh.reach, &fresh.bootstrap_token).await;
        let cast = Cast::register(&fresh.reach, &staff).await;
        cast.activate("read-only", components::bytes("read-only"), read_only_settings()).await;
        (Self { fresh, cast }, process)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.fresh.dir.path().join(name)
    }

    async fn start(&self) -> Process {
        Process::start(&self.fresh.config, &self.fresh.reach).await
    }

    fn attorn(&self, arguments: &[&str]) -> Output {
        Command::new(binary()).args(arguments).arg("--config").arg(&self.fresh.config).output().unwrap()
    }

    /// What a command says in JSON that ends so.
    #[track_caller]
    fn ends(&self, code: i32, arguments: &[&str]) -> Value {
        let output = self.attorn(&[arguments, &["--json"]].concat());
        assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// What a command says that is refused so.
    #[track_caller]
    fn refused(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.attorn(arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{said}");
        said
    }

    fn audit(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = self.cast.audit(&self.path("state"), arguments);
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    }

    async fn grow(&self, entries: u64) {
        for n in 0..entries {
            let fact = json!({ "facts": [{ "name": "resource/article/1/n", "value": n.to_string() }] });
            self.cast.staff.registrar.post("/v1/facts", &fact).await.expect(200);
        }
    }

    async fn denied_by_a_policy_that_is_not_loaded(&self) {
        let answer: DecisionAnswer = self.cast.bot.decide(&ask()).await;
        assert_eq!(answer.decision, DecisionKind::Deny);
        let entry = self.cast.entry_of(&answer).await;
        assert_eq!(entry["policies"][0]["outcome"], "failed:not_runnable", "{entry}");
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn component_in(dir: &Path) -> PathBuf {
    dir.join("blobs").join(blake3_hex(&components::bytes("read-only")))
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_that_is_damaged_is_named_by_each_command_and_never_run() {
    let (stage, process) = Stage::set().await;
    let [whole, bad] = ["whole", "bad"].map(|name| stage.path(name));
    stage.ends(0, &["backup", text(&whole)]);
    let blob = component_in(&stage.fresh.data_dir());
    let at = fs::metadata(&blob).unwrap().len() / 2;
    flip(&blob, usize::try_from(at).unwrap());

    // It is in the backup as it is, with what needs it.
    let made = stage.ends(5, &["backup", text(&bad)]);
    let needed_by = json!([{ "policy": "read-only", "version": 1, "part": "component" }]);
    assert_eq!((&made["bad_blobs"][0]["needed_by"], &made["bad_files"]), (&needed_by, &json!([])), "{made}");
    assert_eq!(made["bad_blobs"][0]["problem"], "has other bytes than its name says");
    assert_eq!(fs::read(component_in(&bad)).unwrap(), fs::read(&blob).unwrap());
    let output = stage.attorn(&["backup", text(&stage.path("third"))]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        said.contains("` has other bytes than its name says: it is the component of `read-only` version 1\n"),
        "{said}"
    );
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("`attorn policy push` puts them again"), "{said}");

    // What was loaded decides on; what is loaded now is not run, though its machine code is kept.
    assert_eq!(stage.cast.bot.decide(&ask()).await.decision, DecisionKind::Allow);
    process.kill().await;
    let repaired = stage.ends(5, &["repair"]);
    assert_eq!(
        (&repaired["rebuilt"], &repaired["bad_blobs"][0]["needed_by"]),
        (&Value::Null, &needed_by),
        "{repaired}"
    );
    let output = stage.attorn(&["repair"]);
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(said.contains("the store fits together; nothing was changed\n"), "{said}");
    assert!(said.contains("A repair cannot make them anew: copy the file from a backup, or push"), "{said}");
    let process = stage.start().await;
    stage.denied_by_a_policy_that_is_not_loaded().await;
    // The ways out that are named.
    stage.cast.put(components::bytes("read-only")).await;
    process.kill().await;
    stage.ends(0, &["repair"]);
    let process = stage.start().await;
    assert_eq!(stage.cast.bot.decide(&ask()).await.decision, DecisionKind::Allow);
    process.kill().await;
    fs::remove_file(&blob).unwrap();
    let repaired = stage.ends(5, &["repair"]);
    assert_eq!(repaired["bad_blobs"][0]["problem"], "is missing", "{repaired}");
    fs::copy(component_in(&whole), &blob).unwrap();
    stage.ends(0, &["repair"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_with_a_bad_component_is_restored_only_by_whoever_accepts_that_its_policy_denies() {
    let (mut stage, process) = Stage::set().await;
    let backup = stage.path("backup");
    stage.ends(0, &["backup", text(&backup)]);
    process.kill().await;
    fs::rename(stage.fresh.data_dir(), stage.path("lost")).unwrap();
    fs::remove_file(component_in(&backup)).unwrap();
    let said = stage.refused(1, &["restore", text(&backup)]);
    assert!(
        said.contains("error: a component or settings is bad in the backup, and nothing was restored: `"),
        "{said}"
    );
    assert!(said.contains("` is missing: it is the component of `read-only` version 1\nhelp: "), "{said}");
    assert!(said.contains("`--with-bad-blobs`") && said.contains("`attorn policy push`"), "{said}");
    let home = stage.fresh.config.parent().unwrap();
    assert!(!stage.fresh.data_dir().exists() && !home.join("data.restoring").exists());
    let restored = stage.ends(5, &["restore", text(&backup), "--with-bad-blobs"]);
    assert_eq!(restored["bad_blobs"][0]["needed_by"][0]["policy"], "read-only", "{restored}");

    let process = stage.start().await;
    let token = restored["bootstrap_token"].as_str().unwrap();
    stage.cast.staff = stage.cast.staff.renewed(&stage.fresh.reach, token).await;
    let thawer = stage.cast.staff.admin.hire("thawer", &[Duty::Thawer]).await;
    thawer.post("/v1/thaw", &json!({ "reason": "compared" })).await.expect(200);
    stage.denied_by_a_policy_that_is_not_loaded().await;
    stage.cast.put(components::bytes("read-only")).await;
    process.kill().await;
    let process = stage.start().await;
    assert_eq!(stage.cast.bot.decide(&ask()).await.decision, DecisionKind::Allow);
    process.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_file_of_the_journal_that_is_damaged_is_left_behind_by_a_start_and_by_a_repair() {
    let (stage, process) = Stage::set().await;
    let value = "x".repeat(4_000);
    for round in 0..4 {
        let facts = (0..100).map(|n| json!({ "name": format!("resource/article/{round}-{n}/n"), "value": value }));
        let facts = json!({ "facts": facts.collect::<Vec<_>>() });
        stage.cast.staff.registrar.post("/v1/facts", &facts).await.expect(200);
    }
    process.kill().await;
    let (data, copy) = (stage.fresh.data_dir(), stage.path("copy"));
    let mut journals: Vec<_> = fs::read_dir(data.join("journal")).unwrap().map(|entry| entry.unwrap().path()).collect();
    journals.retain(|path| path.extension().is_some_and(|extension| extension == "journal"));
    journals.sort();
    assert!(journals.len() > 1, "{journals:?}");
    flip(&journals[0], 300);
    attorn_tests::files::copy_dir(&data, &copy);
    let said = stage.refused(5, &["backup", text(&stage.path("backup"))]);
    assert!(!stage.path("backup").exists(), "nothing is in the way of the next");
    fs::create_dir(stage.path("empty")).unwrap();
    stage.refused(5, &["backup", text(&stage.path("empty"))]);
    assert_eq!(fs::read_dir(stage.path("empty")).unwrap().count(), 0, "what was there stays");
    assert!(said.contains(&format!("`{}` is damaged at byte ", journals[0].display())), "{said}");
    assert!(said.contains("\nhelp: with a new base copy") && said.contains("`attorn repair`"), "{said}");

    // A server starts, says so, and makes a base copy with which it is needed no more.
    let process = stage.start().await;
    let mut tries = 0;
    attorn_tests::until("a backup is made again", async || {
        tries += 1;
        stage.attorn(&["backup", text(&stage.path(&format!("backup-{tries}")))]).status.success()
    })
    .await;
    attorn_tests::until("the server says that it is whole", async || {
        Metrics::of(&stage.cast.staff.auditor).await.count("attorn_store_bad_parts", &[]) == Some(0)
    })
    .await;
    let id = process.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    let (_, said) = process.ended(std::time::Duration::from_mins(1)).await.unwrap();
    let named = said.lines().find(|line| line.contains("base copy and journal are not whole")).unwrap();
    assert!(named.contains(text(&journals[0])) && named.contains("attorn repair"), "{said}");
    stage.ends(0, &["repair"]);

    // And so does a repair.
    fs::rename(&data, stage.path("mended")).unwrap();
    fs::rename(&copy, &data).unwrap();
    // It has seen what happened since.
    fs::remove_file(stage.fresh.config.with_file_name("high-water")).unwrap();
    let repaired = stage.ends(0, &["repair"]);
    assert_eq!(repaired["rebuilt"], "journal", "{repaired}");
    assert!(repaired["problem"].as_str().unwrap().contains(text(&journals[0])), "{repaired}");
    assert_eq!(repaired["moved_to"], data.join("journal.broken-1").display().to_string(), "{repaired}");
    assert_eq!(repaired["base_moved_to"], data.join("base.broken-1").display().to_string(), "{repaired}");
    stage.ends(0, &["backup", text(&stage.path("repaired"))]);
    stage.ends(0, &["repair"]);
}

/// A store whose first entries are in a file and nowhere else, and a backup of it.
async fn with_entries_in_a_file_alone(stage: &Stage, process: Process) -> PathBuf {
    stage.grow(300).await;
    // What the start compares the log with counts all of them.
    let high_water = stage.fresh.config.with_file_name("high-water");
    for _ in 0..1_000 {
        let seen = fs::read_to_string(&high_water).unwrap_or_default();
        if seen.lines().nth(1).and_then(|line| line.parse::<u64>().ok()).is_some_and(|seen| seen > 300) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    process.kill().await;
    let data = stage.fresh.data_dir();
    let bundle = data.join("log/1/tile/entries/000");
    let store = Store::open(&data, &stage.fresh.ours()).unwrap();
    store.bundle_through(store.log_head().unwrap().size);
    for _ in 0..2_000 {
        if bundle.exists() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    drop(store.close().unwrap());
    // A repair begins a journal, with a base copy, that do not have them any more.
    let mut journals: Vec<_> = fs::read_dir(data.join("journal")).unwrap().map(|entry| entry.unwrap().path()).collect();
    journals.sort();
    let bytes = fs::read(journals.last().unwrap()).unwrap();
    let frames: Vec<_> = (64..bytes.len()).step_by(64).filter(|at| bytes[*at..].starts_with(b"atfr")).collect();
    flip(journals.last().unwrap(), frames[frames.len() - 2] + 64);
    // What the old one has is brought back first, and what is aside is looked into later.
    let whole = fs::read(&bundle).unwrap();
    for rebuilt in ["journal", "files"] {
        fs::remove_file(&bundle).unwrap();
        let repaired = stage.ends(0, &["repair"]);
        assert_eq!((&repaired["rebuilt"], &repaired["bad_files"]), (&json!(rebuilt), &json!([])), "{repaired}");
        assert!(repaired["problem"].as_str().unwrap().contains("tile/entries/000` is missing"), "{repaired}");
        assert_eq!(fs::read(&bundle).unwrap(), whole);
    }
    for aside in ["journal.broken-1", "base.broken-1"] {
        fs::remove_dir_all(data.join(aside)).unwrap();
    }
    let backup = stage.path("backup");
    stage.ends(0, &["backup", text(&backup)]);
    flip(&bundle, 5_000);
    assert_eq!(stage.ends(5, &["repair"])["bad_files"].as_array().unwrap().len(), 1, "the entries are elsewhere, too");
    backup
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_that_cannot_be_read_keep_nobody_from_restoring_or_from_a_new_key() {
    let (stage, process) = Stage::set().await;
    let key = stage.path("log.key");
    fs::write(&key, stage.cast.audit(&stage.path("state"), &["key"]).stdout).unwrap();
    let backup = with_entries_in_a_file_alone(&stage, process).await;
    let lacking = "error: the entries 0 to 255 are not in the export: it says that they were bad when the epoch ended";
    let refused = "error: the entries 0 to 255 cannot be read, and nothing was changed: `";
    let is_refused = |said: &str| {
        let help = said.contains("`attorn repair` makes the files anew") && said.contains("`--with-bad-entries`");
        said.starts_with(refused) && said.contains("tile/entries/000` is not what the log's tree says") && help
    };

    flip(&backup.join("log/1/tile/entries/000"), 5_000);
    let elsewhere = stage.path("elsewhere");
    let restore = ["restore", text(&backup), "--data-dir", text(&elsewhere)];
    let said = stage.refused(1, &restore);
    assert!(is_refused(&said) && !elsewhere.exists(), "{said}");
    // Files are named where they are, and not where they were for a moment.
    assert!(said.contains(text(&backup.join("log/1/tile/entries/000"))) && !said.contains(".restoring"), "{said}");
    let restored = stage.ends(5, &[&restore[..], &["--with-bad-entries"]].concat());
    let bad = restored["bad_files"][0].as_str().unwrap();
    assert!(bad.contains("tile/entries/000` is not what the log's tree says"), "{restored}");
    assert!(bad.starts_with(&format!("`{}`", text(&elsewhere.join("log/1/tile/entries/000")))), "{restored}");
    assert!(!bad.contains("`attorn repair`"), "{restored}");
    assert_eq!(restored["bad_entries"], json!([{ "from": 0, "to": 255 }]), "{restored}");
    let export = restored["earlier_export"].as_str().unwrap();
    let (code, said) = stage.audit(&["verify", "--file", export, "--key", text(&key)]);
    assert!(code == Some(5) && said.contains(lacking), "{said}");

    let data = stage.fresh.data_dir();
    let said = stage.refused(1, &["key", "rotate-log"]);
    assert!(is_refused(&said) && !data.join("epochs").exists(), "{said}");
    let rotated = stage.ends(5, &["key", "rotate-log", "--with-bad-entries"]);
    assert_eq!(rotated["bad_files"].as_array().unwrap().len(), 1, "{rotated}");
    assert!(!rotated["bad_files"][0].as_str().unwrap().contains("`attorn repair`"), "{rotated}");
    assert_eq!(rotated["bad_entries"], json!([{ "from": 0, "to": 255 }]), "{rotated}");
    let export = rotated["earlier_export"].as_str().unwrap();
    let (code, said) = stage.audit(&["verify", "--file", export, "--key", text(&key)]);
    assert!(
        code == Some(5) && said.contains(lacking) && said.contains("\nhelp: the first entry of the next epoch"),
        "{said}"
    );
    // It is a server like any other, and what was lost then is no fault of its backups.
    let process = stage.start().await;
    assert_eq!(stage.cast.bot.decide(&ask()).await.decision, DecisionKind::Allow);
    let made = stage.ends(0, &["backup", text(&stage.path("again"))]);
    assert_eq!((&made["bad_exports"], &made["bad_blobs"]), (&json!([]), &json!([])), "{made}");
    what_is_left_is_proved(&stage, &key);
    process.kill().await;
    let verified = stage.ends(0, &["audit", "verify", "--alone"]);
    assert_eq!(verified["earlier_epochs"][0]["bad_entries"], json!([{ "from": 0, "to": 255 }]), "{verified}");
}

/// The audit commands show and prove what was not bad when the first epoch ended, and name what was.
#[track_caller]
fn what_is_left_is_proved(stage: &Stage, key: &Path) {
    let were_bad = "the entries 0 to 255 of epoch 1 were bad when it ended, and are not kept";
    let (code, said) = stage.audit(&["verify", "--alone", "--key", text(key)]);
    assert!(code == Some(0) && said.contains(were_bad), "{code:?} {said}");
    let (code, said) = stage.audit(&["show", "1/3"]);
    assert!(code == Some(5) && said.contains(were_bad) && said.contains("\nhelp: "), "{code:?} {said}");
    assert_eq!(stage.audit(&["show", "1/256"]).0, Some(0));
    let receipt = stage.path("receipt");
    fs::write(&receipt, stage.cast.audit(&stage.path("state"), &["receipt", "1/256"]).stdout).unwrap();
    assert_eq!(stage.audit(&["verify", "--receipt", text(&receipt), "--key", text(key)]).0, Some(0));
    let listed = stage.cast.audit(&stage.path("state"), &["list", "--epoch", "1", "--from", "250", "--limit", "9"]);
    let (out, said) = (String::from_utf8(listed.stdout).unwrap(), String::from_utf8(listed.stderr).unwrap());
    assert!(listed.status.code() == Some(5) && out.contains("1/256 ") && !out.contains("1/255 "), "{out}{said}");
    let expect = format!("epoch 1 is damaged: 6 entries of it cannot be read, the first of which is 1/250: {were_bad}");
    assert!(said.contains(&expect) && said.contains("\nhelp: "), "{said}");
    let (code, said) = stage.audit(&["epochs"]);
    assert!(code == Some(0) && said.contains(were_bad), "{code:?} {said}");
    // Each form of an export says so, and is whole but for that.
    let (file, dir, one) = (stage.path("one.export"), stage.path("whole"), stage.path("one"));
    let (code, said) = stage.audit(&["export", "--epoch", "1", "--out", text(&file)]);
    assert!(code == Some(0) && said.contains(were_bad), "{code:?} {said}");
    let (code, said) = stage.audit(&["export", "--dir", text(&dir)]);
    assert!(code == Some(0) && said.contains(were_bad), "{code:?} {said}");
    let (code, said) = stage.audit(&["verify", "--dir", text(&dir), "--key", text(key)]);
    assert!(code == Some(0) && said.contains(were_bad), "{code:?} {said}");
    let (code, said) = stage.audit(&["export", "--epoch", "1", "--dir", text(&one)]);
    assert!(code == Some(1) && said.contains("`--out FILE` writes the epoch as one file"), "{code:?} {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_a_user_that_is_damaged_is_named_and_ends_with_5() {
    let scene = Behalf::new().await;
    let user = scene.delegated().await.user;
    let home = scene.server.data_dir().parent().unwrap().to_owned();
    let file = format!("{}/{user}.key", &user[user.len() - 2..]);
    let key = home.join("user-keys").join(&file);
    let outside = tempfile::TempDir::new().unwrap();
    let path = |name: &str| outside.path().join(name);
    let ends = |code: i32, arguments: &[&str]| {
        let mut command = Command::new(binary());
        let output = command.args(arguments).arg("--config").arg(home.join("attorn.toml")).output().unwrap();
        let [out, said] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        // A bar is for terminals.
        assert!(!said.contains('\r'), "{said:?}");
        (out, said)
    };
    let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let copy =
        |backup: &str, keys: &str| ["backup", text(&path(backup)), "--keys", text(&path(keys))].map(str::to_owned);
    let copied = |code: i32, number: u32, more: &[&str]| {
        let arguments = copy(&format!("backup-{number}"), &format!("keys-{number}"));
        ends(code, &[&arguments.each_ref().map(String::as_str), more].concat())
    };

    let whole = json(&copied(0, 1, &["--json"]).0);
    assert_eq!((&whole["user_keys"], &whole["bad_user_keys"]), (&json!(1), &json!([])));
    flip(&key, 20);
    let made = json(&copied(5, 2, &["--json"]).0);
    let bad = made["bad_user_keys"].as_array().unwrap();
    assert!(bad.len() == 1 && bad[0].as_str().unwrap().contains(&file), "{made}");
    let (out, said) = copied(5, 3, &[]);
    assert!(out.contains("bad      ") && out.contains(&file), "{out}");
    assert!(said.contains("Nothing about these users can be read"), "{said}");

    // Neither what is in place nor what is in the copy is a key.
    let restore = |keys: u32, data: &str, code: i32| {
        let [backup, keys, data] = ["backup-1", &format!("keys-{keys}"), data].map(path);
        ends(code, &["restore", text(&backup), "--keys", text(&keys), "--data-dir", text(&data), "--json"])
    };
    let restored = json(&restore(2, "data-2", 5).0);
    assert_eq!((&restored["user_keys"], &restored["users_without_key"]), (&json!(0), &json!(1)), "{restored}");
    assert_eq!(restored["bad_user_keys"].as_array().unwrap().len(), 2, "{restored}");
    // With a whole copy it is put back, and nothing is bad.
    let restored = json(&restore(1, "data-1", 0).0);
    assert_eq!((&restored["user_keys"], &restored["bad_user_keys"]), (&json!(1), &json!([])), "{restored}");
    assert_eq!(json(&copied(0, 4, &["--json"]).0)["bad_user_keys"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_backups_nor_copies_of_keys_go_into_what_they_are_made_of() {
    let (stage, process) = Stage::set().await;
    let data = stage.fresh.data_dir();
    let keys = attorn_server::Config::load(&stage.fresh.config).unwrap().user_keys;
    symlink(&data, stage.path("link")).unwrap();
    symlink(&keys, stage.path("keys-link")).unwrap();
    let into_data = data.join("backup");
    for backup in [&into_data, &data, &stage.path("link/backup"), &stage.path("link"), &stage.path("attorn")] {
        let said = stage.refused(2, &["backup", text(backup)]);
        assert!(said.contains("is within `") && said.contains("\nhelp: name a directory elsewhere"), "{said}");
    }
    let aside = stage.path("aside");
    for copy in [&into_data, &stage.path("link/keys"), &keys.join("copy"), &stage.path("keys-link/copy")] {
        let said = stage.refused(2, &["backup", text(&aside), "--keys", text(copy)]);
        assert!(said.contains("is within `") && said.contains("\nhelp: keep them apart"), "{said}");
    }
    let said = stage.refused(2, &["backup", text(&stage.path("keys-link/backup"))]);
    assert!(said.contains("the data would go into the keys of users"), "{said}");
    assert!(!into_data.exists() && !aside.exists() && !keys.join("copy").exists());
    stage.ends(0, &["backup", text(&aside)]);
    process.kill().await;
    symlink(&aside, stage.path("aside-link")).unwrap();
    let inside = stage.path("aside-link/data");
    let said = stage.refused(2, &["restore", text(&aside), "--data-dir", text(&inside)]);
    assert!(said.contains("is within `") && !inside.exists(), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_may_read_what_was_exported_whatever_the_umask() {
    let (stage, process) = Stage::set().await;
    let [dir, file, backup] = ["exports/dir", "export", "backup"].map(|name| stage.path(name));
    for arguments in [
        &["audit", "export", "--dir", text(&dir)][..],
        &["audit", "export", "--out", text(&file)],
        &["backup", text(&backup), "--config", text(&stage.fresh.config)],
    ] {
        let mut command = Command::new("sh");
        command.args(["-c", "umask 0; exec \"$0\" \"$@\""]).arg(binary()).args(arguments);
        command.env("ATTORN_URL", &stage.cast.reach.url).env("ATTORN_TOKEN", &stage.cast.staff.auditor.token);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    process.kill().await;
    let (mut due, mut files) = (vec![stage.path("exports"), file, backup], 0);
    while let Some(path) = due.pop() {
        let found = fs::metadata(&path).unwrap();
        let expect = if found.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(found.permissions().mode() & 0o777, expect, "{}", path.display());
        if found.is_dir() {
            due.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        files += u32::from(found.is_file());
    }
    assert!(files > 8, "{files}");
}
