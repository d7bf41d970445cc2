//! A machine that stopped while a store was open, and a repair that is cut off: neither is taken for anything else.

use std::fs;

use tempfile::TempDir;

use super::tests::{check, filled, passed_damage, rebuilt};
use super::*;
use crate::boot::LastUse;
use crate::fixtures::{copy, hurried, meta, ours, ours_of, put, unlocked};
use crate::places::FORMAT;
use crate::steps::{Step, Steps};

/// Leave a store as the machine does that stops while it is open.
fn cut_off(dir: &Path) {
    Boot::named("another").say_open(&Places::of(dir)).unwrap();
}

fn names(dir: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let mut names: Vec<_> = fs::read_dir(dir).unwrap().map(name).collect();
    names.sort();
    names
}

#[tokio::test]
async fn an_engine_that_was_in_use_when_the_machine_stopped_is_made_anew_by_itself_and_said() {
    let (dir, expect) = filled().await;
    // It opens, and lacks something that nothing tells of.
    let db = unlocked(&dir.path().join("store"));
    db.open_tree("state").unwrap().remove(meta(140).as_bytes()).unwrap();
    drop(db);
    for number in 1..=2 {
        cut_off(dir.path());
        let error = Store::open(dir.path(), &ours()).map(drop).unwrap_err();
        assert!(matches!(error, OpenError::CutOff { .. }) && error.is_repairable(), "{error:?}");
        let store = Store::open_or_remake(dir.path(), &ours(), None).unwrap();
        assert_eq!(store.verify_integrity().await.unwrap(), expect);
        let remade = store.remade().unwrap();
        let one = Remade::new(Part::Store, false, "the machine stopped while it was open", &expect);
        assert_eq!(remade, vec![one; number]);
        drop(store);
    }
    assert!(dir.path().join("store.cut-off/db").exists());
    assert!(!names(dir.path()).iter().any(|name| name.starts_with("store.broken") || name == "store.new"));
    // It is said once, and closed after that.
    let store = Store::open(dir.path(), &ours()).unwrap();
    store.remade_is_said().unwrap();
    store.remade_is_said().unwrap();
    assert_eq!(store.remade().unwrap(), []);
    drop(store);
    drop(Store::open_or_remake(dir.path(), &ours(), None).unwrap());
    check(dir.path(), expect).await;
}

/// The engine's file cannot be synced.
struct NoSync;

