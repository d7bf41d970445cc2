//! What several tests of this crate need.

use std::path::Path;
use std::str::FromStr;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use attorn_core::{CounterSubject, CounterWindow, DecisionId, JsonText, TimeMs};
use attorn_log::{CheckpointSigner, EntryBody, Epoch, Hash, LogId, Origin, export_header};
use tempfile::TempDir;

use crate::base;
use crate::batch::{Add, Batch};
use crate::commit::Store;
use crate::decided::digest_of;
use crate::error::StorageError;
use crate::follower::Pace;
use crate::imprint::{self, Imprint, ImprintKey};
use crate::journal::{Journal, SegmentBytes};
use crate::key::Key;
use crate::ours::Ours;
use crate::places::Places;
use crate::records::{DecisionRecord, EpochEnd, Kept, LogEpochRecord, Record as _};
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

/// The record of a decision.
pub(crate) fn record(n: u64) -> DecisionRecord {
    let text = format!("{{\"n\":{n},\"pad\":\"{}\"}}", "x".repeat(100));
    DecisionRecord { id: decision(n), text: Kept::Plain(JsonText::from_canonical(text)) }
}

/// The batch of a decision, with an entry that names its record.
pub(crate) fn recorded(n: u64) -> Batch {
    let digest = digest_of(&record(n).encode());
    let text = format!("{{\"decision_id\":\"{}\",\"stored_digest\":\"{digest}\",\"type\":\"decision\"}}", decision(n));
    batch(|batch| {
        batch.entries.push(EntryBody::parse(&text).unwrap());
        batch.put_record(&record(n));
    })
}

/// End the epoch of a store, keep its entries as an export in this directory, and begin the next one there.
pub(crate) async fn next_epoch(old: Store, dir: &Path) -> Store {
    let head = old.log_head().unwrap();
    let signer = CheckpointSigner::new(Origin::of(&head.log_id, head.epoch), &[9; 32]);
    let checkpoint = signer.sign(head.size, old.root(head.size).unwrap());
    let mut export = export_header(&signer.verifier(), &checkpoint).into_bytes();
    for entry in old.entries(0, usize::MAX).unwrap() {
        export.extend(entry.bytes);
    }
    let new = old.begin_epoch(dir, Epoch(head.epoch.0 + 1)).unwrap();
    std::fs::create_dir_all(dir.join("epochs")).unwrap();
    std::fs::write(dir.join(format!("epochs/{}.export", head.epoch)), export).unwrap();
    let (key, checkpoint) = (signer.verifier(), checkpoint.note().to_owned());
    let ended = LogEpochRecord { key, checkpoint, ended: EpochEnd::KeyRotated, at: TimeMs(1), bad: Vec::new() };
    let begun = batch(|batch| {
        batch.put_record(&ended);
        batch.entries.push(body(0));
    });
    new.commit(begun).await.unwrap();
    new
}

/// Make base copy and journal of what the engine holds, as whoever may write files can: no key is needed for it.
pub(crate) fn forge_parts(dir: &Path) {
    let places = Places::of(dir);
    let trees = Trees::open(&places.engine).unwrap();
    let ((_, head), store) = (trees.head().unwrap().unwrap(), trees.store_id().unwrap().unwrap());
    for part in [&places.base, &places.journal] {
        std::fs::remove_dir_all(part).unwrap();
        std::fs::create_dir(part).unwrap();
    }
    base::write(&places.base, store, head.version, &trees).unwrap();
    Journal::create(&places.journal, store, head.version, LAZY.segments).unwrap();
}

/// What was done to the engine goes into base copy and journal, and the engine is as it was before.
pub(crate) fn forge_parts_beside(dir: &Path, forge: impl FnOnce(&Path)) {
    let (whole, engine) = (TempDir::new().unwrap(), Places::of(dir).engine);
    copy(&engine, &whole.path().join("store"));
    forge(dir);
    forge_parts(dir);
    std::fs::remove_dir_all(&engine).unwrap();
    copy(&whole.path().join("store"), &engine);
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
