//! Every step of a commit, broken in both ways. After each the directory is opened anew, as it stood
//! on disk at that moment and as it stands once the broken store is closed, and everything in it is
//! verified.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use attorn_core::{JsonText, TimeMs};
use attorn_log::Entry;
use tempfile::TempDir;

use crate::batch::Batch;
use crate::boot::CutOffBy;
use crate::commit::Store;
use crate::error::{CommitError, Failure, OpenError, ReadError, StorageError};
use crate::fixtures::{add, batch, body, copy, counter, decided, decision, hurried, meta, ours, put};
use crate::key::{Key, KeyKind, KeyPrefix};
use crate::records::{DecisionRecord, Kept};
use crate::setup::Setup;
use crate::steps::{Step, Steps};

/// How a step breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// It fails and has done nothing.
    NotWritten,
    /// It does its work and says that it failed.
    Written,
}

/// Breaks one step when a switch is at 1, and counts it up.
struct Breaker {
    step: Step,
    way: Way,
    armed: Arc<AtomicU64>,
}

impl Steps for Breaker {
    fn take(&self, step: Step, act: &mut dyn FnMut() -> Result<(), StorageError>) -> Result<(), StorageError> {
        if step != self.step || self.armed.compare_exchange(1, 2, Ordering::SeqCst, Ordering::SeqCst).is_err() {
            return act();
        }
        if self.way == Way::Written {
            act()?;
        }
        Err(StorageError::new(&"broken by the test"))
    }
}

/// What batch `n` leaves: a value, a share of a counter, a decision with its entry, and one value less.
fn deed(n: u64) -> Batch {
    batch(|batch| {
        batch.put.push((meta(n), format!("deed {n}").into()));
        batch.add.push(add(0, i64::try_from(n).unwrap(), u64::MAX));
        let text = JsonText::from_canonical(format!("{{\"deed\":{n}}}"));
        batch.put_record(&DecisionRecord { id: decision(n), text: Kept::Plain(text) });
        batch.entries.push(decided(n));
        batch.delete.push(victim(n));
    })
}

fn victim(n: u64) -> Key {
    meta(1_000_000 + n)
}

/// Open a directory and check that what happened there happened whole, and that all of `acknowledged`
/// is there. Returns the deeds that were found.
async fn check(dir: &Path, acknowledged: &BTreeSet<u64>, tried: u64) -> BTreeSet<u64> {
    let store = Store::open_or_remake(dir, &ours(), None).unwrap();
    let integrity = store.verify_integrity().await.unwrap();
    let mut found = BTreeSet::new();
    for entry in store.entries(0, 1_000).unwrap() {
        let entry = Entry::parse(&entry.bytes).unwrap();
        let body: serde_json::Value = serde_json::from_str(entry.body.as_str()).unwrap();
        let n = body["n"].as_u64().unwrap();
        assert!(found.insert(n), "deed {n} was done twice");
    }
    for n in 0..tried {
        let value = store.get(&meta(n)).await.unwrap().map(|found| found.value);
        assert_eq!(value, found.contains(&n).then(|| format!("deed {n}").into()), "deed {n} is torn");
        let record = store.record::<DecisionRecord>(&Key::decision(&decision(n))).await.unwrap();
        let text = record.map(|record| record.value.text);
        let expect = JsonText::from_canonical(format!("{{\"deed\":{n}}}"));
        assert_eq!(text, found.contains(&n).then_some(Kept::Plain(expect)), "deed {n} is torn");
        let victim = store.get(&victim(n)).await.unwrap();
        assert_eq!(victim.is_none(), found.contains(&n), "deed {n} is torn");
    }
    assert_eq!(store.counter(&counter(0)).await.unwrap(), found.iter().sum::<u64>());
    assert!(acknowledged.is_subset(&found), "{acknowledged:?} were acknowledged, and {found:?} are there");
    assert_eq!(integrity.entries, found.len() as u64);
    let values = store.scan(&KeyPrefix::kind(KeyKind::Meta), None, 1_000).await.unwrap().items.len() as u64;
    assert_eq!(integrity.values, values + 1 + found.len() as u64);
    // It goes on.
    store.commit(put(5_000_000, "after")).await.unwrap();
    store.verify_integrity().await.unwrap();
    found
}

