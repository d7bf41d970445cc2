//! Where everything of a store stands, who may use it, and which format it has.
//!
//! ```text
//! <dir>/store.lock      held while the store is open
//! <dir>/store.format    the format; written last when a store is created
//! <dir>/store.keep      held by whoever copies journal and base copies, so that none is removed meanwhile
//! <dir>/store/          the engine's files
//! <dir>/journal/        every group, since the oldest base copy
//! <dir>/base/           copies of all that the engine holds
//! <dir>/blobs/          what is too large to be a value
//! ```

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use crate::error::OpenError;
use crate::files::sync_dir;
use crate::trees::{LOCK_PAUSE, LOCK_WAIT};

/// The newest format of a whole store that this program knows.
pub(crate) const FORMAT: u32 = 2;
/// Up to this format a store had no journal. Opening gives it one.
pub(crate) const FORMAT_WITHOUT_JOURNAL: u32 = 1;
const MARKER_MAGIC: &str = "attorn-store";

/// The lock on the directory. It is free again when this is dropped or the process ends.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

/// Where everything stands.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    pub(crate) dir: PathBuf,
    pub(crate) lock: PathBuf,
    pub(crate) marker: PathBuf,
    pub(crate) keep: PathBuf,
    pub(crate) engine: PathBuf,
    pub(crate) journal: PathBuf,
    pub(crate) base: PathBuf,
    pub(crate) blobs: PathBuf,
}

impl Places {
    pub(crate) fn of(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            lock: dir.join("store.lock"),
            marker: dir.join("store.format"),
            keep: dir.join("store.keep"),
            engine: dir.join("store"),
            journal: dir.join("journal"),
            base: dir.join("base"),
            blobs: dir.join("blobs"),
        }
    }

    /// The format of the store that is here.
    pub(crate) fn format(&self) -> Result<u32, OpenError> {
        if !exists(&self.marker)? {
            let dir = self.dir.clone();
            return Err(if exists(&self.engine)? { OpenError::HalfMade { dir } } else { OpenError::NotThere { dir } });
        }
        match read_marker(&self.marker)? {
            0 => Err(OpenError::NoFormat { path: self.marker.clone() }),
            found if found > FORMAT => Err(OpenError::NewerFormat { found, known: FORMAT }),
            format => Ok(format),
        }
    }

    pub(crate) fn lock(&self) -> Result<Lock, OpenError> {
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&self.lock);
        let file = file.map_err(at(&self.lock))?;
        let began = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Lock { _file: file }),
                // Not at once: see `LOCK_WAIT`.
                Err(TryLockError::WouldBlock) if began.elapsed() < LOCK_WAIT => thread::sleep(LOCK_PAUSE),
                Err(TryLockError::WouldBlock) => return Err(OpenError::InUse { dir: self.dir.clone() }),
                Err(TryLockError::Error(source)) => return Err(OpenError::Io { path: self.lock.clone(), source }),
            }
        }
    }

    /// Say that there is a store, of this format.
    pub(crate) fn write_marker(&self, format: u32) -> Result<(), OpenError> {
        let temporary = self.dir.join("store.format.tmp");
        let write = || {
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
            writeln!(file, "{MARKER_MAGIC} {format}")?;
            file.sync_all()?;
            fs::rename(&temporary, &self.marker)?;
            sync_dir(&self.dir)
        };
        write().map_err(at(&self.marker))
    }
}

pub(crate) fn at(path: &Path) -> impl FnOnce(io::Error) -> OpenError {
    let path = path.to_owned();
    |source| OpenError::Io { path, source }
}

pub(crate) fn exists(path: &Path) -> Result<bool, OpenError> {
    path.try_exists().map_err(at(path))
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

/// Sync all files of a directory and their names.
pub(crate) fn sync_files(dir: &Path) -> Result<(), OpenError> {
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
