//! What is bundled is read as before, and what is wrong with a file is named and never given out.
// Long because: every state that a bundling can be left in is made here, of the same few stores.

use std::fs;

use tempfile::TempDir;

use super::*;
use crate::base;
use crate::batch::Batch;
use crate::commit::Store;
use crate::error::ReadError;
use crate::fixtures::{batch, body, hurried, lazy, ours, put};
use crate::integrity::{Integrity, IntegrityError};
use crate::journal::{self, JournalError};
use crate::places::Places;
use crate::repair::{FilesOf, Repaired};
use crate::steps::EveryStep;

/// Two full bundles, and a part of a third.
const ENTRIES: u64 = 600;
const BUNDLED: u64 = 2;

pub(super) async fn write(store: &Store, from: u64, to: u64) {
    for some in (from..to).collect::<Vec<_>>().chunks(100) {
        store.commit(batch(|batch: &mut Batch| batch.entries = some.iter().map(|n| body(*n)).collect())).await.unwrap();
    }
}

/// Wait until so many bundles are out of the engine.
async fn bundled(store: &Store, bundles: u64) {
    while store.shared.trees.first_unbundled(0, usize::MAX).unwrap().bundle < bundles {
        assert!(store.failure().is_none());
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
}

/// All that can be read of the log.
pub(crate) fn read(store: &Store) -> Vec<String> {
    let mut all = Vec::new();
    let entries = store.entries(0, 1_000).unwrap();
    assert_eq!(entries.len() as u64, ENTRIES);
    for (entry, index) in entries.into_iter().zip(0..) {
        assert_eq!(store.entry(index).unwrap().unwrap(), entry.bytes);
        all.push(String::from_utf8(entry.bytes).unwrap());
        // Some of them, and all at the borders.
        if index % 7 > 0 && (index + 2) % BUNDLE_ENTRIES > 4 {
            continue;
        }
        all.push(format!("{:?}", store.root(index).unwrap()));
        all.push(format!("{:?}", store.inclusion_proof(index, ENTRIES).unwrap()));
        all.push(format!("{:?}", store.consistency_proof(index, ENTRIES).unwrap()));
    }
    for level in 0..10 {
        let hashes = (0..).map_while(|index| store.hash(NodeId { level, index }).unwrap());
        all.push(format!("{:?}", hashes.collect::<Vec<_>>()));
    }
    // Pages that begin and end anywhere.
    for from in [0, 1, 200, 255, 256, 400, 511, 512, 599] {
        let page = store.entries(from, 120).unwrap();
        assert!(page.iter().zip(from..).all(|(entry, index)| entry.index == index && !entry.bytes.is_empty()));
        all.push(format!("{page:?}"));
    }
    all
}

/// A store of which all that can be is bundled, and what it held before.
pub(crate) async fn filled() -> (TempDir, Store, Vec<String>, Integrity) {
    let dir = TempDir::new().unwrap();
    drop(Store::create(dir.path(), ours()).unwrap());
    let store = Store::open_with(dir.path(), &ours(), lazy()).unwrap();
    write(&store, 0, ENTRIES).await;
    let (all, whole) = (read(&store), store.verify_integrity().await.unwrap());
    store.bundle_through(ENTRIES);
    bundled(&store, BUNDLED).await;
    (dir, store, all, whole)
}

pub(crate) fn file(dir: &Path, bundle: u64) -> PathBuf {
    dir.join("log/1").join(Tile::full_bundle(bundle).to_string())
}

#[tokio::test]
async fn what_is_bundled_is_read_as_before() {
    let (dir, store, all, whole) = filled().await;
    assert_eq!(store.shared.trees.last_entry().unwrap(), Some(ENTRIES - 1));
    let left = (0..ENTRIES).filter(|index| store.shared.trees.record(*index).unwrap().is_some()).count() as u64;
    assert_eq!(left, BUNDLED + ENTRIES % BUNDLE_ENTRIES);
    assert_eq!(read(&store), all);
    assert_eq!(store.verify_integrity().await.unwrap(), whole);
    drop(store);
    for _ in 0..2 {
        let store = Store::open(dir.path(), &ours()).unwrap();
        // With nothing in memory, and then with all of it.
        assert_eq!((read(&store), read(&store)), (all.clone(), all.clone()));
        assert_eq!(store.verify_integrity().await.unwrap(), whole);
        assert!(store.bundle_file(0).unwrap().is_some() && store.bundle_file(2).unwrap().is_none());
        assert_eq!(store.bundle_file(1).unwrap().unwrap(), fs::read(file(dir.path(), 1)).unwrap());
        drop(store);
    }
    assert!(matches!(Store::repair(dir.path(), &ours()).unwrap(), Repaired::Whole(found) if found == whole));
    // It grows on, and so does what is bundled. The last entry is never bundled, nor what no checkpoint covers.
    let store = Store::open(dir.path(), &ours()).unwrap();
    write(&store, ENTRIES, 1_024).await;
    for covered in [767, 768] {
        store.bundle_through(covered);
        store.commit(put(1, "meanwhile")).await.unwrap();
        assert!(!file(dir.path(), 2).exists());
    }
    store.bundle_through(1_024);
    bundled(&store, 3).await;
    assert!(!file(dir.path(), 3).exists());
    store.verify_integrity().await.unwrap();
}

#[tokio::test]
async fn a_file_that_is_damaged_or_gone_is_named_and_nothing_of_it_given_out() {
    let (dir, store, all, _) = filled().await;
    let path = file(dir.path(), 1);
    let (whole, shown) = (fs::read(&path).unwrap(), path.display().to_string());
    let fresh = || {
        // A store that has read nothing yet.
        Bundled::of(&dir.path().join("log"), Epoch(1))
    };
    let root = store.hash(NodeId { level: 8, index: 1 }).unwrap().unwrap();
    let altered = |found: &str| {
        let help = "`attorn repair` makes it anew, while no server runs, if base copy or journal still have its entries; \
                    else put this file back from a backup or a copy, and look again with `attorn audit verify`";
        format!("`{shown}` is not what the log's tree says: in epoch 1, {found}; {help}")
    };
    let is_altered = |said: &str| {
        let (begin, end) = (altered("entry "), altered(""));
        let (begin, end) = (begin.split(';').next().unwrap(), end.split("1, ").nth(1).unwrap());
        assert!(said.starts_with(begin) && said.ends_with(end), "{said}");
    };
    for at in (0..whole.len()).step_by(97).chain([0, 1, whole.len() - 1]) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        fs::write(&path, bytes).unwrap();
        is_altered(&fresh().read(1, root).err().unwrap().to_string());
        // What was found right before is compared again: of the entry that was changed nothing comes.
        for index in 256..512 {
            match store.entry(index) {
                Ok(bytes) => assert!(all.contains(&String::from_utf8(bytes.unwrap()).unwrap()), "{at} {index}"),
                Err(error) => is_altered(&causes(&error)),
            }
        }
    }
    let other = fs::read(file(dir.path(), 0)).unwrap();
    let longer = [&whole[..], &[0]].concat();
    for bytes in [&[][..], &whole[..1], &whole[..whole.len() - 1], &longer, &other] {
        fs::write(&path, bytes).unwrap();
        is_altered(&fresh().read(1, root).err().unwrap().to_string());
    }
    // The first entry that is not as it was is named, also to those who are not told where the files are.
    let mut bytes = whole.clone();
    let said = b"{\"n\":300}";
    let at = bytes.windows(said.len()).position(|some| some == said).unwrap();
    bytes[at + 6] ^= 1;
    fs::write(&path, bytes).unwrap();
    named(&store, &altered("entry 300 was changed")).await;
    let error = store.entries(256, 1).unwrap_err();
    let damage = error.damage().unwrap();
    let expect = "`log/1/tile/entries/001` is not what the log's tree says: in epoch 1, entry 300 was changed; ";
    assert!(damage.starts_with(expect), "{damage}");
    drop(store);
    let store = Store::open(dir.path(), &ours()).unwrap();
    assert_eq!(store.inclusion_proof(300, ENTRIES).unwrap_err().damage(), Some(damage));
    fs::remove_file(&path).unwrap();
    let gone = format!(
        "`{shown}` is missing, and with it the entries 256 to 511 of epoch 1: `attorn repair` makes it anew, while no \
         server runs, if base copy or journal still have its entries; else put this file back from a backup or a copy, \
         and look again with `attorn audit verify`"
    );
    named(&store, &gone).await;
    // What does not stand in it is as it was.
    assert_eq!(store.entries(0, 256).unwrap().len(), 256);
    assert_eq!(store.entries(512, 88).unwrap().len(), 88);
    store.inclusion_proof(3, ENTRIES).unwrap();
    store.root(ENTRIES).unwrap();
    store.commit(put(1, "goes on")).await.unwrap();
    drop(store);
    let store = Store::open(dir.path(), &ours()).unwrap();
    named(&store, &gone).await;
    drop(store);
    // Base copy and journal have it still; so a repair finds all of it, and nothing else is changed.
    let repaired = Store::repair(dir.path(), &ours()).unwrap();
    let Repaired::Files { of, problem, bad_files, .. } = repaired else { panic!("{repaired:?}") };
    assert_eq!((problem, bad_files), (format!("`{shown}` is missing"), Vec::new()));
    assert_eq!(of, FilesOf::Entries);
    assert_eq!(fs::read(&path).unwrap(), whole);
    let store = Store::open(dir.path(), &ours()).unwrap();
    assert_eq!(read(&store), all);
}

