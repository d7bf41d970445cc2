//! The data directory is lost, broken, or put back to an earlier day: what the commands make of it, and what the
//! server says.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::fs;
use std::io::BufReader;
use std::path::Path;
use std::process::{Command, Output};

use attorn_api::audit::EntryList;
use attorn_api::decisions::DecisionKind;
use attorn_core::Duty;
use attorn_log::{CheckpointVerifier, verify_export};
use attorn_store::records::ClockMarkRecord;
use attorn_store::{Key, Store};
use attorn_tests::components;
use attorn_tests::files::copy_dir;
use attorn_tests::process::binary;
use attorn_tests::server::Fresh;
use attorn_tests::world::{Cast, ask, read_only_settings};
use attorn_tests::{Call, Process, Staff};
use serde_json::{Value, json};

/// A server in a process of its own that has decided something.
async fn start() -> (Fresh, Process, Cast) {
    let fresh = Fresh::make().await;
    let process = Process::start(&fresh.config, &fresh.reach).await;
    let staff = Staff::hire(&fresh.reach, &fresh.bootstrap_token).await;
    let cast = Cast::register(&fresh.reach, &staff).await;
    cast.activate("read-only", components::bytes("read-only"), read_only_settings()).await;
    (fresh, process, cast)
}

fn attorn(fresh: &Fresh, arguments: &[&str]) -> Output {
    Command::new(binary()).args(arguments).arg("--config").arg(&fresh.config).output().unwrap()
}

