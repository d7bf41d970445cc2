//! What is packed is found as before, and most of what was a row of its own is not any more.

use std::ops::Range;

use attorn_core::TimeMs;
use tempfile::TempDir;

use super::super::chunk::CHUNK_ENTRIES;
use super::super::{Indexed, Next, Search};
use super::*;
use crate::fixtures::log;
use crate::open::FIRST_EPOCH;

const ENTRIES: u64 = 5 * CHUNK_ENTRIES + 1_000;

fn open(dir: &TempDir, volume_chunks: u64) -> EntryIndex {
    let opened = EntryIndex::open_with(&dir.path().join("index"), &log(), FIRST_EPOCH, volume_chunks);
    let (index, anew) = opened.unwrap();
    assert_eq!(anew, None);
    index
}

/// Each entry has a term that no other has, one that some have, one of few chunks, and one that all have.
fn terms(at: u64) -> Vec<String> {
    let mut terms = vec![format!("only {at}"), format!("rest {}", at % 1_000), "all".to_owned()];
    if at / CHUNK_ENTRIES % 3 == 1 {
        terms.push("every third chunk".to_owned());
    }
    terms
}

fn term(text: &str) -> Term {
    Term::of("field", text)
}

fn add(index: &EntryIndex, to: u64) {
    let all: Vec<u64> = (index.through()..to).collect();
    for some in all.chunks(1_500) {
        let indexed =
            |at: &u64| Indexed { time: TimeMs(*at), terms: terms(*at).iter().map(|text| term(text)).collect() };
        index.add(&some.iter().map(indexed).collect::<Vec<_>>(), &some.last().unwrap().to_be_bytes()).unwrap();
    }
}

fn found(index: &EntryIndex, text: &str, within: Range<u64>, order: Order) -> Vec<u64> {
    let search = Search { terms: vec![term(text)], times_ms: (0, u64::MAX), within, order };
    let (mut walk, mut found) = (index.walk(search, 100_000), Vec::new());
    while let Next::Entry(at) = walk.step().unwrap() {
        found.push(at);
    }
    found
}

fn check(index: &EntryIndex) {
    for text in
        ["all", "every third chunk", "rest 7", "rest 999", "only 0", "only 4095", "only 4096", "only 21479", "nothing"]
    {
        for within in [0..ENTRIES, 0..1, 4_095..4_097, 8_192..8_193, 10_000..20_000, 20_000..ENTRIES] {
            let mut expect: Vec<u64> = within.clone().filter(|at| terms(*at).iter().any(|one| one == text)).collect();
            assert_eq!(found(index, text, within.clone(), Order::Oldest), expect, "{text} {within:?}");
            expect.reverse();
            assert_eq!(found(index, text, within.clone(), Order::Newest), expect, "{text} {within:?}");
        }
    }
}

#[test]
fn what_is_packed_is_found_as_before_and_few_rows_are_left() {
    for (volume_chunks, packed) in [(1, 5), (2, 4), (3, 3), (VOLUME_CHUNKS, 0)] {
        let dir = TempDir::new().unwrap();
        let index = open(&dir, volume_chunks);
        add(&index, ENTRIES);
        assert_eq!(*index.packed.read().unwrap(), packed);
        check(&index);
        let rows = index.postings.len() as u64;
        assert!(rows <= (ENTRIES - packed * CHUNK_ENTRIES) * 2 + 2_004, "{rows}");
        // A pack has some hundred of them.
        let packs = index.packs.len() as u64;
        assert!(packs <= packed * CHUNK_ENTRIES / 50 + packed, "{packs}");
        drop(index);
        let index = open(&dir, volume_chunks);
        assert_eq!(*index.packed.read().unwrap(), packed);
        check(&index);
    }
}

fn put_back(index: &EntryIndex, rows: &[(sled::IVec, sled::IVec)]) {
    for (key, row) in rows {
        index.postings.insert(key, row).unwrap();
    }
}

#[test]
fn a_packing_that_was_cut_off_is_done_again() {
    let dir = TempDir::new().unwrap();
    let index = open(&dir, VOLUME_CHUNKS);
    add(&index, ENTRIES);
    let rows: Vec<_> = index.postings.iter().map(Result::unwrap).collect();
    drop(index);
    // All rows are there, and none, some or all packs: the mark was not written.
    for kept in [0, 3, usize::MAX] {
        let index = open(&dir, 2);
        index.meta.remove(PACKED_KEY).unwrap();
        put_back(&index, &rows);
        // Those of the volume that was packed are the only ones.
        let (first, last) = (index.packs.range(..2_u64.to_be_bytes()), index.packs.range(2_u64.to_be_bytes()..));
        for pair in first.skip(kept).chain(last) {
            index.packs.remove(pair.unwrap().0).unwrap();
        }
        drop(index);
        let index = open(&dir, 2);
        check(&index);
        while index.pack(5).unwrap() {}
        assert_eq!(*index.packed.read().unwrap(), 4);
        check(&index);
    }
    // The mark was written, and rows are left: they are not looked at, and go with the next packing.
    let index = open(&dir, 2);
    put_back(&index, &rows);
    check(&index);
    add(&index, 6 * CHUNK_ENTRIES);
    assert_eq!((*index.packed.read().unwrap(), index.postings.len()), (6, 0));
    assert_eq!(found(&index, "only 5", 0..ENTRIES, Order::Oldest), [5]);
}