#[track_caller]
fn lost(store: &Store, entries: std::ops::Range<u64>) {
    assert_eq!(store.lost_entries().unwrap(), vec![entries; 1]);
}

#[tokio::test]
async fn which_entries_are_gone_with_their_files_is_known() {
    let (dir, store, ..) = filled().await;
    assert_eq!(store.lost_entries().unwrap(), []);
    let second = fs::read(file(dir.path(), 1)).unwrap();
    fs::remove_file(file(dir.path(), 1)).unwrap();
    lost(&store, 256..512);
    fs::remove_dir_all(dir.path().join("log")).unwrap();
    lost(&store, 0..512);
    drop(store);
    let store = Store::open(dir.path(), &ours()).unwrap();
    lost(&store, 0..512);
    fs::create_dir_all(file(dir.path(), 1).parent().unwrap()).unwrap();
    fs::write(file(dir.path(), 1), second).unwrap();
    lost(&store, 0..256);
}

fn causes(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), causes)
}

async fn named(store: &Store, message: &str) {
    let failed = |error: &ReadError| assert_eq!(causes(error), message);
    failed(&store.entries(200, 100).unwrap_err());
    failed(&store.entries(256, 1).unwrap_err());
    failed(&store.bundle_file(1).unwrap_err());
    let error = store.verify_integrity().await.unwrap_err();
    assert!(matches!(error, IntegrityError::Storage(_)) && causes(&error) == message, "{error:?}");
}

