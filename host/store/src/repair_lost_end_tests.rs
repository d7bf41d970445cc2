//! An engine that was in use when it ended, and whose journal is not what it was: nobody knows what it lacks. And what is beside
//! the engine is no reason to make that anew.

use std::fs;

use tempfile::TempDir;

use super::ahead_tests::{cut_journal, longer, names};
use super::tests::fill;
use super::*;
use crate::error::PartsError;
use crate::fixtures::{copy, lazy, meta, ours};
use crate::trees::Trees;

#[tokio::test]
async fn an_engine_that_was_in_use_is_begun_with_where_somebody_answers_for_what_may_be_lost() {
    for all in [true, false] {
        let (dir, expect) = longer().await;
        cut_journal(dir.path(), all);
        Boot::of_machine().say_open(&Places::of(dir.path())).unwrap();
        let before = names(dir.path());
        let error = Store::repair(dir.path(), &ours()).unwrap_err();
        let RepairError::EndLost { version, source } = &error else { panic!("{error:?}") };
        assert!(*version == expect.version && error.is_altered(), "{error:?}");
        let source = matches!(
            **source,
            RepairError::Parts(PartsError::Journal(JournalError::Missing { .. } | JournalError::Behind { .. }))
        );
        assert!(source, "{error:?}");
        assert_eq!(names(dir.path()), before);

        // Somebody answers for it, and the log will say what for.
        let repaired = Store::repair_with(dir.path(), &ours(), None, (Accepted::LOST_END, &|_| true)).unwrap();
        let Repaired::NewJournal { integrity, lost_end: LostEnd::Accepted, problem, .. } = &repaired else {
            panic!("{repaired:?}")
        };
        assert_eq!(*integrity, expect);
        let lost = format!("what was acknowledged after batch {version} may be lost: ");
        assert!(problem.starts_with(&lost), "{problem}");
        let store = Store::open(dir.path(), &ours()).unwrap();
        assert!(store.remade().unwrap()[0].problem.starts_with(&lost));
        drop(store);
        assert!(matches!(Store::repair(dir.path(), &ours()).unwrap(), Repaired::Whole(_)));
    }
}

/// What is asked for is accepted where it is the matter, and says nothing of a state that is not ours.
#[tokio::test]
async fn an_engine_that_was_in_use_and_is_not_ours_is_begun_with_by_nobody() {
    let (dir, _) = longer().await;
    cut_journal(dir.path(), false);
    let db = sled::Config::new().path(dir.path().join("store")).open().unwrap();
    db.open_tree("state").unwrap().remove(meta(1_140).as_bytes()).unwrap().unwrap();
    drop(db);
    Boot::of_machine().say_open(&Places::of(dir.path())).unwrap();
    let before = names(dir.path());
    for accepted in [Accepted::NOTHING, Accepted::LOST_END] {
        let error = Store::repair_with(dir.path(), &ours(), None, (accepted, &|_| true)).unwrap_err();
        assert!(matches!(error, RepairError::Parts(PartsError::Journal(JournalError::Behind { .. }))), "{error:?}");
        assert_eq!(names(dir.path()), before);
    }
}

/// A newer base copy says that there was more, whatever somebody answers for.
#[tokio::test]
async fn an_engine_that_is_older_than_a_base_copy_is_begun_with_by_nobody() {
    for is_closed in [true, false] {
        let (dir, early) = (longer().await.0, TempDir::new().unwrap());
        copy(&dir.path().join("store"), &early.path().join("store"));
        let store = Store::open_with(dir.path(), &ours(), lazy()).unwrap();
        fill(&store, 2_000).await;
        let late = store.verify_integrity().await.unwrap().version;
        drop(store);
        let trees = Trees::open(&dir.path().join("store")).unwrap();
        crate::base::write(&dir.path().join("base"), trees.store_id().unwrap().unwrap(), late, &trees).unwrap();
        drop(trees);
        fs::remove_dir_all(dir.path().join("store")).unwrap();
        copy(&early.path().join("store"), &dir.path().join("store"));
        cut_journal(dir.path(), true);
        if !is_closed {
            Boot::of_machine().say_open(&Places::of(dir.path())).unwrap();
        }
        let before = names(dir.path());
        for accepted in [Accepted::NOTHING, Accepted::LOST_END] {
            let error = Store::repair_with(dir.path(), &ours(), None, (accepted, &|_| true)).unwrap_err();
            assert!(
                matches!(error, RepairError::Parts(PartsError::Journal(JournalError::Missing { .. }))),
                "{error:?}"
            );
            assert_eq!(names(dir.path()), before);
        }
    }
}

