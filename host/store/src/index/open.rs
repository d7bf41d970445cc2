//! Opening an index, and finding out whether it can be relied on.

use std::fs::{self, OpenOptions};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::RwLock;
use std::time::Instant;

use attorn_log::{Epoch, LogId};
use serde::{Deserialize, Serialize};

use super::pack::{VOLUME_CHUNKS, read_mark};
use super::{BLOCK_ENTRIES, Block, Covered, EntryIndex, MARK_KEY};
use crate::error::StorageError;
use crate::files::make_dir;
use crate::records::json;
use crate::trees::{LOCK_PAUSE, LOCK_WAIT, is_locked};

/// The form in which all of it stands.
pub(super) const FORMAT: u32 = 2;
pub(super) const LOG_KEY: &[u8] = b"log";
const CACHE_BYTES: u64 = 16 << 20;
/// What tells one boot of the machine from another.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

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

/// Why an index could not be opened as it was.
pub(super) enum Unusable {
    /// Somebody in this process still has it.
    Locked,
    /// It says nothing that could be relied on.
    Untrusted(String),
}

impl<E: std::fmt::Display> From<E> for Unusable {
    fn from(error: E) -> Self {
        Self::Untrusted(error.to_string())
    }
}

impl EntryIndex {
    /// Open the index of this log's epoch in a directory that is the index's alone. One that cannot be relied on is
    /// removed and begun anew; why it was is said.
    pub fn open(dir: &Path, log: &LogId, epoch: Epoch) -> Result<(Self, Option<String>), StorageError> {
        let boot = fs::read_to_string(BOOT_ID).unwrap_or_default().trim_ascii().to_owned();
        let owner = Owner { format: FORMAT, log_id: log.to_string(), epoch: epoch.0, boot, closed: false };
        let began = Instant::now();
        loop {
            // The engine panics where it finds its files corrupt.
            let opened = catch_unwind(AssertUnwindSafe(|| Self::open_there(dir, &owner)));
            match opened.unwrap_or_else(|_| Err(Unusable::Untrusted("the engine cannot read it".to_owned()))) {
                Ok(index) => return Ok((index, None)),
                Err(Unusable::Locked) if began.elapsed() < LOCK_WAIT => std::thread::sleep(LOCK_PAUSE),
                Err(Unusable::Locked) => return Err(StorageError::new(&"the index is in use")),
                Err(Unusable::Untrusted(why)) => {
                    fs::remove_dir_all(dir)?;
                    return match Self::open_there(dir, &owner) {
                        Ok(index) => Ok((index, Some(why))),
                        Err(Unusable::Locked) => Err(StorageError::new(&"the index is in use")),
                        Err(Unusable::Untrusted(why)) => Err(StorageError::new(&why)),
                    };
                }
            }
        }
    }

    fn open_there(dir: &Path, owner: &Owner) -> Result<Self, Unusable> {
        make_dir(dir)?;
        let engine = sled::Config::new().path(dir).cache_capacity(CACHE_BYTES).flush_every_ms(None).open();
        let engine = engine.map_err(|error| if is_locked(&error) { Unusable::Locked } else { error.into() })?;
        let tree = |name: &str| engine.open_tree(name);
        let (postings, packs) = (tree("postings")?, tree("packs")?);
        let (times, meta) = (tree("times")?, tree("meta")?);
        if let Some(found) = meta.get(LOG_KEY)? {
            check(&serde_json::from_slice(&found)?, owner)?;
        } else if !postings.is_empty() || meta.contains_key(MARK_KEY)? {
            return Err(Unusable::Untrusted("it does not say whose it is".to_owned()));
        }
        let covered = Covered::read(&times, &meta)?;
        let file = OpenOptions::new().read(true).write(true).open(dir.join("db"))?;
        let (covered, packed) = (RwLock::new(covered), RwLock::new(read_mark(&meta)?));
        let (owner, volume_chunks) = (owner.clone(), VOLUME_CHUNKS);
        let index = Self { engine, postings, packs, times, meta, file, owner, covered, packed, volume_chunks };
        // Before anything is added, so that a power cut from here on is noticed.
        index.say(false)?;
        Ok(index)
    }

    /// Say on disk whether it is closed.
    fn say(&self, closed: bool) -> Result<(), StorageError> {
        self.meta.insert(LOG_KEY, json(&Owner { closed, ..self.owner.clone() }))?;
        self.engine.flush()?;
        Ok(self.file.sync_data()?)
    }
}

impl Drop for EntryIndex {
    fn drop(&mut self) {
        if !std::thread::panicking()
            && let Err(error) = self.say(true)
        {
            tracing::warn!(%error, "the query index could not be closed, and may be made anew");
        }
    }
}

impl Covered {
    fn read(times: &sled::Tree, meta: &sled::Tree) -> Result<Self, Unusable> {
        let broken = || Unusable::Untrusted("its mark is broken".to_owned());
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
    let untrusted = |why: String| Err(Unusable::Untrusted(why));
    if found.format != owner.format {
        return untrusted(format!("it has format {}, and this program makes {}", found.format, owner.format));
    }
    if (&found.log_id, found.epoch) != (&owner.log_id, owner.epoch) {
        return untrusted(format!("it is of the log `{}`, epoch {}", found.log_id, found.epoch));
    }
    if !found.closed && found.boot != owner.boot {
        return untrusted("the machine stopped while it was open".to_owned());
    }
    Ok(())
}