impl Steps for NoSync {
    fn take(&self, step: Step, act: &mut dyn FnMut() -> Result<(), StorageError>) -> Result<(), StorageError> {
        if step == Step::EngineSync { Err(StorageError::new(&"broken by the test")) } else { act() }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_failed_sync_lost_is_made_anew_although_the_machine_did_not_stop() {
    let dir = TempDir::new().unwrap();
    let store = Store::create_with(dir.path(), ours(), hurried(NoSync)).unwrap();
    // In the journal, whatever is answered.
    let _ = store.commit(put(1, "revoked")).await;
    store.failed().await;
    drop(store);
    // What the kernel called clean, and never wrote.
    let db = unlocked(&dir.path().join("store"));
    db.open_tree("state").unwrap().remove(meta(1).as_bytes()).unwrap();
    drop(db);
    let error = Store::open(dir.path(), &ours()).map(drop).unwrap_err();
    assert!(matches!(error, OpenError::CutOff { by: CutOffBy::Failure, .. }), "{error:?}");
    let store = Store::open_or_remake(dir.path(), &ours(), None).unwrap();
    assert_eq!(store.get(&meta(1)).await.unwrap().unwrap().value, b"revoked");
    assert_eq!(store.remade().unwrap()[0].problem, "the store failed while it was open");
    drop(store);
    assert_eq!(Boot::of_machine().last_use(&Places::of(dir.path())).unwrap(), LastUse::Closed);
}

#[tokio::test]
async fn what_is_not_a_stop_of_the_machine_alone_is_left_to_somebody() {
    let (dir, expect) = filled().await;
    let refused = |dir: &Path, seen| {
        let before = names(dir);
        let error = Store::open_or_remake(dir, &ours(), seen).map(drop).unwrap_err();
        assert_eq!(names(dir), before);
        error
    };
    // Somebody has seen more.
    cut_off(dir.path());
    let seen = Seen { epoch: Epoch(1), size: expect.entries + 1 };
    let error = refused(dir.path(), Some(seen));
    let OpenError::NotRemade { error, .. } = &error else { panic!("{error:?}") };
    let made = Seen { size: expect.entries, ..seen };
    assert!(matches!(&**error, RepairError::Behind { made: had, seen: was } if (*had, *was) == (made, seen)));
    // However little of a later epoch.
    let later = Seen { epoch: Epoch(2), size: 1 };
    let error = refused(dir.path(), Some(later));
    let OpenError::NotRemade { error, .. } = &error else { panic!("{error:?}") };
    assert!(matches!(&**error, RepairError::Behind { seen, .. } if *seen == later));
    // As much, or more of an earlier epoch.
    for seen in [made, Seen { epoch: Epoch(0), ..seen }] {
        cut_off(dir.path());
        drop(Store::open_or_remake(dir.path(), &ours(), Some(seen)).unwrap());
    }
    // Another log.
    cut_off(dir.path());
    let error = Store::open_or_remake(dir.path(), &ours_of("other"), None).map(drop).unwrap_err();
    assert!(matches!(error, OpenError::OtherLog { .. }), "{error:?}");
    // The journal is torn in the middle, or no base copy can be read.
    for part in ["journal", "base"] {
        let image = TempDir::new().unwrap();
        copy(dir.path(), image.path());
        for file in names(&image.path().join(part)) {
            let path = image.path().join(part).join(file);
            let mut bytes = fs::read(&path).unwrap();
            bytes[100] ^= 1;
            fs::write(path, bytes).unwrap();
        }
        let error = refused(image.path(), None);
        let OpenError::NotRemade { error, .. } = &error else { panic!("{part}: {error:?}") };
        assert!(matches!(&**error, RepairError::Parts(_)), "{part}: {error:?}");
    }
    // The engine is damaged, and the machine did not stop.
    fs::remove_dir_all(dir.path().join("store")).unwrap();
    drop(Store::repair(dir.path(), &ours()).unwrap());
    for closed in [true, false] {
        fs::remove_dir_all(dir.path().join("store")).unwrap();
        let boot = Boot::of_machine();
        let places = Places::of(dir.path());
        if closed {
            boot.say_closed(&places).unwrap();
        } else {
            boot.say_open(&places).unwrap();
        }
        let error = refused(dir.path(), None);
        assert!(matches!(error, OpenError::NoEngine { .. }), "{error:?}");
        // And is not taken for a stop of the machine afterwards.
        let expect = if closed { LastUse::Closed } else { LastUse::ThisBoot };
        assert_eq!(boot.last_use(&places).unwrap(), expect);
        rebuilt(dir.path());
    }
}

/// A machine that stopped, and a sector that went bad: what the engine lost shows nowhere, and nobody can say what it is.
#[tokio::test]
async fn an_engine_that_may_have_lost_a_revocation_serves_nobody_whoever_asks_for_a_repair() {
    for part in ["journal", "base"] {
        // With the damage where the engine has passed, a new journal would be begun if it had been closed.
        let (dir, _) = if part == "journal" { passed_damage().await } else { filled().await };
        let dir = dir.path();
        if part == "base" {
            for base in crate::base::all(&dir.join("base")).unwrap() {
                fs::write(base.path, [7; 1_000]).unwrap();
            }
        }
        let db = unlocked(&dir.join("store"));
        db.open_tree("state").unwrap().remove(meta(140).as_bytes()).unwrap().unwrap();
        drop(db);
        cut_off(dir);
        let places = Places::of(dir);
        let (before, boot) = (names(dir), fs::read(&places.boot).unwrap());
        for _ in 0..2 {
            let error = Store::repair(dir, &ours()).unwrap_err();
            let RepairError::Open(open @ OpenError::NotRemade { error, .. }) = &error else {
                panic!("{part}: {error:?}")
            };
            assert!(matches!(**error, RepairError::Parts(_)) && !open.is_repairable(), "{part}: {error:?}");
            assert_eq!((names(dir), fs::read(&places.boot).unwrap()), (before.clone(), boot.clone()), "{part}");
            let error = Store::open(dir, &ours()).map(drop).unwrap_err();
            assert!(matches!(error, OpenError::CutOff { .. }), "{part}: {error:?}");
            let error = Store::open_or_remake(dir, &ours(), None).map(drop).unwrap_err();
            assert!(matches!(error, OpenError::NotRemade { .. }), "{part}: {error:?}");
        }
    }
}

#[tokio::test]
async fn a_repair_that_is_cut_off_anywhere_loses_nothing_and_is_ended_by_the_next() {
    let cut_after = |dir: &Path, stage: Stage| {
        let places = Places::of(dir);
        let boot = Boot::of_machine();
        let after = |done: Stage| if done == stage { Err(RepairError::CutOff) } else { Ok(()) };
        let (after, ours): (&dyn Fn(Stage) -> _, _) = (&after, ours());
        let repair = Repair { after, ..Repair::of(&places, &ours, &boot) };
        let error = match repair.by_hand(FORMAT).unwrap_err() {
            RepairError::Open(OpenError::NotRemade { error, .. }) => *error,
            error => error,
        };
        assert!(matches!(error, RepairError::CutOff), "{stage:?}: {error:?}");
    };
    for stage in [Stage::EngineBuilt, Stage::EngineNoted, Stage::EngineAside, Stage::EngineInPlace] {
        for stopped in [false, true] {
            let (dir, expect) = filled().await;
            fs::write(dir.path().join("store/db"), [7; 5_000]).unwrap();
            if stopped {
                cut_off(dir.path());
            }
            cut_after(dir.path(), stage);
            Store::repair(dir.path(), &ours()).unwrap();
            assert!(dir.path().join("store.broken-1/db").exists(), "{stage:?}");
            let store = Store::open(dir.path(), &ours()).unwrap();
            assert!(!store.remade().unwrap().is_empty());
            drop(store);
            check(dir.path(), expect).await;
        }
    }
    for stage in [
        Stage::BaseMade,
        Stage::JournalMade,
        Stage::JournalNoted,
        Stage::JournalAside,
        Stage::JournalInPlace,
        Stage::BasesAside,
    ] {
        let (dir, expect) = passed_damage().await;
        let mut old = names(&dir.path().join("journal"));
        // A segment that was made ready is nothing yet.
        old.retain(|name| name != "next.new");
        cut_after(dir.path(), stage);
        // Either the old journal is where it was, or opening goes on.
        let opened = Store::open(dir.path(), &ours()).map(drop);
        let replaced = matches!(stage, Stage::JournalAside | Stage::JournalInPlace | Stage::BasesAside);
        assert_eq!(opened.is_ok(), replaced, "{stage:?}: {opened:?}");
        Store::repair(dir.path(), &ours()).unwrap();
        let aside = names(&dir.path().join("journal.broken-1"));
        assert!(old.iter().all(|segment| aside.contains(segment)), "{stage:?}: {aside:?}");
        let store = Store::open(dir.path(), &ours()).unwrap();
        assert_eq!(store.verify_integrity().await.unwrap(), expect, "{stage:?}");
        assert!(store.remade().unwrap().iter().any(|remade| remade.part == Part::Journal && remade.by_hand));
        store.commit(put(7_000, "after")).await.unwrap();
        let expect = store.verify_integrity().await.unwrap();
        drop(store);
        fs::remove_dir_all(dir.path().join("store")).unwrap();
        assert_eq!(rebuilt(dir.path()).1, expect, "{stage:?}");
    }
}
