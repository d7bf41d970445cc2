//! An export is damaged in every way there is, and the right entry has to be named.

use std::io;

use super::*;
use crate::fixtures::{Log, body, signer, verifier};
use crate::{CheckpointSigner, Epoch, Hash, export_header};

const LEN: u64 = 40;

fn verify(export: &[u8]) -> Result<Verified, VerifyError> {
    verify_export(export, Some(&verifier()))
}

#[track_caller]
fn refused(export: &[u8], message: &str) {
    assert_eq!(verify(export).unwrap_err().to_string(), message);
}

/// Change the entries of a log of 40, and see what the verifier says.
#[track_caller]
fn damaged(damage: impl FnOnce(&mut Vec<Entry>), message: &str) {
    let log = Log::of(LEN);
    let mut entries = log.entries.clone();
    damage(&mut entries);
    refused(&log.export_of(&entries), message);
}

fn at(index: u64) -> usize {
    usize::try_from(index).unwrap()
}

#[test]
fn what_was_exported_verifies() {
    for len in 0..=LEN {
        let log = Log::of(len);
        let verified = verify(&log.export()).unwrap();
        let head = Some(log.entries.last().map_or(Link::NONE, Entry::link));
        let expect = Verified {
            entries: len,
            checkpoint: log.checkpoint(),
            key: verifier(),
            trust: Trust::Given,
            head,
            lacking: Vec::new(),
            earlier: 0,
            since: None,
            witnessed: None,
        };
        assert_eq!(verified, expect);
        let from_file = verify_export(&log.export()[..], None).unwrap();
        assert_eq!(from_file, Verified { trust: Trust::FromFile, ..expect });
    }
}

#[test]
fn every_flipped_bit_is_found_and_placed() {
    let log = Log::of(LEN);
    let export = log.export();
    let mut begins = log.header().len();
    let header = 0..begins;
    let flip = |at: usize, bit: u8| {
        let mut damaged = export.clone();
        damaged[at] ^= 1 << bit;
        verify(&damaged).expect_err(&format!("byte {at}, bit {bit}"))
    };
    for at in header {
        for bit in 0..8 {
            assert_eq!(flip(at, bit).index(), None, "byte {at}, bit {bit}");
        }
    }
    for (index, entry) in (0..).zip(&log.entries) {
        let ends = begins + entry.to_bytes().len();
        for at in begins..ends {
            for bit in [0, 6] {
                let error = flip(at, bit);
                assert_eq!(error.index(), Some(index), "byte {at}, bit {bit}: {error}");
            }
        }
        begins = ends;
    }
    assert_eq!(begins, export.len());
}

#[test]
fn every_cut_is_found_and_placed() {
    let log = Log::of(LEN);
    let export = log.export();
    let header = log.header().len();
    for len in 0..header {
        assert_eq!(verify(&export[..len]).unwrap_err().index(), None, "{len}");
    }
    let mut begins = header;
    for (index, entry) in (0..).zip(&log.entries) {
        for len in begins..begins + entry.to_bytes().len() {
            refused(
                &export[..len],
                &format!("the log ends before entry {index}, and its checkpoint counts 40 entries"),
            );
        }
        begins += entry.to_bytes().len();
    }
}

#[test]
fn every_deleted_entry_is_named() {
    for index in 0..LEN - 1 {
        let message = format!("entry {index} is missing: entry {} stands in its place", index + 1);
        damaged(|entries| drop(entries.remove(at(index))), &message);
    }
    let message = "the log ends before entry 39, and its checkpoint counts 40 entries";
    damaged(|entries| drop(entries.pop()), message);
    let message = "entry 7 is missing: entry 12 stands in its place";
    damaged(|entries| drop(entries.drain(7..12)), message);
    damaged(|entries| entries.truncate(8), "the log ends before entry 8, and its checkpoint counts 40 entries");
    damaged(Vec::clear, "the log ends before entry 0, and its checkpoint counts 40 entries");
    damaged(|entries| drop(entries.drain(..39)), "entry 0 is missing: entry 39 stands in its place");
}

