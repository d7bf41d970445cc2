//! Epochs of the audit log: what a restore ends, backups that are restored twice, and the log's key when it is rotated.
// Long because: one stage, whose log begins anew in every way that there is.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::fs;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use attorn_api::audit::{Entry, EntryList};
use attorn_api::decisions::{DecisionAnswer, DecisionKind};
use attorn_api::replays::Comparison;
use attorn_core::{Duty, TimeMs};
use attorn_log::{CheckpointVerifier, Epoch, Hash, Receipt, Succession, WitnessPolicy, verify_export};
use attorn_tests::components;
use attorn_tests::files::copy_dir;
use attorn_tests::people::bootstrap;
use attorn_tests::process::binary;
use attorn_tests::replays::replay;
use attorn_tests::server::Fresh;
use attorn_tests::witness::Mood;
use attorn_tests::world::{Cast, ask, read_only_settings};
use attorn_tests::{Call, Process, Staff, Witness};
use serde_json::{Value, json};

/// A server that has decided something, and what is done to its directories.
struct Stage {
    fresh: Fresh,
    cast: Cast,
}

impl Stage {
    async fn set() -> (Self, Process) {
        Self::set_in(Fresh::make().await).await
    }

    async fn set_in(fresh: Fresh) -> (Self, Process) {
        let process = Process::start(&fresh.config, &fresh.reach).await;
        let staff = Staff::hire(&fresh.reach, &fresh.bootstrap_token).await;
        let cast = Cast::register(&fresh.reach, &staff).await;
        cast.activate("read-only", components::bytes("read-only"), read_only_settings()).await;
        (Self { fresh, cast }, process)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.fresh.dir.path().join(name)
    }

    fn high_water(&self) -> PathBuf {
        self.fresh.config.with_file_name("high-water")
    }

    fn attorn(&self, arguments: &[&str]) -> Output {
        Command::new(binary()).args(arguments).arg("--config").arg(&self.fresh.config).output().unwrap()
    }