#[tokio::test]
async fn a_bundling_that_ended_anywhere_goes_on_at_the_next_start() {
    let (dir, store, all, whole) = filled().await;
    let (bytes, path) = (fs::read(file(dir.path(), 0)).unwrap(), file(dir.path(), 0));
    let entries: Vec<Vec<u8>> = store.entries(0, 256).unwrap().into_iter().map(|entry| entry.bytes).collect();
    drop(store);
    // What of the bundle is in the engine: all of it, all but the first, only some, and with the last one whole or bare.
    let parts: [(&[u64], bool); 5] =
        [(&[0, 254], true), (&[7], false), (&[], false), (&[254], true), (&[0, 1, 2], false)];
    for (there, is_last_whole) in parts {
        let trees = Trees::open(&dir.path().join("store")).unwrap();
        let mut last = trees.record(255).unwrap().unwrap();
        last.bytes = if is_last_whole { entries[255].clone() } else { Vec::new() };
        trees.unload(0, &last).unwrap();
        for index in there {
            let hashes = (0..=u8::try_from(index.trailing_ones()).unwrap())
                .map(|level| {
                    Bundled::of(&dir.path().join("log"), Epoch(1))
                        .node(&trees, NodeId { level, index: index >> level })
                        .unwrap()
                        .unwrap()
                })
                .collect();
            trees
                .put(*index, &crate::trees::Record { hashes, bytes: entries[usize::try_from(*index).unwrap()].clone() })
                .unwrap();
        }
        trees.flush().unwrap();
        drop(trees);
        let store = Store::open_with(dir.path(), &ours(), lazy()).unwrap();
        assert_eq!(read(&store), all);
        assert_eq!(store.verify_integrity().await.unwrap(), whole);
        store.bundle_through(ENTRIES);
        bundled(&store, BUNDLED).await;
        assert_eq!((read(&store), fs::read(&path).unwrap()), (all.clone(), bytes.clone()));
        drop(store);
    }
}

