//! Records whose files are damaged or gone are not lost as long as base copy and journal have them.

use std::fs;
use std::path::Path;

use super::tests::{BUNDLED, DECISIONS, file, filed, filled, flip, key, put_back, read, record};
use crate::base::{self, BaseError};
use crate::batch::Batch;
use crate::bundled::BUNDLE_ENTRIES;
use crate::commit::Store;
use crate::filed::RecordFiles;
use crate::fixtures::{batch, decided, decision, lazy, ours};
use crate::follower::Pace;
use crate::journal::Journal;
use crate::places::Places;
use crate::records::{DecisionRecord, Kept};
use crate::repair::Repaired;
use attorn_core::JsonText;
use tempfile::TempDir;

fn repaired(dir: &Path) -> (String, Vec<String>) {
    match Store::repair(dir, &ours()).unwrap() {
        Repaired::Files { problem, bad_files, .. } => (problem, bad_files),
        other => panic!("{other:?}"),
    }
}

/// What is still bad, where nothing was written anew.
fn not_repaired(dir: &Path) -> Vec<String> {
    match Store::repair(dir, &ours()).unwrap() {
        Repaired::BadFiles { bad_files, .. } => bad_files,
        other => panic!("{other:?}"),
    }
}

/// Make a base copy of what the engine has now, with a journal after it, and remove the earlier ones.
fn only_base_is_now(dir: &Path) {
    let (places, store) = (Places::of(dir), Store::open_with(dir, &ours(), lazy()).unwrap());
    let old = base::all(&places.base).unwrap();
    let id = base::read(&old[0], |_| Ok::<_, BaseError>(())).unwrap();
    let version = store.shared.applied().version;
    base::write(&places.base, id, version, &store.shared.trees).unwrap();
    drop(store);
    fs::remove_dir_all(&places.journal).unwrap();
    fs::create_dir(&places.journal).unwrap();
    drop(Journal::create(&places.journal, id, version, Pace::USUAL.segments).unwrap());
    let newest = base::all(&places.base).unwrap().pop().unwrap();
    old.iter().filter(|base| **base != newest).for_each(|base| fs::remove_file(&base.path).unwrap());
}

#[tokio::test]
async fn a_repair_writes_files_anew_and_moves_the_bad_ones_aside() {
    let (dir, store, all, whole) = filled().await;
    drop(store);
    let paths = [0, 1].map(|bundle| file(dir.path(), bundle));
    let right = paths.each_ref().map(|path| fs::read(path).unwrap());
    // One byte of one record; the file cut off; no file of records at all; a directory that is gone.
    let damages: [fn(&Path); 4] = [
        |path| flip(path, 9_000),
        |path| fs::write(path, &fs::read(path).unwrap()[..20_000]).unwrap(),
        |path| fs::write(path, "").unwrap(),
        |path| fs::remove_file(path).unwrap(),
    ];
    for (damage, broken) in damages.iter().zip(1..) {
        damage(&paths[0]);
        let bad = fs::read(&paths[0]).ok();
        let (problem, still_bad) = repaired(dir.path());
        assert!(problem.contains("/records/1/000000/000` is ") && !problem.contains("attorn repair"), "{problem}");
        assert_eq!((still_bad, fs::read(&paths[0]).unwrap()), (Vec::new(), right[0].clone()));
        assert_eq!(fs::read(paths[0].with_extension(format!("broken-{broken}"))).ok(), bad);
        assert!(matches!(Store::repair(dir.path(), &ours()).unwrap(), Repaired::Whole(found) if found == whole));
    }
    assert!(!dir.path().join("store.broken-1").exists() && !dir.path().join("store.remade").exists());
    fs::remove_dir_all(dir.path().join("records")).unwrap();
    let (problem, still_bad) = repaired(dir.path());
    assert!(problem.contains("000` is missing, ") && problem.contains("; `") && problem.contains("001` is missing, "));
    assert_eq!((still_bad, paths.map(|path| fs::read(path).unwrap())), (Vec::new(), right));
    assert_eq!(read(&Store::open(dir.path(), &ours()).unwrap(), DECISIONS).await, all);
}

#[tokio::test]
async fn records_and_entries_are_brought_back_together() {
    let (dir, store, all, _) = filled().await;
    drop(store);
    let entries = dir.path().join("log/1/tile/entries/001");
    fs::remove_file(&entries).unwrap();
    fs::remove_file(file(dir.path(), 0)).unwrap();
    let (problem, still_bad) = repaired(dir.path());
    assert!(problem.contains("entries/001` is missing; `") && problem.contains("records/1/000000/000` is missing"));
    assert!(still_bad.is_empty() && entries.exists(), "{still_bad:?}");
    assert_eq!(read(&Store::open(dir.path(), &ours()).unwrap(), DECISIONS).await, all);
}

