//! Where everything of a store stands, who may use it, and which format it has.
//!
//! ```text
//! <dir>/store.lock      held while the store is open
//! <dir>/store.format    the format; written last when a store is created
//! <dir>/store.keep      held by whoever copies journal and base copies, so that none is removed meanwhile
//! <dir>/store.boot      in which boot of the machine it was open last, and whether it was closed or failed
//! <dir>/store.remade    what was made anew and is not in the log yet
//! <dir>/store/          the engine's files
//! <dir>/store.cut-off/  the engine's files as the machine left them when it stopped last
//! <dir>/journal/        every group, since the oldest base copy
//! <dir>/base/           copies of all that the engine holds
//! <dir>/blobs/          what is too large to be a value
//! <dir>/records/        decision records that left the engine, by epoch
//! <dir>/log/            what is published, by epoch; of that the bundled entries are the store's
//! ```

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use rustix::io::Errno;

use crate::base;
use crate::boot::{Boot, CutOffBy, LastUse};
use crate::error::OpenError;
use crate::files::{
    create_beside, irregular, make_dir, open_lock, open_lock_to_look, open_regular, read_regular_text,
    remove_temporary, sync_dir, with_way_out,
};
use crate::links;
use crate::repair::free_name;
use crate::trees::{LOCK_PAUSE, LOCK_WAIT};

/// The newest format of a whole store that this program knows.
pub(crate) const FORMAT: u32 = 5;
/// From this format on a store has an imprint of its state.
pub(crate) const FORMAT_WITH_IMPRINT: u32 = 5;
/// Up to this format a store had no journal. Opening gives it one.
pub(crate) const FORMAT_WITHOUT_JOURNAL: u32 = 1;
const MARKER_MAGIC: &str = "attorn-store";

/// The lock on the directory. It is free again when this is dropped or the process ends.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
    /// The directory itself, since a file can be removed while somebody holds it. None where a file system has no locks on
    /// directories.
    _dir: Option<File>,
}

/// Where everything stands.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    pub(crate) dir: PathBuf,
    pub(crate) lock: PathBuf,
    pub(crate) marker: PathBuf,
    pub(crate) keep: PathBuf,
    pub(crate) boot: PathBuf,
    pub(crate) remade: PathBuf,
    pub(crate) engine: PathBuf,
    pub(crate) cut_off_engine: PathBuf,
    pub(crate) journal: PathBuf,
    /// A whole journal that is about to take the other's place.
    pub(crate) new_journal: PathBuf,
    pub(crate) base: PathBuf,
    pub(crate) blobs: PathBuf,
    pub(crate) log: PathBuf,
}

