//! What is made anew is what was there, and what cannot be made anew is left alone.

use std::fs;

use tempfile::TempDir;

use super::ahead_tests::longer;
use super::*;
use crate::ImprintError;
use crate::base::{self, BaseError};
use crate::error::PartsError;
use crate::fixtures::{add, batch, body, copy, counter, hurried, lazy, meta, ours, ours_of, put, unlocked};
use crate::steps::EveryStep;

/// Groups of all kinds, more than one base copy's worth.
pub(super) async fn fill(store: &Store, from: u64) {
    for n in from..from + 150 {
        let deed = batch(|batch| {
            batch.put.push((meta(n), vec![b'x'; 200]));
            batch.delete.extend(n.checked_sub(40).map(meta));
            batch.add.push(add(0, 1, u64::MAX));
            batch.entries.push(body(n));
        });
        store.commit(deed).await.unwrap();
    }
}

/// A store with base copies and a journal, closed, and what it holds.
pub(super) async fn filled() -> (TempDir, Integrity) {
    let dir = TempDir::new().unwrap();
    let store = Store::create_with(dir.path(), ours(), hurried(EveryStep)).unwrap();
    fill(&store, 0).await;
    let places = Places::of(dir.path());
    while base::all(&places.base).unwrap().last().unwrap().version == 0 {
        store.commit(put(1, "again")).await.unwrap();
    }
    drop(store);
    // What only the journal has.
    let store = Store::open_with(dir.path(), &ours(), lazy()).unwrap();
    store.commit(put(1, "after it")).await.unwrap();
    let integrity = store.verify_integrity().await.unwrap();
    drop(store);
    assert!(base::all(&places.base).unwrap().last().unwrap().version < integrity.version);
    (dir, integrity)
}

#[track_caller]
pub(super) fn rebuilt(dir: &Path) -> (String, Integrity, Option<PathBuf>) {
    match Store::repair(dir, &ours()).unwrap() {
        Repaired::Rebuilt { problem, integrity, aside, .. } => (problem, integrity, aside),
        other => panic!("{other:?}"),
    }
}

/// It opens, holds this, and goes on.
pub(super) async fn check(dir: &Path, expect: Integrity) {
    let store = Store::open(dir, &ours()).unwrap();
    assert_eq!(store.verify_integrity().await.unwrap(), expect);
    assert_eq!(store.counter(&counter(0)).await.unwrap(), 150);
    store.commit(put(7_000, "after")).await.unwrap();
    drop(store);
    assert!(matches!(Store::repair(dir, &ours()).unwrap(), Repaired::Whole(_)));
}

#[tokio::test]
async fn an_engine_that_was_deleted_comes_back_as_it_was() {
    let (dir, expect) = filled().await;
    let whole = Store::repair(dir.path(), &ours()).unwrap();
    assert!(matches!(whole, Repaired::Whole(found) if found == expect), "{whole:?}");
    fs::remove_dir_all(dir.path().join("store")).unwrap();
    let error = Store::open(dir.path(), &ours()).map(drop).unwrap_err();
    assert!(error.is_repairable() && error.to_string().starts_with("there is nothing in "), "{error}");
    let (problem, found, aside) = rebuilt(dir.path());
    assert!(problem.starts_with("there is nothing in `"), "{problem}");
    assert_eq!((found, aside), (expect, None));
    check(dir.path(), expect).await;
}

#[tokio::test]
async fn an_engine_that_is_broken_is_moved_aside_and_made_anew() {
    let (dir, expect) = filled().await;
    let engine = dir.path().join("store/db");
    for number in 1..=2 {
        let mut bytes = fs::read(&engine).unwrap();
        for at in (0..bytes.len()).step_by(97) {
            bytes[at] ^= 0x55;
        }
        fs::write(&engine, &bytes).unwrap();
        let error = Store::open(dir.path(), &ours()).map(drop).unwrap_err();
        assert!(error.is_repairable(), "{error:?}");
        let (_, found, aside) = rebuilt(dir.path());
        assert_eq!(found, expect);
        assert_eq!(aside.unwrap(), dir.path().join(format!("store.broken-{number}")));
    }
    check(dir.path(), expect).await;
}

#[tokio::test]
async fn what_opening_does_not_see_the_walk_finds_and_the_repair_mends() {
    let (dir, expect) = filled().await;
    let db = unlocked(&dir.path().join("store"));
    db.open_tree("entries").unwrap().remove(3_u64.to_be_bytes()).unwrap();
    drop(db);
    drop(Store::open(dir.path(), &ours()).unwrap());
    let (problem, found, _) = rebuilt(dir.path());
    assert!(problem.contains("entry 3 is missing"), "{problem}");
    assert_eq!(found, expect);
    check(dir.path(), expect).await;
}

