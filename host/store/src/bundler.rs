//! Bundling: full bundles of entries go into plain files, and out of the engine.
//!
//! A thread of its own takes one bundle after the other of those that a checkpoint on disk covers, and rests after
//! each for longer than it took; no commit waits for it. For each it
//!
//! 1. writes the file beside its place, syncs it, puts it in its place, and syncs the directories above it;
//! 2. reads it, and compares it with the root that the tree has over it;
//! 3. takes the bytes out of the last record, which keeps its hashes, and then removes the other 255.
//!
//! Nothing of 3 is in the journal. A crash leaves a file that is written again, or a bundle of which a part is still
//! in the engine; both are right, since whoever reads looks there first, and the next start goes on. A base copy may
//! have any part of it, too, and a repair brings back what the base copy and the journal have: it is bundled again.
//! What neither has is in the file, which was on disk before any of it was removed. What cannot be written is tried
//! again later, and the store goes on.

use std::fs::{self, DirBuilder};
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use attorn_log::Hash;
use attorn_log::tiles::add_to_bundle;
use attorn_log::tree::leaf_hash;

use crate::bundled::{BUNDLE_ENTRIES, ROOT_LEVEL, last_of, root_of};
use crate::commit::Shared;
use crate::doubled::set_aside_and_say;
use crate::error::{Failure, StorageError};
use crate::files::create_beside;
use crate::files::sync_dir;
use crate::filing::Filing;
use crate::horizon::Teller;
use crate::proved::Proved;
use crate::steps::{Step, Steps};
use crate::trees::Record;

/// How many times as long as a bundle took it rests after it.
const RESTS: u32 = 4;
/// How many records are looked at in one turn.
const LOOKED_AT_MAX: usize = 4_096;

pub(crate) struct Bundler {
    pub(crate) shared: Arc<Shared>,
    pub(crate) steps: Arc<dyn Steps>,
    pub(crate) teller: Teller,
    /// How many entries a checkpoint on disk covers.
    pub(crate) due: Receiver<u64>,
    /// After how long it tries again what could not be written.
    pub(crate) retry: Duration,
    /// Where everything is. The directories between here and a file are synced with its name.
    pub(crate) dir: PathBuf,
    /// The directory of the last file; all above it are synced.
    pub(crate) synced: Option<PathBuf>,
    /// How far the records of decisions followed.
    pub(crate) filing: Filing,
}

/// Why a bundle was not put into a file.
pub(crate) enum Unbundled {
    /// It may be, later.
    Later(StorageError),
    /// Not by trying again: what is there is not what the tree says.
    Never(StorageError),
}

impl<E: Into<StorageError>> From<E> for Unbundled {
    fn from(error: E) -> Self {
        Self::Later(error.into())
    }
}

impl Bundler {
    /// Bundle what is due until the store is dropped.
    pub(crate) fn run(mut self) {
        let (mut due, mut next, mut rest_until) = (0, 0, None);
        loop {
            let rest =
                rest_until.map_or(Duration::MAX, |until: Instant| until.saturating_duration_since(Instant::now()));
            match self.due.recv_timeout(rest) {
                Ok(covered) => due = due.max(covered),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if self.teller.has_failed() {
                return;
            }
            if rest_until.is_some_and(|until| Instant::now() < until) {
                continue;
            }
            let began = Instant::now();
            let rest = match self.turn(&mut next, due) {
                Ok(true) => Some(began.elapsed() * RESTS),
                Ok(false) => self.filing.retry_at.map(|at| at.saturating_duration_since(Instant::now())),
                Err(error) => {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "entries cannot be put into files; they stay where they are"
                    );
                    Some(self.retry)
                }
            };
            rest_until = rest.map(|rest| Instant::now() + rest);
        }
    }

