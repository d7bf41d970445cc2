//! A disk that hangs: what does not need it goes on, and what needs it is not waited for without end.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use crate::base;
use crate::commit::Store;
use crate::error::{CommitError, Failure, OpenError, ReadError};
use crate::fixtures::{HURRIED, Hang, add, batch, body, counter, hurried, meta, ours};
use crate::follower::Pace;
use crate::key::{KeyKind, KeyPrefix};
use crate::places::Places;
use crate::repair::Repaired;
use crate::setup::Setup;
use crate::steps::Step;

/// What changes, adds and deletes something.
async fn deed(store: &Store, n: u64) {
    let deed = batch(|batch| {
        batch.put.push((meta(n), vec![b'x'; 300]));
        batch.put.push((meta(1_000_000), n.to_string().into()));
        batch.delete.extend(n.checked_sub(10).map(meta));
        batch.add.push(add(0, 1, u64::MAX));
        batch.entries.push(body(n));
    });
    store.commit(deed).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_base_copy_whose_writing_hangs_keeps_nobody_waiting() {
    for step in [Step::Page, Step::Base, Step::Trim] {
        let dir = TempDir::new().unwrap();
        let (hang, hanging) = Hang::at(step, Duration::MAX);
        let store = Store::create_with(dir.path(), ours(), hurried(hang)).unwrap();
        // Dropped first, so that a test that fails does not hang.
        let hanging = hanging;
        let mut deeds = 0..;
        while hanging.reached.try_recv().is_err() {
            deed(&store, deeds.next().unwrap()).await;
        }
        // All of these would hang for ever if the copy held anything that they need.
        for _ in 0..40 {
            let n = deeds.next().unwrap();
            deed(&store, n).await;
            assert!(store.get(&meta(n)).await.unwrap().is_some());
            let deleted = n.checked_sub(10).unwrap_or(2_000_000);
            assert!(store.get(&meta(deleted)).await.unwrap().is_none());
            assert_eq!(store.counter(&counter(0)).await.unwrap(), n + 1);
            assert!(!store.scan(&KeyPrefix::kind(KeyKind::Meta), None, 10).await.unwrap().items.is_empty());
        }
        assert!(store.failure().is_none());
        drop(hanging);
        // A copy that was begun before all this and ended after it, and what comes of it.
        let places = Places::of(dir.path());
        let newest = || base::all(&places.base).unwrap().last().unwrap().version;
        while newest() == 0 {
            deed(&store, deeds.next().unwrap()).await;
        }
        // When the next one is there, it was compared: what nobody compared is not kept when the store ends.
        let compared = newest();
        while newest() == compared {
            deed(&store, deeds.next().unwrap()).await;
        }
        let expect = store.verify_integrity().await.unwrap();
        drop(store);
        fs::remove_dir_all(&places.engine).unwrap();
        let repaired = Store::repair(dir.path(), &ours()).unwrap();
        let Repaired::Rebuilt { base, integrity, .. } = repaired else { panic!("{repaired:?}") };
        assert!(base > 0 && integrity == expect, "{step}: {base} {integrity:?} {expect:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_journal_waits_for_an_engine_that_is_too_far_behind() {
    let dir = TempDir::new().unwrap();
    drop(Store::create(dir.path(), ours()).unwrap());
    let (hang, hanging) = Hang::at(Step::Flush, Duration::MAX);
    let pace = Pace { ahead_bytes_max: 1, ..HURRIED };
    let setup = Setup { steps: Arc::new(hang), pace, ..Setup::usual() };
    let store = Arc::new(Store::open_with(dir.path(), &ours(), setup).unwrap());
    deed(&store, 0).await;
    hanging.reached.recv().unwrap();
    let second = {
        let store = Arc::clone(&store);
        tokio::spawn(async move { deed(&store, 1).await })
    };
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!second.is_finished());
    assert_eq!(store.shared.trees.head().unwrap().unwrap().1.version, 1, "the writer did not wait");
    // What is durable is read meanwhile.
    assert_eq!(store.counter(&counter(0)).await.unwrap(), 1);
    drop(hanging);
    second.await.unwrap();
    assert_eq!(store.counter(&counter(0)).await.unwrap(), 2);
}

/// Open a store that somebody in this process may still have.
fn open_when_free(dir: &Path) -> Store {
    loop {
        match Store::open_or_remake(dir, &ours(), None) {
            Err(OpenError::InUse { .. }) => {}
            opened => return opened.unwrap(),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_never_ends_fails_the_store_and_nobody_waits_for_it() {
    for step in Step::ALL.iter().copied().filter(|step| step.is_vital()) {
        let dir = TempDir::new().unwrap();
        let (hang, hanging) = Hang::at(step, Duration::ZERO);
        let store = Store::create_with(dir.path(), ours(), hurried(hang)).unwrap();
        let mut acknowledged = 0;
        // Whoever waits for it is told as well.
        let error = loop {
            let deed = batch(|batch| {
                batch.put.push((meta(acknowledged), vec![b'x'; 300]));
                batch.entries.push(body(acknowledged));
            });
            match store.commit(deed).await {
                Ok(_) => acknowledged += 1,
                Err(error) => break error,
            }
            assert!(acknowledged < 1_000, "{step} is never taken");
        };
        let stalled = |failure: &Failure| matches!(failure, Failure::Stalled { step: found, .. } if *found == step);
        assert!(matches!(&error, CommitError::Failed(failure) if stalled(failure)), "{step}: {error:?}");
        store.has_failed().await;
        assert!(stalled(&*store.failed().await) && stalled(&store.failure().unwrap()));
        let said = store.failed().await.to_string();
        assert_eq!(said, format!("the store hangs: its step `{step}` has not ended in 0 s"));
        let refused = store.commit(batch(|batch| batch.entries.push(body(0)))).await;
        assert!(matches!(refused, Err(CommitError::Failed(_))), "{step}: {refused:?}");
        let read = store.get(&meta(0)).await;
        assert!(matches!(read, Err(ReadError::Failed(_))), "{step}: {read:?}");
        let scanned = store.scan(&KeyPrefix::kind(KeyKind::Meta), None, 10).await;
        assert!(matches!(scanned, Err(ReadError::Failed(_))), "{step}: {scanned:?}");
        // It comes back although a thread hangs, and that thread keeps the directory.
        drop(store);
        if step == Step::Flush {
            let error = Store::open(dir.path(), &ours()).map(drop).unwrap_err();
            assert!(matches!(error, OpenError::InUse { .. }), "{error:?}");
        }
        drop(hanging);
        let store = open_when_free(dir.path());
        for n in 0..acknowledged {
            assert!(store.get(&meta(n)).await.unwrap().is_some(), "{step}: {n} of {acknowledged} is lost");
        }
        store.verify_integrity().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_ends_although_its_base_copy_hangs() {
    let dir = TempDir::new().unwrap();
    let (hang, hanging) = Hang::at(Step::Page, Duration::ZERO);
    let store = Store::create_with(dir.path(), ours(), hurried(hang)).unwrap();
    let mut deeds = 0..;
    while hanging.reached.try_recv().is_err() {
        deed(&store, deeds.next().unwrap()).await;
    }
    drop(store);
    drop(hanging);
    let store = open_when_free(dir.path());
    assert_eq!(store.counter(&counter(0)).await.unwrap(), deeds.start);
    store.verify_integrity().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_does_not_end_when_it_is_closed_says_so_and_is_no_damage() {
    let dir = TempDir::new().unwrap();
    let (hang, hanging) = Hang::at(Step::Flush, Duration::ZERO);
    let store = Store::create_with(dir.path(), ours(), hurried(hang)).unwrap();
    // Whether it is told that this happened is no matter here.
    let _ = store.commit(batch(|batch| batch.put.push((meta(1), b"x".to_vec())))).await;
    hanging.reached.recv().unwrap();
    let error = store.close().map(drop).unwrap_err();
    assert!(matches!(&error, OpenError::Hangs { dir: hangs } if hangs == dir.path()), "{error:?}");
    assert!(!error.is_repairable());
    drop(hanging);
    let store = open_when_free(dir.path());
    assert_eq!(store.get(&meta(1)).await.unwrap().unwrap().value, b"x");
    store.close().unwrap();
}
