//! A repair that was cut off anywhere is run again with the same, and nothing is signed over a log that is shorter than
//! anything says; what stands where it should not is moved aside, named, and waited for by nobody.

use std::fs::File;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use attorn_core::TimeMs;
use attorn_log::{EntryBody, Epoch, Hash, Origin};
use attorn_store::{Batch, ImprintKey, Ours};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;

use super::*;
use crate::published::{files::Kept, gone};

const SIZE: u64 = 300;

/// A log, and what was published of it.
struct Stage {
    _dir: TempDir,
    config: Config,
    store: Store,
    signer: CheckpointSigner,
    published: PathBuf,
}

async fn stage() -> Stage {
    let dir = TempDir::new().unwrap();
    let text = "listen = \"127.0.0.1:7400\"\npublic_url = \"http://127.0.0.1:7400\"\ndata_dir = \"data\"\n\
                root_key = \"root.key\"\nlog_id = \"test\"\ntls = \"none\"\n";
    let config = Config::parse(text, &dir.path().join("attorn.toml")).unwrap();
    fs::create_dir(&config.data_dir).unwrap();
    let log_id = "test".parse().unwrap();
    let signer = CheckpointSigner::new(Origin::of(&log_id, Epoch(1)), &[9; 32]);
    let store = Store::create(&config.data_dir, Ours { log: log_id, key: ImprintKey::of(&[7; 32]) }).unwrap();
    for n in 0..SIZE {
        let mut batch = Batch::new(TimeMs(1));
        batch.entries.push(EntryBody::parse(&format!("{{\"n\":{n}}}")).unwrap());
        store.commit(batch).await.unwrap();
    }
    let published = directory(&config.data_dir, &signer.verifier());
    fs::create_dir_all(&published).unwrap();
    let mut history = Segments::open(&published, &signer.verifier(), Span::USUAL).unwrap();
    for size in [10, 290, SIZE] {
        let checkpoint = signer.sign(size, store.root(size).unwrap());
        files::put_newest(&published, &mut history, &checkpoint, 0).unwrap();
    }
    Stage { _dir: dir, config, store, signer, published }
}

