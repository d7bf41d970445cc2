//! Opening an index, and finding out whether it can be relied on.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::RwLock;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use attorn_log::{Epoch, LogId};
use serde::{Deserialize, Serialize};

use super::chunk::CHUNK_ENTRIES;
use super::pack::{self, VOLUME_CHUNKS};
use super::{BLOCK_ENTRIES, Block, CANNOT_BE_READ, Covered, EntryIndex, MARK_KEY};
use crate::caught::caught;
use crate::error::StorageError;
use crate::files::{create_beside, make_dir, not_the_engines, read_regular_text};
use crate::records::json;
use crate::trees::{LOCK_PAUSE, LOCK_WAIT, is_locked};

/// The form in which all of it stands, and which terms an entry has.
pub(super) const FORMAT: u32 = 3;
pub(super) const LOG_KEY: &[u8] = b"log";
const CACHE_BYTES: u64 = 16 << 20;
/// What tells one boot of the machine from another.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// The engine's file.
const DB: &str = "db";
/// The file that says how far it reached: a number, the boot of the machine, and whether it was closed.
const REACHED: &str = "reached";
const REACHED_BYTES_MAX: u64 = 128;

/// Whose index it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Owner {
    pub(super) format: u32,
    pub(super) log_id: String,
    pub(super) epoch: u64,
    /// The boot of the machine in which it was opened last.
    pub(super) boot: String,
    /// Whether it was closed since.
    pub(super) closed: bool,
}

/// An index that was removed and begun anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anew {
    /// Why.
    pub why: String,
    /// Whether that comes to pass where nothing is wrong: after a power cut, and with another version of this program.
    /// Otherwise it is damaged, or somebody changed it.
    pub expected: bool,
}

/// Why an index could not be opened as it was.
pub(super) enum Unusable {
    /// Somebody in this process still has it.
    Locked,
    /// It says nothing that could be relied on.
    Untrusted(Anew),
}

impl Unusable {
    fn amiss(why: impl Into<String>) -> Self {
        Self::Untrusted(Anew { why: why.into(), expected: false })
    }

    /// Why the engine does not open its files. What it says of damage names places that nobody else knows.
    fn of_engine(error: sled::Error) -> Self {
        match error {
            error if is_locked(&error) => Self::Locked,
            sled::Error::Corruption { .. } | sled::Error::ReportableBug(_) => Self::amiss(CANNOT_BE_READ),
            error => error.into(),
        }
    }

    fn expected(why: impl Into<String>) -> Self {
        Self::Untrusted(Anew { why: why.into(), expected: true })
    }
}

impl<E: std::fmt::Display> From<E> for Unusable {
    fn from(error: E) -> Self {
        Self::amiss(error.to_string())
    }
}

impl EntryIndex {
    /// Open the index of this log's epoch in a directory that is the index's alone. One that cannot be relied on is
    /// removed and begun anew; why it was is said.
    pub fn open(dir: &Path, log: &LogId, epoch: Epoch) -> Result<(Self, Option<Anew>), StorageError> {
        Self::open_with(dir, log, epoch, VOLUME_CHUNKS)
    }