#[tokio::test]
async fn a_base_copy_that_is_damaged_anywhere_is_passed_over_for_the_one_before() {
    let (dir, expect) = filled().await;
    fs::remove_dir_all(dir.path().join("store")).unwrap();
    let bases = base::all(&dir.path().join("base")).unwrap();
    let [older, newest] = &bases[..] else { panic!("{bases:?}") };
    let whole = fs::read(&newest.path).unwrap();
    let damages = (0..whole.len()).step_by(whole.len() / 40).map(|at| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        bytes
    });
    let cuts = (0..whole.len()).step_by(whole.len() / 10).map(|end| whole[..end].to_vec());
    let longer = [[&whole[..], &[0]].concat()];
    for (n, bytes) in damages.chain(cuts).chain(longer).enumerate() {
        fs::write(&newest.path, bytes).unwrap();
        let read = base::read(newest, |_| Ok::<_, BaseError>(()));
        assert!(matches!(read, Err(BaseError::Damaged { .. })), "{n}: {read:?}");
    }
    let Repaired::Rebuilt { base, integrity, .. } = Store::repair(dir.path(), &ours()).unwrap() else {
        panic!("nothing was wrong")
    };
    assert_eq!((base, integrity), (older.version, expect));
    fs::remove_dir_all(dir.path().join("store")).unwrap();
    fs::remove_file(&older.path).unwrap();
    let error = Store::repair(dir.path(), &ours()).unwrap_err();
    assert!(matches!(error, RepairError::Parts(PartsError::Base(BaseError::Damaged { .. }))), "{error:?}");
    fs::remove_file(&newest.path).unwrap();
    let error = Store::repair(dir.path(), &ours()).unwrap_err();
    assert!(matches!(error, RepairError::Parts(PartsError::NoBase { .. })), "{error:?}");
    assert!(!dir.path().join("store").exists());
}

#[tokio::test]
async fn where_the_journal_lost_something_nothing_is_replaced() {
    let (image, _) = longer().await;
    // It is damaged, and the engine is gone.
    let segments = crate::journal::segments(&image.path().join("journal")).unwrap();
    let path = &segments[segments.len() - 2].path;
    let mut bytes = fs::read(path).unwrap();
    bytes[200] ^= 1;
    fs::write(path, bytes).unwrap();
    fs::remove_dir_all(image.path().join("store")).unwrap();
    let error = Store::repair(image.path(), &ours()).unwrap_err();
    assert!(matches!(error, RepairError::Parts(PartsError::Journal(JournalError::Damaged { .. }))), "{error:?}");
    assert!(!image.path().join("store").exists());
}

#[tokio::test]
async fn damage_that_the_engine_has_passed_is_left_behind_with_the_journal() {
    let (dir, expect) = passed_damage().await;
    let error = Store::open(dir.path(), &ours()).map(drop).unwrap_err();
    assert!(matches!(&error, OpenError::Journal(JournalError::Damaged { at: 64, .. })), "{error:?}");
    let repaired = Store::repair(dir.path(), &ours()).unwrap();
    let Repaired::NewJournal { problem, integrity, aside, bases_aside, .. } = repaired else {
        panic!("the journal is whole")
    };
    assert!(problem.contains("is damaged at byte 64, and goes on after it"), "{problem}");
    assert_eq!((integrity, aside), (expect, dir.path().join("journal.broken-1")));
    assert_eq!(bases_aside, Some(dir.path().join("base.broken-1")));
    assert!(dir.path().join("base.broken-1").exists());
    let store = Store::open(dir.path(), &ours()).unwrap();
    assert_eq!(store.verify_integrity().await.unwrap(), expect);
    store.commit(put(7_000, "after")).await.unwrap();
    let expect = store.verify_integrity().await.unwrap();
    drop(store);
    // And from the new one all can be made anew.
    fs::remove_dir_all(dir.path().join("store")).unwrap();
    assert_eq!(rebuilt(dir.path()).1, expect);
}

#[tokio::test]
async fn what_the_engine_had_not_on_disk_is_read_from_the_journal() {
    let (dir, image) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    drop(Store::create(dir.path(), ours()).unwrap());
    let store = Store::open_with(dir.path(), &ours(), lazy()).unwrap();
    // Taken before, as if the engine had never written anything.
    copy(&dir.path().join("store"), &image.path().join("store"));
    fill(&store, 0).await;
    let expect = store.verify_integrity().await.unwrap();
    for part in ["journal", "base", "blobs"] {
        copy(&dir.path().join(part), &image.path().join(part));
    }
    for part in ["store.format", "store.boot"] {
        fs::copy(dir.path().join(part), image.path().join(part)).unwrap();
    }
    check(image.path(), expect).await;
}

