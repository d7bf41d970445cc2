//! What was published of an epoch that has ended is what was signed of it, or it is named and made anew.

use attorn_core::TimeMs;
use attorn_log::{CheckpointSigner, EntryBody, Epoch, Origin, SignedCheckpoint, export_header};
use attorn_store::{Batch, ImprintKey, Ours};
use tempfile::TempDir;

use super::*;

const SIZE: u64 = 600;

/// A store in its second epoch, and what was published of the first.
struct Stage {
    dir: TempDir,
    store: Store,
    signer: CheckpointSigner,
    whole: Vec<(PathBuf, Vec<u8>)>,
}

fn signed(store: &Store, signer: &CheckpointSigner, size: u64) -> SignedCheckpoint {
    signer.sign(size, store.root(size).unwrap())
}

async fn stage(ended: EpochEnd) -> Stage {
    let (first, dir) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let ours = Ours { log: "test".parse().unwrap(), key: ImprintKey::of(&[7; 32]) };
    let old = Store::create(first.path(), ours).unwrap();
    for n in 0..SIZE {
        let mut batch = Batch::new(TimeMs(1));
        batch.entries.push(EntryBody::parse(&format!("{{\"n\":{n}}}")).unwrap());
        old.commit(batch).await.unwrap();
    }
    let signer = CheckpointSigner::new(Origin::of(&"test".parse().unwrap(), Epoch(1)), &[9; 32]);
    let store = old.begin_epoch(dir.path(), Epoch(2)).unwrap();
    let last = signed(&old, &signer, SIZE);
    let mut export = export_header(&signer.verifier(), &last).into_bytes();
    let published = published_in(dir.path(), Epoch(1));
    fs::create_dir_all(published.join("tile/entries")).unwrap();
    fs::create_dir_all(dir.path().join("epochs")).unwrap();
    let mut bundles = vec![Vec::new(); 2];
    for n in 0..SIZE {
        let entry = old.entry(n).unwrap().unwrap();
        export.extend_from_slice(&entry);
        if let Some(bundle) = bundles.get_mut(usize::try_from(n / 256).unwrap()) {
            add_to_bundle(bundle, &entry);
        }
    }
    fs::write(export_path(dir.path(), Epoch(1)), export).unwrap();
    for (number, bytes) in bundles.iter().enumerate() {
        fs::write(published.join(format!("tile/entries/00{number}")), bytes).unwrap();
    }
    let mut history = Segments::open(&published, &signer.verifier(), Span::USUAL).unwrap();
    for size in [3, 590] {
        files::put_newest(&published, &mut history, &signed(&old, &signer, size), 0).unwrap();
    }
    let (key, checkpoint) = (signer.verifier(), last.note().to_owned());
    let mut batch = Batch::new(TimeMs(1));
    batch.put_record(&LogEpochRecord { key, checkpoint, ended, at: TimeMs(1), bad: Vec::new() });
    batch.entries.push(EntryBody::parse("{\"n\":0}").unwrap());
    store.commit(batch).await.unwrap();
    let names = ["checkpoint", "tile/entries/000", "tile/entries/001"];
    let whole = names.map(|name| (published.join(name), fs::read(published.join(name)).unwrap())).into();
    Stage { dir, store, signer, whole }
}

impl Stage {
    async fn looked(&self) -> Vec<String> {
        look(self.dir.path(), &self.store).await.unwrap()
    }

    async fn mended(&self) -> Mended {
        let integrity = self.store.verify_integrity().await.unwrap();
        mend(self.dir.path(), (&self.store, &integrity)).await.unwrap()
    }
}