#[test]
fn every_swap_is_named() {
    for first in 0..LEN {
        for second in first + 1..LEN {
            let message = format!("entry {first} is not in its place: entry {second} stands there");
            damaged(|entries| entries.swap(at(first), at(second)), &message);
        }
    }
}

#[test]
fn a_moved_entry_is_named_where_the_order_breaks() {
    // Moved back, it stands in the way of another; moved on, it is missed where it should be.
    damaged(|entries| entries[3..9].rotate_right(1), "entry 3 is not in its place: entry 8 stands there");
    damaged(|entries| entries[3..9].rotate_left(1), "entry 3 is missing: entry 4 stands in its place");
}

#[test]
fn every_duplicate_is_named() {
    for index in 0..LEN {
        let message = format!("entry {} is not in its place: entry {index} stands there a second time", index + 1);
        damaged(|entries| entries.insert(at(index), entries[at(index)].clone()), &message);
    }
    let message = "entry 20 is not in its place: entry 3 stands there a second time";
    damaged(|entries| entries[20] = entries[3].clone(), message);
    let message = "entry 40 is not in its place: entry 0 stands there a second time";
    damaged(|entries| entries.push(entries[0].clone()), message);
}

type Change = fn(&mut Entry);

#[test]
fn every_changed_part_of_every_entry_is_named() {
    let changes: [(Change, &str); 5] = [
        (|entry| entry.at.log_id = "other".parse().unwrap(), "is of the log `other`"),
        (|entry| entry.at.epoch = Epoch(7), "is of epoch 7"),
        (|entry| entry.at.index += 1, "was changed"),
        (|entry| entry.previous = Link::from_bytes([9; 32]), "was changed"),
        (|entry| entry.body = body(1_000), "was changed"),
    ];
    for index in 0..LEN {
        for (at_change, (change, message)) in changes.iter().enumerate() {
            let message = match (index, at_change) {
                (39, 4) => {
                    "entry 39, the last, was changed, alone or with entries before it that were linked anew".into()
                }
                _ => format!("entry {index} {message}"),
            };
            damaged(|entries| change(&mut entries[at(index)]), &message);
        }
    }
}

#[test]
fn a_log_linked_anew_is_found_by_its_root() {
    for from in [0, 1, 20, 38] {
        let message = "entry 39, the last, was changed, alone or with entries before it that were linked anew";
        let relink = |entries: &mut Vec<Entry>| {
            entries[from].body = body(1_000);
            for next in from + 1..entries.len() {
                entries[next].previous = entries[next - 1].link();
            }
        };
        damaged(relink, message);
    }
}

#[test]
fn what_follows_the_last_entry_is_refused() {
    let log = Log::of(LEN);
    let surplus = "the log goes on with entry 40, and its checkpoint counts no more than that";
    refused(&log.export_of(&Log::of(LEN + 1).entries), surplus);
    for tail in ["\n", "x", "rubbish\n", "rubbish\nrubbish\n", "attorn-audit-export/v1\n"] {
        refused(&[log.export(), tail.into()].concat(), surplus);
    }
    refused(&[log.export(), vec![b'x'; 70_000]].concat(), surplus);
    refused(
        &[Log::of(0).export(), b"x".to_vec()].concat(),
        "the log goes on with entry 0, and its checkpoint counts no more than that",
    );
}

#[test]
fn entries_beyond_the_limit_are_not_read_into_memory() {
    let log = Log::of(2);
    let endless = [log.header().into_bytes(), vec![b'x'; 1 << 20]].concat();
    refused(&endless, "entry 0 has more than 65535 bytes");
    let endless = [log.export_of(&log.entries[..1]), b"x\n".to_vec(), vec![b'x'; 1 << 20]].concat();
    refused(&endless, "entry 1 has more than 65535 bytes");
    refused(&[log.header().as_bytes(), b"a\nb\n"].concat(), "entry 0 is malformed");
}

