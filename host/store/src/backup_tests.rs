//! A backup holds what was acknowledged before it was begun, whatever is written meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use attorn_log::{Entry, Epoch, Link};
use tempfile::TempDir;

use super::*;
use crate::error::OpenError;
use crate::fixtures::{batch, body, hurried, meta, ours, ours_of, put};
use crate::repair::causes;
use crate::steps::EveryStep;

async fn write(store: &Store, n: u64) {
    let deed = batch(|batch| {
        batch.put.push((meta(n), vec![b'x'; 300]));
        batch.entries.push(body(n));
    });
    store.commit(deed).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backups_of_a_store_that_is_written_to_are_whole() {
    let dir = TempDir::new().unwrap();
    let store = Arc::new(Store::create_with(dir.path(), ours(), hurried(EveryStep)).unwrap());
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let writer = {
        let (store, stop, done) = (Arc::clone(&store), Arc::clone(&stop), Arc::clone(&done));
        tokio::spawn(async move {
            for n in 0.. {
                write(&store, n).await;
                done.store(n + 1, Ordering::SeqCst);
                if stop.load(Ordering::SeqCst) {
                    return;
                }
            }
        })
    };
    let blob = store.files().write(b"component".to_vec(), 100).await.unwrap();
    for round in 0..8 {
        while done.load(Ordering::SeqCst) < round * 60 {
            tokio::task::yield_now().await;
        }
        let before = done.load(Ordering::SeqCst);
        let (backup, target) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let made = Store::back_up(dir.path(), backup.path()).unwrap();
        assert!(made.version >= before && made.base <= made.version && made.files >= 3, "{made:?}");
        let unpacked = Store::unpack(backup.path(), target.path(), &ours()).unwrap();
        let integrity = unpacked.verify_integrity().await.unwrap();
        assert_eq!((integrity.version, integrity.entries), (made.version, made.version));
        assert_eq!(unpacked.files().read(blob, 100).await.unwrap(), b"component");
        // It is a store like any other.
        write(&unpacked, 1_000_000).await;
        drop(unpacked);
        drop(Store::open(target.path(), &ours()).unwrap());
    }
    stop.store(true, Ordering::SeqCst);
    writer.await.unwrap();
}

#[tokio::test]
async fn what_is_no_whole_backup_is_not_unpacked() {
    let (dir, backup) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let store = Store::create(dir.path(), ours()).unwrap();
    for n in 0..5 {
        write(&store, n).await;
    }
    drop(store);
    fs::create_dir_all(dir.path().join("log/1")).unwrap();
    fs::write(dir.path().join("log/1/checkpoint"), "note").unwrap();
    fs::write(dir.path().join("log/1/checkpoint.tmp"), "no").unwrap();
    let made = Store::back_up(dir.path(), backup.path()).unwrap();
    assert_eq!(made.version, 5);
    assert_eq!(fs::read(backup.path().join("log/1/checkpoint")).unwrap(), b"note");
    assert_eq!(fs::read_dir(backup.path().join("log/1")).unwrap().count(), 1);
    let unpack = |log: &str| {
        let target = TempDir::new().unwrap();
        Store::unpack(backup.path(), &target.path().join("new"), &ours_of(log)).map(drop)
    };
    unpack("test").unwrap();
    assert!(matches!(unpack("other"), Err(BackupError::Open(OpenError::OtherLog { .. }))));
    let again = Store::back_up(dir.path(), backup.path());
    assert!(matches!(again, Err(BackupError::NotEmpty { .. })), "{again:?}");
    let nothing = Store::back_up(&dir.path().join("nothing"), &dir.path().join("to"));
    assert!(matches!(nothing, Err(BackupError::Open(OpenError::NotThere { .. }))), "{nothing:?}");
    for part in ["base/00000000000000000000.base", "journal/00000000000000000000.journal"] {
        let path = backup.path().join(part);
        let whole = fs::read(&path).unwrap();
        let mut bytes = whole.clone();
        bytes[100] ^= 1;
        fs::write(&path, bytes).unwrap();
        assert!(unpack("test").is_err(), "{part}");
        fs::remove_file(&path).unwrap();
        assert!(unpack("test").is_err(), "{part}");
        fs::write(&path, whole).unwrap();
    }
    unpack("test").unwrap();
    fs::remove_file(backup.path().join("backup.format")).unwrap();
    assert!(matches!(unpack("test"), Err(BackupError::NotABackup { .. })));
}

#[tokio::test]
async fn nothing_that_a_backup_needs_is_removed_while_it_is_made() {
    let dir = TempDir::new().unwrap();
    let store = Store::create_with(dir.path(), ours(), hurried(EveryStep)).unwrap();
    let places = Places::of(dir.path());
    let kept = keep(&places).unwrap();
    let bases = || base::all(&places.base).unwrap().len();
    for n in 0.. {
        if bases() > base::KEPT + 1 {
            break;
        }
        write(&store, n).await;
    }
    assert_eq!(journal::segments(&places.journal).unwrap()[0].first, 0);
    drop(kept);
    let had = bases();
    for n in 1_000_000.. {
        if bases() <= base::KEPT && journal::segments(&places.journal).unwrap()[0].first > 0 {
            break;
        }
        assert!(bases() <= had + 1);
        write(&store, n).await;
    }
}

#[tokio::test]
async fn a_new_epoch_has_the_state_an_empty_log_and_names_for_what_was_before() {
    let (first, second, third) = (TempDir::new().unwrap(), TempDir::new().unwrap(), TempDir::new().unwrap());
    let old = Store::create(first.path(), ours()).unwrap();
    for n in 0..5 {
        write(&old, n).await;
    }
    let new = old.begin_epoch(second.path(), Epoch(2)).unwrap();
    let head = new.log_head().unwrap();
    assert_eq!((head.epoch, head.size), (Epoch(2), 0));
    let found = new.get(&meta(3)).await.unwrap().unwrap();
    assert_eq!(found, old.get(&meta(3)).await.unwrap().unwrap());
    // What was written before is named by where it was written.
    let reference = new.entry_ref(found.version, found.entries.start);
    assert_eq!(reference, old.entry_ref(found.version, found.entries.start));
    write(&new, 9).await;
    let found = new.get(&meta(9)).await.unwrap().unwrap();
    assert_eq!(
        (found.version, new.entry_ref(found.version, found.entries.start).to_string()),
        (6, "test/2/0".to_owned())
    );
    let entry = Entry::parse(&new.entry(0).unwrap().unwrap()).unwrap();
    assert_eq!((entry.at.epoch, entry.previous), (Epoch(2), Link::NONE));
    assert_eq!(new.verify_integrity().await.unwrap().values, 6);
    let newer = new.begin_epoch(third.path(), Epoch(5)).unwrap();
    let names: Vec<_> = [1, 5, 6, 7].map(|version| newer.entry_ref(version, 0).epoch.0).into();
    assert_eq!(names, [1, 1, 2, 5]);
    for taken in [0, 1, 2] {
        let fourth = TempDir::new().unwrap();
        let refused = new.begin_epoch(fourth.path(), Epoch(taken)).err().map(|error| error.to_string()).unwrap();
        assert!(refused.contains(&format!("epoch {taken} does not come after epoch 2")), "{refused}");
    }
    drop((new, newer));
    // It opens again, with all of that.
    let newer = Store::open(third.path(), &ours()).unwrap();
    assert_eq!(newer.entry_ref(5, 0).epoch, Epoch(1));
    newer.commit(put(1, "goes on")).await.unwrap();
    newer.verify_integrity().await.unwrap();
}

/// A backup of a store, with a part of the journal that can be lost without a trace in the others.
async fn backup_of_several_segments(dir: &Path) -> (TempDir, BackedUp) {
    let store = Store::create_with(dir, ours(), hurried(EveryStep)).unwrap();
    for round in 0..1_000 {
        for n in 0..8 {
            write(&store, round * 8 + n).await;
        }
        let backup = TempDir::new().unwrap();
        let made = Store::back_up(dir, backup.path()).unwrap();
        if journal::segments(&Places::of(backup.path()).journal).unwrap().len() > 1 {
            return (backup, made);
        }
    }
    unreachable!("the journal never came to a second segment after a base copy");
}

#[tokio::test]
async fn a_backup_that_lost_its_end_comes_to_less_than_it_says_that_it_had() {
    let (dir, target) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (backup, made) = backup_of_several_segments(dir.path()).await;
    let end = Store::backup_end(backup.path()).unwrap();
    assert_eq!(end, BackupEnd { version: made.version, entries: made.entries, epoch: made.epoch });
    let came = |to: &str| {
        let unpacked = Store::unpack(backup.path(), &target.path().join(to), &ours()).unwrap();
        let head = unpacked.log_head().unwrap();
        // Each batch has one entry.
        BackupEnd { version: head.size, entries: head.size, epoch: head.epoch }
    };
    assert_eq!(end.reached(&came("whole")), Reached::All);
    let last = journal::segments(&Places::of(backup.path()).journal).unwrap().pop().unwrap();
    fs::remove_file(&last.path).unwrap();
    let less = came("less");
    assert_eq!(end.reached(&less), Reached::Less);
    assert!(less.entries >= made.base && less.entries < made.entries, "{less}");
    let text = fs::read_to_string(backup.path().join("backup.format")).unwrap();
    assert_eq!(text, format!("attorn-backup 2\nversion {}\nentries {}\nepoch 1\n", made.version, made.entries));
    assert!(!backup.path().join("backup.format.tmp").exists());
}

#[tokio::test]
async fn what_does_not_say_where_it_ended_is_no_backup_and_is_named() {
    let (dir, backup) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let store = Store::create(dir.path(), ours()).unwrap();
    write(&store, 0).await;
    drop(store);
    Store::back_up(dir.path(), backup.path()).unwrap();
    let (marker, target) = (backup.path().join("backup.format"), TempDir::new().unwrap());
    let whole = fs::read(&marker).unwrap();
    let other =
        "this version reads none but 2: make a new backup with this version, or restore it with the one that made it";
    for (bytes, why, is_altered) in [
        (&b"attorn-backup 1\n"[..], format!("is of format 1, and {other}"), false),
        (b"attorn-backup 3\nend 1\n", format!("is of format 3, and {other}"), false),
        (b"", "does not say where the backup ended: it is not what `attorn backup` writes".to_owned(), true),
        (b"\xff\xfe", "does not say where the backup ended: it is not what `attorn backup` writes".to_owned(), true),
        (&whole[..whole.len() - 1], "does not say where the backup ended: it is not".to_owned(), true),
        (&[&whole[..], &vec![b' '; 1 << 20]].concat(), "it is longer than `attorn backup` writes it".to_owned(), true),
    ] {
        fs::write(&marker, bytes).unwrap();
        let refused = [
            Store::check_is_backup(backup.path()).unwrap_err(),
            Store::check_backup(backup.path()).unwrap_err(),
            Store::unpack(backup.path(), &target.path().join("new"), &ours()).map(drop).unwrap_err(),
        ];
        for error in refused {
            let said = error.to_string();
            assert!(said.starts_with(&format!("`{}` ", marker.display())) && said.contains(&why), "{said}");
            assert_eq!(error.is_altered(), is_altered, "{said}");
        }
    }
    // Nobody waits for who writes into it.
    fs::remove_file(&marker).unwrap();
    fs::create_dir(&marker).unwrap();
    let refused = Store::check_is_backup(backup.path()).unwrap_err();
    assert_eq!(causes(&refused), format!("`{}` could not be used: it is no regular file", marker.display()));
}

#[tokio::test]
async fn directories_of_later_epochs_are_named_and_not_unpacked() {
    let (dir, backup, target) = (TempDir::new().unwrap(), TempDir::new().unwrap(), TempDir::new().unwrap());
    let store = Store::create(dir.path(), ours()).unwrap();
    write(&store, 0).await;
    drop(store);
    Store::back_up(dir.path(), backup.path()).unwrap();
    for name in ["log/1", "log/2/tile", "log/30", "records/2/000000"] {
        fs::create_dir_all(backup.path().join(name)).unwrap();
        fs::write(backup.path().join(name).join("000"), "").unwrap();
    }
    let new = target.path().join("new");
    drop(Store::unpack(backup.path(), &new, &ours()).unwrap());
    assert!(new.join("log/1/000").exists());
    for name in ["log/2", "log/30", "records/2"] {
        assert!(!new.join(name).exists(), "{name}");
    }
    let strange = Store::strange_in(backup.path(), Epoch(1)).unwrap().to_string();
    let due: Vec<_> =
        ["log/2", "log/30", "records/2"].map(|name| format!("`{}`", backup.path().join(name).display())).into();
    assert_eq!(strange, due.join(", "));
}

#[tokio::test]
async fn a_pipe_in_the_place_of_a_directory_of_a_backup_is_named() {
    let (dir, backup, target) = (TempDir::new().unwrap(), TempDir::new().unwrap(), TempDir::new().unwrap());
    let store = Store::create(dir.path(), ours()).unwrap();
    write(&store, 0).await;
    drop(store);
    Store::back_up(dir.path(), backup.path()).unwrap();
    for part in ["blobs", "epochs", "log", "records", "base", "journal"] {
        let (path, aside) = (backup.path().join(part), backup.path().join("aside"));
        let was_there = fs::rename(&path, &aside).is_ok();
        let (here, mode) = (rustix::fs::CWD, rustix::fs::Mode::RUSR);
        rustix::fs::mknodat(here, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        for refused in [
            Store::check_is_backup(backup.path()).unwrap_err(),
            Store::check_backup(backup.path()).unwrap_err(),
            Store::unpack(backup.path(), &target.path().join(part), &ours()).map(drop).unwrap_err(),
        ] {
            assert_eq!(causes(&refused), format!("`{}` could not be used: it is no directory", path.display()));
            assert!(refused.is_altered());
        }
        fs::remove_file(&path).unwrap();
        if was_there {
            fs::rename(&aside, &path).unwrap();
        }
    }
    drop(Store::unpack(backup.path(), &target.path().join("whole"), &ours()).unwrap());
}

#[test]
fn who_comes_second_to_an_empty_directory_takes_nothing_away() {
    let (dir, to) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    drop(Store::create_with(dir.path(), ours(), hurried(EveryStep)).unwrap());
    claim(to.path()).unwrap();
    assert!(matches!(claim(to.path()), Err(BackupError::NotEmpty { .. })));
    assert!(matches!(Store::back_up(dir.path(), to.path()), Err(BackupError::NotEmpty { .. })));
    assert!(Places::of(to.path()).base.is_dir());
}

/// What is no regular file is named when its turn comes, which shows whose turn was first.
#[test]
fn the_files_of_a_directory_are_copied_before_the_directories_in_it() {
    let (dir, to) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let log = dir.path().join("log");
    fs::create_dir(&log).unwrap();
    // In whatever order a directory lists them, they are not listed like this by chance.
    for n in 0..20 {
        fs::create_dir(log.join(format!("checkpoints-{n}"))).unwrap();
        std::os::unix::fs::symlink("/dev/null", log.join(format!("checkpoints-{n}/0"))).unwrap();
        std::os::unix::fs::symlink("/dev/null", log.join(format!("checkpoint-{n}"))).unwrap();
    }
    let mut copied = Copied::default();
    copied.copy_dir(&log, &to.path().join("log")).unwrap();
    let (files, below) = copied.bad_files.split_at(20);
    assert!(files.iter().all(|bad| bad.contains("/log/checkpoint-")), "{files:?}");
    assert!(below.len() == 20 && below.iter().all(|bad| bad.contains("/log/checkpoints-")), "{below:?}");
}
