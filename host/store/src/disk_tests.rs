//! A disk that is full, and one that takes nothing.

use std::collections::BTreeSet;
use std::fs;

use crate::commit::Store;
use crate::disk::Disk;
use crate::error::{CommitError, OpenError};
use crate::fixtures::{batch, body, hurried, log, meta, put};
use crate::repair::{RepairError, Repaired};
use crate::steps::EveryStep;

const DISK_MIB: u64 = 48;

#[tokio::test]
async fn a_full_disk_ends_the_store_and_what_was_acknowledged_is_there_when_it_has_room_again() {
    let Some(disk) = Disk::make_or_say_why(DISK_MIB) else { return };
    let (dir, ballast) = (disk.mount.join("data"), disk.mount.join("ballast"));
    fs::write(&ballast, vec![7; 16 << 20]).unwrap();
    let store = Store::create_with(&dir, log(), hurried(EveryStep)).unwrap();
    let mut acknowledged = BTreeSet::new();
    let error = loop {
        let n = acknowledged.len() as u64;
        let deed = batch(|batch| {
            batch.put.push((meta(n), vec![7; 40_000]));
            batch.entries.push(body(n));
        });
        match store.commit(deed).await {
            Ok(_) => assert!(acknowledged.insert(n)),
            Err(error) => break error,
        }
        assert!(n < 10_000, "the disk has no end");
    };
    assert!(matches!(error, CommitError::Failed(_)), "{error:?}");
    assert!(!acknowledged.is_empty());
    drop(store);
    fs::remove_file(&ballast).unwrap();
    let store = match Store::open(&dir, &log()) {
        Err(error) if error.is_damage() => {
            let repaired = Store::repair(&dir, &log()).unwrap();
            assert!(matches!(repaired, Repaired::Rebuilt { .. }), "{repaired:?}");
            Store::open(&dir, &log()).unwrap()
        }
        opened => opened.unwrap(),
    };
    let integrity = store.verify_integrity().await.unwrap();
    let count = acknowledged.len() as u64;
    assert!((count..=count + 1).contains(&integrity.entries), "{integrity:?}");
    for n in acknowledged {
        assert!(store.get(&meta(n)).await.unwrap().is_some(), "deed {n} is lost");
    }
    store.commit(put(1_000_000, "after")).await.unwrap();
}

#[tokio::test]
async fn a_disk_that_takes_nothing_is_no_reason_to_repair() {
    let Some(disk) = Disk::make_or_say_why(DISK_MIB) else { return };
    let dir = disk.mount.join("data");
    let store = Store::create(&dir, log()).unwrap();
    store.commit(put(1, "before")).await.unwrap();
    drop(store);
    disk.set_writable(false);
    let error = Store::open(&dir, &log()).map(drop).unwrap_err();
    assert!(matches!(error, OpenError::Io { .. }) && !error.is_damage(), "{error:?}");
    let error = Store::repair(&dir, &log()).unwrap_err();
    assert!(matches!(error, RepairError::Open(OpenError::Io { .. })), "{error:?}");
    disk.set_writable(true);
    let store = Store::open(&dir, &log()).unwrap();
    assert_eq!(store.get(&meta(1)).await.unwrap().unwrap().value, b"before");
}