/// Neither that an entry was given away is in the journal, nor is it synced with it: after a crash the engine may be as it
/// was before, and the journal puts back what it did not have yet.
#[tokio::test]
async fn what_a_crash_put_back_is_read_in_the_engine_and_a_file_that_is_damaged_gives_way() {
    let dir = TempDir::new().unwrap();
    let (engine, before) = (dir.path().join("store"), dir.path().join("before"));
    drop(Store::create(dir.path(), ours()).unwrap());
    let store = Store::open_with(dir.path(), &ours(), lazy()).unwrap();
    write(&store, 0, 100).await;
    drop(store);
    fs::create_dir(&before).unwrap();
    for part in fs::read_dir(&engine).unwrap() {
        let part = part.unwrap();
        if part.file_type().unwrap().is_file() {
            fs::copy(part.path(), before.join(part.file_name())).unwrap();
        }
    }
    let store = Store::open_with(dir.path(), &ours(), lazy()).unwrap();
    write(&store, 100, ENTRIES).await;
    let all = read(&store);
    store.bundle_through(ENTRIES);
    bundled(&store, BUNDLED).await;
    drop(store);
    fs::remove_dir_all(&engine).unwrap();
    fs::rename(&before, &engine).unwrap();
    let right = fs::read(file(dir.path(), 0)).unwrap();
    let mut damaged = right.clone();
    damaged[5_000] ^= 1;
    fs::write(file(dir.path(), 0), damaged).unwrap();
    let store = Store::open_with(dir.path(), &ours(), lazy()).unwrap();
    assert!((0..ENTRIES).all(|index| store.shared.trees.entry(index).unwrap().is_some()));
    assert_eq!(read(&store), all);
    store.verify_integrity().await.unwrap();
    store.bundle_through(ENTRIES);
    bundled(&store, BUNDLED).await;
    assert_eq!((read(&store), fs::read(file(dir.path(), 0)).unwrap()), (all, right));
}

#[tokio::test]
async fn what_cannot_be_written_stays_in_the_engine_and_is_tried_again() {
    let dir = TempDir::new().unwrap();
    let store = Store::create_with(dir.path(), ours(), hurried(EveryStep)).unwrap();
    // As good as a full disk.
    fs::write(dir.path().join("log"), "in the way").unwrap();
    write(&store, 0, ENTRIES).await;
    store.bundle_through(ENTRIES);
    for n in 0..50 {
        store.commit(put(n, "goes on")).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    let all = read(&store);
    assert_eq!(store.shared.trees.first_unbundled(0, 10).unwrap().bundle, 0);
    fs::remove_file(dir.path().join("log")).unwrap();
    bundled(&store, BUNDLED).await;
    assert_eq!(read(&store), all);
}

#[tokio::test]
async fn a_file_that_was_there_and_is_wrong_gives_way_to_what_the_engine_has() {
    let dir = TempDir::new().unwrap();
    let store = Store::create(dir.path(), ours()).unwrap();
    write(&store, 0, ENTRIES).await;
    let all = read(&store);
    for bundle in 0..2 {
        let path = file(dir.path(), bundle);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "of another log").unwrap();
    }
    assert_eq!(read(&store), all);
    store.bundle_through(ENTRIES);
    bundled(&store, BUNDLED).await;
    assert_eq!(read(&store), all);
}

