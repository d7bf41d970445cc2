//! An index finds what a scan finds, and one that cannot be relied on is begun anew.
// Long because: whatever somebody may have made of an index is tried on the same few entries.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;

use attorn_log::{Epoch, LogId};
use proptest::prelude::*;
use tempfile::TempDir;

use super::open::{Anew, FORMAT, LOG_KEY, check};
use super::*;
use crate::fixtures::{batch, body, id, log, new_store, unlocked};
use crate::open::FIRST_EPOCH;

const STEPS: u64 = 10_000;

fn term(text: &str) -> Term {
    Term::of("field", text)
}

fn open(dir: &TempDir) -> (EntryIndex, Option<Anew>) {
    EntryIndex::open(&dir.path().join("index"), &log(), FIRST_EPOCH).unwrap()
}

/// An index whose entries are found by these numbers of theirs: what it is divided by without rest.
fn entry(at: u64) -> Indexed {
    let divisors = [1, 2, 3, 7, 1_000, 4_096].into_iter().filter(|by| at.is_multiple_of(*by));
    let mut terms: Vec<Term> = divisors.map(|by| term(&by.to_string())).collect();
    terms.push(term(&format!("only {at}")));
    Indexed { time: TimeMs(time(at)), terms }
}

/// Times grow, but not strictly.
fn time(at: u64) -> u64 {
    1_000 + at * 10 - (at * 7) % 50
}

fn bytes(at: u64) -> Vec<u8> {
    at.to_be_bytes().into()
}

/// Add entries up to this number, so many at a time.
fn add(index: &EntryIndex, to: u64, at_a_time: usize) {
    let from = index.through();
    let all: Vec<u64> = (from..to).collect();
    for some in all.chunks(at_a_time) {
        let entries: Vec<Indexed> = some.iter().map(|at| entry(*at)).collect();
        index.add(&entries, &bytes(*some.last().unwrap())).unwrap();
    }
}

fn search(terms: &[&str], within: Range<u64>, order: Order) -> Search {
    let terms = terms.iter().map(|text| term(text)).collect();
    Search { terms, times_ms: (0, u64::MAX), within, order }
}

/// All that is found, going on whenever the steps are used up.
fn found(index: &EntryIndex, mut search: Search, steps_max: u64) -> Vec<u64> {
    let mut found = Vec::new();
    loop {
        let mut walk = index.walk(search.clone(), steps_max);
        loop {
            match walk.step().unwrap() {
                Next::Entry(at) => found.push(at),
                Next::End => return found,
                Next::Tired => break,
            }
        }
        assert_ne!(walk.rest(), search.within, "it does not get on");
        search.within = walk.rest();
    }
}

fn scan(terms: &[u64], within: Range<u64>, order: Order) -> Vec<u64> {
    let mut all: Vec<u64> = within.filter(|at| terms.iter().all(|by| at.is_multiple_of(*by))).collect();
    if order == Order::Newest {
        all.reverse();
    }
    all
}

#[test]
fn what_has_all_terms_is_found_in_either_order_over_many_chunks() {
    let dir = TempDir::new().unwrap();
    let (index, _) = open(&dir);
    add(&index, 20_000, 1_337);
    for order in [Order::Oldest, Order::Newest] {
        for (terms, numbers) in [
            (&[][..], &[][..]),
            (&["1"], &[1]),
            (&["2", "3"], &[6]),
            (&["7", "4096"], &[7 * 4_096]),
            (&["1000", "3", "2", "1"], &[3_000]),
            (&["4096", "1000"], &[512_000]),
        ] {
            for within in [0..20_000, 0..0, 4_095..4_097, 1..8_192, 5_000..5_001, 19_999..40_000, 0..u64::MAX] {
                let expect = scan(numbers, within.start..within.end.min(20_000), order);
                assert_eq!(found(&index, search(terms, within.clone(), order), STEPS), expect, "{terms:?} {within:?}");
            }
            // Whoever can take one step at a time comes to the same.
            let expect = scan(numbers, 0..20_000, order);
            assert_eq!(found(&index, search(terms, 0..u64::MAX, order), 1), expect, "{terms:?}");
        }
        assert_eq!(found(&index, search(&["only 12345"], 0..u64::MAX, order), STEPS), [12_345]);
        assert_eq!(found(&index, search(&["only 12345", "2"], 0..u64::MAX, order), STEPS), [0; 0]);
        assert_eq!(found(&index, search(&["nothing"], 0..u64::MAX, order), STEPS), [0; 0]);
    }
}

