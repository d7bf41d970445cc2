//! Damage that opening a store does not see is found behind, and a new base copy leaves it behind; so does a repair.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::backup::BackupError;
use crate::commit::Store;
use crate::error::StorageError;
use crate::fixtures::{hurried, lazy, ours, put};
use crate::repair::Repaired;
use crate::setup::Setup;
use crate::steps::{Step, Steps};

/// A store that does not need the first segments of its journal, and has no base copy but that of its beginning.
async fn with_a_long_journal() -> TempDir {
    let dir = TempDir::new().unwrap();
    let store = Store::create_with(dir.path(), ours(), lazy()).unwrap();
    for n in 0.. {
        if segments(dir.path()).len() > 3 {
            break;
        }
        store.commit(put(n, &"x".repeat(300))).await.unwrap();
    }
    drop(store);
    dir
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    let segments = journal::segments(&dir.join("journal")).unwrap();
    segments.into_iter().map(|segment| segment.path).collect()
}

fn bases(dir: &Path) -> Vec<PathBuf> {
    base::all(&dir.join("base")).unwrap().into_iter().map(|base| base.path).collect()
}

fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    bytes[200] ^= 1;
    fs::write(path, bytes).unwrap();
}

type Damage = fn(&Path);

/// What opening does not see.
const DAMAGES: [(&str, Damage); 6] = [
    ("a byte of the first segment", |dir| flip(&segments(dir)[0])),
    ("a byte of the second", |dir| flip(&segments(dir)[1])),
    ("the first is gone", |dir| fs::remove_file(&segments(dir)[0]).unwrap()),
    ("the second is gone", |dir| fs::remove_file(&segments(dir)[1]).unwrap()),
    ("a byte of the base copy", |dir| flip(&bases(dir)[0])),
    ("the base copy is gone", |dir| fs::remove_file(&bases(dir)[0]).unwrap()),
];

fn back_up(dir: &Path) -> Result<u64, BackupError> {
    let to = TempDir::new().unwrap();
    Store::back_up(dir, to.path()).map(|made| made.version)
}

#[track_caller]
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..6_000 {
        if is_so() {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("{what}: never");
}

#[tokio::test]
async fn a_store_that_is_opened_leaves_behind_what_is_damaged_and_can_be_backed_up_again() {
    for (what, damage) in DAMAGES {
        let dir = with_a_long_journal().await;
        damage(dir.path());
        let refused = back_up(dir.path()).unwrap_err();
        assert!(matches!(refused, BackupError::Parts(_)), "{what}: {refused:?}");
        // It would never make a base copy by itself.
        let store = Store::open_with(dir.path(), &ours(), lazy()).unwrap();
        until(what, || back_up(dir.path()).is_ok());
        until(what, || !store.has_bad_parts());
        store.commit(put(1, "goes on")).await.unwrap();
        assert_eq!(back_up(dir.path()).unwrap(), store.verify_integrity().await.unwrap().version, "{what}");
        // One that is whole makes none.
        drop(store);
        let had = bases(dir.path());
        drop(Store::open_with(dir.path(), &ours(), lazy()).unwrap());
        assert_eq!(bases(dir.path()), had, "{what}");
    }
}

/// Has no room for base copies.
struct NoCopies;

impl Steps for NoCopies {
    fn take(&self, step: Step, act: &mut dyn FnMut() -> Result<(), StorageError>) -> Result<(), StorageError> {
        if step == Step::Page { Err(StorageError::new(&"no room")) } else { act() }
    }
}

#[tokio::test]
async fn where_no_base_copy_can_be_made_the_store_says_so_and_goes_on() {
    let dir = with_a_long_journal().await;
    flip(&segments(dir.path())[0]);
    let setup = Setup { pace: lazy().pace, ..hurried(NoCopies) };
    let store = Store::open_with(dir.path(), &ours(), setup).unwrap();
    until("it is bad", || store.has_bad_parts());
    store.commit(put(1, "goes on")).await.unwrap();
    drop(store);
    assert!(back_up(dir.path()).is_err());
    assert_eq!(bases(dir.path()).len(), 1);
}

#[tokio::test]
async fn a_repair_leaves_behind_what_is_damaged_and_deletes_nothing() {
    for (what, damage) in DAMAGES {
        let dir = with_a_long_journal().await;
        damage(dir.path());
        let had = [segments(dir.path()).len(), bases(dir.path()).len()];
        let repaired = Store::repair(dir.path(), &ours()).unwrap();
        let Repaired::NewJournal { problem, integrity, aside, bases_aside, bad_files, .. } = repaired else {
            panic!("{what}: {repaired:?}")
        };
        assert!(problem.contains("cannot be relied on: ") || problem.starts_with("there is no base copy"), "{problem}");
        assert_eq!((back_up(dir.path()).unwrap(), bad_files.len()), (integrity.version, 0), "{what}");
        let kept = |dir: &Path| fs::read_dir(dir).unwrap().filter(|one| is_kept(one.as_ref().unwrap())).count();
        assert_eq!([kept(&aside), bases_aside.as_deref().map_or(0, kept)], had, "{what}");
        assert_eq!(bases_aside.is_some(), dir.path().join("base.broken-1").exists(), "{what}");
        // And all can be made anew of what there is now.
        fs::remove_dir_all(dir.path().join("store")).unwrap();
        let rebuilt = Store::repair(dir.path(), &ours()).unwrap();
        assert!(matches!(&rebuilt, Repaired::Rebuilt { integrity: found, .. } if *found == integrity), "{rebuilt:?}");
        drop(Store::open(dir.path(), &ours()).unwrap());
        assert!(matches!(Store::repair(dir.path(), &ours()).unwrap(), Repaired::Whole(_)), "{what}");
    }
}

fn is_kept(found: &fs::DirEntry) -> bool {
    found.path().extension().is_some_and(|extension| extension == "journal" || extension == "base")
}

#[tokio::test]
async fn who_is_told_to_stop_says_nothing() {
    let dir = with_a_long_journal().await;
    let places = Places::of(dir.path());
    assert!(look(&places, &ours().key, &|| true).unwrap().is_ok());
    assert!(look(&places, &ours().key, &|| false).is_none());
    flip(&segments(dir.path())[0]);
    assert!(look(&places, &ours().key, &|| true).unwrap().is_err());
    assert!(look(&places, &ours().key, &|| false).is_none());
}