#[tokio::test]
async fn what_is_as_it_was_signed_is_left_as_it_is() {
    let stage = stage(EpochEnd::KeyRotated).await;
    assert_eq!(stage.looked().await, Vec::<String>::new());
    let mended = stage.mended().await;
    assert!(mended.anew.is_empty() && mended.still_bad.is_empty(), "{mended:?}");
    // Nothing of it has to be there.
    fs::remove_dir_all(published_in(stage.dir.path(), Epoch(1))).unwrap();
    assert_eq!(stage.looked().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_file_that_was_changed_or_removed_is_named_and_made_anew() {
    type Damage = fn(&Path);
    let stage = stage(EpochEnd::KeyRotated).await;
    let damages: [(Damage, &str); 4] = [
        (|path| fs::remove_file(path).unwrap(), "` is missing"),
        (|path| fs::write(path, "x").unwrap(), ""),
        (|path| fs::write(path, [&fs::read(path).unwrap()[..], b"x"].concat()).unwrap(), ""),
        (
            |path| {
                fs::remove_file(path).unwrap();
                std::os::unix::fs::symlink("/dev/zero", path).unwrap();
            },
            "",
        ),
    ];
    for (path, whole) in &stage.whole {
        // Of the last of the files with entries nobody can tell that it was there.
        for (damage, problem) in damages.iter().filter(|(_, problem)| problem.is_empty() || !path.ends_with("001")) {
            damage(path);
            let bad = stage.looked().await;
            assert!(bad.len() == 1 && bad[0].contains(&path.display().to_string()), "{bad:?}");
            assert!(bad[0].contains(problem) && bad[0].contains("; `attorn repair` makes it anew of `"), "{bad:?}");
            let mended = stage.mended().await;
            assert!(mended.anew.len() == 1 && mended.still_bad.is_empty(), "{mended:?}");
            assert_eq!(stage.looked().await, Vec::<String>::new());
            if !path.ends_with("checkpoint") {
                assert_eq!(fs::read(path).unwrap(), *whole);
            }
            fs::write(path, whole).unwrap();
        }
    }
    // What the log will say of it.
    assert!(!stage.store.remade().unwrap().is_empty());
}

#[tokio::test]
async fn a_checkpoint_of_another_log_is_evidence_and_stays() {
    let stage = stage(EpochEnd::KeyRotated).await;
    let path = &stage.whole[0].0;
    let forked = stage.signer.sign(590, attorn_log::Hash([7; 32]));
    let longer = stage.signer.sign(SIZE + 1, attorn_log::Hash([7; 32]));
    for (checkpoint, said) in
        [(forked, "one is not of the epoch as it ended"), (longer, "has a checkpoint of 601 entries")]
    {
        fs::write(path, checkpoint.note()).unwrap();
        let bad = stage.looked().await;
        assert!(bad.len() == 1 && bad[0].contains(said), "{bad:?}");
        let mended = stage.mended().await;
        assert!(mended.anew.is_empty() && mended.still_bad == bad, "{mended:?}");
        assert_eq!(fs::read(path).unwrap(), checkpoint.note().as_bytes());
    }
}

/// A backup of a server that went on has checkpoints and files of what came after its journal.
#[tokio::test]
async fn an_epoch_that_ended_with_a_restore_may_have_been_longer() {
    let stage = stage(EpochEnd::Restored).await;
    let longer = stage.signer.sign(SIZE + 300, attorn_log::Hash([7; 32]));
    let published = published_in(stage.dir.path(), Epoch(1));
    let mut history = Segments::open(&published, &stage.signer.verifier(), Span::USUAL).unwrap();
    files::put_newest(&published, &mut history, &longer, 590).unwrap();
    fs::write(published.join("tile/entries/002"), "of what came after").unwrap();
    assert_eq!(stage.looked().await, Vec::<String>::new());
    fs::write(&stage.whole[2].0, "x").unwrap();
    assert_eq!(stage.looked().await.len(), 1);
}

#[tokio::test]
async fn nothing_is_made_anew_of_an_export_that_is_not_what_was_signed() {
    let stage = stage(EpochEnd::KeyRotated).await;
    let export = export_path(stage.dir.path(), Epoch(1));
    let altered = fs::read_to_string(&export).unwrap().replacen("{\"n\":5}", "{\"n\":6}", 1);
    fs::write(&export, altered).unwrap();
    fs::write(&stage.whole[1].0, "x").unwrap();
    let mended = stage.mended().await;
    assert!(mended.anew.is_empty() && mended.still_bad.is_empty(), "{mended:?}");
    assert_eq!(fs::read(&stage.whole[1].0).unwrap(), b"x");
}