#[test]
fn the_rarest_term_sets_the_pace() {
    let dir = TempDir::new().unwrap();
    let (index, _) = open(&dir);
    add(&index, 20_000, 5_000);
    for order in [Order::Oldest, Order::Newest] {
        let mut walk = index.walk(search(&["1", "2", "only 12346"], 0..u64::MAX, order), STEPS);
        assert_eq!(walk.step().unwrap(), Next::Entry(12_346));
        assert_eq!(walk.step().unwrap(), Next::End);
        assert!(STEPS - walk.steps_left() <= 9, "{}", STEPS - walk.steps_left());
    }
}

#[test]
fn nothing_that_was_written_at_the_time_is_missed_and_little_else_is_found() {
    let dir = TempDir::new().unwrap();
    let (index, _) = open(&dir);
    add(&index, 10_000, 300);
    for (since, until) in [(0, 0), (1_000, 1_000), (50_000, 60_000), (101_000, u64::MAX), (0, 2_000), (7, 200_000)] {
        for order in [Order::Oldest, Order::Newest] {
            let search = Search { times_ms: (since, until), ..search(&["2"], 0..u64::MAX, order) };
            let walked = found(&index, search, STEPS);
            let in_time = |at: &u64| (since..=until).contains(&time(*at));
            let expect: Vec<u64> = scan(&[2], 0..10_000, order).into_iter().filter(in_time).collect();
            let exact: Vec<u64> = walked.iter().copied().filter(in_time).collect();
            assert_eq!(exact, expect, "{since} {until}");
            // Two blocks at each end at the most.
            assert!(walked.len() - exact.len() <= 4 * 128, "{since} {until}: {}", walked.len());
        }
    }
}

#[test]
fn it_goes_on_after_it_was_closed_and_is_the_same_however_it_was_made() {
    let (one, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let at_once = open(&one).0;
    add(&at_once, 5_000, 5_000);
    for to in [1, 300, 4_097, 5_000] {
        let (index, anew) = open(&other);
        assert_eq!(anew, None);
        add(&index, to, 97);
    }
    let (index, anew) = open(&other);
    assert_eq!((anew, index.through()), (None, 5_000));
    let all = |index: &EntryIndex| {
        let trees = [&index.postings, &index.times, &index.meta];
        let rows = trees.map(|tree| tree.iter().map(Result::unwrap).collect::<Vec<_>>());
        rows.map(|rows| rows.into_iter().filter(|(key, _)| key.as_ref() != LOG_KEY).collect::<Vec<_>>())
    };
    assert_eq!(all(&index), all(&at_once));
}

#[test]
fn a_round_that_was_cut_off_leaves_no_gap_and_nothing_twice() {
    let dir = TempDir::new().unwrap();
    let (index, _) = open(&dir);
    add(&index, 250, 250);
    let mark = index.meta.get(MARK_KEY).unwrap().unwrap();
    add(&index, 600, 350);
    drop(index);
    // All rows of the second round are there, and its mark is not.
    let (index, _) = open(&dir);
    index.meta.insert(MARK_KEY, mark).unwrap();
    drop(index);
    // Nor was it written down yet how far that is.
    std::fs::remove_file(dir.path().join("index/reached")).unwrap();
    let (index, anew) = open(&dir);
    assert_eq!((anew, index.through()), (None, 250));
    assert_eq!(found(&index, search(&["1"], 0..u64::MAX, Order::Oldest), STEPS), scan(&[1], 0..250, Order::Oldest));
    assert_eq!(found(&index, search(&["1"], 0..u64::MAX, Order::Newest), STEPS), scan(&[1], 0..250, Order::Newest));
    add(&index, 700, 113);
    for order in [Order::Oldest, Order::Newest] {
        assert_eq!(found(&index, search(&["7"], 0..u64::MAX, order), STEPS), scan(&[7], 0..700, order));
    }
}

#[test]
fn an_index_that_cannot_be_relied_on_is_begun_anew() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("index");
    let fill = || add(&EntryIndex::open(&path, &log(), FIRST_EPOCH).unwrap().0, 10, 10);
    let anew = |log: &LogId, epoch: Epoch| {
        let (index, why) = EntryIndex::open(&path, log, epoch).unwrap();
        assert_eq!(index.through() == 0, why.is_some());
        why.map(|anew| anew.why)
    };
    fill();
    assert_eq!(anew(&log(), FIRST_EPOCH), None);
    assert_eq!(anew(&id("other"), FIRST_EPOCH).unwrap(), "it is of the log `test`, epoch 1");
    assert_eq!(anew(&log(), Epoch(2)).unwrap(), "it is of the log `other`, epoch 1");
    std::fs::remove_dir_all(&path).unwrap();
    assert_eq!(open(&dir).0.through(), 0);
    for (change, why) in [
        (&(|_: &sled::Db| {}) as &dyn Fn(&sled::Db), None),
        (&|engine| put(engine, "meta", MARK_KEY, &[0; 7]), Some("its mark is broken")),
        (&|engine| put(engine, "meta", LOG_KEY, b"{}"), Some("missing field")),
        (&|engine| remove(engine, "meta", LOG_KEY), Some("it does not say whose it is")),
        (&|engine| engine.open_tree("times").unwrap().clear().unwrap(), Some("its mark is broken")),
    ] {
        fill();
        forge(&path, change);
        let said = anew(&log(), FIRST_EPOCH);
        assert_eq!(said.is_some(), why.is_some(), "{said:?}");
        assert!(said.unwrap_or_default().contains(why.unwrap_or_default()), "{why:?}");
    }
}

