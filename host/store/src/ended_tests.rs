//! A decision record is the one that its entry names, in whichever epoch it was decided, wherever somebody writes another.

use std::fs;
use std::path::Path;

use attorn_log::Epoch;
use tempfile::TempDir;

use crate::backup::{BackedUp, BackupError};
use crate::boot::Boot;
use crate::commit::Store;
use crate::error::PartsError;
use crate::fixtures::{decision, forge_parts, forge_parts_beside, new_store, next_epoch, ours, put, record, recorded};
use crate::integrity::Uncompared;
use crate::key::Key;
use crate::parts;
use crate::places::Places;
use crate::records::Record as _;
use crate::redo::Write;
use crate::repair::Repaired;
use crate::trees::{Stored, TreeName, Trees};

/// Decided in an epoch that has ended, and in the one that the log is in.
const ENDED: u64 = 3;
const OF_LOG: u64 = 7;

/// What somebody does to the record of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Forgery {
    Remove,
    /// Put another record there.
    Exchange,
    /// Give it the place of another in the log.
    Header,
    /// Say that it is of a version that never was.
    Ahead,
    /// Make one of a decision that never was, which says that it is of this one's entry.
    MakeUp,
    /// The same, which says that it is in a file that is not there.
    MakeUpFiled,
}

const ALL: [Forgery; 6] =
    [Forgery::Remove, Forgery::Exchange, Forgery::Header, Forgery::Ahead, Forgery::MakeUp, Forgery::MakeUpFiled];

fn key(n: u64) -> Key {
    Key::decision(&decision(n))
}

impl Forgery {
    fn make(self, dir: &Path, n: u64) {
        let trees = Trees::open(&dir.join("store")).unwrap();
        let stored = trees.value(&key(n)).ok().flatten().unwrap();
        let (at, value) = match self {
            Self::Remove => (key(n), None),
            Self::Exchange => (key(n), Some(Stored { value: record(n + 1).encode(), ..stored })),
            Self::Header => {
                let other = trees.value(&key(n + 1)).ok().flatten().unwrap();
                (key(n), Some(Stored { value: stored.value, ..other }))
            }
            Self::Ahead => (key(n), Some(Stored { version: 1 << 40, ..stored })),
            Self::MakeUp => (key(900), Some(Stored { value: record(900).encode(), ..stored })),
            Self::MakeUpFiled => {
                let place = [&[0x80][..], &[0; 15], &[1], &[0; 8], &[9; 32]].concat();
                assert!(crate::filed::Filed::of(&key(900), &place).is_some());
                (key(900), Some(Stored { value: place, ..stored }))
            }
        };
        let value = value.as_ref().map(Stored::to_bytes);
        let (tree, key) = (TreeName::State, at.as_bytes().to_vec());
        trees.apply(&[Write { tree, key, value }]).unwrap();
        trees.flush().unwrap();
    }

    fn expected(self, n: u64) -> String {
        let entry = if n == ENDED { "entry 3 of epoch 1" } else { "entry 3" };
        match self {
            Self::Remove => format!("the record is gone that {entry} names"),
            Self::Exchange => format!("the record `decision/{}` is not the one that {entry} names", decision(n)),
            Self::Header | Self::Ahead => {
                format!("the record `decision/{}` says of itself that it is of other entries than {entry}", decision(n))
            }
            Self::MakeUp | Self::MakeUpFiled => {
                format!("the record `decision/{}` is of no decision: no entry of the log names it", decision(900))
            }
        }
    }
}

/// A closed store, in its second epoch, with five decisions in each.
async fn store() -> TempDir {
    let (_first, old) = new_store();
    for n in 0..5 {
        old.commit(recorded(n)).await.unwrap();
    }
    let dir = TempDir::new().unwrap();
    let store = next_epoch(old, dir.path()).await;
    for n in 5..10 {
        store.commit(recorded(n)).await.unwrap();
    }
    drop(store);
    dir
}

async fn walked(dir: &Path) -> Vec<String> {
    let store = Store::open(dir, &ours()).unwrap();
    let walked = store.walk().await.unwrap();
    assert!(walked.uncompared.is_empty(), "{walked:?}");
    walked.bad_decisions
}

fn backed_up(dir: &Path) -> BackedUp {
    let to = TempDir::new().unwrap();
    Store::back_up(dir, &to.path().join("backup")).unwrap()
}

#[track_caller]
fn is_named(bad: &[String], forgery: Forgery, n: u64) {
    let (expect, files) = (forgery.expected(n), usize::from(forgery == Forgery::MakeUpFiled));
    let named: Vec<_> = bad.iter().filter(|bad| bad.contains(&expect)).collect();
    assert!(named.len() == 1 && bad.len() <= 1 + files, "{forgery:?} {n}: {bad:?}");
}

#[tokio::test]
async fn what_nobody_touched_is_whole() {
    let dir = store().await;
    assert_eq!(walked(dir.path()).await, Vec::<String>::new());
    assert!(matches!(Store::repair(dir.path(), &ours()).unwrap(), Repaired::Whole(_)));
    let made = backed_up(dir.path());
    assert!(made.bad_files.is_empty() && made.bad_named.is_empty(), "{made:?}");
    assert_eq!((made.entries, made.epoch.0), (6, 2));
    assert!(matches!(parts::look(&Places::of(dir.path()), &ours().key, &|| true), Some(Ok(()))));
}