#[track_caller]
fn done(fresh: &Fresh, arguments: &[&str]) -> Value {
    let output = attorn(fresh, &[arguments, &["--json"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[track_caller]
fn fails(fresh: &Fresh, arguments: &[&str]) -> String {
    let output = attorn(fresh, arguments);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    said[said.find("error: ").unwrap_or_else(|| unreachable!("it gives no error: {said}"))..].to_owned()
}

async fn entries_of(cast: &Cast) -> (Vec<Value>, u64) {
    let list: EntryList = cast.staff.auditor.get("/v1/audit/entries?limit=200").await.json();
    let epoch = list.entries[0].reference.epoch;
    (list.entries.iter().map(|entry| serde_json::from_str(entry.body.get()).unwrap()).collect(), epoch)
}

async fn key(fresh: &Fresh) -> CheckpointVerifier {
    fresh.reach.send(Call::get("/v1/audit/key")).await.text().trim().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_server_never_passes_for_what_it_was() {
    let (fresh, process, cast) = start().await;
    let grant = cast.bot.decide(&ask()).await.grant.unwrap();
    let backup = fresh.dir.path().join("backup");
    let made = done(&fresh, &["backup", backup.to_str().unwrap()]);
    assert!(made["version"].as_u64().unwrap() > 5, "{made}");
    // What the backup does not know.
    let later = cast.bot.decide(&ask()).await;
    let old_key = key(&fresh).await;
    let in_the_way = fails(&fresh, &["restore", backup.to_str().unwrap()]);
    assert!(in_the_way.contains("is there already; nothing was changed\nhelp: "), "{in_the_way}");
    let way_out =
        "before it showed the bootstrap token, nobody can administer it: move it away, and restore the backup again";
    assert!(in_the_way.contains(way_out), "{in_the_way}");
    process.kill().await;
    fs::rename(fresh.data_dir(), fresh.dir.path().join("lost")).unwrap();

    let before_ms = attorn_tests::machines::now_ms() - 1;
    let restored = done(&fresh, &["restore", backup.to_str().unwrap()]);
    let (origin, earlier) = (restored["origin"].as_str().unwrap(), restored["earlier_origin"].as_str().unwrap());
    assert!(origin.ends_with("/2") && earlier.ends_with("/1"), "{restored}");
    assert_eq!(restored["grants_ended"], 1, "{restored}");
    assert_eq!(restored["earlier_entries"].as_u64().unwrap(), later.entry.index, "{restored}");
    // Whoever logged out since the backup signs in again.
    let store = Store::open(&fresh.data_dir(), &fresh.ours()).unwrap();
    let mark = store.record::<ClockMarkRecord>(&Key::clock_mark()).await.unwrap().unwrap();
    assert!(mark.value.tokens_after >= mark.value.at && mark.value.tokens_after.0 > before_ms, "{mark:?}");
    drop(store);
    let export = BufReader::new(fs::File::open(restored["earlier_export"].as_str().unwrap()).unwrap());
    let verified = verify_export(export, Some(&old_key)).unwrap();
    assert_eq!(verified.entries, later.entry.index);

    let process = Process::start(&fresh.config, &fresh.reach).await;
    let new_key = key(&fresh).await;
    assert_eq!(new_key.origin().to_string(), origin);
    let mut cast = cast;
    cast.staff = cast.staff.renewed(&fresh.reach, restored["bootstrap_token"].as_str().unwrap()).await;
    let (bodies, epoch) = entries_of(&cast).await;
    assert_eq!((epoch, bodies[0]["type"].as_str(), bodies[1]["type"].as_str()), (2, Some("restored"), Some("frozen")));
    // The new epoch begins with the end of the old.
    let ended = old_key.verify(bodies[0]["checkpoint"].as_str().unwrap().as_bytes()).unwrap();
    assert_eq!(ended.checkpoint().size, later.entry.index);
    let whole = cast.staff.auditor.get("/v1/audit/export").await.expect(200);
    verify_export(whole.body.as_slice(), Some(&new_key)).unwrap();
    // Nothing is allowed until somebody has looked, and what was granted has ended.
    let denied = cast.bot.decide(&ask()).await;
    assert_eq!((denied.decision, denied.reasons[0].code.as_str()), (DecisionKind::Deny, "frozen"));
    let thawer = cast.staff.admin.hire("thawer", &[Duty::Thawer]).await;
    thawer.post("/v1/thaw", &json!({ "reason": "compared" })).await.expect(200);
    cast.use_grant(&grant).await.refused(409, "grant_inactive");
    assert_eq!(cast.bot.decide(&ask()).await.decision, DecisionKind::Allow);
    // It is a server like any other, and can be backed up again.
    done(&fresh, &["backup", fresh.dir.path().join("again").to_str().unwrap()]);
    process.kill().await;
    let process = Process::start(&fresh.config, &fresh.reach).await;
    process.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_from_an_earlier_day_or_with_another_past_is_not_served() {
    let (fresh, process, cast) = start().await;
    process.kill().await;
    let (data, earlier, high_water) =
        (fresh.data_dir(), fresh.dir.path().join("earlier"), fresh.config.with_file_name("high-water"));
    copy_dir(&data, &earlier);
    let process = Process::start(&fresh.config, &fresh.reach).await;
    let size = cast.bot.decide(&ask()).await.entry.index + 1;
    wait_for(&high_water, size).await;
    process.kill().await;
    let seen = fs::read_to_string(&high_water).unwrap();
    let size = seen.lines().nth(1).unwrap();

    // Put back.
    fs::rename(&data, fresh.dir.path().join("newest")).unwrap();
    copy_dir(&earlier, &data);
    let said = fails(&fresh, &["serve"]);
    assert!(
        said.contains("ends before entry ") && said.contains(&format!(" with {size} entries\nhelp: put the right")),
        "{said}"
    );
    assert!(said.contains("ends all grants and sessions, all tokens of operators and the key that signs"), "{said}");
    // A repair says the same, and changes nothing about it.
    let output = attorn(&fresh, &["repair"]);
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert_eq!(output.status.code(), Some(5), "{said}");
    assert!(
        said.contains("the store fits together; nothing was changed\n") && said.contains("\nrefused  the log "),
        "{said}"
    );
    assert!(
        said.contains("ends before entry ") && said.contains("\nhelp: put the right data directory back"),
        "{said}"
    );
    let output = attorn(&fresh, &["repair", "--json"]);
    let repaired: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(repaired["refused"].as_str().unwrap().contains("ends before entry "), "{repaired}");
    // Gone on from there in another way, while nobody looked at the file.
    fs::remove_file(&high_water).unwrap();
    let process = Process::start(&fresh.config, &fresh.reach).await;
    for _ in 0..3 {
        cast.bot.decide(&ask()).await;
    }
    process.kill().await;
    fs::write(&high_water, &seen).unwrap();
    let said = fails(&fresh, &["serve"]);
    assert!(said.contains("error: the first ") || said.contains("are not those that"), "{said}");
    // Not by this key.
    fs::write(&high_water, seen.replacen("attorn/log-", "attorn/lag-", 1)).unwrap();
    assert!(fails(&fresh, &["serve"]).contains("holds no checkpoint of this log: it is of `attorn/lag-"));
    for bad in ["", "garbage\n", &seen[..seen.len() / 2], &seen.replacen(&format!("\n{size}\n"), "\n1\n", 1)] {
        fs::write(&high_water, bad).unwrap();
        let said = fails(&fresh, &["serve"]);
        assert!(said.contains("holds no checkpoint of this log: ") && said.contains("\nhelp: `high_water`"), "{said}");
    }
    // A backup of it is no way out: its entries are not those that were signed.
    fs::write(&high_water, &seen).unwrap();
    let forked = fresh.dir.path().join("forked").display().to_string();
    done(&fresh, &["backup", &forked]);
    fs::rename(&data, fresh.dir.path().join("gone-on")).unwrap();
    let refused = attorn(&fresh, &["restore", &forked]);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(5), "{said}");
    assert!(said.contains("the backup's log is not the one that its key has signed"), "{said}");
    // One of the earlier day is, as the help of that says.
    copy_dir(&earlier, &data);
    let backup = fresh.dir.path().join("backup").display().to_string();
    let output = attorn(&fresh, &["backup", &backup, "--json"]);
    let made: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), made["bad_files"].as_array().unwrap().len()), (Some(5), 1), "{made}");
    let lacks = made["bad_files"][0].as_str().unwrap();
    assert!(lacks.contains(&format!("has seen {size} of epoch 1: the backup lacks what came after")), "{lacks}");
    fs::rename(&data, fresh.dir.path().join("put-back")).unwrap();
    done(&fresh, &["restore", &backup]);
    let process = Process::start(&fresh.config, &fresh.reach).await;
    process.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keys_of_users_are_copied_apart_from_the_data() {
    let (fresh, process, _) = start().await;
    let [backup, keys] = ["backup", "keys"].map(|name| fresh.dir.path().join(name));
    let [backup, keys] = [&backup, &keys].map(|path| path.to_str().unwrap());
    for (data, keys) in
        [(backup, format!("{backup}/keys")), (keys, keys.to_owned()), (&format!("{keys}/x"), keys.to_owned())]
    {
        let output = attorn(&fresh, &["backup", data, "--keys", &keys]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("would go into the "), "{said}");
        assert!(!Path::new(data).exists() && !Path::new(&keys).exists());
    }
    let made = done(&fresh, &["backup", backup, "--keys", keys]);
    assert_eq!(made["user_keys"], 0, "{made}");
    assert!(fails(&fresh, &["backup", &format!("{backup}-2"), "--keys", keys]).contains("cannot write"));
    process.kill().await;
    fs::rename(fresh.data_dir(), fresh.dir.path().join("lost")).unwrap();
    let restored = done(&fresh, &["restore", backup, "--keys", keys]);
    assert_eq!(restored["user_keys"], 0, "{restored}");
    // What is to be looked at is said with the commands that list it.
    fs::rename(fresh.data_dir(), fresh.dir.path().join("first")).unwrap();
    let said = attorn(&fresh, &["restore", backup]);
    let said = String::from_utf8(said.stderr).unwrap();
    for command in [
        "operator renew",
        "operator list",
        "agent list",
        "resource-server list",
        "delegation list",
        "provider list",
        "trust-domain list",
        "workload-issuer list",
        "policy list",
        "thaw",
    ] {
        assert!(said.contains(&format!("attorn {command}")), "{command}: {said}");
    }
}

/// Wait until the file has seen so many entries.
async fn wait_for(high_water: &Path, size: u64) {
    for _ in 0..1_000 {
        let note = fs::read_to_string(high_water).unwrap_or_default();
        if note.lines().nth(1).and_then(|line| line.parse::<u64>().ok()).is_some_and(|seen| seen >= size) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    unreachable!("the high-water file never came to {size} entries");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_stopped_is_started_anew_and_the_log_says_what_was_made() {
    let (fresh, process, cast) = start().await;
    let answer = cast.bot.decide(&ask()).await;
    process.kill().await;
    // As another boot finds it.
    let (boot, engine) = (fresh.data_dir().join("store.boot"), fresh.data_dir().join("store/db"));
    let (this, another) = (fs::read_to_string(&boot).unwrap(), "attorn-boot 1 another open\n");
    assert!(this.starts_with("attorn-boot 1 ") && this.ends_with(" open\n"), "{this}");
    fs::write(&boot, another).unwrap();
    let size = fs::metadata(&engine).unwrap().len();
    fs::write(&engine, vec![7; usize::try_from(size).unwrap()]).unwrap();
    // Commands that need it do not touch it.
    let said = fails(&fresh, &["audit", "verify"]);
    assert!(
        said.contains("the machine stopped while the store in ") && said.contains("\nhelp: `attorn repair`"),
        "{said}"
    );
    // The log was longer than base copy and journal make it.
    let high_water = fresh.config.with_file_name("high-water");
    let seen = fs::read_to_string(&high_water).unwrap();
    let entries: u64 = seen.lines().nth(1).unwrap().parse().unwrap();
    fs::write(&high_water, seen.replacen(&format!("\n{entries}\n"), "\n9999\n", 1)).unwrap();
    let said = fails(&fresh, &["serve"]);
    assert!(said.contains("it could not be made anew: base copy and journal come to "), "{said}");
    assert_eq!(fs::read_to_string(&boot).unwrap(), another);
    fs::write(&high_water, &seen).unwrap();

    let process = Process::start(&fresh.config, &fresh.reach).await;
    let (bodies, _) = entries_of(&cast).await;
    let remade: Vec<_> = bodies.iter().filter(|body| body["type"] == "store_remade").collect();
    assert_eq!(remade.len(), 1, "{remade:?}");
    assert_eq!((&remade[0]["part"], &remade[0]["by_hand"]), (&json!("store"), &json!(false)));
    assert_eq!(remade[0]["problem"], "the machine stopped while it was open");
    assert!(remade[0]["entries"].as_u64().unwrap() > answer.entry.index, "{remade:?}");
    cast.staff.auditor.get(format!("/v1/audit/decisions/{}", answer.decision_id)).await.expect(200);
    assert_eq!(cast.bot.decide(&ask()).await.decision, DecisionKind::Allow);
    process.kill().await;
    // It is said once.
    let process = Process::start(&fresh.config, &fresh.reach).await;
    let (bodies, _) = entries_of(&cast).await;
    assert_eq!(bodies.iter().filter(|body| body["type"] == "store_remade").count(), 1);
    process.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_store_is_named_repaired_and_goes_on() {
    let (fresh, process, cast) = start().await;
    let answer = cast.bot.decide(&ask()).await;
    process.kill().await;
    let whole = done(&fresh, &["repair"]);
    assert!(whole["rebuilt"].is_null(), "{whole}");
    let engine = fresh.data_dir().join("store");
    let broken = fresh.data_dir().join("store.broken-1");
    let mut bytes = fs::read(engine.join("db")).unwrap();
    for at in (0..bytes.len()).step_by(97) {
        bytes[at] ^= 0x55;
    }
    fs::write(engine.join("db"), &bytes).unwrap();
    for moved in [Some(broken), None] {
        let said = fails(&fresh, &["serve"]);
        assert!(said.contains("\nhelp: `attorn repair` makes "), "{said}");
        let repaired = done(&fresh, &["repair"]);
        assert_eq!((&repaired["rebuilt"], &repaired["digest"]), (&json!("store"), &whole["digest"]), "{repaired}");
        assert_eq!(repaired["moved_to"].as_str().map(Into::into), moved);
        fs::remove_dir_all(&engine).unwrap();
    }
    done(&fresh, &["repair"]);
    let process = Process::start(&fresh.config, &fresh.reach).await;
    assert!(fails(&fresh, &["repair"]).contains("is in use\nhelp: end the server that uses it first"));
    cast.staff.auditor.get(format!("/v1/audit/decisions/{}", answer.decision_id)).await.expect(200);
    let answer = cast.bot.decide(&ask()).await;
    assert_eq!(answer.decision, DecisionKind::Allow, "{answer:?}");
    // What somebody made anew is in the log as well.
    let (bodies, _) = entries_of(&cast).await;
    let remade = bodies.iter().filter(|body| body["type"] == "store_remade" && body["by_hand"] == true).count();
    assert_eq!(remade, 3);
    process.kill().await;
}
