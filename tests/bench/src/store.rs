//! Durable commits: the store, beside what it could be made of, each bare and with the same bytes, by 1, 16 and
//! 256 callers. One thread writes groups in all of them.
//!
//! - `append`: to a file of zeros, synced.
//! - `engine_synced`: one sled transaction, flushed and synced in each group.
//! - `journal_first`: appended and synced, then one sled transaction, which is flushed and synced behind, each
//!   second.
//! - `commit`: the store itself, which also checks, links, hashes and keeps a tree.

use std::fs::{File, OpenOptions};
use std::future::Future;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use attorn_core::{DecisionId, GrantId, TimeMs};
use attorn_log::EntryBody;
use attorn_store::{Batch, Key, Store};
use serde_json::json;
use sled::Transactional as _;
use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot};

use crate::Length;
use crate::figure::{Figures, float};

const CALLERS: [usize; 3] = [1, 16, 256];
const GROUP_MAX: usize = 256;
const ENTRY_BYTES: usize = 400;
const GRANT_BYTES: usize = 300;
const FILE_BYTES: usize = 256 << 20;

/// What one caller wants to be durable.
struct Record {
    n: u64,
    entry: Vec<u8>,
    grant: Vec<u8>,
}

type Job = (Record, oneshot::Sender<()>);

/// How fast it went.
struct Measured {
    per_s: f64,
    p50_ms: f64,
    p99_ms: f64,
}

pub(crate) async fn measure(length: Length, figures: &mut Figures) {
    let lasts = Duration::from_millis(length.load_ms);
    // Where things are built, and not in memory.
    let parent = std::env::current_exe().unwrap();
    let parent = parent.parent().unwrap();
    let mut ratio = Vec::new();
    for callers in CALLERS {
        let dir = || TempDir::new_in(parent).unwrap();
        let (append, synced, first, store) = (dir(), dir(), dir(), dir());
        let mut add = |name: &str, measured: &Measured| {
            let raw = json!({ "p50_ms": measured.p50_ms, "p99_ms": measured.p99_ms });
            figures.add(&format!("store.{name}_per_s_{callers}"), measured.per_s, "commits/s", &raw);
        };
        let mut file = Appended::make(append.path());
        add("append", &bare(callers, lasts, move |records| file.append(records)).await);
        let mut engine = Engine::open(synced.path());
        let engine_synced = bare(callers, lasts, move |records| {
            engine.apply(records);
            engine.sync();
        });
        let engine_synced = engine_synced.await;
        add("engine_synced", &engine_synced);
        let (mut file, mut engine) = (Appended::make(first.path()), Engine::open(first.path()));
        let behind = engine.sync_behind();
        let journal_first = bare(callers, lasts, move |records| {
            file.append(records);
            engine.apply(records);
            let _ = &behind;
        });
        add("journal_first", &journal_first.await);
        let opened = Arc::new(Store::create(store.path(), "bench".parse().unwrap()).unwrap());
        let commit = drive(callers, lasts, |record| {
            let store = Arc::clone(&opened);
            async move { drop(store.commit(batch(&record)).await.unwrap()) }
        });
        let commit = commit.await;
        add("commit", &commit);
        ratio.push((callers, commit.per_s, engine_synced.per_s));
    }
    for (callers, commit, synced) in ratio {
        let raw = json!({ "commit": commit, "engine_synced": synced });
        figures.add(&format!("store.commit_over_engine_synced_{callers}"), commit / synced, "ratio", &raw);
    }
}

/// Have a thread of its own write groups in this way.
async fn bare(callers: usize, lasts: Duration, mut write: impl FnMut(&[Record]) + Send + 'static) -> Measured {
    let (queue, mut jobs) = mpsc::channel::<Job>(1_024);
    let writer = std::thread::spawn(move || {
        while let Some(first) = jobs.blocking_recv() {
            let mut group = vec![first];
            while group.len() < GROUP_MAX
                && let Ok(job) = jobs.try_recv()
            {
                group.push(job);
            }
            let (records, answers): (Vec<_>, Vec<_>) = group.into_iter().unzip();
            write(&records);
            for answer in answers {
                answer.send(()).unwrap();
            }
        }
    });
    let measured = drive(callers, lasts, |record| {
        let queue = queue.clone();
        async move {
            let (answer, answered) = oneshot::channel();
            queue.send((record, answer)).await.unwrap();
            answered.await.unwrap();
        }
    });
    let measured = measured.await;
    drop(queue);
    writer.join().unwrap();
    measured
}

