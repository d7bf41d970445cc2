//! What nobody waits for: the next segment of the journal is made ready, base copies are made, and what they make
//! needless is removed.
//!
//! When a store was opened, all of base copy and journal is read, since opening it reads only their end. If they are not
//! whole a new base copy is made at once: the engine has all that they had.
//!
//! A base copy goes on while groups are applied. It holds what a decision needs for as long as a page takes to be
//! read from memory, and never while something is written: a disk that hangs here keeps nobody from anything. A copy that is
//! made is read and compared with the imprint of the state before any older one goes. What fails here is said, and tried
//! again when the journal has grown as much again. Only a panic, by which the engine says that its files are corrupt, fails
//! the store.

use std::fs::{self, TryLockError};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::base::{self, Base, BaseWriter};
use crate::commit::Shared;
use crate::error::{Failure, PartsError, StorageError};
use crate::files::open_lock;
use crate::follower::Pace;
use crate::frame::StoreId;
use crate::horizon::Teller;
use crate::journal::{self, Spare};
use crate::parts;
use crate::places::Places;
use crate::progress::{News, Progress};
use crate::repair::causes;
use crate::steps::{Step, Steps};

pub(crate) struct Copier {
    pub(crate) shared: Arc<Shared>,
    pub(crate) steps: Arc<dyn Steps>,
    pub(crate) teller: Teller,
    pub(crate) progress: Arc<Progress>,
    pub(crate) places: Places,
    pub(crate) store: StoreId,
    pub(crate) spare: Arc<Spare>,
    pub(crate) pace: Pace,
    pub(crate) due: Due,
}

/// When the next base copy is due, and the one that is being made.
pub(crate) struct Due {
    /// How many bytes the journal had since the last copy when the store was opened.
    before_bytes: u64,
    /// Where the last copy was begun, in bytes since then.
    begun_at_bytes: u64,
    /// How many it may have.
    after_bytes: u64,
    /// Whether one is due whatever the journal has.
    at_once: bool,
    copy: Option<BaseWriter>,
}

impl Due {
    /// The journal has so many bytes since the last copy, and that one has so many.
    pub(crate) const fn after(before_bytes: u64, last_copy_bytes: u64) -> Self {
        Self { before_bytes, begun_at_bytes: 0, after_bytes: last_copy_bytes, at_once: false, copy: None }
    }

    const fn grown_bytes(&self, news: &News) -> u64 {
        self.before_bytes.saturating_add(news.applied.bytes - self.begun_at_bytes)
    }

    fn is_due(&self, news: &News, pace: &Pace) -> bool {
        self.at_once || self.grown_bytes(news) >= self.after_bytes.max(pace.base_bytes)
    }

    const fn begin(&mut self, news: &News) {
        (self.before_bytes, self.begun_at_bytes) = (0, news.applied.bytes);
        self.at_once = false;
    }
}

impl Copier {
    /// Go on until the writer has ended.
    pub(crate) fn run(mut self) {
        self.look();
        self.due.at_once = self.shared.bad_parts.load(Ordering::Relaxed);
        while let Some(news) = self.progress.news(self.due.copy.is_some() || self.due.at_once) {
            if let Some(bytes) = news.next_segment_bytes
                && let Err(error) = self.spare.prepare(bytes)
            {
                // Then the writer makes one, and fails if it has to.
                tracing::warn!(error = &error as &dyn std::error::Error, "cannot make a segment of the journal ready");
            }
            if let Err(error) = self.copy(&news) {
                tracing::error!(error = &error as &dyn std::error::Error, "a base copy could not be made");
                self.due.copy = None;
                self.due.begin(&news);
            }
        }
    }

    /// Read base copy and journal, and say what is wrong with them.
    fn look(&self) {
        let Some(looked) = parts::look(&self.places, &self.shared.key, &|| self.progress.goes()) else { return };
        let were_bad = self.shared.bad_parts.swap(looked.is_err(), Ordering::Relaxed);
        match looked {
            Err(error @ PartsError::Records(_)) => tracing::error!(
                error = &error as &dyn std::error::Error,
                "a decision record in base copy and journal is not what the server wrote. The server goes on, and makes a new \
                 base copy of what it has; `attorn audit verify` says, when it is ended, whether it has the right one"
            ),
            Err(error) => tracing::error!(
                error = &error as &dyn std::error::Error,
                "base copy and journal are not whole: no backup can be made, and nothing be made anew of them. The server \
                 goes on, and makes a new base copy of what it has, which needs neither. If it cannot, end it and run \
                 `attorn repair`"
            ),
            Ok(()) if were_bad => tracing::warn!("base copy and journal are whole again: a new base copy was made"),
            Ok(()) => {}
        }
    }

