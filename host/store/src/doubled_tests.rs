//! What is bad and would be replaced is named, and kept.

use std::path::PathBuf;

use tempfile::TempDir;

use crate::bundled;
use crate::commit::Store;
use crate::filing;
use crate::fixtures::ours;
use crate::repair::Repaired;

use super::*;

fn flip(path: &Path) -> Vec<u8> {
    let mut bytes = fs::read(path).unwrap();
    bytes[100] ^= 1;
    fs::write(path, &bytes).unwrap();
    bytes
}

fn aside(path: &Path) -> PathBuf {
    path.with_extension("broken-1")
}

/// A store whose database is gone, and a base copy from before anything was in files; its first two files with entries.
async fn without_engine() -> (TempDir, [PathBuf; 2], Vec<String>) {
    let (dir, store, all, _) = bundled::tests::filled().await;
    fs::write(dir.path().join("log/1/checkpoint"), "note").unwrap();
    drop(store);
    fs::remove_dir_all(dir.path().join("store")).unwrap();
    let files = [0, 1].map(|bundle| bundled::tests::file(dir.path(), bundle));
    (dir, files, all)
}

#[track_caller]
fn rebuilt(dir: &Path) -> (String, Vec<String>) {
    match Store::repair(dir, &ours()).unwrap() {
        Repaired::Rebuilt { problem, bad_files, .. } => (problem, bad_files),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_repair_names_and_mends_files_whose_entries_came_back_with_the_engine() {
    let (dir, [first, second], all) = without_engine().await;
    let whole = [&first, &second].map(|path| fs::read(path).unwrap());
    let bad = flip(&first);
    fs::remove_file(&second).unwrap();
    let (problem, bad_files) = rebuilt(dir.path());
    assert!(problem.contains("000` is not what the log's tree says: in epoch 1, "), "{problem}");
    assert!(problem.ends_with("001` is missing") && bad_files.is_empty(), "{problem} {bad_files:?}");
    assert_eq!([&first, &second].map(|path| fs::read(path).unwrap()), whole);
    assert_eq!((fs::read(aside(&first)).unwrap(), aside(&second).exists()), (bad, false));
    assert!(matches!(Store::repair(dir.path(), &ours()).unwrap(), Repaired::Whole(_)));
    // As it is now both are in both places: one that is damaged then is named, too.
    flip(&second);
    let (scratch, before) = (TempDir::new().unwrap(), fs::read(&second).unwrap());
    let looked = Store::look(dir.path(), &ours(), None, scratch.path()).unwrap();
    let doubled = looked.store.doubled_files().await.unwrap();
    assert!(doubled.len() == 1 && doubled[0].contains("001` is not what the log's tree says"), "{doubled:?}");
    assert_eq!(fs::read(&second).unwrap(), before, "who looks changes nothing");
    drop(looked);
    let repaired = Store::repair(dir.path(), &ours()).unwrap();
    let Repaired::Files { problem, bad_files, .. } = repaired else { panic!("{repaired:?}") };
    assert!(problem.contains("001` is not what the log's tree says") && bad_files.is_empty(), "{problem}");
    assert_eq!(fs::read(&second).unwrap(), whole[1]);
    assert_eq!(bundled::tests::read(&Store::open(dir.path(), &ours()).unwrap()), all);
}

#[tokio::test]
async fn what_was_never_written_is_not_missing() {
    let (dir, [first, second], _) = without_engine().await;
    for path in [&first, &second] {
        fs::remove_file(path).unwrap();
    }
    fs::write(dir.path().join("log/1/bundled"), "1\n").unwrap();
    let (problem, _) = rebuilt(dir.path());
    assert!(problem.contains("000` is missing") && !problem.contains("001"), "{problem}");
    assert!(first.exists() && !second.exists());
}

#[tokio::test]
async fn a_start_keeps_the_bad_file_that_it_writes_anew() {
    let (dir, [first, second], _) = without_engine().await;
    let whole = [&first, &second].map(|path| fs::read(path).unwrap());
    let bad = flip(&first);
    // A link is moved aside, and what it leads to is left.
    let elsewhere = dir.path().join("elsewhere");
    fs::rename(&second, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &second).unwrap();
    fs::remove_file(dir.path().join("store.boot")).unwrap();
    let store = Store::open_or_remake(dir.path(), &ours(), None).unwrap();
    store.bundle_through(600);
    while store.shared.trees.first_unbundled(0, usize::MAX).unwrap().bundle < 2 {
        assert!(store.failure().is_none());
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    assert_eq!([&first, &second].map(|path| fs::read(path).unwrap()), whole);
    assert_eq!(fs::read(aside(&first)).unwrap(), bad);
    assert!(aside(&second).is_symlink() && !second.is_symlink());
    assert_eq!(fs::read(&elsewhere).unwrap(), whole[1]);
}

#[tokio::test]
async fn files_with_records_are_named_and_kept_alike() {
    for by_hand in [true, false] {
        let (dir, store, all, _) = filing::tests::filled().await;
        drop(store);
        fs::remove_dir_all(dir.path().join("store")).unwrap();
        let path = filing::tests::file(dir.path(), 0);
        let whole = fs::read(&path).unwrap();
        let bad = flip(&path);
        let store = if by_hand {
            let (problem, bad_files) = rebuilt(dir.path());
            assert!(problem.ends_with("records/1/000000/000` is not what was written"), "{problem}");
            assert_eq!((fs::read(&path).unwrap() == whole, bad_files), (true, Vec::new()));
            assert!(matches!(Store::repair(dir.path(), &ours()).unwrap(), Repaired::Whole(_)));
            Store::open(dir.path(), &ours()).unwrap()
        } else {
            fs::remove_file(dir.path().join("store.boot")).unwrap();
            Store::open_or_remake(dir.path(), &ours(), None).unwrap()
        };
        store.bundle_through(filing::tests::DECISIONS);
        filing::tests::filed(&store, filing::tests::BUNDLED).await;
        assert_eq!(fs::read(aside(&path)).unwrap(), bad, "{by_hand}");
        assert_eq!(filing::tests::read(&store, filing::tests::DECISIONS).await, all);
        store.verify_integrity().await.unwrap();
    }
}
