//! What is kept is there after a crash at any byte, and never goes back.

use attorn_log::segments::segment_name;
use attorn_log::{CheckpointSigner, Hash};
use tempfile::TempDir;

use super::*;

const FIRST: &str = "checkpoints/0";

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

/// Open the history with segments of one bundle each.
fn opened(dir: &Path) -> Result<Segments, String> {
    Segments::open(dir, &signer().verifier(), Span::of_bundles(1))
}

fn put_each(dir: &Path, segments: &mut Segments, sizes: &[u64]) {
    let mut before = segments.last().map_or(0, |last| last.checkpoint().size);
    for size in sizes {
        put_newest(dir, segments, &checkpoint(*size), before).unwrap();
        before = *size;
    }
}

fn text(sizes: &[u64]) -> String {
    sizes.iter().map(|size| checkpoint(*size).note().to_owned()).collect()
}

#[test]
fn the_newest_is_kept_and_one_for_each_bundle() {
    let dir = TempDir::new().unwrap();
    assert_eq!(newest(dir.path()), None);
    let mut before = 0;
    for size in [1, 255, 256, 300, 511, 600, 1_024] {
        let mut kept = Kept::open(dir.path(), &signer().verifier()).unwrap();
        put_newest(dir.path(), &mut kept.segments, &checkpoint(size), before).unwrap();
        assert_eq!(newest(dir.path()), Some(size));
        before = size;
    }
    assert_eq!(fs::read_to_string(dir.path().join(FIRST)).unwrap(), text(&[256, 600, 1_024]));
}

#[test]
fn a_history_has_no_end_and_only_its_last_segment_is_read() {
    let dir = TempDir::new().unwrap();
    let mut kept = opened(dir.path()).unwrap();
    // More than once further than one segment, while nothing could be signed.
    put_each(dir.path(), &mut kept, &[256, 300, 512, 1_300]);
    let segments: Vec<String> = (0..6).map(|n| fs::read_to_string(dir.path().join(segment_name(n))).unwrap()).collect();
    assert_eq!(segments, [text(&[]), text(&[256]), text(&[512]), text(&[]), text(&[]), text(&[1_300])]);
    assert_eq!((0..7).map(|n| kept.readable_bytes(n).is_some()).filter(|there| *there).count(), 6);
    // What is wrong before the last is nothing to a start.
    fs::write(dir.path().join(segment_name(2)), "nonsense").unwrap();
    let mut kept = opened(dir.path()).unwrap();
    assert_eq!(kept.last().unwrap().checkpoint().size, 1_300);
    put_each(dir.path(), &mut kept, &[1_536, 1_800]);
    assert_eq!(fs::read_to_string(dir.path().join(segment_name(7))).unwrap(), text(&[1_800]));
    assert_eq!(opened(dir.path()).unwrap().last().unwrap().checkpoint().size, 1_800);
    // An empty one at the end, as a crash may leave it.
    fs::write(dir.path().join(segment_name(8)), "").unwrap();
    assert_eq!(opened(dir.path()).unwrap().last().unwrap().checkpoint().size, 1_800);
    let refused = |message: &str| {
        let error = opened(dir.path()).unwrap_err();
        assert!(error.starts_with(message), "{error}");
    };
    fs::write(dir.path().join(segment_name(8)), text(&[1_800])).unwrap();
    refused("number 1 in `checkpoints/8` counts 1800 entries, and belongs to another segment");
    fs::write(dir.path().join(segment_name(8)), text(&[2_100, 2_100])).unwrap();
    refused("number 2 in `checkpoints/8` does not count more entries than the one before it");
    fs::write(dir.path().join(segment_name(8)), text(&[2_100])).unwrap();
    fs::remove_file(dir.path().join(segment_name(3))).unwrap();
    refused("`checkpoints/3` is missing");
    fs::remove_file(dir.path().join(segment_name(0))).unwrap();
    refused("`checkpoints/0` is missing");
}