    /// Remove an index. What stands in its place is not followed, should it be a link.
    ///
    /// # Errors
    ///
    /// When something of it cannot be removed; that it is not there is fine.
    pub fn remove(dir: &Path) -> io::Result<()> {
        let removed = match fs::symlink_metadata(dir) {
            Ok(found) if found.is_dir() => fs::remove_dir_all(dir),
            Ok(_) => fs::remove_file(dir),
            Err(error) => Err(error),
        };
        removed.or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) })
    }

    /// The same, with so many chunks in a volume.
    pub(super) fn open_with(
        dir: &Path,
        log: &LogId,
        epoch: Epoch,
        volume_chunks: u64,
    ) -> Result<(Self, Option<Anew>), StorageError> {
        let boot = fs::read_to_string(BOOT_ID).unwrap_or_default().trim_ascii().to_owned();
        let owner = Owner { format: FORMAT, log_id: log.to_string(), epoch: epoch.0, boot, closed: false };
        let began = Instant::now();
        loop {
            // The engine panics where it finds its files corrupt.
            let opened = caught(|| Self::open_there(dir, &owner, volume_chunks));
            match opened.unwrap_or_else(|_| Err(Unusable::amiss(CANNOT_BE_READ))) {
                Ok(index) => return Ok((index, None)),
                Err(Unusable::Locked) if began.elapsed() < LOCK_WAIT => std::thread::sleep(LOCK_PAUSE),
                Err(Unusable::Locked) => return Err(StorageError::new(&"the index is in use")),
                Err(Unusable::Untrusted(anew)) => {
                    Self::remove(dir)?;
                    return match Self::open_there(dir, &owner, volume_chunks) {
                        Ok(index) => Ok((index, Some(anew))),
                        Err(Unusable::Locked) => Err(StorageError::new(&"the index is in use")),
                        Err(Unusable::Untrusted(anew)) => Err(StorageError::new(&anew.why)),
                    };
                }
            }
        }
    }

    fn open_there(dir: &Path, owner: &Owner, volume_chunks: u64) -> Result<Self, Unusable> {
        if let Some(why) = not_the_engines(dir)? {
            return Err(Unusable::amiss(why));
        }
        make_dir(dir)?;
        let engine = sled::Config::new().path(dir).cache_capacity(CACHE_BYTES).flush_every_ms(None).open();
        let engine = engine.map_err(Unusable::of_engine)?;
        let tree = |name: &str| engine.open_tree(name);
        let (postings, packs) = (tree("postings")?, tree("packs")?);
        let (times, meta) = (tree("times")?, tree("meta")?);
        if let Some(found) = meta.get(LOG_KEY)? {
            check(&serde_json::from_slice(&found)?, owner)?;
        } else if !postings.is_empty() || meta.contains_key(MARK_KEY)? {
            return Err(Unusable::amiss("it does not say whose it is"));
        }
        let covered = Covered::read(&times, &meta)?;
        if let Some(reached) = reached(dir, &owner.boot).filter(|reached| *reached > covered.through) {
            return Err(Unusable::amiss(format!(
                "it reaches over {} entries, and had come to {reached}: its files are damaged",
                covered.through
            )));
        }
        let packed = pack::read_mark(&meta)?;
        // Chunks that are said to be packed are looked for in packs alone, and only as far as it covers anything is it
        // compared with the log.
        if !packed.is_multiple_of(volume_chunks) || packed > covered.through / CHUNK_ENTRIES {
            return Err(Unusable::amiss("it says that more of it is packed than it covers"));
        }
        if pack::has_beyond(&packs, packed)? || (covered.through == 0 && !packs.is_empty()) {
            return Err(Unusable::amiss("it has packs of what it does not cover"));
        }
        if covered.through == 0 && !times.is_empty() {
            // As when the first round is cut off.
            return Err(Unusable::expected("it has times of what it does not cover"));
        }
        let file = OpenOptions::new().read(true).write(true).open(dir.join(DB))?;
        let (covered, packed) = (RwLock::new(covered), RwLock::new(packed));
        let (dir, owner) = (dir.to_owned(), owner.clone());
        let failed = AtomicBool::new(false);
        let index =
            Self { engine, postings, packs, times, meta, file, dir, owner, covered, packed, volume_chunks, failed };
        // Before anything is added, so that a power cut from here on is noticed.
        index.say(false)?;
        Ok(index)
    }

    /// Say on disk whether it is closed.
    fn say(&self, closed: bool) -> Result<(), StorageError> {
        self.meta.insert(LOG_KEY, json(&Owner { closed, ..self.owner.clone() }))?;
        self.engine.flush()?;
        self.file.sync_data()?;
        self.say_reached(self.through(), closed)
    }

    /// Say beside the engine's files how far it has come, after they have it. Where another index is in its place by now,
    /// nothing is said about that one.
    pub(super) fn say_reached(&self, through: u64, closed: bool) -> Result<(), StorageError> {
        let (ours, there) = (self.file.metadata()?, fs::metadata(self.dir.join(DB)));
        if !there.is_ok_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino())) {
            return Ok(());
        }
        let (path, said) = (self.dir.join(REACHED), if closed { "closed" } else { "open" });
        let new = path.with_extension("new");
        create_beside(&new)?.write_all(format!("{through} {} {said}\n", self.owner.boot).as_bytes())?;
        Ok(fs::rename(&new, &path)?)
    }
}

/// How far the index of this directory had come at least; none if nothing tells that holds: a machine that stopped loses what
/// was not synced.
fn reached(dir: &Path, boot: &str) -> Option<u64> {
    let text = read_regular_text(&dir.join(REACHED), REACHED_BYTES_MAX).ok()?;
    let mut words = text.strip_suffix('\n')?.split(' ');
    let (through, of, said) = (words.next()?.parse().ok()?, words.next()?, words.next()?);
    (said == "closed" || of == boot).then_some(through)
}

impl Drop for EntryIndex {
    fn drop(&mut self) {
        if !std::thread::panicking()
            && let Err(error) = self.readable(|| self.say(true))
        {
            tracing::warn!(%error, "the query index could not be closed, and may be made anew");
        }
    }
}

impl Covered {
    fn read(times: &sled::Tree, meta: &sled::Tree) -> Result<Self, Unusable> {
        let broken = || Unusable::amiss("its mark is broken");
        let Some(mark) = meta.get(MARK_KEY)? else { return Ok(Self::default()) };
        let (through, last) = mark.split_first_chunk().ok_or_else(broken)?;
        let (through, last) = (u64::from_be_bytes(*through), last.try_into().map_err(|_| broken())?);
        let mut blocks = Vec::new();
        for place in 0..through.div_ceil(BLOCK_ENTRIES) {
            let stored = times.get(place.to_be_bytes())?.ok_or_else(broken)?;
            let (earliest, latest) = stored.split_first_chunk().ok_or_else(broken)?;
            let latest = latest.try_into().map_err(|_| broken())?;
            blocks.push(Block { earliest: u64::from_be_bytes(*earliest), latest: u64::from_be_bytes(latest) });
        }
        Ok(Self { through, last, blocks })
    }
}

pub(super) fn check(found: &Owner, owner: &Owner) -> Result<(), Unusable> {
    if found.format != owner.format {
        return Err(Unusable::expected(format!(
            "it has format {}, and this program makes {}",
            found.format, owner.format
        )));
    }
    if (&found.log_id, found.epoch) != (&owner.log_id, owner.epoch) {
        return Err(Unusable::amiss(format!("it is of the log `{}`, epoch {}", found.log_id, found.epoch)));
    }
    if !found.closed && found.boot != owner.boot {
        return Err(Unusable::expected("the machine stopped while it was open"));
    }
    Ok(())
}
