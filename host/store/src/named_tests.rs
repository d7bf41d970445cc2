//! Each file that a record names is read, wherever the record stands, and one that is bad is named with what needs it.

use std::os::unix::fs::{PermissionsExt as _, symlink};

use attorn_core::{ComponentClass, PolicyLimits, PolicyMode, Selector, TimeMs};
use attorn_log::{CheckpointSigner, Origin, export_header};
use tempfile::TempDir;

use super::*;
use crate::backup::BackupError;
use crate::commit::Store;
use crate::fixtures::{batch, body, hurried, id, log, ours, put};
use crate::places::Places;
use crate::records::EpochEnd;
use crate::steps::EveryStep;

const COMPONENT: &[u8] = b"a component";
const SETTINGS: &[u8] = b"large settings";

fn version(component: Digest, settings: PolicySettings, version: u32) -> PolicyVersionRecord {
    PolicyVersionRecord {
        policy: id("read-only"),
        version,
        component,
        settings,
        selector: Selector::default(),
        mode: PolicyMode::Enforce,
        required: false,
        limits: PolicyLimits::NATIVE,
        class: ComponentClass::Native,
        created_at: TimeMs(1_000),
        created_by: id("ada"),
        signature: None,
    }
}

/// A store with two versions of a policy, one component, settings in a file, and an earlier epoch.
async fn store(dir: &Path) -> (Store, Digest, Digest) {
    let store = Store::create_with(dir, ours(), hurried(EveryStep)).unwrap();
    let component = store.files().write(COMPONENT.to_vec(), 100).await.unwrap();
    let settings = store.files().write(SETTINGS.to_vec(), 100).await.unwrap();
    let signer = CheckpointSigner::new(Origin::of(&log(), Epoch(7)), &[7; 32]);
    let checkpoint = signer.sign(0, attorn_log::Hash::EMPTY_ROOT);
    fs::create_dir(dir.join(EPOCHS)).unwrap();
    fs::write(dir.join("epochs/7.export"), export_header(&signer.verifier(), &checkpoint)).unwrap();
    let named = batch(|batch| {
        batch.put_record(&version(component, PolicySettings::of(attorn_core::JsonText::from_canonical("{}")), 1));
        batch.put_record(&log_epoch(&signer));
        batch.entries.push(body(0));
    });
    store.commit(named).await.unwrap();
    // The first is in a base copy then, and what follows in the journal alone.
    let places = Places::of(dir);
    for n in 0.. {
        if crate::base::all(&places.base).unwrap().iter().any(|base| base.version > 1) {
            break;
        }
        store.commit(put(n % 7, &"x".repeat(2_000))).await.unwrap();
    }
    let later = batch(|batch| batch.put_record(&version(component, PolicySettings::File(settings), 2)));
    store.commit(later).await.unwrap();
    (store, component, settings)
}

fn back_up(dir: &Path) -> (TempDir, BadNamed) {
    let to = TempDir::new().unwrap();
    let made = Store::back_up(dir, to.path()).unwrap();
    assert_eq!(made.bad_files, Vec::<String>::new());
    assert_eq!(Store::check_backup(to.path()).unwrap(), made.bad_named);
    (to, made.bad_named)
}