#[tokio::test]
async fn entries_that_are_not_what_the_tree_says_are_not_bundled() {
    let dir = TempDir::new().unwrap();
    let store = Store::create(dir.path(), ours()).unwrap();
    write(&store, 0, ENTRIES).await;
    let mut record = store.shared.trees.record(9).unwrap().unwrap();
    let right = record.bytes.clone();
    record.bytes[20] ^= 1;
    store.shared.trees.put(9, &record).unwrap();
    store.bundle_through(ENTRIES);
    // The next one is, all the same.
    while !file(dir.path(), 1).exists() || store.shared.trees.record(300).unwrap().is_some() {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    assert!(!file(dir.path(), 0).exists());
    assert!(matches!(
        store.verify_integrity().await.unwrap_err(),
        IntegrityError::EntryInvalid { index: 9, .. } | IntegrityError::EntryMisplaced(_) | IntegrityError::Node(_)
    ));
    record.bytes = right;
    store.shared.trees.put(9, &record).unwrap();
    drop(store);
    let store = Store::open(dir.path(), &ours()).unwrap();
    store.bundle_through(ENTRIES);
    bundled(&store, BUNDLED).await;
    store.verify_integrity().await.unwrap();
}

#[tokio::test]
async fn repair_and_backup_take_bundled_files_along() {
    let dir = TempDir::new().unwrap();
    let store = Store::create_with(dir.path(), ours(), hurried(EveryStep)).unwrap();
    write(&store, 0, ENTRIES).await;
    let all = read(&store);
    store.bundle_through(ENTRIES);
    bundled(&store, BUNDLED).await;
    // Until no base copy and no journal has the first entries any more.
    let places = Places::of(dir.path());
    for n in 0.. {
        store.commit(put(n % 7, &"x".repeat(2_000))).await.unwrap();
        let bases = base::all(&places.base).unwrap();
        if bases.len() > 1 && bases.iter().all(|base| !has_entries(base)) && !journal_has_entries(&places) {
            break;
        }
    }
    let whole = store.verify_integrity().await.unwrap();
    let backup = TempDir::new().unwrap();
    Store::back_up(dir.path(), backup.path()).unwrap();
    drop(store);
    let target = TempDir::new().unwrap();
    let unpacked = Store::unpack(backup.path(), target.path(), &ours()).unwrap();
    assert_eq!(unpacked.verify_integrity().await.unwrap(), whole);
    assert_eq!(read(&unpacked), all);
    // A new epoch begins without any of it.
    let next = TempDir::new().unwrap();
    let new = unpacked.begin_epoch(next.path(), Epoch(2)).unwrap();
    write(&new, 0, ENTRIES).await;
    new.bundle_through(ENTRIES);
    bundled(&new, BUNDLED).await;
    assert!(next.path().join("log/2/tile/entries/001").exists() && !next.path().join("log/1").exists());
    drop((new, unpacked));
    fs::remove_dir_all(dir.path().join("store")).unwrap();
    let repaired = Store::repair(dir.path(), &ours()).unwrap();
    assert!(matches!(repaired, Repaired::Rebuilt { integrity, .. } if integrity == whole));
    // What is in the file is lost with it, and nothing else: no state, no start, no backup.
    let mut bytes = fs::read(file(dir.path(), 0)).unwrap();
    bytes[100] ^= 1;
    fs::write(file(dir.path(), 0), &bytes).unwrap();
    let is_named = |bad: &[String]| matches!(bad, [bad] if bad.contains("tile/entries/000` is not what"));
    for _ in 0..2 {
        let repaired = Store::repair(dir.path(), &ours()).unwrap();
        let Repaired::BadFiles { integrity, bad_files } = repaired else { panic!("{repaired:?}") };
        assert!(integrity == whole && is_named(&bad_files), "{bad_files:?}");
        assert!(!dir.path().join("store.new").exists() && !dir.path().join("store.broken-1").exists());
    }
    fs::remove_dir_all(dir.path().join("store")).unwrap();
    let repaired = Store::repair(dir.path(), &ours()).unwrap();
    let Repaired::Rebuilt { integrity, bad_files, .. } = repaired else { panic!("{repaired:?}") };
    assert!(integrity == whole && is_named(&bad_files), "{bad_files:?}");
    fs::remove_file(&places.boot).unwrap();
    let store = Store::open_or_remake(dir.path(), &ours(), None).unwrap();
    assert_eq!(store.remade().unwrap().len(), 3);
    assert!(causes(&store.entry(0).unwrap_err()).contains("tile/entries/000` is not what"));
    assert!(causes(&store.verify_integrity().await.unwrap_err()).contains("tile/entries/000` is not what"));
    assert_eq!(store.entries(256, 256).unwrap().len(), 256);
    let again = TempDir::new().unwrap();
    // As what is bundled was published before.
    fs::write(places.log.join("1/checkpoint"), "signed").unwrap();
    let made = Store::back_up(dir.path(), again.path()).unwrap();
    assert!(is_named(&made.bad_files), "{made:?}");
    drop(Store::unpack(again.path(), &target.path().join("again"), &ours()).unwrap());
    drop(store);
    // A root over it that does not fit is damage of the engine, which the imprint tells.
    let trees = Trees::open(&places.engine).unwrap();
    let last = trees.record(511).unwrap().unwrap();
    let mut wrong = last.hashes.clone();
    wrong[9] = wrong[8];
    trees.put(511, &crate::trees::Record { hashes: wrong, bytes: last.bytes }).unwrap();
    trees.flush().unwrap();
    drop(trees);
    fs::write(file(dir.path(), 1), "nothing of it").unwrap();
    let repaired = Store::repair(dir.path(), &ours()).unwrap();
    let Repaired::Rebuilt { integrity, problem, .. } = repaired else { panic!("{repaired:?}") };
    assert!(integrity == whole && problem.contains("does not fit its log"), "{problem}");
    fs::write(backup.path().join("log/1/tile/entries/000"), &bytes).unwrap();
    let target = TempDir::new().unwrap();
    let unpacked = Store::unpack(backup.path(), target.path(), &ours()).unwrap();
    assert!(causes(&unpacked.verify_integrity().await.unwrap_err()).contains("tile/entries/000` is not what"));
}

/// It is cut after the base copies are. While something is written to it, it may look damaged for a moment.
fn journal_has_entries(places: &Places) -> bool {
    let Some(first) = journal::segments(&places.journal).ok().and_then(|all| Some(all.first()?.first)) else {
        return true;
    };
    let mut has = false;
    let read = journal::replay(&places.journal, None, first, |redo| {
        has |= redo.writes.iter().any(is_first);
        Ok::<_, JournalError>(())
    });
    read.is_err() || has
}

fn is_first(write: &crate::redo::Write) -> bool {
    write.tree == crate::trees::TreeName::Entries && write.key == 0_u64.to_be_bytes()
}

/// Whether a base copy has the bytes of the first entry.
fn has_entries(base: &base::Base) -> bool {
    let mut has = false;
    let read = base::read(base, |writes| {
        has |= writes.iter().any(is_first);
        Ok::<_, base::BaseError>(())
    });
    // One that is removed meanwhile is none.
    read.is_ok() && has
}
