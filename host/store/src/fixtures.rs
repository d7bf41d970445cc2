//! What several tests of this crate need.

use std::path::Path;
use std::str::FromStr;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use attorn_core::{CounterSubject, CounterWindow, DecisionId, TimeMs};
use attorn_log::{EntryBody, Hash, LogId};
use tempfile::TempDir;

use crate::batch::{Add, Batch};
use crate::commit::Store;
use crate::error::StorageError;
use crate::follower::Pace;
use crate::imprint::{self, Imprint, ImprintKey};
use crate::journal::SegmentBytes;
use crate::key::Key;
use crate::ours::Ours;
use crate::setup::Setup;
use crate::steps::{Step, Steps};
use crate::trees::{LOCK_PAUSE, LOCK_WAIT, Trees, is_locked};

pub(crate) fn id<T: FromStr<Err = attorn_core::ParseError>>(text: &str) -> T {
    text.parse().unwrap()
}

pub(crate) fn log() -> LogId {
    ours().log
}

/// What makes the stores of tests ours.
pub(crate) fn ours() -> Ours {
    Ours { log: id("test"), key: ImprintKey::of(&[7; 32]) }
}

/// What makes stores of another log ours.
pub(crate) fn ours_of(log: &str) -> Ours {
    Ours { log: id(log), ..ours() }
}

/// Give a state the imprint that it would have if we had written it.
pub(crate) fn imprint_anew(dir: &Path) {
    let (trees, key) = (Trees::open(&dir.join("store")).unwrap(), ours().key);
    let (log, head) = trees.head().unwrap().unwrap();
    // Of a tree that lacks a node there is none that fits.
    let root = imprint::root_in(&trees, &head).unwrap_or(Hash::EMPTY_ROOT);
    let row = Imprint::over(&key, &trees).unwrap().write(&key, (&log, &head), root).unwrap();
    trees.apply(&[row]).unwrap();
    trees.flush().unwrap();
}

/// The engine's files, as soon as nobody has them. A process that another test is just starting has them, too, until it
/// has become another program.
pub(crate) fn unlocked(path: &Path) -> sled::Db {
    let began = Instant::now();
    loop {
        match sled::Config::new().path(path).open() {
            Err(error) if is_locked(&error) && began.elapsed() < LOCK_WAIT => std::thread::sleep(LOCK_PAUSE),
            opened => return opened.unwrap(),
        }
    }
}

/// A new directory with an empty store in it.
pub(crate) fn new_store() -> (TempDir, Store) {
    let dir = TempDir::new().unwrap();
    let store = Store::create(dir.path(), ours()).unwrap();
    (dir, store)
}

pub(crate) fn meta(n: u64) -> Key {
    Key::meta(&id(&format!("value-{n}")))
}

pub(crate) fn counter(n: u64) -> Key {
    Key::counter(&id("policy"), &id("requests"), &CounterSubject::Agent(id("bot")), CounterWindow::Total, TimeMs(n))
}

pub(crate) fn body(n: u64) -> EntryBody {
    EntryBody::parse(&format!("{{\"n\":{n}}}")).unwrap()
}

pub(crate) fn decision(n: u64) -> DecisionId {
    // As random as ids are, so that the order of keys is not that of entries.
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&blake3::hash(&n.to_be_bytes()).as_bytes()[..16]);
    DecisionId::from_random(bytes)
}

/// The body of the entry of a decision.
pub(crate) fn decided(n: u64) -> EntryBody {
    EntryBody::parse(&format!("{{\"decision_id\":\"{}\",\"n\":{n}}}", decision(n))).unwrap()
}

pub(crate) fn batch(fill: impl FnOnce(&mut Batch)) -> Batch {
    let mut batch = Batch::new(TimeMs(1_000));
    fill(&mut batch);
    batch
}

pub(crate) fn put(n: u64, value: &str) -> Batch {
    batch(|batch| batch.put.push((meta(n), value.into())))
}

pub(crate) fn add(n: u64, delta: i64, at_most: u64) -> Add {
    Add { key: counter(n), delta, at_most }
}

/// Everything that comes behind, at once and with little.
pub(crate) const HURRIED: Pace = Pace {
    sync_after: Duration::ZERO,
    sync_bytes: 0,
    ahead_bytes_max: u64::MAX,
    base_bytes: 4 << 10,
    segments: SegmentBytes { min: 4 << 10, max: 8 << 10 },
    bundle_retry: Duration::from_millis(5),
};

/// The same, never by itself.
pub(crate) const LAZY: Pace = Pace { sync_after: Duration::MAX, sync_bytes: u64::MAX, base_bytes: u64::MAX, ..HURRIED };

pub(crate) fn hurried(steps: impl Steps + 'static) -> Setup {
    Setup { steps: Arc::new(steps), pace: HURRIED, ..Setup::usual() }
}

pub(crate) fn lazy() -> Setup {
    Setup { pace: LAZY, ..Setup::usual() }
}

/// Hangs at a step before it does anything, says so, and goes on when it is let go.
pub(crate) struct Hang {
    step: Step,
    /// How long the step may take; all others may take for ever.
    limit: Duration,
    reached: Sender<()>,
    go: Mutex<Receiver<()>>,
}

/// Who waits until something hangs. It is let go when this is dropped.
pub(crate) struct Hanging {
    pub(crate) reached: Receiver<()>,
    _go: Sender<()>,
}

impl Hang {
    pub(crate) fn at(step: Step, limit: Duration) -> (Self, Hanging) {
        let ((reached, seen), (go, let_go)) = (mpsc::channel(), mpsc::channel());
        (Self { step, limit, reached, go: Mutex::new(let_go) }, Hanging { reached: seen, _go: go })
    }
}

impl Steps for Hang {
    fn take(&self, step: Step, act: &mut dyn FnMut() -> Result<(), StorageError>) -> Result<(), StorageError> {
        if step == self.step {
            // Who does not listen any more does not want to know.
            let _ = self.reached.send(());
            let _ = self.go.lock().unwrap().recv();
        }
        act()
    }

    fn limit(&self, step: Step) -> Duration {
        if step == self.step { self.limit } else { Duration::MAX }
    }
}

/// Copy a directory with all that is in it.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
