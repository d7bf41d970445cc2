//! Exports that lack bundles: what is there is proved, what is not is named, and nobody leaves out what was whole.

use std::num::NonZeroU64;

use super::*;
use crate::fixtures::{Log, body, verifier};
use crate::{
    Checks, Entry, ExportReader, Hash, Link, TreeBuilder, Verified, export_header_without, verify_export,
    verify_export_with,
};

/// Of these three bundles and a rest some are lacking.
const LEN: u64 = 3 * 256 + 44;

fn export(log: &Log, gaps: &[Gap], entries: &[Entry]) -> Vec<u8> {
    let mut bytes = export_header_without(&verifier(), &log.checkpoint(), gaps).into_bytes();
    let is_there = |entry: &&Entry| !gaps.iter().any(|gap| gap.entries().contains(&entry.at.index));
    entries.iter().filter(is_there).for_each(|entry| bytes.extend(entry.to_bytes()));
    bytes
}

fn verify(export: &[u8], bad: &[Range<u64>]) -> Result<Verified, VerifyError> {
    let trusted = verifier();
    let checks = Checks { trusted: Some(&trusted), bad, ..Checks::default() };
    verify_export_with(export, &checks, NonZeroU64::MAX, |_| {})
}

/// One range, and not all that is in it.
fn only(range: Range<u64>) -> [Range<u64>; 1] {
    [range]
}

fn said(export: &[u8], bad: &[Range<u64>]) -> String {
    verify(export, bad).unwrap_err().to_string()
}

#[test]
fn the_rest_of_a_log_is_proved_without_its_bad_bundles() {
    for len in [LEN, 3 * 256] {
        let log = Log::of(len);
        let ranges = [0..256, 256..512, 512..768, 0..512, 0..768].map(|one| vec![one]);
        for bad in ranges.into_iter().chain([vec![0..256, 512..768]]) {
            let gaps: Vec<Gap> =
                bad.iter().flat_map(|one| one.start / 256..one.end / 256).map(|n| log.gap(n)).collect();
            let bytes = export(&log, &gaps, &log.entries);
            let verified = verify(&bytes, &bad).unwrap();
            assert_eq!((verified.entries, &verified.lacking), (len, &bad));
            let is_last_there = !bad.last().unwrap().contains(&(len - 1));
            assert_eq!(verified.head, is_last_there.then(|| log.entries.last().unwrap().link()));
            let reader = ExportReader::open(&bytes[..]).unwrap();
            let header = export_header_without(&verifier(), &log.checkpoint(), &gaps);
            assert_eq!((reader.gaps(), reader.header_bytes()), (&gaps[..], header.len() as u64));
        }
    }
}

#[test]
fn what_nothing_says_was_bad_may_not_be_lacking() {
    let log = Log::of(LEN);
    let bytes = export(&log, &[log.gap(1)], &log.entries);
    let message = "the entries 256 to 511 are not in the export: it says that they were bad when the epoch ended, and \
                   nothing that was signed says so";
    for bad in [vec![], only(0..256).to_vec(), only(257..512).to_vec(), vec![256..511, 511..512]] {
        assert_eq!(said(&bytes, &bad), message);
    }
    assert_eq!(verify_export(&bytes[..], None).unwrap_err().to_string(), message);
    // What was bad then, and is there again, is no worse.
    assert_eq!(verify(&log.export(), &only(256..512)).unwrap().lacking, []);
    // Without the line it is missing.
    let cut = export(&log, &[log.gap(1)], &log.entries);
    let at = cut.windows(4).position(|some| some == b"bad ").unwrap();
    let end = at + cut[at..].iter().position(|b| *b == b'\n').unwrap() + 1;
    let without = [&cut[..at], &cut[end..]].concat();
    assert!(said(&without, &only(256..512)).starts_with("entry 256 is missing"));
}

#[test]
fn what_is_there_is_still_placed() {
    let log = Log::of(LEN);
    let (gaps, bad) = ([log.gap(1)], only(256..512));
    let changed = |at: u64, change: fn(&mut Entry)| {
        let mut entries = log.entries.clone();
        change(&mut entries[usize::try_from(at).unwrap()]);
        said(&export(&log, &gaps, &entries), &bad)
    };
    for at in [0, 77, 254, 512, 513, 700, LEN - 2] {
        assert_eq!(changed(at, |entry| entry.body = body(9_999)), format!("entry {at} was changed"));
    }
    // Beside what is lacking no link tells, and nor does one at the end.
    let beside = "entry 256 was bad when the epoch ended, and what stands for it, or an entry before or after one that was \
                  bad, was changed";
    for at in [255, LEN - 1] {
        assert_eq!(changed(at, |entry| entry.body = body(9_999)), beside);
    }
    assert_eq!(changed(512, |entry| entry.previous = Link::NONE), "entry 512 was changed");
    let mut other = gaps;
    other[0].root = Hash([7; 32]);
    assert_eq!(said(&export(&log, &other, &log.entries), &bad), beside);
    let mut entries = log.entries.clone();
    entries.remove(512);
    assert!(said(&export(&log, &gaps, &entries), &bad).starts_with("entry 512 is missing"));
    entries = log.entries.clone();
    entries.remove(255);
    assert!(said(&export(&log, &gaps, &entries), &bad).starts_with("entry 255 is missing"));
}

