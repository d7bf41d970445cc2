//! What a restore ends, and backups that are restored twice, too late, or beside a high-water file that says otherwise.

use std::fs;
use std::path::Path;
use std::process::Command;

use attorn_api::decisions::DecisionKind;
use attorn_core::Duty;
use attorn_log::{Epoch, Hash, Receipt};
use attorn_tests::people::bootstrap;
use attorn_tests::process::binary;
use attorn_tests::server::Fresh;
use attorn_tests::witness::Mood;
use attorn_tests::world::ask;
use attorn_tests::{Call, Witness};
use serde_json::{Value, json};

use super::{Stage, epoch_of};

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
    // Who they are is seen before any of them gets a token.
    let list: Value = new.get("/v1/operators").await.expect(200).json();
    assert!(list["operators"].as_array().unwrap().iter().any(|one| one["id"] == "thief" && one["has_token"] == false));
    new.post("/v1/thaw", &thaw).await.refused(401, "unauthenticated");
    let problem = new.act("/v1/operators/thawer/renew").await.refused(422, "invalid_field");
    // Nobody gets a duty by being renewed: what is said can be done.
    let help = problem.help.unwrap();
    assert!(
        help.starts_with("renew an operator who is an admin, or register one (`attorn operator register "),
        "{help}"
    );
    new.act("/v1/operators/nobody/renew").await.refused(404, "not_found");
    let admin = new.renew(&admin).await;
    new.act("/v1/operators/thief/renew").await.refused(401, "unauthenticated");
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
            let said = stage.fails_with(5, &arguments);
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
async fn a_backup_that_comes_to_less_than_it_had_or_has_more_than_its_epochs_ends_with_5() {
    let (mut stage, process) = Stage::set().await;
    let backup = stage.lose(process).await;
    let (target, marker) = (stage.path("target"), backup.join("backup.format"));
    let restore = ["restore", backup.to_str().unwrap(), "--data-dir", target.to_str().unwrap()];
    let whole = fs::read_to_string(&marker).unwrap();
    let restored = stage.done(&restore);
    let entries = restored["backup_ended"]["entries"].as_u64().unwrap();
    assert!(whole.contains(&format!("\nentries {entries}\nepoch 1\n")), "{whole}");
    assert_eq!(restored["backup_ended"], restored["backup_came_to"], "{restored}");
    assert_eq!((&restored["earlier_entries"], &restored["bad_files"]), (&json!(entries), &json!([])));
    fs::remove_dir_all(&target).unwrap();

    // Another end, and what is none.
    let had = entries + 108;
    let longer = whole.replace(&format!("entries {entries}"), &format!("entries {had}"));
    let later = whole.replace("epoch 1", "epoch 2");
    for (code, text, why) in [
        (
            1,
            "attorn-backup 1\n",
            "is of format 1, and this version reads none but 2: make a new backup with this version",
        ),
        (5, "attorn-backup 2\n", "does not say where the backup ended: it is not what `attorn backup` writes"),
        (5, &later, "they were not made together"),
    ] {
        fs::write(&marker, text).unwrap();
        let said = stage.fails_with(code, &restore);
        assert!(said.contains(why) && said.contains("\nhelp: nothing was restored"), "{said}");
        assert!(!target.exists() && !stage.path("target.restoring").exists());
    }
    fs::write(&marker, longer).unwrap();
    for name in ["epochs/1.export", "epochs/2.x", "epochs/1.broken-1", "log/2/tile/entries/000", "records/2/000000/000"]
    {
        let path = backup.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, name).unwrap();
    }
    let output = stage.attorn(&["restore", backup.to_str().unwrap(), "--json"]);
    assert_eq!(output.status.code(), Some(5), "{}", String::from_utf8_lossy(&output.stderr));
    let restored: Value = serde_json::from_slice(&output.stdout).unwrap();
    let ended = (&restored["backup_ended"]["entries"], &restored["backup_came_to"]["entries"]);
    assert_eq!(ended, (&json!(had), &json!(entries)), "{restored}");
    assert_eq!((epoch_of(&restored["origin"]), &restored["entries_lost_at_least"]), (2, &json!(108)), "{restored}");
    let bad: Vec<_> = restored["bad_files"].as_array().unwrap().iter().map(|bad| bad.as_str().unwrap()).collect();
    let [less, left, moved] = bad[..] else { unreachable!("{restored}") };
    assert!(less.contains(&format!("ended with {had} entries of epoch 1, version ")), "{less}");
    assert!(
        left.contains("/log/2`, `") && left.contains("/records/2`: of no epoch of the log in the backup"),
        "{left}"
    );
    assert!(moved.contains("/epochs/2.x`, `") && moved.contains("/data/epochs.broken-1`"), "{moved}");
    let data = stage.fresh.data_dir();
    assert_eq!(fs::read_to_string(data.join("epochs.broken-1/1.export")).unwrap(), "epochs/1.export");
    assert!(data.join("epochs/1.broken-1").exists() && data.join("epochs/1.export").exists());
    assert!(!data.join("log/2").exists() && !data.join("records/2").exists());

    let process = stage.start().await;
    let token = restored["bootstrap_token"].as_str().unwrap();
    stage.cast.staff = stage.cast.staff.renewed(&stage.fresh.reach, token).await;
    let first = stage.bodies().await.remove(0);
    // Nobody has signed where the backup ended.
    assert_eq!(first["backup_size"], had.to_string(), "{first}");
    assert_eq!(first["lost_at_least"], 0, "{first}");
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