fn put(engine: &sled::Db, tree: &str, key: &[u8], value: &[u8]) {
    engine.open_tree(tree).unwrap().insert(key, value).unwrap();
}

fn remove(engine: &sled::Db, tree: &str, key: &[u8]) {
    assert!(engine.open_tree(tree).unwrap().remove(key).unwrap().is_some());
}

/// As somebody does who writes to the disk: all sums of the engine are right afterwards.
fn forge(path: &Path, change: impl Fn(&sled::Db)) {
    let engine = unlocked(path);
    change(&engine);
    engine.flush().unwrap();
    // Whoever writes into the one takes the other away.
    std::fs::remove_file(path.join("reached")).unwrap();
}

#[test]
fn an_index_that_says_of_more_than_it_covers_that_it_is_packed_is_begun_anew() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("index");
    let packed = |engine: &sled::Db, chunks: u64| put(engine, "meta", b"packed", &chunks.to_be_bytes());
    let (more, beyond) = ("it says that more of it is packed than it covers", "it has packs of what it does not cover");
    let pack =
        |engine: &sled::Db, chunk: u64| put(engine, "packs", &[&chunk.to_be_bytes()[..], &[0; 16]].concat(), &[]);
    for (change, why, expected) in [
        (
            &(|engine: &sled::Db| {
                remove(engine, "meta", MARK_KEY);
                packed(engine, 16);
            }) as &dyn Fn(&sled::Db),
            more,
            false,
        ),
        (&|engine| packed(engine, 16), more, false),
        (&|engine| packed(engine, 1), more, false),
        // Whoever looked into all of them would never end.
        (&|engine| packed(engine, 1 << 62), more, false),
        (&|engine| packed(engine, u64::MAX), more, false),
        (&|engine| pack(engine, 16), beyond, false),
        (
            &|engine| {
                remove(engine, "meta", MARK_KEY);
                pack(engine, 0);
            },
            beyond,
            false,
        ),
        // As when the first round is cut off.
        (&|engine| remove(engine, "meta", MARK_KEY), "it has times of what it does not cover", true),
    ] {
        // One whole chunk, and no volume.
        add(&open(&dir).0, 4_100, 4_100);
        forge(&path, change);
        let (index, anew) = open(&dir);
        assert_eq!((index.through(), anew), (0, Some(Anew { why: why.to_owned(), expected })));
        add(&index, 10, 10);
        for order in [Order::Oldest, Order::Newest] {
            assert_eq!(found(&index, search(&["3"], 0..u64::MAX, order), STEPS), scan(&[3], 0..10, order));
        }
        drop(index);
        EntryIndex::remove(&path).unwrap();
    }
}