#[test]
fn a_kept_checkpoint_is_compared_wherever_it_can_be() {
    let log = Log::of(LEN);
    let bytes = export(&log, &[log.gap(1)], &log.entries);
    let trusted = verifier();
    let since = |size| {
        let since = [log.checkpoint_at(size).note().to_owned()];
        let checks = Checks { trusted: Some(&trusted), since: &since, bad: &only(256..512), witnesses: None };
        verify_export_with(&bytes[..], &checks, NonZeroU64::MAX, |_| {})
    };
    for size in [0, 1, 255, 256, 512, 513, LEN] {
        assert_eq!(since(size).unwrap().since, Some(size));
    }
    for size in [257, 300, 511] {
        assert!(matches!(since(size), Err(VerifyError::Uncompared { size: at, index: 256, last: 511 }) if at == size));
    }
    let forked = [crate::fixtures::signer().sign(512, Hash([1; 32])).note().to_owned()];
    let checks = Checks { trusted: Some(&trusted), since: &forked, bad: &only(256..512), witnesses: None };
    let done = verify_export_with(&bytes[..], &checks, NonZeroU64::MAX, |_| {});
    assert!(matches!(done, Err(VerifyError::Forked { size: 512 })), "{done:?}");
}

#[test]
fn lines_about_what_is_lacking_are_read_in_one_way() {
    let log = Log::of(LEN);
    let whole = String::from_utf8(export(&log, &[log.gap(0), log.gap(2)], &log.entries)).unwrap();
    let (first, second) = (format!("{}\n", log.gap(0)), format!("{}\n", log.gap(2)));
    assert!(whole.contains(&format!("{first}{second}entries\n")));
    assert!(first.len() < Gap::LINE_BYTES_MAX);
    for (from, to) in [
        (format!("{first}{second}"), format!("{second}{first}")),
        (first.clone(), first.repeat(2)),
        ("bad 0 ".to_owned(), "bad 00 ".to_owned()),
        ("bad 0 ".to_owned(), "bad  0 ".to_owned()),
        ("bad 2 ".to_owned(), format!("bad {} ", u64::MAX)),
        ("bad 2 ".to_owned(), "bad -2 ".to_owned()),
    ] {
        let done = verify(whole.replacen(&from, &to, 1).as_bytes(), &only(0..u64::MAX));
        assert!(matches!(done, Err(VerifyError::NoEntries)), "{to}: {done:?}");
    }
    // One beyond the end, or that stands for entries that are there.
    let beyond = export(&log, &[Gap { bundle: 3, ..log.gap(2) }], &log.entries);
    assert!(verify(&beyond, &only(0..u64::MAX)).is_err());
    let many: Vec<Gap> = (0..=Gap::COUNT_MAX as u64).map(|bundle| Gap { bundle, ..log.gap(0) }).collect();
    assert!(matches!(verify(&export(&log, &many, &[]), &only(0..u64::MAX)), Err(VerifyError::NoEntries)));
}

#[test]
fn a_subtree_is_added_as_its_leaves_would_be() {
    let log = Log::of(LEN);
    let mut by_leaf = TreeBuilder::new();
    let mut with_subtree = TreeBuilder::new();
    for entry in &log.entries {
        by_leaf.push(entry.leaf_hash()).unwrap();
        match entry.at.index {
            256 => {
                let new = with_subtree.push_subtree(Gap::LEVEL, log.gap(1).root).unwrap();
                assert_eq!(new.iter().map(|(id, _)| id.level).collect::<Vec<_>>(), [8, 9]);
            }
            257..512 => {}
            _ => drop(with_subtree.push(entry.leaf_hash()).unwrap()),
        }
    }
    assert_eq!(with_subtree, by_leaf);
    assert!(with_subtree.push_subtree(Gap::LEVEL, log.gap(1).root).is_err());
    assert!(with_subtree.push_subtree(64, log.gap(1).root).is_err());
    assert_eq!(with_subtree, by_leaf);
}