#[tokio::test]
async fn a_store_from_before_there_was_a_journal_gets_one() {
    let (dir, expect) = filled().await;
    for part in ["journal", "base"] {
        fs::remove_dir_all(dir.path().join(part)).unwrap();
    }
    fs::write(dir.path().join("store.format"), "attorn-store 1\n").unwrap();
    let db = sled::Config::new().path(dir.path().join("store")).open().unwrap();
    db.open_tree("head").unwrap().remove("imprint").unwrap();
    drop(db);
    // It has no imprint either.
    let error = Store::open(dir.path(), &ours()).map(drop).unwrap_err();
    assert!(matches!(error, OpenError::Imprint(ImprintError::Missing)), "{error:?}");
    Store::repair_with(dir.path(), &ours(), None, (Accepted::FOREIGN, &|_| true)).unwrap();
    // With a value more, which says that it was accepted.
    let store = Store::open(dir.path(), &ours()).unwrap();
    let found = store.verify_integrity().await.unwrap();
    assert_eq!((found.version, found.entries, found.values), (expect.version, expect.entries, expect.values + 1));
    store.commit(put(7_000, "after")).await.unwrap();
    drop(store);
    assert_eq!(fs::read(dir.path().join("store.format")).unwrap(), b"attorn-store 5\n");
    fs::remove_dir_all(dir.path().join("store")).unwrap();
    assert_eq!(rebuilt(dir.path()).1.version, expect.version + 1);
}

/// A store whose journal is damaged where the engine has passed, and what it holds.
pub(super) async fn passed_damage() -> (TempDir, Integrity) {
    let (dir, _) = filled().await;
    let store = Store::open_with(dir.path(), &ours(), lazy()).unwrap();
    fill(&store, 1_000).await;
    let expect = store.verify_integrity().await.unwrap();
    drop(store);
    let segments = crate::journal::segments(&dir.path().join("journal")).unwrap();
    let last = &segments.last().unwrap().path;
    let mut bytes = fs::read(last).unwrap();
    bytes[200] ^= 1;
    fs::write(last, bytes).unwrap();
    (dir, expect)
}

#[test]
fn a_store_that_is_open_or_of_another_log_is_left_alone() {
    let dir = TempDir::new().unwrap();
    let store = Store::create(dir.path(), ours()).unwrap();
    let error = Store::repair(dir.path(), &ours()).unwrap_err();
    assert!(matches!(error, RepairError::Open(OpenError::InUse { .. })), "{error:?}");
    drop(store);
    let error = Store::repair(dir.path(), &ours_of("other")).unwrap_err();
    assert!(matches!(error, RepairError::Open(OpenError::OtherLog { .. })), "{error:?}");
    fs::remove_dir_all(dir.path().join("store")).unwrap();
    let error = Store::repair(dir.path(), &ours_of("other")).unwrap_err();
    assert!(matches!(error, RepairError::Open(OpenError::OtherLog { .. })), "{error:?}");
}

/// The engine waits for whoever writes into a pipe, and follows links.
#[tokio::test]
async fn what_is_no_file_of_the_engines_is_named_and_the_engine_made_anew() {
    let (dir, integrity) = filled().await;
    let pipe = |path: &Path| {
        rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
    };
    let endless = |path: &Path| std::os::unix::fs::symlink("/dev/zero", path).unwrap();
    let long = |path: &Path| fs::File::create(path).unwrap().set_len(1 << 32).unwrap();
    for (name, put, why) in [
        ("conf", &pipe as &dyn Fn(&Path), "`conf` in it is no regular file"),
        ("conf", &long, "`conf` in it is longer than the engine makes it"),
        ("snap.0000000000000001", &pipe, "`snap.0000000000000001` in it is no regular file"),
        ("snap.0000000000000001", &endless, "`snap.0000000000000001` in it is no regular file"),
        (
            "db",
            &long,
            "`db` in it: of its 4294967296 bytes 4294967296 or more were never written, and the server leaves no such holes",
        ),
    ] {
        let path = dir.path().join("store").join(name);
        fs::remove_file(&path).ok();
        put(&path);
        let error = Store::open(dir.path(), &ours()).err().unwrap();
        assert!(error.is_repairable(), "{error}");
        let (problem, found, _) = rebuilt(dir.path());
        assert!(problem.ends_with(&format!("is not as the engine left it: {why}")), "{problem}");
        assert_eq!((found.digest, found.entries), (integrity.digest, integrity.entries));
    }
}