#[tokio::test]
async fn what_neither_base_copy_nor_journal_has_is_left_as_it_is() {
    let (dir, store, all, whole) = filled().await;
    drop(store);
    only_base_is_now(dir.path());
    assert!(matches!(Store::repair(dir.path(), &ours()).unwrap(), Repaired::Whole(found) if found == whole));
    let path = file(dir.path(), 1);
    let right = fs::read(&path).unwrap();
    flip(&path, 5_000);
    let altered = fs::read(&path).unwrap();
    let bad = not_repaired(dir.path());
    assert!(bad.len() == 1 && bad[0].contains("001` is not what was written: the record `decision/dec_"), "{bad:?}");
    assert!(bad[0].contains(" was changed; neither base copy nor journal has what is missing"), "{bad:?}");
    assert_eq!(fs::read(&path).unwrap(), altered);
    fs::remove_file(&path).unwrap();
    let bad = not_repaired(dir.path());
    assert!(bad.len() == 1 && bad[0].contains("001` is missing, and with it the record `decision/dec_"), "{bad:?}");
    assert!(!path.exists() && !path.with_extension("broken-1").exists());
    // Where no base copy can be read, nobody has them either.
    for base in base::all(&Places::of(dir.path()).base).unwrap() {
        flip(&base.path, 100);
    }
    match Store::repair(dir.path(), &ours()).unwrap() {
        Repaired::NewJournal { bad_files, .. } => assert_eq!(bad_files, bad),
        other => panic!("{other:?}"),
    }
    assert_eq!(not_repaired(dir.path()), bad);
    fs::write(&path, right).unwrap();
    assert_eq!(read(&Store::open(dir.path(), &ours()).unwrap(), DECISIONS).await, all);
}

#[tokio::test]
async fn a_part_of_a_file_is_written_anew_and_the_rest_is_named() {
    let (dir, store, all, whole) = filled().await;
    drop(store);
    // As a crash left it: the base copy has every other record whole.
    put_back(dir.path(), &all, |n| n.is_multiple_of(2));
    only_base_is_now(dir.path());
    let store = Store::open_with(dir.path(), &ours(), lazy()).unwrap();
    store.bundle_through(DECISIONS);
    filed(&store, BUNDLED).await;
    drop(store);
    let path = file(dir.path(), 0);
    let right = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let (problem, still_bad) = repaired(dir.path());
    assert!(problem.contains("/records/1/000000/000` is missing, "), "{problem}");
    assert!(still_bad.len() == 1 && still_bad[0].contains("000` was written anew without 128 of its 256 records, "));
    assert_eq!(fs::read(&path).unwrap().len(), right.len());
    let store = Store::open_with(dir.path(), &ours(), lazy()).unwrap();
    for n in 0..DECISIONS {
        let found = store.record::<DecisionRecord>(&key(n)).await;
        if n < BUNDLE_ENTRIES && !n.is_multiple_of(2) {
            assert!(found.unwrap_err().damage().unwrap().contains(" was changed; "), "{n}");
        } else {
            assert_eq!(found.unwrap().unwrap().value, record(n));
        }
    }
    drop(store);
    // Once more is no better, and the file stays.
    assert_eq!(not_repaired(dir.path()).len(), 1);
    assert!(!path.with_extension("broken-1").exists());
    fs::write(&path, right).unwrap();
    assert!(matches!(Store::repair(dir.path(), &ours()).unwrap(), Repaired::Whole(found) if found == whole));
}

#[tokio::test]
async fn what_was_written_once_more_after_it_was_filed_leaves_an_empty_place() {
    let (dir, store, ..) = filled().await;
    for n in [0, 7, 255] {
        let text = Kept::Plain(JsonText::from_canonical("{}".to_owned()));
        let again = DecisionRecord { id: decision(n), text };
        let fill = |batch: &mut Batch| {
            batch.put_record(&again);
            batch.entries.push(decided(n));
        };
        store.commit(batch(fill)).await.unwrap();
    }
    let whole = store.verify_integrity().await.unwrap();
    drop(store);
    fs::remove_file(file(dir.path(), 0)).unwrap();
    assert_eq!(repaired(dir.path()).1, Vec::<String>::new());
    assert!(matches!(Store::repair(dir.path(), &ours()).unwrap(), Repaired::Whole(found) if found == whole));
    assert!(RecordFiles::of(dir.path()).file(1, 0).unwrap().is_some(), "it is a whole file");
    let store = Store::open(dir.path(), &ours()).unwrap();
    for n in (0..BUNDLE_ENTRIES).filter(|n| ![0, 7, 255].contains(n)) {
        assert_eq!(store.record::<DecisionRecord>(&key(n)).await.unwrap().unwrap().value, record(n));
    }
}

/// What is done to a file, and what is said of it then.
type Damage = (fn(&Path), &'static str);

#[tokio::test]
async fn a_backup_names_files_of_records_that_base_copy_and_journal_still_have() {
    let (dir, store, all, _) = filled().await;
    drop(store);
    let (backup, target) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let bad = || Store::back_up(dir.path(), TempDir::new().unwrap().path()).unwrap().bad_files;
    assert_eq!(bad(), Vec::<String>::new());
    let path = file(dir.path(), 1);
    let right = fs::read(&path).unwrap();
    let damages: [Damage; 3] = [
        (|path| fs::remove_file(path).unwrap(), "is missing, and with it the record `decision/dec_"),
        (|path| flip(path, 9_000), "is not what was written: the record `decision/dec_"),
        (|path| fs::write(path, "").unwrap(), "is not what was written: the record `decision/dec_"),
    ];
    for (damage, what) in damages {
        damage(&path);
        let named = bad();
        assert!(named.len() == 1 && named[0].contains(&format!("/records/1/000000/001` {what}")), "{named:?}");
        assert!(named[0].contains("and so has this backup: `attorn repair` makes the file anew"), "{named:?}");
        fs::write(&path, &right).unwrap();
    }
    fs::remove_dir_all(dir.path().join("records")).unwrap();
    let made = Store::back_up(dir.path(), backup.path()).unwrap();
    assert_eq!(made.bad_files.len(), 2, "{:?}", made.bad_files);
    // It says so truly: the backup has them.
    let unpacked = Store::unpack(backup.path(), target.path(), &ours()).unwrap();
    assert_eq!(read(&unpacked, DECISIONS).await, all);
    assert!(repaired(dir.path()).1.is_empty());
    assert_eq!(bad(), Vec::<String>::new());
}