#[test]
fn a_header_that_is_not_right_is_refused() {
    let log = Log::of(2);
    let (key, note) = (verifier(), log.checkpoint().note().to_owned());
    let entries = log.export()[log.header().len()..].to_vec();
    let with = |header: String| [header.as_bytes(), &entries].concat();
    let no_export = "this is no export of an audit log: it does not begin with `attorn-audit-export/v1`";
    refused(b"", no_export);
    refused(&with(format!("attorn-audit-export/v2\nkey {key}\n{note}entries\n")), no_export);
    refused(&with(format!("attorn-audit-export/v1 \nkey {key}\n{note}entries\n")), no_export);
    refused(&with(format!("attorn-audit-export/v1\n{note}entries\n")), "the export has no key line");
    let endless = format!("attorn-audit-export/v1\nkey {}", "x".repeat(1 << 20));
    refused(&with(endless), "the export has no key line");
    refused(&with(format!("attorn-audit-export/v1\nkey {key}x\n{note}entries\n")), "the log's key cannot be read");
    let no_entries = "the export has no line `entries` after its checkpoint";
    refused(&with(format!("attorn-audit-export/v1\nkey {key}\n{note}")), no_entries);
    refused(&with(format!("attorn-audit-export/v1\nkey {key}\n{note}Entries\n")), no_entries);
    refused(&with(format!("attorn-audit-export/v1\nkey {key}\nentries\n")), no_entries);
    refused(format!("attorn-audit-export/v1\nkey {key}\n{}", "x\n".repeat(1 << 20)).as_bytes(), no_entries);
    refused(
        &with(format!("attorn-audit-export/v1\nkey {key}\n{}entries\n", note.replace("main/1\n2", "main/1\n3"))),
        "the log's checkpoint cannot be relied on",
    );
}

#[test]
fn an_export_of_another_key_needs_trust_in_that_key() {
    let log = Log::of(2);
    let other = CheckpointSigner::new("attorn/main/1".parse().unwrap(), &[1; 32]);
    let root = log.checkpoint().checkpoint().root;
    let mut export = export_header(&other.verifier(), &other.sign(2, root)).into_bytes();
    log.entries.iter().for_each(|entry| export.extend(entry.to_bytes()));
    refused(&export, &format!("the log is of the key `{}`, which is not the trusted one", other.verifier()));
    assert_eq!(verify_export(&export[..], None).unwrap().trust, Trust::FromFile);
    assert_eq!(verify_export(&export[..], Some(&other.verifier())).unwrap().trust, Trust::Given);
    // The trusted key in the header does not help a checkpoint that another one signed.
    let mixed = export_header(&verifier(), &other.sign(2, root));
    refused(mixed.as_bytes(), "the log's checkpoint cannot be relied on");
    // A signed root that is of nothing.
    let rootless = export_header(&verifier(), &signer().sign(0, Hash([0; 32])));
    refused(rootless.as_bytes(), "the log's checkpoint cannot be relied on");
}

#[test]
fn progress_is_told_after_every_so_many() {
    let mut told = Vec::new();
    let every = NonZeroU64::new(15).unwrap();
    verify_export_with(&Log::of(LEN).export()[..], &Checks::default(), every, |progress| told.push(progress)).unwrap();
    assert_eq!(told, [15, 30].map(|entries| Progress { entries, of: LEN }));
}

#[test]
fn an_error_of_the_reader_is_passed_on() {
    struct Broken;
    impl io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("disk"))
        }
    }
    let log = Log::of(2);
    let half = log.export_of(&log.entries[..1]);
    let reader = io::BufReader::new(io::Read::chain(&half[..], Broken));
    assert!(matches!(verify_export(reader, None), Err(VerifyError::Read(_))));
}
