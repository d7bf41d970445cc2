//! A directory that is a link is named, and nothing is opened, copied or mended through it.

use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;
use crate::commit::Store;
use crate::error::OpenError;
use crate::fixtures::{new_store, ours, put};

/// Put a link to a directory in the place of this one.
fn linked(dir: &Path, part: &str, elsewhere: &Path) {
    fs::rename(dir.join(part), elsewhere).unwrap();
    symlink(elsewhere, dir.join(part)).unwrap();
}

#[tokio::test]
async fn nothing_works_through_a_directory_that_is_a_link() {
    for part in
        ["store", "journal", "base", "blobs", "log", "log/1", "log/1/tile/entries", "records/1", "epochs", "index"]
    {
        let (dir, store) = new_store();
        store.commit(put(1, "value")).await.unwrap();
        drop(store);
        fs::create_dir_all(dir.path().join(part)).unwrap();
        let elsewhere = TempDir::new().unwrap();
        linked(dir.path(), part, &elsewhere.path().join("moved"));
        let due = dir.path().join(part);
        let refused = |outcome: Result<(), OpenError>, what: &str| match outcome {
            Err(OpenError::Linked { path }) => assert_eq!(path, due, "{what}"),
            other => panic!("{what} {part}: {other:?}"),
        };
        refused(Store::open(dir.path(), &ours()).map(drop), "open");
        refused(Store::open_or_remake(dir.path(), &ours(), None).map(drop), "open or remake");
        let look = Store::look(dir.path(), &ours(), None, &elsewhere.path().join("scratch")).map(drop);
        assert!(look.unwrap_err().to_string().contains("is a link"), "{part}");
        let repair = Store::repair(dir.path(), &ours()).map(drop);
        assert!(repair.unwrap_err().to_string().contains("is a link"), "{part}");
        let backup = Store::back_up(dir.path(), &elsewhere.path().join("backup")).map(drop);
        assert!(backup.unwrap_err().to_string().contains("is a link"), "{part}");
        assert!(!elsewhere.path().join("backup").exists());
        // Where the directory itself is there again, so is the store.
        fs::remove_file(&due).unwrap();
        fs::rename(elsewhere.path().join("moved"), &due).unwrap();
        drop(Store::open(dir.path(), &ours()).unwrap());
    }
}

#[tokio::test]
async fn the_whole_directory_may_be_behind_a_link_and_a_backup_with_links_in_it_may_not() {
    let (dir, store) = new_store();
    store.commit(put(1, "value")).await.unwrap();
    drop(store);
    let home = TempDir::new().unwrap();
    symlink(dir.path(), home.path().join("data")).unwrap();
    drop(Store::open(&home.path().join("data"), &ours()).unwrap());
    let backup = home.path().join("backup");
    Store::back_up(dir.path(), &backup).unwrap();
    linked(&backup, "journal", &home.path().join("moved"));
    let refused = Store::unpack(&backup, &home.path().join("restored"), &ours()).map(drop).unwrap_err();
    assert!(refused.to_string().contains("is a link"), "{refused}");
    assert!(!home.path().join("restored/store.format").exists());
}