const BEFORE: u64 = 12;
const DURING: u64 = 24;
/// More than this is never needed for what comes behind to be due.
const TRIED_MAX: u64 = 600;

/// Let many deeds happen at once, and then one after the other until the step has broken.
async fn do_until_broken(step: Step, store: &Arc<Store>, armed: &AtomicU64, acknowledged: &mut BTreeSet<u64>) -> u64 {
    let deeds: Vec<_> = (BEFORE..BEFORE + DURING)
        .map(|n| {
            let store = Arc::clone(store);
            tokio::spawn(async move { (n, store.commit(deed(n)).await) })
        })
        .collect();
    let mut done = |n, outcome| match outcome {
        Ok(_) => assert!(acknowledged.insert(n)),
        Err(error) => assert!(matches!(error, CommitError::Failed(_)), "{error:?}"),
    };
    for deed in deeds {
        let (n, outcome) = deed.await.unwrap();
        done(n, outcome);
    }
    let mut tried = BEFORE + DURING;
    while armed.load(Ordering::SeqCst) == 1 {
        assert!(tried < TRIED_MAX, "{step} was never taken");
        done(tried, store.commit(deed(tried)).await);
        tried += 1;
        // As if a checkpoint were on disk.
        if let Ok(head) = store.log_head() {
            store.bundle_through(head.size);
        }
        // What comes behind gets its turn.
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    tried
}

async fn break_at(step: Step, way: Way) {
    let dir = TempDir::new().unwrap();
    let armed = Arc::new(AtomicU64::new(0));
    let breaker = Breaker { step, way, armed: Arc::clone(&armed) };
    let store = Arc::new(Store::create_with(dir.path(), ours(), hurried(breaker)).unwrap());
    for some in (0..TRIED_MAX).collect::<Vec<_>>().chunks(200) {
        let victims = batch(|batch| batch.put = some.iter().map(|&n| (victim(n), b"alive".to_vec())).collect());
        store.commit(victims).await.unwrap();
    }
    let mut acknowledged = BTreeSet::new();
    for n in 0..BEFORE {
        store.commit(deed(n)).await.unwrap();
        acknowledged.insert(n);
    }
    armed.store(1, Ordering::SeqCst);
    let mut tried = do_until_broken(step, &store, &armed, &mut acknowledged).await;
    if step.is_vital() {
        failed_for_ever(&store, step).await;
        store.ended().await;
        let image = TempDir::new().unwrap();
        copy(dir.path(), image.path());
        drop(store);
        for dir in [image.path(), dir.path()] {
            // A failed sync leaves an engine that nobody may rely on.
            let error = Store::open(dir, &ours()).map(drop).unwrap_err();
            assert!(matches!(error, OpenError::CutOff { by: CutOffBy::Failure, .. }), "{step} {way:?}: {error:?}");
        }
        let on_disk = check(image.path(), &acknowledged, tried).await;
        let closed = check(dir.path(), &acknowledged, tried).await;
        assert_eq!(on_disk, closed, "closing changed something");
        if (step, way) == (Step::Append, Way::NotWritten) || matches!(step, Step::Check | Step::Segment) {
            assert_eq!(closed, acknowledged);
        }
        if (step, way) == (Step::Sync, Way::Written) || step == Step::Transaction {
            assert!(on_disk.len() > acknowledged.len(), "the group was written");
        }
        return;
    }
    // Nobody waited for it: the store goes on, and does it later.
    for _ in 0..DURING {
        store.commit(deed(tried)).await.unwrap();
        acknowledged.insert(tried);
        tried += 1;
    }
    assert!(store.failure().is_none());
    drop(store);
    assert_eq!(check(dir.path(), &acknowledged, tried).await, acknowledged);
}

async fn failed_for_ever(store: &Store, step: Step) {
    assert!(matches!(&*store.failed().await, Failure::Step { step: failed, .. } if *failed == step));
    for _ in 0..3 {
        assert!(matches!(store.commit(put(1, "late")).await, Err(CommitError::Failed(_))));
    }
    let failed = |error| assert!(matches!(error, ReadError::Failed(_)), "{error:?}");
    failed(store.get(&meta(0)).await.unwrap_err());
    failed(store.get(&meta(9_999)).await.unwrap_err());
    failed(store.counter(&counter(0)).await.unwrap_err());
    failed(store.scan(&KeyPrefix::kind(KeyKind::Meta), None, 1).await.unwrap_err());
    failed(store.log_head().unwrap_err());
    failed(store.log_reaches(0).await.unwrap_err());
    failed(store.entry(0).unwrap_err());
    failed(store.entries(0, 1).unwrap_err());
    failed(store.root(0).unwrap_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_step_breaks_in_both_ways_and_nothing_acknowledged_is_lost() {
    let mut rows = BTreeSet::new();
    for (step, way) in [
        (Step::Check, Way::NotWritten),
        (Step::Check, Way::Written),
        (Step::Segment, Way::NotWritten),
        (Step::Segment, Way::Written),
        (Step::Append, Way::NotWritten),
        (Step::Append, Way::Written),
        (Step::Sync, Way::NotWritten),
        (Step::Sync, Way::Written),
        (Step::Transaction, Way::NotWritten),
        (Step::Transaction, Way::Written),
        (Step::Flush, Way::NotWritten),
        (Step::Flush, Way::Written),
        (Step::EngineSync, Way::NotWritten),
        (Step::EngineSync, Way::Written),
        (Step::Page, Way::NotWritten),
        (Step::Page, Way::Written),
        (Step::Base, Way::NotWritten),
        (Step::Base, Way::Written),
        (Step::Trim, Way::NotWritten),
        (Step::Trim, Way::Written),
        (Step::Bundle, Way::NotWritten),
        (Step::Bundle, Way::Written),
        (Step::Unload, Way::NotWritten),
        (Step::Unload, Way::Written),
        (Step::File, Way::NotWritten),
        (Step::File, Way::Written),
        (Step::Shorten, Way::NotWritten),
        (Step::Shorten, Way::Written),
    ] {
        rows.insert(format!("{step} {way:?}"));
        break_at(step, way).await;
    }
    for step in Step::ALL {
        for way in [Way::NotWritten, Way::Written] {
            assert!(rows.contains(&format!("{step} {way:?}")), "{step} {way:?} has no row");
        }
    }
}

/// Holds every step of this kind, when it is done and before anybody hears of it, until it is told to go on.
struct Gate(Step, Mutex<std::sync::mpsc::Receiver<()>>);

impl Steps for Gate {
    fn take(&self, step: Step, act: &mut dyn FnMut() -> Result<(), StorageError>) -> Result<(), StorageError> {
        act()?;
        if step == self.0 {
            self.1.lock().unwrap().recv().map_err(|error| StorageError::new(&error))?;
        }
        Ok(())
    }
}

/// A store whose steps of this kind wait for what is sent here.
fn gated(dir: &Path, step: Step) -> (std::sync::mpsc::Sender<()>, Arc<Store>) {
    drop(Store::create(dir, ours()).unwrap());
    let (open_gate, gate) = std::sync::mpsc::channel();
    let setup = Setup { steps: Arc::new(Gate(step, Mutex::new(gate))), ..Setup::usual() };
    (open_gate, Arc::new(Store::open_with(dir, &ours(), setup).unwrap()))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_engine_sees_nothing_that_is_not_synced() {
    let dir = TempDir::new().unwrap();
    let (open_gate, store) = gated(dir.path(), Step::Sync);
    let commit = {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.commit(put(1, "new")).await })
    };
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    assert!(!commit.is_finished());
    assert_eq!(store.get(&meta(1)).await.unwrap(), None);
    assert_eq!(store.shared.trees.head().unwrap().unwrap().1.version, 0);
    open_gate.send(()).unwrap();
    commit.await.unwrap().unwrap();
    assert_eq!(store.get(&meta(1)).await.unwrap().unwrap().value, b"new");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_engine_shows_before_it_is_said_is_neither_acknowledged_nor_read() {
    let dir = TempDir::new().unwrap();
    let (open_gate, store) = gated(dir.path(), Step::Transaction);
    open_gate.send(()).unwrap();
    store.commit(put(1, "old")).await.unwrap();
    let change = batch(|batch| {
        batch.delete.push(meta(1));
        batch.put.push((meta(2), b"new".to_vec()));
        batch.add.push(add(0, 5, 5));
        batch.entries.push(body(1));
    });
    let spawn = |store: &Arc<Store>, batch: Batch| {
        let store = Arc::clone(store);
        tokio::spawn(async move { store.commit(batch).await })
    };
    let commit = spawn(&store, change);
    // The engine shows the change before anybody may hear of it.
    while store.shared.trees.raw(&meta(2)).is_ok_and(|stored| stored.is_none()) {
        tokio::task::yield_now().await;
    }
    // A refusal tells of it, so it waits as well.
    let refused = spawn(
        &store,
        batch(|batch| {
            batch.require.push((meta(2), crate::batch::Require::Absent));
            batch.delete.push(meta(3));
        }),
    );
    let reads = {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let deleted = store.get(&meta(1)).await.unwrap();
            let new = store.get(&meta(2)).await.unwrap().unwrap();
            (deleted, new.value, store.counter(&counter(0)).await.unwrap())
        })
    };
    let scan = {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.scan(&KeyPrefix::kind(KeyKind::Meta), None, 10).await.unwrap() })
    };
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    assert!(!commit.is_finished() && !refused.is_finished() && !reads.is_finished() && !scan.is_finished());
    assert_eq!(store.log_head().unwrap().size, 0);
    assert_eq!(store.entry(0).unwrap(), None);
    assert!(matches!(store.root(1), Err(ReadError::BeyondEnd { asked: 1, size: 0 })));
    // What the change does not touch is read at once.
    assert_eq!(store.get(&meta(4)).await.unwrap(), None);
    open_gate.send(()).unwrap();
    assert_eq!(commit.await.unwrap().unwrap().version, 2);
    assert!(matches!(refused.await.unwrap(), Err(CommitError::Conflict(keys)) if keys == [meta(2)]));
    assert_eq!(reads.await.unwrap(), (None, b"new".to_vec(), 5));
    assert_eq!(scan.await.unwrap().items.len(), 1);
    assert_eq!(store.log_reaches(1).await.unwrap().size, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_refuses_and_the_rest_happens() {
    let dir = TempDir::new().unwrap();
    let (open_gate, store) = gated(dir.path(), Step::Sync);
    let mut waiting = Vec::new();
    let busy = loop {
        let task = {
            let store = Arc::clone(&store);
            let batch = batch(|batch| {
                batch.now = TimeMs(0);
                batch.add.push(add(0, 1, u64::MAX));
            });
            tokio::spawn(async move { store.commit(batch).await })
        };
        tokio::task::yield_now().await;
        if waiting.len() > crate::commit::QUEUE_BATCHES_MAX {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        if task.is_finished() {
            break task.await.unwrap();
        }
        waiting.push(task);
        assert!(waiting.len() < 3 * crate::commit::QUEUE_BATCHES_MAX, "the queue has no end");
    };
    assert!(matches!(busy, Err(CommitError::Busy)), "{busy:?}");
    drop(open_gate.clone());
    let opener = std::thread::spawn(move || {
        while open_gate.send(()).is_ok() {
            std::thread::sleep(std::time::Duration::from_micros(100));
        }
    });
    let (mut happened, mut refused) = (0, 0);
    for task in waiting {
        match task.await.unwrap() {
            Ok(_) => happened += 1,
            Err(CommitError::Busy) => refused += 1,
            Err(error) => panic!("{error:?}"),
        }
    }
    assert_eq!(store.counter(&counter(0)).await.unwrap(), happened);
    assert!(happened >= crate::commit::QUEUE_BATCHES_MAX as u64, "{happened} happened and {refused} were refused");
    drop(Arc::into_inner(store));
    opener.join().unwrap();
}
