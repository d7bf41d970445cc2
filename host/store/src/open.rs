//! Creating and opening a store, which are two things: a store that is lost must not be mistaken for
//! one that is new.
//!
//! ```text
//! <dir>/store.lock      held while the store is open
//! <dir>/store.format    the format; written last when a store is created
//! <dir>/store/          the engine's files
//! <dir>/blobs/          what is too large to be a value
//! ```
//!
//! What is checked on opening takes the same time for a store of any size; the whole of it is checked
//! by [`Store::verify_integrity`].

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};
use std::thread;
use std::time::Instant;

use attorn_log::{Entry, Epoch, Link, LogId, NodeId, TreeBuilder};
use tokio::sync::{mpsc, watch};

use crate::commit::{Applied, QUEUE_BATCHES_MAX, Shared, Store};
use crate::error::{OpenError, StorageError};
use crate::files::{make_dir, remove_temporary, sync_dir};
use crate::group::Group;
use crate::horizon::{Horizon, Watch};
use crate::steps::{EveryStep, Steps};
use crate::trees::{Head, LOCK_PAUSE, LOCK_WAIT, LogName, Trees};
use crate::writer::Writer;

/// The epoch with which every log begins.
pub const FIRST_EPOCH: Epoch = Epoch(1);

/// The newest format of a whole store that this program knows.
const FORMAT: u32 = 1;
const MARKER_MAGIC: &str = "attorn-store";

/// The lock on the directory. It is free again when this is dropped or the process ends.
pub(crate) struct Lock {
    _file: File,
}

/// Where everything stands.
struct Places {
    dir: PathBuf,
    lock: PathBuf,
    marker: PathBuf,
    engine: PathBuf,
    blobs: PathBuf,
}

impl Places {
    fn of(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            lock: dir.join("store.lock"),
            marker: dir.join("store.format"),
            engine: dir.join("store"),
            blobs: dir.join("blobs"),
        }
    }
}

impl Store {
    /// Make an empty store for this log in a directory, which is made too if it is not there.
    ///
    /// # Errors
    ///
    /// [`OpenError`] when there is a store already, the directory is in use, or a file cannot be made.
    pub fn create(dir: &Path, log: LogId) -> Result<Self, OpenError> {
        let places = Places::of(dir);
        make_dir(dir).map_err(at(dir))?;
        let lock = lock(&places)?;
        if exists(&places.marker)? {
            return Err(OpenError::AlreadyThere { dir: places.dir });
        }
        if exists(&places.engine)? {
            return Err(OpenError::HalfMade { dir: places.dir });
        }
        make_dir(&places.blobs).map_err(at(&places.blobs))?;
        make_dir(&places.engine).map_err(at(&places.engine))?;
        let trees = Trees::open(&places.engine)?;
        let name = LogName { id: log, epoch: FIRST_EPOCH };
        let head = Head { version: 0, size: 0, last_link: Link::NONE };
        trees.apply(&name, &Group::new(&trees, &name, head, TreeBuilder::new()))?;
        trees.flush()?;
        sync_files(&places.engine)?;
        // From here on there is a store.
        write_marker(&places)?;
        start(&places, lock, trees, name, head, Box::new(EveryStep))
    }

    /// Open the store of this log in a directory.
    ///
    /// # Errors
    ///
    /// [`OpenError`] when there is no store, it is in use, half made, of a newer format or another log, or its parts do
    /// not fit together.
    pub fn open(dir: &Path, log: &LogId) -> Result<Self, OpenError> {
        Self::open_with(dir, log, Box::new(EveryStep))
    }

    pub(crate) fn open_with(dir: &Path, log: &LogId, steps: Box<dyn Steps>) -> Result<Self, OpenError> {
        let places = Places::of(dir);
        if !exists(&places.marker)? {
            let made = exists(&places.engine)?;
            return Err(if made {
                OpenError::HalfMade { dir: places.dir }
            } else {
                OpenError::NotThere { dir: places.dir }
            });
        }
        let lock = lock(&places)?;
        match read_marker(&places.marker)? {
            FORMAT => {}
            // An older format is brought up to date here, one step for each; there is none yet.
            0 => return Err(OpenError::NoFormat { path: places.marker }),
            found => return Err(OpenError::NewerFormat { found, known: FORMAT }),
        }
        let trees = Trees::open(&places.engine)?;
        // Opening may have cut a torn end and written files anew.
        sync_files(&places.engine)?;
        remove_temporary(&places.blobs).map_err(at(&places.blobs))?;
        let Some((name, head)) = trees.head()? else {
            return Err(OpenError::Inconsistent("it has no head".to_owned()));
        };
        if name.id != *log {
            return Err(OpenError::OtherLog { expected: log.clone(), found: name.id });
        }
        check_end_of_log(&trees, &name, &head)?;
        start(&places, lock, trees, name, head, steps)
    }
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> OpenError {
    let path = path.to_owned();
    |source| OpenError::Io { path, source }
}

fn exists(path: &Path) -> Result<bool, OpenError> {
    path.try_exists().map_err(at(path))
}

fn lock(places: &Places) -> Result<Lock, OpenError> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&places.lock);
    let file = file.map_err(at(&places.lock))?;
    let began = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Lock { _file: file }),
            // Not at once: see `LOCK_WAIT`.
            Err(TryLockError::WouldBlock) if began.elapsed() < LOCK_WAIT => thread::sleep(LOCK_PAUSE),
            Err(TryLockError::WouldBlock) => return Err(OpenError::InUse { dir: places.dir.clone() }),
            Err(TryLockError::Error(source)) => return Err(OpenError::Io { path: places.lock.clone(), source }),
        }
    }
}

