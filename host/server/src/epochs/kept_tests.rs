//! What is kept of an ended epoch is given out as it was signed, or not at all.

use std::fs;

use attorn_core::TimeMs;
use attorn_log::{CheckpointSigner, EntryBody, EntryRef, Gap, Link, TreeBuilder, export_header, export_header_without};
use attorn_store::records::EpochEnd;
use serde_json::json;
use tempfile::TempDir;

use super::*;

const SIZE: u64 = 600;

/// An epoch as it is kept.
struct Kept {
    dir: TempDir,
    entries: Vec<Entry>,
    signer: CheckpointSigner,
    /// Which entries were bad when it ended.
    bad: Vec<Range<u64>>,
}

impl Kept {
    fn of(size: u64) -> Self {
        let signer = CheckpointSigner::new("attorn/main/1".parse().unwrap(), &[7; 32]);
        let (mut entries, mut previous) = (Vec::new(), Link::NONE);
        for index in 0..size {
            let at = EntryRef { log_id: "main".parse().unwrap(), epoch: Epoch(1), index };
            let body = EntryBody::of_value(&json!({ "n": index, "what": "x".repeat((index % 40) as usize) })).unwrap();
            let entry = Entry { at, previous, body };
            previous = entry.link();
            entries.push(entry);
        }
        let kept = Self { dir: TempDir::new().unwrap(), entries, signer, bad: Vec::new() };
        fs::create_dir(kept.dir.path().join("epochs")).unwrap();
        fs::write(kept.path("export"), kept.export()).unwrap();
        kept
    }

    fn path(&self, ending: &str) -> PathBuf {
        self.dir.path().join(format!("epochs/1.{ending}"))
    }

    fn checkpoint(&self, size: u64) -> SignedCheckpoint {
        let mut tree = TreeBuilder::new();
        for entry in self.entries.iter().take(usize::try_from(size).unwrap()) {
            tree.push(entry.leaf_hash()).unwrap();
        }
        self.signer.sign(size, tree.root())
    }

    fn export(&self) -> Vec<u8> {
        let head = export_header(&self.signer.verifier(), &self.checkpoint(self.entries.len() as u64));
        let mut bytes = head.into_bytes();
        self.entries.iter().for_each(|entry| bytes.extend(entry.to_bytes()));
        bytes
    }

    /// The same without this bundle.
    fn export_without(&self, bundle: u64) -> Vec<u8> {
        let mut tree = TreeBuilder::new();
        let width = 256 * usize::try_from(bundle).unwrap()..256 * usize::try_from(bundle + 1).unwrap();
        self.entries[width].iter().for_each(|entry| drop(tree.push(entry.leaf_hash()).unwrap()));
        let gap = Gap { bundle, root: tree.root() };
        let checkpoint = self.checkpoint(self.entries.len() as u64);
        let mut bytes = export_header_without(&self.signer.verifier(), &checkpoint, &[gap]).into_bytes();
        let there = self.entries.iter().filter(|entry| !gap.entries().contains(&entry.at.index));
        there.for_each(|entry| bytes.extend(entry.to_bytes()));
        bytes
    }

    fn open(&self) -> Result<KeptEpoch, Failure> {
        let known = LogEpochRecord {
            key: self.signer.verifier(),
            checkpoint: self.checkpoint(self.entries.len() as u64).note().to_owned(),
            ended: EpochEnd::KeyRotated,
            at: TimeMs(1),
            bad: self.bad.clone(),
        };
        KeptEpoch::open(self.dir.path(), known)
    }

    /// Where in the export the last digit of an entry's number stands, in its body.
    fn digit_of(&self, index: usize) -> usize {
        let export = self.export();
        let bytes = self.entries[index].to_bytes();
        let begin = export.windows(bytes.len()).position(|some| some == bytes).unwrap();
        begin + bytes.iter().position(|byte| *byte == b',').unwrap() - 1
    }
}

