//! Base copy and journal are older than what there was: nothing shorter takes the place of anything.

use std::fs;

use tempfile::TempDir;

use super::tests::{fill, filled, rebuilt};
use super::*;
use crate::LookError;
use crate::base::{self, BaseWriter};
use crate::error::PartsError;
use crate::fixtures::{copy, lazy, meta, ours, unlocked};
use crate::frame::StoreId;
use crate::trees::Trees;

/// A closed store with more than one segment after the newest base copy, and what it holds.
pub(super) async fn longer() -> (TempDir, Integrity) {
    let (dir, _) = filled().await;
    let store = Store::open_with(dir.path(), &ours(), lazy()).unwrap();
    fill(&store, 1_000).await;
    let integrity = store.verify_integrity().await.unwrap();
    drop(store);
    (dir, integrity)
}

/// Take the end of the journal away, or all of it. Headers and checks of what is left fit.
pub(super) fn cut_journal(dir: &Path, all: bool) {
    let segments = crate::journal::segments(&dir.join("journal")).unwrap();
    let cut = if all { &segments[..] } else { &segments[segments.len() - 1..] };
    for segment in cut {
        fs::remove_file(&segment.path).unwrap();
    }
}

pub(super) fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = entries.collect();
    names.sort();
    names
}

/// A repair begins a new journal with an engine that was cut off and has more, where somebody answers for it.
#[track_caller]
fn begun_with_by_whoever_answers_for_it(dir: &Path, seen: Option<Seen>, expect: Integrity) {
    let before = names(dir);
    let error = Store::repair_with(dir, &ours(), seen, (Accepted::NOTHING, &|_| true)).unwrap_err();
    let RepairError::Open(OpenError::NotRemade { error, .. }) = error else { panic!("{error:?}") };
    assert!(matches!(*error, RepairError::EndLost { version, .. } if version == expect.version), "{error:?}");
    assert_eq!(names(dir), before);
    match Store::repair_with(dir, &ours(), seen, (Accepted::LOST_END, &|_| true)).unwrap() {
        Repaired::NewJournal { integrity, lost_end: LostEnd::Accepted, .. } => assert_eq!(integrity, expect),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_the_engine_has_beyond_a_journal_that_was_cut_is_not_lost() {
    for all in [false, true] {
        let (dir, expect) = longer().await;
        cut_journal(dir.path(), all);
        let error = Store::open(dir.path(), &ours()).map(drop).unwrap_err();
        let is_behind = matches!(&error, OpenError::Journal(JournalError::Behind { .. }));
        assert!(is_behind || all && matches!(&error, OpenError::Journal(JournalError::Missing { .. })), "{error:?}");
        // A backup is made of base copy and journal alone: it has what they have, and where nothing is left there is none.
        let made = Store::back_up(dir.path(), &dir.path().with_extension("backup"));
        assert_eq!(made.map(|made| made.entries < expect.entries).ok(), (!all).then_some(true));
        let _ = fs::remove_dir_all(dir.path().with_extension("backup"));
        let repaired = Store::repair(dir.path(), &ours()).unwrap();
        let Repaired::NewJournal { integrity, problem, .. } = &repaired else { panic!("{repaired:?}") };
        assert!(*integrity == expect && problem.contains("the journal in `"), "{repaired:?}");
        assert!(matches!(Store::repair(dir.path(), &ours()).unwrap(), Repaired::Whole(_)));
        fs::remove_dir_all(dir.path().join("store")).unwrap();
        assert_eq!(rebuilt(dir.path()).1, expect);
    }
}

#[tokio::test]
async fn an_engine_that_is_ahead_and_not_ours_is_begun_with_by_nobody() {
    let (dir, _) = longer().await;
    cut_journal(dir.path(), false);
    let db = sled::Config::new().path(dir.path().join("store")).open().unwrap();
    db.open_tree("state").unwrap().remove(meta(1_140).as_bytes()).unwrap().unwrap();
    drop(db);
    let before = names(dir.path());
    let error = Store::repair(dir.path(), &ours()).unwrap_err();
    assert!(matches!(error, RepairError::Parts(PartsError::Journal(JournalError::Behind { .. }))), "{error:?}");
    assert_eq!(names(dir.path()), before);
}

/// Somebody cuts the journal short and has the store count as cut off, so that what is shorter would take its place.
#[tokio::test]
async fn nothing_shorter_than_was_seen_takes_the_place_of_a_store_that_counts_as_cut_off() {
    let repair = |dir: &Path, seen| Store::repair_with(dir, &ours(), seen, (Accepted::NOTHING, &|_| true));
    for is_ours in [true, false] {
        let (dir, expect) = longer().await;
        cut_journal(dir.path(), false);
        fs::remove_file(dir.path().join("store.boot")).unwrap();
        if !is_ours {
            let db = sled::Config::new().path(dir.path().join("store")).open().unwrap();
            db.open_tree("state").unwrap().remove(meta(1_140).as_bytes()).unwrap().unwrap();
        }
        let (seen, before) = (Some(Seen { epoch: Epoch(1), size: expect.entries }), names(dir.path()));
        let scratch = TempDir::new().unwrap();
        let looked = Store::look(dir.path(), &ours(), seen, scratch.path()).map(drop).unwrap_err();
        let LookError::Open(OpenError::NotRemade { error, .. }) = looked else { panic!("{looked:?}") };
        assert!(matches!(*error, RepairError::Behind { .. }), "{error:?}");
        if is_ours {
            // Nobody has seen that much of the engine either.
            let more = seen.map(|seen| Seen { size: seen.size + 1, ..seen });
            let error = Store::repair_with(dir.path(), &ours(), more, (Accepted::LOST_END, &|_| true)).unwrap_err();
            let RepairError::Open(OpenError::NotRemade { error, .. }) = error else { panic!("{error:?}") };
            assert!(matches!(*error, RepairError::Behind { .. }), "{error:?}");
            assert_eq!(names(dir.path()), before);
            begun_with_by_whoever_answers_for_it(dir.path(), seen, expect);
            assert!(matches!(repair(dir.path(), seen).unwrap(), Repaired::Whole(_)));
        } else {
            let error = repair(dir.path(), seen).unwrap_err();
            let RepairError::Open(OpenError::NotRemade { error, .. }) = error else { panic!("{error:?}") };
            assert!(matches!(*error, RepairError::Behind { .. }), "{error:?}");
            assert_eq!(names(dir.path()), before);
        }
    }
}

/// Base copy and journal are put back to older ones, nothing says how long the log was, and the store counts as cut off.
#[tokio::test]
async fn an_engine_that_has_more_than_base_copy_and_journal_is_replaced_by_nothing_shorter() {
    for is_ours in [true, false] {
        let (dir, expect) = longer().await;
        cut_journal(dir.path(), false);
        if !is_ours {
            let db = unlocked(&dir.path().join("store"));
            db.open_tree("state").unwrap().remove(meta(1_140).as_bytes()).unwrap().unwrap();
        }
        fs::remove_file(dir.path().join("store.boot")).unwrap();
        let before = names(dir.path());
        let started = Store::open_or_remake(dir.path(), &ours(), None).map(drop);
        if is_ours {
            let error = started.unwrap_err();
            let OpenError::NotRemade { error: why, .. } = &error else { panic!("{error:?}") };
            let RepairError::EngineAhead { version, engine } = **why else { panic!("{why:?}") };
            assert!(
                version < engine && engine == expect.version && error.is_repairable() && error.is_altered(),
                "{why}"
            );
            assert_eq!(names(dir.path()), before);
            begun_with_by_whoever_answers_for_it(dir.path(), None, expect);
            drop(Store::open(dir.path(), &ours()).unwrap());
        } else {
            // Of what somebody else wrote nobody knows how far it should come.
            started.unwrap();
            assert!(dir.path().join("store.cut-off").exists());
        }
    }
}

/// The same, where nothing but the file that names the format is wrong with it.
#[tokio::test]
async fn a_format_that_is_missing_or_forged_makes_nothing_shorter_take_its_place() {
    for forged in [None, Some("attorn-store 1\n")] {
        let (dir, expect) = longer().await;
        cut_journal(dir.path(), false);
        let marker = dir.path().join("store.format");
        match forged {
            None => fs::remove_file(&marker).unwrap(),
            Some(text) => fs::write(&marker, text).unwrap(),
        }
        match Store::repair(dir.path(), &ours()).unwrap() {
            Repaired::NewJournal { integrity, .. } => assert_eq!(integrity, expect),
            other => panic!("{other:?}"),
        }
        drop(Store::open(dir.path(), &ours()).unwrap());
    }
}

/// Somebody holds the engine's files, so that it cannot be asked how far it comes.
#[tokio::test]
async fn an_engine_that_cannot_be_asked_just_now_is_replaced_by_nothing() {
    let (dir, expect) = longer().await;
    cut_journal(dir.path(), false);
    fs::remove_file(dir.path().join("store.boot")).unwrap();
    let held = fs::File::open(dir.path().join("store/db")).unwrap();
    rustix::fs::flock(&held, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let before = names(dir.path());
    let error = Store::open_or_remake(dir.path(), &ours(), None).map(drop).unwrap_err();
    let OpenError::NotRemade { error, .. } = error else { panic!("{error:?}") };
    assert!(matches!(*error, RepairError::EngineUnread(_)), "{error:?}");
    let error = Store::repair(dir.path(), &ours()).unwrap_err();
    let RepairError::Open(OpenError::NotRemade { error, .. }) = error else { panic!("{error:?}") };
    assert!(matches!(*error, RepairError::EngineUnread(_)), "{error:?}");
    assert_eq!(names(dir.path()), before);
    drop(held);
    begun_with_by_whoever_answers_for_it(dir.path(), None, expect);
}

/// The database of before a restore is put beside base copy and journal of after it.
#[tokio::test]
async fn the_engine_of_before_a_new_epoch_is_not_gone_on_with() {
    let ((old, _), new) = (longer().await, TempDir::new().unwrap());
    let store = Store::open(old.path(), &ours()).unwrap();
    let begun = store.begin_epoch(&new.path().join("data"), Epoch(2)).unwrap();
    let (expect, dir) = (begun.verify_integrity().await.unwrap(), new.path().join("data"));
    drop((begun, store));
    fs::remove_dir_all(dir.join("store")).unwrap();
    copy(&old.path().join("store"), &dir.join("store"));
    // It has more batches than the new one, whatever those are.
    fs::remove_file(dir.join("store.boot")).unwrap();
    match Store::repair(&dir, &ours()).unwrap() {
        Repaired::Rebuilt { integrity, .. } => assert_eq!(integrity, expect),
        other => panic!("{other:?}"),
    }
}

/// What stands in the place of the newest base copy is none, and an older one is all that can be read.
#[tokio::test]
async fn what_is_no_base_copy_is_named_wherever_an_older_one_is_whole() {
    let (dir, expect) = longer().await;
    let (name, to) = ("09999999999999999999.base", dir.path().with_extension("backup"));
    let path = dir.path().join("base").join(name);
    fs::write(&path, "none").unwrap();
    let made = Store::back_up(dir.path(), &to).unwrap();
    assert!(made.bad_files.iter().any(|bad| bad.contains(name)), "{made:?}");
    fs::remove_dir_all(to).unwrap();
    let scratch = TempDir::new().unwrap();
    let looked = Store::look(dir.path(), &ours(), None, scratch.path()).unwrap();
    assert!(looked.bad.len() == 1 && looked.bad[0].contains(name), "{:?}", looked.bad);
    drop(looked);
    let repaired = Store::repair(dir.path(), &ours()).unwrap();
    let Repaired::NewJournal { problem, integrity, .. } = repaired else { panic!("{repaired:?}") };
    assert!(problem.contains(name) && integrity == expect, "{problem}");
    assert!(!path.exists() && dir.path().join("base.broken-1").join(name).exists());
    assert!(matches!(Store::repair(dir.path(), &ours()).unwrap(), Repaired::Whole(_)));
}

/// Write a base copy that is read, and is newer than all others, of what somebody made up.
fn forge_base(dir: &Path, has_something: bool) {
    let mut writer = BaseWriter::begin(&dir.join("base"), StoreId([9; 16]), 9_999_999).unwrap();
    let trees = Trees::open(&dir.join("forged")).unwrap();
    if has_something {
        trees.apply(&[crate::trees::store_id_write(StoreId([9; 16]))]).unwrap();
    }
    while let Some(page) = writer.read(&trees).unwrap() {
        writer.write(page).unwrap();
    }
    writer.finish().unwrap().put_in_place().unwrap();
    drop(trees);
    fs::remove_dir_all(dir.join("forged")).unwrap();
}

/// The same, and the newest base copy is of another store, as whoever may write there can have it.
#[tokio::test]
async fn a_base_copy_of_another_store_hides_no_engine_that_has_more() {
    let (dir, expect) = longer().await;
    cut_journal(dir.path(), false);
    fs::remove_file(dir.path().join("store.boot")).unwrap();
    forge_base(dir.path(), true);
    let before = names(dir.path());
    let error = Store::open_or_remake(dir.path(), &ours(), None).map(drop).unwrap_err();
    let OpenError::NotRemade { error: why, .. } = &error else { panic!("{error:?}") };
    assert!(matches!(**why, RepairError::EngineAhead { engine, .. } if engine == expect.version), "{why:?}");
    assert_eq!(names(dir.path()), before);
    begun_with_by_whoever_answers_for_it(dir.path(), None, expect);
}

/// What is known of the log before anything is compared with its imprint takes no key away, and no epoch as passed.
#[tokio::test]
async fn a_base_copy_that_somebody_made_up_takes_nothing_from_what_is_known_of_the_log() {
    let (dir, store) = crate::fixtures::new_store();
    let key = KeyMaterialRecord {
        purpose: crate::key::KeyPurpose::Log,
        id: crate::fixtures::id("k1"),
        version: 1,
        wrapped: vec![1; 40],
    };
    store.commit(crate::fixtures::batch(|batch| batch.put_record(&key))).await.unwrap();
    drop(store);
    let known = Store::known_log(dir.path()).unwrap();
    assert_eq!((known.epoch, known.keys.as_slice()), (Epoch(1), [key].as_slice()));
    for has_something in [false, true] {
        forge_base(dir.path(), has_something);
        assert_eq!(Store::known_log(dir.path()), Some(known.clone()));
    }
}

/// Everything is whole but the engine, which lacks the end; and a base copy that somebody made up counts fewer entries than
/// there were.
#[tokio::test]
async fn a_base_copy_that_somebody_made_up_does_not_make_base_copy_and_journal_count_as_behind() {
    let (dir, early) = (longer().await.0, TempDir::new().unwrap());
    copy(&dir.path().join("store"), &early.path().join("store"));
    let store = Store::open_with(dir.path(), &ours(), lazy()).unwrap();
    fill(&store, 2_000).await;
    let expect = store.verify_integrity().await.unwrap();
    drop(store);
    // As a power cut may leave it.
    fs::remove_dir_all(dir.path().join("store")).unwrap();
    copy(&early.path().join("store"), &dir.path().join("store"));
    fs::remove_file(dir.path().join("store.boot")).unwrap();
    let (forged, seen) = (early.path().join("store"), Seen { epoch: Epoch(1), size: expect.entries });
    unlocked(&forged).open_tree("state").unwrap().remove(meta(1_140).as_bytes()).unwrap().unwrap();
    let trees = Trees::open(&forged).unwrap();
    let id = trees.store_id().unwrap().unwrap();
    base::write(&dir.path().join("base"), id, expect.version, &trees).unwrap();
    drop(trees);
    match Store::repair_with(dir.path(), &ours(), Some(seen), (Accepted::NOTHING, &|_| true)).unwrap() {
        Repaired::Rebuilt { integrity, .. } => assert_eq!(integrity, expect),
        other => panic!("{other:?}"),
    }
}

/// Write base copies and journal anew under another id of the store, up to a version: no secret is in their frames.
fn reissue(dir: &Path, through: u64) {
    let (id, places) = (StoreId([9; 16]), Places::of(dir));
    let oldest = base::all(&places.base).unwrap().remove(0);
    let (forged, mut redos) = (Trees::open(&dir.join("forged")).unwrap(), Vec::new());
    base::read(&oldest, |writes| forged.take_over(&writes).map_err(RepairError::from)).unwrap();
    crate::journal::replay(&places.journal, None, oldest.version, |redo| {
        redos.push(redo);
        Ok::<_, RepairError>(())
    })
    .unwrap();
    for part in [&places.base, &places.journal] {
        fs::remove_dir_all(part).unwrap();
        fs::create_dir(part).unwrap();
    }
    base::write(&places.base, id, oldest.version, &forged).unwrap();
    drop(forged);
    fs::remove_dir_all(dir.join("forged")).unwrap();
    let sizes = crate::follower::Pace::USUAL.segments;
    let mut journal = crate::journal::Journal::create(&places.journal, id, oldest.version, sizes).unwrap();
    for redo in redos.iter().filter(|redo| redo.to <= through) {
        let content = crate::redo::encode(&redo.writes);
        if !journal.has_room(content.len()) {
            journal.begin_segment(content.len()).unwrap();
        }
        journal.append(redo, &content).unwrap();
    }
    journal.sync().unwrap();
}

/// The store's id is in no imprint.
#[tokio::test]
async fn base_copy_and_journal_under_another_id_take_the_place_of_no_engine_that_has_more() {
    let (dir, expect) = longer().await;
    reissue(dir.path(), expect.version - 1);
    fs::remove_file(dir.path().join("store.boot")).unwrap();
    let before = names(dir.path());
    let error = Store::open_or_remake(dir.path(), &ours(), None).map(drop).unwrap_err();
    let OpenError::NotRemade { error: why, .. } = &error else { panic!("{error:?}") };
    assert!(matches!(**why, RepairError::EngineAhead { engine, .. } if engine == expect.version), "{why:?}");
    assert_eq!(names(dir.path()), before);
    begun_with_by_whoever_answers_for_it(dir.path(), None, expect);
}

/// What somebody put beside the engine's own files is no reason not to ask it.
#[tokio::test]
async fn an_engine_that_something_was_put_beside_is_asked_all_the_same() {
    let beside: [fn(&Path); 3] = [
        |store| std::os::unix::fs::symlink("nowhere", store.join("x")).unwrap(),
        |store| fs::create_dir_all(store.join("blobs/d")).unwrap(),
        |store| fs::write(store.join("snap.00000000000FFFFF"), "none").unwrap(),
    ];
    for put in beside {
        let (dir, expect) = longer().await;
        cut_journal(dir.path(), false);
        fs::remove_file(dir.path().join("store.boot")).unwrap();
        put(&dir.path().join("store"));
        let before = names(dir.path());
        let error = Store::open_or_remake(dir.path(), &ours(), None).map(drop).unwrap_err();
        let OpenError::NotRemade { error: why, .. } = &error else { panic!("{error:?}") };
        assert!(matches!(**why, RepairError::EngineAhead { engine, .. } if engine == expect.version), "{why:?}");
        assert_eq!(names(dir.path()), before);
    }
}

/// A segment is called by its version in one way, and one that is called in another takes the place of none.
#[tokio::test]
async fn a_segment_under_another_spelling_is_none() {
    for name in ["0.journal", "+0.journal", "00.journal", "99999999999999999999.journal"] {
        let (dir, _) = longer().await;
        fs::copy(
            &crate::journal::segments(&dir.path().join("journal")).unwrap()[0].path,
            dir.path().join("journal").join(name),
        )
        .unwrap();
        let error = Store::open(dir.path(), &ours()).map(drop).unwrap_err();
        assert!(matches!(error, OpenError::Journal(JournalError::NotASegment { .. })), "{name}: {error:?}");
    }
}