#[tokio::test]
async fn a_record_that_no_entry_names_is_named_wherever_it_stands() {
    for (forgery, n) in ALL.into_iter().flat_map(|forgery| [(forgery, ENDED), (forgery, OF_LOG)]) {
        let dir = store().await;
        forgery.make(dir.path(), n);
        forge_parts(dir.path());
        is_named(&walked(dir.path()).await, forgery, n);
        match Store::repair(dir.path(), &ours()).unwrap() {
            Repaired::BadFiles { bad_files, .. } => is_named(&bad_files, forgery, n),
            other => panic!("{forgery:?} {n}: {other:?}"),
        }
        is_named(&backed_up(dir.path()).bad_files, forgery, n);
    }
}

#[tokio::test]
async fn where_base_copy_and_journal_have_the_right_record_a_repair_has_it_again() {
    for (forgery, n) in ALL.into_iter().flat_map(|forgery| [(forgery, ENDED), (forgery, OF_LOG)]) {
        let dir = store().await;
        forgery.make(dir.path(), n);
        is_named(&walked(dir.path()).await, forgery, n);
        match Store::repair(dir.path(), &ours()).unwrap() {
            Repaired::Rebuilt { problem, bad_files, .. } => {
                assert!(problem.contains(&forgery.expected(n)) && bad_files.is_empty(), "{problem} {bad_files:?}");
            }
            other => panic!("{forgery:?} {n}: {other:?}"),
        }
        assert_eq!(walked(dir.path()).await, Vec::<String>::new());
        assert!(matches!(Store::repair(dir.path(), &ours()).unwrap(), Repaired::Whole(_)));
    }
}

#[tokio::test]
async fn where_the_database_has_the_right_record_base_copy_and_journal_are_begun_anew() {
    for (forgery, n) in ALL.into_iter().flat_map(|forgery| [(forgery, ENDED), (forgery, OF_LOG)]) {
        let dir = store().await;
        forge_parts_beside(dir.path(), |dir| forgery.make(dir, n));
        // A server sees it of the epoch that it is in, of which base copy and journal have the entries.
        let looked = parts::look(&Places::of(dir.path()), &ours().key, &|| true).unwrap();
        match looked {
            Err(PartsError::Records(bad)) if n == OF_LOG => is_named(&[bad], forgery, n),
            looked => assert_eq!(n, ENDED, "{forgery:?}: {looked:?}"),
        }
        let scratch = TempDir::new().unwrap();
        let looked = Store::look(dir.path(), &ours(), None, scratch.path()).unwrap();
        assert_eq!(looked.bad, Vec::<String>::new(), "{forgery:?} {n}");
        is_named(&looked.bad_decisions, forgery, n);
        drop(looked);
        is_named(&backed_up(dir.path()).bad_files, forgery, n);
        let repaired = Store::repair(dir.path(), &ours()).unwrap();
        assert!(matches!(repaired, Repaired::NewJournal { .. }), "{forgery:?} {n}: {repaired:?}");
        assert!(backed_up(dir.path()).bad_files.is_empty());
        assert!(matches!(Store::repair(dir.path(), &ours()).unwrap(), Repaired::Whole(_)));
    }
}

#[tokio::test]
async fn a_row_that_is_none_makes_no_backup() {
    let dir = store().await;
    forge_parts_beside(dir.path(), |dir| {
        let trees = Trees::open(&dir.join("store")).unwrap();
        let (tree, key) = (TreeName::State, key(900).as_bytes().to_vec());
        trees.apply(&[Write { tree, key, value: Some(vec![1, 2, 3]) }]).unwrap();
        trees.flush().unwrap();
    });
    let to = TempDir::new().unwrap();
    match Store::back_up(dir.path(), &to.path().join("backup")).unwrap_err() {
        BackupError::Parts(PartsError::Records(bad)) => assert!(bad.contains("is invalid"), "{bad}"),
        error => panic!("{error:?}"),
    }
    assert!(matches!(Store::repair(dir.path(), &ours()).unwrap(), Repaired::NewJournal { .. }));
}

#[tokio::test]
async fn of_an_epoch_whose_export_is_not_what_was_signed_no_record_is_named_and_that_is_said() {
    for damage in [None, Some(&b"x\n"[..])] {
        let dir = store().await;
        let path = dir.path().join("epochs/1.export");
        match damage {
            None => fs::remove_file(&path).unwrap(),
            Some(more) => fs::write(&path, [&fs::read(&path).unwrap(), more].concat()).unwrap(),
        }
        Forgery::Exchange.make(dir.path(), OF_LOG);
        let store = Store::open(dir.path(), &ours()).unwrap();
        let walked = store.walk().await.unwrap();
        is_named(&walked.bad_decisions, Forgery::Exchange, OF_LOG);
        let [Uncompared { epoch: Epoch(1), why, is_missing }] = &walked.uncompared[..] else { panic!("{walked:?}") };
        assert!(why.contains("decisions of epoch 1 can be compared with no entries"), "{walked:?}");
        assert_eq!(*is_missing, damage.is_none());
        drop(store);
        assert_eq!(backed_up(dir.path()).bad_named.exports.len(), 1);
    }
}

/// Nobody waits at a start for all that was ever decided.
#[tokio::test]
async fn a_start_that_makes_the_database_anew_reads_no_epoch_that_has_ended() {
    let dir = store().await;
    fs::remove_file(dir.path().join("epochs/1.export")).unwrap();
    Boot::named("another").say_open(&Places::of(dir.path())).unwrap();
    let store = Store::open_or_remake(dir.path(), &ours(), None).unwrap();
    store.commit(put(1, "goes on")).await.unwrap();
}
