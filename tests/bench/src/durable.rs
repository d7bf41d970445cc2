//! Something made durable by many callers, and what that could be made of: a plain file, and bare sled. One thread
//! writes groups in all of them, of what waits.

use std::fs::{File, OpenOptions};
use std::future::Future;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sled::Transactional as _;
use tokio::sync::{mpsc, oneshot};

use crate::figure::{float, rounded};

/// How many callers there are, from few to many.
pub(crate) const CALLERS: [usize; 3] = [1, 16, 256];

const GROUP_MAX: usize = 256;
const FILE_BYTES: usize = 256 << 20;

/// A tree of the bare engine.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Tree {
    State,
    Entries,
}

/// What one caller wants to be durable: trees, keys and values.
pub(crate) type Writes = Vec<(Tree, Vec<u8>, Vec<u8>)>;

type Job = (Writes, oneshot::Sender<()>);

/// How fast it went.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measured {
    pub(crate) per_s: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) commits: u64,
}

impl Measured {
    /// What stands beside the rate.
    pub(crate) fn raw(&self) -> Value {
        json!({ "p50_ms": rounded(self.p50_ms), "p99_ms": rounded(self.p99_ms) })
    }
}

/// Have a thread of its own write groups in this way.
pub(crate) async fn bare(
    callers: usize,
    lasts: Duration,
    make: impl Fn(u64) -> Option<Writes> + Send + Sync + 'static,
    mut write: impl FnMut(&[Writes]) + Send + 'static,
) -> Measured {
    let (queue, mut jobs) = mpsc::channel::<Job>(1_024);
    let writer = std::thread::spawn(move || {
        while let Some(first) = jobs.blocking_recv() {
            let mut group = vec![first];
            while group.len() < GROUP_MAX
                && let Ok(job) = jobs.try_recv()
            {
                group.push(job);
            }
            let (writes, answers): (Vec<_>, Vec<_>) = group.into_iter().unzip();
            write(&writes);
            for answer in answers {
                answer.send(()).unwrap();
            }
        }
    });
    let commit = move |writes| {
        let queue = queue.clone();
        async move {
            let (answer, answered) = oneshot::channel();
            queue.send((writes, answer)).await.unwrap();
            answered.await.unwrap();
        }
    };
    let measured = drive(callers, lasts, make, commit).await;
    writer.join().unwrap();
    measured
}

/// Let many callers commit, one after the other each, for so long, or until nothing more is made.
pub(crate) async fn drive<R, C, F>(
    callers: usize,
    lasts: Duration,
    make: impl Fn(u64) -> Option<R> + Send + Sync + 'static,
    commit: C,
) -> Measured
where
    R: Send + 'static,
    C: Fn(R) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let shared = Arc::new((AtomicU64::new(0), make, commit));
    let started = Instant::now();
    let calls: Vec<_> = (0..callers)
        .map(|_| {
            let shared = Arc::clone(&shared);
            tokio::spawn(async move {
                let ((next, make, commit), mut took_us) = (&*shared, Vec::new());
                while started.elapsed() < lasts
                    && let Some(wanted) = make(next.fetch_add(1, Ordering::Relaxed))
                {
                    let before = Instant::now();
                    commit(wanted).await;
                    took_us.push(u64::try_from(before.elapsed().as_micros()).unwrap());
                }
                took_us
            })
        })
        .collect();
    let mut took_us = Vec::new();
    for call in calls {
        took_us.append(&mut call.await.unwrap());
    }
    let elapsed_s = started.elapsed().as_secs_f64();
    took_us.sort_unstable();
    let at = |share: usize| float(took_us[(took_us.len() - 1) * share / 100]) / 1_000.0;
    let commits = took_us.len() as u64;
    Measured { per_s: float(commits) / elapsed_s, p50_ms: at(50), p99_ms: at(99), commits }
}

/// A number that looks like any other.
pub(crate) fn scrambled(n: u64) -> u128 {
    u128::from(n).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
}

/// A file of zeros that is written from its beginning.
pub(crate) struct Appended {
    file: File,
    at: u64,
}

impl Appended {
    pub(crate) fn make(dir: &Path) -> Self {
        let file = OpenOptions::new().write(true).create_new(true).open(dir.join("append")).unwrap();
        let zeros = vec![0; 16 << 20];
        for at in (0..FILE_BYTES).step_by(zeros.len()) {
            file.write_all_at(&zeros, at as u64).unwrap();
        }
        file.sync_all().unwrap();
        Self { file, at: 0 }
    }

    /// Append the values of a group, and sync.
    pub(crate) fn append(&mut self, group: &[Writes]) {
        let bytes: Vec<u8> = group.iter().flatten().flat_map(|(_, _, value)| value).copied().collect();
        if self.at + bytes.len() as u64 > FILE_BYTES as u64 {
            self.at = 0;
        }
        self.file.write_all_at(&bytes, self.at).unwrap();
        self.at += bytes.len() as u64;
        self.file.sync_data().unwrap();
    }
}

/// Two trees of the engine.
pub(crate) struct Engine {
    db: sled::Db,
    state: sled::Tree,
    entries: sled::Tree,
    file: Arc<File>,
}

impl Engine {
    pub(crate) fn open(dir: &Path) -> Self {
        let path = dir.join("engine");
        let db = sled::Config::new().path(&path).cache_capacity(256 << 20).flush_every_ms(None).open().unwrap();
        let (state, entries) = (db.open_tree("state").unwrap(), db.open_tree("entries").unwrap());
        let file = Arc::new(OpenOptions::new().read(true).write(true).open(path.join("db")).unwrap());
        Self { db, state, entries, file }
    }

    /// One transaction for a group.
    pub(crate) fn apply(&mut self, group: &[Writes]) {
        let done = (&self.state, &self.entries).transaction(|(state, entries)| {
            for (tree, key, value) in group.iter().flatten() {
                let tree = match tree {
                    Tree::State => state,
                    Tree::Entries => entries,
                };
                tree.insert(key.as_slice(), value.as_slice())?;
            }
            Ok::<(), sled::transaction::ConflictableTransactionError<()>>(())
        });
        done.unwrap();
    }

    pub(crate) fn sync(&self) {
        self.db.flush().unwrap();
        self.file.sync_data().unwrap();
    }

    /// Sync each second for as long as what comes back is kept.
    pub(crate) fn sync_behind(&self) -> std::sync::mpsc::Sender<()> {
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