    /// Put one bundle into a file, from this one on, or look for it, or file the records of one that is in a file.
    /// Whether there may be more is what comes back.
    fn turn(&mut self, next: &mut u64, due: u64) -> Result<bool, StorageError> {
        if self.is_to_file(*next) {
            let Err(error) = self.file_next() else { return Ok(true) };
            // Entries need not wait for records.
            let error = &error as &dyn std::error::Error;
            tracing::error!(
                error,
                bundle = self.filing.next,
                "records cannot be put into a file; they stay where they are"
            );
            self.filing.retry_at = Some(Instant::now() + self.retry);
        }
        let looked = self.shared.trees.first_unbundled(*next, LOOKED_AT_MAX)?;
        *next = looked.bundle;
        if !looked.found {
            return Ok(looked.more || self.is_to_file(*next));
        }
        // The log's last entry stays in the engine, which tells by it where the log ends.
        if (*next + 1) * BUNDLE_ENTRIES >= due {
            return Ok(self.is_to_file(*next));
        }
        match self.put_in_file(*next) {
            Ok(()) => {
                if let Err(error) = self.shared.bundled.note_bundled(*next + 1) {
                    tracing::warn!(%error, "how many bundles are in files cannot be noted");
                }
            }
            Err(Unbundled::Later(error)) => return Err(error),
            Err(Unbundled::Never(error)) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, "a bundle of entries stays in the database until the next start");
            }
        }
        *next += 1;
        Ok(true)
    }

    /// Whether there are records to file, and it is not too early to try again.
    fn is_to_file(&mut self, next: u64) -> bool {
        self.filing.retry_at = self.filing.retry_at.filter(|at| Instant::now() < *at);
        self.filing.next < next && self.filing.retry_at.is_none()
    }

    fn put_in_file(&mut self, bundle: u64) -> Result<(), Unbundled> {
        let shared = Arc::clone(&self.shared);
        let Shared { trees, bundled, .. } = &*shared;
        let Some(last) = trees.record(last_of(bundle))? else {
            return Err(Unbundled::Never(missing(last_of(bundle))));
        };
        let root = *last.hashes.get(usize::from(ROOT_LEVEL)).ok_or_else(|| missing(last_of(bundle)))?;
        match self.bundle(bundle, root)? {
            Some(bytes) => {
                let path = bundled.path(bundle);
                let Self { steps, dir, synced, .. } = self;
                let bad = match bundled.read(bundle, root) {
                    Err(error) if error.is_of_the_process() => return Err(Unbundled::Later(error.into())),
                    read => read.err().filter(|error| !error.is_missing()),
                };
                steps.take(Step::Bundle, &mut || {
                    if let Some(bad) = &bad {
                        set_aside_and_say(&path, &bad.short())?;
                    }
                    Ok(write(dir, synced, &path, &bytes)?)
                })?;
                bundled.read(bundle, root)?;
            }
            // Some of it was removed already, so the file was synced.
            None => drop(bundled.read(bundle, root).map_err(|error| Unbundled::Never(error.into()))?),
        }
        // A file of which nothing is known but a root that somebody wrote would stay after its entries are gone.
        Proved::default().bundle(&shared, bundle, root).map_err(Unbundled::Never)?;
        let bare = Record { bytes: Vec::new(), ..last };
        self.steps.take(Step::Unload, &mut || trees.unload(bundle, &bare))?;
        Ok(())
    }

    /// The bytes of a bundle that is still in the engine; none if a part of it is not any more.
    fn bundle(&self, bundle: u64, root: Hash) -> Result<Option<Vec<u8>>, Unbundled> {
        let (mut bytes, mut leaves) = (Vec::new(), Vec::new());
        for index in bundle * BUNDLE_ENTRIES..=last_of(bundle) {
            let Some(entry) = self.shared.trees.entry(index)? else { return Ok(None) };
            leaves.push(leaf_hash(&entry));
            add_to_bundle(&mut bytes, &entry);
        }
        if root_of(&leaves) == root {
            return Ok(Some(bytes));
        }
        let text = format!("the entries from {} on are not what the tree says", bundle * BUNDLE_ENTRIES);
        Err(Unbundled::Never(StorageError::new(&text)))
    }
}

impl Drop for Bundler {
    fn drop(&mut self) {
        // The engine panics where it finds its files corrupt.
        if std::thread::panicking() {
            self.teller.fail(Failure::BundlerStopped);
        }
    }
}

fn missing(index: u64) -> StorageError {
    StorageError::new(&format_args!("entry {index} is missing"))
}

/// Write a file so that it and its name are on disk. One that is there already may not be, and is written anew.
pub(crate) fn write(dir: &Path, synced: &mut Option<PathBuf>, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let parent = path.parent().unwrap_or(dir);
    DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
    let beside = path.with_extension("tmp");
    let mut file = create_beside(&beside)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // It is tried again, and a full disk needs the room.
        let _ = fs::remove_file(&beside);
    }
    written?;
    if synced.as_deref() == Some(parent) {
        return sync_dir(parent);
    }
    // Which of the directories are new is not known: who made them may not have come this far.
    parent.ancestors().take_while(|above| above.starts_with(dir)).try_for_each(sync_dir)?;
    *synced = Some(parent.to_owned());
    Ok(())
}