#[test]
fn a_pack_that_is_broken_is_an_error_and_no_answer() {
    let dir = TempDir::new().unwrap();
    let index = open(&dir, 1);
    add(&index, 2 * CHUNK_ENTRIES);
    let (key, pack) = index.packs.iter().next().unwrap().unwrap();
    let (first, _) = taken_apart_pack(&key);
    let of_pack = |bytes: &[u8]| {
        index.packs.insert(&key, bytes).unwrap();
        index.row(first, 0, Order::Newest, 0).map(|found| at(&found.place))
    };
    assert!(of_pack(&pack).unwrap().is_some());
    for end in [1, ROW_HEADER_BYTES - 1, ROW_HEADER_BYTES, ROW_HEADER_BYTES + 1] {
        assert!(of_pack(&pack[..end]).is_err(), "{end}");
    }
    let mut longer = pack.to_vec();
    longer[17] = 0xff;
    assert!(of_pack(&longer).is_err());
    index.meta.insert(PACKED_KEY, vec![1]).unwrap();
    assert!(read_mark(&index.meta).is_err());
}

fn at(place: &Place) -> Option<u64> {
    match place {
        Place::At(chunk, _) => Some(*chunk),
        Place::Further(_) | Place::Nowhere => None,
    }
}

/// Whoever puts a row in twice, right and empty, hides entries in the order in which the empty one is met.
#[test]
fn rows_that_stand_twice_or_outside_their_volume_hide_nothing() {
    let dir = TempDir::new().unwrap();
    let index = open(&dir, 2);
    add(&index, 2 * CHUNK_ENTRIES);
    let (key, pack) = index.packs.iter().next().unwrap().unwrap();
    let (first, _) = taken_apart_pack(&key);
    let (term, chunk, row, rest) = split_row(&pack).unwrap();
    assert!(term == first);
    let forged = |rows: &[(u8, &[u8])]| {
        let mut bytes = Vec::new();
        for (chunk, row) in rows {
            bytes.extend([&first.0[..], &[*chunk], &u16::try_from(row.len()).unwrap().to_be_bytes(), row].concat());
        }
        index.packs.insert(&key, [&bytes, rest].concat()).unwrap();
    };
    forged(&[(chunk, row)]);
    let has_it = |at: u64| terms(at).iter().any(|text| self::term(text) == first);
    let entry = (0..2 * CHUNK_ENTRIES).find(|at| has_it(*at)).unwrap();
    let lacks = || index.lacks(&[(entry, Indexed { time: TimeMs(entry), terms: vec![first] })]);
    assert!(lacks().unwrap().is_empty());
    for rows in [
        &[(chunk, row), (chunk, &[][..])][..],
        &[(chunk, &[]), (chunk, row)],
        &[(1, row), (0, row)],
        // Chunk 2 is in the next volume: whoever came to it by this one would miss what stands between.
        &[(chunk, row), (2, row)],
        &[(chunk, row), (255, &[])],
    ] {
        forged(rows);
        for order in [Order::Oldest, Order::Newest] {
            for from in [0, 1] {
                assert!(index.row(first, from, order, 0).is_err(), "{rows:?} {order:?}");
            }
        }
        assert!(lacks().is_err(), "{rows:?}");
    }
}

#[test]
fn what_was_put_where_the_next_packs_go_is_gone_when_they_are_there() {
    let dir = TempDir::new().unwrap();
    let index = open(&dir, 1);
    add(&index, CHUNK_ENTRIES + 10);
    let hidden = term("only 4100");
    let mut empty = Pack::default();
    empty.add(hidden, 0, &[]).unwrap();
    empty.put(&index.packs, 1).unwrap();
    add(&index, ENTRIES);
    check(&index);
    for order in [Order::Oldest, Order::Newest] {
        assert_eq!(found(&index, "only 4100", 0..ENTRIES, order), [4_100]);
    }
}

/// The first term of a pack, by its key, and its volume's first chunk.
fn taken_apart_pack(key: &[u8]) -> (Term, u64) {
    let (chunk, term) = key.split_first_chunk().unwrap();
    (Term(term.try_into().unwrap()), u64::from_be_bytes(*chunk))
}

#[test]
fn whoever_looks_for_what_is_nowhere_gets_tired_all_the_same() {
    let dir = TempDir::new().unwrap();
    let index = open(&dir, 1);
    add(&index, ENTRIES);
    for order in [Order::Oldest, Order::Newest] {
        let search = Search { terms: vec![term("nothing")], times_ms: (0, u64::MAX), within: 0..ENTRIES, order };
        let mut walk = index.walk(search, 100);
        assert_eq!(walk.step().unwrap(), Next::End);
        assert_eq!(walk.steps_left(), 100 - 1 - 5, "each volume that was passed is a step");
        // With fewer steps it ends early, and goes on where it stood.
        let (mut within, mut walks) = (0..ENTRIES, 0);
        loop {
            let search =
                Search { terms: vec![term("nothing")], times_ms: (0, u64::MAX), within: within.clone(), order };
            let mut walk = index.walk(search, 3);
            walks += 1;
            if walk.step().unwrap() == Next::End {
                break;
            }
            assert_ne!(walk.rest(), within, "it does not get on");
            within = walk.rest();
        }
        assert_eq!(walks, 3, "two volumes each, and what is not packed");
        assert_eq!(found(&index, "only 12345", 0..ENTRIES, order), [12_345]);
    }
}