/// The journal is damaged where the engine has passed, and its end is lost, too.
#[tokio::test]
async fn a_journal_that_is_damaged_twice_is_begun_anew_with_an_engine_that_has_all() {
    for is_closed in [true, false] {
        let (dir, expect) = longer().await;
        cut_journal(dir.path(), false);
        // In what is read when it is opened.
        let last = crate::journal::segments(&dir.path().join("journal")).unwrap().pop().unwrap().path;
        let mut bytes = fs::read(&last).unwrap();
        bytes[200] ^= 1;
        fs::write(&last, bytes).unwrap();
        let opened = Store::open(dir.path(), &ours()).map(drop).unwrap_err();
        assert!(
            matches!(opened, OpenError::Journal(JournalError::Damaged { .. } | JournalError::Hole { .. })),
            "{opened:?}"
        );
        let accepted = if is_closed {
            Accepted::NOTHING
        } else {
            Boot::of_machine().say_open(&Places::of(dir.path())).unwrap();
            let error = Store::repair(dir.path(), &ours()).unwrap_err();
            assert!(matches!(error, RepairError::EndLost { .. }), "{error:?}");
            Accepted::LOST_END
        };
        match Store::repair_with(dir.path(), &ours(), None, (accepted, &|_| true)).unwrap() {
            Repaired::NewJournal { integrity, .. } => assert_eq!(integrity, expect),
            other => panic!("{other:?}"),
        }
    }
}

/// The directory was empty, or everything in it is lost: which components are missing is known from what names them.
#[tokio::test]
async fn a_directory_of_blobs_that_is_gone_is_made_anew_and_the_engine_is_not() {
    let (dir, expect) = longer().await;
    fs::remove_dir_all(dir.path().join("blobs")).unwrap();
    let before = names(dir.path());
    assert!(matches!(Store::repair(dir.path(), &ours()).unwrap(), Repaired::Whole(found) if found == expect));
    let mut after = names(dir.path());
    after.retain(|name| name != "blobs");
    assert_eq!(after, before);
    assert!(dir.path().join("blobs").is_dir());

    fs::remove_dir_all(dir.path().join("blobs")).unwrap();
    drop(Store::open(dir.path(), &ours()).unwrap());
    fs::remove_dir_all(dir.path().join("blobs")).unwrap();
    fs::write(dir.path().join("blobs"), "").unwrap();
    for _ in 0..2 {
        let error = Store::repair(dir.path(), &ours()).unwrap_err();
        assert!(matches!(&error, RepairError::Open(OpenError::Io { .. })), "{error:?}");
        assert!(causes(&error).contains("move away what stands in its place"), "{}", causes(&error));
        let mut after = names(dir.path());
        after.retain(|name| name != "blobs");
        assert_eq!(after, before);
    }
}

/// A journal that was made, and that nobody came to begin with, is not what the next one is taken for.
#[tokio::test]
async fn a_new_journal_that_nobody_began_with_is_moved_aside() {
    let (dir, expect) = longer().await;
    let new = dir.path().join("journal.new");
    copy(&dir.path().join("journal"), &new);
    assert!(matches!(Store::repair(dir.path(), &ours()).unwrap(), Repaired::Whole(found) if found == expect));
    assert!(!new.exists() && dir.path().join("journal-new.broken-1").is_dir());
    copy(&dir.path().join("journal"), &new);
    drop(Store::open(dir.path(), &ours()).unwrap());
    assert!(!new.exists() && dir.path().join("journal-new.broken-2").is_dir());
    // Where the journal is lost, nothing takes its name.
    fs::remove_dir_all(dir.path().join("journal")).unwrap();
    assert!(Store::open(dir.path(), &ours()).is_err() && !dir.path().join("journal").exists());
}

/// What cannot be read or written just now says nothing of what is on disk.
#[test]
fn what_a_disk_that_fails_says_is_told_from_what_is_damaged() {
    let full = || std::io::Error::from(std::io::ErrorKind::StorageFull);
    assert!(RepairError::Open(at(Path::new("x"))(full())).is_of_the_disk());
    assert!(RepairError::Storage(StorageError::from(full())).is_of_the_disk());
    assert!(RepairError::from(crate::integrity::IntegrityError::from(StorageError::from(full()))).is_of_the_disk());
    assert!(!RepairError::Open(at(Path::new("x"))(std::io::ErrorKind::NotFound.into())).is_of_the_disk());
    assert!(!RepairError::OtherStore.is_of_the_disk());
}

/// A lock is a file, and a file can be removed while somebody holds it.
#[tokio::test]
async fn a_directory_is_in_use_also_where_its_lock_was_removed() {
    let (dir, _) = longer().await;
    let store = Store::open(dir.path(), &ours()).unwrap();
    fs::remove_file(dir.path().join("store.lock")).unwrap();
    let error = Store::open(dir.path(), &ours()).map(drop).unwrap_err();
    assert!(matches!(error, OpenError::InUse { .. }), "{error:?}");
    let error = Store::repair(dir.path(), &ours()).unwrap_err();
    assert!(matches!(error, RepairError::Open(OpenError::InUse { .. })), "{error:?}");
    drop(store);
    assert!(matches!(Store::repair(dir.path(), &ours()).unwrap(), Repaired::Whole(_)));
}
