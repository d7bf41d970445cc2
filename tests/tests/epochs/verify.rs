//! Verifiers and witnesses go on over epochs, and see what was lost.

use std::fs;
use std::path::Path;

use attorn_api::audit::EntryList;
use attorn_api::decisions::DecisionAnswer;
use attorn_log::{Epoch, Hash, Receipt, WitnessPolicy};
use attorn_tests::Witness;
use attorn_tests::server::Fresh;
use attorn_tests::witness::Mood;
use attorn_tests::world::ask;
use serde_json::{Value, json};

use super::Stage;

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
    // A later epoch's key is the wrong one for it, and not that the log is another.
    let new_key = stage.key().await;
    for arguments in [["--dir", &one], ["--file", &file]] {
        let (code, _, said) = stage.audit(&[&["verify", "--key", &new_key.to_string()], &arguments[..]].concat());
        assert_eq!(code, Some(5), "{said}");
        let other = format!("says that it is of `{}`, and the key is of `{}`:", old_key.origin(), new_key.origin());
        assert!(said.contains(&other) && said.contains("\nhelp: give the key of epoch 1: "), "{said}");
        assert!(said.contains("With the key of epoch 2 the log that goes on is verified"), "{said}");
    }
    let (_, out, _) = stage.audit(&["verify", "--key", &new_key.to_string(), "--file", &file, "--json"]);
    let said: Value = serde_json::from_str(&out).unwrap();
    assert!(said["verified"] == false && said["problem"].as_str().unwrap().contains("and the key is of"), "{said}");
    // An entry that was noted before is named with its epoch since.
    let index = decided.entry.index;
    let after = entries.max(index + 1) - 1;
    let (code, _, said) = stage.audit(&["show", &after.to_string()]);
    assert!(code == Some(1) && said.contains("\nhelp: the log has begun a new epoch since"), "{said}");
    assert!(said.contains(&format!("`1/{after}` is the entry {after} of epoch 1")), "{said}");
    let (code, _, said) = stage.audit(&["receipt", &after.to_string()]);
    assert!(code == Some(1) && said.contains(&format!("`1/{after}` is the entry")), "{said}");
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
async fn an_epoch_beyond_a_missing_export_is_unproven_unless_its_key_is_remembered() {
    let (stage, process) = Stage::set().await;
    let verify = |arguments: &[&str]| stage.audit(&[&["verify"], arguments].concat());
    let good = |arguments: &[&str], due: &str| {
        let (code, out, said) = verify(arguments);
        assert!(code == Some(0) && said.contains(due), "{arguments:?}: {out}{said}");
    };
    good(&[], "");
    process.stop().await;
    stage.done(&["key", "rotate-log"]);
    stage.start().await.stop().await;
    stage.done(&["key", "rotate-log"]);
    let process = stage.start().await;
    good(&[], "");
    let all = stage.path("all").display().to_string();
    let (code, _, said) = stage.audit(&["export", "--dir", &all]);
    assert_eq!(code, Some(0), "{said}");
    for kept in [stage.fresh.data_dir(), stage.path("all")] {
        fs::remove_file(kept.join("epochs/2.export")).unwrap();
    }
    let missing = "error: epoch 1 is unproven: `2.export` is missing, and with it what was signed of the epochs before; \
                   anybody could have made `1.export`\nhelp: put `2.export` back from a backup";
    for arguments in [&["--alone"][..], &["--dir", &all]] {
        let (code, out, said) = verify(arguments);
        assert!(code == Some(5) && said.contains(missing), "{arguments:?}: {out}{said}");
        assert!(said.contains("epoch 2 was not checked: "), "{arguments:?}: {said}");
    }
    let (code, out, _) = verify(&["--alone", "--json"]);
    let said: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (code, &said["verified"], &said["earlier_epochs"][1]["unproven"]),
        (Some(5), &json!(false), &json!(true))
    );
    // What was remembered of the first epoch is as good as what led there.
    good(&[], "are as the key signed them that is remembered here");
    process.stop().await;
    // So are the records of a store all of which is read.
    let config = stage.fresh.config.display().to_string();
    good(&["--alone", "--config", &config], "are as what is recorded of it says");
}