impl Stage {
    fn path(&self, name: &str) -> PathBuf {
        self.published.join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    async fn mend(&self) -> Mended {
        let integrity = self.store.verify_integrity().await.unwrap();
        mend(&self.config, (&self.store, &integrity), &self.signer).await.unwrap()
    }

    /// What is made anew is one thing, and nothing is left to be.
    async fn mends(&self, named: &str) {
        let mended = self.mend().await;
        assert!(mended.anew.len() == 1 && mended.still_bad.is_empty(), "{mended:?}");
        assert!(mended.anew[0].contains(named), "{named}: {mended:?}");
        let mended = self.mend().await;
        assert!(mended.anew.is_empty() && mended.still_bad.is_empty() && mended.refused.is_none(), "{mended:?}");
        Kept::open(&self.published, &self.signer.verifier()).unwrap();
        assert!(!self.store.remade().unwrap().is_empty(), "the log will say so");
    }
}

/// Whatever is no plain file, by what it is.
fn put_each(path: &Path, what: &str) {
    match what {
        "an empty file" => drop(File::create(path).unwrap()),
        "a file of holes" => File::create(path).unwrap().set_len(1 << 30).unwrap(),
        "a pipe" => mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap(),
        "a directory" => fs::create_dir(path).unwrap(),
        "a link" => symlink("/dev/zero", path).unwrap(),
        _ => symlink("/nowhere", path).unwrap(),
    }
}

#[tokio::test]
async fn who_was_cut_off_while_the_newest_was_replaced_signs_the_same_the_next_time() {
    for cut_off in ["before anything", "when it was kept", "when it was moved", "when it was a directory"] {
        let stage = stage().await;
        let (path, aside) = (stage.path("checkpoint"), stage.path("checkpoint.broken-1"));
        let whole = stage.read("checkpoint");
        let spoilt = whole.replacen("test", "tess", 1);
        fs::write(&path, &spoilt).unwrap();
        match cut_off {
            "before anything" => {}
            "when it was kept" => fs::hard_link(&path, &aside).unwrap(),
            "when it was moved" => fs::rename(&path, &aside).unwrap(),
            _ => {
                fs::remove_file(&path).unwrap();
                fs::create_dir(&aside).unwrap();
            }
        }
        // What was not put in its place any more is in nobody's way.
        fs::write(stage.path("checkpoint.tmp"), "half").unwrap();
        stage.mends("a new one was signed over the 300 entries that the log has").await;
        assert_eq!(stage.read("checkpoint"), whole, "{cut_off}");
        assert!(aside.is_dir() || fs::read_to_string(&aside).unwrap() == spoilt, "{cut_off}");
        assert!(!stage.path("checkpoint.broken-2").exists(), "{cut_off}");
    }
}

#[tokio::test]
async fn what_lies_aside_keeps_a_log_from_being_signed_that_is_shorter() {
    let stage = stage().await;
    let whole = stage.read("checkpoint");
    fs::remove_file(stage.path("checkpoint")).unwrap();
    fs::write(stage.path("checkpoint.broken-1"), &whole).unwrap();
    fs::write(stage.path("checkpoint.broken-2"), stage.signer.sign(400, Hash([7; 32])).note()).unwrap();
    // Neither a repair signs then nor a start.
    let mended = stage.mend().await;
    let named = "checkpoint` is no checkpoint of this log: it is not there, and what was there is `";
    assert!(mended.anew.is_empty() && mended.still_bad.len() == 1, "{mended:?}");
    assert!(mended.still_bad[0].contains(named), "{mended:?}");
    assert!(
        mended.still_bad[0].contains("; it is not made anew: its text counts 400 entries, and the log has 300"),
        "{mended:?}"
    );
    assert!(gone::look(&stage.config, &stage.signer.verifier(), &stage.store).unwrap().is_none(), "it is not gone");
    assert_eq!(gone::unpublished(&stage.config, &stage.store).unwrap(), None);
    let error = Kept::open(&stage.published, &stage.signer.verifier()).err().unwrap();
    assert!(error.starts_with("`checkpoint`: it is not there, and what was there is `"), "{error}");
    assert!(!stage.path("checkpoint").exists());
    // Without it the same log is signed.
    fs::remove_file(stage.path("checkpoint.broken-2")).unwrap();
    stage.mends("a new one was signed over the 300 entries").await;
    assert_eq!(stage.read("checkpoint"), whole);
}

#[tokio::test]
async fn what_is_no_directory_where_the_history_should_be_is_moved_aside_and_the_history_goes_on() {
    for what in ["an empty file", "a file of holes", "a pipe", "a link", "a link to nothing"] {
        let stage = stage().await;
        let path = stage.path("checkpoints");
        fs::rename(&path, stage.path("elsewhere")).unwrap();
        put_each(&path, what);
        let error = Kept::open(&stage.published, &stage.signer.verifier()).err().unwrap();
        assert_eq!(error, "`checkpoints`: it is no directory", "{what}");
        stage.mends("checkpoints` cannot be read: it is no directory; it was moved to `").await;
        assert_eq!(stage.read("checkpoints/0"), stage.read("checkpoint"), "{what}");
        assert!(fs::symlink_metadata(stage.path("checkpoints.broken-1")).is_ok(), "{what}");
    }
}

/// Nothing was signed yet: the start that would do it must not be kept from it for ever.
#[tokio::test]
async fn a_pipe_where_the_first_history_should_be_is_moved_aside() {
    let stage = stage().await;
    fs::remove_dir_all(&stage.published).unwrap();
    fs::create_dir(&stage.published).unwrap();
    put_each(&stage.path("checkpoints"), "a pipe");
    stage.mends("checkpoints` cannot be read: it is no directory").await;
    assert_eq!(stage.read("checkpoints/0"), "");
}

#[tokio::test]
async fn a_segment_that_stands_for_no_entries_is_moved_aside_once() {
    let stage = stage().await;
    let history = stage.read("checkpoints/0");
    fs::write(stage.path("checkpoints/1"), "").unwrap();
    stage.mends("checkpoints/1` stands for entries that the log does not have; it was moved to `").await;
    assert_eq!(stage.read("checkpoints/0"), history);
    // What is damaged in one that belongs there is replaced, and never missing.
    fs::write(stage.path("checkpoints/0"), history.replacen("test", "tess", 1) + &history).unwrap();
    stage.mends("the history has what was whole in it").await;
    assert_eq!(stage.read("checkpoints/0"), history);
    assert!(stage.path("checkpoints/0.broken-1").exists());
}