fn read_marker(path: &Path) -> Result<u32, OpenError> {
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::InvalidData => String::new(),
        text => text.map_err(at(path))?,
    };
    let format = text.strip_suffix('\n').and_then(|line| line.split_once(' '));
    let format = format.filter(|(magic, _)| *magic == MARKER_MAGIC).and_then(|(_, format)| format.parse().ok());
    format.ok_or_else(|| OpenError::NoFormat { path: path.to_owned() })
}

fn write_marker(places: &Places) -> Result<(), OpenError> {
    let temporary = places.dir.join("store.format.tmp");
    let write = || {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        writeln!(file, "{MARKER_MAGIC} {FORMAT}")?;
        file.sync_all()?;
        fs::rename(&temporary, &places.marker)?;
        sync_dir(&places.dir)
    };
    write().map_err(at(&places.marker))
}

/// Sync all files of the engine and their names.
fn sync_files(dir: &Path) -> Result<(), OpenError> {
    let sync = || {
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                File::open(entry.path())?.sync_all()?;
            }
        }
        sync_dir(dir)
    };
    sync().map_err(at(dir))
}

/// Whether the last entry is the one that the head speaks of, and the tree has its leaf.
fn check_end_of_log(trees: &Trees, log: &LogName, head: &Head) -> Result<(), OpenError> {
    let inconsistent = |problem: String| Err(OpenError::Inconsistent(problem));
    let last = trees.last_entry()?;
    if last != head.size.checked_sub(1) {
        let found = last.map_or_else(|| "none".to_owned(), |last| last.to_string());
        return inconsistent(format!("there should be {} entries, and the last is {found}", head.size));
    }
    let Some(index) = last else {
        return if head.last_link == Link::NONE { Ok(()) } else { inconsistent("an empty log has a link".to_owned()) };
    };
    let bytes = trees.entry(index)?.unwrap_or_default();
    let entry = match Entry::parse(&bytes) {
        Ok(entry) => entry,
        Err(error) => return inconsistent(format!("entry {index} is invalid: {error}")),
    };
    if (&entry.at.log_id, entry.at.epoch, entry.at.index) != (&log.id, log.epoch, index) {
        return inconsistent(format!("entry {index} says that it is `{}`", entry.at));
    }
    if entry.link() != head.last_link {
        return inconsistent(format!("entry {index} does not have the link of the head"));
    }
    if trees.node(NodeId { level: 0, index })? != Some(entry.leaf_hash()) {
        return inconsistent(format!("the tree does not have entry {index} as its leaf"));
    }
    Ok(())
}

fn start(
    places: &Places,
    lock: Lock,
    trees: Trees,
    log: LogName,
    head: Head,
    steps: Box<dyn Steps>,
) -> Result<Store, OpenError> {
    let tree = TreeBuilder::load(head.size, |id| trees.node(id));
    let tree = tree.map_err(|error| OpenError::Inconsistent(error.to_string()))?;
    let engine_file = places.engine.join("db");
    let file = OpenOptions::new().read(true).write(true).open(&engine_file).map_err(at(&engine_file))?;
    let (horizon, watched) = watch::channel(Horizon::Durable(head));
    let (queue, jobs) = mpsc::channel(QUEUE_BATCHES_MAX);
    let applied = Applied { version: head.version, ..Applied::default() };
    let shared = Arc::new(Shared { trees, log, applied: RwLock::new(applied), horizon: Watch::new(watched) });
    let writer = Writer { shared: Arc::clone(&shared), steps, file, jobs, horizon, head, tree };
    let thread = thread::Builder::new().name("store-writer".to_owned()).spawn(|| writer.run());
    let thread = thread.map_err(|error| StorageError::new(&error))?;
    Ok(Store::of(shared, places.blobs.clone(), queue, thread, lock))
}