    #[track_caller]
    fn done(&self, arguments: &[&str]) -> Value {
        let output = self.attorn(&[arguments, &["--json"]].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    #[track_caller]
    fn fails(&self, arguments: &[&str]) -> String {
        let output = self.attorn(arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        said
    }

    async fn start(&self) -> Process {
        Process::start(&self.fresh.config, &self.fresh.reach).await
    }

    async fn key(&self) -> CheckpointVerifier {
        self.fresh.reach.send(Call::get("/v1/audit/key")).await.text().trim().parse().unwrap()
    }

    async fn bodies(&self) -> Vec<Value> {
        let list: EntryList = self.cast.staff.auditor.get("/v1/audit/entries?limit=200").await.json();
        list.entries.iter().map(|entry| serde_json::from_str(entry.body.get()).unwrap()).collect()
    }

    /// Back up, stop, and put the directory elsewhere.
    async fn lose(&self, process: Process) -> PathBuf {
        let backup = self.path("backup");
        self.done(&["backup", backup.to_str().unwrap()]);
        process.kill().await;
        fs::rename(self.fresh.data_dir(), self.path("lost")).unwrap();
        backup
    }
}

fn first_of(bodies: &[Value], kind: &str) -> Value {
    bodies.iter().find(|body| body["type"] == kind).unwrap().clone()
}

fn epoch_of(origin: &Value) -> u64 {
    origin.as_str().unwrap().rsplit('/').next().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_was_revoked_after_the_backup_cannot_act_after_the_restore() {
    let (mut stage, process) = Stage::set().await;
    let admin = stage.cast.staff.admin.clone();
    let thawer = admin.hire("thawer", &[Duty::Thawer]).await;
    let thief = admin.hire("thief", &[Duty::Thawer, Duty::Admin]).await;
    let allowed = stage.cast.bot.decide(&ask()).await;
    let backup = stage.path("backup");
    stage.done(&["backup", backup.to_str().unwrap()]);
    // Of this the backup knows nothing.
    admin.act("/v1/operators/thief/revoke").await.expect(200);
    process.kill().await;
    fs::rename(stage.fresh.data_dir(), stage.path("lost")).unwrap();
    let restored = stage.done(&["restore", backup.to_str().unwrap()]);
    assert_eq!(restored["operator_tokens_ended"], 9, "{restored}");

    let process = stage.start().await;
    let thaw = json!({ "reason": "mine again" });
    for operator in [&thief, &thawer] {
        operator.post("/v1/thaw", &thaw).await.refused(401, "unauthenticated");
    }
    thief.act("/v1/operators/thief/renew").await.refused(401, "unauthenticated");
    admin.get("/v1/operators").await.refused(401, "unauthenticated");
    // The token of `init` was used, and is dead as before.
    let old = bootstrap(&stage.fresh.reach, &stage.fresh.bootstrap_token);
    old.act("/v1/operators/admin/renew").await.refused(401, "unauthenticated");

    let new = bootstrap(&stage.fresh.reach, restored["bootstrap_token"].as_str().unwrap());
    new.post("/v1/thaw", &thaw).await.refused(401, "unauthenticated");
    new.act("/v1/operators/thawer/renew").await.refused(422, "invalid_field");
    new.act("/v1/operators/nobody/renew").await.refused(404, "not_found");
    let admin = new.renew(&admin).await;
    new.act("/v1/operators/thief/renew").await.refused(401, "unauthenticated");
    admin.act("/v1/operators/admin/renew").await.refused(409, "invalid_state");
    // The only admin who has a token stays, and who is revoked gets none.
    admin.act("/v1/operators/admin/revoke").await.refused(409, "invalid_state");
    admin.act("/v1/operators/thief/revoke").await.expect(200);
    admin.act("/v1/operators/thief/renew").await.refused(409, "invalid_state");
    let list: Value = admin.get("/v1/operators").await.expect(200).json();
    let has_token = |id: &str| {
        let all = list["operators"].as_array().unwrap();
        all.iter().find(|operator| operator["id"] == id).unwrap()["has_token"].clone()
    };
    assert_eq!(
        (has_token("admin"), has_token("thawer"), has_token("thief")),
        (true.into(), false.into(), false.into())
    );
    let thawer = admin.renew(&thawer).await;
    stage.cast.staff.auditor = admin.renew(&stage.cast.staff.auditor).await;
    thawer.post("/v1/thaw", &thaw).await.expect(200);

    // What the old key signed says nothing any more, and another signs.
    let token = allowed.credential.unwrap().access_token;
    let header = token.split('.').next().unwrap().to_owned();
    let again = stage.cast.bot.decide(&ask()).await;
    assert_eq!(again.decision, DecisionKind::Allow);
    let new_token = again.credential.unwrap().access_token;
    assert_ne!(new_token.split('.').next().unwrap(), header);
    let jwks: Value = stage.fresh.reach.send(Call::get("/.well-known/jwks.json")).await.json();
    assert_eq!(jwks["keys"].as_array().unwrap().len(), 1, "{jwks}");
    let types: Vec<Value> = stage.bodies().await.into_iter().map(|body| body["type"].clone()).collect();
    for due in ["operator_tokens_ended", "token_keys_ended", "key_made", "bootstrap_token_made", "operator_renewed"] {
        assert!(types.iter().any(|found| found == due), "{due}: {types:?}");
    }
    process.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_backup_that_is_restored_twice_makes_two_logs_that_nobody_takes_for_one() {
    let (stage, process) = Stage::set().await;
    let backup = stage.lose(process).await;
    let backup = backup.to_str().unwrap();
    let first = stage.done(&["restore", backup]);
    assert_eq!(epoch_of(&first["origin"]), 2);
    let process = stage.start().await;
    let first_key = stage.key().await;
    process.kill().await;

    // The high-water file has seen the second epoch, of which the backup knows nothing.
    fs::rename(stage.fresh.data_dir(), stage.path("first")).unwrap();
    let second = stage.done(&["restore", backup]);
    assert_eq!(epoch_of(&second["origin"]), 3);
    let problem = second["high_water_problem"].as_str().unwrap();
    assert!(problem.starts_with("it has seen `attorn/log-") && problem.contains("was restored before"), "{problem}");
    let process = stage.start().await;
    let second_key = stage.key().await;
    process.kill().await;
    assert_ne!(first_key.to_string(), second_key.to_string());

    // Where nobody knows of it, both are called the same, and no key of one is that of the other.
    fs::remove_file(stage.high_water()).unwrap();
    fs::rename(stage.fresh.data_dir(), stage.path("second")).unwrap();
    let third = stage.done(&["restore", backup]);
    assert_eq!((epoch_of(&third["origin"]), third["high_water_problem"].clone()), (2, Value::Null));
    let process = stage.start().await;
    let third_key = stage.key().await;
    assert_eq!(third_key.origin(), first_key.origin());
    assert_ne!(third_key, first_key);
    process.kill().await;
    let verify = |data: &Path| {
        fs::remove_file(stage.high_water()).ok();
        let config = fs::read_to_string(&stage.fresh.config).unwrap();
        let config = config.replace("data_dir = \"data\"", &format!("data_dir = {data:?}"));
        let path = stage.fresh.config.with_file_name("other.toml");
        fs::write(&path, config).unwrap();
        let mut command = Command::new(binary());
        command.args(["audit", "verify", "--config"]).arg(&path).env("XDG_STATE_HOME", stage.path("state"));
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, said) = verify(&stage.path("first"));
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = verify(&stage.fresh.data_dir());
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains("the checkpoint that was kept cannot be relied on under the log's key"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_high_water_file_that_cannot_be_used_is_said() {
    let (stage, process) = Stage::set().await;
    let backup = stage.lose(process).await;
    let said = stage.fails(&["restore", stage.path("no-backup").to_str().unwrap()]);
    assert!(
        said.contains("the backup cannot be restored: ") && said.contains("\nhelp: nothing was restored"),
        "{said}"
    );
    assert!(!stage.path("attorn/data.restoring").exists());
    let seen = fs::read_to_string(stage.high_water()).unwrap();
    let forged = seen.replacen('\n', "\n9", 1);
    let origin = seen.lines().next().unwrap();
    let last = format!("{}/{}", origin.rsplit_once('/').unwrap().0, u64::MAX);
    for (note, epoch, why) in [
        ("garbage", Some(2), "`garbage` is no origin"),
        (&forged, Some(2), "the checkpoint's signature is wrong"),
        (&seen.replacen("attorn/log-", "attorn/lag-", 1), Some(2), "it is of another log, `attorn/lag-"),
        (&seen.replacen(origin, &last, 1), None, "after which there is none"),
    ] {
        fs::write(stage.high_water(), note).unwrap();
        let target = stage.path("target");
        let arguments = ["restore", backup.to_str().unwrap(), "--data-dir", target.to_str().unwrap()];
        let Some(epoch) = epoch else {
            let said = stage.fails(&arguments);
            assert!(said.contains(why) && said.contains("\nhelp: no new epoch began: "), "{said}");
            continue;
        };
        let restored = stage.done(&arguments);
        assert_eq!((epoch_of(&restored["origin"]), &restored["entries_lost_at_least"]), (epoch, &Value::Null));
        let problem = restored["high_water_problem"].as_str().unwrap();
        assert!(problem.contains(why), "{problem}");
        fs::remove_dir_all(target).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_logs_key_is_rotated_and_nothing_that_was_granted_ends() {
    let (stage, process) = Stage::set().await;
    let old_key = stage.key().await;
    let said = stage.fails(&["key", "rotate-log"]);
    assert!(said.contains("is in use"), "{said}");
    process.kill().await;
    let earlier = stage.path("earlier");
    copy_dir(&stage.fresh.data_dir(), &earlier);
    let long = "x".repeat(257);
    assert!(stage.fails(&["key", "rotate-log", "--reason", &long]).contains("`reason` has more than 256"));
    let process = stage.start().await;
    let allowed = stage.cast.bot.decide(&ask()).await;
    process.kill().await;
    let left = stage.path("attorn/data.rotating");
    fs::create_dir(&left).unwrap();
    let said = stage.fails(&["key", "rotate-log"]);
    assert!(said.contains("is left of a rotation that did not come to its end; nothing was changed\nhelp: "), "{said}");
    fs::remove_dir(&left).unwrap();
    let rotated = stage.done(&["key", "rotate-log", "--reason", "each year"]);
    assert!(!stage.path("attorn/data.rotating").exists());
    assert_eq!((epoch_of(&rotated["earlier_origin"]), epoch_of(&rotated["origin"])), (1, 2));

    let process = stage.start().await;
    let new_key = stage.key().await;
    assert_eq!(new_key.to_string(), rotated["key"].as_str().unwrap());
    stage.cast.use_grant(&allowed.grant.unwrap()).await.expect(200);
    assert_eq!(stage.cast.bot.decide(&ask()).await.decision, DecisionKind::Allow);
    let first = stage.bodies().await.remove(0);
    assert_eq!((first["type"].as_str(), first["reason"].as_str()), (Some("log_key_rotated"), Some("each year")));
    // The old key names the new one, at the end of its epoch and by a note at the begin of the next.
    let succession = Succession::verify(first["succession"].as_str().unwrap().as_bytes(), &old_key).unwrap();
    assert_eq!(succession.key, new_key);
    let ended = old_key.verify(first["checkpoint"].as_str().unwrap().as_bytes()).unwrap();
    assert_eq!(succession.ended, *ended.checkpoint());
    let path = rotated["earlier_export"].as_str().unwrap();
    let verified = verify_export(BufReader::new(fs::File::open(path).unwrap()), Some(&old_key)).unwrap();
    assert_eq!(verified.checkpoint, ended);
    let text = fs::read_to_string(path).unwrap();
    let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!((last["type"].as_str(), &last["next_key"]), (Some("log_key_ended"), &rotated["key"]));
    // The new log is one like any other.
    let whole = stage.cast.staff.auditor.get("/v1/audit/export").await.expect(200);
    verify_export(whole.body.as_slice(), Some(&new_key)).unwrap();
    process.kill().await;
    let process = stage.start().await;
    process.kill().await;

    // A second time, because somebody may have the key: then it names no other.
    let again = stage.done(&["key", "rotate-log", "--compromised"]);
    assert_eq!(epoch_of(&again["origin"]), 3);
    let process = stage.start().await;
    let first = stage.bodies().await.remove(0);
    assert_eq!((&first["succession"], &first["compromised"]), (&Value::Null, &Value::Bool(true)));
    stage.done(&["backup", stage.path("backup").to_str().unwrap()]);
    process.kill().await;
    // What the old key signs now is not believed, though the high-water file is of its epoch.
    fs::rename(stage.fresh.data_dir(), stage.path("newest")).unwrap();
    copy_dir(&earlier, &stage.fresh.data_dir());
    let said = stage.fails(&["serve"]);
    assert!(said.contains("ends before entry ") && said.contains("has seen `attorn/log-"), "{said}");
    // Nor is the key rotated in a directory that is not the newest.
    let said = stage.fails(&["key", "rotate-log"]);
    assert!(said.contains("ends before entry "), "{said}");
    assert_eq!(stage.key_epoch(), Epoch(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_of_earlier_epochs_are_read_proved_and_searched() {
    let (stage, process) = Stage::set().await;
    let old_key = stage.key().await;
    let allowed = stage.cast.bot.decide(&ask()).await;
    process.kill().await;
    stage.done(&["key", "rotate-log"]);
    let process = stage.start().await;
    let auditor = &stage.cast.staff.auditor;
    let get = async |path: &str| auditor.get(format!("/v1/audit/{path}")).await;
    let list: Value = get("epochs").await.expect(200).json();
    let epochs = list["epochs"].as_array().unwrap();
    assert_eq!((epochs.len(), &epochs[0]["ended"], &epochs[1]["ended"]), (2, &json!("key_rotated"), &Value::Null));
    assert_eq!(epochs[0]["key"], old_key.to_string());
    let ended = old_key.verify(epochs[0]["checkpoint"].as_str().unwrap().as_bytes()).unwrap();
    let size = ended.checkpoint().size;
    assert_eq!(epochs[0]["size"], size);

    let index = allowed.entry.index;
    let text = get(&format!("epochs/1/entries/{index}/receipt")).await.expect(200);
    let logged = Receipt::parse(&text.text()).unwrap().verify(&old_key).unwrap();
    assert_eq!(logged.entry.at.to_string(), format!("{}/1/{index}", allowed.entry.log_id));
    for other in [0, size - 1] {
        let text = get(&format!("epochs/1/entries/{other}/receipt")).await.expect(200);
        Receipt::parse(&text.text()).unwrap().verify(&old_key).unwrap();
    }
    // A decision is in the epoch that it was made in.
    let by_decision = get(&format!("decisions/{}/receipt", allowed.decision_id)).await.expect(200);
    assert_eq!(by_decision.text(), text.text());
    let entry: Entry = get(&format!("epochs/1/entries/{index}")).await.expect(200).json();
    assert_eq!((entry.reference.epoch, entry.reference.index), (1, index));
    let whole = get("epochs/1/export").await.expect(200);
    assert_eq!(verify_export(whole.body.as_slice(), Some(&old_key)).unwrap().entries, size);

    // Page by page, and by filters.
    let page: EntryList = get("epochs/1/entries?from=2&limit=3").await.expect(200).json();
    let indexes: Vec<u64> = page.entries.iter().map(|entry| entry.reference.index).collect();
    assert_eq!((indexes, page.next, page.size), (vec![2, 3, 4], Some(5), size));
    let page: EntryList = get(&format!("epochs/1/entries?from={}", size - 1)).await.expect(200).json();
    assert_eq!((page.entries.len(), page.next), (1, None));
    let page: EntryList = get("epochs/1/entries?decision=allow&agent=support-bot").await.expect(200).json();
    assert_eq!(page.entries.len(), 1);
    assert_eq!(page.entries[0].reference.index, index);
    for (path, status, code) in [
        ("epochs/x/entries", 422, "invalid_field"),
        ("epochs/9/entries", 404, "not_found"),
        ("epochs/0/entries/0", 404, "not_found"),
        ("epochs/1/entries/x", 422, "invalid_field"),
        (&format!("epochs/1/entries/{size}"), 404, "not_found"),
        (&format!("epochs/1/entries/{size}/receipt"), 404, "not_found"),
        ("epochs/1/entries?colour=red", 400, "invalid_query"),
        ("epochs/7/export", 404, "not_found"),
    ] {
        get(path).await.refused(status, code);
    }
    // The epoch that the log is in answers by its number, too.
    let page: EntryList = get("epochs/2/entries").await.expect(200).json();
    assert_eq!(page.entries[0].reference.epoch, 2);
    let list: EntryList = get("entries").await.expect(200).json();
    assert_eq!((list.earlier.len(), list.earlier[0].epoch, list.earlier[0].size), (1, 1, size));
    let list: EntryList = get("entries?type=started").await.expect(200).json();
    assert_eq!(list.earlier.len(), 1);

    // By hand.
    let say = |arguments: &[&str]| stage.audit(arguments);
    let (code, out, note) = say(&["list"]);
    assert_eq!(code, Some(0), "{note}");
    assert!(note.contains(&format!("(1 with {size} entries): `--epoch 1` lists one")) && !out.contains("initialised"));
    let (_, out, _) = say(&["list", "--epoch", "1"]);
    assert!(out.contains("initialised"), "{out}");
    let (_, out, _) = say(&["show", "1/0"]);
    assert!(out.contains("initialised") && out.contains("/1/0"), "{out}");
    let (code, out, note) = say(&["show", &allowed.decision_id]);
    assert_eq!(code, Some(0), "{note}");
    assert!(out.contains(&format!("attorn audit receipt 1/{index}")), "{out}");
    let (_, out, _) = say(&["receipt", &format!("1/{index}")]);
    assert_eq!(out, text.text());
    let (_, out, _) = say(&["epochs"]);
    assert!(out.contains("key rotated") && out.contains(&old_key.to_string()), "{out}");

    process.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_of_an_earlier_epoch_that_was_altered_is_not_shown() {
    let (stage, process) = Stage::set().await;
    let allowed = stage.cast.bot.decide(&ask()).await;
    process.kill().await;
    let rotated = stage.done(&["key", "rotate-log"]);
    let (index, size) = (allowed.entry.index, rotated["earlier_entries"].as_u64().unwrap());
    let process = stage.start().await;
    let auditor = &stage.cast.staff.auditor;
    let get = async |path: &str| auditor.get(format!("/v1/audit/{path}")).await;
    let say = |arguments: &[&str]| stage.audit(arguments);
    let path = stage.fresh.data_dir().join("epochs/1.export");
    let kept = fs::read(&path).unwrap();
    let text = String::from_utf8(kept.clone()).unwrap();
    let bodies: Vec<&str> = text.lines().collect();
    let head = bodies.len() - 2 * usize::try_from(size).unwrap();
    let line = |at: u64| head + 2 * usize::try_from(at).unwrap() + 1;
    let mut altered: Vec<String> = bodies.iter().map(|line| format!("{line}\n")).collect();
    altered[line(index)] = altered[line(index)].replacen("support-bot", "support-bat", 1);
    fs::write(&path, altered.concat()).unwrap();
    let named = format!("`epochs/1.export` is not what the log signed: entry {index} was changed");
    for route in [format!("epochs/1/entries/{index}"), format!("epochs/1/entries/{index}/receipt")] {
        let problem = get(&route).await.refused(500, "log_damaged");
        assert_eq!(problem.detail, named, "{route}");
        assert!(problem.help.unwrap().contains("from a backup"));
    }
    for arguments in [&["show", &format!("1/{index}")][..], &["list", "--epoch", "1"], &["show", &allowed.decision_id]]
    {
        let (code, out, said) = say(arguments);
        assert_eq!(code, Some(5), "{arguments:?}: {out}");
        assert!(said.contains(&named) && !out.contains("support-bat"), "{arguments:?}: {said}{out}");
    }
    // What is right is shown still, also in a list, which says what it lacks.
    let list: EntryList = get("epochs/1/entries?limit=200").await.expect(200).json();
    let damaged = list.damaged.unwrap();
    assert_eq!((damaged.count, damaged.first, damaged.why.as_str()), (1, index, named.as_str()));
    assert!(damaged.help.unwrap().contains("from a backup"));
    assert_eq!(list.entries.len() as u64, size - 1);
    assert!(list.entries.iter().all(|entry| entry.reference.index != index));
    let after: EntryList = get(&format!("epochs/1/entries?from={}", index + 1)).await.expect(200).json();
    assert_eq!((after.damaged, after.entries.len() as u64), (None, size - index - 1));
    let (code, out, said) = say(&["list", "--epoch", "1", "--limit", "200"]);
    let expect = format!("error: epoch 1 is damaged: 1 entry of it cannot be read, 1/{index}: {named}\nhelp: put that");
    assert!(code == Some(5) && said.contains(&expect) && out.contains(&format!("1/{} ", size - 1)), "{out}{said}");
    let (code, out, said) = say(&["list", "--epoch", "1", "--json"]);
    let out: Value = serde_json::from_str(&out).unwrap();
    assert!(code == Some(5) && out["damaged"]["first"] == index && said.contains(&expect), "{out}{said}");
    let beside: Entry = get(&format!("epochs/1/entries/{}", index + 1)).await.expect(200).json();
    assert_eq!(beside.reference.index, index + 1);
    fs::write(&path, &kept[..kept.len() - 2]).unwrap();
    get(&format!("epochs/1/entries/{}", size - 1)).await.refused(500, "log_damaged");
    fs::write(&path, &kept).unwrap();
    // An index is made when it is missing, and nothing is believed because it says so.
    let by_index = path.with_extension("index");
    fs::remove_file(&by_index).unwrap();
    get(&format!("epochs/1/entries/{index}")).await.expect(200);
    let mut bytes = fs::read(&by_index).unwrap();
    bytes[70] ^= 1;
    fs::write(&by_index, bytes).unwrap();
    get("epochs/1/entries/0").await.expect(200);
    fs::remove_file(&path).unwrap();
    for path in ["epochs/1/entries", "epochs/1/export", "epochs/1/entries/0/receipt"] {
        get(path).await.refused(404, "not_found");
    }
    process.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_is_taken_in_every_form_in_which_it_is_printed_and_of_no_other_log() {
    let (stage, process) = Stage::set().await;
    let allowed = stage.cast.bot.decide(&ask()).await;
    process.kill().await;
    stage.done(&["key", "rotate-log"]);
    let (index, process) = (allowed.entry.index, stage.start().await);
    let say = |arguments: &[&str]| stage.audit(arguments);
    let receipt = say(&["receipt", &format!("1/{index}")]).1;
    let whole_name = format!("{}/1/{index}", allowed.entry.log_id);
    assert_eq!(say(&["receipt", &whole_name]).1, receipt);
    let (_, out, _) = say(&["show", &whole_name]);
    assert!(out.contains(&format!("entry {whole_name}\n")), "{out}");
    let (_, listed, _) = say(&["list", "--from", &whole_name, "--limit", "1"]);
    assert!(listed.contains(&format!("1/{index} ")), "{listed}");
    assert_eq!(say(&["list", "--from", &format!("1/{index}"), "--limit", "1"]).1, listed);
    assert_eq!(say(&["list", "--epoch", "1", "--from", &index.to_string(), "--limit", "1"]).1, listed);
    for arguments in [
        &["show", "log-0000/1/3"][..],
        &["receipt", "log-0000/1/3"],
        &["replay", "log-0000/1/3"],
        &["list", "--from", "log-0000/1/3"],
    ] {
        let (code, out, said) = say(arguments);
        assert_eq!((code, out.as_str()), (Some(1), ""), "{arguments:?}");
        let expect = format!("the entry is of the log `log-0000`, and the server's log is `{}`", allowed.entry.log_id);
        assert!(said.contains(&expect) && said.contains("\nhelp: "), "{arguments:?}: {said}");
    }
    process.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_epoch_that_is_kept_is_verified_and_exported() {
    let (stage, process) = Stage::set().await;
    let old_key = stage.key().await;
    let decided = stage.cast.bot.decide(&ask()).await;
    process.kill().await;
    let rotated = stage.done(&["key", "rotate-log"]);
    let entries = rotated["earlier_entries"].as_u64().unwrap();
    let process = stage.start().await;
    let [all, one, file] = ["all", "one", "file"].map(|name| stage.path(name).display().to_string());
    let good = |arguments: &[&str]| {
        let (code, out, said) = stage.audit(arguments);
        assert_eq!(code, Some(0), "{arguments:?}: {said}");
        (out, said)
    };
    good(&["export", "--dir", &all]);
    good(&["export", "--epoch", "1", "--dir", &one]);
    good(&["export", "--epoch", "1", "--out", &file]);
    let (code, _, said) = stage.audit(&["export", "--epoch", "9", "--dir", &stage.path("none").display().to_string()]);
    assert!(code == Some(1) && said.contains("there is no epoch `9`"), "{said}");
    // What was exported of one epoch verifies alone.
    let key = old_key.to_string();
    for arguments in [["--dir", &one], ["--file", &file]] {
        let (out, _) = good(&[&["verify", "--key", &key], &arguments[..]].concat());
        assert!(out.starts_with(&format!("verified  {} with {entries} entries\n", old_key.origin())), "{out}");
    }
    // The whole log verifies by the key of before, too, which is followed without the server.
    let (out, said) = good(&["verify", "--dir", &all, "--key", &key]);
    assert!(out.starts_with("verified  ") && said.contains("which named it: give this one from now on"), "{out}{said}");
    let lines = fs::read_to_string(stage.path("one/entries.jsonl")).unwrap();
    assert_eq!(lines.lines().count() as u64, entries);

    let config = stage.fresh.config.display().to_string();
    let whole = format!("\nepoch 1   its {entries} entries are as they were signed\n");
    let server = ["verify", "--alone"];
    let exported = ["verify", "--dir", &all];
    for arguments in [&server[..], &exported] {
        let (out, said) = good(arguments);
        assert!(out.contains(&whole) && !said.contains("was not checked"), "{arguments:?}: {out}{said}");
    }
    let said: Value = serde_json::from_str(&good(&["verify", "--alone", "--json"]).0).unwrap();
    assert_eq!(said["earlier_epochs"], json!([{ "epoch": 1, "entries": entries, "checked": true }]));

    // One entry of it is altered, in the data directory and in what was exported.
    let index = decided.entry.index;
    let paths = [stage.fresh.data_dir().join("epochs/1.export"), stage.path("all/epochs/1.export")];
    let kept = fs::read_to_string(&paths[0]).unwrap();
    let altered = kept.replacen("\"decision\":\"allow\"", "\"decision\":\"allaw\"", 1);
    assert_ne!(altered, kept);
    for path in &paths {
        fs::write(path, &altered).unwrap();
    }
    let named = format!("error: epoch 1: entry {index} was changed\n");
    for arguments in [&server[..], &exported] {
        let (code, _, said) = stage.audit(arguments);
        assert_eq!(code, Some(5), "{arguments:?}: {said}");
        assert!(said.contains(&named), "{arguments:?}: {said}");
    }
    // What is written of it anew is looked at, and stays as evidence.
    let [bad, bad_file] = ["bad", "bad.export"].map(|name| stage.path(name).display().to_string());
    for arguments in [["export", "--dir", &bad].as_slice(), &["export", "--epoch", "1", "--out", &bad_file]] {
        let (code, _, said) = stage.audit(arguments);
        assert!(code == Some(5) && said.contains(&format!("epoch 1: entry {index} was changed")), "{said}");
    }
    assert!(Path::new(&bad).join("checkpoint").exists() && Path::new(&bad_file).exists());
    let (_, out, _) = stage.audit(&["verify", "--alone", "--json"]);
    let said: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&said["verified"], &said["entry"]), (&json!(false), &json!(index)));

    // Nothing is kept of it any more: that is no proof of anything, and is said.
    for path in &paths {
        fs::remove_file(path).unwrap();
    }
    let not_checked = format!("epoch 1 was not checked: its {entries} entries are not kept here (`1.export`)");
    for arguments in [&server[..], &exported] {
        let (out, said) = good(arguments);
        assert!(said.contains(&not_checked) && !out.contains("\nepoch 1"), "{arguments:?}: {said}");
    }
    let (_, said) = good(&["export", "--dir", &stage.path("again").display().to_string()]);
    assert!(said.contains("the server does not keep the entries of epoch 1 any more"), "{said}");
    fs::write(stage.path("all/epochs/7.export"), "x").unwrap();
    let (code, _, said) = stage.audit(&exported);
    assert!(code == Some(5) && said.contains("`epochs/7.export` is of no epoch that this log comes from"), "{said}");

    // The same of the directory of a server that has stopped.
    process.kill().await;
    let stopped = ["verify", "--alone", "--config", &config];
    assert!(good(&stopped).1.contains(&not_checked));
    fs::write(&paths[0], &altered).unwrap();
    let (code, _, said) = stage.audit(&stopped);
    assert!(code == Some(5) && said.contains(&named), "{said}");
    fs::write(&paths[0], &kept).unwrap();
    assert!(good(&stopped).0.contains(&whole));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verifier_goes_on_over_epochs_and_sees_what_was_lost() {
    let (mut stage, process) = Stage::set().await;
    let old_key = stage.key().await.to_string();
    let (code, _, said) = stage.audit(&["verify"]);
    assert_eq!(code, Some(0), "{said}");
    let early = stage.path("early");
    fs::write(&early, stage.audit(&["checkpoint"]).1).unwrap();
    process.kill().await;
    stage.done(&["key", "rotate-log"]);
    let process = stage.start().await;
    // What was remembered is the begin of the old epoch, and the old key names the new one.
    let (code, out, said) = stage.audit(&["verify", "--key", &old_key]);
    assert_eq!(code, Some(0), "{said}");
    assert!(out.contains("\ncontinues epoch 1, which still has the "), "{out}");
    assert!(said.contains("the key is a later one than the one that was given, which named it"), "{said}");
    let (code, out, said) = stage.audit(&["verify", "--alone", "--since", early.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{said}");
    assert!(out.contains("\ncontinues epoch 1"), "{out}");
    // Remembered anew, it is compared with that.
    let (_, out, _) = stage.audit(&["verify"]);
    assert!(out.contains("\nsince ") && !out.contains("\ncontinues"), "{out}");
    let other = stage.key().await.to_string().replace("/2+", "/1+");
    let (code, _, _) = stage.audit(&["verify", "--key", &other]);
    assert_eq!(code, Some(2), "a key whose id is of another name is none");

    // A backup of now; then more is seen that it does not have.
    let backup = stage.path("backup");
    stage.done(&["backup", backup.to_str().unwrap()]);
    for _ in 0..3 {
        stage.cast.bot.decide(&ask()).await;
    }
    let (code, out, said) = stage.audit(&["verify", "--json"]);
    assert_eq!(code, Some(0), "{said}");
    let seen = serde_json::from_str::<Value>(&out).unwrap()["entries"].as_u64().unwrap();
    process.kill().await;
    fs::rename(stage.fresh.data_dir(), stage.path("lost")).unwrap();
    let restored = stage.done(&["restore", backup.to_str().unwrap()]);
    let gone = seen - restored["earlier_entries"].as_u64().unwrap();
    let process = stage.start().await;
    let token = restored["bootstrap_token"].as_str().unwrap().to_owned();
    stage.cast.staff = stage.cast.staff.renewed(&stage.fresh.reach, &token).await;
    let (code, _, said) = stage.audit(&["verify"]);
    assert_eq!(code, Some(5), "{said}");
    assert!(
        said.contains(&format!("rollback: {gone} entries that you have seen are gone: epoch 2 ended with ")),
        "{said}"
    );
    assert!(said.contains("if you know why, such as a restore: remove `"), "{said}");
    // Whoever knows why forgets what was seen of it, and what is left from before is still compared.
    let log_id = old_key.split('/').nth(1).unwrap();
    fs::remove_file(stage.path("state/attorn/checkpoints").join(format!("{log_id}.2"))).unwrap();
    let (code, out, said) = stage.audit(&["verify"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(out.contains("\ncontinues epoch 1"), "{out}");
    let config = stage.fresh.config.display().to_string();
    process.kill().await;
    // The same of a directory whose server has stopped.
    fs::remove_dir_all(stage.path("state")).unwrap();
    let (code, out, said) =
        stage.audit(&["verify", "--config", &config, "--key", &old_key, "--since", early.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{said}");
    assert!(out.contains("\ncontinues epoch 1"), "{out}");
    let (code, _, said) = stage.audit(&["verify", "--config", &config]);
    assert_eq!(code, Some(0), "{said}");

    // And an older directory, in an epoch before the one that was seen.
    fs::rename(stage.fresh.data_dir(), stage.path("newest")).unwrap();
    fs::rename(stage.path("lost"), stage.fresh.data_dir()).unwrap();
    let (code, _, said) = stage.audit(&["verify", "--config", &config]);
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains("error: rollback: ") && said.contains("and you have seen `attorn/"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn witnesses_cosign_each_epoch_and_what_they_cosigned_of_an_earlier_one_is_kept() {
    let witness = Witness::start("example.org/w1", 1, Mood::Good).await;
    let toml = format!("public_log = false\nwitness_quorum = 1\n{}", witness.toml());
    let (stage, process) = Stage::set_in(Fresh::make().await.configure("public_log = false", &toml)).await;
    let old_key = stage.key().await;
    let allowed: DecisionAnswer = stage.cast.bot.post("/v1/decisions?wait=witnessed", &ask()).await.expect(200).json();
    process.kill().await;
    stage.done(&["key", "rotate-log"]);
    // Whoever runs the witness was told of the new origin: it has seen nothing of it.
    witness.has_seen(0, Hash::EMPTY_ROOT);
    let process = stage.start().await;
    let auditor = &stage.cast.staff.auditor;
    let note = auditor.get("/v1/audit/checkpoint?wait=witnessed").await.expect(200).text();
    let shown = stage.key().await.verify(note.as_bytes()).unwrap();
    let policy: WitnessPolicy = format!("witness w {}\nquorum w\n", witness.vkey).parse().unwrap();
    assert_eq!(shown.checkpoint().origin.epoch, Epoch(2));
    policy.check(&shown).unwrap();
    let index = allowed.entry.index;
    let receipt = auditor.get(format!("/v1/audit/epochs/1/entries/{index}/receipt")).await.expect(200).text();
    let logged = Receipt::parse(&receipt).unwrap().verify(&old_key).unwrap();
    policy.check(&logged.signed).unwrap();
    // The last entry was signed when the server had stopped, and nobody cosigned it.
    let size = auditor.get("/v1/audit/entries").await.json::<EntryList>().earlier[0].size;
    let last = auditor.get(format!("/v1/audit/epochs/1/entries/{}/receipt", size - 1)).await.expect(200).text();
    let logged = Receipt::parse(&last).unwrap().verify(&old_key).unwrap();
    assert!(policy.check(&logged.signed).is_err() && logged.checkpoint.size == size);
    process.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn decisions_of_earlier_epochs_are_decided_again_and_history_says_what_is_not_kept() {
    let (stage, process) = Stage::set().await;
    let before = stage.cast.bot.decide(&ask()).await;
    process.kill().await;
    let rotated = stage.done(&["key", "rotate-log"]);
    let process = stage.start().await;
    let replayed = replay(&stage.cast, &before.decision_id).await;
    assert_eq!(replayed.comparison, Comparison::Identical, "{replayed:?}");
    assert_eq!((replayed.decided.epoch, replayed.decided.index), (1, before.entry.index));
    assert_eq!(replayed.entry.epoch, 2);
    let after = stage.cast.bot.decide(&ask()).await;
    assert_eq!(replay(&stage.cast, &after.decision_id).await.decided.epoch, 2);

    let ended = |arguments: &[&str]| {
        let mut command = Command::new(binary());
        command.args(["policy", "diff", "recorded", "active", "--on", "history"]).args(arguments);
        command.env("ATTORN_URL", &stage.fresh.reach.url).env("ATTORN_TOKEN", &stage.cast.staff.explainer.token);
        let output = command.output().unwrap();
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        (output.status.code(), said)
    };
    let diff = |arguments: &[&str]| {
        let (code, said) = ended(arguments);
        assert_eq!(code, Some(0), "{said:?}");
        said.into_iter().next().unwrap()
    };
    let said = diff(&[]);
    assert!(said.contains("decisions    2\n") && !said.contains("not reached"), "{said}");
    let said: Value = serde_json::from_str(&diff(&["--json"])).unwrap();
    assert_eq!((&said["decisions"], &said["same"], &said["not_reached"]), (&json!(2), &json!(2), &json!([])));
    // Filters take what they take in each epoch, and an epoch that ended before is not looked at.
    assert!(diff(&["--agent", "support-bot"]).contains("decisions    2\n"));
    assert!(diff(&["--agent", "nobody"]).contains("decisions    0\n"));
    let began = first_of(&stage.bodies().await, "log_key_rotated")["time_ms"].as_u64().unwrap() + 1;
    assert!(diff(&["--since", &TimeMs(began).to_string()]).contains("decisions    1\n"));
    // By the page, as a program asks.
    let ask = json!({ "a": { "base": "recorded" }, "b": { "base": "active" } });
    let explainer = &stage.cast.staff.explainer;
    let asked = async |query: &str| explainer.post(format!("/v1/replays/history?{query}"), &ask).await;
    let page: Value = asked("epoch=1").await.expect(200).json();
    assert_eq!((&page["decisions"], &page["next"]), (&json!(1), &Value::Null));
    let page: Value = asked(&format!("epoch=1&to={}", before.entry.index)).await.expect(200).json();
    assert_eq!(page["decisions"], 0);
    let page: Value = asked("epoch=2").await.expect(200).json();
    assert_eq!(page["decisions"], 1);
    asked("epoch=7").await.refused(404, "not_found");
    asked("epoch=x").await.refused(422, "invalid_field");

    // An entry that was altered is decided again under no policies, and said.
    let path = stage.fresh.data_dir().join("epochs/1.export");
    let kept = fs::read_to_string(&path).unwrap();
    fs::write(&path, kept.replace("\"faq.read\"", "\"faq.road\"")).unwrap();
    let page: Value = asked("epoch=1").await.expect(200).json();
    assert_eq!((&page["decisions"], &page["next"]), (&json!(0), &Value::Null));
    assert!(page["damaged"]["count"].as_u64().unwrap() >= 1, "{page}");
    assert!(page["damaged"]["why"].as_str().unwrap().contains("is not what the log signed: entry "), "{page}");
    let (code, [out, said]) = ended(&[]);
    assert!(code == Some(5) && out.contains("decisions    1\n"), "{out}{said}");
    assert!(said.contains("error: epoch 1 is damaged: ") && said.contains("\nhelp: put that file back"), "{said}");
    let (code, [out, _]) = ended(&["--json"]);
    let out: Value = serde_json::from_str(&out).unwrap();
    assert!(code == Some(5) && out["damaged"]["1"]["count"].as_u64() >= Some(1), "{out}");
    fs::write(&path, &kept).unwrap();
    // By its entry, in any form that is printed.
    let at = format!("{}/1/{}", before.entry.log_id, before.entry.index);
    for name in [&at, &format!("1/{}", before.entry.index), &before.decision_id] {
        let (code, out, said) = stage.audit(&["replay", name]);
        assert_eq!(code, Some(0), "{name}: {said}");
        assert!(out.starts_with("identical") && out.contains(&format!("decided   entry {at}\n")), "{name}: {out}");
    }
    let (code, _, said) = stage.audit(&["replay", "1/0"]);
    assert!(code == Some(1) && said.contains("the entry 1/0 records no decision: it is `initialised`"), "{said}");

    // Where the entries of the epoch are not kept any more, it is said.
    fs::remove_file(&path).unwrap();
    let entries = rotated["earlier_entries"].as_u64().unwrap();
    let said = diff(&[]);
    assert!(said.contains("decisions    1\n"), "{said}");
    assert!(
        said.contains(&format!("not reached  {entries} entries of 1 earlier epochs, which are not kept\n")),
        "{said}"
    );
    let said: Value = serde_json::from_str(&diff(&["--json"])).unwrap();
    assert_eq!(said["not_reached"], json!([{ "epoch": 1, "size": entries }]));
    let body = json!({ "decision_id": before.decision_id });
    let refused = stage.cast.staff.auditor.post("/v1/replays", &body).await.refused(404, "not_found");
    assert!(refused.help.is_some_and(|help| help.contains("from a backup")));
    process.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_was_given_up_vouches_for_none() {
    let (stage, process) = Stage::set().await;
    let old_key = stage.key().await.to_string();
    let early = stage.path("early");
    fs::write(&early, stage.audit(&["checkpoint"]).1).unwrap();
    let (code, _, said) = stage.audit(&["verify"]);
    assert_eq!(code, Some(0), "{said}");
    process.kill().await;
    let rotated = stage.done(&["key", "rotate-log", "--compromised"]);
    let process = stage.start().await;
    stage.believes_no_key(&old_key, &early);
    // It was not remembered by any of these. Somebody has to give it, once.
    let (code, out, said) = stage.audit(&["verify", "--key", rotated["key"].as_str().unwrap()]);
    assert_eq!(code, Some(0), "{said}");
    assert!(out.contains("\ncontinues epoch 1"), "{out}");
    let (code, out, said) = stage.audit(&["verify"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(out.contains("\nsince "), "{out}");
    process.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_from_before_its_key_was_given_up_names_no_other_key() {
    let (mut stage, process) = Stage::set().await;
    let old_key = stage.key().await.to_string();
    let early = stage.path("early");
    fs::write(&early, stage.audit(&["checkpoint"]).1).unwrap();
    let (code, _, said) = stage.audit(&["verify"]);
    assert_eq!(code, Some(0), "{said}");
    let backup = stage.path("backup");
    stage.done(&["backup", backup.to_str().unwrap()]);
    process.kill().await;
    stage.done(&["key", "rotate-log", "--compromised"]);
    let process = stage.start().await;
    process.kill().await;
    assert_eq!(stage.key_epoch(), Epoch(2));
    fs::rename(stage.fresh.data_dir(), stage.path("lost")).unwrap();
    let restored = stage.done(&["restore", backup.to_str().unwrap()]);
    assert_eq!(epoch_of(&restored["origin"]), 3);
    let problem = restored["high_water_problem"].as_str().unwrap();
    assert!(problem.contains("was rotated since") && problem.contains("so the old key names no other"), "{problem}");

    let process = stage.start().await;
    let token = restored["bootstrap_token"].as_str().unwrap();
    stage.cast.staff = stage.cast.staff.renewed(&stage.fresh.reach, token).await;
    let first = stage.bodies().await.remove(0);
    assert_eq!((&first["type"], &first["succession"]), (&json!("restored"), &Value::Null));
    stage.believes_no_key(&old_key, &early);
    let new_key = stage.key().await.to_string();
    let (code, _, said) = stage.audit(&["verify", "--key", &new_key]);
    assert_eq!(code, Some(0), "{said}");
    process.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_whose_checkpoints_count_more_than_it_has_tells_what_was_lost_and_proves_the_rest() {
    let witness = Witness::start("example.org/w1", 1, Mood::Good).await;
    let toml = format!("public_log = false\nwitness_quorum = 1\n{}", witness.toml());
    let (mut stage, process) = Stage::set_in(Fresh::make().await.configure("public_log = false", &toml)).await;
    let old_key = stage.key().await;
    let allowed = stage.cast.bot.decide(&ask()).await;
    let backup = stage.path("backup");
    stage.done(&["backup", backup.to_str().unwrap()]);
    for _ in 0..2 {
        stage.cast.bot.decide(&ask()).await;
    }
    stage.cast.bot.post("/v1/decisions?wait=witnessed", &ask()).await.expect(200);
    process.kill().await;
    // A backup of a server that runs copies these last, so they may be later than its journal.
    let mut published = 0;
    for name in ["log/1/checkpoint", "log/1/witnessed"] {
        fs::copy(stage.fresh.data_dir().join(name), backup.join(name)).unwrap();
        let note = fs::read_to_string(backup.join(name)).unwrap();
        published = published.max(note.lines().nth(1).unwrap().parse::<u64>().unwrap());
    }
    fs::rename(stage.fresh.data_dir(), stage.path("lost")).unwrap();
    fs::remove_file(stage.high_water()).unwrap();
    let restored = stage.done(&["restore", backup.to_str().unwrap()]);
    let size = restored["earlier_entries"].as_u64().unwrap();
    assert!(published >= size + 3, "{published} {size}");
    assert_eq!(restored["entries_lost_at_least"], published - size);

    witness.has_seen(0, Hash::EMPTY_ROOT);
    let process = stage.start().await;
    let token = restored["bootstrap_token"].as_str().unwrap();
    stage.cast.staff = stage.cast.staff.renewed(&stage.fresh.reach, token).await;
    assert_eq!(stage.bodies().await.remove(0)["lost_at_least"], published - size);
    for index in [0, allowed.entry.index, size - 1] {
        let path = format!("/v1/audit/epochs/1/entries/{index}/receipt");
        let receipt = stage.cast.staff.auditor.get(path).await.expect(200).text();
        let logged = Receipt::parse(&receipt).unwrap().verify(&old_key).unwrap();
        assert_eq!(logged.checkpoint.size, size);
    }
    let path = format!("/v1/audit/epochs/1/entries/{size}/receipt");
    stage.cast.staff.auditor.get(path).await.refused(404, "not_found");
    process.kill().await;
}

impl Stage {
    /// `attorn audit` with what an auditor has; how it ended, and what it said on both streams.
    fn audit(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let output = self.cast.audit(&self.path("state"), arguments);
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    }

    /// Whoever knows no more than the old epoch does not go on, however it is asked, and remembers nothing.
    fn believes_no_key(&self, old_key: &str, early: &Path) {
        let early = early.to_str().unwrap();
        let given_up = "was given up, and names no other after it\nhelp: ask whoever";
        for more in [&["--key", old_key][..], &[], &["--alone", "--since", early], &["--since", early], &[]] {
            let (code, _, said) = self.audit(&[&["verify"], more].concat());
            assert_eq!(code, Some(5), "{more:?}: {said}");
            assert!(said.contains(given_up), "{more:?}: {said}");
        }
        let (code, out, said) = self.audit(&["verify", "--json"]);
        assert_eq!(code, Some(5), "{said}");
        assert_eq!(serde_json::from_str::<Value>(&out).unwrap()["verified"], false);
    }

    /// The epoch that the high-water file has seen.
    fn key_epoch(&self) -> Epoch {
        let note = fs::read_to_string(self.high_water()).unwrap();
        note.lines().next().unwrap().rsplit('/').next().unwrap().parse().unwrap()
    }
}