/// The engine waits for whoever writes into a pipe, and follows links.
#[test]
fn what_is_no_file_is_neither_opened_nor_followed() {
    let dir = TempDir::new().unwrap();
    let (path, elsewhere) = (dir.path().join("index"), dir.path().join("elsewhere"));
    let pipe = |path: &Path| {
        rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
    };
    let link = |path: &Path| std::os::unix::fs::symlink(&elsewhere, path).unwrap();
    std::fs::create_dir(&elsewhere).unwrap();
    std::fs::write(elsewhere.join("kept"), "kept").unwrap();
    for (name, put) in [
        ("conf", &pipe as &dyn Fn(&Path)),
        ("db", &pipe),
        ("snap.0000000000000001", &pipe),
        ("blobs/1", &pipe),
        ("conf", &link),
        ("blobs", &link),
        ("blobs/1", &link),
        ("blobs/1", &|path| std::fs::create_dir(path).unwrap()),
        ("", &pipe),
        ("", &link),
    ] {
        add(&open(&dir).0, 10, 10);
        // So that nobody opens it meanwhile.
        drop(unlocked(&path));
        let there = if name.is_empty() { path.clone() } else { path.join(name) };
        if there.is_dir() {
            std::fs::remove_dir_all(&there).unwrap();
        } else if there.exists() {
            std::fs::remove_file(&there).unwrap();
        }
        std::fs::create_dir_all(there.parent().unwrap()).unwrap();
        put(&there);
        let (index, anew) = open(&dir);
        let anew = anew.unwrap();
        assert!(!anew.expected, "{}", anew.why);
        assert!(anew.why.starts_with("it is no directory") || anew.why.ends_with("is no regular file"), "{}", anew.why);
        add(&index, 10, 10);
        assert_eq!(found(&index, search(&["3"], 0..u64::MAX, Order::Oldest), STEPS), [0, 3, 6, 9]);
        drop(index);
        EntryIndex::remove(&path).unwrap();
        assert_eq!(std::fs::read_to_string(elsewhere.join("kept")).unwrap(), "kept");
        assert_eq!(std::fs::read_dir(&elsewhere).unwrap().count(), 1);
    }
}

#[test]
fn a_power_cut_while_it_was_open_is_noticed() {
    let owner =
        |boot: &str, closed| Owner { format: FORMAT, log_id: "test".into(), epoch: 1, boot: boot.into(), closed };
    for (found, fine) in
        [(owner("a", false), true), (owner("a", true), true), (owner("b", true), true), (owner("b", false), false)]
    {
        assert_eq!(check(&found, &owner("a", false)).is_ok(), fine, "{found:?}");
    }
    assert!(check(&Owner { format: FORMAT + 1, ..owner("a", true) }, &owner("a", false)).is_err());
}

#[test]
fn files_of_something_else_are_replaced() {
    let dir = TempDir::new().unwrap();
    add(&open(&dir).0, 10, 10);
    std::fs::write(dir.path().join("index/db"), vec![0x55; 100_000]).unwrap();
    // The engine takes what it cannot read for nothing at all.
    let (index, _) = open(&dir);
    assert_eq!(index.through(), 0);
    add(&index, 10, 10);
    assert_eq!(found(&index, search(&["3"], 0..u64::MAX, Order::Newest), STEPS), [9, 6, 3, 0]);
}

#[tokio::test]
async fn an_index_of_other_entries_is_noticed() {
    let dir = TempDir::new().unwrap();
    let (index, _) = open(&dir);
    let (_store_dir, store) = new_store();
    assert!(index.follows(&store).unwrap());
    for n in 0..3 {
        store.commit(batch(|batch| batch.entries.push(body(n)))).await.unwrap();
    }
    assert!(index.follows(&store).unwrap());
    let stored = |at| store.entry(at).unwrap().unwrap();
    index.add(&[entry(0), entry(1)], &stored(1)).unwrap();
    assert!(index.follows(&store).unwrap());
    // Another entry stands there now, or none does.
    index.add(&[entry(2)], &stored(1)).unwrap();
    assert!(!index.follows(&store).unwrap());
    index.add(&[entry(3)], &stored(2)).unwrap();
    assert!(!index.follows(&store).unwrap());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_walk_finds_what_a_scan_finds(
        all in prop::collection::vec((prop::collection::btree_set(0..6_u8, 0..4), 0..300_u64), 1..120),
        terms in prop::collection::btree_set(0..6_u8, 0..3), (since, until) in (0..300_u64, 0..300_u64),
        (start, end) in (0..130_u64, 0..130_u64), at_a_time in 1..50_usize, steps_max in 1..5_u64, newest: bool,
    ) {
        let dir = TempDir::new().unwrap();
        let (index, _) = open(&dir);
        for some in all.chunks(at_a_time) {
            let entries = some.iter().map(|(terms, time)| Indexed {
                time: TimeMs(*time),
                terms: terms.iter().map(|name| term(&name.to_string())).collect(),
            });
            index.add(&entries.collect::<Vec<_>>(), b"x").unwrap();
        }
        let order = if newest { Order::Newest } else { Order::Oldest };
        let wanted: BTreeSet<u8> = terms.clone();
        let search = Search {
            terms: terms.iter().map(|name| term(&name.to_string())).collect(),
            times_ms: (since, until), within: start..end, order,
        };
        let in_time = |at: &u64| (since..=until).contains(&all[usize::try_from(*at).unwrap()].1);
        let walked: Vec<u64> = found(&index, search, steps_max).into_iter().filter(in_time).collect();
        let scanned = (0_u64..).zip(&all).filter(|(at, (has, _))| (start..end).contains(at) && wanted.is_subset(has));
        let mut scanned: Vec<u64> = scanned.map(|(at, _)| at).filter(in_time).collect();
        if newest {
            scanned.reverse();
        }
        prop_assert_eq!(walked, scanned);
    }
}

