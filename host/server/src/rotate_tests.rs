//! A rotation that is cut off anywhere leaves one whole log, and one that cannot be done leaves what there was.

use std::collections::BTreeSet;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::sync::Mutex;

use attorn_core::JsonText;
use attorn_store::Repaired;
use attorn_store::records::{DecisionRecord, Kept};
use tempfile::TempDir;

use super::*;
use crate::init::{InitOptions, init};
use crate::run::{Server, Start};

const STAGES: [Stage; 6] = [Stage::Linked, Stage::Ended, Stage::Kept, Stage::Begun, Stage::Exchanged, Stage::Raised];

/// What `attorn init` makes.
async fn fresh() -> (TempDir, Config) {
    let dir = TempDir::new().unwrap();
    let options =
        InitOptions { dir: dir.path().join("attorn"), listen: "127.0.0.1:7400".parse().unwrap(), public_url: None };
    let made = init(&options).await.unwrap();
    let config = Config::load(&made.config_path).unwrap();
    (dir, config)
}

/// What is in the place of the data is whole, and the server would start with it. Its epoch, and the kind of its last
/// entry.
async fn whole(config: &Config) -> (u64, String) {
    let root = root_key(config).unwrap();
    let (store, _) = open(config, &root).await.unwrap();
    let signer = keys::log_signer(&root, &store).await.unwrap();
    high_water::check(&config.high_water, &store, &signer).await.unwrap();
    Published::open(config, &signer.verifier(), &store).unwrap();
    for earlier in store.earlier_epochs() {
        let export = fs::read_to_string(export_path(&config.data_dir, earlier.epoch)).unwrap();
        assert!(export.lines().last().unwrap().contains("\"log_key_ended\""), "{export}");
    }
    let head = store.log_head().unwrap();
    let last = store.entry(head.size - 1).unwrap().unwrap();
    let last = attorn_log::Entry::parse(&last).unwrap();
    let body: serde_json::Value = serde_json::from_str(last.body.as_str()).unwrap();
    (head.epoch.0, body["type"].as_str().unwrap().to_owned())
}

async fn rotate(config: &Config) -> Result<Rotated, EpochError> {
    rotate_log_key(config, Because::Routine, None, BadEntries::Refused).await
}

fn rotation(config: &Config) -> Rotation<'_> {
    let bad_entries = BadEntries::Refused;
    Rotation { config, because: Because::Routine, reason: None, bad_entries, room: &room, after: &|_| Ok(()) }
}

/// What each entry says, of an export.
fn said(export: &Path) -> Vec<serde_json::Value> {
    let text = fs::read_to_string(export).unwrap();
    let bodies = text.lines().filter_map(|line| serde_json::from_str(line).ok());
    bodies.filter(|body: &serde_json::Value| body["type"].is_string()).collect()
}

#[tokio::test]
async fn wherever_a_rotation_is_cut_off_one_whole_log_is_left_and_it_can_be_done_again() {
    for stage in STAGES {
        let (_dir, config) = fresh().await;
        let work = beside(&config.data_dir, ".rotating");
        let after = |done| if done == stage { Err(EpochError::CutOff) } else { Ok(()) };
        let cut = Rotation { after: &after, ..rotation(&config) }.run().await;
        assert!(matches!(cut, Err(EpochError::CutOff)), "{stage:?}: {cut:?}");
        let (epoch, last) = whole(&config).await;
        let expect = match stage {
            Stage::Linked => (1, false),
            Stage::Ended | Stage::Kept | Stage::Begun => (1, true),
            Stage::Exchanged | Stage::Raised => (2, false),
        };
        assert_eq!((epoch, last == "log_key_ended"), expect, "{stage:?}: {last}");
        // The old directory is seen as an older one from when the other has its place, and not before.
        let seen = high_water::seen(&config.high_water).unwrap().map(|seen| seen.epoch);
        assert_eq!(seen, (stage == Stage::Raised).then_some(Epoch(2)), "{stage:?}");
        let again = rotate(&config).await;
        assert!(matches!(&again, Err(EpochError::LeftBehind(left)) if *left == work), "{stage:?}: {again:?}");
        fs::remove_dir_all(&work).unwrap();
        let rotated = rotate(&config).await.unwrap();
        assert_eq!((rotated.origin.epoch, rotated.high_water_problem), (Epoch(epoch + 1), None), "{stage:?}");
        assert_eq!(whole(&config).await, (epoch + 1, "log_key_rotated".to_owned()), "{stage:?}");
        assert!(!work.exists(), "{stage:?}");
        // Where the log said that its key ended, and went on, it says that, too.
        let said = said(&rotated.export);
        let kept: Vec<_> = said.iter().filter(|body| body["type"] == "log_key_kept").collect();
        assert_eq!(kept.len(), usize::from(last == ENDED.as_str()), "{stage:?}: {kept:?}");
        if let [kept] = kept[..] {
            let at = usize::try_from(kept["ended_in_entry"].as_u64().unwrap()).unwrap();
            assert_eq!(
                (&said[at]["type"], &said[at]["next_key"]),
                (&ENDED.as_str().into(), &kept["next_key"]),
                "{stage:?}"
            );
            assert!(kept["next_key"].is_string() && at + 3 == said.len(), "{stage:?}: {said:?}");
        }
    }
}

