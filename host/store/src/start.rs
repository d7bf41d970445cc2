//! Starting what runs over a store of which everything fits together: the writer, the follower behind it, and those that
//! make base copies and move entries and records to files.

use std::fs::OpenOptions;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, RwLock};
use std::thread::{self, JoinHandle};

use attorn_log::TreeBuilder;
use tokio::sync::{mpsc, watch};

use crate::base;
use crate::bundler::Bundler;
use crate::commit::{Applied, Job, QUEUE_BATCHES_MAX, Shared, Store};
use crate::copier::{Copier, Due};
use crate::ending::{Closing, Ending, Last};
use crate::error::{OpenError, StorageError};
use crate::filed::RecordFiles;
use crate::files::make_dir;
use crate::filing::Filing;
use crate::follower::{Follower, Pace};
use crate::frame::StoreId;
use crate::head::Head;
use crate::horizon::{self, Teller};
use crate::imprint::{Imprint, ImprintKey};
use crate::journal::Journal;
use crate::last_words::LastWords;
use crate::open::Opened;
use crate::places::{Lock, Places, at, exists};
use crate::progress::Progress;
use crate::setup::{Setup, Threads};
use crate::steps::Steps;
use crate::watchdog::Watchdog;
use crate::writer::Writer;
use crate::writer_cpu::Meter;

/// What all threads have.
struct Common {
    shared: Arc<Shared>,
    steps: Arc<dyn Steps>,
    teller: Teller,
    progress: Arc<Progress>,
    pace: Pace,
}

pub(crate) fn start(
    places: &Places,
    lock: Lock,
    opened: Opened,
    (key, setup): (&ImprintKey, Setup),
) -> Result<Store, OpenError> {
    let Opened { trees, log, head, journal, store, bundled, imprint } = opened;
    let Setup { threads, steps, pace, boot } = setup;
    let watchdog = Arc::new(Watchdog::over(steps));
    let tree = TreeBuilder::load(head.size, |id| bundled.node(&trees, id));
    let tree = tree.map_err(|error| OpenError::Inconsistent(error.to_string()))?;
    let progress = Arc::new(Progress::at(head.version));
    // As long as a thread lives it may use the directory.
    let lock = Arc::new(lock);
    let last_words = Arc::new(LastWords::of(boot.clone(), places.clone(), &lock));
    let (teller, horizon) = horizon::at(head, Arc::clone(&progress), Arc::clone(&last_words));
    let filing = Filing { next: trees.filed()?, synced: None, left: None, retry_at: None };
    let shared = Arc::new(Shared {
        trees,
        key: key.clone(),
        bundled,
        records: RecordFiles::of(&places.dir),
        log,
        applied: RwLock::new(Applied { version: head.version, ..Applied::default() }),
        horizon,
        edge: RwLock::new(tree.clone()),
        endings: watch::Sender::new(0),
        cpu: Meter::default(),
        filed: AtomicU64::new(filing.next),
        bad_parts: AtomicBool::new(false),
    });
    let common = Common { shared, steps: Arc::clone(&watchdog) as Arc<dyn Steps>, teller, progress, pace };
    let (bundle, due) = std::sync::mpsc::channel();
    let copier = common.copier(places, (store, &journal))?;
    let bundler = common.bundler(places, due, filing);
    let follower = common.follower(places)?;
    let (queue, jobs) = mpsc::channel(QUEUE_BATCHES_MAX);
    let writer = common.writer(journal, jobs, (head, tree, imprint));
    let Common { shared, teller, .. } = common;
    let closing = Closing { boot, places: places.clone(), horizon: shared.horizon.clone(), last_words };
    let ending = Ending {
        vital: vec![spawn(&lock, "store-writer", || writer.run())?, spawn(&lock, "store-follower", || follower.run())?],
        others: match threads {
            Threads::All => {
                vec![spawn(&lock, "store-copier", || copier.run())?, spawn(&lock, "store-bundler", || bundler.run())?]
            }
            Threads::Vital => Vec::new(),
        },
        watchdog: Arc::clone(&watchdog),
        last: Some(Last { trees: shared.trees.clone(), closing, lock: Arc::clone(&lock) }),
    };
    // It does not use the directory, and ends by itself.
    let watch = thread::Builder::new().name("store-watchdog".to_owned()).spawn(move || watchdog.watch(&teller));
    watch.map_err(|error| StorageError::new(&error))?;
    Ok(Store::of(shared, places.clone(), (queue, bundle), ending))
}

impl Common {
    fn copier(&self, places: &Places, (store, journal): (StoreId, &Journal)) -> Result<Copier, OpenError> {
        if !exists(&places.base)? {
            // All copies are gone with it, and the copier makes one at once.
            make_dir(&places.base).map_err(at(&places.base))?;
        }
        let (since_base, last_base) = base::how_far(&places.base, &places.journal).map_err(at(&places.base))?;
        Ok(Copier {
            shared: Arc::clone(&self.shared),
            steps: Arc::clone(&self.steps),
            teller: self.teller.clone(),
            progress: Arc::clone(&self.progress),
            places: places.clone(),
            store,
            spare: journal.spare(),
            pace: self.pace,
            due: Due::after(since_base, last_base),
        })
    }

    fn bundler(&self, places: &Places, due: Receiver<u64>, filing: Filing) -> Bundler {
        Bundler {
            shared: Arc::clone(&self.shared),
            steps: Arc::clone(&self.steps),
            teller: self.teller.clone(),
            due,
            retry: self.pace.bundle_retry,
            dir: places.dir.clone(),
            synced: None,
            filing,
        }
    }

    fn follower(&self, places: &Places) -> Result<Follower, OpenError> {
        let path = places.engine.join("db");
        Ok(Follower {
            shared: Arc::clone(&self.shared),
            steps: Arc::clone(&self.steps),
            teller: self.teller.clone(),
            progress: Arc::clone(&self.progress),
            file: OpenOptions::new().read(true).write(true).open(&path).map_err(at(&path))?,
            pace: self.pace,
        })
    }

    fn writer(
        &self,
        journal: Journal,
        jobs: mpsc::Receiver<Job>,
        (head, tree, imprint): (Head, TreeBuilder, Imprint),
    ) -> Writer {
        Writer {
            shared: Arc::clone(&self.shared),
            steps: Arc::clone(&self.steps),
            journal,
            jobs,
            progress: Arc::clone(&self.progress),
            pace: self.pace,
            teller: self.teller.clone(),
            head,
            tree,
            imprint,
        }
    }
}

/// A thread that has the directory's lock for as long as it lives.
fn spawn(lock: &Arc<Lock>, name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StorageError> {
    let lock = Arc::clone(lock);
    let run = move || {
        run();
        drop(lock);
    };
    thread::Builder::new().name(name.to_owned()).spawn(run).map_err(|error| StorageError::new(&error))
}