#[test]
fn what_could_not_be_kept_is_tried_again_and_stands_once_in_the_history() {
    let dir = TempDir::new().unwrap();
    let mut kept = opened(dir.path()).unwrap();
    put_each(dir.path(), &mut kept, &[256]);
    // A full disk, for one file of the two.
    let in_the_way = dir.path().join(format!("{NEWEST}.tmp"));
    fs::create_dir(&in_the_way).unwrap();
    for size in [511, 512, 600] {
        let before = if size < 512 { 0 } else { 256 };
        put_newest(dir.path(), &mut kept, &checkpoint(size), before).unwrap_err();
        assert_eq!(kept.last().unwrap().checkpoint().size, 256);
    }
    fs::remove_dir(&in_the_way).unwrap();
    put_newest(dir.path(), &mut kept, &checkpoint(600), 256).unwrap();
    assert_eq!(fs::read_to_string(dir.path().join(segment_name(1))).unwrap(), text(&[256]));
    assert_eq!(fs::read_to_string(dir.path().join(segment_name(2))).unwrap(), text(&[600]));
}

/// A part that could not be cut off, as a disk leaves it that takes neither the text nor the cut.
#[test]
fn nothing_is_added_behind_what_could_not_be_taken_back() {
    let dir = TempDir::new().unwrap();
    let path = |n: u64| dir.path().join(segment_name(n));
    let left_over = |n: u64, whole: &[u64], left: &str| fs::write(path(n), text(whole) + left).unwrap();
    let line = format!("\u{2014} example.org/w1 {}\n", "A".repeat(100));
    let mut kept = Segments::open(dir.path(), &signer().verifier(), Span::of_bundles(3)).unwrap();
    put_each(dir.path(), &mut kept, &[256]);
    // The very checkpoint that comes again, a part of one, and more than what comes.
    left_over(0, &[256], &text(&[512]));
    put_each(dir.path(), &mut kept, &[512]);
    assert_eq!(fs::read_to_string(path(0)).unwrap(), text(&[256, 512]));
    left_over(0, &[256, 512], &text(&[600, 700])[..150]);
    let cosigned = signer().verifier().verify((checkpoint(512).note().to_owned() + &line).as_bytes()).unwrap();
    put_witnessed(dir.path(), &mut kept, &cosigned).unwrap();
    assert_eq!(fs::read_to_string(path(0)).unwrap(), text(&[256, 512]) + &line);
    // In segments that were not begun.
    left_over(1, &[], &text(&[800])[..30]);
    left_over(2, &[1_600], "");
    put_each(dir.path(), &mut kept, &[1_700]);
    assert_eq!([1, 2].map(|n| fs::read_to_string(path(n)).unwrap()), [text(&[]), text(&[1_700])]);
    let open = || Segments::open(dir.path(), &signer().verifier(), Span::of_bundles(3));
    assert_eq!(open().unwrap().last().unwrap().checkpoint().size, 1_700);
    // What is gone that was there is no place to go on from.
    fs::write(path(2), "").unwrap();
    put_newest(dir.path(), &mut kept, &checkpoint(2_000), 1_700).unwrap_err();
}

#[test]
fn a_checkpoint_that_is_kept_twice_stands_in_the_history_once() {
    let dir = TempDir::new().unwrap();
    let mut kept = Kept::open(dir.path(), &signer().verifier()).unwrap();
    // As where the server ends while one is written, and writes a last one: nobody heard of the first.
    for size in [300, 300, 400] {
        put_newest(dir.path(), &mut kept.segments, &checkpoint(size), 0).unwrap();
    }
    assert_eq!(fs::read_to_string(dir.path().join(FIRST)).unwrap(), text(&[300]));
    assert_eq!(newest(dir.path()), Some(400));
}

#[test]
fn cosignatures_stand_under_the_checkpoint_that_they_are_of() {
    let dir = TempDir::new().unwrap();
    let line = format!("\u{2014} example.org/w1 {}\n", "A".repeat(100));
    let cosigned = |size: u64| checkpoint(size).note().to_owned() + &line;
    let signed = |size: u64| signer().verifier().verify(cosigned(size).as_bytes()).unwrap();
    let mut kept = Kept::open(dir.path(), &signer().verifier()).unwrap();
    put_newest(dir.path(), &mut kept.segments, &checkpoint(256), 0).unwrap();
    // Of another one, of this one, and once more.
    for size in [255, 256, 256] {
        put_witnessed(dir.path(), &mut kept.segments, &signed(size)).unwrap();
    }
    put_newest(dir.path(), &mut kept.segments, &checkpoint(512), 256).unwrap();
    let expect = cosigned(256) + checkpoint(512).note();
    assert_eq!(fs::read_to_string(dir.path().join(FIRST)).unwrap(), expect);
    assert_eq!(newest(dir.path()), Some(512));
}