#[tokio::test]
async fn there_has_to_be_room_for_the_index_too() {
    let (_dir, config) = fresh().await;
    let root = root_key(&config).unwrap();
    let (store, walked) = open(&config, &root).await.unwrap();
    let size = store.log_head().unwrap().size;
    drop(store);
    let asked = Mutex::new(Vec::new());
    let seen = |_: &Path, bytes| {
        asked.lock().unwrap().push(bytes);
        Ok(())
    };
    Rotation { room: &seen, ..rotation(&config) }.run().await.unwrap();
    let beside = walked.entry_bytes + 4 * walked.state_bytes + ROOM_BESIDE;
    assert!(size > 0);
    assert_eq!(*asked.lock().unwrap(), [beside + 72 * size]);
    let index = fs::metadata(export_path(&config.data_dir, Epoch(1)).with_extension("index")).unwrap().len();
    assert!(index <= 64 + 72 * (size + 1), "{index}");
}

#[tokio::test]
async fn a_rotation_ends_also_where_the_index_cannot_be_written() {
    let (_dir, config) = fresh().await;
    let tmp = beside(&config.data_dir, ".rotating").join("epochs/1.index.tmp");
    let after = |done| {
        if done == Stage::Linked {
            fs::create_dir_all(&tmp).unwrap();
        }
        Ok(())
    };
    let rotated = Rotation { after: &after, ..rotation(&config) }.run().await.unwrap();
    assert_eq!(whole(&config).await, (2, "log_key_rotated".to_owned()));
    assert!(rotated.export.exists() && !rotated.export.with_extension("index").exists());
    attorn_log::verify_export(io::BufReader::new(fs::File::open(&rotated.export).unwrap()), None).unwrap();
}

