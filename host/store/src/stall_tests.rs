//! A disk that hangs: what does not need it goes on.

use std::fs;
use std::sync::Arc;

use tempfile::TempDir;

use crate::base;
use crate::commit::Store;
use crate::fixtures::{HURRIED, Hang, add, batch, body, counter, hurried, log, meta};
use crate::follower::Pace;
use crate::key::{KeyKind, KeyPrefix};
use crate::open::Setup;
use crate::places::Places;
use crate::repair::Repaired;
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
        let (hang, hanging) = Hang::at(step);
        let store = Store::create_with(dir.path(), log(), hurried(hang)).unwrap();
        let mut deeds = 0..;
        while hanging.reached.try_recv().is_err() {
            deed(&store, deeds.next().unwrap()).await;
        }
        // All of these would hang for ever if the copy held anything that they need.
        for _ in 0..40 {
            let n = deeds.next().unwrap();
            deed(&store, n).await;
            assert!(store.get(&meta(n)).await.unwrap().is_some());
            assert!(store.get(&meta(n - 10)).await.unwrap().is_none());
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
        let expect = store.verify_integrity().await.unwrap();
        drop(store);
        fs::remove_dir_all(&places.engine).unwrap();
        let repaired = Store::repair(dir.path(), &log()).unwrap();
        let Repaired::Rebuilt { base, integrity, .. } = repaired else { panic!("{repaired:?}") };
        assert!(base > 0 && integrity == expect, "{step}: {base} {integrity:?} {expect:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_journal_waits_for_an_engine_that_is_too_far_behind() {
    let dir = TempDir::new().unwrap();
    drop(Store::create(dir.path(), log()).unwrap());
    let (hang, hanging) = Hang::at(Step::Flush);
    let pace = Pace { ahead_bytes_max: 1, ..HURRIED };
    let setup = Setup { steps: Arc::new(hang), pace };
    let store = Arc::new(Store::open_with(dir.path(), &log(), setup).unwrap());
    deed(&store, 0).await;
    hanging.reached.recv().unwrap();
    let second = {
        let store = Arc::clone(&store);
        tokio::spawn(async move { deed(&store, 1).await })
    };
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    assert!(!second.is_finished());
    assert_eq!(store.shared.trees.head().unwrap().unwrap().1.version, 1, "the writer did not wait");
    // What is durable is read meanwhile.
    assert_eq!(store.counter(&counter(0)).await.unwrap(), 1);
    drop(hanging);
    second.await.unwrap();
    assert_eq!(store.counter(&counter(0)).await.unwrap(), 2);
}