#[test]
fn a_history_that_was_cut_at_any_byte_is_mended() {
    let dir = TempDir::new().unwrap();
    let mut kept = Kept::open(dir.path(), &signer().verifier()).unwrap();
    put_each(dir.path(), &mut kept.segments, &[256]);
    let first = fs::read(dir.path().join(FIRST)).unwrap();
    put_each(dir.path(), &mut kept.segments, &[512]);
    let both = fs::read(dir.path().join(FIRST)).unwrap();
    // The newest was not replaced any more.
    put(dir.path(), NEWEST, checkpoint(300).note()).unwrap();
    for cut in 0..=both.len() {
        fs::write(dir.path().join(FIRST), &both[..cut]).unwrap();
        let expect = Some(if cut == both.len() { 512 } else { 300 });
        let whole = if cut == both.len() {
            both.len()
        } else if cut >= first.len() {
            first.len()
        } else {
            0
        };
        let looked = Kept::look(dir.path(), &signer().verifier()).unwrap();
        assert_eq!(looked.newest.map(|newest| newest.checkpoint().size), expect, "{cut}");
        assert_eq!(looked.segments.readable_bytes(0), Some(whole as u64), "{cut}");
        assert_eq!(fs::read(dir.path().join(FIRST)).unwrap().len(), cut, "it only looked");
        assert_eq!(newest(dir.path()), expect, "{cut}");
        assert_eq!(fs::read(dir.path().join(FIRST)).unwrap().len(), whole, "{cut}");
    }
}

#[test]
fn a_history_is_touched_by_nothing_that_is_called_alike() {
    let dir = TempDir::new().unwrap();
    let mut kept = Kept::open(dir.path(), &signer().verifier()).unwrap();
    put_each(dir.path(), &mut kept.segments, &[256, 512]);
    let old = dir.path().join("checkpoints.old");
    for found in [String::new(), text(&[1_024]), "nonsense".to_owned()] {
        fs::write(&old, &found).unwrap();
        assert_eq!(newest(dir.path()), Some(512));
        assert_eq!(fs::read_to_string(dir.path().join(FIRST)).unwrap(), text(&[256, 512]));
        assert_eq!(fs::read_to_string(&old).unwrap(), found, "it stays");
    }
}

#[test]
fn a_history_in_one_file_is_none_and_stays() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("checkpoints"), text(&[256])).unwrap();
    for has_newest in [false, true] {
        if has_newest {
            put(dir.path(), NEWEST, checkpoint(300).note()).unwrap();
        }
        let error = Kept::open(dir.path(), &signer().verifier()).err().unwrap();
        assert_eq!(error, "`checkpoints`: it is no directory");
        assert_eq!(fs::read_to_string(dir.path().join("checkpoints")).unwrap(), text(&[256]));
    }
}

#[test]
fn a_newest_that_lies_aside_is_damaged_and_not_gone() {
    let dir = TempDir::new().unwrap();
    assert!(!has_newest(dir.path()) && !has_newest(&dir.path().join("gone")));
    let aside = dir.path().join("checkpoint.broken-1");
    fs::write(&aside, "x").unwrap();
    let error = super::newest(dir.path(), &signer().verifier()).unwrap_err();
    assert_eq!(error, format!("`checkpoint`: it is not there, and what was there is `{}`", aside.display()));
    assert!(has_newest(dir.path()));
    // Beside one that is there it says nothing.
    put(dir.path(), NEWEST, checkpoint(300).note()).unwrap();
    assert_eq!(newest(dir.path()), Some(300));
}

#[test]
fn what_is_of_another_key_or_changed_is_refused() {
    let dir = TempDir::new().unwrap();
    let mut kept = Kept::open(dir.path(), &signer().verifier()).unwrap();
    put_each(dir.path(), &mut kept.segments, &[256]);
    let other = CheckpointSigner::new("attorn/main/1".parse().unwrap(), &[8; 32]);
    let refused = |verifier: &CheckpointVerifier, message: &str| {
        let error = Kept::open(dir.path(), verifier).err().unwrap();
        assert!(error.starts_with(message), "{error}");
    };
    refused(&other.verifier(), "`checkpoint`: the checkpoint is not signed by `attorn/main/1+");
    assert_eq!(fs::read_to_string(dir.path().join(FIRST)).unwrap(), text(&[256]), "nothing was cut off");
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
    fs::write(dir.path().join(FIRST), two).unwrap();
    refused(
        &signer().verifier(),
        "number 1 in `checkpoints/0` cannot be relied on: the checkpoint's signature is wrong",
    );
}
