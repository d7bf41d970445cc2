//! What is kept is there after a crash at any byte, and never goes back.

use attorn_log::{CheckpointSigner, Hash};
use tempfile::TempDir;

use super::*;

fn signer() -> CheckpointSigner {
    CheckpointSigner::new("attorn/main/1".parse().unwrap(), &[7; 32])
}

fn checkpoint(size: u64) -> SignedCheckpoint {
    signer().sign(size, if size == 0 { Hash::EMPTY_ROOT } else { Hash([1; 32]) })
}

fn newest(dir: &Path) -> Option<u64> {
    let kept = Kept::open(dir, &signer().verifier()).unwrap();
    kept.newest.map(|checkpoint| checkpoint.checkpoint().size)
}

#[test]
fn the_newest_is_kept_and_one_for_each_bundle() {
    let dir = TempDir::new().unwrap();
    assert_eq!(newest(dir.path()), None);
    let mut before = 0;
    for size in [1, 255, 256, 300, 511, 600, 1_024] {
        put_newest(dir.path(), &checkpoint(size), before).unwrap();
        assert_eq!(newest(dir.path()), Some(size));
        before = size;
    }
    let history = fs::read_to_string(dir.path().join(EARLIER)).unwrap();
    let sizes: Vec<u64> = notes(&history)
        .iter()
        .map(|note| signer().verifier().verify(note.as_bytes()).unwrap().checkpoint().size)
        .collect();
    assert_eq!(sizes, [256, 600, 1_024]);
}

#[test]
fn what_could_not_be_kept_is_tried_again_and_stands_once_in_the_history() {
    let dir = TempDir::new().unwrap();
    // A full disk, for one file of the two.
    let in_the_way = dir.path().join(format!("{NEWEST}.tmp"));
    fs::create_dir(&in_the_way).unwrap();
    for _ in 0..3 {
        put_newest(dir.path(), &checkpoint(256), 0).unwrap_err();
    }
    fs::remove_dir(&in_the_way).unwrap();
    put_newest(dir.path(), &checkpoint(256), 0).unwrap();
    assert_eq!(fs::read_to_string(dir.path().join(EARLIER)).unwrap(), checkpoint(256).note());
}

#[test]
fn a_history_that_was_cut_at_any_byte_is_mended() {
    let dir = TempDir::new().unwrap();
    put_newest(dir.path(), &checkpoint(256), 0).unwrap();
    let first = fs::read(dir.path().join(EARLIER)).unwrap();
    put_newest(dir.path(), &checkpoint(512), 256).unwrap();
    let both = fs::read(dir.path().join(EARLIER)).unwrap();
    // The newest was not replaced any more.
    put(dir.path(), NEWEST, checkpoint(300).note()).unwrap();
    for cut in 0..=both.len() {
        fs::write(dir.path().join(EARLIER), &both[..cut]).unwrap();
        assert_eq!(newest(dir.path()), Some(if cut == both.len() { 512 } else { 300 }), "{cut}");
        let left = fs::read(dir.path().join(EARLIER)).unwrap().len();
        let whole = if cut == both.len() {
            both.len()
        } else if cut >= first.len() {
            first.len()
        } else {
            0
        };
        assert_eq!(left, whole, "{cut}");
    }
}

#[test]
fn what_is_of_another_key_or_changed_is_refused() {
    let dir = TempDir::new().unwrap();
    put_newest(dir.path(), &checkpoint(256), 0).unwrap();
    let other = CheckpointSigner::new("attorn/main/1".parse().unwrap(), &[8; 32]);
    let refused = |verifier: &CheckpointVerifier, message: &str| {
        let error = Kept::open(dir.path(), verifier).err().unwrap();
        assert!(error.starts_with(message), "{error}");
    };
    refused(&other.verifier(), "`checkpoint`: the checkpoint is not signed by `attorn/main/1+");
    let whole = fs::read_to_string(dir.path().join(NEWEST)).unwrap();
    for (text, message) in [
        (whole.replace("256", "257"), "`checkpoint`: the checkpoint's signature is wrong"),
        (String::new(), "`checkpoint`: the checkpoint is no signed note"),
        ("x".repeat(100_000), "`checkpoint`: it has more than 65536 bytes"),
    ] {
        fs::write(dir.path().join(NEWEST), text).unwrap();
        refused(&signer().verifier(), message);
    }
    fs::write(dir.path().join(NEWEST), &whole).unwrap();
    let two = format!("{}{whole}", whole.replace("256", "255"));
    fs::write(dir.path().join(EARLIER), two).unwrap();
    refused(&signer().verifier(), "number 1 in `checkpoints`: the checkpoint's signature is wrong");
}
