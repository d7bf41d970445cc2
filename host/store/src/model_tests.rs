//! Random batches against a model that is a map, with the store opened anew in between.

use std::collections::BTreeMap;

use attorn_core::TimeMs;
use attorn_log::Entry;
use proptest::prelude::*;
use tempfile::TempDir;

use crate::batch::{Batch, Require};
use crate::commit::Store;
use crate::error::CommitError;
use crate::fixtures::{add, body, counter, meta, ours};
use crate::key::{Key, KeyKind, KeyPrefix};

const KEYS: u64 = 4;
const COUNTERS: u64 = 2;

#[derive(Debug, Clone)]
enum Act {
    Commit(Wish),
    Reopen,
}

/// A batch whose required versions are relative, so that many of them hold.
#[derive(Debug, Clone)]
struct Wish {
    require: Vec<(u64, Wanted)>,
    add: Vec<(u64, i64, u64)>,
    write: BTreeMap<u64, Option<u8>>,
    entries: u64,
}

#[derive(Debug, Clone, Copy)]
enum Wanted {
    Absent,
    Current,
    Stale,
    Expires(u64),
}

fn any_act() -> impl Strategy<Value = Act> {
    let wanted = prop_oneof![
        2 => Just(Wanted::Absent),
        4 => Just(Wanted::Current),
        1 => Just(Wanted::Stale),
        2 => (999_u64..1_003).prop_map(Wanted::Expires),
    ];
    let wish = (
        prop::collection::vec((0..KEYS, wanted), 0..2),
        prop::collection::vec((0..COUNTERS, -3_i64..6, 0_u64..30), 0..3),
        prop::collection::btree_map(0..KEYS, prop::option::of(any::<u8>()), 0..3),
        0_u64..3,
    );
    let wish = wish.prop_map(|(require, add, write, entries)| Wish { require, add, write, entries });
    prop_oneof![12 => wish.prop_map(Act::Commit), 1 => Just(Act::Reopen)]
}

#[derive(Debug, Default)]
struct Model {
    version: u64,
    values: BTreeMap<u64, (u64, Vec<u8>)>,
    counters: BTreeMap<u64, u64>,
    entries: u64,
}

/// What the model says to a batch.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    Committed(u64),
    Conflict(Vec<Key>),
    Limit(Key, u64),
    Malformed,
}

impl Model {
    fn commit(&mut self, wish: &Wish) -> Said {
        if wish.add.is_empty() && wish.write.is_empty() && wish.entries == 0 {
            return Said::Malformed;
        }
        let mut conflicts: Vec<Key> = Vec::new();
        for &(n, wanted) in &wish.require {
            let holds = match wanted {
                Wanted::Absent => !self.values.contains_key(&n),
                Wanted::Current => self.values.contains_key(&n),
                Wanted::Stale => false,
                Wanted::Expires(at) => self.values.contains_key(&n) && 1_000 < at,
            };
            if !holds && !conflicts.contains(&meta(n)) {
                conflicts.push(meta(n));
            }
        }
        if !conflicts.is_empty() {
            return Said::Conflict(conflicts);
        }
        let mut counters = self.counters.clone();
        for &(n, delta, at_most) in &wish.add {
            let count = counters.entry(n).or_default();
            match count.checked_add_signed(delta) {
                Some(sum) if sum <= at_most => *count = sum,
                _ => return Said::Limit(counter(n), self.counters.get(&n).copied().unwrap_or(0)),
            }
        }
        self.counters = counters;
        self.version += 1;
        for (&n, value) in &wish.write {
            match value {
                Some(value) => self.values.insert(n, (self.version, vec![*value])),
                None => self.values.remove(&n),
            };
        }
        self.entries += wish.entries;
        Said::Committed(self.version)
    }

    fn batch(&self, wish: &Wish) -> Batch {
        let mut batch = Batch::new(TimeMs(1_000));
        for &(n, wanted) in &wish.require {
            let version = self.values.get(&n).map(|&(version, _)| version);
            let require = match wanted {
                Wanted::Absent => Require::Absent,
                Wanted::Current => Require::Version(version.unwrap_or(u64::MAX)),
                Wanted::Stale => Require::Version(version.map_or(u64::MAX, |version| version - 1)),
                Wanted::Expires(at) => Require::Unexpired { expires_at: TimeMs(at) },
            };
            batch.require.push((meta(n), require));
        }
        batch.add = wish.add.iter().map(|&(n, delta, at_most)| add(n, delta, at_most)).collect();
        for (&n, value) in &wish.write {
            match value {
                Some(value) => batch.put.push((meta(n), vec![*value])),
                None => batch.delete.push(meta(n)),
            }
        }
        batch.entries = (self.entries..self.entries + wish.entries).map(body).collect();
        batch
    }
}

async fn agrees(store: &Store, model: &Model) {
    for n in 0..KEYS {
        let found = store.get(&meta(n)).await.unwrap().map(|found| (found.version, found.value));
        assert_eq!(found.as_ref(), model.values.get(&n));
    }
    for n in 0..COUNTERS {
        assert_eq!(store.counter(&counter(n)).await.unwrap(), model.counters.get(&n).copied().unwrap_or(0));
    }
    let mut scanned = Vec::new();
    let mut after = None;
    loop {
        let page = store.scan(&KeyPrefix::kind(KeyKind::Meta), after.as_ref(), 2).await.unwrap();
        scanned.extend(page.items.into_iter().map(|(key, found)| (key, (found.version, found.value))));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let expected: Vec<_> = model.values.iter().map(|(&n, value)| (meta(n), value.clone())).collect();
    assert_eq!(scanned, expected);
    assert_eq!(store.log_head().unwrap().size, model.entries);
    for (index, entry) in (0..).zip(store.entries(0, 1_000).unwrap()) {
        assert_eq!(Entry::parse(&entry.bytes).unwrap().body, body(index));
    }
    assert_eq!(store.verify_integrity().await.unwrap().version, model.version);
}

async fn run(acts: Vec<Act>) {
    let dir = TempDir::new().unwrap();
    let mut store = Some(Store::create(dir.path(), ours()).unwrap());
    let mut model = Model::default();
    for act in acts {
        if let (Act::Commit(wish), Some(open)) = (act, &store) {
            let batch = model.batch(&wish);
            let first = model.entries;
            let said = match open.commit(batch).await {
                Ok(committed) => {
                    let indexes: Vec<_> = committed.entries.iter().map(|entry| entry.index).collect();
                    assert_eq!(indexes, (first..first + wish.entries).collect::<Vec<_>>());
                    Said::Committed(committed.version)
                }
                Err(CommitError::Conflict(keys)) => Said::Conflict(keys),
                Err(CommitError::LimitExceeded { key, found }) => Said::Limit(key, found),
                Err(CommitError::Malformed(_)) => Said::Malformed,
                Err(error) => panic!("{error:?}"),
            };
            assert_eq!(said, model.commit(&wish));
        } else {
            drop(store.take());
            store = Some(Store::open(dir.path(), &ours()).unwrap());
        }
        agrees(store.as_ref().unwrap(), &model).await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn the_store_does_what_the_model_does(acts in prop::collection::vec(any_act(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(run(acts));
    }
}
