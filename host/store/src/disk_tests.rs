//! A disk that is full, and one that takes nothing.

use std::fs;

use crate::commit::Store;
use crate::disk::Disk;
use crate::error::OpenError;
use crate::fixtures::{meta, ours, put};
use crate::power_cut_tests::{look, write_until_full};
use crate::repair::RepairError;

const DISK_MIB: u64 = 48;
const BALLAST_BYTES: usize = 16 << 20;

#[tokio::test]
async fn a_full_disk_ends_the_store_and_what_was_acknowledged_is_there_when_it_has_room_again() {
    let Some(disk) = Disk::make_or_say_why(DISK_MIB) else { return };
    let (dir, ballast) = (disk.mount.join("data"), disk.mount.join("ballast"));
    drop(Store::create(&dir, ours()).unwrap());
    fs::write(&ballast, vec![7; BALLAST_BYTES]).unwrap();
    // In a process of its own: on a full disk the engine may wait for ever, and for every store of its process.
    let acknowledged = write_until_full(&dir);
    assert!(!acknowledged.is_empty());
    fs::remove_file(&ballast).unwrap();
    let found = look(&dir).await.unwrap();
    let lost: Vec<_> = acknowledged.difference(&found.deeds).collect();
    assert!(lost.is_empty(), "{lost:?} were acknowledged");
}

#[tokio::test]
async fn a_disk_that_takes_nothing_is_no_reason_to_repair() {
    let Some(disk) = Disk::make_or_say_why(DISK_MIB) else { return };
    let dir = disk.mount.join("data");
    let store = Store::create(&dir, ours()).unwrap();
    store.commit(put(1, "before")).await.unwrap();
    drop(store);
    disk.set_writable(false);
    let error = Store::open(&dir, &ours()).map(drop).unwrap_err();
    assert!(matches!(error, OpenError::Io { .. }) && !error.is_repairable(), "{error:?}");
    let error = Store::repair(&dir, &ours()).unwrap_err();
    assert!(matches!(error, RepairError::Open(OpenError::Io { .. })), "{error:?}");
    disk.set_writable(true);
    let store = Store::open(&dir, &ours()).unwrap();
    assert_eq!(store.get(&meta(1)).await.unwrap().unwrap().value, b"before");
}
