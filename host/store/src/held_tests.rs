//! Entries whose files are damaged or gone are not lost as long as base copy and journal have them.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::tests::{file, filled, read};
use crate::commit::Store;
use crate::fixtures::{lazy, ours, put};
use crate::frame::{ALIGN, FileHeader, FileKind, HEADER_BYTES};
use crate::repair::Repaired;

fn backed_up(dir: &Path) -> (TempDir, Vec<String>) {
    let backup = TempDir::new().unwrap();
    let made = Store::back_up(dir, backup.path()).unwrap();
    (backup, made.bad_files)
}

fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    bytes[100] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// A store that has everything, its first file as it was, and what it holds.
async fn stopped() -> (TempDir, Vec<u8>, Vec<String>) {
    let (dir, store, all, _) = filled().await;
    fs::write(dir.path().join("log/1/checkpoint"), "note").unwrap();
    drop(store);
    let whole = fs::read(file(dir.path(), 0)).unwrap();
    (dir, whole, all)
}

#[tokio::test]
async fn a_backup_names_files_that_are_not_right_and_says_where_their_entries_are() {
    let (dir, ..) = stopped().await;
    assert_eq!(backed_up(dir.path()).1, Vec::<String>::new());
    let (first, second) = (file(dir.path(), 0), file(dir.path(), 1));
    flip(&first);
    let (backup, bad) = backed_up(dir.path());
    assert!(bad[0].contains("log/1/tile/entries/000` is not what the log's tree says: in epoch 1, "), "{bad:?}");
    assert!(bad.len() == 1 && bad[0].contains("; base copy and journal have its entries, "), "{bad:?}");
    // That is true: all of it can be read of the backup.
    let target = TempDir::new().unwrap();
    let unpacked = Store::unpack(backup.path(), target.path(), &ours()).unwrap();
    unpacked.verify_integrity().await.unwrap();
    drop(unpacked);
    for (gone, count) in [(&first, 1), (&second, 2)] {
        fs::remove_file(gone).unwrap();
        let bad = backed_up(dir.path()).1;
        assert!(bad.len() == count && bad.iter().all(|bad| bad.contains("` is missing; base copy and")), "{bad:?}");
    }
    fs::remove_dir_all(dir.path().join("log")).unwrap();
    assert_eq!(backed_up(dir.path()).1.len(), 2, "all that was published is gone, too");
}

#[tokio::test]
async fn what_was_never_bundled_is_no_file_that_is_missing() {
    let (dir, store, ..) = filled().await;
    drop(store);
    // As if none had ever been.
    fs::remove_dir_all(dir.path().join("log/1")).unwrap();
    fs::create_dir(dir.path().join("log/1")).unwrap();
    fs::write(dir.path().join("log/1/checkpoint"), "note").unwrap();
    assert_eq!(backed_up(dir.path()).1, Vec::<String>::new());
}

#[tokio::test]
async fn a_repair_writes_files_anew_and_moves_the_bad_ones_aside() {
    let (dir, whole, all) = stopped().await;
    let path = file(dir.path(), 0);
    flip(&path);
    let bad = fs::read(&path).unwrap();
    fs::remove_file(file(dir.path(), 1)).unwrap();
    let repaired = Store::repair(dir.path(), &ours()).unwrap();
    let Repaired::Files { problem, bad_files, .. } = repaired else { panic!("{repaired:?}") };
    assert!(problem.contains("000` is not what") && problem.contains("; `") && problem.ends_with("001` is missing"));
    assert_eq!(bad_files, Vec::<String>::new());
    assert_eq!(fs::read(&path).unwrap(), whole);
    assert_eq!(fs::read(path.with_extension("broken-1")).unwrap(), bad);
    assert!(!dir.path().join("store.broken-1").exists() && !dir.path().join("store.remade").exists());
    assert!(matches!(Store::repair(dir.path(), &ours()).unwrap(), Repaired::Whole(_)));
    assert_eq!(read(&Store::open(dir.path(), &ours()).unwrap()), all);
}

#[tokio::test]
async fn an_open_store_brings_back_what_is_missing() {
    let (dir, whole, all) = stopped().await;
    let store = Store::open(dir.path(), &ours()).unwrap();
    assert_eq!(store.bring_back().unwrap(), 0);
    fs::remove_dir_all(dir.path().join("log")).unwrap();
    assert_eq!(store.lost_entries().unwrap(), vec![0..512; 1]);
    assert_eq!(store.bring_back().unwrap(), 512);
    assert_eq!((store.lost_entries().unwrap(), fs::read(file(dir.path(), 0)).unwrap()), (Vec::new(), whole));
    assert_eq!(read(&store), all);
    // Where the base copy cannot be read, what the journal has is found all the same.
    let base = fs::read_dir(dir.path().join("base")).unwrap().next().unwrap().unwrap().path();
    flip(&base);
    fs::remove_dir_all(dir.path().join("log")).unwrap();
    assert_eq!((store.bring_back().unwrap(), read(&store)), (512, all));
    // Where neither can be read, nobody says that they do not have it.
    fs::remove_dir_all(dir.path().join("log")).unwrap();
    for segment in crate::journal::segments(&dir.path().join("journal")).unwrap() {
        fs::write(&segment.path, "").unwrap();
    }
    let error = store.bring_back().unwrap_err();
    assert!(crate::repair::causes(&error).contains("is damaged at byte"), "{error:?}");
}