fn said(result: Result<Option<Entry>, KeptError>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn each_entry_is_read_and_proved_with_and_without_an_index_that_was_there() {
    for size in [1, 2, 255, 256, 257, SIZE] {
        let kept = Kept::of(size);
        assert!(!kept.path("index").exists());
        for _ in 0..2 {
            let mut epoch = kept.open().unwrap();
            for (index, entry) in kept.entries.iter().enumerate() {
                assert_eq!(epoch.entry(index as u64).unwrap().as_ref(), Some(entry), "{size}");
            }
            assert_eq!(epoch.entry(size).unwrap(), None);
            assert_eq!(epoch.entry(u64::MAX).unwrap(), None);
            assert!(kept.path("index").exists());
        }
        let mut epoch = kept.open().unwrap();
        for under in [size, size.div_ceil(2)] {
            let (entry, under) = (&kept.entries[0], kept.checkpoint(under));
            let receipt = epoch.receipt(entry, &under).unwrap();
            let text = receipt.to_string();
            let logged = Receipt::parse(&text).unwrap().verify(&kept.signer.verifier()).unwrap();
            assert_eq!((&logged.entry, &logged.signed), (entry, &under));
        }
    }
}

#[test]
fn a_receipt_is_of_nothing_that_its_checkpoint_does_not_show() {
    let kept = Kept::of(9);
    let mut epoch = kept.open().unwrap();
    let other = kept.signer.sign(5, Hash([1; 32]));
    assert_eq!(epoch.receipt(&kept.entries[3], &other), None);
    assert_eq!(epoch.receipt(&kept.entries[7], &kept.checkpoint(5)), None, "it is not counted yet");
    let beyond = kept.signer.sign(12, Hash([1; 32]));
    assert_eq!(epoch.receipt(&kept.entries[3], &beyond), None);
    let mut altered = kept.entries[3].clone();
    altered.previous = Link::NONE;
    assert_eq!(epoch.receipt(&altered, &kept.checkpoint(9)), None);
}

#[test]
fn an_entry_that_was_altered_never_comes_out_and_the_first_of_them_is_named() {
    let kept = Kept::of(SIZE);
    for index_is_there in [true, false] {
        for changed in [0, 13, 255, 256, 598] {
            fs::write(kept.path("export"), kept.export()).unwrap();
            if index_is_there {
                kept.open().unwrap();
            } else if kept.path("index").exists() {
                fs::remove_file(kept.path("index")).unwrap();
            }
            let mut bytes = kept.export();
            bytes[kept.digit_of(changed)] ^= 1;
            fs::write(kept.path("export"), bytes).unwrap();
            let expect = format!("`epochs/1.export` is not what the log signed: entry {changed} was changed");
            if !index_is_there {
                let failure = kept.open().err().unwrap();
                assert_eq!(failure.problem.code, ProblemCode::LogDamaged);
                assert_eq!(failure.problem.detail, expect);
                continue;
            }
            let mut epoch = kept.open().unwrap();
            assert_eq!(said(epoch.entry(changed as u64)), expect);
            // What is right is still to be had.
            for other in [1, 12, 14, 254, 300, 599_usize] {
                assert_eq!(epoch.entry(other as u64).unwrap().as_ref(), Some(&kept.entries[other]));
            }
        }
        fs::write(kept.path("export"), kept.export()).unwrap();
        kept.open().unwrap();
    }
}

#[test]
fn what_is_cut_moved_or_put_in_its_place_is_not_given_out() {
    let kept = Kept::of(SIZE);
    kept.open().unwrap();
    let whole = kept.export();
    fs::write(kept.path("export"), &whole[..whole.len() - 3]).unwrap();
    let mut epoch = kept.open().unwrap();
    assert!(said(epoch.entry(599)).contains("entry 599 cannot be read: the export ends within an entry"));
    assert_eq!(epoch.entry(598).unwrap().as_ref(), Some(&kept.entries[598]));
    // One byte more in the header moves everything, and what is proved is what was signed.
    fs::write(kept.path("export"), [&whole[..40], b"x", &whole[40..]].concat()).unwrap();
    let mut epoch = kept.open().unwrap();
    assert_eq!(epoch.entry(0).unwrap().as_ref(), Some(&kept.entries[0]));
    // Another log, whole in itself, under the same key.
    let shorter = Kept::of(SIZE - 1);
    fs::write(kept.path("export"), shorter.export()).unwrap();
    assert!(said(kept.open().unwrap().entry(SIZE - 1)).contains("another than the one with which the epoch ended"));
    fs::remove_file(kept.path("export")).unwrap();
    let failure = kept.open().err().unwrap();
    assert_eq!(failure.problem.code, ProblemCode::NotFound);
    assert_eq!(failure.problem.detail, "the entries of epoch 1 are not kept here any more");
}

#[test]
fn an_index_that_was_altered_is_made_anew_and_leads_nobody_astray() {
    let kept = Kept::of(SIZE);
    kept.open().unwrap();
    let right = fs::read(kept.path("index")).unwrap();
    for at in (0..right.len()).step_by(331).chain([70, 74, right.len() - 1]) {
        let mut bytes = right.clone();
        bytes[at] ^= 1;
        fs::write(kept.path("index"), bytes).unwrap();
        let mut epoch = kept.open().unwrap();
        for index in [0, 1, 255, 256, 599_usize] {
            assert_eq!(epoch.entry(index as u64).unwrap().as_ref(), Some(&kept.entries[index]), "{at} {index}");
        }
    }
    // Each bit of where an entry begins and of where it ends, the topmost too, which no file can be read at.
    for at in [64, 71, 64 + 40, 64 + 40 + 7, 24, 31] {
        for bit in 0..8 {
            let mut bytes = right.clone();
            bytes[at] ^= 1 << bit;
            fs::write(kept.path("index"), bytes).unwrap();
            let mut epoch = kept.open().unwrap();
            for index in [0, 1, 599_usize] {
                assert_eq!(epoch.entry(index as u64).unwrap().as_ref(), Some(&kept.entries[index]), "{at} {bit}");
            }
        }
    }
    // And whatever stands in its place, or in that of the one that is being written.
    let pipe = |path: &Path| {
        rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
    };
    for put in [
        &(|path: &Path| fs::create_dir_all(path.join("x/y")).unwrap()) as &dyn Fn(&Path),
        &|path: &Path| std::os::unix::fs::symlink(kept.path("export"), path).unwrap(),
        &|path: &Path| std::os::unix::fs::symlink("nowhere", path).unwrap(),
        &pipe,
    ] {
        fs::remove_file(kept.path("index")).unwrap();
        put(&kept.path("index"));
        let mut epoch = kept.open().unwrap();
        assert_eq!(epoch.entry(599).unwrap().as_ref(), Some(&kept.entries[599]));
        assert_eq!(fs::read(kept.path("index")).unwrap(), right);
        assert_eq!(fs::read(kept.path("export")).unwrap(), kept.export());
    }
    pipe(&kept.path("index.tmp"));
    fs::remove_file(kept.path("index")).unwrap();
    kept.open().unwrap();
    for bytes in [&[][..], &right[..63], &right[..64], &right[..right.len() / 2]] {
        fs::write(kept.path("index"), bytes).unwrap();
        let mut epoch = kept.open().unwrap();
        assert_eq!(epoch.entry(599).unwrap().as_ref(), Some(&kept.entries[599]));
        assert_eq!(fs::read(kept.path("index")).unwrap(), right);
    }
    assert_eq!(fs::read_dir(kept.dir.path().join("epochs")).unwrap().count(), 2, "nothing is left behind");
}

#[test]
fn what_was_bad_when_the_epoch_ended_is_named_and_all_else_is_proved() {
    for (size, bundle) in [(SIZE, 0), (SIZE, 1), (512, 1), (256, 0), (1_300, 3)] {
        let mut kept = Kept::of(size);
        let bad = bundle * 256..(bundle + 1) * 256;
        kept.bad = std::iter::once(bad.clone()).collect();
        fs::write(kept.path("export"), kept.export_without(bundle)).unwrap();
        for _ in 0..2 {
            let mut epoch = kept.open().unwrap();
            for entry in &kept.entries {
                if bad.contains(&entry.at.index) {
                    let expect = format!(
                        "the entries {} to {} of epoch 1 were bad when it ended, and are not kept",
                        bad.start,
                        bad.end - 1
                    );
                    assert_eq!(said(epoch.entry(entry.at.index)), expect);
                    continue;
                }
                let found = epoch.entry(entry.at.index).unwrap().unwrap();
                assert_eq!(&found, entry);
                let receipt = epoch.receipt(entry, &kept.checkpoint(size)).unwrap().to_string();
                Receipt::parse(&receipt).unwrap().verify(&kept.signer.verifier()).unwrap();
            }
        }
        // A checkpoint that ends among them shows nothing.
        if let Some(entry) = kept.entries.first().filter(|_| bundle > 0) {
            assert_eq!(kept.open().unwrap().receipt(entry, &kept.checkpoint(bad.start + 7)), None);
        }
        // Whoever finds an export that has them puts it there, and has them again.
        fs::write(kept.path("export"), kept.export()).unwrap();
        let mut epoch = kept.open().unwrap();
        for index in [bad.start, bad.end - 1] {
            assert_eq!(epoch.entry(index).unwrap().as_ref(), kept.entries.get(usize::try_from(index).unwrap()));
        }
    }
}

#[test]
fn nobody_leaves_out_what_was_whole() {
    let mut kept = Kept::of(SIZE);
    fs::write(kept.path("export"), kept.export_without(1)).unwrap();
    let expect = "`epochs/1.export` is not what the log signed: it lacks the entries 256 to 511, which were whole when the \
                  epoch ended";
    for bad in [None, Some(0..256)] {
        kept.bad = bad.into_iter().collect();
        assert_eq!(kept.open().err().unwrap().problem.detail, expect);
    }
    // Also where an index of before leads to the others.
    kept.bad = Vec::new();
    fs::write(kept.path("export"), kept.export()).unwrap();
    kept.open().unwrap();
    fs::write(kept.path("export"), kept.export_without(1)).unwrap();
    let mut epoch = kept.open().unwrap();
    assert_eq!(said(epoch.entry(300)), expect);
    assert_eq!(epoch.entry(599).unwrap().as_ref(), Some(&kept.entries[599]));
}

#[test]
fn behind_bytes_that_were_added_or_taken_away_all_is_still_found() {
    let kept = Kept::of(SIZE);
    kept.open().unwrap();
    let (whole, at) = (kept.export(), kept.digit_of(300));
    let longer = [&whole[..at], b"7", &whole[at..]].concat();
    let shorter = [&whole[..at], &whole[at + 1..]].concat();
    for bytes in [longer, shorter] {
        fs::write(kept.path("export"), bytes).unwrap();
        let mut epoch = kept.open().unwrap();
        for (index, entry) in kept.entries.iter().enumerate() {
            match epoch.entry(index as u64) {
                Ok(found) => assert_eq!(found.as_ref(), Some(entry), "{index}"),
                Err(error) => assert!(index == 300 && error.to_string().contains("entry 300 "), "{index}: {error}"),
            }
        }
    }
}