#[test]
fn what_was_taken_out_of_an_index_is_missed_packed_or_not() {
    for volume_chunks in [1, 2, u64::MAX] {
        let dir = TempDir::new().unwrap();
        let (mut index, _) = open(&dir);
        index.volume_chunks = volume_chunks;
        add(&index, 10_000, 999);
        let all: Vec<(u64, Indexed)> = (0..10_500).map(|at| (at, entry(at))).collect();
        let lacking = |index: &EntryIndex| -> Vec<u64> {
            let size = usize::try_from(EntryIndex::COMPARED_ENTRIES).unwrap();
            all.chunks(size).flat_map(|some| index.lacks(some).unwrap()).collect()
        };
        // What it does not cover yet is not lacking.
        assert_eq!(lacking(&index), Vec::<u64>::new(), "{volume_chunks}");
        // A row of its own, and a bit of a row that others have, too.
        if volume_chunks == u64::MAX {
            index.postings.remove(term("only 5000").row(1)).unwrap().unwrap();
            assert_eq!(lacking(&index), [5_000]);
            let mut row = Chunk::decode(&index.postings.get(term("1").row(0)).unwrap().unwrap()).unwrap();
            assert_eq!(row.pop_first(), Some(0));
            index.postings.insert(term("1").row(0), row.encode()).unwrap();
            assert_eq!(lacking(&index), [0, 5_000]);
        } else {
            let (key, _) = index.packs.iter().next().unwrap().unwrap();
            index.packs.remove(key).unwrap();
            assert!(!lacking(&index).is_empty());
        }
        // Times that hide an entry from whoever asks for a time.
        let hidden = lacking(&index).len();
        index.covered.write().unwrap().blocks[39] = Block { earliest: 0, latest: 1 };
        assert!(lacking(&index).len() >= hidden + 16, "{volume_chunks}");
    }
}

/// The engine goes on with less, or with nothing, and says nothing of that.
#[test]
fn an_index_whose_files_are_damaged_is_named_wherever_that_is() {
    let whole = TempDir::new().unwrap();
    let (index, _) = open(&whole);
    add(&index, 3_000, 512);
    drop(index);
    let from = whole.path().join("index");
    let bytes = std::fs::read(from.join("db")).unwrap();
    let half = bytes.len() / 2;
    let junk = |range: Range<usize>| {
        let mut changed = bytes.clone();
        changed[range].iter_mut().for_each(|byte| *byte = !*byte);
        changed
    };
    for (what, db) in [
        ("cut", bytes[..half].to_vec()),
        ("empty", Vec::new()),
        ("zeros", vec![0; bytes.len()]),
        ("its first half", junk(0..half)),
        ("its second half", junk(half..bytes.len())),
        ("all of it", junk(0..bytes.len())),
    ] {
        let dir = TempDir::new().unwrap();
        let to = dir.path().join("index");
        std::fs::create_dir(&to).unwrap();
        for name in ["conf", "reached"] {
            std::fs::copy(from.join(name), to.join(name)).unwrap();
        }
        std::fs::write(to.join("db"), db).unwrap();
        let (index, anew) = open(&dir);
        assert!(anew.is_some_and(|anew| !anew.expected), "{what}");
        assert_eq!(index.through(), 0, "{what}");
    }
    // What was closed and is whole is as it was; so is one that was open when its process ended.
    let (index, anew) = open(&whole);
    assert_eq!((index.through(), anew), (3_000, None));
    // One that is open still says nothing about the one that takes its place.
    EntryIndex::remove(&from).unwrap();
    let (other, _) = open(&whole);
    drop(index);
    drop(other);
    let (index, anew) = open(&whole);
    assert_eq!((index.through(), anew), (0, None));
}