#[tokio::test]
async fn the_last_file_that_was_bundled_is_missed_and_one_that_never_was_is_not() {
    let (dir, ..) = stopped().await;
    let (last, whole) = (file(dir.path(), 1), fs::read(file(dir.path(), 1)).unwrap());
    fs::remove_file(&last).unwrap();
    let bad = backed_up(dir.path()).1;
    assert!(bad.len() == 1 && bad[0].contains("001` is missing; base copy and journal have its entries"), "{bad:?}");
    // As if the second had not been bundled yet, beside the first.
    let note = dir.path().join("log/1/bundled");
    assert_eq!(fs::read_to_string(&note).unwrap(), "2\n");
    fs::write(&note, "1\n").unwrap();
    assert_eq!(backed_up(dir.path()).1, Vec::<String>::new());
    // What is noted is believed of nothing else.
    for noted in ["", "x", "99999999999999999999999999999999999999999999", "0\n"] {
        fs::write(&note, noted).unwrap();
        fs::write(&last, &whole).unwrap();
        assert_eq!(backed_up(dir.path()).1, Vec::<String>::new(), "{noted}");
        flip(&last);
        assert_eq!(backed_up(dir.path()).1.len(), 1, "{noted}");
    }
}

#[tokio::test]
async fn a_log_that_was_served_has_what_was_published_of_it() {
    let dir = TempDir::new().unwrap();
    let store = Store::create(dir.path(), ours()).unwrap();
    super::tests::write(&store, 0, 3).await;
    drop(store);
    let bad = |says_served: fn(&[u8]) -> bool| {
        let backup = TempDir::new().unwrap();
        Store::back_up_served(dir.path(), backup.path(), crate::backup::Whose { key: Some(&ours().key), says_served })
            .unwrap()
            .bad_files
    };
    assert_eq!(bad(|_| false), Vec::<String>::new(), "no server ran yet");
    let missing = bad(|_| true);
    assert!(
        missing.len() == 1 && missing[0].contains("log/1/checkpoint` is missing, and what was published"),
        "{missing:?}"
    );
    fs::create_dir_all(dir.path().join("log/1")).unwrap();
    assert_eq!(bad(|_| true).len(), 1, "an empty directory is none");
    fs::write(dir.path().join("log/1/checkpoint"), "note").unwrap();
    assert_eq!(bad(|_| true), Vec::<String>::new());
}

#[tokio::test]
async fn an_older_base_copy_is_looked_into_too() {
    let (dir, whole, all) = stopped().await;
    // The newest copy was made when the entries were in their files already.
    let places = crate::places::Places::of(dir.path());
    let store = Store::open(dir.path(), &ours()).unwrap();
    let oldest = crate::base::all(&places.base).unwrap().remove(0);
    let id = crate::base::read(&oldest, |_| Ok::<_, crate::base::BaseError>(())).unwrap();
    let version = store.shared.applied().version;
    crate::base::write(&places.base, id, version, &store.shared.trees).unwrap();
    drop(store);
    let bases = crate::base::all(&places.base).unwrap();
    assert_eq!(bases.len(), 2);
    flip(&file(dir.path(), 0));
    let repaired = Store::repair(dir.path(), &ours()).unwrap();
    assert!(matches!(&repaired, Repaired::Files { bad_files, .. } if bad_files.is_empty()), "{repaired:?}");
    assert_eq!(fs::read(file(dir.path(), 0)).unwrap(), whole);
    // Without it the journal before the other one is left.
    fs::remove_file(&bases[0].path).unwrap();
    flip(&file(dir.path(), 0));
    let repaired = Store::repair(dir.path(), &ours()).unwrap();
    assert!(matches!(&repaired, Repaired::Files { bad_files, .. } if bad_files.is_empty()), "{repaired:?}");
    assert_eq!(read(&Store::open(dir.path(), &ours()).unwrap()), all);
}