#[tokio::test]
async fn what_records_name_is_read_in_stores_and_in_backups() {
    let dir = TempDir::new().unwrap();
    let (store, component, settings) = store(dir.path()).await;
    let (_whole, bad) = back_up(dir.path());
    assert!(bad.is_empty(), "{bad:?}");
    // One that nobody needs is read as well.
    let unneeded = store.files().write(b"nobody needs it".to_vec(), 100).await.unwrap();
    drop(store);
    assert!(Store::check_named(dir.path()).unwrap().is_empty());
    let blob = |digest: Digest| dir.path().join(BLOBS).join(digest.to_string());
    fs::write(blob(component), b"a Component").unwrap();
    fs::remove_file(blob(settings)).unwrap();
    fs::write(blob(unneeded), b"").unwrap();
    let export = dir.path().join("epochs/7.export");
    let whole = fs::read_to_string(&export).unwrap();
    fs::write(&export, format!("{whole}x\n")).unwrap();
    let (backup, bad) = back_up(dir.path());
    let said: BTreeSet<_> =
        bad.blobs.iter().map(|bad| bad.to_string().replace(&backup.path().display().to_string(), "")).collect();
    let expect = [
        format!(
            "`/blobs/{component}` has other bytes than its name says: it is the component of `read-only` version 1, \
             the component of `read-only` version 2"
        ),
        format!("`/blobs/{settings}` is missing: it is the settings of `read-only` version 2"),
        format!("`/blobs/{unneeded}` has other bytes than its name says: no version of a policy needs it"),
    ];
    assert_eq!(said, BTreeSet::from(expect));
    let [export] = &bad.exports[..] else { panic!("{bad:?}") };
    assert!(
        export.to_string().contains("/epochs/7.export`, all that is kept of epoch 7 of the log: the log goes on"),
        "{export}"
    );
    // It is copied as it is.
    assert_eq!(fs::read(backup.path().join(BLOBS).join(component.to_string())).unwrap(), b"a Component");
    let here = Store::check_named(dir.path()).unwrap();
    assert_eq!((here.blobs.len(), here.exports.len()), (3, 1));
    // An export that is whole and of another end is not what the log says.
    let signer = CheckpointSigner::new(Origin::of(&log(), Epoch(7)), &[7; 32]);
    fs::remove_file(dir.path().join("epochs/7.export")).unwrap();
    let (_backup, bad) = back_up(dir.path());
    assert_eq!(bad.exports[0].problem, "it is missing");
    let mut record = log_epoch(&signer);
    record.checkpoint = signer.sign(1, attorn_log::Hash([1; 32])).note().to_owned();
    let path = dir.path().join("other");
    fs::write(&path, &whole).unwrap();
    let problem = problem_of_export(&path, &record, |_, _| {}).unwrap();
    assert_eq!(problem, "it does not end where the log says that the epoch ended");
    record.checkpoint = signer.sign(0, attorn_log::Hash::EMPTY_ROOT).note().to_owned();
    assert_eq!(problem_of_export(&path, &record, |_, _| {}), None);
}

#[tokio::test]
async fn what_is_no_regular_file_is_named_and_neither_followed_nor_waited_for() {
    let dir = TempDir::new().unwrap();
    let (store, component, settings) = store(dir.path()).await;
    drop(store);
    let outside = TempDir::new().unwrap();
    let secret = outside.path().join("secret");
    fs::write(&secret, COMPONENT).unwrap();
    let blob = |digest: Digest| dir.path().join(BLOBS).join(digest.to_string());
    fs::remove_file(blob(component)).unwrap();
    symlink(&secret, blob(component)).unwrap();
    fs::remove_file(blob(settings)).unwrap();
    pipe(&blob(settings));
    let export = dir.path().join("epochs/7.export");
    let whole = fs::read(&export).unwrap();
    fs::remove_file(&export).unwrap();
    pipe(&export);
    // One that no record names is bad, however whole.
    fs::write(dir.path().join("epochs/8.export"), &whole).unwrap();
    fs::create_dir_all(dir.path().join("log/1")).unwrap();
    symlink(&secret, dir.path().join("log/1/checkpoint")).unwrap();
    let to = TempDir::new().unwrap();
    let made = Store::back_up(dir.path(), to.path()).unwrap();
    let [bad] = &made.bad_files[..] else { panic!("{made:?}") };
    assert!(bad.ends_with("/log/1/checkpoint` cannot be read: it is no regular file"), "{bad}");
    let blobs: Vec<_> = made.bad_named.blobs.iter().map(|bad| bad.problem.as_str()).collect();
    assert_eq!(blobs, ["cannot be read: it is no regular file"; 2]);
    let exports: Vec<_> = made.bad_named.exports.iter().map(|bad| (bad.epoch.0, bad.problem.as_str())).collect();
    let expect = [(7, "cannot be read: it is no regular file"), (8, "no record of the log names it")];
    assert_eq!(exports, expect);
    for name in ["log/1/checkpoint".to_owned(), format!("blobs/{component}"), "epochs/7.export".to_owned()] {
        assert!(fs::symlink_metadata(to.path().join(&name)).is_err(), "{name}");
    }
    // The same where nothing is copied.
    let here = Store::check_named(dir.path()).unwrap();
    assert_eq!((here.blobs.len(), here.exports.len()), (2, 2));
    // A backup is not followed either.
    fs::create_dir_all(to.path().join("log/1")).unwrap();
    symlink(&secret, to.path().join("log/1/checkpoint")).unwrap();
    let target = TempDir::new().unwrap();
    let refused = Store::unpack(to.path(), &target.path().join("new"), &ours()).map(drop);
    assert!(matches!(refused, Err(BackupError::Io { .. })), "{refused:?}");
}

