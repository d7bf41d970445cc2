//! Records in files are read as before, and what is wrong with a file is named and never given out.
// Long because: every state that a filing can be left in is made here, of the same few stores.

use std::fs;
use std::path::Path;

use attorn_core::JsonText;
use attorn_log::Epoch;
use tempfile::TempDir;

use super::*;
use crate::base;
use crate::batch::Batch;
use crate::commit::Store;
use crate::fixtures::{batch, body, copy, decided, decision, hurried, id, lazy, ours, put};
use crate::integrity::Integrity;
use crate::key::{KeyKind, KeyPrefix};
use crate::places::Places;
use crate::read::Versioned;
use crate::records::{DecisionRecord, Kept, Sealed};
use crate::repair::{FilesOf, Repaired};
use crate::steps::EveryStep;
use crate::trees::{TreeName, Trees};

/// Two full bundles, and a part of a third.
pub(crate) const DECISIONS: u64 = 600;
pub(crate) const BUNDLED: u64 = 2;
const IN_FILES: u64 = BUNDLED * BUNDLE_ENTRIES;
/// What a decision leaves in the engine at the most, with its key.
const LEFT_BYTES_MAX: usize = 128;

pub(super) fn record(n: u64) -> DecisionRecord {
    let text = if n.is_multiple_of(3) {
        Kept::Sealed { user: id("usr_1"), sealed: Sealed(vec![7; 900]) }
    } else {
        Kept::Plain(JsonText::from_canonical(format!("{{\"n\":{n},\"pad\":\"{}\"}}", "x".repeat(1_000))))
    };
    DecisionRecord { id: decision(n), text }
}

pub(super) fn key(n: u64) -> Key {
    Key::decision(&decision(n))
}

async fn write(store: &Store, from: u64, to: u64) {
    for some in (from..to).collect::<Vec<_>>().chunks(50) {
        let fill = |batch: &mut Batch| {
            for n in some {
                batch.entries.push(decided(*n));
                batch.put_record(&record(*n));
            }
        };
        store.commit(batch(fill)).await.unwrap();
    }
}

