//! The log's key is rotated, by itself or because somebody else may have it.

use std::fs;
use std::io::BufReader;
use std::os::unix::fs::symlink;
use std::path::Path;

use attorn_api::decisions::DecisionKind;
use attorn_log::{Epoch, Succession, verify_export};
use attorn_tests::files::copy_dir;
use attorn_tests::world::ask;
use serde_json::Value;

use super::{Stage, epoch_of};

/// Nothing of the new epoch is signed before a server ran, and nothing is wrong with that.
fn says_that_nothing_is_signed_yet(stage: &Stage) {
    let output = stage.attorn(&["audit", "verify", "--alone"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(6), "{said}");
    assert!(said.contains("error: there is nothing to verify yet: no server has run since `attorn/"), "{said}");
    assert!(said.contains("/2` began") && said.contains("help: start the server once"), "{said}");
    assert!(said.contains("`attorn audit verify --file`"), "{said}");
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
    says_that_nothing_is_signed_yet(&stage);
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
    let said = stage.fails_with(5, &["key", "rotate-log"]);
    assert!(said.contains("ends before entry "), "{said}");
    assert_eq!(stage.key_epoch(), Epoch(3));
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
async fn behind_a_link_the_directory_itself_is_replaced_by_a_new_key_and_by_a_restore() {
    let (stage, process) = Stage::set().await;
    let backup = stage.path("backup");
    stage.done(&["backup", backup.to_str().unwrap()]);
    process.kill().await;
    let (data, disk) = (stage.fresh.data_dir(), stage.path("disk"));
    fs::create_dir(&disk).unwrap();
    fs::rename(&data, disk.join("data")).unwrap();
    symlink(disk.join("data"), &data).unwrap();
    fs::create_dir(disk.join("data/store.broken-1")).unwrap();
    fs::write(disk.join("data/store.broken-1/db"), "evidence").unwrap();
    let rotated = stage.done(&["key", "rotate-log"]);
    assert_eq!((epoch_of(&rotated["origin"]), &rotated["old_directory_problem"]), (2, &Value::Null));
    assert_eq!(fs::read_link(&data).unwrap(), disk.join("data"));
    assert_eq!(fs::read_to_string(data.join("store.broken-1/db")).unwrap(), "evidence");
    stage.start().await.stop().await;
    assert_eq!(fs::read_dir(&disk).unwrap().count(), 1);

    // A link to nothing is refused at once, and one to an empty directory is none in the way.
    fs::rename(disk.join("data"), disk.join("lost")).unwrap();
    let restore = ["restore", backup.to_str().unwrap()];
    let said = stage.fails(&restore);
    assert!(
        said.contains("data` is a link that leads nowhere; nothing was changed\nhelp: make the directory"),
        "{said}"
    );
    fs::create_dir(disk.join("data")).unwrap();
    let restored = stage.done(&restore);
    assert_eq!(epoch_of(&restored["origin"]), 3);
    assert_eq!(fs::read_link(&data).unwrap(), disk.join("data"));
    assert!(disk.join("data/store.format").exists());
    stage.start().await.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_within_the_data_directory_are_refused_before_anything_can_take_them_along() {
    let (stage, process) = Stage::set().await;
    process.kill().await;
    let text = fs::read_to_string(&stage.fresh.config).unwrap();
    for (key, name) in [("root_key", "root.key"), ("user_keys", "user-keys"), ("high_water", "high-water")] {
        let inner = stage.fresh.data_dir().join(name);
        fs::rename(stage.fresh.config.with_file_name(name), &inner).unwrap();
        let line = format!("{key} = \"{name}\"");
        assert!(text.contains(&line), "{text}");
        fs::write(&stage.fresh.config, text.replace(&line, &format!("{key} = \"data/{name}\""))).unwrap();
        for arguments in [&["key", "rotate-log"][..], &["serve"], &["repair"], &["backup", "nowhere"]] {
            let said = stage.fails(arguments);
            let message =
                format!("error: `{key}` in `{}`: `{}` is within the", stage.fresh.config.display(), inner.display());
            assert!(said.contains(&message) && said.contains("\nhelp: keep it apart from the data"), "{said}");
        }
        assert!(inner.exists() && !Path::new("nowhere").exists());
        fs::rename(&inner, stage.fresh.config.with_file_name(name)).unwrap();
    }
    fs::write(&stage.fresh.config, text).unwrap();
    stage.done(&["key", "rotate-log"]);
}
