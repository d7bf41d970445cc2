//! A row is right if an entry that it is said to be of names it, and whatever else one says is named.

use std::ops::Range;

use attorn_log::Link;

use super::*;
use crate::decided::digest_of;
use crate::fixtures::{decision, log};
use crate::head::EarlierEpoch;

const FIRST: Epoch = Epoch(1);
const NOW: Epoch = Epoch(4);

fn log_name() -> LogName {
    LogName { id: log(), epoch: NOW, earlier: vec![EarlierEpoch { epoch: FIRST, version: 10, size: 10 }] }
}

const fn head() -> Head {
    Head { version: 20, size: 600, last_link: Link::NONE }
}

fn stored(version: u64, entries: Range<u64>) -> Stored {
    Stored { version, entries, value: Vec::new() }
}

fn key(n: u64) -> Key {
    Key::decision(&decision(n))
}

fn text(n: u64) -> String {
    digest_of(&n.to_be_bytes())
}

/// A row: of which decision, what is stored, and the digest of it.
type Row = (u64, Stored, Option<u64>);

/// What is said when these rows are met, where the first four entries of both epochs name a decision each.
fn said(rows: &[(u64, Stored, Option<u64>)]) -> Vec<String> {
    let mut named = NamedRecords::new();
    for (epoch, first) in [(FIRST, 0), (NOW, 10)] {
        for n in 0..4 {
            let decided = Decided { id: decision(first + n), digest: Some(text(first + n).into()) };
            named.take(epoch, n, Some(&decided));
        }
        named.take(epoch, 4, None);
    }
    let (log, head) = (log_name(), head());
    let stand = Stand { log: &log, head: &head };
    for (n, stored, digest) in rows {
        named.compare(stand, &key(*n), stored, digest.map(text).as_deref());
    }
    named.into_bad(NOW)
}

fn right() -> Vec<(u64, Stored, Option<u64>)> {
    let ended = (0..4).map(|n| (n, stored(3, n..n + 1), Some(n)));
    ended.chain((0..4).map(|n| (10 + n, stored(12, n..n + 1), Some(10 + n)))).collect()
}

#[test]
fn what_entries_name_is_right_in_whichever_order_it_is_met() {
    assert_eq!(said(&right()), Vec::<String>::new());
    let turned: Vec<_> = right().into_iter().rev().collect();
    assert_eq!(said(&turned), Vec::<String>::new());
    // A batch may have had more entries; and of a record in a bad file nothing is known.
    let mut more = right();
    more[2].1.entries = 0..5;
    more[5].2 = None;
    assert_eq!(said(&more), Vec::<String>::new());
}

#[test]
fn whatever_else_a_row_says_is_named() {
    let is_said = |change: &dyn Fn(&mut Vec<Row>), expect: &[&str]| {
        let mut rows = right();
        change(&mut rows);
        let said = said(&rows);
        assert_eq!(said.len(), expect.len(), "{said:?}");
        for (said, expect) in said.iter().zip(expect) {
            assert!(said.contains(expect), "{said}");
        }
    };
    is_said(&|rows| drop(rows.remove(1)), &["the record is gone that entry 1 of epoch 1 names"]);
    is_said(&|rows| drop(rows.remove(6)), &["the record is gone that entry 2 names"]);
    is_said(&|rows| rows[1].2 = Some(77), &["is not the one that entry 1 of epoch 1 names"]);
    is_said(&|rows| rows[1].1.entries = 2..3, &["is of other entries than entry 1 of epoch 1"]);
    // In the other epoch there is an entry with that number, too.
    is_said(&|rows| rows[1].1.version = 12, &["is of other entries than entry 1 of epoch 1"]);
    is_said(&|rows| rows[5].1.version = 21, &["is of other entries than entry 1,"]);
    is_said(&|rows| rows[5].1.entries = 1..700, &["is of other entries than entry 1,"]);
    is_said(&|rows| rows[1].1.entries = 1..1, &["is of other entries than entry 1 of epoch 1"]);
    for entries in [0..1, 4..5, 0..0, 10..11, 599..601] {
        is_said(&|rows| rows.push((99, stored(3, entries.clone()), Some(99))), &["is of no decision: no entry"]);
    }
    // Two rows that are each other's.
    let exchanged = |rows: &mut Vec<(u64, Stored, Option<u64>)>| {
        rows[0].2 = Some(1);
        rows[1].2 = Some(0);
    };
    is_said(&exchanged, &["that entry 0 of epoch 1", "that entry 1 of epoch 1"]);
}

#[test]
fn of_entries_that_nobody_has_read_nothing_is_said() {
    let unread = stored(12, 300..301);
    assert_eq!(said(&[right(), vec![(99, unread.clone(), Some(99))]].concat()), Vec::<String>::new());
    // One that was read names it, or may be joined by one that does.
    assert_eq!(said(&[right(), vec![(99, stored(12, 3..6), Some(99))]].concat()), Vec::<String>::new());
    let mut named = NamedRecords::new();
    named.take(NOW, 3, Some(&Decided { id: decision(1), digest: Some(text(1).into()) }));
    let (log, head) = (log_name(), head());
    let stand = Stand { log: &log, head: &head };
    assert!(!named.knows(stand, &unread) && named.knows(stand, &stored(12, 2..4)));
    assert_eq!(named.compare(stand, &key(99), &unread, None), Standing::Unknown);
    named.forget(NOW);
    assert_eq!(named.into_bad(NOW), Vec::<String>::new());
}

#[test]
fn an_entry_from_before_records_had_digests_names_its_decision_alone() {
    let (log, head) = (log_name(), head());
    let stand = Stand { log: &log, head: &head };
    let mut named = NamedRecords::new();
    named.take(NOW, 0, Some(&Decided { id: decision(1), digest: None }));
    named.take(NOW, 1, Some(&Decided { id: decision(2), digest: None }));
    assert_eq!(named.compare(stand, &key(1), &stored(12, 0..1), Some(&text(5))), Standing::Settled);
    assert_eq!(named.into_bad(NOW), Vec::<String>::new());
}

#[test]
fn no_more_are_named_than_anybody_reads() {
    let rows: Vec<_> = (1_000..1_250).map(|n| (n, stored(12, 0..1), Some(n))).collect();
    let said = said(&[right(), rows].concat());
    assert_eq!((said.len(), said[100].as_str()), (101, "and the records of 150 more decisions"));
}

#[test]
fn entries_that_are_scattered_take_no_memory_without_end() {
    let mut named = NamedRecords::new();
    for n in 0..5_000 {
        named.take(NOW, n * BUNDLE_ENTRIES, None);
    }
    assert!(named.bundles.len() < 1_200, "{}", named.bundles.len());
    assert_eq!(named.into_bad(NOW), [SCATTERED]);
    let mut named = NamedRecords::new();
    for n in 0..BUNDLE_ENTRIES * 5_000 {
        named.take(FIRST, n, None);
    }
    assert_eq!((named.bundles.len(), named.into_bad(NOW).len()), (5_000, 0), "all of a log that is whole is read");
}