impl Places {
    pub(crate) fn of(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            lock: dir.join("store.lock"),
            marker: dir.join("store.format"),
            keep: dir.join("store.keep"),
            boot: dir.join("store.boot"),
            remade: dir.join("store.remade"),
            engine: dir.join("store"),
            cut_off_engine: dir.join("store.cut-off"),
            journal: dir.join("journal"),
            new_journal: dir.join("journal.new"),
            base: dir.join("base"),
            blobs: dir.join("blobs"),
            log: dir.join("log"),
        }
    }

    /// See that no directory of it is a link.
    pub(crate) fn check_links(&self) -> Result<(), OpenError> {
        match links::first_in(&self.dir).map_err(at(&self.dir))? {
            Some(path) => Err(OpenError::Linked { path }),
            None => Ok(()),
        }
    }

    /// The format of the store that is here.
    pub(crate) fn format(&self) -> Result<u32, OpenError> {
        // A link that leads nowhere is there.
        let found = fs::symlink_metadata(&self.marker);
        if found.is_err_and(|error| error.kind() == ErrorKind::NotFound) {
            let dir = self.dir.clone();
            return Err(if self.has_base() {
                OpenError::FormatLost { dir }
            } else if exists(&self.engine)? {
                OpenError::HalfMade { dir }
            } else {
                OpenError::NotThere { dir }
            });
        }
        match read_marker(&self.marker)? {
            0 => Err(OpenError::NoFormat { path: self.marker.clone() }),
            found if found > FORMAT => Err(OpenError::NewerFormat { found, known: FORMAT }),
            format => Ok(format),
        }
    }

    /// Whether there is anything that a store could be made anew of.
    pub(crate) fn has_base(&self) -> bool {
        base::all(&self.base).is_ok_and(|bases| !bases.is_empty())
    }

    pub(crate) fn lock(&self) -> Result<Lock, OpenError> {
        self.hold(&self.lock, open_lock(&self.lock).map_err(at(&self.lock))?)
    }

    /// The same for whoever writes nothing: the file has to be there, or nobody ever held it.
    pub(crate) fn lock_to_look(&self) -> Result<Lock, OpenError> {
        let (path, opened) = match open_lock_to_look(&self.lock) {
            Err(error) if error.kind() == ErrorKind::NotFound => (&self.marker, open_regular(&self.marker)),
            opened => (&self.lock, opened),
        };
        self.hold(path, opened.map_err(at(path))?)
    }

    fn hold(&self, path: &Path, file: File) -> Result<Lock, OpenError> {
        let began = Instant::now();
        self.hold_since(began, &file)?.map_err(at(path))?;
        let dir = File::open(&self.dir).map_err(at(&self.dir))?;
        match self.hold_since(began, &dir)? {
            Ok(()) => Ok(Lock { _file: file, _dir: Some(dir) }),
            // Over a network a lock may need a file that is open for writing, which a directory never is.
            Err(error) if Errno::from_io_error(&error).is_some_and(|errno| NO_LOCKS.contains(&errno)) => {
                Ok(Lock { _file: file, _dir: None })
            }
            Err(error) => Err(at(&self.dir)(error)),
        }
    }

    /// Hold one file, or say that somebody else does. The inner error is the system's.
    fn hold_since(&self, began: Instant, file: &File) -> Result<io::Result<()>, OpenError> {
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Ok(())),
                // Not at once: see `LOCK_WAIT`.
                Err(TryLockError::WouldBlock) if began.elapsed() < LOCK_WAIT => thread::sleep(LOCK_PAUSE),
                Err(TryLockError::WouldBlock) => return Err(OpenError::InUse { dir: self.dir.clone() }),
                Err(TryLockError::Error(source)) => return Ok(Err(source)),
            }
        }
    }

    /// Why the engine is not to be relied on, if it is not. A store without a journal has nothing but its engine.
    pub(crate) fn cut_off(&self, boot: &Boot, format: u32) -> Result<Option<CutOffBy>, OpenError> {
        Ok(match boot.last_use(self)? {
            LastUse::CutOff(by) if format > FORMAT_WITHOUT_JOURNAL => Some(by),
            _ => None,
        })
    }

    /// Remove what nobody came to the end of writing among the files that are too large to be values. Where their directory
    /// is gone it is made anew: which of them are missing is known from what names them.
    pub(crate) fn clean_blobs(&self) -> Result<(), OpenError> {
        match remove_temporary(&self.blobs) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                tracing::warn!(path = %self.blobs.display(), "a directory was gone, and is made anew");
                make_dir(&self.blobs).and_then(|()| sync_dir(&self.dir)).map_err(at(&self.blobs))
            }
            Err(error) if error.kind() == ErrorKind::NotADirectory => {
                Err(at(&self.blobs)(irregular(format!("it is no directory: {BLOBS_AWAY}"))))
            }
            removed => removed.map_err(at(&self.blobs)),
        }
    }

    /// Give a new journal its name, where somebody was cut off who had moved the old one aside. One beside an old one that is
    /// still there was never begun with, and has no name to take.
    pub(crate) fn finish_replacing_journal(&self) -> Result<(), OpenError> {
        if !exists(&self.new_journal)? {
            return Ok(());
        }
        if exists(&self.journal)? {
            let aside = free_name(&self.dir.join("journal-new")).map_err(at(&self.new_journal))?;
            tracing::warn!(aside = %aside.display(), "a journal that nobody began with is moved aside");
            return fs::rename(&self.new_journal, &aside)
                .and_then(|()| sync_dir(&self.dir))
                .map_err(at(&self.new_journal));
        }
        fs::rename(&self.new_journal, &self.journal).and_then(|()| sync_dir(&self.dir)).map_err(at(&self.journal))
    }

    /// Move the engine's files to where those are that a stop of the machine left, which are removed. Where they are
    /// there now, if any were.
    pub(crate) fn set_engine_aside(&self) -> io::Result<Option<PathBuf>> {
        if !self.engine.try_exists()? {
            return Ok(None);
        }
        if self.cut_off_engine.try_exists()? {
            fs::remove_dir_all(&self.cut_off_engine)?;
        }
        fs::rename(&self.engine, &self.cut_off_engine)?;
        Ok(Some(self.cut_off_engine.clone()))
    }

    /// Say that there is a store, of this format.
    pub(crate) fn write_marker(&self, format: u32) -> Result<(), OpenError> {
        let temporary = self.marker.with_extension("format.tmp");
        let write = || {
            let mut file = create_beside(&temporary)?;
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

/// What a file system says that has no locks on directories.
const NO_LOCKS: [Errno; 3] = [Errno::BADF, Errno::OPNOTSUPP, Errno::NOLCK];

/// What to do where something else stands in the place of a directory.
const BLOBS_AWAY: &str = "move away what stands in its place, and it is made anew";

/// What to do where something else stands in the place of the marker.
const FORMAT_AWAY: &str = "move it away, and `attorn repair` writes it anew, if base copy and journal are whole";

/// More bytes than a marker has.
const MARKER_BYTES_MAX: u64 = 1 << 10;

fn read_marker(path: &Path) -> Result<u32, OpenError> {
    let text = match read_regular_text(path, MARKER_BYTES_MAX) {
        Err(error) if error.kind() == ErrorKind::InvalidData => String::new(),
        text => text.map_err(|error| at(path)(with_way_out(error, FORMAT_AWAY)))?,
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