#[tokio::test]
async fn what_is_longer_than_any_component_is_named_and_not_read() {
    let dir = TempDir::new().unwrap();
    let (store, component, _) = store(dir.path()).await;
    drop(store);
    let path = dir.path().join(BLOBS).join(component.to_string());
    // Nobody reads a terabyte of zeros, and no backup has room for it.
    for (len, problem) in [
        (268_435_457, "cannot be read: it has 268435457 bytes, and none has more than 268435456"),
        (1 << 40, "cannot be read: of its 1099511627776 bytes "),
    ] {
        if len < 1 << 30 {
            fs::write(&path, vec![0; usize::try_from(len).unwrap()]).unwrap();
        } else {
            fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(len).unwrap();
        }
        let to = TempDir::new().unwrap();
        for found in [Store::back_up(dir.path(), to.path()).unwrap().bad_named, Store::check_named(dir.path()).unwrap()]
        {
            let [bad] = &found.blobs[..] else { panic!("{found:?}") };
            assert!(bad.problem.starts_with(problem), "{}", bad.problem);
        }
        assert!(!to.path().join(BLOBS).join(component.to_string()).exists());
    }
}

fn pipe(path: &Path) {
    rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
}

fn log_epoch(signer: &CheckpointSigner) -> LogEpochRecord {
    let checkpoint = signer.sign(0, attorn_log::Hash::EMPTY_ROOT).note().to_owned();
    LogEpochRecord { key: signer.verifier(), checkpoint, ended: EpochEnd::Restored, at: TimeMs(1_000), bad: Vec::new() }
}

#[tokio::test]
async fn a_backup_and_what_it_is_made_of_are_never_one_within_the_other() {
    let home = TempDir::new().unwrap();
    let data = home.path().join("data");
    let (store, ..) = store(&data).await;
    symlink(&data, home.path().join("link")).unwrap();
    symlink(home.path(), data.join("up")).unwrap();
    let elsewhere = TempDir::new().unwrap();
    symlink(data.join("blobs"), elsewhere.path().join("blobs")).unwrap();
    for to in [
        data.clone(),
        data.join("backup"),
        data.join("log/../backup"),
        home.path().join("link"),
        home.path().join("link/backup"),
        home.path().join("data/./up/data/backup"),
        elsewhere.path().join("blobs/backup"),
        home.path().to_owned(),
        data.join("up"),
    ] {
        let before = names(&data);
        let refused = Store::back_up(&data, &to);
        assert!(matches!(refused, Err(BackupError::Within { .. })), "{}: {refused:?}", to.display());
        assert_eq!(names(&data), before, "{}", to.display());
    }
    // By either name of the data.
    let refused = Store::back_up(&home.path().join("link"), &data.join("backup"));
    assert!(matches!(refused, Err(BackupError::Within { .. })), "{refused:?}");
    // Beside it, under a name that only begins the same.
    Store::back_up(&data, &home.path().join("data-2")).unwrap();
    Store::back_up(&data, &data.join("up/backup")).unwrap();
    drop(store);
}

fn names(dir: &Path) -> BTreeSet<String> {
    let mut names: BTreeSet<_> = names_in(dir).unwrap().into_iter().collect();
    // The store makes it when somebody copies.
    names.remove("store.keep");
    names
}

#[tokio::test]
async fn nobody_else_may_read_a_backup() {
    let home = TempDir::new().unwrap();
    let (_store, ..) = store(&home.path().join("data")).await;
    let to = home.path().join("backup");
    Store::back_up(&home.path().join("data"), &to).unwrap();
    let (mut due, mut files) = (vec![to], 0);
    while let Some(path) = due.pop() {
        let found = fs::metadata(&path).unwrap();
        let expect = if found.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(found.permissions().mode() & 0o777, expect, "{}", path.display());
        if found.is_dir() {
            due.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            files += 1;
        }
    }
    assert!(files >= 6, "{files}");
}