/// Let many callers commit, one after the other each.
async fn drive<C, F>(callers: usize, lasts: Duration, commit: C) -> Measured
where
    C: Fn(Record) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let (next, started) = (Arc::new(AtomicU64::new(0)), Instant::now());
    let calls = (0..callers).map(|_| async {
        let mut took_us = Vec::new();
        while started.elapsed() < lasts {
            let n = next.fetch_add(1, Ordering::Relaxed);
            let call = tokio::spawn(commit(record(n)));
            let before = Instant::now();
            call.await.unwrap();
            took_us.push(u64::try_from(before.elapsed().as_micros()).unwrap());
        }
        took_us
    });
    let mut took_us: Vec<u64> = futures_util::future::join_all(calls).await.into_iter().flatten().collect();
    let elapsed_s = started.elapsed().as_secs_f64();
    took_us.sort_unstable();
    let at = |share: usize| float(took_us[(took_us.len() - 1) * share / 100]) / 1_000.0;
    Measured { per_s: float(took_us.len() as u64) / elapsed_s, p50_ms: at(50), p99_ms: at(99) }
}

fn scrambled(n: u64) -> u128 {
    u128::from(n).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
}

/// Bytes that no disk makes smaller.
fn noise(n: u64, bytes: usize) -> Vec<u8> {
    (0..bytes as u64).step_by(16).flat_map(|at| scrambled(n * 1_000 + at).to_be_bytes()).take(bytes).collect()
}

fn record(n: u64) -> Record {
    Record { n, entry: noise(n, ENTRY_BYTES), grant: noise(n, GRANT_BYTES) }
}

fn batch(record: &Record) -> Batch {
    let random = scrambled(record.n).to_be_bytes();
    let mut batch = Batch::new(TimeMs(1_767_323_045_678));
    // An entry is text: as many bytes of it.
    let padding: String = record.entry.iter().map(|byte| char::from(b'a' + byte % 26)).collect();
    batch
        .entries
        .push(EntryBody::of(&json!({ "id": DecisionId::from_random(random).to_string(), "of": padding })).unwrap());
    batch.put.push((Key::grant(&GrantId::from_random(random)), record.grant.clone()));
    batch
}

/// A file of zeros that is written from its beginning.
struct Appended {
    file: File,
    at: u64,
}

impl Appended {
    fn make(dir: &Path) -> Self {
        let file = OpenOptions::new().write(true).create_new(true).open(dir.join("append")).unwrap();
        let zeros = vec![0; 16 << 20];
        for at in (0..FILE_BYTES).step_by(zeros.len()) {
            file.write_all_at(&zeros, at as u64).unwrap();
        }
        file.sync_all().unwrap();
        Self { file, at: 0 }
    }

    fn append(&mut self, records: &[Record]) {
        let bytes: Vec<u8> =
            records.iter().flat_map(|record| record.entry.iter().chain(&record.grant)).copied().collect();
        if self.at + bytes.len() as u64 > FILE_BYTES as u64 {
            self.at = 0;
        }
        self.file.write_all_at(&bytes, self.at).unwrap();
        self.at += bytes.len() as u64;
        self.file.sync_data().unwrap();
    }
}

/// Two trees of the engine.
struct Engine {
    db: sled::Db,
    entries: sled::Tree,
    grants: sled::Tree,
    file: Arc<File>,
}

impl Engine {
    fn open(dir: &Path) -> Self {
        let path = dir.join("engine");
        let db = sled::Config::new().path(&path).cache_capacity(256 << 20).flush_every_ms(None).open().unwrap();
        let (entries, grants) = (db.open_tree("entries").unwrap(), db.open_tree("grants").unwrap());
        let file = Arc::new(OpenOptions::new().read(true).write(true).open(path.join("db")).unwrap());
        Self { db, entries, grants, file }
    }

    fn apply(&mut self, records: &[Record]) {
        let done = (&self.entries, &self.grants).transaction(|(entries, grants)| {
            for record in records {
                entries.insert(&record.n.to_be_bytes(), record.entry.as_slice())?;
                grants.insert(&scrambled(record.n).to_be_bytes(), record.grant.as_slice())?;
            }
            Ok::<(), sled::transaction::ConflictableTransactionError<()>>(())
        });
        done.unwrap();
    }

    fn sync(&self) {
        self.db.flush().unwrap();
        self.file.sync_data().unwrap();
    }

    /// Sync each second for as long as what comes back is kept.
    fn sync_behind(&self) -> std::sync::mpsc::Sender<()> {
        let (kept, dropped) = std::sync::mpsc::channel();
        let (db, file) = (self.db.clone(), Arc::clone(&self.file));
        std::thread::spawn(move || {
            while dropped.recv_timeout(Duration::from_secs(1)) == Err(RecvTimeoutError::Timeout) {
                db.flush().unwrap();
                file.sync_data().unwrap();
            }
        });
        kept
    }
}