/// Break a frame of the last segment that has the end of nothing that is looked for.
fn break_journal(dir: &Path) {
    let segment = crate::journal::segments(&dir.join("journal")).unwrap().pop().unwrap();
    let mut bytes = fs::read(&segment.path).unwrap();
    let key = FileHeader::parse(FileKind::Journal, &bytes).unwrap().frame_key();
    let places = (HEADER_BYTES..bytes.len()).step_by(ALIGN);
    let frames: Vec<_> = places.filter(|&at| key.header(at as u64, &bytes[at..]).is_some()).collect();
    let [.., broken, _] = frames[..] else { panic!("{frames:?}") };
    bytes[broken + HEADER_BYTES] ^= 1;
    fs::write(&segment.path, bytes).unwrap();
}

/// The same store, with groups after all that is bundled.
async fn gone_on(dir: &Path) {
    let store = Store::open_with(dir, &ours(), lazy()).unwrap();
    for n in 0..3 {
        store.commit(put(n, "after it")).await.unwrap();
    }
}

#[tokio::test]
async fn what_a_broken_journal_has_is_brought_back_before_a_new_one_is_begun() {
    let (dir, whole, _) = stopped().await;
    gone_on(dir.path()).await;
    break_journal(dir.path());
    fs::remove_file(file(dir.path(), 0)).unwrap();
    let repaired = Store::repair(dir.path(), &ours()).unwrap();
    let Repaired::NewJournal { problem, bad_files, .. } = repaired else { panic!("{repaired:?}") };
    assert!(problem.contains("is damaged at byte") && problem.ends_with("tile/entries/000` is missing"), "{problem}");
    assert_eq!((bad_files, fs::read(file(dir.path(), 0)).unwrap()), (Vec::<String>::new(), whole));
    assert!(matches!(Store::repair(dir.path(), &ours()).unwrap(), Repaired::Whole(_)));
}

#[tokio::test]
async fn what_was_moved_aside_is_looked_into_too() {
    let (dir, whole, _) = stopped().await;
    gone_on(dir.path()).await;
    break_journal(dir.path());
    let repaired = Store::repair(dir.path(), &ours()).unwrap();
    assert!(matches!(&repaired, Repaired::NewJournal { bad_files, .. } if bad_files.is_empty()), "{repaired:?}");
    // The new base copy and the new journal have none of the entries that were in files then. Not even the header of
    // the old ones is needed.
    for segment in crate::journal::segments(&dir.path().join("journal.broken-1")).unwrap() {
        let mut bytes = fs::read(&segment.path).unwrap();
        bytes[20] ^= 1;
        fs::write(&segment.path, bytes).unwrap();
    }
    fs::remove_file(file(dir.path(), 0)).unwrap();
    let repaired = Store::repair(dir.path(), &ours()).unwrap();
    assert!(matches!(&repaired, Repaired::Files { bad_files, .. } if bad_files.is_empty()), "{repaired:?}");
    assert_eq!(fs::read(file(dir.path(), 0)).unwrap(), whole);
    // Without it nobody has them, and that is said.
    fs::remove_dir_all(dir.path().join("journal.broken-1")).unwrap();
    fs::remove_file(file(dir.path(), 0)).unwrap();
    let repaired = Store::repair(dir.path(), &ours()).unwrap();
    assert!(matches!(&repaired, Repaired::BadFiles { bad_files, .. } if bad_files.len() == 1), "{repaired:?}");
}

#[tokio::test]
async fn where_the_engine_is_made_anew_what_is_missing_is_brought_back_too() {
    let (dir, whole, _) = stopped().await;
    gone_on(dir.path()).await;
    // The new base copy has nothing of what is in files; what is aside has it.
    break_journal(dir.path());
    Store::repair(dir.path(), &ours()).unwrap();
    fs::remove_dir_all(dir.path().join("store")).unwrap();
    fs::remove_file(file(dir.path(), 0)).unwrap();
    let repaired = Store::repair(dir.path(), &ours()).unwrap();
    assert!(matches!(&repaired, Repaired::Rebuilt { bad_files, .. } if bad_files.is_empty()), "{repaired:?}");
    assert_eq!(fs::read(file(dir.path(), 0)).unwrap(), whole);
}

#[tokio::test]
async fn a_file_that_cannot_be_opened_is_damage_of_the_log_and_is_made_anew() {
    let (dir, whole, all) = stopped().await;
    let path = file(dir.path(), 0);
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let store = Store::open(dir.path(), &ours()).unwrap();
    let error = store.entry(3).unwrap_err();
    let damage = error.damage().expect("damage").to_owned();
    assert!(damage.starts_with("`log/1/tile/entries/000` cannot be read: it is no regular file; "), "{damage}");
    drop(store);
    let repaired = Store::repair(dir.path(), &ours()).unwrap();
    assert!(matches!(&repaired, Repaired::Files { bad_files, .. } if bad_files.is_empty()), "{repaired:?}");
    assert_eq!(fs::read(&path).unwrap(), whole);
    assert!(path.with_extension("broken-1").is_dir());
    assert_eq!(read(&Store::open(dir.path(), &ours()).unwrap()), all);
}
