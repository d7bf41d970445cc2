//! Whatever was written into the log in base copy and journal is found out, although their checksums fit.

use std::fs;
use std::path::Path;

use attorn_log::Entry;
use tempfile::TempDir;

use crate::backup::BackupError;
use crate::commit::Store;
use crate::error::PartsError;
use crate::fixtures::{batch, body, copy, forge_parts, forge_parts_beside, lazy, new_store, ours, put};
use crate::parts::{self, LogProblem};
use crate::places::Places;
use crate::redo::Write;
use crate::repair::Repaired;
use crate::trees::{Record, TreeName, Trees};

/// Two bundles and a part of a third, of which the first `bundles` are in files.
async fn store(bundles: u64) -> TempDir {
    let (dir, store) = new_store();
    // Else each bundle that is in no file is one that is gone.
    fs::create_dir_all(dir.path().join("log/1")).unwrap();
    fs::write(dir.path().join("log/1/checkpoint"), "note").unwrap();
    for from in (0..600).step_by(100) {
        store.commit(batch(|batch| batch.entries.extend((from..from + 100).map(body)))).await.unwrap();
    }
    drop(store);
    if bundles > 0 {
        let store = Store::open_with(dir.path(), &ours(), lazy()).unwrap();
        store.bundle_through(bundles * 256 + 1);
        while store.shared.trees.first_unbundled(0, 1_000).unwrap().bundle < bundles {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        drop(store);
        forge_parts(dir.path());
    }
    dir
}

fn put_record(dir: &Path, index: u64, change: impl FnOnce(&mut Record)) {
    let trees = Trees::open(&dir.join("store")).unwrap();
    let mut record = trees.record(index).unwrap().unwrap();
    change(&mut record);
    trees.put(index, &record).unwrap();
    trees.flush().unwrap();
}

/// Another entry, with its leaf, and with whatever nodes stand with it.
fn rewritten(record: &mut Record) {
    let mut entry = Entry::parse(&record.bytes).unwrap();
    entry.body = body(9_999);
    record.bytes = entry.to_bytes();
    record.hashes[0] = attorn_log::tree::leaf_hash(&record.bytes);
}

fn looked(dir: &Path) -> Result<(), PartsError> {
    parts::look(&Places::of(dir), &ours().key, &|| true).unwrap()
}

/// What is wrong, by the server's own look, by a backup and by a repair, which begins both anew.
#[track_caller]
fn found(dir: &Path) -> String {
    let Err(PartsError::Log(problem)) = looked(dir) else { panic!("it is not seen: {:?}", looked(dir)) };
    let to = TempDir::new().unwrap();
    let backup = to.path().join("backup");
    match Store::back_up(dir, &backup).unwrap_err() {
        BackupError::Parts(PartsError::Log(also)) => assert_eq!(also.to_string(), problem.to_string()),
        error => panic!("{error:?}"),
    }
    assert!(!backup.exists(), "nothing is left of it");
    match Store::repair(dir, &ours()).unwrap() {
        Repaired::NewJournal { problem: said, .. } => assert!(said.contains(&problem.to_string()), "{said}"),
        other => panic!("{other:?}"),
    }
    looked(dir).unwrap();
    Store::back_up(dir, &to.path().join("after")).unwrap();
    problem.to_string()
}

#[tokio::test]
async fn what_is_whole_is_taken_wherever_its_entries_are() {
    for bundles in [0, 1, 2] {
        let dir = store(bundles).await;
        looked(dir.path()).unwrap();
        let (to, target) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let made = Store::back_up(dir.path(), to.path()).unwrap();
        assert!(made.bad_files.is_empty() && made.entries == 600, "{made:?}");
        let unpacked = Store::unpack(to.path(), &target.path().join("new"), &ours()).unwrap();
        unpacked.verify_integrity().await.unwrap();
        // With a journal after the base copy.
        let store = Store::open_with(dir.path(), &ours(), lazy()).unwrap();
        for n in 0..10 {
            store.commit(batch(|batch| batch.entries.push(body(n)))).await.unwrap();
        }
        looked(dir.path()).unwrap();
    }
}

#[tokio::test]
async fn an_entry_that_was_rewritten_is_named_before_a_backup_has_it() {
    for (bundles, index) in [(0, 0), (0, 255), (0, 300), (0, 599), (1, 256), (1, 598)] {
        let dir = store(bundles).await;
        // Its bytes alone; and with its leaf, as a forger would who has read how it is done.
        forge_parts_beside(dir.path(), |dir| {
            put_record(dir, index, |record| *record.bytes.last_mut().unwrap() ^= 1);
        });
        assert_eq!(found(dir.path()), format!("entry {index} is not what the log's tree says"));
        forge_parts_beside(dir.path(), |dir| put_record(dir, index, rewritten));
        let said = match looked(dir.path()) {
            Err(error) => crate::repair::causes(&error),
            Ok(()) => panic!("{bundles} {index}: it is not seen"),
        };
        // The node above, or the root with which the imprint goes.
        assert!(said.contains("of the log's tree is wrong") || said.contains("does not fit its log"), "{said}");
        let to = TempDir::new().unwrap();
        assert!(Store::back_up(dir.path(), &to.path().join("backup")).is_err());
        assert!(matches!(Store::repair(dir.path(), &ours()).unwrap(), Repaired::NewJournal { .. }));
    }
}

#[tokio::test]
async fn a_node_that_does_not_fit_what_is_below_is_named() {
    for (bundles, index, level) in [(0, 1, 1), (0, 255, 8), (0, 511, 9), (1, 511, 4), (1, 511, 9)] {
        let dir = store(bundles).await;
        forge_parts_beside(dir.path(), |dir| put_record(dir, index, |record| record.hashes[level].0[5] ^= 1));
        let node = format!("{level}/{}", index >> level);
        assert_eq!(found(dir.path()), format!("node `{node}` of the log's tree is wrong"));
    }
}

#[tokio::test]
async fn entries_that_are_missing_or_too_many_are_named() {
    let remove = |dir: &Path, index: u64| {
        let trees = Trees::open(&dir.join("store")).unwrap();
        let (tree, key) = (TreeName::Entries, index.to_be_bytes().to_vec());
        trees.apply(&[Write { tree, key, value: None }]).unwrap();
        trees.flush().unwrap();
    };
    for index in [0, 255, 599] {
        let dir = store(0).await;
        forge_parts_beside(dir.path(), |dir| remove(dir, index));
        assert_eq!(found(dir.path()), format!("entry {index} is missing"));
    }
    let dir = store(0).await;
    forge_parts_beside(dir.path(), |dir| {
        let trees = Trees::open(&dir.join("store")).unwrap();
        let record = trees.record(598).unwrap().unwrap();
        trees.put(600, &record).unwrap();
        trees.flush().unwrap();
    });
    assert_eq!(found(dir.path()), "there are 601 entries, and the log has 600");
}

/// A base copy is made while a bundle leaves the engine: of it some entries are there, and the others in its file.
#[tokio::test]
async fn a_bundle_that_was_copied_half_is_compared_with_its_file() {
    let dir = store(1).await;
    let bytes = fs::read(dir.path().join("log/1/tile/entries/000")).unwrap();
    let half = |dir: &Path, forged: bool| {
        let trees = Trees::open(&dir.join("store")).unwrap();
        let (mut bundle, mut tree) = (attorn_log::tiles::Bundle::new(&bytes), attorn_log::TreeBuilder::new());
        for index in 0..200 {
            let entry = bundle.next_entry().unwrap().to_vec();
            let made = tree.push(attorn_log::tree::leaf_hash(&entry)).unwrap();
            let hashes = made.into_iter().map(|(_, hash)| hash).collect();
            let mut record = Record { hashes, bytes: entry };
            if forged && index == 100 {
                rewritten(&mut record);
            }
            if index >= 50 {
                trees.put(index, &record).unwrap();
            }
        }
        trees.flush().unwrap();
    };
    forge_parts_beside(dir.path(), |dir| half(dir, false));
    looked(dir.path()).unwrap();
    forge_parts_beside(dir.path(), |dir| half(dir, true));
    assert_eq!(found(dir.path()), "entry 100 is not what the log's tree says");
}

/// What stands with the last entry of a bundle that left, below the bundle's root, is compared with the file by a backup: no
/// engine that is made of it could be walked.
#[tokio::test]
async fn nodes_below_the_root_of_a_bundle_in_a_file_are_what_its_entries_say() {
    let dir = store(2).await;
    forge_parts_beside(dir.path(), |dir| put_record(dir, 255, |record| record.hashes[3].0[0] ^= 1));
    let to = TempDir::new().unwrap();
    match Store::back_up(dir.path(), &to.path().join("backup")).unwrap_err() {
        BackupError::Parts(PartsError::Log(LogProblem::Entry(255))) => {}
        error => panic!("{error:?}"),
    }
    assert!(matches!(Store::repair(dir.path(), &ours()).unwrap(), Repaired::NewJournal { .. }));
}

/// A copy that a server made of an engine to whose log somebody wrote takes the place of none.
#[tokio::test]
async fn a_base_copy_of_a_log_that_somebody_rewrote_is_not_kept() {
    let dir = TempDir::new().unwrap();
    let store = Store::create_with(dir.path(), ours(), crate::fixtures::hurried(crate::steps::EveryStep)).unwrap();
    for n in 0..20 {
        store.commit(batch(|batch| batch.entries.push(body(n)))).await.unwrap();
    }
    let mut record = store.shared.trees.record(7).unwrap().unwrap();
    rewritten(&mut record);
    store.shared.trees.put(7, &record).unwrap();
    while !store.has_bad_parts() {
        store.commit(put(11, &"x".repeat(200))).await.unwrap();
    }
    drop(store);
    let image = TempDir::new().unwrap();
    copy(dir.path(), image.path());
    looked(image.path()).unwrap();
    assert!(matches!(Store::repair(dir.path(), &ours()).unwrap(), Repaired::Rebuilt { .. }));
}