#[tokio::test]
async fn what_cannot_go_over_is_seen_before_the_log_says_that_its_key_ended() {
    let (_dir, config) = fresh().await;
    let before = whole(&config).await;
    fs::write(config.data_dir.join("epochs"), "no directory").unwrap();
    let error = rotate(&config).await.unwrap_err();
    assert!(matches!(error, EpochError::Io { .. }), "{error:?}");
    assert_eq!(whole(&config).await, before);
    // Nothing is left that would be in the way of the next.
    fs::remove_file(config.data_dir.join("epochs")).unwrap();
    rotate(&config).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_after_a_rotation_that_was_cut_off_says_once_that_the_key_was_kept() {
    let (_dir, mut config) = fresh().await;
    config.listen = "127.0.0.1:0".parse().unwrap();
    let after = |done| if done == Stage::Ended { Err(EpochError::CutOff) } else { Ok(()) };
    Rotation { after: &after, ..rotation(&config) }.run().await.unwrap_err();
    for start in ["first", "second"] {
        drop(Server::bind(config.clone(), Start::default()).await.unwrap());
        let store = Store::open(&config.data_dir, &crate::data::ours(&config).unwrap()).unwrap();
        let entries = store.entries(0, 100).unwrap();
        let types: Vec<String> = entries
            .iter()
            .map(|stored| Entry::parse(&stored.bytes).unwrap())
            .map(|entry| {
                serde_json::from_str::<Value>(entry.body.as_str()).unwrap()["type"].as_str().unwrap().to_owned()
            })
            .collect();
        let ended = types.iter().position(|kind| kind == ENDED.as_str()).unwrap();
        assert_eq!(types[ended + 1..][..2], ["log_key_kept", "server_started"], "{start}: {types:?}");
        assert_eq!(types.iter().filter(|kind| *kind == "log_key_kept").count(), 1, "{start}: {types:?}");
    }
}

#[tokio::test]
async fn without_room_for_the_rest_the_log_does_not_say_that_its_key_ended() {
    let (_dir, config) = fresh().await;
    let before = whole(&config).await;
    let full = |_: &Path, bytes| if bytes > ROOM_BESIDE { Err(Errno::NOSPC.into()) } else { Ok(()) };
    let error = Rotation { room: &full, ..rotation(&config) }.run().await.unwrap_err();
    assert!(matches!(&error, EpochError::NoRoom { .. }), "{error:?}");
    assert!(error.to_string().starts_with("there is no room for "), "{error}");
    assert_eq!(whole(&config).await, before);
    assert!(!beside(&config.data_dir, ".rotating").exists());
    // More than any disk has.
    let dir = TempDir::new().unwrap();
    assert!(room(dir.path(), 1 << 60).is_err());
    room(dir.path(), 1 << 20).unwrap();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    rotate(&config).await.unwrap();
}

#[tokio::test]
async fn what_nobody_came_to_the_end_of_writing_stays_behind() {
    let (_dir, config) = fresh().await;
    let tiles = config.data_dir.join("log/1/tile/entries");
    fs::create_dir_all(&tiles).unwrap();
    for name in ["000", "001.tmp"] {
        fs::write(tiles.join(name), name).unwrap();
    }
    rotate(&config).await.unwrap();
    assert!(tiles.join("000").exists() && !tiles.join("001.tmp").exists());
}

#[tokio::test]
async fn what_was_made_anew_is_in_the_log_before_its_key_ends() {
    let (_dir, config) = fresh().await;
    fs::remove_dir_all(config.data_dir.join("store")).unwrap();
    let repaired = Store::repair(&config.data_dir, &crate::data::ours(&config).unwrap()).unwrap();
    assert!(matches!(repaired, Repaired::Rebuilt { .. }), "{repaired:?}");
    let rotated = rotate(&config).await.unwrap();
    let export = fs::read_to_string(rotated.export).unwrap();
    let said: Vec<_> = export.lines().filter(|line| line.contains("\"store_remade\"")).collect();
    assert_eq!(said.len(), 1, "{export}");
    let store = Store::open(&config.data_dir, &crate::data::ours(&config).unwrap()).unwrap();
    assert_eq!(store.remade().unwrap(), []);
}

#[tokio::test]
async fn a_high_water_file_that_cannot_be_written_is_said() {
    let (_dir, config) = fresh().await;
    // Where it is written before it takes its place there is something else.
    fs::create_dir(beside(&config.high_water, ".new")).unwrap();
    let rotated = rotate(&config).await.unwrap();
    let problem = rotated.high_water_problem.unwrap();
    assert!(problem.starts_with(&format!("`{}`: ", config.high_water.display())), "{problem}");
    assert_eq!(whole(&config).await.0, 2);
}

/// The first names of all paths in this directory that lead to the same file in the other.
fn second_names(from: &Path, to: &Path) -> BTreeSet<String> {
    let (mut found, mut left) = (BTreeSet::new(), vec![from.to_owned()]);
    while let Some(dir) = left.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let (path, there) = entry.map(|entry| (entry.path(), entry.metadata().unwrap())).unwrap();
            let inner = path.strip_prefix(from).unwrap();
            if there.is_dir() {
                left.push(path);
            } else if fs::symlink_metadata(to.join(inner)).is_ok_and(|twin| twin.ino() == there.ino()) {
                found.insert(inner.iter().next().unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_repair_moved_aside_goes_over_and_nothing_that_is_made_anew_does() {
    let (dir, mut config) = fresh().await;
    config.listen = "127.0.0.1:0".parse().unwrap();
    drop(Server::bind(config.clone(), Start::default()).await.unwrap());
    let mut broken = fs::read(config.data_dir.join("store/db")).unwrap();
    broken.iter_mut().step_by(97).for_each(|byte| *byte ^= 0x55);
    fs::write(config.data_dir.join("store/db"), &broken).unwrap();
    let repaired = Store::repair(&config.data_dir, &crate::data::ours(&config).unwrap()).unwrap();
    assert!(matches!(repaired, Repaired::Rebuilt { .. }), "{repaired:?}");
    fs::write(config.data_dir.join("notes.txt"), "kept").unwrap();
    let (work, carried) = (beside(&config.data_dir, ".rotating"), Mutex::new(BTreeSet::new()));
    let after = |done| {
        if done == Stage::Begun {
            *carried.lock().unwrap() = second_names(&config.data_dir, &work);
        }
        Ok(())
    };
    let rotated = Rotation { after: &after, ..rotation(&config) }.run().await.unwrap();
    let mut carried = carried.into_inner().unwrap();
    carried.retain(|name| !PLAIN.contains(&name.as_str()));
    assert_eq!(carried, BTreeSet::from(["notes.txt", "store.broken-1"].map(str::to_owned)));
    assert_eq!(rotated.old_dir_problem, None);
    assert_eq!(fs::read(config.data_dir.join("store.broken-1/db")).unwrap(), broken);
    assert_eq!(fs::read_to_string(config.data_dir.join("notes.txt")).unwrap(), "kept");
    assert!(!work.exists() && dir.path().join("attorn").is_dir());
    assert_eq!(whole(&config).await, (2, "log_key_rotated".to_owned()));
}

#[tokio::test]
async fn what_cannot_go_over_keeps_the_directory_of_before_and_is_named() {
    let (_dir, config) = fresh().await;
    let work = beside(&config.data_dir, ".rotating");
    let after = |done| {
        if done == Stage::Exchanged {
            fs::write(work.join("late.txt"), "kept").unwrap();
        }
        Ok(())
    };
    let rotated = Rotation { after: &after, ..rotation(&config) }.run().await.unwrap();
    let message = format!("`{}`: it could not go over to the new directory", work.join("late.txt").display());
    assert_eq!(rotated.old_dir_problem, Some(message));
    let names: Vec<_> = fs::read_dir(&work).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["late.txt"], "the old key went");
    assert_eq!(whole(&config).await, (2, "log_key_rotated".to_owned()));
    let help = rotate(&config).await.unwrap_err().help().unwrap();
    assert!(help.contains("move out of it what is no part of the data and is nowhere else"), "{help}");
}

#[tokio::test]
async fn where_the_data_directory_is_a_link_it_is_replaced_itself_and_the_link_stays() {
    let (dir, config) = fresh().await;
    let disk = dir.path().canonicalize().unwrap().join("disk");
    fs::create_dir(&disk).unwrap();
    fs::rename(&config.data_dir, disk.join("data")).unwrap();
    symlink("../disk/data", &config.data_dir).unwrap();
    let rotated = rotate(&config).await.unwrap();
    assert_eq!(rotated.export, disk.join("data/epochs/1.export"));
    assert_eq!(fs::read_link(&config.data_dir).unwrap(), Path::new("../disk/data"));
    let names: Vec<_> = fs::read_dir(&disk).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["data"]);
    assert!(!beside(&config.data_dir, ".rotating").exists());
    assert_eq!(whole(&config).await, (2, "log_key_rotated".to_owned()));
}

#[tokio::test]
async fn a_link_that_leads_nowhere_is_said_before_anything_is_done() {
    let (dir, mut config) = fresh().await;
    config.data_dir = dir.path().join("link");
    symlink("nowhere", &config.data_dir).unwrap();
    let error = rotate(&config).await.unwrap_err();
    let message = format!("`{}` is a link that leads nowhere; nothing was changed", config.data_dir.display());
    assert_eq!(error.to_string(), message);
    assert_eq!(error.help(), Some("make the directory that it leads to, or remove the link"));
}

#[tokio::test]
async fn while_decision_records_are_bad_the_log_keeps_what_may_have_them() {
    let (_dir, config) = fresh().await;
    let store = Store::open(&config.data_dir, &crate::data::ours(&config).unwrap()).unwrap();
    let mut batch = Batch::new(TimeMs(1));
    let id = "dec_0123456789abcdef0123456789abcdef".parse().unwrap();
    batch.put_record(&DecisionRecord { id, text: Kept::Plain(JsonText::from_canonical("{}")) });
    store.commit(batch).await.unwrap();
    drop(store);
    let before = whole(&config).await;
    let error = rotate(&config).await.unwrap_err();
    let message = error.to_string();
    assert!(
        message.starts_with("records of decisions cannot be read, and nothing was changed: the record `"),
        "{error}"
    );
    let help = error.help().unwrap();
    for way_out in
        ["`attorn repair` makes the files anew", "`attorn repair --with-lost-records`", "`--with-bad-entries`"]
    {
        assert!(help.contains(way_out), "{help}");
    }
    assert_eq!(whole(&config).await, before);
    assert!(!beside(&config.data_dir, ".rotating").exists() && !config.data_dir.join("epochs").exists());
    // Somebody who knows that they are lost goes on.
    let accepted = Rotation { bad_entries: BadEntries::Accepted, ..rotation(&config) };
    let rotated = accepted.run().await.unwrap();
    assert_eq!((rotated.bad_files.len(), rotated.bad_entries), (1, Vec::new()));
    assert_eq!(whole(&config).await, (2, "log_key_rotated".to_owned()));
}