/// Wait until the records of so many bundles were looked at.
pub(crate) async fn filed(store: &Store, bundles: u64) {
    while store.shared.trees.filed().unwrap() < bundles {
        assert!(store.failure().is_none());
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
}

/// All records, by themselves and in the order of their keys.
pub(crate) async fn read(store: &Store, decisions: u64) -> Vec<Versioned<DecisionRecord>> {
    let mut all = Vec::new();
    for n in 0..decisions {
        let found = store.record::<DecisionRecord>(&key(n)).await.unwrap().unwrap();
        assert_eq!(found.value, record(n));
        all.push(found);
    }
    let (mut scanned, mut after) = (0, None);
    loop {
        let page = store.scan(&KeyPrefix::kind(KeyKind::Decision), after.as_ref(), 100).await.unwrap();
        for (key, found) in &page.items {
            assert_eq!(store.get(key).await.unwrap().as_ref(), Some(found));
            scanned += 1;
        }
        after = page.next;
        if after.is_none() {
            assert_eq!(scanned, decisions);
            return all;
        }
    }
}

/// How many records the engine has whole, and how many bytes it has of the others on the average.
fn left(trees: &Trees) -> (u64, usize) {
    let (mut whole, mut filed, mut bytes) = (0, 0, 0);
    for (key, value) in trees.page(TreeName::State, None, usize::MAX).unwrap() {
        let stored = Key::from_stored(&key);
        if stored.kind() != Some(KeyKind::Decision) {
            continue;
        }
        match Filed::of(&stored, &Stored::parse(&stored, &value).unwrap().value) {
            Some(_) => (filed, bytes) = (filed + 1, bytes + key.len() + value.len()),
            None => whole += 1,
        }
    }
    (whole, bytes / filed.max(1))
}

/// A store of which all that can be is filed, and what it held before.
pub(crate) async fn filled() -> (TempDir, Store, Vec<Versioned<DecisionRecord>>, Integrity) {
    let dir = TempDir::new().unwrap();
    drop(Store::create(dir.path(), ours()).unwrap());
    let store = Store::open_with(dir.path(), &ours(), lazy()).unwrap();
    write(&store, 0, DECISIONS).await;
    let (all, whole) = (read(&store, DECISIONS).await, store.verify_integrity().await.unwrap());
    assert_eq!(left(&store.shared.trees).0, DECISIONS);
    assert_eq!(store.unfiled_bundles().unwrap(), BUNDLED);
    store.bundle_through(DECISIONS);
    filed(&store, BUNDLED).await;
    (dir, store, all, whole)
}

pub(crate) fn file(dir: &Path, bundle: u64) -> PathBuf {
    crate::filed::RecordFiles::of(dir).path(1, bundle)
}

pub(super) fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn whoever_reads_a_file_waits_for_a_turn_and_holds_up_nobody_who_does_not() {
    let (_dir, store, all, _) = filled().await;
    let turns = u32::try_from(crate::read::FILE_READS_MAX).unwrap();
    let taken = std::sync::Arc::clone(&store.file_reads).acquire_many_owned(turns).await.unwrap();
    // Polled once: it is not read where that would hold up others.
    let (in_file, in_engine) = (key(0), key(DECISIONS - 1));
    let prefix = KeyPrefix::kind(KeyKind::Decision);
    tokio::select! {
        biased;
        found = store.get(&in_file) => panic!("it was read: {found:?}"),
        page = store.scan(&prefix, None, 1_000) => panic!("it was read: {page:?}"),
        () = std::future::ready(()) => {}
    }
    assert!(store.get(&in_engine).await.unwrap().is_some());
    drop(taken);
    assert_eq!(read(&store, DECISIONS).await, all);
}

#[tokio::test]
async fn records_follow_their_entries_into_files_and_are_read_as_before() {
    let (dir, store, all, whole) = filled().await;
    let (in_engine, bytes) = left(&store.shared.trees);
    assert_eq!(in_engine, DECISIONS - IN_FILES);
    assert!(bytes <= LEFT_BYTES_MAX, "{bytes}");
    assert_eq!(read(&store, DECISIONS).await, all);
    assert_eq!(store.verify_integrity().await.unwrap(), whole, "the digest says what is held and not where");
    drop(store);
    let store = Store::open(dir.path(), &ours()).unwrap();
    assert_eq!(store.unfiled_bundles().unwrap(), 0);
    assert_eq!(read(&store, DECISIONS).await, all);
    assert_eq!(store.verify_integrity().await.unwrap(), whole);
    drop(store);
    assert!(matches!(Store::repair(dir.path(), &ours()).unwrap(), Repaired::Whole(found) if found == whole));
    // However many there are, what the engine has whole is those whose entries it has.
    let store = Store::open_with(dir.path(), &ours(), lazy()).unwrap();
    write(&store, DECISIONS, 1_600).await;
    store.bundle_through(1_600);
    filed(&store, 6).await;
    let (in_engine, bytes) = left(&store.shared.trees);
    assert_eq!(in_engine, 1_600 - 6 * BUNDLE_ENTRIES);
    assert!(bytes <= LEFT_BYTES_MAX, "{bytes}");
    read(&store, 1_600).await;
    store.verify_integrity().await.unwrap();
}

#[tokio::test]
async fn a_file_that_is_damaged_or_gone_is_named_and_nothing_of_it_given_out() {
    let (dir, store, all, whole) = filled().await;
    let path = file(dir.path(), 1);
    let right = fs::read(&path).unwrap();
    let is_named = |said: &str, what: &str| {
        let (begin, end) = (format!("`records/1/000000/001` {what}"), "and look again with `attorn repair`");
        assert!(said.starts_with(&begin) && said.ends_with(end), "{said}");
    };
    for at in (0..right.len()).step_by(8_191).chain([right.len() - 1]) {
        flip(&path, at);
        let mut wrong = 0;
        for n in IN_FILES - BUNDLE_ENTRIES..IN_FILES {
            match store.record::<DecisionRecord>(&key(n)).await {
                Ok(found) => assert_eq!(found.as_ref(), all.get(usize::try_from(n).unwrap())),
                Err(error) => {
                    is_named(error.damage().unwrap(), "is not what was written: the record `decision/dec_");
                    wrong += 1;
                }
            }
        }
        assert!(wrong <= 1, "{at}: no other record is lost with one");
        fs::write(&path, &right).unwrap();
    }
    // The value of one record, so that one is wrong for sure.
    flip(&path, right.len() - 1);
    let error = store.verify_integrity().await.unwrap_err();
    let said = crate::repair::causes(&error);
    assert!(
        said.contains("records/1/000000/001` is not what was written") && said.contains(" was changed; "),
        "{said}"
    );
    for cut in [0, 1, right.len() / 2] {
        fs::write(&path, &right[..cut]).unwrap();
        let bad = store.walk().await.unwrap();
        assert!(bad.integrity == whole && bad.bad_bundles.is_empty() && bad.bad_records.len() == 1, "{bad:?}");
        assert!(bad.bad_records[0].why.contains(" is cut off; "), "{bad:?}");
    }
    fs::remove_file(&path).unwrap();
    let error = store.get(&key(300)).await.unwrap_err();
    is_named(error.damage().unwrap(), "is missing, and with it the record `decision/dec_");
    // All else goes on, also after a start, and so does a backup.
    for n in (0..BUNDLE_ENTRIES).chain(IN_FILES..DECISIONS) {
        store.get(&key(n)).await.unwrap().unwrap();
    }
    store.commit(put(1, "goes on")).await.unwrap();
    drop(store);
    let store = Store::open(dir.path(), &ours()).unwrap();
    store.get(&key(300)).await.unwrap_err();
    drop(store);
    let backup = TempDir::new().unwrap();
    let bad_files = Store::back_up(dir.path(), backup.path()).unwrap().bad_files;
    assert_eq!(
        bad_files.len(),
        1,
        "its base copy is of before and has the records, and the file is gone: {bad_files:?}"
    );
    fs::write(&path, &right).unwrap();
    assert_eq!(read(&Store::open(dir.path(), &ours()).unwrap(), DECISIONS).await, all);
}

/// Put these records back into the engine whole, as a crash or a base copy leaves them.
pub(super) fn put_back(dir: &Path, all: &[Versioned<DecisionRecord>], which: impl Fn(u64) -> bool) {
    use crate::records::Record as _;
    let trees = Trees::open(&dir.join("store")).unwrap();
    for (found, n) in all.iter().zip(0..).filter(|(_, n)| which(*n)) {
        let Versioned { value, version, entries } = found.clone();
        let stored = Stored { version, entries, value: value.encode() };
        let now = trees.raw(&key(n)).unwrap().unwrap();
        trees.replace(&key(n), &now, &stored.to_bytes()).unwrap();
    }
    trees.forget_filed().unwrap();
    trees.flush().unwrap();
}

#[tokio::test]
async fn a_filing_that_ended_anywhere_goes_on_at_the_next_start() {
    let (dir, store, all, whole) = filled().await;
    drop(store);
    let files = || [0, 1].map(|bundle| fs::read(file(dir.path(), bundle)).unwrap());
    let right = files();
    let which: [fn(u64) -> bool; 4] = [|_| true, |n| n.is_multiple_of(2), |n| n == 255, |_| false];
    for which in which {
        put_back(dir.path(), &all, which);
        let store = Store::open_with(dir.path(), &ours(), lazy()).unwrap();
        assert_eq!(read(&store, DECISIONS).await, all);
        assert_eq!(store.verify_integrity().await.unwrap(), whole);
        store.bundle_through(DECISIONS);
        filed(&store, BUNDLED).await;
        assert_eq!(left(&store.shared.trees).0, DECISIONS - IN_FILES);
        assert_eq!((read(&store, DECISIONS).await, files()), (all.clone(), right.clone()));
    }
    // Nothing but the engine has them: whatever is there gives way.
    for wrong in [None, Some(&b""[..]), Some(b"attorn records 1\n"), Some(&right[1])] {
        put_back(dir.path(), &all, |_| true);
        fs::remove_file(file(dir.path(), 0)).unwrap();
        if let Some(wrong) = wrong {
            fs::write(file(dir.path(), 0), wrong).unwrap();
        }
        let store = Store::open_with(dir.path(), &ours(), lazy()).unwrap();
        store.bundle_through(DECISIONS);
        filed(&store, BUNDLED).await;
        assert_eq!((read(&store, DECISIONS).await, files()), (all.clone(), right.clone()));
    }
    // A file that has others is never written over: what the engine has of its records stays there.
    put_back(dir.path(), &all, |n| n.is_multiple_of(2));
    flip(&file(dir.path(), 0), right[0].len() / 2);
    let bad = fs::read(file(dir.path(), 0)).unwrap();
    let store = Store::open_with(dir.path(), &ours(), lazy()).unwrap();
    store.bundle_through(DECISIONS);
    filed(&store, BUNDLED).await;
    assert_eq!(fs::read(file(dir.path(), 0)).unwrap(), bad);
    for n in (0..DECISIONS).step_by(2) {
        assert_eq!(store.record::<DecisionRecord>(&key(n)).await.unwrap().unwrap().value, record(n));
    }
}

#[tokio::test]
async fn a_record_that_was_written_once_more_stays_in_the_engine() {
    let dir = TempDir::new().unwrap();
    let store = Store::create(dir.path(), ours()).unwrap();
    write(&store, 0, DECISIONS).await;
    let again = |n| {
        let text = Kept::Plain(JsonText::from_canonical("{}".to_owned()));
        batch(|batch| {
            batch.put_record(&DecisionRecord { id: decision(n), text });
            batch.entries.push(decided(n));
        })
    };
    // What names a decision that has no record, or no id, is passed over.
    store.commit(batch(|batch| batch.entries = (0..10).map(|n| decided(5_000 + n)).collect())).await.unwrap();
    store.commit(batch(|batch| batch.entries = (0..200).map(body).collect())).await.unwrap();
    store.commit(again(9)).await.unwrap();
    store.bundle_through(810);
    filed(&store, 3).await;
    let is_again = async |n| {
        let found = store.record::<DecisionRecord>(&key(n)).await.unwrap().unwrap().value;
        assert_eq!(found.text, Kept::Plain(JsonText::from_canonical("{}".to_owned())));
    };
    is_again(9).await;
    assert_eq!(left(&store.shared.trees).0, 1);
    // And one that is in a file already is read where it was written last.
    store.commit(again(10)).await.unwrap();
    is_again(10).await;
    store.verify_integrity().await.unwrap();
}

/// Whether a base copy has any of the first records whole.
fn has_whole(base: &base::Base) -> bool {
    let (mut has, first) = (false, (0..IN_FILES).map(key).collect::<Vec<_>>());
    let read = base::read(base, |writes| {
        for write in writes {
            let at = Key::from_stored(&write.key);
            let stored = write.value.as_ref().map(|value| Stored::parse(&at, value));
            has |= first.contains(&at) && stored.is_some_and(|stored| Filed::of(&at, &stored.unwrap().value).is_none());
        }
        Ok::<_, base::BaseError>(())
    });
    // One that is gone meanwhile says nothing.
    has || read.is_err()
}

#[tokio::test]
async fn repair_backup_and_a_new_epoch_take_files_with_records_along() {
    let dir = TempDir::new().unwrap();
    let store = Store::create_with(dir.path(), ours(), hurried(EveryStep)).unwrap();
    write(&store, 0, DECISIONS).await;
    let all = read(&store, DECISIONS).await;
    store.bundle_through(DECISIONS);
    filed(&store, BUNDLED).await;
    // Until no base copy and no journal has the first records any more.
    let places = Places::of(dir.path());
    for n in 0.. {
        store.commit(put(n % 7, &"x".repeat(2_000))).await.unwrap();
        let bases = base::all(&places.base).unwrap();
        if n.is_multiple_of(20) && bases.len() > 1 && bases.iter().all(|base| !has_whole(base)) {
            break;
        }
    }
    let whole = store.verify_integrity().await.unwrap();
    // As what is filed was published before.
    fs::write(places.log.join("1/checkpoint"), "signed").unwrap();
    let backup = TempDir::new().unwrap();
    assert_eq!(Store::back_up(dir.path(), backup.path()).unwrap().bad_files, Vec::<String>::new());
    drop(store);
    let target = TempDir::new().unwrap();
    let unpacked = Store::unpack(backup.path(), target.path(), &ours()).unwrap();
    assert_eq!(unpacked.verify_integrity().await.unwrap(), whole);
    assert_eq!(read(&unpacked, DECISIONS).await, all);
    // The next epoch has them, too, when the files go over; its own are apart.
    let next = TempDir::new().unwrap();
    let new = unpacked.begin_epoch(next.path(), Epoch(2)).unwrap();
    copy(&target.path().join("records"), &next.path().join("records"));
    write(&new, DECISIONS, 2 * DECISIONS).await;
    new.bundle_through(DECISIONS);
    filed(&new, BUNDLED).await;
    assert!(next.path().join("records/2/000000/001").exists());
    let records = read(&new, 2 * DECISIONS).await;
    assert_eq!(records[..all.len()], all);
    new.verify_integrity().await.unwrap();
    drop((new, unpacked));
    fs::remove_dir_all(dir.path().join("store")).unwrap();
    let repaired = Store::repair(dir.path(), &ours()).unwrap();
    let Repaired::Rebuilt { integrity, bad_files, .. } = repaired else { panic!("{repaired:?}") };
    assert!(integrity == whole && bad_files.is_empty(), "{bad_files:?}");
    assert_eq!(read(&Store::open(dir.path(), &ours()).unwrap(), DECISIONS).await, all);
    // What is in a file is lost with it, and nothing else: no state, no start, no backup.
    fs::remove_file(file(dir.path(), 0)).unwrap();
    flip(&file(dir.path(), 1), 5_000);
    fs::remove_dir_all(dir.path().join("store")).unwrap();
    let repaired = Store::repair(dir.path(), &ours()).unwrap();
    let Repaired::Rebuilt { integrity, bad_files, .. } = repaired else { panic!("{repaired:?}") };
    let are_named = |bad: &[String]| {
        assert!(
            matches!(bad, [one, other] if one.contains("000` is missing") && other.contains("001` is not what")),
            "{bad:?}"
        );
    };
    assert_eq!(integrity, whole);
    are_named(&bad_files);
    let backup = TempDir::new().unwrap();
    are_named(&Store::back_up(dir.path(), backup.path()).unwrap().bad_files);
    let target = TempDir::new().unwrap();
    let unpacked = Store::unpack(backup.path(), target.path(), &ours()).unwrap();
    assert_eq!(unpacked.walk().await.unwrap().bad_records.len(), 2);
}

#[tokio::test]
async fn what_a_crash_put_back_is_filed_again_as_it_was() {
    let (dir, store, all, whole) = filled().await;
    drop(store);
    let right = fs::read(file(dir.path(), 0)).unwrap();
    // Base copy and journal have all of them whole, and know nothing of files.
    fs::remove_dir_all(dir.path().join("store")).unwrap();
    let repaired = Store::repair(dir.path(), &ours()).unwrap();
    assert!(matches!(repaired, Repaired::Rebuilt { integrity, .. } if integrity == whole));
    let store = Store::open_with(dir.path(), &ours(), lazy()).unwrap();
    assert_eq!(left(&store.shared.trees).0, DECISIONS);
    store.bundle_through(DECISIONS);
    filed(&store, BUNDLED).await;
    assert_eq!((read(&store, DECISIONS).await, fs::read(file(dir.path(), 0)).unwrap()), (all, right));
    assert_eq!(store.verify_integrity().await.unwrap(), whole);
}

#[tokio::test]
async fn entries_go_into_files_where_records_cannot() {
    let dir = tempfile::tempdir().unwrap();
    drop(Store::create(dir.path(), ours()).unwrap());
    // What stands in the place of a file is moved aside, and not what stands in the place of their directory.
    fs::write(dir.path().join("records"), "").unwrap();
    let store = Store::open_with(dir.path(), &ours(), hurried(EveryStep)).unwrap();
    write(&store, 0, DECISIONS).await;
    store.bundle_through(DECISIONS);
    while store.shared.trees.first_unbundled(0, 10).unwrap().bundle < BUNDLED {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    assert_eq!(store.shared.trees.filed().unwrap(), 0, "the mark stays before what is not filed");
    read(&store, DECISIONS).await;
}

#[tokio::test]
async fn a_record_that_is_another_than_its_entry_names_is_named() {
    let (_dir, store, _, _) = filled().await;
    store.verify_integrity().await.unwrap();
    let (right, wrong) = (record(599), DecisionRecord { id: decision(599), ..record(598) });
    let text = |digest: String| {
        format!("{{\"decision_id\":\"{}\",\"stored_digest\":\"{digest}\",\"type\":\"decision\"}}", decision(599))
    };
    let fill = |batch: &mut Batch, stored: &DecisionRecord| {
        let text = text(crate::digest_of(&crate::records::Record::encode(&right)));
        batch.entries.push(attorn_log::EntryBody::parse(&text).unwrap());
        batch.put_record(stored);
    };
    store.commit(batch(|batch| fill(batch, &right))).await.unwrap();
    assert!(store.walk().await.unwrap().bad_decisions.is_empty());
    store.commit(batch(|batch| fill(batch, &wrong))).await.unwrap();
    let bad = store.walk().await.unwrap().bad_decisions;
    assert_eq!(bad.len(), 2, "both entries name the right one: {bad:?}");
    assert!(bad[0].contains("is not the one that entry 600 names"), "{bad:?}");
    store.commit(batch(|batch| batch.delete.push(key(599)))).await.unwrap();
    let bad = store.walk().await.unwrap().bad_decisions;
    assert!(bad[0].contains("is gone that entry 600 names"), "{bad:?}");
}

#[tokio::test]
async fn a_walk_reads_each_record_in_a_file_once() {
    let dir = tempfile::tempdir().unwrap();
    drop(Store::create(dir.path(), ours()).unwrap());
    let store = Store::open_with(dir.path(), &ours(), lazy()).unwrap();
    for n in 0..DECISIONS {
        let digest = crate::digest_of(&crate::records::Record::encode(&record(n)));
        let text =
            format!("{{\"decision_id\":\"{}\",\"stored_digest\":\"{digest}\",\"type\":\"decision\"}}", decision(n));
        let fill = |batch: &mut Batch| {
            batch.entries.push(attorn_log::EntryBody::parse(&text).unwrap());
            batch.put_record(&record(n));
        };
        store.commit(batch(fill)).await.unwrap();
    }
    store.bundle_through(DECISIONS);
    filed(&store, BUNDLED).await;
    drop(store);
    let reads_of_a_repair = || {
        crate::filed::READS.set(0);
        let repaired = Store::repair(dir.path(), &ours()).unwrap();
        (crate::filed::READS.get(), repaired)
    };
    let (reads, repaired) = reads_of_a_repair();
    assert!(reads == IN_FILES && matches!(repaired, Repaired::Whole(_)), "{reads} {repaired:?}");
    // One that is bad is looked at in vain once more, and named once.
    fs::write(file(dir.path(), 1), "").unwrap();
    let (_, repaired) = reads_of_a_repair();
    let Repaired::Files { of, bad_files, .. } = repaired else { panic!("{repaired:?}") };
    assert_eq!((of, bad_files), (FilesOf::Records, Vec::new()));
}