    /// Go on with a base copy, or begin one if it is due.
    fn copy(&mut self, news: &News) -> Result<(), StorageError> {
        let Some(writer) = &mut self.due.copy else {
            if self.due.is_due(news, &self.pace) {
                let version = self.shared.applied().version;
                self.due.copy = Some(BaseWriter::begin(&self.places.base, self.store, version)?);
                self.due.begin(news);
            }
            return Ok(());
        };
        // Read twice: what is not in memory is fetched while nobody waits for it.
        writer.read(&self.shared.trees)?;
        let page = {
            // While this is held, no group is applied, and a page is what stood there at one moment.
            let _applied = self.shared.applied();
            writer.read(&self.shared.trees)?
        };
        if let Some(page) = page {
            let mut page = Some(page);
            let mut write = || page.take().map_or(Ok(()), |page| Ok(writer.write(page)?));
            return self.steps.take(Step::Page, &mut write);
        }
        let begun_at = writer.version();
        let mut writer = self.due.copy.take();
        let (mut bytes, mut is_ours) = (0, true);
        self.steps.take(Step::Base, &mut || {
            let Some(finished) = writer.take().map(BaseWriter::finish).transpose()? else { return Ok(()) };
            (bytes, is_ours) = (finished.bytes, self.is_ours(&finished.base)?);
            if is_ours { Ok(finished.put_in_place()?) } else { Ok(()) }
        })?;
        self.due.after_bytes = bytes;
        if !is_ours {
            return Ok(());
        }
        if self.shared.bad_parts.load(Ordering::Relaxed) {
            self.look();
        }
        self.steps.take(Step::Trim, &mut || self.trim(begun_at, news.synced.version))
    }

    /// Whether a copy that was just made, and has no name yet, is of a state that is ours. If somebody wrote to the engine's
    /// files, it is not, and never takes the place of one that may be; nor does one that nobody could compare, because the
    /// store ends.
    fn is_ours(&self, made: &Base) -> Result<bool, StorageError> {
        let goes_on = || self.progress.goes();
        match parts::compare(&self.shared.key, (made, &self.places.journal), &self.shared.bundled, &goes_on) {
            Err(error @ (PartsError::Imprint(_) | PartsError::Log(_))) => {
                self.shared.bad_parts.store(true, Ordering::Relaxed);
                fs::remove_file(&made.path)?;
                let text = format!(
                    "{}; the copy was removed, and those before it are kept: somebody wrote to the files of the store \
                     while it was open, so end the server and run `attorn repair`",
                    causes(&error)
                );
                Err(StorageError::new(&text))
            }
            Err(_) if !self.progress.goes() => Ok(false),
            // What else is wrong with the journal is found by whoever looks at all of it.
            _ => Ok(true),
        }
    }

    /// Remove base copies that are older than the one that was just made, and from the journal what is older than all of them
    /// and synced in the engine.
    fn trim(&self, made: u64, synced: u64) -> Result<(), StorageError> {
        let keep = open_lock(&self.places.keep)?;
        match keep.try_lock() {
            Ok(()) => {}
            // Somebody is copying them; next time.
            Err(TryLockError::WouldBlock) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        let oldest = base::trim(&self.places.base, made)?;
        let oldest = oldest.ok_or_else(|| io::Error::other("there is no base copy"))?;
        journal::trim(&self.places.journal, oldest.min(synced)).map_err(|error| StorageError::new(&error))?;
        Ok(())
    }
}

impl Drop for Copier {
    fn drop(&mut self) {
        // The engine panics where it finds its files corrupt. Without base copies the journal would grow for ever.
        if std::thread::panicking() {
            self.teller.fail(Failure::CopierStopped);
        }
    }
}
